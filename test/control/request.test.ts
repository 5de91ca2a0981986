/** Properties as they come over the API, and back: the words of the schema, of the cmdlets, and no others. */
import assert from 'node:assert/strict';
import type { RoutingDomainId } from '../../compartments/compartment.ts';
import { sectionsOf } from '../../config/reference/sections.ts';
import { hostFile } from '../../config/schema/roots.ts';
import { PROPERTIES, type Properties } from '../../control/properties.ts';
import { changesOf, type RecordRequest, rowsOf } from '../../control/request.ts';
import { changeRecords, RECORD_KINDS, type RecordKind, type RecordStore, recordStore } from '../../encap/records.ts';
import type { Address } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';

const SECTIONS: { readonly [K in RecordKind]: string } = {
  'customer-route': 'NetVirtualizationCustomerRoute',
  'lookup-record': 'NetVirtualizationLookupRecord',
  'provider-address': 'NetVirtualizationProviderAddress',
  'provider-route': 'NetVirtualizationProviderRoute',
};
const ID = '{11111111-2222-3333-4444-00000000000a}';
const BASE = recordStore({
  netAdapters: [{ interfaceAlias: 'NIC1', device: 'eth1', role: 'Provider' }],
  providerAddresses: [{ interfaceAlias: 'NIC1', providerAddress: '192.168.4.33' as Address, prefixLength: 24 }],
  providerRoutes: [],
  networks: [
    {
      routingDomain: 'Contoso',
      routingDomainId: ID as RoutingDomainId,
      customerRoutes: [{ vsid: 5001, destinationPrefix: '10.0.0.0/24' as Prefix, metric: 256 }],
      lookupRecords: [],
    },
  ],
});
const VM: Properties = {
  CustomerAddress: '10.0.0.9',
  MACAddress: '020000000009',
  VirtualSubnetID: '5001',
  ProviderAddress: '192.168.4.11',
};

function changedBy(store: RecordStore, ...requests: RecordRequest[]): RecordStore {
  const changes = changesOf(store, requests);
  assert.ok(changes.ok, JSON.stringify(changes));
  const changed = changeRecords(store, changes.value);
  assert.ok(changed.ok, JSON.stringify(changed));
  return changed.value.store;
}
const errors = (store: RecordStore, ...requests: RecordRequest[]) => {
  const changes = changesOf(store, requests);
  return changes.ok ? [] : changes.error.map((e) => `${e.code} ${e.record}: ${e.problem} ${e.cure}`);
};
const request = (verb: RecordRequest['verb'], kind: RecordKind, properties: Properties): RecordRequest => ({
  verb,
  kind,
  properties,
});

