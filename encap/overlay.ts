/**
 * From policy to the data plane: the map entries and programs that a gateway or a host needs for its VM networks (R-ENC-3…7,
 * R-ENC-9, R-ENC-10). Pure. Interface indexes and MTUs exist only once the links do; entries that need a link which is not
 * there yet are left out, and the loop asks again.
 */
import type {
  CustomerRoute,
  GatewayConfig,
  LookupRecord,
  NetAdapter,
  ProviderAddress,
  ProviderRoute,
  VirtualSubnet,
  Vsid,
} from '../compartments/compartment.ts';
import type { HostConfig } from '../compartments/host.ts';
import { DEFAULT_SLOT, portOf, type Slot } from '../compartments/numbers.ts';
import { ROUTER_MAC } from '../compartments/policy.ts';
import { isPlain } from '../compartments/policy-plain.ts';
import type { AnyResource, Resource } from '../compartments/resource.ts';
import { type Address, familyOf, type Mac, NO_MAC } from '../lib/address.ts';
import { type Covering, covering, routerOf } from '../lib/prefix.ts';
import {
  type Encapsulation,
  encodeAddress,
  encodePort,
  encodeRoute,
  encodeRouteKey,
  encodeSubnet,
  encodeTunnel,
  encodeTunnelKey,
  encodeU32,
  LOCATION_DSCP,
  LOCATION_DSCP_SHIFT,
  LOCATION_DYNAMIC,
  LOCATION_IPV6,
  LOCATION_LEARN,
  LOCATION_PEER,
  LOCATION_PLAIN,
  LOCATION_ROUTED,
  LOCATION_ROUTER,
  type Location,
  NO_ADDRESS,
  NO_VSID,
  overhead,
  PORT_GATEWAY,
  PROGRAMS,
  PROVIDER_LOCAL,
  PROVIDER_PEER,
  PROVIDER_VXLAN,
  ROUTE_VIA,
  TUNNEL_CHECK,
  TUNNEL_NVGRE,
  TUNNEL_PLAIN,
  TUNNEL_UNIFORM,
  TUNNEL_VXLAN,
  VLAN_SHIFT,
  VSID_LEARN,
  VSID_REPLICATE,
} from './abi.ts';
import { entry, type LocationEntries, PackedLocations, SingleLocations } from './location-entries.ts';
import { MAX_MTU, type PathsTo, pathsOf, sends } from './provider-paths.ts';
import { type Machines, machinesOf, replicaEntries } from './replicas.ts';

/** A link of the machine's own namespace. `peer` = a veth whose other end is in another namespace. */
export interface Link {
  readonly index: number;
  readonly mtu: number;
  readonly peer: boolean;
}

/** A link as the kernel's link dump tells of it. */
export const overlayLink = (l: { index: number; mtu: number; kind?: string; peerNetnsId?: number }): Link => ({
  index: l.index,
  mtu: l.mtu,
  peer: l.kind === 'veth' && l.peerNetnsId !== undefined,
});

/** A port of the virtual switch: a VM's NIC on a host, an internal interface on the gateway. */
export interface OverlayPort {
  readonly name: string;
  readonly device: string;
  readonly vsid: Vsid;
  readonly mac: Mac;
  readonly addresses: readonly Address[];
  readonly gateway: boolean;
}

/** A VM network on this machine. */
export interface OverlayDomain {
  readonly name: string;
  readonly slot: Slot;
  readonly ports: readonly OverlayPort[];
  readonly customerRoutes: readonly CustomerRoute[];
  readonly lookupRecords: readonly LookupRecord[];
  /** Those that do more than to forward by policy. */
  readonly virtualSubnets?: readonly VirtualSubnet[];
  readonly sourceCheck?: boolean;
  /** What the whole VM network names, when the lists hold a part of it only. */
  readonly named?: {
    readonly vsids: readonly Vsid[];
    readonly peers: readonly Address[];
    readonly machines: Machines;
    readonly ports: readonly OverlayPort[];
  };
}

