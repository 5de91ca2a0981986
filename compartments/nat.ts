/**
 * What the file says about NAT and load balancing, as plain immutable data (R-NAT-1…6). Nouns and names are NetNat's where
 * NetNat has them; quotas, one-to-one mappings, ordered policy and the load balancer's rules are ours, in the terms of RFC 6888
 * and of the software load balancer's cmdlets. NAT44 only: every address here is IPv4.
 */
import type { Address } from '../lib/address.ts';
import type { Prefix } from '../lib/prefix.ts';
import type { RoutingDomainId } from './compartment.ts';

/** RFC 4787 §5: who may send to a mapping from outside. */
export type FilteringBehavior =
  | 'EndpointIndependentFiltering'
  | 'AddressDependentFiltering'
  | 'AddressAndPortDependentFiltering';

export type NatProtocol = 'TCP' | 'UDP';

/** NetNatExternalAddress: the ports of one address that are given to tenants, in blocks. */
export interface NatExternalAddress {
  readonly ipAddress: Address;
  readonly portStart: number; // 1024 … 65534
  readonly portEnd: number; // inclusive, above portStart
  /** Empty = every tenant of the instance. */
  readonly routingDomainIds: readonly RoutingDomainId[];
}

/** NetNatStaticMapping. */
export interface NatStaticMapping {
  readonly routingDomainId: RoutingDomainId;
  readonly protocol: NatProtocol;
  readonly externalIpAddress: Address;
  readonly externalPort: number;
  readonly internalIpAddress: Address;
  readonly internalPort: number;
  /** Who may use it from outside; absent = everybody. */
  readonly remoteExternalIpAddressPrefix?: Prefix;
}

/** All ports and protocols that NAT carries of one address belong to one inside host. */
export interface NatOneToOneMapping {
  readonly routingDomainId: RoutingDomainId;
  readonly externalIpAddress: Address;
  readonly internalIpAddress: Address;
}

export type NatPolicyAction = 'Translate' | 'OneToOne' | 'Drop';

/** One rule of the ordered policy of new flows from inside; the first that matches the destination decides. */
export interface NatPolicyRule {
  /** Absent = every tenant of the instance. */
  readonly routingDomainId?: RoutingDomainId;
  readonly destinationPrefix: Prefix;
  readonly action: NatPolicyAction;
  /** Of Translate: the external addresses to choose from; empty = all that the tenant may use. */
  readonly externalIpAddresses: readonly Address[];
}

/** Limits of one tenant and of each of its hosts (RFC 6888 REQ-4). Absent = computed, or no limit where nothing is computed. */
export interface NatQuota {
  readonly portBlocks?: number;
  readonly sessions?: number;
  readonly sessionsPerHost?: number;
  readonly portsPerHost?: number;
  readonly newSessionsPerSecond?: number;
  readonly newSessionsPerSecondPerHost?: number;
}

/** NetNatQuota; without tenant it is what every tenant of the instance has that has none of its own. */
export interface NatTenantQuota extends NatQuota {
  readonly routingDomainId?: RoutingDomainId;
}

/** A DIP: a tenant's host that serves a VIP. */
export interface LoadBalancerBackend {
  readonly ipAddress: Address;
  readonly weight: number; // 1 … 100
  /** It keeps the flows that it has and gets no new ones. */
  readonly draining: boolean;
}

/** LoadBalancerProbe: how the health of a DIP is found out, from inside the compartment. */
export interface LoadBalancerProbe {
  readonly protocol: 'TCP' | 'HTTP';
  readonly port: number;
  readonly requestPath: string; // of HTTP
  readonly intervalSeconds: number;
  /** Answers in a row that change the state, either way. */
  readonly numberOfProbes: number;
}

/** LoadBalancingRule: VIP:port outside to DIP:port in the VM network (R-NAT-6). */
export interface LoadBalancingRule {
  readonly name: string; // unique on the gateway
  readonly routingDomainId: RoutingDomainId;
  readonly protocol: NatProtocol;
  readonly frontendIpAddress: Address;
  readonly frontendPort: number;
  readonly backendPort: number;
  /** `Default` spreads by the whole flow, `SourceIP` sends a client to one DIP. */
  readonly loadDistribution: 'Default' | 'SourceIP';
  readonly backends: readonly LoadBalancerBackend[];
  readonly probe?: LoadBalancerProbe;
}

/** What the gateway itself listens on at its own external addresses; never given to a tenant. */
export const GATEWAY_PORTS = [
  { protocol: 'UDP', port: 500, service: 'IKE' },
  { protocol: 'UDP', port: 4500, service: 'IKE and ESP behind NAT' },
] as const satisfies readonly { readonly protocol: NatProtocol; readonly port: number; readonly service: string }[];

/** What the data plane has room for, over all instances; compared with `nat/abi.ts` by a test. */
export const NAT_ROOM = {
  tenants: 8190,
  portBlocks: 16_384,
  externalAddresses: 1024,
  /** Two of a static mapping, one of a load-balancing rule. */
  endpoints: 131_072,
  services: 1024,
  dips: 65_536,
} as const;

/** NetNat: one set of external addresses, and for whom and how they are used. */
export interface NetNat {
  readonly name: string;
  /** Selects the external adapter: the one whose address lies in it. */
  readonly externalIpInterfaceAddressPrefix: Prefix;
  /** The only tenant of the instance; absent = every tenant that has no instance of its own. */
  readonly internalRoutingDomainId?: RoutingDomainId;
  readonly icmpQueryTimeout: number; // s
  readonly tcpEstablishedConnectionTimeout: number; // s
  readonly tcpTransientConnectionTimeout: number; // s
  readonly udpIdleSessionTimeout: number; // s
  readonly tcpFilteringBehavior: FilteringBehavior;
  readonly udpFilteringBehavior: FilteringBehavior;
  /** RFC 4787 REQ-6: packets from outside keep a UDP session as well. */
  readonly udpInboundRefresh: boolean;
  readonly portBlockSize: number;
  /** RFC 6888 REQ-8: for how long a port that was used is not given to anybody. */
  readonly portQuarantineSeconds: number;
  readonly externalAddresses: readonly NatExternalAddress[];
  readonly staticMappings: readonly NatStaticMapping[];
  readonly oneToOneMappings: readonly NatOneToOneMapping[];
  readonly policy: readonly NatPolicyRule[];
  readonly quotas: readonly NatTenantQuota[];
  readonly loadBalancingRules: readonly LoadBalancingRule[];
}

/** The instance that translates for a tenant: its own, else the one of every tenant. */
export const netNatOf = (instances: readonly NetNat[], tenant: RoutingDomainId): NetNat | undefined =>
  instances.find((n) => n.internalRoutingDomainId === tenant) ??
  instances.find((n) => n.internalRoutingDomainId === undefined);
