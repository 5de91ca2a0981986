/** Consistent hashing: shares by weight, little disruption, the same table whatever the order (R-NAT-6). */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { MAGLEV } from '../../nat/abi.ts';
import { type Candidate, maglevTable } from '../../nat/maglev.ts';
import { numbered } from '../../nat/numbers.ts';

const candidates = (weights: readonly number[]): readonly Candidate[] =>
  weights.map((weight, i) => ({ name: `10.0.0.${10 + i}:80`, value: i + 1, weight }));
const shares = (table: readonly number[]) =>
  table.reduce((of, v) => of.set(v, (of.get(v) ?? 0) + 1), new Map<number, number>());

describe('Maglev table', () => {
  it('is full, and each DIP has its share by weight, to a slot or two', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 10 }), { minLength: 1, maxLength: 20 }), (weights) => {
        const table = maglevTable(candidates(weights), MAGLEV)!;
        assert.equal(table.length, MAGLEV);
        const total = weights.reduce((a, b) => a + b);
        const of = shares(table);
        for (const [i, weight] of weights.entries()) {
          const expected = (MAGLEV * weight) / total;
          assert.ok(Math.abs((of.get(i + 1) ?? 0) - expected) <= 2, `${of.get(i + 1)} of ${expected}`);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('the order of the file does not matter', () => {
    const list = candidates([1, 2, 3, 1]);
    assert.deepEqual(maglevTable(list.toReversed(), MAGLEV), maglevTable(list, MAGLEV));
  });

  it('when a DIP is lost, few slots of the others change hands', () => {
    for (const count of [3, 5, 10, 50]) {
      const list = candidates(new Array(count).fill(1));
      const before = maglevTable(list, MAGLEV)!;
      for (const lost of [0, count - 1]) {
        const after = maglevTable(list.toSpliced(lost, 1), MAGLEV)!;
        const moved = before.filter((v, slot) => v !== lost + 1 && v !== after[slot]).length;
        // The paper measures below 2 % of a table a hundred times as large as its DIPs are many; ours is from 40 times on.
        assert.ok(moved / MAGLEV < 0.2, `${moved} of ${MAGLEV} with ${count} DIPs`);
      }
    }
  });

  it('nobody can serve: there is no table', () => assert.equal(maglevTable([], MAGLEV), undefined));
});

describe('numbers', () => {
  it('stay with their keys, are different, and a former one is given again only when there is no other', () => {
    const keys = fc.uniqueArray(fc.integer({ min: 0, max: 30 }), { maxLength: 12 });
    fc.assert(
      fc.property(keys, keys, (first, second) => {
        const before = numbered(first, new Map(), 16)!;
        const after = numbered(second, before, 16)!;
        assert.equal(new Set(after.values()).size, second.length);
        const gone = [...before].filter(([k]) => !second.includes(k)).map(([, n]) => n);
        const fresh = second.filter((k) => !before.has(k));
        for (const [k, n] of before) if (second.includes(k)) assert.equal(after.get(k), n);
        if (first.length + fresh.length <= 16) for (const k of fresh) assert.ok(!gone.includes(after.get(k)!));
      }),
    );
  });
  it('more keys than numbers', () => assert.equal(numbered([1, 2, 3], new Map(), 2), undefined));
});