export interface OverlayInput {
  readonly netAdapters: readonly NetAdapter[];
  readonly providerAddresses: readonly ProviderAddress[];
  readonly providerRoutes: readonly ProviderRoute[];
  readonly domains: readonly OverlayDomain[];
  /** What this machine sends; NVGRE when absent. */
  readonly encapsulation?: Encapsulation;
  /** What it takes; only what it sends when absent. */
  readonly decapsulation?: readonly Encapsulation[];
  /** Kernel program tags by program name (hex). */
  readonly tags: Readonly<Record<string, string>>;
  link(device: string): Link | undefined;
}

/** The gateway's VM networks: every internal interface is a port `p<slot>-<n>`. */
export const gatewayDomains = (
  config: GatewayConfig,
  slotOf: (c: GatewayConfig['compartments'][number]) => Slot,
): readonly OverlayDomain[] =>
  config.compartments.map((c) => {
    const slot = slotOf(c);
    return {
      name: c.routingDomain,
      slot,
      ports: c.internalInterfaces.map((i, n) => ({
        name: i.name,
        device: portOf(slot, n),
        vsid: i.vsid,
        mac: i.mac,
        addresses: i.addresses.map((a) => a.address),
        gateway: true,
      })),
      customerRoutes: c.customerRoutes,
      get lookupRecords() {
        return c.lookupRecords;
      },
      ...(c.virtualSubnets && { virtualSubnets: c.virtualSubnets }),
      ...(c.sourceCheck !== undefined && { sourceCheck: c.sourceCheck }),
    };
  });

/** A host's VM networks: every VM's NIC is a port. */
export const hostDomains = (
  config: HostConfig,
  slotOf: (d: HostConfig['routingDomains'][number]) => Slot,
): readonly OverlayDomain[] =>
  config.routingDomains.map((d) => ({
    name: d.routingDomain,
    slot: slotOf(d),
    ports: d.ports.map((p) => ({ ...p, gateway: false })),
    customerRoutes: d.customerRoutes,
    get lookupRecords() {
      return d.lookupRecords;
    },
    ...(d.virtualSubnets && { virtualSubnets: d.virtualSubnets }),
    ...(d.sourceCheck !== undefined && { sourceCheck: d.sourceCheck }),
  }));

const takes = (input: OverlayInput): readonly Encapsulation[] => input.decapsulation ?? [sends(input)];

const filter = (input: OverlayInput, device: string, program: string, slot: Slot): AnyResource => {
  const direction = program === PROGRAMS.tag ? 'egress' : 'ingress';
  return {
    kind: 'filter',
    key: `${device} ${direction}`,
    slot,
    spec: { device, direction, program, tag: input.tags[program] ?? '' },
    label: `${program} on ${device}`,
  };
};

/** A VM network with its answers to what every record asks. */
interface Domain extends OverlayDomain {
  /** Prefixes that are on-link in a virtual subnet. */
  readonly onLink: ReadonlyMap<Vsid, readonly Covering[]>;
  readonly portsByMac: ReadonlyMap<Mac, readonly OverlayPort[]>;
}

function indexed(d: OverlayDomain): Domain {
  const onLink = new Map<Vsid, Covering[]>();
  for (const { vsid, nextHop, destinationPrefix } of d.customerRoutes)
    if (nextHop === undefined) onLink.set(vsid, [...(onLink.get(vsid) ?? []), covering(destinationPrefix)]);
  return { ...d, onLink, portsByMac: Map.groupBy(d.ports, (p) => p.mac) };
}

const routedFlag = (d: Domain, vsid: Vsid, address: Address): number =>
  d.onLink.get(vsid)?.some((covers) => covers(address)) ? LOCATION_ROUTED : 0;

/** A place in the VM network with the address under which it is known; L2Only and GatewayWildcard records have none. */
interface Place {
  readonly address: Address | undefined;
  readonly location: Location;
}

