/**
 * How much of what is shared each tenant may have (R-NAT-5, RFC 6888 REQ-4): what the file says, else an equal share, so that all
 * others together cannot take what a tenant has not used yet. Pure.
 */
import type { RoutingDomainId } from '../compartments/compartment.ts';
import type { NatQuota, NetNat } from '../compartments/nat.ts';
import { TENANT_BLOCKS } from './abi.ts';
import type { Pool } from './blocks.ts';

/** Sessions of which the session table holds both entries. */
export const SESSIONS = 1_000_000;

export const quotaOf = (nat: NetNat, tenant: RoutingDomainId): NatQuota =>
  nat.quotas.find((q) => q.routingDomainId === tenant) ?? nat.quotas.find((q) => q.routingDomainId === undefined) ?? {};

/** Port blocks of a tenant. @param usersOf how many tenants may use a pool. */
export function blockShare(quota: NatQuota, pools: readonly Pool[], usersOf: (p: Pool) => number): number {
  const share = pools.reduce((sum, p) => sum + p.blocks / Math.max(1, usersOf(p)), 0);
  return Math.min(TENANT_BLOCKS, Math.max(1, quota.portBlocks ?? Math.floor(share + 1e-9)));
}

export const sessionShare = (quota: NatQuota, tenants: number): number =>
  quota.sessions ?? Math.max(1, Math.floor(SESSIONS / Math.max(1, tenants)));
