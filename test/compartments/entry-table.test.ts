import assert from 'node:assert/strict';
import fc from 'fast-check';
import { EntryTable, tableDifference, wordsOf } from '../../compartments/entry-table.ts';
import { FEW, packedResource, rowResource } from '../../compartments/packed.ts';
import { describeOp, describeOps, plan } from '../../compartments/plan.ts';

const KEYS = 40;
const key = (n: number): Uint32Array => Uint32Array.of(n % 3, n, 0);
const value = (n: number): Uint32Array => Uint32Array.of(n, n + 1);
const table = () => new EntryTable('records', 12, 8, 1);
const keyOf = (t: EntryTable, row: number): number => wordsOf(t.keys(row, row + 1))[1]!;
const firstOf = (t: EntryTable, row: number): number => wordsOf(t.values(row, row + 1))[0]!;
const contents = (t: EntryTable) =>
  new Map(Array.from({ length: t.count }, (_, row) => [keyOf(t, row), [t.slot(row), firstOf(t, row)]]));

const steps = fc.array(
  fc.record({
    verb: fc.constantFrom('put', 'add', 'remove'),
    key: fc.nat(KEYS),
    value: fc.nat(5),
    slot: fc.integer({ min: 2, max: 4 }),
  }),
  { maxLength: 200 },
);
type Steps = typeof steps extends fc.Arbitrary<infer T> ? T : never;

/** The table and a Map that was treated the same way. */
function carriedOut(list: Steps) {
  const t = table();
  const m = new Map<number, [number, number]>();
  for (const s of list) {
    if (s.verb === 'put') t.put(s.slot, key(s.key), value(s.value));
    if (s.verb === 'add') assert.equal(t.add(s.slot, key(s.key), value(s.value)), !m.has(s.key));
    if (s.verb === 'remove') assert.equal(t.remove(key(s.key)), m.delete(s.key));
    else if (s.verb === 'put' || !m.has(s.key)) m.set(s.key, [s.slot, s.value]);
  }
  return { t, m };
}

const sorted = <V>(m: ReadonlyMap<number, V>) => [...m].sort(([a], [b]) => a - b);

describe('entry-table', () => {
  it('holds what a Map holds after the same steps', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const { t, m } = carriedOut(list);
        assert.deepEqual(sorted(contents(t)), sorted(m));
        for (let k = 0; k <= KEYS; k++) assert.equal(t.find(key(k)) >= 0, m.has(k));
      }),
    );
  });

  it('a difference makes one table of the other', () => {
    fc.assert(
      fc.property(steps, steps, (a, b) => {
        const [wanted, present] = [carriedOut(a).t, carriedOut(b).t];
        const { created, changed, gone } = tableDifference(wanted, present);
        const made = new Map([...contents(present)].map(([k, [, v]]) => [k, v]));
        for (const row of gone) made.delete(keyOf(present, row));
        for (const row of [...created, ...changed]) made.set(keyOf(wanted, row), firstOf(wanted, row));
        const want = new Map([...contents(wanted)].map(([k, [, v]]) => [k, v]));
        assert.deepEqual(sorted(made), sorted(want));
        assert.deepEqual(tableDifference(wanted, wanted), { created: [], changed: [], gone: [] });
      }),
    );
  });

  it('picks rows, and gives their bytes in memory order', () => {
    const t = table();
    for (let n = 0; n < 10; n++) t.put(2, key(n), value(n));
    const picked = t.pick([7, 3]);
    assert.deepEqual([keyOf(picked, 0), keyOf(picked, 1), picked.count], [7, 3, 2]);
    assert.equal(picked.keys(0, 1).toString('hex'), '010000000700000000000000');
    assert.throws(() => new EntryTable('odd', 6, 4), RangeError);
    assert.throws(() => wordsOf(Buffer.alloc(3)), RangeError);
  });

  it('plans few as ops of their own with their names, many packed', () => {
    const rows = (from: number, to: number, add = 0) => {
      const t = table();
      for (let n = from; n < to; n++) t.put(2, key(n), value(n + add));
      return packedResource(t, (row, of) => `record ${keyOf(of, row)}`);
    };
    assert.deepEqual(plan([rows(0, 10)], [rows(0, 10)]), []);
    assert.deepEqual(plan([rows(1, 11)], [rows(0, 10)]).map(describeOp), [
      'delete record 0 (flow)',
      'create record 10',
    ]);
    const [update] = plan([rows(0, 1, 5)], [rows(0, 1)]);
    assert.deepEqual([update?.verb, update?.from], ['update', { ...rowResource(rows(0, 1), 0) }]);
    assert.deepEqual(plan([], [rows(0, 1)]).map(describeOp), ['delete record 0 (flow)']);
    const many = plan([rows(5, FEW + 10), rows(0, 0)].slice(0, 1), [rows(0, FEW, 1)]);
    assert.deepEqual(many.map(describeOp), [
      'delete 5 entries of records (flow)',
      'create 10 entries of records',
      `update ${FEW - 5} entries of records (flow)`,
    ]);
    assert.deepEqual(describeOps(many), many.map(describeOp));
  });
});