const portLocation = (d: Domain, port: OverlayPort, link: Link, address?: Address): Location => ({
  rdid: d.slot,
  vsid: port.vsid,
  port: link.index,
  uplink: 0,
  flags: (link.peer ? LOCATION_PEER : 0) | (address === undefined ? 0 : routedFlag(d, port.vsid, address)),
  mtu: Math.min(link.mtu, MAX_MTU),
  mac: port.mac,
  destination: NO_ADDRESS,
  source: NO_ADDRESS,
  nextHop: NO_ADDRESS,
});

function portPlaces(d: Domain, port: OverlayPort, link: Link): readonly Place[] {
  if (port.addresses.length === 0) return [{ address: undefined, location: portLocation(d, port, link) }];
  return port.addresses.map((address) => ({ address, location: portLocation(d, port, link, address) }));
}

/** What the data path must know of a record's type: where addresses are learned, and which were. */
const typeFlag = (r: LookupRecord): number =>
  r.type === 'L2Only' ? LOCATION_LEARN : r.type === 'Dynamic' ? LOCATION_DYNAMIC : 0;

const subnetOf = (d: OverlayDomain, vsid: Vsid): VirtualSubnet | undefined =>
  d.virtualSubnets?.find((s) => s.vsid === vsid);

/** The outer DSCP of what goes to a virtual subnet, when it is not the tenant's. */
function dscpFlag(d: OverlayDomain, vsid: Vsid): number {
  const dscp = subnetOf(d, vsid)?.dscp;
  return typeof dscp === 'number' ? LOCATION_DSCP | (dscp << LOCATION_DSCP_SHIFT) : 0;
}

/** Undefined when nothing can be sent there: no such link yet, no path, our own address without a port. */
function recordPlace(input: OverlayInput, to: PathsTo, d: Domain, r: LookupRecord): Place | undefined {
  const address = r.type === 'L2Only' || r.type === 'GatewayWildcard' ? undefined : r.customerAddress;
  const flags = routedFlag(d, r.vsid, r.customerAddress);
  if (r.mac === ROUTER_MAC) {
    const none = { destination: NO_ADDRESS, source: NO_ADDRESS, nextHop: NO_ADDRESS };
    const base = { rdid: d.slot, vsid: r.vsid, port: 0, uplink: 0, mtu: 0, mac: r.mac };
    return { address, location: { ...base, ...none, flags: flags | LOCATION_ROUTER } };
  }
  // A local port is the truth about its adapter, whatever the record says; further records give it further addresses.
  // Without its device the VM is on its way here, or has left for where the record says.
  const port = d.portsByMac.get(r.mac)?.find((p) => p.vsid === r.vsid);
  const link = port && input.link(port.device);
  if (port && link) {
    const location = portLocation(d, port, link, address);
    return { address, location: { ...location, flags: location.flags | typeFlag(r) } };
  }
  const path = to(r.providerAddress);
  if (!path) return undefined;
  const destination = r.providerAddress;
  const plain = r.rule === 'TranslationMethodNone';
  // Field by field: copying objects takes longer than all the rest, a million times.
  const location = {
    rdid: d.slot,
    vsid: r.vsid,
    port: 0,
    uplink: path.uplink,
    flags:
      flags | (plain ? LOCATION_PLAIN | (path.flags & LOCATION_IPV6) : path.flags | dscpFlag(d, r.vsid)) | typeFlag(r),
    mtu: plain ? path.mtu + overhead(sends(input), familyOf(destination)) : path.mtu,
    mac: r.mac,
    destination,
    source: path.source,
    nextHop: path.nextHop,
  };
  return { address, location };
}

/**
 * A GatewayWildcard record says where every address of the gateway's virtual subnet is that no other record names; those that
 * anybody asks for are the next hops of customer routes (R-ENC-9).
 */
