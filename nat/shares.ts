/**
 * How much of what is shared each tenant may have (R-NAT-5, RFC 6888 REQ-4): what the file says, else an equal share, so that all
 * others together cannot take what a tenant has not used yet. Pure.
 */
import type { RoutingDomainId } from '../compartments/compartment.ts';
import type { NatQuota, NetNat } from '../compartments/nat.ts';
import { TENANT_BLOCKS } from './abi.ts';
import type { Pool } from './blocks.ts';

/** Sessions that the maps have room for as the object has them. */
export const SESSIONS = 2 ** 19;

export const quotaOf = (nat: NetNat, tenant: RoutingDomainId): NatQuota =>
  nat.quotas.find((q) => q.routingDomainId === tenant) ?? nat.quotas.find((q) => q.routingDomainId === undefined) ?? {};

/** Port blocks of a tenant. @param usersOf how many tenants may use a pool. */
export function blockShare(quota: NatQuota, pools: readonly Pool[], usersOf: (p: Pool) => number): number {
  const share = pools.reduce((sum, p) => sum + p.blocks / Math.max(1, usersOf(p)), 0);
  return Math.min(TENANT_BLOCKS, Math.max(1, quota.portBlocks ?? Math.floor(share + 1e-9)));
}

/** @param sessions that there is room for */
export const sessionShare = (quota: NatQuota, tenants: number, sessions = SESSIONS): number =>
  quota.sessions ?? Math.max(1, Math.floor(sessions / Math.max(1, tenants)));
