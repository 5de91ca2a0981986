/**
 * From the YAML's shape to the runtime's. What could not be read in full is left out, so that the policy rules can judge the
 * rest of a file that has errors; `origins` leads from a runtime object back to its place in the file.
 */
import type {
  Compartment,
  CustomerRoute,
  Encapsulation,
  InternalInterface,
  LookupRecord,
  NetAdapter,
  ProviderAddress,
  ProviderRoute,
  S2sInterface,
  Secret,
  StaticRoute,
  VirtualSubnet,
} from '../compartments/compartment.ts';
import type { HostPort, HostRoutingDomain } from '../compartments/host.ts';
import type { Address, Mac } from '../lib/address.ts';
import { items } from './check/uses.ts';
import type { Path } from './error.ts';
import type { Partly } from './read.ts';
import type { GatewayFile, HostFile } from './schema/roots.ts';

export type Origins = Map<object, Path>;

type GatewayDomain = GatewayFile['RoutingDomain'][number];
type HostDomain = HostFile['RoutingDomain'][number];

/** `02:48:4e` and the three bytes of the VSID: locally administered, unicast, and known to whoever writes the hosts' records. */
export const derivedMac = (vsid: number): Mac =>
  `02:48:4e:${vsid.toString(16).padStart(6, '0').match(/../g)!.join(':')}` as Mac;

const onLink = (hop: Address | undefined): boolean => hop === undefined || hop === '0.0.0.0' || hop === '::';

/** Items with every key that `make` needs, in the runtime's shape; what `make` gives no shape is left out. */
function each<T extends object, R extends object>(
  list: readonly (Partly<T> | undefined)[] | undefined,
  path: Path,
  origins: Origins,
  needs: readonly (keyof T)[],
  make: (item: T) => R | undefined,
): readonly R[] {
  return items(list, path).flatMap(([item, at]) => {
    if (needs.some((key) => (item as Partial<T>)[key] === undefined)) return [];
    const made = make(item as T);
    if (!made) return [];
    origins.set(made, at);
    return [made];
  });
}

type RouteYaml = GatewayDomain['NetVirtualizationCustomerRoute'][number];
type SubnetYaml = GatewayDomain['VirtualSubnet'][number];
type RecordYaml = GatewayDomain['NetVirtualizationLookupRecord'][number];

export const customerRouteOf = (r: RouteYaml): CustomerRoute => ({
  vsid: r.VirtualSubnetID,
  destinationPrefix: r.DestinationPrefix,
  ...(!onLink(r.NextHop) && { nextHop: r.NextHop }),
  metric: r.Metric,
});

export const lookupRecordOf = (r: RecordYaml): LookupRecord => ({
  customerAddress: r.CustomerAddress,
  mac: r.MACAddress,
  vsid: r.VirtualSubnetID,
  providerAddress: r.ProviderAddress,
  rule: r.Rule,
  type: r.Type,
});

const virtualSubnetOf = (s: SubnetYaml): VirtualSubnet => ({
  vsid: s.VirtualSubnetID,
  dynamicLearning: s.DynamicLearning,
  ageingTimeSeconds: s.AgeingTimeSeconds,
  replication: s.Replication,
  dscp: s.DSCP,
});

export const providerAddressOf = (a: GatewayFile['NetVirtualizationProviderAddress'][number]): ProviderAddress => ({
  interfaceAlias: a.InterfaceAlias,
  providerAddress: a.ProviderAddress,
  prefixLength: a.PrefixLength,
  ...(a.VlanID !== undefined && { vlanId: a.VlanID }),
});

export const providerRouteOf = (r: GatewayFile['NetVirtualizationProviderRoute'][number]): ProviderRoute => ({
  interfaceAlias: r.InterfaceAlias,
  destinationPrefix: r.DestinationPrefix,
  nextHop: r.NextHop,
  metric: r.Metric,
});

function policy(d: Partly<GatewayDomain> | Partly<HostDomain>, path: Path, origins: Origins) {
  return {
    customerRoutes: each<RouteYaml, CustomerRoute>(
      d.NetVirtualizationCustomerRoute,
      [...path, 'NetVirtualizationCustomerRoute'],
      origins,
      ['VirtualSubnetID', 'DestinationPrefix', 'NextHop', 'Metric'],
      customerRouteOf,
    ),
    lookupRecords: each<RecordYaml, LookupRecord>(
      d.NetVirtualizationLookupRecord,
      [...path, 'NetVirtualizationLookupRecord'],
      origins,
      ['CustomerAddress', 'MACAddress', 'VirtualSubnetID', 'ProviderAddress', 'Rule', 'Type'],
      lookupRecordOf,
    ),
    virtualSubnets: each<SubnetYaml, VirtualSubnet>(
      d.VirtualSubnet,
      [...path, 'VirtualSubnet'],
      origins,
      ['VirtualSubnetID', 'DynamicLearning', 'AgeingTimeSeconds', 'Replication', 'DSCP'],
      virtualSubnetOf,
    ),
    ...(d.SourceCheck !== undefined && { sourceCheck: d.SourceCheck }),
    ...(d.MaximumLearnedRecords !== undefined && { maximumLearnedRecords: d.MaximumLearnedRecords }),
  };
}

