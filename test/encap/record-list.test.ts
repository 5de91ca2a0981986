import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LookupRecord } from '../../compartments/compartment.ts';
import { ROUTER_MAC } from '../../compartments/policy.ts';
import { heeded, type Kept, lookupKey, RecordList } from '../../encap/record-list.ts';
import { addressFromBytes, type Mac, macFromBytes } from '../../lib/address.ts';

const address = (n: number) => addressFromBytes(Uint8Array.of(10, 0, n >>> 8, n));
const mac = (n: number): Mac => (n === 0 ? ROUTER_MAC : macFromBytes(Uint8Array.of(2, 0, 0, 0, n >>> 8, n)));
const record = (
  vsid: number,
  a: number,
  m: number,
  p: number,
  type: LookupRecord['type'] = 'Static',
): LookupRecord => ({
  customerAddress: address(a),
  mac: mac(m),
  vsid: 5000 + vsid,
  providerAddress: address(60000 + p),
  rule: 'TranslationMethodEncap',
  type,
});
const records = fc.record({
  vsid: fc.nat(2),
  a: fc.nat(12),
  m: fc.nat(6),
  p: fc.nat(3),
  type: fc.constantFrom<LookupRecord['type']>('Static', 'Dynamic', 'L2Only'),
  origin: fc.constantFrom<Kept<LookupRecord>['origin']>('File', 'Runtime', 'Learned'),
  gone: fc.boolean(),
});
type Step = typeof records extends fc.Arbitrary<infer T> ? T : never;
const keptOf = ({ vsid, a, m, p, type, origin }: Step): Kept<LookupRecord> => ({
  record: record(vsid, a, m, p, type),
  origin,
});

describe('encap/record-list', () => {
  it('holds, counts and finds what a Map holds after the same steps', () => {
    fc.assert(
      fc.property(fc.array(records), fc.array(records, { maxLength: 60 }), (base, steps) => {
        const map = new Map(base.map(keptOf).map((k) => [lookupKey(k.record), k]));
        let list = RecordList.of(map);
        for (const step of steps) {
          const kept = keptOf(step);
          const key = lookupKey(kept.record);
          const former = list;
          const [size, there] = [former.size, former.get(key)];
          if (step.gone) map.delete(key);
          else map.set(key, kept);
          list = list.with(key, step.gone ? undefined : kept);
          assert.deepEqual([former.size, former.get(key)], [size, there], 'versions do not touch each other');
        }
        assert.deepEqual(new Map(list), map);
        assert.equal(list.size, map.size);
        assert.deepEqual(list.inOrder(), heeded([...list].map(([, k]) => k)));
        const all = [...map.values()];
        for (const n of [0, 1, 2])
          assert.equal(
            list.counts.vsids.get(String(5000 + n)) ?? 0,
            all.filter((k) => k.record.vsid === 5000 + n).length,
          );
        for (const p of [0, 1, 2, 3])
          assert.equal(
            list.counts.peers.get(address(60000 + p)) ?? 0,
            all.filter((k) => k.record.providerAddress === address(60000 + p) && k.record.mac !== ROUTER_MAC).length,
          );
        assert.equal(list.counts.learned, all.filter((k) => k.origin === 'Learned').length);
        const [a, m] = [address(3), mac(2)];
        assert.deepEqual(
          new Map(list.around([a], [m])),
          new Map(
            [...map].filter(([, { record: r }]) => r.mac === m || (r.type !== 'L2Only' && r.customerAddress === a)),
          ),
        );
      }),
    );
  });

  it('is the same after so many changes that they became a new base', () => {
    let list = RecordList.of([]);
    const N = 10_000;
    for (let n = 0; n < N; n++) {
      const r = record(0, n, n + 1, 0);
      list = list.with(lookupKey(r), { record: r, origin: 'Runtime' });
    }
    for (let n = 0; n < N; n += 2) list = list.with(lookupKey(record(0, n, n + 1, 0)), undefined);
    assert.equal(list.size, N / 2);
    assert.equal([...list].length, N / 2);
    assert.deepEqual([list.has('5000 10.0.0.2'), list.has('5000 10.0.0.3')], [false, true]);
    assert.deepEqual([...list.around([], [mac(4)]).keys()], ['5000 10.0.0.3']);
    assert.deepEqual([...list.around([], [mac(3)]).keys()], []);
  });
});
