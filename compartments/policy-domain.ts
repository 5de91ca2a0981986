/** What the rules over overlay policy look at, and what they say. */
import type { Mac } from '../lib/address.ts';
import type { CustomerRoute, InternalInterface, LookupRecord, RoutingDomainId, VirtualSubnet } from './compartment.ts';
import type { HostPort } from './host.ts';

/** MACDFGW: the MAC of the distributed default gateway on every host, in every virtual subnet (R-ENC-4). */
export const ROUTER_MAC = '02:48:4e:56:00:01' as Mac;

/** What a compartment and a host's routing domain have in common: gateways have internal interfaces, hosts have ports. */
export interface PolicyDomain {
  readonly routingDomain: string;
  readonly routingDomainId: RoutingDomainId;
  readonly customerRoutes: readonly CustomerRoute[];
  readonly lookupRecords: readonly LookupRecord[];
  readonly internalInterfaces?: readonly InternalInterface[];
  readonly ports?: readonly HostPort[];
  readonly virtualSubnets?: readonly VirtualSubnet[];
}

export type PolicyPath = readonly (string | number)[];

export interface PolicyProblem {
  readonly path: PolicyPath;
  readonly problem: string;
  readonly cure: string;
}