const internalInterface = (i: GatewayDomain['VMNetworkAdapterRoutingDomainMapping'][number]): InternalInterface => ({
  name: i.IsolationName,
  vsid: i.IsolationID,
  addresses: i.IPAddress.filter((a) => a !== undefined),
  mac: i.MACAddress ?? derivedMac(i.IsolationID),
});

const staticRoute = (r: GatewayDomain['NetRoute'][number]): StaticRoute => ({
  destinationPrefix: r.DestinationPrefix,
  ...(r.NextHop && !onLink(r.NextHop) && { nextHop: r.NextHop }),
  interfaceAlias: r.InterfaceAlias,
  metric: r.RouteMetric,
});

const s2sInterface = (t: GatewayDomain['VpnS2SInterface'][number], sharedSecret: Secret): S2sInterface => ({
  name: t.Name,
  adminStatus: t.AdminStatus,
  destination: t.Destination,
  ...(t.SourceIpAddress && { sourceIpAddress: t.SourceIpAddress }),
  authenticationMethod: t.AuthenticationMethod,
  sharedSecret,
  subnets: [...t.IPv4Subnet, ...t.IPv6Subnet],
  persistent: t.Persistent,
  retryIntervalSeconds: t.RetryIntervalSeconds,
  // Counts the dials that somebody asked for; nobody can ask in this version.
  numberOfTries: 0,
  networkOutageTimeSeconds: t.NetworkOutageTimeSeconds,
  saLifeTimeSeconds: t.SALifeTimeSeconds,
  mmSaLifeTimeSeconds: t.MMSALifeTimeSeconds,
});

/** Tunnels whose secret is not in `secretOf` are left out; that is so only when the file has errors. */
export const compartments = (
  doc: Partly<GatewayFile>,
  secretOf: ReadonlyMap<object, Secret>,
  origins: Origins,
): readonly Compartment[] =>
  items(doc.RoutingDomain, ['RoutingDomain']).flatMap(([d, path]) => {
    if (d.Name === undefined || d.RoutingDomainID === undefined) return [];
    const compartment: Compartment = {
      routingDomain: d.Name,
      routingDomainId: d.RoutingDomainID,
      internalInterfaces: each(
        d.VMNetworkAdapterRoutingDomainMapping,
        [...path, 'VMNetworkAdapterRoutingDomainMapping'],
        origins,
        ['IsolationName', 'IsolationID', 'IPAddress'],
        internalInterface,
      ),
      routes: each(
        d.NetRoute,
        [...path, 'NetRoute'],
        origins,
        ['DestinationPrefix', 'InterfaceAlias', 'RouteMetric'],
        staticRoute,
      ),
      s2sInterfaces: each(
        d.VpnS2SInterface,
        [...path, 'VpnS2SInterface'],
        origins,
        ['Name', 'Destination', 'AuthenticationMethod', 'IPv4Subnet', 'IPv6Subnet'],
        (t: GatewayDomain['VpnS2SInterface'][number]) => {
          const sharedSecret = secretOf.get(t);
          return sharedSecret && s2sInterface(t, sharedSecret);
        },
      ),
      ...policy(d, path, origins),
    };
    origins.set(compartment, path);
    return [compartment];
  });

const hostPort = (p: HostDomain['VMNetworkAdapter'][number]): HostPort => ({
  name: p.VMName,
  device: p.Device,
  vsid: p.VirtualSubnetID,
  mac: p.MACAddress,
  addresses: (p.IPAddress ?? []).filter((a) => a !== undefined),
});

export const hostRoutingDomains = (doc: Partly<HostFile>, origins: Origins): readonly HostRoutingDomain[] =>
  items(doc.RoutingDomain, ['RoutingDomain']).flatMap(([d, path]) => {
    if (d.Name === undefined || d.RoutingDomainID === undefined) return [];
    const domain: HostRoutingDomain = {
      routingDomain: d.Name,
      routingDomainId: d.RoutingDomainID,
      ports: each(
        d.VMNetworkAdapter,
        [...path, 'VMNetworkAdapter'],
        origins,
        ['VMName', 'Device', 'VirtualSubnetID', 'MACAddress'],
        hostPort,
      ),
      ...policy(d, path, origins),
    };
    origins.set(domain, path);
    return [domain];
  });

/** The default compartment's part of a file without errors. */
export function defaultCompartmentOf(doc: GatewayFile | HostFile): {
  readonly encapsulation: Encapsulation;
  readonly netAdapters: readonly NetAdapter[];
  readonly providerAddresses: readonly ProviderAddress[];
  readonly providerRoutes: readonly ProviderRoute[];
} {
  return {
    encapsulation: doc.Encapsulation,
    netAdapters: doc.NetAdapter.map((a) => ({
      interfaceAlias: a.InterfaceAlias,
      device: a.Device,
      role: a.Role,
      ...(a.IPAddress && { address: a.IPAddress }),
      ...(a.DefaultGateway && { defaultGateway: a.DefaultGateway }),
      ...(a.Mtu !== undefined && { mtu: a.Mtu }),
    })),
    providerAddresses: doc.NetVirtualizationProviderAddress.map(providerAddressOf),
    providerRoutes: doc.NetVirtualizationProviderRoute.map(providerRouteOf),
  };
}
