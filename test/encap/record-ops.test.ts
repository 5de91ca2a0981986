/** A change of one record changes its own entries and nothing of anybody else. */
import assert from 'node:assert/strict';
import type { LookupRecord, RoutingDomainId } from '../../compartments/compartment.ts';
import { plan } from '../../compartments/plan.ts';
import { decodeMacKey, decodeRecordKey } from '../../encap/abi.ts';
import { type OverlayDomain, overlayResources } from '../../encap/overlay.ts';
import { recordOps } from '../../encap/record-ops.ts';
import { changeRecords, type RecordChange, type RecordStore, recordStore } from '../../encap/records.ts';
import type { Address, Mac } from '../../lib/address.ts';
import { CONTOSO, INPUT, PEER, WOODGROVE } from '../bpf/policy.ts';

const { domains, ...machine } = INPUT;
assert.deepEqual(domains, [CONTOSO, WOODGROVE]);
const idOf = (d: OverlayDomain) => `{${d.slot}}` as RoutingDomainId;
const store = recordStore({
  netAdapters: INPUT.netAdapters,
  providerAddresses: INPUT.providerAddresses,
  providerRoutes: INPUT.providerRoutes,
  networks: domains.map((d) => ({ ...d, routingDomain: d.name, routingDomainId: idOf(d) })),
});
const domainOf = (s: RecordStore, d: OverlayDomain): OverlayDomain => {
  const { customerRoutes, lookupRecords } = s.networks.get(idOf(d))!;
  return { ...d, customerRoutes, lookupRecords };
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
  const ops = recordOps(machine, [domainOf(from, CONTOSO)], [domainOf(next, CONTOSO)], next);
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
});