describe('control/request', () => {
  for (const kind of RECORD_KINDS)
    it(`the properties of ${kind} are the keys of the file`, () => {
      const section = sectionsOf(hostFile).find((s) => s.title === SECTIONS[kind])!;
      assert.deepEqual([...PROPERTIES[kind]].sort(), section.keys.map((k) => k.name).sort());
    });

  it('new fills in the defaults, get finds by any property in any form', () => {
    const store = changedBy(BASE, request('new', 'lookup-record', VM));
    const row = {
      RoutingDomain: 'Contoso',
      RoutingDomainID: ID,
      CustomerAddress: '10.0.0.9',
      MACAddress: '02:00:00:00:00:09',
      VirtualSubnetID: '5001',
      ProviderAddress: '192.168.4.11',
      Rule: 'TranslationMethodEncap',
      Type: 'Static',
      Origin: 'Runtime',
    };
    assert.deepEqual(rowsOf(store, 'lookup-record', {}), [row]);
    assert.deepEqual(rowsOf(store, 'lookup-record', { MACAddress: '02-00-00-00-00-09', RoutingDomain: 'contoso' }), [
      row,
    ]);
    assert.deepEqual(rowsOf(store, 'lookup-record', { CustomerAddress: '10.0.0.8' }), []);
    assert.deepEqual(rowsOf(store, 'lookup-record', { Nonsense: '' }), []);
  });

  it('set keeps what it is not given; remove needs the key alone', () => {
    const there = changedBy(BASE, request('new', 'lookup-record', VM));
    const key = { CustomerAddress: '10.0.0.9', VirtualSubnetID: '5001' };
    const moved = changedBy(there, request('set', 'lookup-record', { ...key, ProviderAddress: '192.168.4.22' }));
    const [row] = rowsOf(moved, 'lookup-record', {});
    assert.deepEqual([row?.MACAddress, row?.ProviderAddress], ['02:00:00:00:00:09', '192.168.4.22']);
    assert.deepEqual(rowsOf(changedBy(moved, request('remove', 'lookup-record', key)), 'lookup-record', {}), []);
  });

  for (const [kind, properties, change, key] of [
    [
      'customer-route',
      { RoutingDomain: 'Contoso', VirtualSubnetID: '5001', DestinationPrefix: '10.9.0.0/16', NextHop: '10.0.0.9' },
      { NextHop: '10.0.0.8' },
      { RoutingDomain: 'Contoso', DestinationPrefix: '10.9.0.0/16' },
    ],
    [
      'lookup-record',
      { ...VM, Type: 'GatewayWildcard', CustomerAddress: '0.0.0.0' },
      { ProviderAddress: '192.168.4.22' },
      { CustomerAddress: '0.0.0.0', VirtualSubnetID: '5001' },
    ],
    [
      'lookup-record',
      { ...VM, Type: 'L2Only', CustomerAddress: '0.0.0.0' },
      { ProviderAddress: '192.168.4.22' },
      { MACAddress: '020000000009', VirtualSubnetID: '5001' },
    ],
    [
      'lookup-record',
      { ...VM, Type: 'Dynamic' },
      { Type: 'Static' },
      { CustomerAddress: '10.0.0.9', VirtualSubnetID: '5001' },
    ],
    ['lookup-record', VM, { Rule: 'TranslationMethodNone' }, { CustomerAddress: '10.0.0.9', VirtualSubnetID: '5001' }],
    [
      'provider-address',
      { InterfaceAlias: 'NIC1', ProviderAddress: '172.16.0.2', PrefixLength: '16' },
      { PrefixLength: '24' },
      { ProviderAddress: '172.16.0.2' },
    ],
    [
      'provider-route',
      { InterfaceAlias: 'NIC1', DestinationPrefix: '172.20.0.0/16', NextHop: '192.168.4.1' },
      { NextHop: '192.168.4.2' },
      { DestinationPrefix: '172.20.0.0/16' },
    ],
  ] as readonly (readonly [RecordKind, Properties, Properties, Properties])[])
    it(`new, get, set and remove of ${kind} ${properties.Type ?? change.Rule ?? ''}`.trimEnd(), () => {
      const { RoutingDomain, ...own } = properties;
      const mine = (store: RecordStore, wanted: Properties) => rowsOf(store, kind, { ...wanted, Origin: 'Runtime' });
      const there = changedBy(BASE, request('new', kind, properties));
      assert.equal(mine(there, own).length, 1, 'get finds it by everything it was given');
      const set = changedBy(there, request('set', kind, { ...key, ...change }));
      assert.equal(mine(set, { ...own, ...change }).length, 1);
      assert.equal(mine(set, {}).length, 1);
      assert.deepEqual(mine(changedBy(set, request('remove', kind, key)), {}), []);
      assert.notDeepEqual(errors(BASE, request('set', kind, { ...key, ...change })), []);
    });

  it('a customer route is named with its routing domain', () => {
    const route = { VirtualSubnetID: '5001', DestinationPrefix: '10.9.0.0/16', NextHop: '0.0.0.0' };
    const store = changedBy(BASE, request('new', 'customer-route', { ...route, RoutingDomainID: ID.toUpperCase() }));
    assert.deepEqual(
      rowsOf(store, 'customer-route', {}).map((r) => [r.DestinationPrefix, r.NextHop, r.Origin]),
      [
        ['10.0.0.0/24', '0.0.0.0', 'File'],
        ['10.9.0.0/16', '0.0.0.0', 'Runtime'],
      ],
    );
    const gone = changedBy(
      store,
      request('remove', 'customer-route', { RoutingDomain: 'Contoso', DestinationPrefix: '10.9.0.0/16' }),
    );
    assert.equal(rowsOf(gone, 'customer-route', {}).length, 1);
    assert.deepEqual(errors(BASE, request('new', 'customer-route', { ...route, RoutingDomain: 'Nobody' })), [
      'NO_SUCH_ROUTING_DOMAIN customer route of Nobody: The record belongs to no routing domain of this machine. Name a routing domain that the configuration file has.',
    ]);
  });

  it('says everything that is wrong, in the words of the file', () => {
    const { MACAddress, ...without } = VM;
    assert.deepEqual(
      errors(
        BASE,
        request('new', 'lookup-record', without),
        request('new', 'lookup-record', { ...VM, VirtualSubnetID: '12' }),
        request('new', 'lookup-record', { ...VM, MacAdress: '1' }),
        request('remove', 'lookup-record', { CustomerAddress: '10.0.0.9' }),
        request('set', 'lookup-record', { CustomerAddress: '10.0.0.9', VirtualSubnetID: '5001' }),
      ),
      [
        'BAD_RECORD lookup record: MACAddress: the key is missing. Add it.',
        'BAD_RECORD lookup record: VirtualSubnetID: "12" is not a whole number from 4096 to 16777214. Choose a number of this range.',
        'BAD_RECORD lookup record: MacAdress: the key "MacAdress" is not known here. Did you mean MACAddress?',
        'BAD_RECORD lookup record: It is not said which one. Give VirtualSubnetID with CustomerAddress, or with MACAddress for an L2Only record.',
        'NO_SUCH_RECORD lookup record 5001 10.0.0.9: There is no record with this key. Look with `get`; use `new` to add it.',
      ],
    );
  });
});
