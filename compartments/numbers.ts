/**
 * Every kernel number and name of a tenant, from its slot. A slot is the compartment id that operators see (1 is the default
 * compartment, tenants start at 2) and is kept over restarts, so any number in `ip`, `tc`, `bpftool` or `swanctl` leads back
 * to the tenant.
 */

/** Compartment id: 1 = the root namespace, 2 … = tenants. In eBPF map keys it stands for the routing domain. */
export type Slot = number;

export const DEFAULT_SLOT: Slot = 1;
export const FIRST_SLOT: Slot = 2;

/** Network namespace of a tenant. */
export const netnsOf = (slot: Slot): string => `c${slot}`;
export const slotOfNetns = (name: string): Slot | undefined => {
  const m = /^c([1-9]\d*)$/.exec(name);
  return m && Number(m[1]) >= FIRST_SLOT ? Number(m[1]) : undefined;
};

/** The provider-side end of the veth of internal interface `index` (0, 1, …) of a tenant. */
export const portOf = (slot: Slot, index: number): string => `p${slot}-${index}`;
/** The pair that joins a tenant to the NAT: NAT_DEVICE in its namespace, this in the default compartment. */
export const NAT_DEVICE = 'nat0';
export const natPortOf = (slot: Slot): string => `n${slot}`;
/** The pair in the default compartment through which fragments of the NAT go round that wait for their first one. */
export const WAIT_DEVICE = 'natw0';
export const WAIT_RETURN_DEVICE = 'natw1';
/** The tenant of either sort of port. */
export const slotOfPort = (name: string): Slot | undefined => {
  const m = /^(?:p([1-9]\d*)-\d+|n([1-9]\d*))$/.exec(name);
  return m ? Number(m[1] ?? m[2]) : undefined;
};

/** XFRM interface ids: 1024 per slot, from 0x10000 on, never charon's own small numbers (strongSwan counts from 1). */
export const IF_IDS_PER_SLOT = 1024;
export const ifIdOf = (slot: Slot, number: number): number => 0x10000 + slot * IF_IDS_PER_SLOT + number;
export const slotOfIfId = (ifId: number): Slot | undefined =>
  ifId > 0x10000 ? Math.floor((ifId - 0x10000) / IF_IDS_PER_SLOT) : undefined;
