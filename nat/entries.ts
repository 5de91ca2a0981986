/**
 * From the file to the data plane: the map entries of NAT and load balancing (R-NAT-1…6), as resources of the kind `entry`. Pure.
 * Interface indexes exist only once the links do; what needs a link that is not there yet is left out, and the loop asks again.
 */
import type { NetAdapter, RoutingDomainId } from '../compartments/compartment.ts';
import { type FilteringBehavior, type LoadBalancingRule, type NetNat, netNatOf } from '../compartments/nat.ts';
import type { Slot } from '../compartments/numbers.ts';
import type { Resource } from '../compartments/resource.ts';
import type { Address } from '../lib/address.ts';
import { contains, lengthOf, networkOf, prefixOf } from '../lib/prefix.ts';
import { ok, type Result } from '../lib/result.ts';
import {
  FILTERING,
  KIND,
  NAT,
  type NatEntryMap,
  STATIC_SOURCE_AFFINITY,
  slotOfNatEntry,
  TENANT_INBOUND_REFRESH,
} from './abi.ts';
import { type Pool, placePools, rangesOf, reservedPorts, type TakenPort } from './blocks.ts';
import type { NatFormer } from './former.ts';
import { u32 } from './layout.ts';
import { portsOfGateway } from './own-ports.ts';
import { maskOf, policyOf, poolsOf } from './policy.ts';
import { PROTOCOL_NUMBER } from './protocol.ts';
import { placeServices, type Service } from './services.ts';
import { blockShare, quotaOf, sessionShare } from './shares.ts';

/** A compartment that may have NAT. */
export interface NatTenant {
  readonly routingDomainId: RoutingDomainId;
  readonly slot: Slot;
  /** ifindex of n<slot>; absent = it is not there yet. */
  readonly device?: number;
}

export interface NatInput {
  readonly netNats: readonly NetNat[];
  readonly netAdapters: readonly NetAdapter[];
  readonly tenants: readonly NatTenant[];
  /** Of the choice of ports; not 0, and the same as long as the maps live. */
  readonly seed: number;
  /** ifindex of natw0, where fragments wait for their first one; 0 = none. */
  readonly waiting: number;
  /** Sessions that the maps have room for; absent = as many as in the object. */
  readonly sessions?: number;
  /** What the maps hold now. */
  readonly former: NatFormer;
  index(device: string): number | undefined;
  healthy(rule: LoadBalancingRule, dip: Address): boolean;
}

export interface NatEntries {
  readonly resources: readonly Resource<'entry'>[];
  readonly pools: readonly Pool[];
  readonly services: readonly Service[];
  /** Pools that must be purged before the entries are written. */
  readonly released: readonly number[];
}

const hex = (b: Uint8Array): string => Buffer.from(b.buffer, b.byteOffset, b.length).toString('hex');

function entry(map: NatEntryMap, key: Uint8Array, value: Uint8Array, label: string): Resource<'entry'> {
  const spec = { map, key: hex(key), value: hex(value) };
  return { kind: 'entry', key: `${map} ${spec.key}`, slot: slotOfNatEntry(map, key, value), spec, label };
}

const bytes = <T>(
  field: { readonly size: number; put(to: DataView, at: number, v: T): void },
  value: T,
): Uint8Array => {
  const b = new Uint8Array(field.size);
  field.put(new DataView(b.buffer), 0, value);
  return b;
};
const key32 = (n: number): Uint8Array => bytes(u32, n);

const NOWHERE = '0.0.0.0' as Address;

const filteringOf = (behavior: FilteringBehavior): number =>
  FILTERING[behavior.replace('Filtering', '') as keyof typeof FILTERING];

/** The external adapter of an instance: the one whose address lies in its prefix. */
export const adapterOf = (nat: NetNat, adapters: readonly NetAdapter[]): NetAdapter | undefined =>
  adapters.find(
    (a) => a.role === 'External' && a.address && contains(nat.externalIpInterfaceAddressPrefix, a.address.address),
  );

/** Ports that no tenant is given. */
export const takenPorts = (netNats: readonly NetNat[], adapters: readonly NetAdapter[]): readonly TakenPort[] => [
  ...portsOfGateway(netNats, adapters),
  ...netNats.flatMap((n) => [
    ...n.staticMappings.map((m) => ({ address: m.externalIpAddress, protocol: m.protocol, port: m.externalPort })),
    ...n.loadBalancingRules.map((r) => ({ address: r.frontendIpAddress, protocol: r.protocol, port: r.frontendPort })),
  ]),
];

