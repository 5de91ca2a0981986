/** Rows of `show`: what the maps hold, in the words of the cmdlets; two tenants with the same addresses stay apart. */
import assert from 'node:assert/strict';
import type { Address } from '../../lib/address.ts';
import { CLOSING, FLOW_OPENER, FLOW_TO_INSIDE, KIND, NAT, type NatBlock, type NatFlow } from '../../nat/abi.ts';
import { placePools } from '../../nat/blocks.ts';
import { poolPressure, tenantPressure, topHosts } from '../../nat/pressure.ts';
import { blockRows, insideOf, mappingRows, type NatNames, sessionRows } from '../../nat/show.ts';

const A = '131.107.10.10' as Address;
const HOST = '10.0.0.10' as Address;
const SERVER = '65.10.10.100' as Address;
const names: NatNames = {
  routingDomain: (slot) => ['Contoso', 'Woodgrove'][slot - 2] ?? '',
  boot: Date.parse('2026-11-22T10:00:00Z'),
};
const key32 = (n: number): Uint8Array => Uint8Array.from([n & 255, (n >> 8) & 255, 0, 0]);
const FLOW: NatFlow = {
  source: A,
  destination: SERVER,
  source_port: 0,
  destination_port: 80,
  rdid: 0,
  egress: 0,
  kind: KIND.mapped,
  set: 0,
  seen: 0,
  opened: 0,
  ack: 0,
  next: 0,
  window: 0,
  scale: 0,
  tcp_flags: 0,
  flags: 0,
  dip: 0,
};

/** Both entries of a session from 10.0.0.10:5001 of a tenant. */
const session = (rdid: number, external: number, flags: readonly [number, number], seen: readonly [number, number]) =>
  [
    [
      { rdid, source: HOST, destination: SERVER, source_port: 5001, destination_port: 80, protocol: 6 },
      { ...FLOW, rdid, source_port: external, flags: FLOW_OPENER, tcp_flags: flags[0], seen: seen[0], opened: 60 },
    ],
    [
      { rdid: 0, source: SERVER, destination: A, source_port: 80, destination_port: external, protocol: 6 },
      {
        ...FLOW,
        rdid,
        source: SERVER,
        destination: HOST,
        source_port: 80,
        destination_port: 5001,
        egress: rdid,
        flags: FLOW_TO_INSIDE,
        tcp_flags: flags[1],
        seen: seen[1],
      },
    ],
  ].map(([k, v]) => [NAT.flowKey.encode(k as never), NAT.flow.encode(v as never)] as const);

