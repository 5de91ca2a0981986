/** New, Get, Set and Remove of the four kinds, two tenants with the same addresses throughout (R-POL-1, R-POL-2). */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { CustomerRoute, LookupRecord, NetAdapter, RoutingDomainId } from '../../compartments/compartment.ts';
import { policyProblems } from '../../compartments/policy.ts';
import {
  changeRecords,
  findRecord,
  getRecords,
  type RecordChange,
  type RecordStore,
  recordKey,
  recordStore,
} from '../../encap/records.ts';
import type { Address, Mac } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';

const A = '{11111111-2222-3333-4444-00000000000a}' as RoutingDomainId;
const B = '{11111111-2222-3333-4444-00000000000b}' as RoutingDomainId;
const NIC: NetAdapter = { interfaceAlias: 'NIC1', device: 'eth1', role: 'Provider' };
const OUT: NetAdapter = { interfaceAlias: 'If2', device: 'eth0', role: 'External' };
const PA = '192.168.4.33' as Address;
const PEER = '192.168.4.11' as Address;

const vm = (vsid: number, n: number, over: Partial<LookupRecord> = {}): LookupRecord => ({
  customerAddress: `10.0.0.${n}` as Address,
  mac: `02:00:00:00:00:${n.toString(16).padStart(2, '0')}` as Mac,
  vsid,
  providerAddress: PEER,
  rule: 'TranslationMethodEncap',
  type: 'Static',
  ...over,
});
const onLink = (vsid: number, prefix = '10.0.0.0/24'): CustomerRoute => ({
  vsid,
  destinationPrefix: prefix as Prefix,
  metric: 256,
});
const gateway = (vsid: number) => ({
  name: 'If1',
  vsid,
  mac: '02:48:4e:00:00:02' as Mac,
  addresses: [{ address: '10.0.254.2' as Address, prefixLength: 24 }],
});
const BASE: RecordStore = recordStore({
  netAdapters: [NIC, OUT],
  providerAddresses: [{ interfaceAlias: 'NIC1', providerAddress: PA, prefixLength: 24 }],
  providerRoutes: [],
  networks: [[A, 'Contoso', 5001] as const, [B, 'Woodgrove', 6001] as const].map(
    ([routingDomainId, routingDomain, vsid]) => ({
      routingDomainId,
      routingDomain,
      internalInterfaces: [gateway(vsid + 1)],
      customerRoutes: [onLink(vsid), onLink(vsid + 1, '10.0.254.0/24')],
      lookupRecords: [vm(vsid, 10)],
    }),
  ),
});

const add = (record: LookupRecord, more: Partial<RecordChange> = {}): RecordChange =>
  ({ verb: 'new', kind: 'lookup-record', origin: 'Runtime', record, ...more }) as RecordChange;
const set = (key: string, patch: Partial<LookupRecord>): RecordChange => ({
  verb: 'set',
  kind: 'lookup-record',
  origin: 'Runtime',
  key,
  patch,
});
const remove = (key: string): RecordChange => ({ verb: 'remove', kind: 'lookup-record', origin: 'Runtime', key });

function changed(store: RecordStore, ...changes: RecordChange[]): RecordStore {
  const result = changeRecords(store, changes);
  assert.ok(result.ok, JSON.stringify(result));
  return result.value.store;
}
const codes = (store: RecordStore, ...changes: RecordChange[]) => {
  const result = changeRecords(store, changes);
  return result.ok ? [] : result.error.map((e) => e.code);
};

