/** The file to map entries: both tenants of the example on one address, and every part that the maps have (R-NAT-1…6). */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import type { GatewayConfig, RoutingDomainId } from '../../compartments/compartment.ts';
import { NAT_ROOM } from '../../compartments/nat.ts';
import { FIRST_SLOT } from '../../compartments/numbers.ts';
import type { Address } from '../../lib/address.ts';
import {
  BLOCKS,
  KIND,
  NAT,
  type NatPolicy,
  POOLS,
  RULE,
  SERVICES,
  TENANT_INBOUND_REFRESH,
  TENANTS,
} from '../../nat/abi.ts';
import { type NatEntries, type NatInput, natEntries } from '../../nat/entries.ts';
import { formerOf } from '../../nat/former.ts';
import { losesPools } from '../../nat/policy.ts';
import { FABRIKAM, gateway, shown } from '../config/examples.ts';

const CONTOSO = 2;
const WOODGROVE = 3;
const ifindex: Record<string, number> = { eth0: 7 };

function config(text: string): GatewayConfig {
  const loaded = gateway(text);
  assert.deepEqual(shown(loaded), []);
  assert.ok(loaded.ok);
  return loaded.value;
}

function input(text: string, change: Partial<NatInput> = {}): NatInput {
  const c = config(text);
  return {
    netNats: c.netNats ?? [],
    netAdapters: c.netAdapters,
    tenants: c.compartments.map((d, i) => ({ routingDomainId: d.routingDomainId, slot: 2 + i, device: 20 + i })),
    seed: 99,
    waiting: 0,
    sessions: 131_072,
    former: { pools: [], services: new Map(), dips: new Map() },
    index: (device) => ifindex[device],
    healthy: () => true,
    ...change,
  };
}

function made(i: NatInput): NatEntries {
  const result = natEntries(i);
  assert.ok(result.ok, JSON.stringify(result));
  const keys = result.value.resources.map((r) => r.key);
  assert.equal(new Set(keys).size, keys.length, 'an entry twice');
  return result.value;
}

const inMap = (e: NatEntries, map: string) =>
  e.resources
    .filter((r) => r.spec.map === map)
    .map((r) => [Buffer.from(r.spec.key, 'hex'), Buffer.from(r.spec.value, 'hex'), r.slot] as const);
const policyOfSlot = (e: NatEntries, slot: number): NatPolicy =>
  NAT.policy.decode(inMap(e, 'policies').find(([k]) => k.readUInt32LE() === slot)![1]);
const rules = (p: NatPolicy) =>
  p.rule.slice(0, p.rules).map((r) => [`${r.network} ${r.mask}`, r.action, r.set, r.pool.slice(0, r.pools)]);

/** The example with more under its NetNat. */
const withMore = (...lines: readonly string[]) => `${FABRIKAM}${lines.map((l) => `    ${l}\n`).join('')}`;
const addresses = (...more: readonly string[]) =>
  FABRIKAM.replace('PortEnd: 49151 }', ['PortEnd: 49151 }', ...more.map((m) => `      - { ${m} }`)].join('\n'));

/** Of a hash map, as the data plane's source has it. */
function roomOf(map: string): number {
  const source = fs.readFileSync(path.join(import.meta.dirname, '../../bpf/lib/nat/maps.h'), 'utf8');
  const found = new RegExp(`HNV_HASH\\(${map}, .*, 1 << (\\d+)\\);`).exec(source);
  assert.ok(found, map);
  return 2 ** Number(found[1]);
}