/** The error is for people: what does not fit into the maps. */
export function natEntries(input: NatInput): Result<NatEntries, string> {
  const placed = placePools(rangesOf(input.netNats), input.former.pools);
  if (!placed.ok) return placed;
  const rules = input.netNats.flatMap((n) => n.loadBalancingRules);
  const services = placeServices(rules, input.former, input.healthy);
  if (!services.ok) return services;
  const { pools, released } = placed.value;
  const sharing = sharingOf(input, pools);
  const resources = [
    entry('settings', key32(0), NAT.settings.encode({ seed: input.seed, waiting: input.waiting }), 'NAT settings'),
    ...poolEntries(input, pools),
    ...input.tenants.flatMap((t) => tenantEntries(input, pools, sharing, t)),
    ...mappingEntries(input, pools),
    ...serviceEntries(input, pools, services.value),
  ];
  return ok({ resources, pools, services: services.value, released });
}

function poolEntries(input: NatInput, pools: readonly Pool[]): readonly Resource<'entry'>[] {
  const instanceOf = (address: Address) =>
    input.netNats.find((n) => contains(n.externalIpInterfaceAddressPrefix, address));
  const entries: Resource<'entry'>[] = [];
  for (const [i, p] of pools.entries()) {
    const nat = instanceOf(p.address);
    const adapter = nat && adapterOf(nat, input.netAdapters);
    const device = adapter && input.index(adapter.device);
    if (!adapter?.address || device === undefined) continue;
    const onLink = prefixOf(adapter.address.address, adapter.address.prefixLength);
    const same = pools.filter((o) => o.address === p.address);
    const next = same[same.indexOf(p) + 1];
    const value = NAT.pool.encode({
      address: p.address,
      device,
      network: networkOf(onLink),
      mask: maskOf(lengthOf(onLink)),
      gateway: adapter.defaultGateway ?? NOWHERE,
      first_block: p.firstBlock,
      blocks: p.blocks,
      port_start: p.portStart,
      block_ports: p.blockPorts,
      next: next ? 1 + next.index : 0,
    });
    entries.push(entry('pools', key32(p.index), value, `NAT pool ${p.address}`));
    if (pools.findIndex((o) => o.address === p.address) === i)
      entries.push(
        entry(
          'addresses',
          NAT.hostKey.encode({ rdid: 0, address: p.address }).subarray(4),
          key32(p.index),
          `external address ${p.address}`,
        ),
      );
  }
  for (const [block, of] of reservedPorts(pools, takenPorts(input.netNats, input.netAdapters)))
    entries.push(entry('reserved', key32(block), NAT.reserved.encode({ of }), `reserved ports of block ${block}`));
  return entries;
}

/** How many tenants share what. */
interface Sharing {
  readonly served: number;
  readonly users: ReadonlyMap<Pool, number>;
}

function sharingOf(input: NatInput, pools: readonly Pool[]): Sharing {
  const users = new Map<Pool, number>();
  let served = 0;
  for (const t of input.tenants) {
    const nat = netNatOf(input.netNats, t.routingDomainId);
    if (!nat) continue;
    served++;
    for (const p of poolsOf(nat, t.routingDomainId, pools)) users.set(p, (users.get(p) ?? 0) + 1);
  }
  return { served, users };
}

function tenantEntries(
  input: NatInput,
  pools: readonly Pool[],
  { served, users }: Sharing,
  t: NatTenant,
): readonly Resource<'entry'>[] {
  const nat = netNatOf(input.netNats, t.routingDomainId);
  if (!nat || t.device === undefined) return [];
  const quota = quotaOf(nat, t.routingDomainId);
  const tenant = NAT.tenant.encode({
    device: t.device,
    flags: nat.udpInboundRefresh ? TENANT_INBOUND_REFRESH : 0,
    tcp_filtering: filteringOf(nat.tcpFilteringBehavior),
    udp_filtering: filteringOf(nat.udpFilteringBehavior),
    tcp_transient: nat.tcpTransientConnectionTimeout,
    tcp_established: nat.tcpEstablishedConnectionTimeout,
    udp_idle: nat.udpIdleSessionTimeout,
    icmp_query: nat.icmpQueryTimeout,
    quarantine: nat.portQuarantineSeconds,
    max_blocks: blockShare(quota, poolsOf(nat, t.routingDomainId, pools), (p) => users.get(p) ?? 1),
    max_sessions: sessionShare(quota, served, input.sessions),
    max_host_sessions: quota.sessionsPerHost ?? 0,
    max_host_ports: quota.portsPerHost ?? 0,
    session_rate: quota.newSessionsPerSecond ?? 0,
    host_session_rate: quota.newSessionsPerSecondPerHost ?? 0,
  });
  const oneToOne = nat.oneToOneMappings.some((m) => m.routingDomainId === t.routingDomainId);
  const policy = policyOf(nat, t.routingDomainId, t.slot, pools, oneToOne);
  return [
    entry('tenants', key32(t.slot), tenant, `NAT of slot ${t.slot}`),
    entry('policies', key32(t.slot), NAT.policy.encode(policy), `NAT policy of slot ${t.slot}`),
  ];
}

