/** A change of one record changes its own entries and nothing of anybody else. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { CustomerRoute, LookupRecord, RoutingDomainId } from '../../compartments/compartment.ts';
import { plan } from '../../compartments/plan.ts';
import { decodeMacKey, decodeRecordKey } from '../../encap/abi.ts';
import { type OverlayDomain, overlayResources } from '../../encap/overlay.ts';
import { type IndexedDomain, recordOps } from '../../encap/record-ops.ts';
import { changeRecords, type RecordChange, type RecordStore, recordKey, recordStore } from '../../encap/records.ts';
import type { Address, Mac } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';
import { CONTOSO, INPUT, PEER, WOODGROVE } from '../bpf/policy.ts';

const { domains: fixed, ...machine } = INPUT;
assert.deepEqual(fixed, [CONTOSO, WOODGROVE]);
// Subnets that learn or replicate keep lists of places.
const domains: readonly OverlayDomain[] = fixed.map((d) => ({
  ...d,
  virtualSubnets: [
    d === CONTOSO
      ? { vsid: 5003, dynamicLearning: true, ageingTimeSeconds: 300 }
      : { vsid: 6001, dynamicLearning: false, ageingTimeSeconds: 300, replication: true },
  ],
}));
const idOf = (d: OverlayDomain) => `{${d.slot}}` as RoutingDomainId;
const store = recordStore({
  netAdapters: INPUT.netAdapters,
  providerAddresses: INPUT.providerAddresses,
  providerRoutes: INPUT.providerRoutes,
  networks: domains.map((d) => ({ ...d, routingDomain: d.name, routingDomainId: idOf(d) })),
});
const domainOf = (s: RecordStore, d: OverlayDomain): IndexedDomain => {
  const { customerRoutes, lookupRecords, kept } = s.networks.get(idOf(d))!;
  return { ...d, customerRoutes, lookupRecords, records: kept['lookup-record'] };
};
const NEW: LookupRecord = {
  customerAddress: '10.0.0.200' as Address,
  mac: '02:00:00:00:00:c8' as Mac,
  vsid: 5001,
  providerAddress: PEER,
  rule: 'TranslationMethodEncap',
  type: 'Static',
};
const add: RecordChange = { verb: 'new', kind: 'lookup-record', origin: 'Runtime', record: NEW };
const set = (patch: Partial<LookupRecord>): RecordChange => ({
  verb: 'set',
  kind: 'lookup-record',
  origin: 'Runtime',
  key: '5001 10.0.0.200',
  patch,
});

function change(from: RecordStore, ...changes: RecordChange[]) {
  const result = changeRecords(from, changes);
  assert.ok(result.ok, JSON.stringify(result));
  const next = result.value.store;
  const domainChanges = domains.flatMap((d) => {
    const touched = result.value.networks.get(idOf(d));
    return touched ? [{ before: domainOf(from, d), after: domainOf(next, d), touched }] : [];
  });
  const ops = recordOps(machine, domainChanges, next);
  // The short way leads where the long way leads: the whole machine, read and compared.
  const whole = (s: RecordStore) => overlayResources({ ...machine, domains: domains.map((d) => domainOf(s, d)) });
  assert.deepEqual(
    new Set(ops.map((o) => `${o.verb} ${o.resource.key}`)),
    new Set(plan(whole(next), whole(from)).map((o) => `${o.verb} ${o.resource.key}`)),
  );
  return { store: next, ops };
}
const touched = (ops: ReturnType<typeof change>['ops']) =>
  ops.map(({ verb, resource }) => {
    assert.equal(resource.kind, 'entry');
    const key = Buffer.from(resource.spec.key, 'hex');
    const { map } = resource.spec;
    return [verb, map, map === 'records' ? decodeRecordKey(key).address : map === 'macs' ? decodeMacKey(key).mac : ''];
  });

describe('encap/record-ops', () => {
  it('a lookup record is its address and its MAC, each one entry', () => {
    const added = change(store, add);
    assert.deepEqual(touched(added.ops), [
      ['create', 'records', '10.0.0.200'],
      ['create', 'macs', NEW.mac],
    ]);
    const moved = change(added.store, set({ providerAddress: '192.168.4.33' as Address }));
    assert.deepEqual(touched(moved.ops), [
      ['update', 'records', '10.0.0.200'],
      ['update', 'macs', NEW.mac],
    ]);
    assert.deepEqual(change(moved.store, set({})).ops, []);
  });

  it('a customer route is one entry', () => {
    const { ops } = change(store, {
      verb: 'new',
      kind: 'customer-route',
      origin: 'Runtime',
      routingDomainId: idOf(CONTOSO),
      record: { vsid: 5001, destinationPrefix: '10.77.0.0/16' as never, metric: 1 },
    });
    assert.deepEqual(touched(ops), [['create', 'routes', '']]);
  });

  it('a provider address that nobody named before may send from now on, and no longer when the record goes', () => {
    const pa = '192.168.4.44' as Address;
    const added = change(store, { ...add, record: { ...NEW, providerAddress: pa } });
    const maps = new Set(touched(added.ops).map(([, map]) => map));
    assert.deepEqual(maps, new Set(['providers', 'records', 'macs', 'tunnels']));
    const gone = change(added.store, {
      verb: 'remove',
      kind: 'lookup-record',
      origin: 'Runtime',
      key: '5001 10.0.0.200',
    });
    assert.deepEqual(new Set(gone.ops.map((o) => o.verb)), new Set(['delete']));
  });

  it('a provider address that one VM network names no longer, and another one from now on, stays known', () => {
    const record = { ...NEW, providerAddress: '192.168.4.44' as Address };
    const there = change(store, { ...add, record });
    const { ops } = change(
      there.store,
      { verb: 'remove', kind: 'lookup-record', origin: 'Runtime', key: '5001 10.0.0.200' },
      { ...add, record: { ...record, vsid: 6001 } },
    );
    assert.ok(!touched(ops).some(([, map]) => map === 'providers'));
  });

  it('whatever changes, the short way leads where the whole look leads', () => {
    const vm = fc
      .record({
        address: fc.constantFrom('10.0.0.10', '10.0.0.200', '10.0.1.10', '10.0.254.2', '10.0.254.77', '0.0.0.0'),
        mac: fc.constantFrom('10:10:10:10:00:0a', '02:00:00:00:00:c8', '02:00:00:00:00:c9'),
        vsid: fc.constantFrom(5001, 5002, 5003, 5009, 6001),
        pa: fc.constantFrom(PEER, '192.168.4.44', '192.168.4.33', '172.16.0.5'),
        type: fc.constantFrom('Static' as const, 'Dynamic' as const, 'L2Only' as const, 'GatewayWildcard' as const),
        rule: fc.constantFrom('TranslationMethodEncap' as const, 'TranslationMethodNone' as const),
        owner: fc.constantFrom(CONTOSO, WOODGROVE),
      })
      .map(({ address, mac, vsid, pa, type, rule, owner }): RecordChange[] => {
        const record: LookupRecord = {
          ...NEW,
          customerAddress: (type === 'GatewayWildcard' ? '0.0.0.0' : address) as Address,
          mac: mac as Mac,
          vsid,
          providerAddress: pa as Address,
          rule,
          type,
        };
        const routingDomainId = idOf(owner);
        const base = { kind: 'lookup-record', origin: 'Runtime', routingDomainId } as const;
        const key = recordKey('lookup-record', record);
        return [
          { ...base, verb: 'new', record },
          { ...base, verb: 'set', key, patch: { providerAddress: record.providerAddress, mac: record.mac, rule } },
          { ...base, verb: 'remove', key },
        ];
      });
    const route = fc
      .record({
        prefix: fc.constantFrom('10.0.1.0/24', '10.7.0.0/16', '0.0.0.0/0', '10.5.0.0/16'),
        hop: fc.constantFrom(undefined, '10.0.254.2', '10.0.254.77', '10.0.0.200'),
        metric: fc.constantFrom(1, 2),
        owner: fc.constantFrom(CONTOSO, WOODGROVE),
      })
      .map(({ prefix, hop, metric, owner }): RecordChange[] => {
        const record: CustomerRoute = {
          vsid: (owner === CONTOSO ? 5001 : 6001) + (hop === '10.0.254.77' ? 8 : 0),
          destinationPrefix: prefix as Prefix,
          metric,
          ...(hop && { nextHop: hop as Address }),
        };
        const base = { kind: 'customer-route', origin: 'Runtime', routingDomainId: idOf(owner) } as const;
        const key = recordKey('customer-route', record);
        return [
          { ...base, verb: 'new', record },
          { ...base, verb: 'remove', key },
        ];
      });
    const step = fc.tuple(fc.oneof(vm, route), fc.nat(2)).map(([verbs, n]) => verbs[n % verbs.length]!);
    fc.assert(
      fc.property(fc.array(fc.array(step, { minLength: 1, maxLength: 3 }), { maxLength: 12 }), (batches) => {
        let now = store;
        for (const batch of batches) if (changeRecords(now, batch).ok) now = change(now, ...batch).store;
      }),
      { numRuns: 150 },
    );
  });
});
