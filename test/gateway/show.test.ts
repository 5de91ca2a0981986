import assert from 'node:assert/strict';
import { GUARD_METRIC } from '../../compartments/desired.ts';
import { PROTOCOL } from '../../compartments/resource.ts';
import { assignSlots, EMPTY_SLOTS } from '../../compartments/slots.ts';
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
  type: device ? 'unicast' : 'unreachable',
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
  drops: () => [
    { slot: 3, reason: 4, direction: 'port', packets: 7, bytes: 700 },
    { slot: 0, reason: 12, direction: 'port', packets: 1, bytes: 60 },
    { slot: 2, reason: 7, direction: 'port', packets: 0, bytes: 0 },
  ],
  tunnel: (name) =>
    name === 'IfCe1' ? { connectionState: 'Connected', lastError: '', unreachabilityReasons: [] } : undefined,
};
const rows = (noun: string, routingDomain?: string) => show(noun, running, readings, routingDomain)!;

describe('show', () => {
  it('compartments: the default one and the tenants by slot', () => {
    assert.deepEqual(
      rows('compartments').map((r) => [r.CompartmentId, r.CompartmentDescription, r.Namespace]),
      [
        [1, 'Default Compartment', ''],
        [2, 'Contoso', 'c2'],
        [3, 'Woodgrove', 'c3'],
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

  it('drops: by reason and routing domain, nobody known as blank', () => {
    assert.deepEqual(
      rows('drops').map((r) => [r.RoutingDomain, r.Reason, r.Packets]),
      [
        ['', 'UNKNOWN_PA', 1],
        ['Woodgrove', 'SPOOFED_CA', 7],
      ],
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
