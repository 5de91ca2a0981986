/**
 * The kernel resources of one compartment: namespace, interfaces, addresses, routes (R-CMP-1…5, R-S2S-3). The overlay's map
 * entries and charon's connections are added by their own features.
 */
import type { Prefix } from '../lib/prefix.ts';
import type { Compartment, StaticRoute } from './compartment.ts';
import { netnsOf, portOf, type Slot } from './numbers.ts';
import type { AnyResource, Netns, Resource, Specs } from './resource.ts';

/**
 * Metric of the routes that end every path a compartment must not fall out of: lowest preference the kernel has below its own
 * 0xffffffff, so any configured or learned route wins.
 *
 * They are of type throw: the lookup ends as if the table had no route, since no table follows the main one. The sender hears
 * ICMP "network unreachable" (RFC 1812 §5.2.7.1), and the kernel counts the packet of either family as one without a route,
 * which it does not for IPv4 packets that meet an unreachable route. Forwarded packets pay nothing for it.
 */
export const GUARD_METRIC = 0xfffffff0;

/** Room for ESP over IPv4 or IPv6 with NAT-T inside 1500 bytes; measured maxima are 1446, 1438 and 1426. */
export const XFRM_MTU = 1400;

const COMPARTMENT_SYSCTLS: Readonly<Record<string, string>> = {
  'net.ipv4.ip_forward': '1',
  'net.ipv6.conf.all.forwarding': '1',
  // A tenant's two sites may both reach a prefix: asymmetric paths are legal inside a compartment.
  'net.ipv4.conf.all.rp_filter': '0',
  'net.ipv4.conf.default.rp_filter': '0',
  'net.ipv4.conf.all.accept_redirects': '0',
  'net.ipv4.conf.default.accept_redirects': '0',
  'net.ipv4.conf.all.send_redirects': '0',
  'net.ipv4.conf.default.send_redirects': '0',
  'net.ipv4.conf.all.accept_source_route': '0',
  'net.ipv6.conf.all.accept_ra': '0',
  'net.ipv6.conf.default.accept_ra': '0',
  'net.ipv6.conf.all.accept_redirects': '0',
  'net.ipv6.conf.default.accept_redirects': '0',
};

/** The default compartment never forwards: what is not IKE, ESP or NVGRE for us ends there. */
const DEFAULT_SYSCTLS: Readonly<Record<string, string>> = {
  'net.ipv4.ip_forward': '0',
  'net.ipv6.conf.all.forwarding': '0',
  // An address is answered for only on its own NIC: no tenant port learns of the public or provider address.
  'net.ipv4.conf.all.arp_ignore': '1',
};

const sysctlsOf = (netns: Netns): Readonly<Record<string, string>> =>
  netns === '' ? DEFAULT_SYSCTLS : COMPARTMENT_SYSCTLS;

/** Names of the settings that we set in a namespace: what the hand must read back. */
export const sysctlNames = (netns: Netns): readonly string[] => Object.keys(sysctlsOf(netns));

export const sysctlResources = (slot: Slot, netns: Netns): readonly AnyResource[] =>
  Object.entries(sysctlsOf(netns)).map(([name, value]) => ({
    kind: 'sysctl',
    key: `${netns} ${name}`,
    slot,
    spec: { netns, name, value },
  }));

export interface CompartmentState {
  readonly slot: Slot;
  /** Names of S2S interfaces whose tunnel is up. */
  readonly up: ReadonlySet<string>;
  ifId(name: string): number;
  /** MTU of the provider path less the overlay's header, bytes. */
  readonly innerMtu: number;
}

export function routeResource(slot: Slot, spec: Specs['route']): Resource<'route'> {
  return { kind: 'route', key: `${spec.netns} ${spec.prefix} ${spec.metric}`, slot, spec };
}

export function addressResource(slot: Slot, spec: Specs['address']): Resource<'address'> {
  return { kind: 'address', key: `${spec.netns} ${spec.device} ${spec.address}/${spec.prefixLength}`, slot, spec };
}

const hasNextHop = (r: Resource<'route'>): boolean => r.spec.nextHop !== undefined;

const guard = (slot: Slot, netns: Netns, prefix: Prefix): AnyResource =>
  routeResource(slot, { netns, prefix, metric: GUARD_METRIC, type: 'throw' });

const staticRoute = (slot: Slot, netns: Netns, r: StaticRoute): Resource<'route'> =>
  routeResource(slot, {
    netns,
    prefix: r.destinationPrefix,
    metric: r.metric,
    type: 'unicast',
    device: r.interfaceAlias,
    ...(r.nextHop && { nextHop: r.nextHop }),
  });

export function compartmentResources(c: Compartment, state: CompartmentState): readonly AnyResource[] {
  const { slot, up } = state;
  const netns = netnsOf(slot);
  const usable = (alias: string) => c.internalInterfaces.some((i) => i.name === alias) || up.has(alias);
  const guarded = new Set(
    ['0.0.0.0/0' as Prefix, '::/0' as Prefix].concat(c.s2sInterfaces.flatMap((i) => i.subnets.map((s) => s.prefix))),
  );
  const routes = new Map<string, Resource<'route'>>();
  for (const r of c.routes.filter((x) => usable(x.interfaceAlias))) {
    const resource = staticRoute(slot, netns, r);
    routes.set(resource.key, resource);
  }
  for (const i of c.s2sInterfaces.filter((x) => up.has(x.name)))
    for (const { prefix, metric } of i.subnets) {
      const resource = routeResource(slot, { netns, prefix, metric, type: 'unicast', device: i.name });
      // Two tunnels with the same prefix and metric: the first configured carries it, the other takes over when it falls.
      if (!routes.has(resource.key)) routes.set(resource.key, resource);
    }
  return [
    { kind: 'netns', key: netns, slot, spec: {}, label: `compartment ${slot} ${c.routingDomain}` },
    ...sysctlResources(slot, netns),
    ...c.internalInterfaces.map(
      (i, index): AnyResource => ({
        kind: 'veth',
        key: portOf(slot, index),
        slot,
        spec: { netns, port: portOf(slot, index), name: i.name, mac: i.mac, mtu: state.innerMtu },
        label: `interface ${c.routingDomain}/${i.name}`,
      }),
    ),
    ...c.s2sInterfaces.map(
      (i): AnyResource => ({
        kind: 'xfrm',
        key: i.name,
        slot,
        spec: { netns, name: i.name, ifId: state.ifId(i.name), mtu: XFRM_MTU, up: up.has(i.name) },
        label: `interface ${c.routingDomain}/${i.name}`,
      }),
    ),
    ...c.internalInterfaces.flatMap((i) =>
      i.addresses.map((a) => addressResource(slot, { netns, device: i.name, ...a })),
    ),
    ...[...guarded].map((prefix) => guard(slot, netns, prefix)),
    // A next hop may be reachable only through an on-link route, so those come first.
    ...[...routes.values()].sort((a, b) => Number(hasNextHop(a)) - Number(hasNextHop(b))),
  ];
}