const slotIn = (input: NatInput, id: RoutingDomainId): Slot | undefined =>
  input.tenants.find((t) => t.routingDomainId === id)?.slot;
/** Pools of the maps only: what is left out for want of a link must not be named by others. */
const poolAt = (pools: readonly Pool[], address: Address): number | undefined =>
  pools.find((p) => p.address === address)?.index;

function mappingEntries(input: NatInput, pools: readonly Pool[]): readonly Resource<'entry'>[] {
  const inside = new Set<string>();
  return input.netNats.flatMap((n) => [
    ...n.staticMappings.flatMap((m) => {
      const [rdid, pool] = [slotIn(input, m.routingDomainId), poolAt(pools, m.externalIpAddress)];
      if (rdid === undefined || pool === undefined) return [];
      const remote = m.remoteExternalIpAddressPrefix;
      const rest = {
        rdid,
        pool,
        kind: KIND.static,
        flags: 0,
        service: 0,
        remote: remote ? networkOf(remote) : NOWHERE,
        remote_mask: maskOf(remote ? lengthOf(remote) : 0),
      };
      const protocol = PROTOCOL_NUMBER[m.protocol];
      const outer = { rdid: 0, address: m.externalIpAddress, port: m.externalPort, protocol };
      const inner = { rdid, address: m.internalIpAddress, port: m.internalPort, protocol };
      const label = `static mapping ${m.protocol} ${m.externalIpAddress}:${m.externalPort}`;
      const inward = entry(
        'statics',
        NAT.staticKey.encode(outer),
        NAT.static.encode({ ...rest, address: inner.address, port: inner.port }),
        label,
      );
      const outward = entry(
        'statics',
        NAT.staticKey.encode(inner),
        NAT.static.encode({ ...rest, address: outer.address, port: outer.port }),
        label,
      );
      // An inside endpoint of two mappings sends from the first.
      const first = !inside.has(outward.key);
      inside.add(outward.key);
      return first ? [inward, outward] : [inward];
    }),
    ...n.oneToOneMappings.flatMap((m) => {
      const [rdid, pool] = [slotIn(input, m.routingDomainId), poolAt(pools, m.externalIpAddress)];
      if (rdid === undefined || pool === undefined) return [];
      const [outside, host] = [m.externalIpAddress, m.internalIpAddress];
      const label = `one-to-one mapping ${outside}`;
      return [
        entry(
          'one_to_one',
          NAT.hostKey.encode({ rdid: 0, address: outside }),
          NAT.oneToOne.encode({ rdid, address: host, pool }),
          label,
        ),
        entry(
          'one_to_one',
          NAT.hostKey.encode({ rdid, address: host }),
          NAT.oneToOne.encode({ rdid, address: outside, pool }),
          label,
        ),
      ];
    }),
  ]);
}

function serviceEntries(
  input: NatInput,
  pools: readonly Pool[],
  services: readonly Service[],
): readonly Resource<'entry'>[] {
  return services.flatMap(({ index, rule, dips, table }) => {
    const [rdid, pool] = [slotIn(input, rule.routingDomainId), poolAt(pools, rule.frontendIpAddress)];
    if (rdid === undefined || pool === undefined) return [];
    const key = NAT.staticKey.encode({
      rdid: 0,
      address: rule.frontendIpAddress,
      port: rule.frontendPort,
      protocol: PROTOCOL_NUMBER[rule.protocol],
    });
    const value = NAT.static.encode({
      rdid,
      address: NOWHERE,
      port: 0,
      pool,
      kind: KIND.vip,
      flags: rule.loadDistribution === 'SourceIP' ? STATIC_SOURCE_AFFINITY : 0,
      service: index,
      remote: NOWHERE,
      remote_mask: NOWHERE,
    });
    const label = `VIP ${rule.name}`;
    return [
      ...dips.map((d) =>
        entry(
          'dips',
          NAT.dipKey.encode({ service: index, dip: d.index }),
          NAT.dip.encode({ address: d.backend.ipAddress, port: rule.backendPort }),
          `DIP ${d.backend.ipAddress} of ${rule.name}`,
        ),
      ),
      ...(table ? [entry('maglev', key32(index), NAT.maglev.encode({ dip: table }), label)] : []),
      entry('statics', key, value, label),
    ];
  });
}
