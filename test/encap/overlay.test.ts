import assert from 'node:assert/strict';
import type { LookupRecord } from '../../compartments/compartment.ts';
import { DEFAULT_SLOT } from '../../compartments/numbers.ts';
import { plan } from '../../compartments/plan.ts';
import { policyProblems } from '../../compartments/policy.ts';
import type { AnyResource } from '../../compartments/resource.ts';
import {
  decodeLocation,
  decodePort,
  decodeRecordKey,
  decodeRoute,
  decodeRouteKey,
  decodeTunnelKey,
  LOCATION_PEER,
  LOCATION_ROUTED,
  LOCATION_ROUTER,
  PORT_GATEWAY,
  slotOfEntry,
} from '../../encap/abi.ts';
import { type OverlayDomain, type OverlayInput, overlayLink, overlayResources } from '../../encap/overlay.ts';
import { dropRows, portRows, recordRows } from '../../encap/show.ts';
import type { Address, Mac } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';
import { CONTOSO, FAR, GATEWAY, INPUT, LINKS, PA, PEER, WOODGROVE } from '../bpf/policy.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');
const entries = (resources: readonly AnyResource[], map: string): [Buffer, Buffer][] =>
  resources.flatMap((r) =>
    r.kind === 'entry' && r.spec.map === map ? [[bytes(r.spec.key), bytes(r.spec.value)]] : [],
  );
const record = (input: OverlayInput, slot: number, address: string) => {
  const found = entries(overlayResources(input), 'records').find(([key]) => {
    const k = decodeRecordKey(key);
    return k.rdid === slot && k.address === address;
  });
  return found && decodeLocation(found[1]);
};