describe('show: NAT', () => {
  it("sessions: the book's two tenants, one row each", () => {
    const rows = sessionRows(
      [...session(2, 9513, [18, 18], [70, 71]), ...session(3, 9001, [18, 1 | 16], [90, 80])],
      names,
    );
    const row = {
      Protocol: 'TCP',
      Internal: '10.0.0.10:5001',
      Remote: '65.10.10.100:80',
      Direction: 'Outbound',
      Kind: 'Dynamic',
    };
    assert.deepEqual(rows, [
      {
        RoutingDomain: 'Contoso',
        ...row,
        External: '131.107.10.10:9513',
        State: 'Established',
        CreationTime: '2026-11-22T10:01:00Z',
        LastPacket: '2026-11-22T10:01:11Z',
      },
      {
        RoutingDomain: 'Woodgrove',
        ...row,
        External: '131.107.10.10:9001',
        State: 'Closing',
        CreationTime: '2026-11-22T10:01:00Z',
        LastPacket: '2026-11-22T10:01:30Z',
      },
    ]);
    assert.equal(sessionRows(session(2, 9513, [2, 0], [1, 0]), names)[0]?.State, 'Opening');
    assert.equal(sessionRows(session(2, 9513, [17, 17], [1, 0]), names)[0]?.State, 'Closed');
    assert.equal(sessionRows(session(2, 9513, [20, 20], [1, 0]), names)[0]?.State, 'Reset');
    assert.deepEqual(sessionRows(session(2, 9513, [2, 0], [1, 0]), names, 3), []);
  });

  it('mappings: static and dynamic; who is behind an external port now', () => {
    const mapping = (rdid: number, port: number, sessions: number) =>
      [
        NAT.mappingKey.encode({ rdid, address: HOST, port: 5001, protocol: 17, set: 0 }),
        NAT.mapping.encode({ address: A, port, pool: 0, block: 0, sessions, opened: 5, released: 9 }),
      ] as const;
    const statics = [
      [
        NAT.staticKey.encode({ rdid: 0, address: A, port: 8080, protocol: 6 }),
        NAT.static.encode({
          rdid: 2,
          address: HOST,
          port: 80,
          pool: 0,
          kind: KIND.static,
          flags: 0,
          service: 0,
          remote: '0.0.0.0' as Address,
          remote_mask: '0.0.0.0' as Address,
        }),
      ] as const,
    ];
    assert.deepEqual(
      mappingRows([mapping(3, 9001, 2), mapping(2, 9513, 0)], statics, names).map((r) =>
        Object.values(r).slice(0, 6).concat(r.State),
      ),
      [
        ['Contoso', 'Static', 'TCP', '10.0.0.10:80', '131.107.10.10:8080', null, 'Used'],
        ['Contoso', 'Dynamic', 'UDP', '10.0.0.10:5001', '131.107.10.10:9513', 0, 'Quarantine'],
        ['Woodgrove', 'Dynamic', 'UDP', '10.0.0.10:5001', '131.107.10.10:9001', 2, 'Used'],
      ],
    );
    const externals = [
      [
        NAT.endpoint.encode({ address: A, port: 9001, protocol: 17 }),
        NAT.inside.encode({ rdid: 3, address: HOST, port: 5001, set: 0 }),
      ] as const,
    ];
    assert.deepEqual(insideOf(externals, statics, names, A, 9001), [
      { RoutingDomain: 'Woodgrove', Protocol: 'UDP', Internal: '10.0.0.10:5001', Kind: 'Dynamic' },
    ]);
    assert.deepEqual(insideOf(externals, statics, names, A, 8080), [
      { RoutingDomain: 'Contoso', Protocol: 'TCP', Internal: '10.0.0.10:80', Kind: 'Static' },
    ]);
    assert.deepEqual(insideOf(externals, statics, names, A, 9), []);
  });

  it('blocks and pressure: taken blocks count, the levels of pools, tenants and hosts', () => {
    const placed = placePools([{ address: A, portStart: 9000, portEnd: 11559, blockPorts: 512 }], []);
    assert.ok(placed.ok);
    const { pools } = placed.value;
    const block = (owner: number, used: readonly number[]): NatBlock => ({
      owner,
      taken: 5,
      former: 0,
      former_taken: 0,
      former_released: 0,
      used,
      of: [],
    });
    const blocks = new Map([
      [0, block(2, [512, 3, 0])],
      [1, block(3, [1, 0, 0])],
      [2, block(2, [0, 0, 1])],
      [4, block(CLOSING, [0, 0, 0])],
    ]);
    assert.deepEqual(
      blockRows(pools, blocks, names).map((r) => [r.RoutingDomain, r.PortStart, r.PortEnd, r.TCP, r.UDP, r.ICMP]),
      [
        ['Contoso', 9000, 9511, 512, 3, 0],
        ['Woodgrove', 9512, 10023, 1, 0, 0],
        ['Contoso', 10024, 10535, 0, 0, 1],
        ['', 11048, 11559, 0, 0, 0],
      ],
    );
    assert.deepEqual(
      poolPressure(pools, blocks).map((r) => [r.Blocks, r.Taken, r.Percent, r.Tenants, r.Level]),
      [[5, 4, 80, 2, 'warning']],
    );
    const bucket = { filled: 0n, tokens: 0n };
    const tenant = (max_blocks: number, max_sessions: number) =>
      NAT.tenant.encode({
        device: 9,
        flags: 0,
        tcp_filtering: 0,
        udp_filtering: 0,
        tcp_transient: 1,
        tcp_established: 1,
        udp_idle: 1,
        icmp_query: 1,
        quarantine: 1,
        max_blocks,
        max_sessions,
        max_host_sessions: 0,
        max_host_ports: 0,
        session_rate: 0,
        host_session_rate: 0,
      });
    const usage = (sessions: number, blocks: number) =>
      NAT.usage.encode({ ...NAT.usage.decode(new Uint8Array(NAT.usage.size)), sessions, ports: 7, blocks });
    const rows = tenantPressure(
      [
        [key32(2), tenant(2, 100)],
        [key32(3), tenant(10, 0)],
        [key32(4), new Uint8Array(NAT.tenant.size)],
      ],
      [
        [key32(2), usage(10, 2)],
        [key32(3), usage(1000, 1)],
      ],
      names,
    );
    assert.deepEqual(
      rows.map((r) => [r.RoutingDomain, r.Percent, r.Level]),
      [
        ['Contoso', 100, 'full'],
        ['Woodgrove', 10, 'ok'],
      ],
    );
    const host = (rdid: number, ports: number) =>
      [
        NAT.hostKey.encode({ rdid, address: HOST }),
        NAT.host.encode({ sessions: ports, ports, rate: bucket, set: [] }),
      ] as const;
    assert.deepEqual(
      topHosts([host(2, 3), host(3, 5), host(4, 0)], names, 9).map((r) => [r.RoutingDomain, r.Ports]),
      [
        ['Woodgrove', 5],
        ['Contoso', 3],
      ],
    );
    assert.equal(topHosts([host(2, 3), host(3, 5)], names, 9, 2).length, 1);
  });
});
