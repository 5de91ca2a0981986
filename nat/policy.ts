/** The ordered policy of one tenant as the data plane has it (R-NAT-4): its own rules, then one-to-one, then all its addresses. Pure. */
import type { RoutingDomainId } from '../compartments/compartment.ts';
import type { NatPolicyRule, NetNat } from '../compartments/nat.ts';
import type { Address } from '../lib/address.ts';
import { lengthOf, networkOf, type Prefix } from '../lib/prefix.ts';
import { type NatPolicy, type NatRule, RULE, RULE_POOLS, RULES, SETS } from './abi.ts';
import type { Pool } from './blocks.ts';

/** Host-order mask of a length as an address: 24 is 255.255.255.0. */
export function maskOf(length: number): Address {
  const bits = length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0;
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.') as Address;
}

/** Pools that a tenant may be given ports of. */
export function poolsOf(nat: NetNat, tenant: RoutingDomainId, pools: readonly Pool[]): readonly Pool[] {
  const usable = nat.externalAddresses.filter(
    (a) => a.routingDomainIds.length === 0 || a.routingDomainIds.includes(tenant),
  );
  return pools.filter(
    (p) => p.blocks > 0 && usable.some((a) => a.ipAddress === p.address && a.portStart === p.portStart),
  );
}

/** Of more pools than a rule has room for, another part for every slot, so that all are used. */
function spread(pools: readonly Pool[], slot: number): readonly Pool[] {
  if (pools.length <= RULE_POOLS) return pools;
  const start = (slot * RULE_POOLS) % pools.length;
  return [...pools, ...pools].slice(start, start + RULE_POOLS);
}

const listKey = (pools: readonly Pool[]): string =>
  pools
    .map((p) => p.index)
    .toSorted((a, b) => a - b)
    .join(' ');

/**
 * A number for each choice of pools. A host has one mapping in each, so equal choices are one, all pools of the tenant are 0, and
 * a choice keeps its number when rules come and go around it (except where two would have the same).
 */
function setsOf(lists: readonly (readonly Pool[])[], all: readonly Pool[]): ReadonlyMap<string, number> {
  const sets = new Map([[listKey(all), 0]]);
  const taken = new Set([0]);
  const names = new Map(
    lists.map((l) => [
      listKey(l),
      l
        .map((p) => p.address)
        .toSorted()
        .join(' '),
    ]),
  );
  for (const [key, name] of [...names].toSorted(([, a], [, b]) => (a < b ? -1 : 1))) {
    if (sets.has(key)) continue;
    let set = [...name].reduce((h, c) => (Math.imul(h, 31) + c.charCodeAt(0)) >>> 0, 7) % (SETS - 1);
    while (taken.has(1 + set)) set = (set + 1) % (SETS - 1);
    sets.set(key, 1 + set);
    taken.add(1 + set);
  }
  return sets;
}

const covering = (prefix: Prefix) => ({ network: networkOf(prefix), mask: maskOf(lengthOf(prefix)) });
const ANYWHERE = '0.0.0.0/0' as Prefix;

/** @param oneToOne whether a host of the tenant has a one-to-one mapping. */
export function policyOf(
  nat: NetNat,
  tenant: RoutingDomainId,
  slot: number,
  pools: readonly Pool[],
  oneToOne: boolean,
): NatPolicy {
  const usable = poolsOf(nat, tenant, pools);
  const all = spread(usable, slot);
  const rules = nat.policy.filter((r) => r.routingDomainId === undefined || r.routingDomainId === tenant);
  const listOf = (r: NatPolicyRule): readonly Pool[] =>
    r.externalIpAddresses.length
      ? spread(
          usable.filter((p) => r.externalIpAddresses.includes(p.address)),
          slot,
        )
      : all;
  const sets = setsOf(rules.filter((r) => r.action === 'Translate').map(listOf), all);
  const bare = (prefix: Prefix, action: number): NatRule => ({
    ...covering(prefix),
    action,
    set: 0,
    pools: 0,
    pool: [],
  });
  const toPools = (prefix: Prefix, list: readonly Pool[]): NatRule =>
    list.length
      ? {
          ...bare(prefix, RULE.pool),
          set: sets.get(listKey(list))!,
          pools: list.length,
          pool: list.map((p) => p.index),
        }
      : bare(prefix, RULE.drop);
  const rule = (r: NatPolicyRule): NatRule => {
    if (r.action === 'Translate') return toPools(r.destinationPrefix, listOf(r));
    return bare(r.destinationPrefix, r.action === 'OneToOne' ? RULE.oneToOne : RULE.drop);
  };
  const list = [
    ...rules.map(rule),
    ...(oneToOne ? [bare(ANYWHERE, RULE.oneToOne)] : []),
    ...(all.length ? [toPools(ANYWHERE, all)] : []),
  ].slice(0, RULES);
  return { rules: list.length, rule: list };
}

/** Pools of each set of a policy. */
const setPools = (policy: NatPolicy): ReadonlyMap<number, ReadonlySet<number>> =>
  new Map(
    policy.rule
      .slice(0, policy.rules)
      .filter((r) => r.action === RULE.pool)
      .map((r) => [r.set, new Set(r.pool.slice(0, r.pools))]),
  );

/**
 * True when a mapping that was right under the former policy could be wrong under the new one: a choice lost a pool. What the
 * data plane keeps of the tenant must then be purged.
 */
export function losesPools(former: NatPolicy, now: NatPolicy): boolean {
  const after = setPools(now);
  return [...setPools(former)].some(([set, pools]) => [...pools].some((p) => !after.get(set)?.has(p)));
}