describe('encap/overlay', () => {
  it('says the same thing twice in the same words, each once', () => {
    assert.deepEqual(plan(overlayResources(INPUT), overlayResources(INPUT)), []);
  });

  it('is made from a policy that the rules accept', () => {
    const domains = [CONTOSO, WOODGROVE].map((d) => ({
      ...d,
      routingDomain: d.name,
      routingDomainId: `{${d.slot}}` as never,
    }));
    assert.deepEqual(policyProblems(domains), []);
  });

  it('keeps tenants with the same addresses apart', () => {
    const [contoso, woodgrove] = [record(INPUT, 2, '10.0.0.10'), record(INPUT, 3, '10.0.0.10')];
    assert.deepEqual([contoso?.vsid, contoso?.port], [5001, LINKS['c-a']!.index]);
    assert.deepEqual([woodgrove?.vsid, woodgrove?.port], [6001, LINKS['w-a']!.index]);
  });

  it('gives each entry the slot by which the hand will find it again', () => {
    for (const r of overlayResources(INPUT))
      if (r.kind === 'entry') {
        assert.equal(slotOfEntry(r.spec.map, bytes(r.spec.key), bytes(r.spec.value)), r.slot, r.key);
        assert.equal(r.slot === DEFAULT_SLOT, r.spec.map === 'providers', r.key);
      }
  });

  it('finds the path of a record: local port, neighbour on the provider network, or a provider route', () => {
    const local = record(INPUT, 2, '10.0.0.10')!;
    assert.deepEqual([local.uplink, local.flags, local.mtu], [0, LOCATION_ROUTED | LOCATION_PEER, 1500]);
    const near = record(INPUT, 2, '10.0.0.11')!;
    assert.deepEqual([near.port, near.uplink, near.source, near.destination, near.nextHop], [0, 20, PA, PEER, PEER]);
    assert.equal(near.mtu, 1500, 'the NIC has 1542');
    const far = record(INPUT, 2, '10.0.0.30')!;
    assert.deepEqual([far.destination, far.nextHop], [FAR, '192.168.4.1']);
    assert.equal(record(INPUT, 2, '10.9.9.9')!.flags, 0, 'in no subnet: switched only');
    assert.equal(record(INPUT, 2, '10.0.0.1')!.flags, LOCATION_ROUTER | LOCATION_ROUTED);
  });

  it('sends from the provider address of the NIC whose subnet holds the destination or the next hop', () => {
    const second = { interfaceAlias: 'NIC1', providerAddress: '172.20.0.11' as Address, prefixLength: 24 };
    const [first] = INPUT.providerAddresses;
    const [way] = INPUT.providerRoutes;
    for (const providerAddresses of [
      [second, first!],
      [first!, second],
    ]) {
      const input = { ...INPUT, providerAddresses };
      assert.equal(record(input, 2, '10.0.0.11')!.source, PA, 'on-link');
      assert.equal(record(input, 2, '10.0.0.30')!.source, PA, 'by a provider route through 192.168.4.1');
      const other = { ...input, providerRoutes: [{ ...way!, nextHop: '172.20.0.1' as Address }] };
      assert.equal(record(other, 2, '10.0.0.30')!.source, second.providerAddress, 'by a route through 172.20.0.1');
    }
  });

  it('leaves out what needs a link that is not there, and nothing else', () => {
    const without = (device: string) => ({ ...INPUT, link: (d: string) => (d === device ? undefined : LINKS[d]) });
    const noPort = overlayResources(without('c-a'));
    assert.equal(record(without('c-a'), 2, '10.0.0.10'), undefined);
    assert.equal(
      noPort.some((r) => r.key === 'c-a ingress'),
      false,
    );
    assert.equal(entries(noPort, 'ports').length, 3);
    const noGateway = overlayResources(without('gw'));
    assert.ok(
      noGateway.some((r) => r.key === 'gw ingress'),
      'a port of ours gets its program in the moment in which it is made',
    );
    assert.equal(entries(noGateway, 'ports').length, 3);
    const noWire = overlayResources(without('nic'));
    assert.equal(record(without('nic'), 2, '10.0.0.11'), undefined);
    assert.ok(record(without('nic'), 2, '10.0.0.10'));
    assert.equal(
      noWire.some((r) => r.key === 'nic ingress'),
      false,
    );
  });

  it('never sends by a record that names our own provider address without a port of ours', () => {
    const d = { ...CONTOSO, ports: [] };
    assert.equal(record({ ...INPUT, domains: [d] }, 2, '10.0.0.10'), undefined);
  });

  it('sends a VM network beyond its subnets through the gateway, complete in one entry', () => {
    const route = entries(overlayResources(INPUT), 'routes').find(([key]) => {
      const k = decodeRouteKey(key);
      return k.rdid === 2 && k.prefix === '0.0.0.0/0';
    })!;
    const { via } = decodeRoute(route[1]);
    assert.deepEqual([via?.vsid, via?.mac, via?.destination], [5002, '02:48:4e:00:13:8a', GATEWAY]);
  });

  it('finds the next hop of a route by the wildcard of its virtual subnet, of its own family alone', () => {
    const wildcard = (vsid: number, any: string): LookupRecord => ({
      customerAddress: any as Address,
      mac: '02:48:4e:00:00:77' as Mac,
      vsid,
      providerAddress: PEER,
      rule: 'TranslationMethodEncap',
      type: 'GatewayWildcard',
    });
    const route = (destinationPrefix: string, nextHop: string) => ({
      vsid: 5009,
      destinationPrefix: destinationPrefix as Prefix,
      nextHop: nextHop as Address,
      metric: 1,
    });
    const entriesOf = (any: string) => {
      const domain: OverlayDomain = {
        ...CONTOSO,
        customerRoutes: [...CONTOSO.customerRoutes, route('10.77.0.0/16', '10.0.9.2'), route('fd77::/16', 'fd09::2')],
        lookupRecords: [...CONTOSO.lookupRecords, wildcard(5009, any)],
      };
      return overlayResources({ ...INPUT, domains: [domain] }).flatMap((r) =>
        r.kind === 'entry'
          ? [{ map: r.spec.map, key: Buffer.from(r.spec.key, 'hex'), value: Buffer.from(r.spec.value, 'hex') }]
          : [],
      );
    };
    for (const [any, hop, prefix] of [
      ['0.0.0.0', '10.0.9.2', '10.77.0.0/16'],
      ['::', 'fd09::2', 'fd77::/16'],
    ]) {
      const all = entriesOf(any!);
      const records = all.filter((e) => e.map === 'records').map((e) => decodeRecordKey(e.key).address);
      assert.deepEqual(
        ['10.0.9.2', 'fd09::2', '0.0.0.0', '::'].filter((a) => records.includes(a as Address)),
        [hop],
      );
      const via = all
        .filter((e) => e.map === 'routes' && decodeRouteKey(e.key).prefix === prefix)
        .map((e) => decodeRoute(e.value).via);
      assert.deepEqual([via[0]?.mac, via[0]?.vsid, via[0]?.destination], ['02:48:4e:00:00:77', 5009, PEER]);
    }
  });

  it('takes the route with the lowest metric of one prefix', () => {
    const [first] = CONTOSO.customerRoutes;
    const d = { ...CONTOSO, customerRoutes: [{ ...first!, vsid: 5002, metric: 9 }, ...CONTOSO.customerRoutes] };
    const routes = entries(overlayResources({ ...INPUT, domains: [d] }), 'routes');
    const chosen = routes.find(([key]) => decodeRouteKey(key).prefix === first!.destinationPrefix)!;
    assert.equal(decodeRoute(chosen[1]).vsid, 5001);
  });

  it('admits to a tenant only the provider addresses of its own records', () => {
    const tunnels = entries(overlayResources(INPUT), 'tunnels').map(([key, value]) => ({
      ...decodeTunnelKey(key),
      rdid: value.readUInt32LE(),
    }));
    const of = (rdid: number) => [...new Set(tunnels.filter((t) => t.rdid === rdid).map((t) => t.source))].sort();
    assert.deepEqual(of(2), [FAR, PEER, GATEWAY].sort());
    assert.deepEqual(of(3), [GATEWAY]);
    assert.ok(tunnels.every((t) => t.destination === PA));
    assert.deepEqual([...new Set(tunnels.filter((t) => t.rdid === 3).map((t) => t.vsid))], [6001, 6002]);
  });

  it('marks a compartment as a port that may send from any address, by a program of its own slot', () => {
    const ports = entries(overlayResources(INPUT), 'ports').map(([, value]) => decodePort(value));
    assert.deepEqual(
      ports.filter((p) => p.flags & PORT_GATEWAY).map((p) => p.vsid),
      [6002],
    );
    const filters = overlayResources(INPUT).filter((r) => r.kind === 'filter');
    assert.deepEqual(
      filters.map((f) => [f.key, f.slot]),
      [
        ['nic ingress', 1],
        ['c-a ingress', 1],
        ['c-b ingress', 1],
        ['w-a ingress', 1],
        ['gw ingress', 3],
      ],
    );
  });

  it('treats only a veth into another namespace as a peer', () => {
    assert.equal(overlayLink({ index: 1, mtu: 1500, kind: 'veth', peerNetnsId: 0 }).peer, true);
    assert.equal(overlayLink({ index: 1, mtu: 1500, kind: 'veth' }).peer, false);
    assert.equal(overlayLink({ index: 1, mtu: 1500, kind: 'tun' }).peer, false);
  });

  it('shows what the maps hold under the names of the policy', () => {
    const all = overlayResources(INPUT);
    const names = {
      routingDomain: (slot: number) => ({ 2: 'Contoso', 3: 'Woodgrove' })[slot] ?? '',
      device: (i: number) => `d${i}`,
    };
    const records = recordRows(entries(all, 'records'), names);
    const row = records.find((r) => r.RoutingDomain === 'Contoso' && r.CustomerAddress === ('10.0.0.11' as Address))!;
    assert.deepEqual([row.ProviderAddress, row.Port, row.Uplink, row.VirtualSubnetID], [PEER, '', 'd20', 5001]);
    assert.equal(portRows(entries(all, 'ports'), names).length, 4);
    const [key, value] = [Buffer.alloc(8), Buffer.alloc(16)];
    key.writeUInt32LE(3, 0);
    key.writeUInt16LE(7, 4);
    key.writeUInt16LE(2, 6);
    value.writeBigUInt64LE(2n);
    value.writeBigUInt64LE(120n, 8);
    const [drop] = dropRows([[key, value]], names);
    assert.deepEqual(
      [drop!.RoutingDomain, drop!.Reason, drop!.Direction, drop!.Packets, drop!.Bytes],
      ['Woodgrove', 'NO_RECORD', 'wire', 2, 120],
    );
  });
});
