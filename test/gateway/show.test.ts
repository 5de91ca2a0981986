import assert from 'node:assert/strict';
import { GUARD_METRIC } from '../../compartments/desired.ts';
import { PROTOCOL } from '../../compartments/resource.ts';
import { assignSlots, EMPTY_SLOTS } from '../../compartments/slots.ts';
import { encodeDropKey } from '../../encap/abi.ts';
import { fileRecords, type Running, runningOf } from '../../gateway/running.ts';
import type { Readings } from '../../gateway/show/readings.ts';
import { NOUNS, show } from '../../gateway/show/show.ts';
import type { NetnsView } from '../../kernel/inspect.ts';
import type { Address, Mac } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';
import { formatTable } from '../../lib/table.ts';
import { gateway, s2s, tenant } from './world.ts';

const config = gateway(
  tenant('Contoso', 'IfCi1', [s2s('IfCe1', '59.10.10.10', '10.1.0.0/24')]),
  tenant('Woodgrove', 'IfWi1', [s2s('IfWe1', '59.10.10.100', '10.1.0.0/24')]),
);
const running: Running = runningOf(
  config,
  assignSlots(EMPTY_SLOTS, config.compartments),
  { file: '/etc/gateway.yaml', text: '' },
  fileRecords(config),
);
const route = (prefix: string, metric: number, protocol: number, device?: string): NetnsView['routes'][number] => ({
  prefix: prefix as Prefix,
  metric,
  protocol,
  table: 254,
  type: device ? 'unicast' : 'throw',
  ...(device && { device }),
});
const internal: Readonly<Record<string, string>> = { c2: 'IfCi1', c3: 'IfWi1' };
const counters = {
  rxPackets: 1n,
  txPackets: 2n,
  rxBytes: 60n,
  txBytes: 120n,
  rxErrors: 0n,
  txErrors: 0n,
  rxDropped: 0n,
  txDropped: 0n,
};
/** struct hnv_drops of two CPUs. */
function drops(packets: bigint, bytes: bigint): Uint8Array {
  const b = Buffer.alloc(32);
  b.writeBigUInt64LE(packets, 0);
  b.writeBigUInt64LE(bytes, 8);
  return b;
}
const readings: Readings = {
  netns: (netns) => {
    const device = internal[netns];
    if (!device) return undefined;
    return {
      links: [
        { index: 2, name: device, up: true, carrier: true, mtu: 1500, mac: '02:48:4e:00:13:8a' as Mac, counters },
      ],
      addresses: [{ device, address: '10.0.254.2' as Address, prefixLength: 24, protocol: PROTOCOL }],
      routes:
        netns === 'c2'
          ? [
              route('10.1.0.0/24', 100, PROTOCOL, 'IfCe1'),
              route('0.0.0.0/0', GUARD_METRIC, PROTOCOL),
              route('10.0.254.0/24', 0, 2, 'IfCi1'),
            ]
          : [],
      neighbours: [],
    };
  },
  entries: (map) =>
    map === 'records'
      ? []
      : [
          [encodeDropKey(3, 4, 'port'), drops(7n, 700n)],
          [encodeDropKey(0, 12, 'port'), drops(1n, 60n)],
          [encodeDropKey(2, 7, 'port'), drops(0n, 0n)],
        ],
  device: String,
  withoutRoute: (netns) => (netns === 'c2' ? { in: 5, out: 0 } : netns === 'c3' ? { in: 9, out: 2 } : undefined),
  tunnel: (name) =>
    name === 'IfCe1' ? { connectionState: 'Connected', lastError: '', unreachabilityReasons: [] } : undefined,
};
const rows = (noun: string, routingDomain?: string) => show(noun, running, readings, routingDomain)!;

describe('show', () => {
  it('compartments: the default one and the tenants by slot, with whether they are there', () => {
    assert.deepEqual(
      rows('compartments').map((r) => [r.CompartmentId, r.CompartmentDescription, r.Namespace, r.Status]),
      [
        [1, 'Default Compartment', '', 'Missing'],
        [2, 'Contoso', 'c2', 'Available'],
        [3, 'Woodgrove', 'c3', 'Available'],
      ],
    );
  });

  it('interfaces: both tenants with the same address, a tunnel without a link as missing', () => {
    assert.deepEqual(
      rows('interfaces').map((r) => [r.RoutingDomain, r.InterfaceAlias, r.Status, r.IPAddress]),
      [
        ['Contoso', 'IfCi1', 'Up', ['10.0.254.2/24']],
        ['Contoso', 'IfCe1', 'Missing', []],
        ['Woodgrove', 'IfWi1', 'Up', ['10.0.254.2/24']],
        ['Woodgrove', 'IfWe1', 'Missing', []],
      ],
    );
  });

  it('of one routing domain shows nothing of another', () => {
    for (const noun of NOUNS) assert.ok(!JSON.stringify(rows(noun, 'Woodgrove')).includes('Contoso'), noun);
    assert.equal(show('routes', running, readings, 'Nobody'), undefined);
  });

  it('routes: where each comes from', () => {
    assert.deepEqual(
      rows('routes', 'Contoso').map((r) => [r.DestinationPrefix, r.InterfaceAlias, r.Protocol]),
      [
        ['10.1.0.0/24', 'IfCe1', 'NetMgmt'],
        ['0.0.0.0/0', '', 'Guard'],
        ['10.0.254.0/24', 'IfCi1', 'Local'],
      ],
    );
  });

  it('s2s: the state of the life cycle, never a secret', () => {
    assert.deepEqual(
      rows('s2s').map((r) => [r.Name, r.ConnectionState]),
      [
        ['IfCe1', 'Connected'],
        ['IfWe1', 'Disconnected'],
      ],
    );
    assert.ok(!JSON.stringify(rows('s2s')).includes('secret'));
  });

  it('drops: by reason and routing domain, nobody known as blank, those of the kernel among them', () => {
    assert.deepEqual(
      rows('drops').map((r) => [r.RoutingDomain, r.Reason, r.Direction, r.Packets]),
      [
        ['', 'UNKNOWN_PA', 'port', 1],
        ['Contoso', 'NO_ROUTE', 'in', 5],
        ['Woodgrove', 'SPOOFED_CA', 'port', 7],
        ['Woodgrove', 'NO_ROUTE', 'in', 9],
        ['Woodgrove', 'NO_ROUTE', 'out', 2],
      ],
    );
    assert.deepEqual(
      rows('drops', 'Contoso').map((r) => [r.Reason, r.Packets]),
      [['NO_ROUTE', 5]],
    );
  });

  it('prints as a table with lists as the cmdlets do', () => {
    assert.equal(
      formatTable([{ Name: 'IfCe1', IPv4Subnet: ['10.1.0.0/24:100', '10.3.0.0/24:100'], Up: true }]),
      'Name   IPv4Subnet                          Up\n----   ----------                          --\nIfCe1  {10.1.0.0/24:100, 10.3.0.0/24:100}  true\n',
    );
    assert.equal(formatTable([]), '');
  });
});
