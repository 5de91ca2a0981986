/**
 * What must end in the NAT's state when entries of its maps change: flows and mappings name pools, tenants and hosts by number,
 * and must never be read with another's. Pure: ops in, purges out.
 */
import type { Slot } from '../compartments/numbers.ts';
import type { Op } from '../compartments/resource.ts';
import type { Address } from '../lib/address.ts';
import { KIND, NAT, type NatPolicy, type NatPool, RULE } from '../nat/abi.ts';
import { losesPools } from '../nat/policy.ts';

export interface HostPurge {
  readonly slot: Slot;
  /** Absent = all of the tenant. */
  readonly address?: Address;
}

export interface Ends {
  /** Pools to be emptied before the ops, while nobody is given a port of them. */
  readonly pools: readonly number[];
  /** To be ended after the ops. */
  readonly hosts: readonly HostPurge[];
}

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const word = (b: Uint8Array): number => new DataView(b.buffer).getUint32(0, true);

/** True when a port of the former pool has the same block and place in the new one. */
const holds = (former: NatPool, now: NatPool): boolean =>
  former.address === now.address &&
  former.port_start === now.port_start &&
  (former.blocks === 0 ||
    (former.block_ports === now.block_ports && former.first_block === now.first_block && former.blocks <= now.blocks));

/** @param dipsOf addresses of a service, as the maps have them before the ops. */
export function endsOf(ops: readonly Op[], dipsOf: (service: number) => readonly Address[]): Ends {
  const pools: number[] = [];
  const hosts: HostPurge[] = [];
  for (const { verb, resource, from } of ops) {
    if (resource.kind !== 'entry' || verb === 'create') continue;
    const former = verb === 'delete' ? resource : from;
    if (former?.kind !== 'entry') continue;
    const now = verb === 'delete' ? undefined : bytes(resource.spec.value);
    const [key, before] = [bytes(former.spec.key), bytes(former.spec.value)];
    switch (resource.spec.map) {
      case 'pools':
        if (!now || !holds(NAT.pool.decode(before), NAT.pool.decode(now))) pools.push(word(key));
        break;
      case 'policies':
        if (now && losesPools(NAT.policy.decode(before), NAT.policy.decode(now))) hosts.push({ slot: word(key) });
        break;
      case 'statics': {
        const [k, b] = [NAT.staticKey.decode(key), NAT.static.decode(before)];
        const a = now && NAT.static.decode(now);
        const same = a?.rdid === b.rdid && a.kind === b.kind && a.address === b.address && a.port === b.port;
        if (k.rdid !== 0 || same) break;
        const addresses = b.kind === KIND.vip ? dipsOf(b.service) : [b.address];
        hosts.push(...addresses.map((address) => ({ slot: b.rdid, address })));
        break;
      }
    }
  }
  return { pools, hosts };
}

/** The policy without some pools; undefined when it names none of them. */
export function withoutPools(policy: NatPolicy, pools: ReadonlySet<number>): NatPolicy | undefined {
  let found = false;
  const rule = policy.rule.map((r, i) => {
    const named = r.pool.slice(0, r.pools);
    const left = named.filter((p) => !pools.has(p));
    if (i >= policy.rules || r.action !== RULE.pool || left.length === named.length) return r;
    found = true;
    return left.length ? { ...r, pools: left.length, pool: left } : { ...r, action: RULE.drop, pools: 0, pool: left };
  });
  return found ? { ...policy, rule } : undefined;
}
