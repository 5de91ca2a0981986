/** Ratios of interleaved rounds and the verdicts taken from them. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { judge, verdictLine } from '../../bench/bars.ts';
import { ratio, spread } from '../../bench/statistics.ts';

const values = fc.array(fc.double({ min: 0.001, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 30 });

describe('statistics', () => {
  it('the median stands in the middle of the values, whatever their order', () => {
    fc.assert(
      fc.property(values, (xs) => {
        const s = spread(xs);
        assert.deepEqual(spread([...xs].reverse()), s);
        assert.ok(s.min <= s.lower && s.lower <= s.median && s.median <= s.upper && s.upper <= s.max);
        assert.ok(s.min <= s.from && s.from <= s.median && s.median <= s.to && s.to <= s.max);
        assert.ok(xs.filter((x) => x <= s.median).length * 2 >= xs.length);
        assert.ok(xs.filter((x) => x >= s.median).length * 2 >= xs.length);
      }),
    );
  });

  it('two in the middle give their mean', () => assert.equal(spread([1, 2, 4, 9]).median, 3));

  it('quartiles and the confidence of the median are ranks', () => {
    const { lower, upper, from, to } = spread(Array.from({ length: 101 }, (_, i) => i));
    assert.deepEqual({ lower, upper, from, to }, { lower: 25, upper: 75, from: 40, to: 60 });
  });

  it('a ratio is taken inside a round: a machine twice as slow for both sides changes nothing', () => {
    fc.assert(
      fc.property(values, fc.double({ min: 0.1, max: 10, noNaN: true }), (xs, k) => {
        const s = ratio(
          xs.map((x) => x * k),
          xs,
        );
        assert.ok(Math.abs(s.median - k) < 1e-9 * k && Math.abs(s.max - s.min) < 1e-9 * k);
      }),
    );
  });

  it('no values and rounds that do not pair are refused', () => {
    assert.throws(() => spread([]), RangeError);
    assert.throws(() => ratio([1, 2], [1]), RangeError);
  });
});

describe('bars', () => {
  const bars = [
    { what: 'fast', measure: 'pps', row: 'a', against: 'b', atLeast: 2 },
    { what: 'faster', measure: 'pps', row: 'a', against: 'b', atLeast: 2.01 },
  ] as const;
  const rounds = { a: { pps: [2, 8, 6] }, b: { pps: [2, 4, 2] } };

  it('are held by the median of the per-round ratios, equality included', () => {
    const verdicts = judge(bars, rounds);
    assert.deepEqual(
      verdicts.map((v) => v.held),
      [true, false],
    );
    assert.deepEqual(verdicts[0]!.ratio, spread([1, 2, 3]));
    assert.equal(verdictLine(verdicts), 'bars: 1 held, 1 missed');
  });
});
