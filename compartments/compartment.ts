/**
 * Concept 1, the compartment: a tenant's routing domain as plain immutable data (R-CMP-1). This is the runtime shape; the
 * YAML's shape ends in `config/resolve.ts`. Property names stay close to the cmdlets' so that one word serves YAML, code,
 * logs and CLI.
 */
import type { Address, Mac } from '../lib/address.ts';
import type { Prefix } from '../lib/prefix.ts';
import type { NetNat } from './nat.ts';

/** `{11111111-2222-3333-4444-000000000001}`, lower case, with braces. */
export type RoutingDomainId = string & { readonly __rdid: true };

/** 4096 … 16777214 (R-ENC, RFC 7637 §3.2 reserves the rest). */
export type Vsid = number;

/** VMNetworkAdapterRoutingDomainMapping: joins a compartment and a virtual subnet (R-CMP-2). */
export interface InternalInterface {
  readonly name: string; // IsolationName, the interface alias inside the compartment
  readonly vsid: Vsid; // IsolationID
  readonly addresses: readonly { readonly address: Address; readonly prefixLength: number }[];
  readonly mac: Mac;
}

/** NetRoute (R-CMP-5). */
export interface StaticRoute {
  readonly destinationPrefix: Prefix;
  readonly nextHop?: Address; // absent = on-link
  readonly interfaceAlias: string;
  readonly metric: number;
}

/** `10.1.0.0/24:100` of IPv4Subnet and its relatives. */
export interface SubnetMetric {
  readonly prefix: Prefix;
  readonly metric: number;
}

/** Secret text that never prints: `String()`, JSON and util.inspect give `<secret>`; `reveal()` is called by the hands only. */
export interface Secret {
  reveal(): string;
}

/** VpnS2SInterface, the part that this version serves: IKEv2 with a pre-shared key (R-S2S-1…3). */
export interface S2sInterface {
  readonly name: string; // unique on the gateway: connection, child and interface name
  readonly adminStatus: boolean;
  readonly destination: Address;
  readonly sourceIpAddress?: Address;
  readonly authenticationMethod: 'PSKOnly';
  readonly sharedSecret: Secret;
  readonly subnets: readonly SubnetMetric[]; // IPv4Subnet + IPv6Subnet
  readonly persistent: boolean; // the gateway dials and keeps dialling
  readonly retryIntervalSeconds: number;
  readonly numberOfTries: number; // 0 = for ever
  readonly networkOutageTimeSeconds: number; // dead-peer detection
  readonly saLifeTimeSeconds: number; // phase 2
  readonly mmSaLifeTimeSeconds: number; // phase 1
}

/** NetVirtualizationCustomerRoute: where a prefix of the VM network lives. `nextHop` absent = on-link in that virtual subnet. */
export interface CustomerRoute {
  readonly vsid: Vsid;
  readonly destinationPrefix: Prefix;
  readonly nextHop?: Address;
  readonly metric: number;
}

export type LookupRecordType = 'Static' | 'Dynamic' | 'GatewayWildcard' | 'L2Only';
export type TranslationRule = 'TranslationMethodEncap' | 'TranslationMethodNone';

/** NetVirtualizationLookupRecord: where an address of the VM network is (R-POL-1). */
export interface LookupRecord {
  readonly customerAddress: Address;
  readonly mac: Mac;
  readonly vsid: Vsid;
  readonly providerAddress: Address;
  readonly rule: TranslationRule;
  readonly type: LookupRecordType;
}

/**
 * DSCP of the outer header (RFC 2983). `Copy`: the tenant's, and what the provider network makes of it ends with the outer
 * header. `Uniform`: the tenant's, and what arrives goes back into the tenant's packet. A number, 0 … 63: the pipe model, always
 * that one, and the tenant's packet keeps its own.
 */
export type DscpPolicy = 'Copy' | 'Uniform' | number;

/** What a virtual subnet does beside its records (R-ENC-8, R-ENC-11, R-ENC-12). Those that are not listed do nothing of it. */
export interface VirtualSubnet {
  readonly vsid: Vsid;
  readonly dynamicLearning: boolean;
  readonly ageingTimeSeconds: number;
  /** Broadcast and multicast reach every port of the virtual subnet; absent = false, they are dropped. */
  readonly replication?: boolean;
  readonly dscp?: DscpPolicy; // absent = Copy
}

/** What a VM network may learn. */
export interface Learning {
  readonly virtualSubnets?: readonly VirtualSubnet[];
  readonly maximumLearnedRecords?: number;
  /** What arrives is dropped when a record places its sender's address behind another provider address; absent = false. */
  readonly sourceCheck?: boolean;
}

export interface Compartment extends Learning {
  readonly routingDomain: string; // Name
  readonly routingDomainId: RoutingDomainId;
  readonly internalInterfaces: readonly InternalInterface[];
  readonly routes: readonly StaticRoute[];
  readonly s2sInterfaces: readonly S2sInterface[];
  readonly customerRoutes: readonly CustomerRoute[];
  readonly lookupRecords: readonly LookupRecord[];
}

/** How frames travel between machines: RFC 7637 or RFC 7348. */
export type Encapsulation = 'NVGRE' | 'VXLAN';

export type NetAdapterRole = 'External' | 'Provider' | 'Management';

/** NetAdapter: a NIC of the gateway in the default compartment. */
export interface NetAdapter {
  readonly interfaceAlias: string; // the name the rest of the YAML uses
  readonly device: string; // the kernel's name
  readonly role: NetAdapterRole;
  readonly address?: { readonly address: Address; readonly prefixLength: number };
  readonly defaultGateway?: Address;
  readonly mtu?: number;
}

/** NetVirtualizationProviderAddress (R-ENC-10). */
export interface ProviderAddress {
  readonly interfaceAlias: string;
  readonly providerAddress: Address;
  readonly prefixLength: number;
  readonly vlanId?: number; // 1 … 4094; absent = untagged
}

/** NetVirtualizationProviderRoute. */
export interface ProviderRoute {
  readonly destinationPrefix: Prefix;
  readonly interfaceAlias: string;
  readonly nextHop: Address;
  readonly metric: number;
}

/** Everything a gateway is told by its YAML. */
export interface GatewayConfig {
  readonly gateway: string;
  readonly encapsulation?: Encapsulation; // NVGRE when absent
  readonly netAdapters: readonly NetAdapter[];
  readonly providerAddresses: readonly ProviderAddress[];
  readonly providerRoutes: readonly ProviderRoute[];
  readonly compartments: readonly Compartment[];
  readonly netNats?: readonly NetNat[]; // none when absent
}