describe('NAT map entries', () => {
  it('the configuration knows what the maps have room for', () =>
    assert.deepEqual(NAT_ROOM, {
      tenants: TENANTS - FIRST_SLOT,
      portBlocks: BLOCKS,
      externalAddresses: POOLS,
      endpoints: roomOf('statics'),
      services: SERVICES,
      dips: roomOf('dips'),
    }));

  it('the example: one pool, both tenants with half of its blocks, the ports of mappings reserved', () => {
    const e = made(input(FABRIKAM));
    const [[, pool]] = inMap(e, 'pools') as [readonly [Buffer, Buffer, number]];
    assert.deepEqual(NAT.pool.decode(pool), {
      address: '131.107.10.10',
      device: 7,
      network: '131.107.10.0',
      mask: '255.255.255.0',
      gateway: '131.107.10.1',
      first_block: 0,
      blocks: 79,
      port_start: 9000,
      block_ports: 512,
      next: 0,
    });
    assert.deepEqual(
      inMap(e, 'addresses').map(([k, v]) => [k.toString('hex'), v.readUInt32LE()]),
      [['836b0a0a', 0]],
    );
    for (const slot of [CONTOSO, WOODGROVE]) {
      const [, tenant, owner] = inMap(e, 'tenants').find(([k]) => k.readUInt32LE() === slot)!;
      assert.equal(owner, slot);
      assert.deepEqual(NAT.tenant.decode(tenant), {
        device: 18 + slot,
        flags: 0,
        tcp_filtering: 0,
        udp_filtering: 0,
        tcp_transient: 120,
        tcp_established: 1800,
        udp_idle: 120,
        icmp_query: 30,
        quarantine: 120,
        max_blocks: 39,
        max_sessions: 131_072 / 2,
        max_host_sessions: 0,
        max_host_ports: 0,
        session_rate: 0,
        host_session_rate: 0,
      });
      assert.deepEqual(rules(policyOfSlot(e, slot)), [['0.0.0.0 0.0.0.0', RULE.pool, 0, [0]]]);
    }
    const statics = inMap(e, 'statics').map(([k, v, slot]) => [NAT.staticKey.decode(k), NAT.static.decode(v), slot]);
    const rest = {
      rdid: CONTOSO,
      pool: 0,
      kind: KIND.static,
      flags: 0,
      service: 0,
      remote: '0.0.0.0',
      remote_mask: '0.0.0.0',
    };
    assert.deepEqual(statics, [
      [
        { rdid: 0, address: '131.107.10.10', port: 8080, protocol: 6 },
        { ...rest, address: '10.0.0.10', port: 80 },
        CONTOSO,
      ],
      [
        { rdid: CONTOSO, address: '10.0.0.10', port: 80, protocol: 6 },
        { ...rest, address: '131.107.10.10', port: 8080 },
        CONTOSO,
      ],
    ]);
    assert.deepEqual(
      inMap(e, 'reserved').map(([k]) => k.readUInt32LE()),
      [78],
    );
    assert.deepEqual(e.released, []);
  });

  it('the same question over what the maps hold then gives the same entries; nothing is released', () => {
    const text = withMore(
      'LoadBalancingRule:',
      '  - { Name: Web, RoutingDomain: Contoso, Protocol: TCP, FrontendIPAddress: 131.107.10.20, FrontendPort: 80, DIP: [{ IPAddress: 10.0.0.10 }, { IPAddress: 10.0.0.11 }] }',
    );
    const first = made(input(text));
    const former = formerOf(
      first.resources.map(
        (r) => [r.spec.map, Buffer.from(r.spec.key, 'hex'), Buffer.from(r.spec.value, 'hex')] as const,
      ),
    );
    const second = made(input(text, { former }));
    assert.deepEqual(second.resources, first.resources);
    assert.deepEqual(second.released, []);
    // Without the first DIP and with another service before it, what stays has its numbers still.
    const changed = text
      .replace(
        '{ IPAddress: 10.0.0.10 }, { IPAddress: 10.0.0.11 }',
        '{ IPAddress: 10.0.0.12 }, { IPAddress: 10.0.0.11 }',
      )
      .replace(
        '  - { Name: Web',
        '  - { Name: Mail, RoutingDomain: Contoso, Protocol: TCP, FrontendIPAddress: 131.107.10.20, FrontendPort: 25, DIP: [{ IPAddress: 10.0.0.9 }] }\n      - { Name: Web',
      );
    const third = made(input(changed, { former }));
    assert.deepEqual(
      third.services.map((s) => [s.rule.name, s.index, s.dips.map((d) => [d.backend.ipAddress, d.index])]),
      [
        ['Mail', 1, [['10.0.0.9', 0]]],
        [
          'Web',
          0,
          [
            ['10.0.0.12', 2],
            ['10.0.0.11', 1],
          ],
        ],
      ],
    );
  });

  it('two ranges of one address are a chain; an address for one tenant is not the other one’s', () => {
    const e = made(
      input(
        addresses('IPAddress: 131.107.10.10, PortStart: 50000', 'IPAddress: 131.107.10.11, RoutingDomain: Woodgrove'),
      ),
    );
    const pools = inMap(e, 'pools').map(([, v]) => NAT.pool.decode(v));
    assert.deepEqual(
      pools.map((p) => [p.address, p.next, p.first_block, p.blocks]),
      [
        ['131.107.10.10', 2, 0, 79],
        ['131.107.10.10', 0, 79, 31],
        ['131.107.10.11', 0, 110, 126],
      ],
    );
    assert.equal(inMap(e, 'addresses').length, 2);
    assert.deepEqual(rules(policyOfSlot(e, CONTOSO)), [['0.0.0.0 0.0.0.0', RULE.pool, 0, [0, 1]]]);
    assert.deepEqual(rules(policyOfSlot(e, WOODGROVE)), [['0.0.0.0 0.0.0.0', RULE.pool, 0, [0, 1, 2]]]);
  });

  it('policy: rules in the order of the file, of all tenants or one, then one-to-one, then all addresses', () => {
    const text = `${addresses('IPAddress: 131.107.10.11')}${[
      'NetNatOneToOneMapping:',
      '  - { RoutingDomain: Woodgrove, ExternalIPAddress: 131.107.10.30, InternalIPAddress: 10.0.0.30 }',
      'NetNatPolicy:',
      '  - { RoutingDomain: Contoso, DestinationPrefix: 65.10.0.0/16, ExternalIPAddress: 131.107.10.11 }',
      '  - { DestinationPrefix: 192.0.2.0/24, Action: Drop }',
      '  - { RoutingDomain: Woodgrove, DestinationPrefix: 66.0.0.0/8, Action: OneToOne }',
      '  - { DestinationPrefix: 67.0.0.0/8, ExternalIPAddress: [131.107.10.11, 131.107.10.10] }',
    ]
      .map((l) => `    ${l}\n`)
      .join('')}`;
    const e = made(input(text));
    const contoso = rules(policyOfSlot(e, CONTOSO));
    const set = contoso[0]![2];
    assert.ok(typeof set === 'number' && set > 0);
    assert.deepEqual(contoso, [
      ['65.10.0.0 255.255.0.0', RULE.pool, set, [1]],
      ['192.0.2.0 255.255.255.0', RULE.drop, 0, []],
      ['67.0.0.0 255.0.0.0', RULE.pool, 0, [0, 1]],
      ['0.0.0.0 0.0.0.0', RULE.pool, 0, [0, 1]],
    ]);
    assert.deepEqual(rules(policyOfSlot(e, WOODGROVE)), [
      ['192.0.2.0 255.255.255.0', RULE.drop, 0, []],
      ['66.0.0.0 255.0.0.0', RULE.oneToOne, 0, []],
      ['67.0.0.0 255.0.0.0', RULE.pool, 0, [0, 1]],
      ['0.0.0.0 0.0.0.0', RULE.oneToOne, 0, []],
      ['0.0.0.0 0.0.0.0', RULE.pool, 0, [0, 1]],
    ]);
    assert.deepEqual(
      inMap(e, 'one_to_one').map(([k, v]) => [NAT.hostKey.decode(k), NAT.oneToOne.decode(v)]),
      [
        [
          { rdid: 0, address: '131.107.10.30' },
          { rdid: WOODGROVE, address: '10.0.0.30', pool: 2 },
        ],
        [
          { rdid: WOODGROVE, address: '10.0.0.30' },
          { rdid: WOODGROVE, address: '131.107.10.30', pool: 2 },
        ],
      ],
    );
    const without = policyOfSlot(made(input(addresses('IPAddress: 131.107.10.11'))), CONTOSO);
    assert.equal(losesPools(without, policyOfSlot(e, CONTOSO)), false);
    assert.equal(losesPools(policyOfSlot(e, CONTOSO), without), true);
  });

  it('services: a table over the DIPs that are healthy and not draining; all DIPs stay for the flows they have', () => {
    const text = withMore(
      'LoadBalancingRule:',
      '  - Name: Web',
      '    RoutingDomain: Contoso',
      '    Protocol: TCP',
      '    FrontendIPAddress: 131.107.10.10',
      '    FrontendPort: 80',
      '    BackendPort: 8000',
      '    LoadDistribution: SourceIP',
      '    DIP: [{ IPAddress: 10.0.0.10 }, { IPAddress: 10.0.0.11, Draining: true }, { IPAddress: 10.0.0.12 }]',
    );
    const e = made(input(text, { healthy: (_, dip) => dip !== '10.0.0.12' }));
    assert.deepEqual(
      inMap(e, 'dips').map(([k, v]) => [NAT.dipKey.decode(k).dip, NAT.dip.decode(v)]),
      ['10.0.0.10', '10.0.0.11', '10.0.0.12'].map((address, i) => [i, { address, port: 8000 }]),
    );
    const [[, table]] = inMap(e, 'maglev') as [readonly [Buffer, Buffer, number]];
    assert.deepEqual(new Set(NAT.maglev.decode(table).dip), new Set([1]));
    const vip = inMap(e, 'statics').map(([k, v]) => [NAT.staticKey.decode(k), NAT.static.decode(v)] as const);
    const web = vip.find(([k]) => k.port === 80 && k.rdid === 0)!;
    assert.deepEqual([web[1].kind, web[1].flags, web[1].rdid], [KIND.vip, 1, CONTOSO]);
    const none = made(input(text, { healthy: () => false }));
    assert.deepEqual(inMap(none, 'maglev'), []);
  });

  it('what is not there yet is left out; limits and behaviours of the file arrive', () => {
    const text = withMore(
      'UdpInboundRefresh: true',
      'TcpFilteringBehavior: AddressAndPortDependentFiltering',
      'UdpFilteringBehavior: AddressDependentFiltering',
      'NetNatQuota:',
      '  - { PortBlocks: 3, Sessions: 1000, SessionsPerHost: 100 }',
      '  - { RoutingDomain: Woodgrove, PortsPerHost: 50, NewSessionsPerSecond: 20, NewSessionsPerSecondPerHost: 10 }',
    );
    const i = input(text);
    const e = made({ ...i, tenants: i.tenants.map((t, n) => (n ? t : { ...t, device: undefined as never })) });
    assert.deepEqual(
      inMap(e, 'tenants').map(([k]) => k.readUInt32LE()),
      [WOODGROVE],
    );
    const of = (slot: number) =>
      NAT.tenant.decode(inMap(made(i), 'tenants').find(([k]) => k.readUInt32LE() === slot)![1]);
    const { max_blocks, max_sessions, max_host_sessions, flags, tcp_filtering, udp_filtering } = of(CONTOSO);
    assert.deepEqual(
      [max_blocks, max_sessions, max_host_sessions, flags, tcp_filtering, udp_filtering],
      [3, 1000, 100, TENANT_INBOUND_REFRESH, 2, 1],
    );
    const own = of(WOODGROVE);
    assert.deepEqual([own.max_blocks, own.max_host_ports, own.session_rate, own.host_session_rate], [39, 50, 20, 10]);
    assert.deepEqual(inMap(made({ ...i, index: () => undefined }), 'pools'), []);
  });

  it('a tenant that no instance is for has no NAT', () => {
    const i = input(FABRIKAM);
    const only = i.netNats.map((n) => ({
      ...n,
      internalRoutingDomainId: '{11111111-2222-3333-4444-000000000001}' as RoutingDomainId,
    }));
    const e = made({ ...i, netNats: only });
    assert.deepEqual(
      inMap(e, 'tenants').map(([k, v]) => [k.readUInt32LE(), NAT.tenant.decode(v).max_blocks]),
      [[CONTOSO, 79]],
    );
    assert.equal(only[0]!.externalAddresses[0]!.ipAddress, '131.107.10.10' as Address);
  });
});