function wildcardPlaces(input: OverlayInput, to: PathsTo, d: Domain): readonly Place[] {
  return d.lookupRecords
    .filter((r) => r.type === 'GatewayWildcard')
    .flatMap((r) => {
      const hops = d.customerRoutes.flatMap((c) =>
        c.vsid === r.vsid && c.nextHop !== undefined && familyOf(c.nextHop) === familyOf(r.customerAddress)
          ? [c.nextHop]
          : [],
      );
      return [...new Set(hops)].flatMap((address) => {
        const place = recordPlace(input, to, d, { ...r, customerAddress: address });
        return place
          ? [{ address, location: { ...place.location, flags: place.location.flags | routedFlag(d, r.vsid, address) } }]
          : [];
      });
    });
}

function routeEntries(d: OverlayDomain, records: ReadonlyMap<Address, Location>): readonly Resource<'entry'>[] {
  const best = new Map<string, CustomerRoute>();
  for (const r of d.customerRoutes) {
    const other = best.get(r.destinationPrefix);
    if (!other || r.metric < other.metric) best.set(r.destinationPrefix, r);
  }
  return [...best.values()].map((r) => {
    const via = r.nextHop === undefined ? undefined : records.get(r.nextHop);
    const value = encodeRoute({
      flags: r.nextHop === undefined ? 0 : ROUTE_VIA,
      vsid: r.vsid,
      router: r.nextHop === undefined ? routerOf(r.destinationPrefix) : NO_ADDRESS,
      ...(via && { via }),
    });
    const label = `customer route ${d.name} ${r.destinationPrefix}`;
    return entry('routes', encodeRouteKey(d.slot, r.destinationPrefix), value, label);
  });
}

function portEntry(d: OverlayDomain, port: OverlayPort, link: Link): Resource<'entry'> {
  const value = encodePort({
    rdid: d.slot,
    vsid: port.vsid,
    flags: port.gateway ? PORT_GATEWAY : 0,
    mtu: Math.min(link.mtu, MAX_MTU),
    mac: port.mac,
    address: port.addresses.find((a) => familyOf(a) === 4) ?? port.addresses[0] ?? NO_ADDRESS,
  });
  return entry('ports', encodeU32(link.index), value, `port ${d.name} ${port.name}`);
}

/** Virtual subnets that anything of a VM network names. */
function vsidsOf({ ports, customerRoutes, lookupRecords, named }: OverlayDomain): readonly Vsid[] {
  if (named) return named.vsids;
  const vsids = new Set<Vsid>();
  for (const list of [ports, customerRoutes, lookupRecords]) for (const { vsid } of list) vsids.add(vsid);
  return [...vsids];
}

/** Provider addresses that the records of a VM network name as ends of tunnels. */
function peersOf({ lookupRecords, named }: OverlayDomain): readonly Address[] {
  if (named) return named.peers;
  const peers = new Set<Address>();
  for (const r of lookupRecords)
    if (!peers.has(r.providerAddress) && r.mac !== ROUTER_MAC && !isPlain(r)) peers.add(r.providerAddress);
  return [...peers];
}

const vlanFlag = (vlan = 0): number => vlan << VLAN_SHIFT;

/** Who may send into the VM network: every provider address that its records name, to each of ours, in each of its subnets. */
function tunnelEntries(input: OverlayInput, d: OverlayDomain, vsids: readonly Vsid[]): readonly Resource<'entry'>[] {
  const ours = new Set(input.providerAddresses.map((p) => p.providerAddress));
  const taken = takes(input).reduce((sum, e) => sum | (e === 'NVGRE' ? TUNNEL_NVGRE : TUNNEL_VXLAN), 0);
  const uniform = (vsid: Vsid) => (subnetOf(d, vsid)?.dscp === 'Uniform' ? TUNNEL_UNIFORM : 0);
  const checked = d.sourceCheck ? TUNNEL_CHECK : 0;
  const peers = peersOf(d);
  return vsids.flatMap((vsid) =>
    peers
      .filter((peer) => !ours.has(peer))
      .flatMap((peer) =>
        input.providerAddresses
          .filter((own) => familyOf(own.providerAddress) === familyOf(peer))
          .map((own) =>
            entry(
              'tunnels',
              encodeTunnelKey(vsid, peer, own.providerAddress),
              encodeTunnel({ rdid: d.slot, flags: taken | uniform(vsid) | checked | vlanFlag(own.vlanId) }),
              `tunnel ${d.name} ${vsid} from ${peer}`,
            ),
          ),
      ),
  );
}

