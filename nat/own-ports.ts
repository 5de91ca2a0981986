/**
 * Ports of the gateway's own addresses that the NAT shares with the gateway's kernel: what is given to tenants must never be the
 * source port of a connection of the gateway itself, whose answers the NAT would take for a tenant's. Pure.
 */
import type { NetAdapter } from '../compartments/compartment.ts';
import { GATEWAY_PORTS, type NatProtocol, type NetNat } from '../compartments/nat.ts';
import type { Address } from '../lib/address.ts';

/** What the kernel chooses source ports from, unless told otherwise (net.ipv4.ip_local_port_range). */
export const LOCAL_PORTS = { first: 32_768, last: 60_999 } as const;
/** That many of them remain the gateway's: the last ones, when the NAT would leave fewer. */
export const OWN_PORTS = 512;

export interface PortRange {
  readonly first: number;
  readonly last: number; // inclusive
}

export interface OwnPorts {
  /** What the kernel must not choose, in ascending order, apart from each other. */
  readonly reserved: readonly PortRange[];
  /** Of the NAT's ranges, what no tenant is given. */
  readonly kept?: PortRange;
}

/** In ascending order; those that touch are one. */
function merged(ranges: readonly PortRange[]): readonly PortRange[] {
  const list: PortRange[] = [];
  for (const r of ranges.toSorted((a, b) => a.first - b.first)) {
    const before = list.at(-1);
    if (before && r.first <= before.last + 1)
      list[list.length - 1] = { first: before.first, last: Math.max(before.last, r.last) };
    else list.push(r);
  }
  return list;
}

const without = (r: PortRange, cut: PortRange): readonly PortRange[] =>
  [
    { first: r.first, last: Math.min(r.last, cut.first - 1) },
    { first: Math.max(r.first, cut.last + 1), last: r.last },
  ].filter(({ first, last }) => first <= last);

const inside = (r: PortRange, bounds: PortRange): number =>
  Math.max(0, Math.min(r.last, bounds.last) - Math.max(r.first, bounds.first) + 1);

/** Static mappings and VIPs are the NAT's whatever is kept. */
export function ownPorts(netNats: readonly NetNat[], own: ReadonlySet<Address>): OwnPorts {
  const dynamic = merged(
    netNats
      .flatMap((n) => n.externalAddresses)
      .filter((a) => own.has(a.ipAddress))
      .map((a) => ({ first: a.portStart, last: a.portEnd })),
  );
  const fixed = netNats
    .flatMap((n) => [
      ...n.staticMappings.map((m) => ({ address: m.externalIpAddress, port: m.externalPort })),
      ...n.loadBalancingRules.map((r) => ({ address: r.frontendIpAddress, port: r.frontendPort })),
    ])
    .filter(({ address }) => own.has(address))
    .map(({ port }) => ({ first: port, last: port }));
  const size = LOCAL_PORTS.last - LOCAL_PORTS.first + 1;
  const free = size - dynamic.reduce((n, r) => n + inside(r, LOCAL_PORTS), 0);
  if (free >= OWN_PORTS) return { reserved: merged([...dynamic, ...fixed]) };
  const kept = { first: LOCAL_PORTS.last - OWN_PORTS + 1, last: LOCAL_PORTS.last };
  return { reserved: merged([...dynamic.flatMap((r) => without(r, kept)), ...fixed]), kept };
}

export const adapterAddresses = (adapters: readonly NetAdapter[]): ReadonlySet<Address> =>
  new Set(adapters.flatMap((a) => (a.address ? [a.address.address] : [])));

/** A port of an own address that no tenant is given. */
export interface OwnPort {
  readonly address: Address;
  readonly protocol: NatProtocol;
  readonly port: number;
}

/** What the gateway listens on, and what remains its own of the ports that it sends from. */
export function portsOfGateway(netNats: readonly NetNat[], adapters: readonly NetAdapter[]): readonly OwnPort[] {
  const addresses = adapterAddresses(adapters);
  const { kept } = ownPorts(netNats, addresses);
  const local = kept ? Array.from({ length: OWN_PORTS }, (_, i) => kept.first + i) : [];
  return [...addresses].flatMap((address) => [
    ...GATEWAY_PORTS.map(({ protocol, port }) => ({ address, protocol, port })),
    ...local.flatMap((port) => (['TCP', 'UDP'] as const).map((protocol) => ({ address, protocol, port }))),
  ]);
}

/** As the kernel writes net.ipv4.ip_local_reserved_ports. */
export const portList = (ranges: readonly PortRange[]): string =>
  ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
