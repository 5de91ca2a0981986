/** What the NAT holds, as rows for `show`: property names of Get-NetNatSession and its relatives. Pure: entries in, rows out. */
import type { Slot } from '../compartments/numbers.ts';
import type { Address } from '../lib/address.ts';
import type { Row } from '../lib/table.ts';
import {
  CLOSING,
  ENDED,
  FLOW_OPENER,
  FLOW_TO_INSIDE,
  KIND,
  NAT,
  type NatBlock,
  type NatFlow,
  type NatFlowKey,
} from './abi.ts';
import { type Pool, portsOf } from './blocks.ts';
import { utc } from './log.ts';
import { PROTOCOL_NUMBER, protocolName } from './protocol.ts';
import type { Service } from './services.ts';

export type Entries = Iterable<readonly [key: Uint8Array, value: Uint8Array]>;

/** Names of what the maps know by number, and the time that their seconds stand for. */
export interface NatNames {
  /** '' for what belongs to no known routing domain. */
  routingDomain(slot: Slot): string;
  /** Wall-clock time at which the kernel's clock was 0, ms since 1970. */
  readonly boot: number;
}

const kindName = (kind: number): string =>
  kind === KIND.static ? 'Static' : kind === KIND.vip ? 'LoadBalanced' : 'Dynamic';
const timeOf = (names: NatNames, seconds: number): string => utc(names.boot + seconds * 1000);

const [FIN, RST, ACK] = [1, 4, 16];

/** By the flags that stand for both sides: a reset marks both, and whoever goes on clears its own. */
const tcpState = (key: NatFlowKey, flow: NatFlow, other: NatFlow | undefined): string => {
  if (key.protocol !== PROTOCOL_NUMBER.TCP) return '';
  const both = flow.tcp_flags & (other?.tcp_flags ?? 0);
  if (both & RST) return 'Reset';
  if (both & FIN) return 'Closed';
  if ((flow.tcp_flags | (other?.tcp_flags ?? 0)) & FIN) return 'Closing';
  return both & ACK ? 'Established' : 'Opening';
};

const flowKey = (k: NatFlowKey): string =>
  `${k.rdid} ${k.protocol} ${k.source}:${k.source_port} ${k.destination}:${k.destination_port}`;

/** Where the other entry of the session is: the answer to what this one's packets become. */
const twinKey = (k: NatFlowKey, f: NatFlow): string =>
  flowKey({
    rdid: f.flags & FLOW_TO_INSIDE ? f.egress : 0,
    protocol: k.protocol,
    source: f.destination,
    source_port: f.destination_port,
    destination: f.source,
    destination_port: f.source_port,
  });

/** Entries of `flows`; one row a session, seen from inside where one side is. Names as Get-NetNatSession has them. */
export function sessionRows(flows: Entries, names: NatNames, slot?: Slot): readonly Row[] {
  const all = new Map<string, { readonly key: NatFlowKey; readonly flow: NatFlow }>();
  for (const [k, v] of flows) {
    const [key, flow] = [NAT.flowKey.decode(k), NAT.flow.decode(v)];
    all.set(flowKey(key), { key, flow });
  }
  const rows: Row[] = [];
  for (const { key, flow } of all.values()) {
    if (!(flow.flags & FLOW_OPENER) || (slot !== undefined && flow.rdid !== slot)) continue;
    const other = all.get(twinKey(key, flow))?.flow;
    const outward = key.rdid !== 0;
    const [inside, remote] = outward
      ? [`${key.source}:${key.source_port}`, `${key.destination}:${key.destination_port}`]
      : [`${flow.destination}:${flow.destination_port}`, `${flow.source}:${flow.source_port}`];
    const external = outward ? `${flow.source}:${flow.source_port}` : `${key.destination}:${key.destination_port}`;
    rows.push({
      RoutingDomain: names.routingDomain(flow.rdid),
      Protocol: protocolName(key.protocol),
      Internal: inside,
      External: external,
      Remote: remote,
      Direction: outward ? 'Outbound' : 'Inbound',
      Kind: kindName(flow.kind),
      State: tcpState(key, flow, other),
      CreationTime: timeOf(names, flow.opened),
      LastPacket: timeOf(names, Math.max(flow.seen, other?.seen ?? 0)),
    });
  }
  return rows.toSorted((a, b) => (rowKey(a) < rowKey(b) ? -1 : 1));
}

const rowKey = (r: Row): string => `${r.RoutingDomain} ${r.Protocol} ${r.Internal} ${r.Remote}`;