/** Which addresses of the provider network are the tenant's without encapsulation. */
const plainEntries = (to: PathsTo, d: OverlayDomain): readonly Resource<'entry'>[] =>
  d.lookupRecords
    .filter((r) => r.rule === 'TranslationMethodNone' && r.mac !== ROUTER_MAC)
    .map((r) =>
      entry(
        'tunnels',
        encodeTunnelKey(NO_VSID, r.customerAddress, NO_ADDRESS),
        encodeTunnel({ rdid: d.slot, flags: TUNNEL_PLAIN | vlanFlag(to(r.providerAddress)?.vlan) }),
        `unencapsulated ${d.name} ${r.customerAddress}`,
      ),
    );

const subnetFlags = (d: OverlayDomain, vsid: Vsid): number => {
  const subnet = subnetOf(d, vsid);
  return (subnet?.dynamicLearning ? VSID_LEARN : 0) | (subnet?.replication ? VSID_REPLICATE : 0);
};

interface PortLink {
  readonly port: OverlayPort;
  readonly link: Link;
}

/** Where a machine is as a whole, for what is for all of a virtual subnet. */
function machineLocation(to: PathsTo, d: Domain, vsid: Vsid, peer: Address): Location | undefined {
  const path = to(peer);
  return (
    path && {
      ...{ rdid: d.slot, vsid, port: 0, uplink: path.uplink, flags: path.flags | dscpFlag(d, vsid), mtu: path.mtu },
      ...{ mac: NO_MAC, destination: peer, source: path.source, nextHop: path.nextHop },
    }
  );
}

/** Of the virtual subnets that send what is for many to all of their places (R-ENC-8, R-ENC-12). */
function replicasOf(input: OverlayInput, to: PathsTo, d: Domain, vsids: readonly Vsid[]): readonly Resource<'entry'>[] {
  const replicating = vsids.filter((vsid) => subnetFlags(d, vsid));
  if (replicating.length === 0) return [];
  const machines = d.named?.machines ?? machinesOf(d.lookupRecords);
  return replicating.flatMap((vsid) => {
    const local = (d.named?.ports ?? d.ports).flatMap((port) => {
      const link = port.vsid === vsid ? input.link(port.device) : undefined;
      return link ? [{ ...portLocation(d, port, link), mac: NO_MAC }] : [];
    });
    const away = machines.get(vsid) ?? new Map();
    return replicaEntries(d.name, vsid, local, away, (peer) => machineLocation(to, d, vsid, peer));
  });
}

/** One by one: there may be a million. */
function* placesOf(input: OverlayInput, to: PathsTo, d: Domain, ports: readonly PortLink[]): Generator<Place> {
  for (const { port, link } of ports) yield* portPlaces(d, port, link);
  for (const r of d.lookupRecords) {
    const place = recordPlace(input, to, d, r);
    if (place) yield place;
  }
  yield* wildcardPlaces(input, to, d);
}

