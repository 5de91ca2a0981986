/** What a host is told by its YAML: the same policy records as the gateway, and ports = VMs in place of compartments. */
import type { Address, Mac } from '../lib/address.ts';
import type {
  CustomerRoute,
  Encapsulation,
  Learning,
  LookupRecord,
  NetAdapter,
  ProviderAddress,
  ProviderRoute,
  RoutingDomainId,
  Vsid,
} from './compartment.ts';

/** VMNetworkAdapter: the host-side device of a VM's NIC (veth or TAP), its virtual subnet and its MAC (R-ENC-3). */
export interface HostPort {
  readonly name: string; // VMName
  readonly device: string;
  readonly vsid: Vsid; // VirtualSubnetID
  readonly mac: Mac;
  readonly addresses: readonly Address[]; // what the VM may send from
}

export interface HostRoutingDomain extends Learning {
  readonly routingDomain: string;
  readonly routingDomainId: RoutingDomainId;
  readonly ports: readonly HostPort[];
  readonly customerRoutes: readonly CustomerRoute[];
  readonly lookupRecords: readonly LookupRecord[];
}

export interface HostConfig {
  readonly host: string;
  readonly encapsulation?: Encapsulation; // NVGRE when absent
  readonly netAdapters: readonly NetAdapter[];
  readonly providerAddresses: readonly ProviderAddress[];
  readonly providerRoutes: readonly ProviderRoute[];
  readonly routingDomains: readonly HostRoutingDomain[];
}