/** Entries of `mappings`, and of `statics` as they stand. */
export function mappingRows(mappings: Entries, statics: Entries, names: NatNames, slot?: Slot): readonly Row[] {
  const wanted = (rdid: number): boolean => slot === undefined || rdid === slot;
  const dynamic = [...mappings].flatMap(([k, v]) => {
    const [key, m] = [NAT.mappingKey.decode(k), NAT.mapping.decode(v)];
    if (!wanted(key.rdid) || m.sessions & ENDED) return [];
    return [
      {
        RoutingDomain: names.routingDomain(key.rdid),
        Kind: 'Dynamic',
        Protocol: protocolName(key.protocol),
        Internal: `${key.address}:${key.port}`,
        External: `${m.address}:${m.port}`,
        Sessions: m.sessions,
        Since: timeOf(names, m.opened),
        State: m.sessions ? 'Used' : 'Quarantine',
      },
    ];
  });
  const fixed = [...statics].flatMap(([k, v]) => {
    const [key, s] = [NAT.staticKey.decode(k), NAT.static.decode(v)];
    if (key.rdid !== 0 || s.kind !== KIND.static || !wanted(s.rdid)) return [];
    return [
      {
        RoutingDomain: names.routingDomain(s.rdid),
        Kind: 'Static',
        Protocol: protocolName(key.protocol),
        Internal: `${s.address}:${s.port}`,
        External: `${key.address}:${key.port}`,
        Sessions: null,
        Since: '',
        State: 'Used',
      },
    ];
  });
  return [...fixed, ...dynamic].toSorted((a, b) => (rowKey(a) < rowKey(b) ? -1 : 1));
}

/** Who has which blocks. */
export const blockRows = (
  pools: readonly Pool[],
  blocks: ReadonlyMap<number, NatBlock>,
  names: NatNames,
): readonly Row[] =>
  pools.flatMap((p) =>
    Array.from({ length: p.blocks }, (_, i) => p.firstBlock + i).flatMap((index) => {
      const b = blocks.get(index);
      if (!b?.owner) return [];
      const { first, last } = portsOf(p, index);
      const [tcp = 0, udp = 0, icmp = 0] = b.used;
      return [
        {
          RoutingDomain: b.owner === CLOSING ? '' : names.routingDomain(b.owner),
          ExternalIPAddress: p.address,
          PortStart: first,
          PortEnd: last,
          TCP: tcp,
          UDP: udp,
          ICMP: icmp,
          Since: timeOf(names, b.taken),
        },
      ];
    }),
  );

/** Services with their DIPs. @param sessions flows that each DIP has, by `service dip`. */
export const vipRows = (
  services: readonly Service[],
  routingDomain: (s: Service) => string,
  sessions: ReadonlyMap<string, number>,
): readonly Row[] =>
  services.flatMap((s) =>
    s.dips.map((d) => ({
      Name: s.rule.name,
      RoutingDomain: routingDomain(s),
      VIP: `${s.rule.protocol} ${s.rule.frontendIpAddress}:${s.rule.frontendPort}`,
      DIP: `${d.backend.ipAddress}:${s.rule.backendPort}`,
      Weight: d.backend.weight,
      State: d.backend.draining ? 'Draining' : d.healthy ? 'Healthy' : 'Down',
      Share: s.table ? Math.round((s.table.filter((v) => v === d.index + 1).length / s.table.length) * 100) : 0,
      Sessions: sessions.get(`${s.index} ${d.index}`) ?? 0,
    })),
  );

/** Flows of each DIP, by `service dip`. @param services VIP endpoints, `protocol address:port`, to their numbers. */
export function dipSessions(flows: Entries, services: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const [k, v] of flows) {
    const [key, flow] = [NAT.flowKey.decode(k), NAT.flow.decode(v)];
    if (flow.kind !== KIND.vip || !(flow.flags & FLOW_OPENER)) continue;
    const service = services.get(`${protocolName(key.protocol)} ${key.destination}:${key.destination_port}`);
    if (service === undefined) continue;
    const name = `${service} ${flow.dip}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

/** The inside end of what lives now behind an external address and port: of `externals` and `statics`. */
export function insideOf(
  externals: Entries,
  statics: Entries,
  names: NatNames,
  address: Address,
  port: number,
): readonly Row[] {
  const row = (rdid: number, protocol: number, host: string, kind: string): Row => ({
    RoutingDomain: names.routingDomain(rdid),
    Protocol: protocolName(protocol),
    Internal: host,
    Kind: kind,
  });
  const live = [...externals].flatMap(([k, v]) => {
    const [e, i] = [NAT.endpoint.decode(k), NAT.inside.decode(v)];
    return e.address === address && e.port === port
      ? [row(i.rdid, e.protocol, `${i.address}:${i.port}`, 'Dynamic')]
      : [];
  });
  const fixed = [...statics].flatMap(([k, v]) => {
    const [e, s] = [NAT.staticKey.decode(k), NAT.static.decode(v)];
    if (e.rdid !== 0 || e.address !== address || e.port !== port) return [];
    return [row(s.rdid, e.protocol, s.kind === KIND.vip ? 'VIP' : `${s.address}:${s.port}`, kindName(s.kind))];
  });
  return [...fixed, ...live];
}