function domainResources(
  input: OverlayInput,
  to: PathsTo,
  domain: OverlayDomain,
  locations: LocationEntries,
): readonly AnyResource[] {
  const d = indexed(domain);
  const ports = d.ports.flatMap((port) => {
    const link = input.link(port.device);
    return link ? [{ port, link }] : [];
  });
  const records = new Map<Address, Location>(); // that routes lead through
  const hops = new Set(d.customerRoutes.map((r) => r.nextHop));
  const asked: Location[] = [];
  for (const { address, location } of placesOf(input, to, d, ports)) {
    if (address !== undefined && locations.record(d.name, d.slot, address, location) && hops.has(address))
      records.set(address, location);
    // What was heard of a MAC is newer than where its L2Only record places it: a VM that moved is followed.
    if (location.flags & LOCATION_LEARN) asked.push(location);
    else if (location.mac !== ROUTER_MAC) locations.mac(d.name, location);
  }
  for (const location of asked) locations.mac(d.name, location);
  const vsids = vsidsOf(d);
  return [
    // Only our own links lead back to a tenant by their name; a VM's device belongs to the host. Ours get their program as soon
    // as they are made, and are up only with it; a VM's device may be away.
    ...d.ports
      .filter((port) => port.gateway || input.link(port.device))
      .map((port) => filter(input, port.device, PROGRAMS.port, port.gateway ? d.slot : DEFAULT_SLOT)),
    ...ports.map(({ port, link }) => portEntry(d, port, link)),
    ...vsids.map((vsid) =>
      entry(
        'vsids',
        encodeU32(vsid),
        encodeSubnet({ rdid: d.slot, flags: subnetFlags(d, vsid) }),
        `virtual subnet ${d.name} ${vsid}`,
      ),
    ),
    ...replicasOf(input, to, d, vsids),
    ...routeEntries(d, records),
    ...tunnelEntries(input, d, vsids),
    ...plainEntries(to, d),
  ];
}

/** What the machine has for all tenants together; these belong to the default slot. */
function sharedResources(input: OverlayInput, to: PathsTo): readonly AnyResource[] {
  const flags = new Map<Address, number>();
  const add = (address: Address, flag: number) => flags.set(address, (flags.get(address) ?? 0) | flag);
  const local = PROVIDER_LOCAL | (takes(input).includes('VXLAN') ? PROVIDER_VXLAN : 0);
  for (const p of input.providerAddresses) add(p.providerAddress, local | vlanFlag(p.vlanId));
  for (const peer of new Set(input.domains.flatMap(peersOf))) {
    const path = to(peer);
    add(peer, PROVIDER_PEER | vlanFlag(path?.vlan));
    // The neighbour that is asked for on the way there.
    if (path?.vlan && path.nextHop !== peer) add(path.nextHop, vlanFlag(path.vlan));
  }
  const uplinks = input.netAdapters.filter((a) =>
    input.providerAddresses.some((p) => p.interfaceAlias === a.interfaceAlias),
  );
  return [
    ...uplinks.filter((a) => input.link(a.device)).map((a) => filter(input, a.device, PROGRAMS.wire, DEFAULT_SLOT)),
    ...uplinks
      .filter((a) => input.link(a.device))
      .filter((a) => input.providerAddresses.some((p) => p.interfaceAlias === a.interfaceAlias && p.vlanId))
      .map((a) => filter(input, a.device, PROGRAMS.tag, DEFAULT_SLOT)),
    ...[...flags].map(([address, flag]) =>
      entry('providers', encodeAddress(address), encodeU32(flag), `provider address ${address}`),
    ),
  ];
}

/**
 * Everything the overlay needs on this machine; callers take the slots they want. Packed = the entries of RECORD_MAPS are one
 * resource of kind `entries` for each map.
 */
export function overlayResources(input: OverlayInput, packed = false): readonly AnyResource[] {
  const to = pathsOf(input);
  const rows = input.domains.reduce((sum, d) => sum + d.lookupRecords.length + d.ports.length, 1);
  const locations = packed ? new PackedLocations(rows) : new SingleLocations();
  const resources = [...sharedResources(input, to)];
  for (const d of input.domains) for (const r of domainResources(input, to, d, locations)) resources.push(r);
  for (const r of locations.resources()) resources.push(r);
  return resources;
}