describe('encap/records', () => {
  it('finds the tenant by the virtual subnet; the other tenant and the former store stay as they were', () => {
    const result = changeRecords(BASE, [add(vm(5001, 11))]);
    assert.ok(result.ok);
    assert.deepEqual([[...result.value.networks.keys()], result.value.machine], [[A], false]);
    const { store } = result.value;
    assert.equal(findRecord(store, 'lookup-record', '5001 10.0.0.11')?.network?.routingDomain, 'Contoso');
    assert.equal(findRecord(store, 'lookup-record', '6001 10.0.0.11'), undefined);
    assert.equal(findRecord(BASE, 'lookup-record', '5001 10.0.0.11'), undefined);
    assert.equal(store.networks.get(B), BASE.networks.get(B));
    assert.deepEqual(
      getRecords(store, 'lookup-record', A).map((r) => [r.key, r.origin]),
      [
        ['5001 10.0.0.10', 'File'],
        ['5001 10.0.0.11', 'Runtime'],
      ],
    );
    assert.equal(getRecords(store, 'lookup-record').length, 3);
  });

  it('set changes what it is given and nothing else; remove takes away', () => {
    const there = changed(BASE, add(vm(5001, 11)));
    const moved = changed(there, set('5001 10.0.0.11', { providerAddress: '192.168.4.22' as Address }));
    assert.deepEqual(findRecord(moved, 'lookup-record', '5001 10.0.0.11')?.record, {
      ...vm(5001, 11),
      providerAddress: '192.168.4.22',
    });
    assert.deepEqual([moved.peers.get('192.168.4.22'), moved.peers.get(PEER)], [1, 2]);
    const gone = changed(moved, remove('5001 10.0.0.11'));
    assert.deepEqual(gone.peers.get('192.168.4.22'), undefined);
    assert.deepEqual([...gone.networks.get(A)!.lookupRecords], [vm(5001, 10)]);
  });

  it('refuses with the reason, and takes nothing of a list that has an error', () => {
    const there = changed(BASE, add(vm(5001, 11)));
    assert.deepEqual(codes(there, add(vm(5001, 11))), ['RECORD_EXISTS']);
    assert.deepEqual(codes(there, set('5001 10.0.0.99', {})), ['NO_SUCH_RECORD']);
    assert.deepEqual(codes(there, remove('6001 10.0.0.11')), ['NO_SUCH_RECORD']);
    assert.deepEqual(codes(there, remove('7001 10.0.0.11')), ['NO_SUCH_ROUTING_DOMAIN']);
    assert.deepEqual(codes(there, remove('5001 10.0.0.10')), ['FILE_RECORD']);
    assert.deepEqual(codes(there, set('5001 10.0.0.10', {})), ['FILE_RECORD']);
    assert.deepEqual(codes(there, set('5001 10.0.0.11', { vsid: 5009 })), ['RECORD_KEY']);
    assert.deepEqual(codes(there, add(vm(9001, 12))), ['NO_SUCH_ROUTING_DOMAIN']);
    assert.deepEqual(codes(there, add(vm(5001, 12)), remove('5001 10.0.0.10')), ['FILE_RECORD']);
  });

  it('keeps the rules of the VM network', () => {
    assert.deepEqual(codes(BASE, add(vm(5001, 11, { mac: vm(5001, 10).mac, providerAddress: PA }))), ['RECORD_POLICY']);
    assert.deepEqual(codes(BASE, add(vm(5001, 1))), ['RECORD_POLICY']);
    assert.deepEqual(codes(BASE, add(vm(5002, 11))), ['RECORD_POLICY']);
    // The same address in another virtual subnet of the VM network.
    assert.deepEqual(codes(BASE, add(vm(5003, 10), { routingDomainId: A })), ['RECORD_POLICY', 'RECORD_POLICY']);
    const result = changeRecords(BASE, [add(vm(6001, 12), { routingDomainId: A })]);
    assert.deepEqual(!result.ok && result.error, [
      {
        code: 'RECORD_POLICY',
        record: 'virtual subnet 6001',
        problem: 'It already belongs to routing domain Woodgrove.',
        cure: 'Use a virtual subnet id that no other routing domain has.',
      },
    ]);
  });

  it('a new virtual subnet goes to one VM network, also when two ask at once', () => {
    const ask = (routingDomainId: RoutingDomainId) => add(vm(7001, 20), { routingDomainId });
    assert.deepEqual(codes(BASE, ask(A), ask(B)), ['RECORD_POLICY']);
    assert.deepEqual(codes(BASE, ask(A)), []);
  });

  it('the gateway wildcard is the gateway itself on its virtual subnet, nobody else', () => {
    const wildcard = vm(5002, 0, {
      customerAddress: '0.0.0.0' as Address,
      type: 'GatewayWildcard',
      providerAddress: PA,
    });
    assert.deepEqual(codes(BASE, add(wildcard)), ['RECORD_POLICY']);
    assert.deepEqual(codes(BASE, add({ ...wildcard, mac: '02:48:4e:00:00:02' as Mac })), []);
  });

  it('what was learned comes before the place without address, and gives way to the operator', () => {
    const place = vm(5001, 20, { type: 'L2Only', customerAddress: '0.0.0.0' as Address });
    const there = changed(BASE, add(place));
    assert.ok(findRecord(there, 'lookup-record', `5001 ${place.mac}`));
    const learned = vm(5001, 20, { type: 'Dynamic', providerAddress: '192.168.4.22' as Address });
    const both = changed(there, add(learned, { origin: 'Learned' } as Partial<RecordChange>));
    assert.deepEqual(
      both.networks.get(A)!.lookupRecords.map((r) => r.type),
      ['Static', 'Dynamic', 'L2Only'],
    );
    assert.deepEqual(codes(both, { ...set('5001 10.0.0.10', {}), origin: 'Learned' } as RecordChange), ['FILE_RECORD']);
    const over = changed(both, add(vm(5001, 20)));
    assert.equal(findRecord(over, 'lookup-record', '5001 10.0.0.20')?.origin, 'Runtime');
    const byLearning = { verb: 'remove', kind: 'lookup-record', origin: 'Learned', key: '5001 10.0.0.20' } as const;
    assert.deepEqual(codes(over, byLearning), ['LEARN_OWNED']);
  });

  it('customer routes are of the routing domain that is named', () => {
    const route: RecordChange = {
      verb: 'new',
      kind: 'customer-route',
      origin: 'Runtime',
      routingDomainId: A,
      record: { ...onLink(5002, '0.0.0.0/0'), nextHop: '10.0.254.2' as Address },
    };
    const store = changed(BASE, route);
    assert.equal(store.networks.get(A)!.customerRoutes.length, 3);
    assert.equal(store.networks.get(B)!.customerRoutes.length, 2);
    const { routingDomainId, ...nowhere } = route;
    assert.deepEqual(codes(BASE, nowhere as RecordChange), ['NO_SUCH_ROUTING_DOMAIN']);
    assert.deepEqual(codes(store, route), ['RECORD_EXISTS']);
  });

  it('provider addresses and routes', () => {
    const address = (over: object): RecordChange => ({
      verb: 'new',
      kind: 'provider-address',
      origin: 'Runtime',
      record: { interfaceAlias: 'NIC1', providerAddress: '172.16.0.2' as Address, prefixLength: 16, ...over },
    });
    const route = (nextHop: string): RecordChange => ({
      verb: 'new',
      kind: 'provider-route',
      origin: 'Runtime',
      record: {
        interfaceAlias: 'NIC1',
        destinationPrefix: '172.20.0.0/16' as Prefix,
        nextHop: nextHop as Address,
        metric: 256,
      },
    });
    const result = changeRecords(BASE, [address({ vlanId: 100 }), route('172.16.0.1')]);
    assert.ok(result.ok && result.value.machine && result.value.networks.size === 0);
    assert.deepEqual(
      getRecords(result.value.store, 'provider-address').map((r) => r.key),
      [PA, '172.16.0.2'],
    );
    assert.deepEqual(codes(BASE, route('172.16.0.1')), ['PROVIDER_NEXT_HOP']);
    assert.deepEqual(codes(BASE, route(PA)), ['PROVIDER_NEXT_HOP']);
    assert.deepEqual(codes(BASE, address({ interfaceAlias: 'If2' })), ['PROVIDER_ADAPTER']);
    assert.deepEqual(codes(BASE, address({ vlanId: 4095 })), ['BAD_RECORD']);
    assert.deepEqual(codes(BASE, address({ prefixLength: 33 })), ['BAD_RECORD']);
    assert.deepEqual(codes(BASE, { verb: 'remove', kind: 'provider-address', origin: 'Runtime', key: PA }), [
      'FILE_RECORD',
    ]);
    const used: RecordChange = { verb: 'remove', kind: 'provider-address', origin: 'Runtime', key: '172.16.0.2' };
    assert.deepEqual(codes(result.value.store, used), ['PROVIDER_NEXT_HOP']);
  });

  it('a machine that is reached without encapsulation is of one VM network', () => {
    const plain = (vsid: number): RecordChange => add(vm(vsid, 30, { rule: 'TranslationMethodNone' }));
    const there = changed(BASE, plain(5001));
    assert.deepEqual(codes(there, plain(6001)), ['RECORD_POLICY']);
    assert.deepEqual(codes(BASE, plain(5001), plain(6001)), ['RECORD_POLICY']);
    assert.deepEqual(codes(there, remove('5001 10.0.0.30'), plain(6001)), []);
    assert.deepEqual(codes(there, add(vm(6001, 30))), []);
    assert.deepEqual(codes(BASE, add(vm(5001, 31, { rule: 'TranslationMethodNone', type: 'Dynamic' }))), [
      'RECORD_POLICY',
    ]);
  });

  it('a record leads to a machine that can be reached, and keeps the way there', () => {
    const far = add(vm(5001, 30, { providerAddress: '172.20.0.5' as Address }));
    const via = '192.168.4.1' as Address;
    const destinationPrefix = '172.20.0.0/16' as Prefix;
    const route: RecordChange = {
      verb: 'new',
      kind: 'provider-route',
      origin: 'Runtime',
      record: { interfaceAlias: 'NIC1', destinationPrefix, nextHop: via, metric: 256 },
    };
    assert.deepEqual(codes(BASE, far), ['PROVIDER_UNREACHABLE']);
    const there = changed(BASE, route, far);
    const back: RecordChange = {
      verb: 'remove',
      kind: 'provider-route',
      origin: 'Runtime',
      key: '172.20.0.0/16 256',
    };
    assert.deepEqual(codes(there, back), ['PROVIDER_UNREACHABLE']);
    assert.deepEqual(codes(there, remove('5001 10.0.0.30'), back), []);
  });

  it('any changes: the rules hold after what was taken, and the indexes are those of a store made anew', () => {
    const record = fc
      .tuple(fc.constantFrom(5001, 5003, 6001), fc.integer({ min: 1, max: 6 }), fc.constantFrom(PEER, PA))
      .map(([vsid, n, providerAddress]) => vm(vsid, n, { providerAddress }));
    const change = fc.oneof(
      fc.tuple(record, fc.constantFrom(A, B)).map(([r, routingDomainId]) => add(r, { routingDomainId })),
      record.map((r) => set(recordKey('lookup-record', r), { providerAddress: r.providerAddress })),
      record.map((r) => remove(recordKey('lookup-record', r))),
    );
    fc.assert(
      fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
        let store = BASE;
        for (const c of changes) {
          const result = changeRecords(store, [c]);
          if (result.ok) store = result.value.store;
        }
        const networks = [...store.networks.entries()].map(([, n]) => n);
        assert.deepEqual(policyProblems(networks), []);
        const anew = recordStore({ netAdapters: [], providerAddresses: [], providerRoutes: [], networks });
        assert.deepEqual(new Map(store.vsids.entries()), new Map(anew.vsids.entries()));
        assert.deepEqual(new Map(store.peers.entries()), new Map(anew.peers.entries()));
      }),
      { numRuns: 200 },
    );
  });
});
