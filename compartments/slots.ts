/**
 * Which slot each routing domain has and which number each of its S2S interfaces has. The table is kept on disk; numbers only
 * grow, so a number is not given to somebody else while the kernel or charon may still hold something under it; only a tenant that
 * has used up its thousand interface numbers gets those of its former interfaces again.
 */
import type { Compartment, RoutingDomainId } from './compartment.ts';
import { FIRST_SLOT, IF_IDS_PER_SLOT, ifIdOf, type Slot } from './numbers.ts';

export interface SlotEntry {
  readonly slot: Slot;
  readonly nextInterface: number;
  readonly interfaces: Readonly<Record<string, number>>; // S2S interface name → number inside the slot
}

export interface SlotTable {
  readonly nextSlot: Slot;
  readonly domains: Readonly<Record<RoutingDomainId, SlotEntry>>;
}

export const EMPTY_SLOTS: SlotTable = { nextSlot: FIRST_SLOT, domains: {} };

function withInterfaces(entry: SlotEntry, names: readonly string[]): SlotEntry {
  let interfaces: Record<string, number> = { ...entry.interfaces };
  let next = entry.nextInterface;
  for (const name of names) {
    if (Object.hasOwn(interfaces, name)) continue;
    if (next < IF_IDS_PER_SLOT) interfaces[name] = next++;
    else {
      // All were given once: those of interfaces that are no longer configured begin again.
      const kept = Object.entries(interfaces).filter(([n]) => names.includes(n));
      const taken = new Set(kept.map(([, number]) => number));
      const free = Array.from({ length: IF_IDS_PER_SLOT - 1 }, (_, i) => i + 1).find((number) => !taken.has(number));
      if (free === undefined)
        throw new RangeError(`slot ${entry.slot} has more than ${IF_IDS_PER_SLOT - 1} interfaces`);
      interfaces = { ...Object.fromEntries(kept), [name]: free };
    }
  }
  return { slot: entry.slot, nextInterface: next, interfaces };
}

/** A compartment, or a host's routing domain without S2S interfaces. */
type Numbered = Pick<Compartment, 'routingDomainId' | 's2sInterfaces'>;

/** The table with an entry for every compartment and S2S interface; what was there stays as it was. */
export function assignSlots(table: SlotTable, compartments: readonly Numbered[]): SlotTable {
  const domains: Record<RoutingDomainId, SlotEntry> = { ...table.domains };
  let { nextSlot } = table;
  for (const c of compartments) {
    const entry = domains[c.routingDomainId] ?? { slot: nextSlot++, nextInterface: 1, interfaces: {} };
    domains[c.routingDomainId] = withInterfaces(
      entry,
      c.s2sInterfaces.map((i) => i.name),
    );
  }
  return { nextSlot, domains };
}

/** Throws when the table was not assigned for this compartment. */
export function slotOf(table: SlotTable, id: RoutingDomainId): Slot {
  const entry = table.domains[id];
  if (!entry) throw new RangeError(`no slot for routing domain ${id}`);
  return entry.slot;
}

export function ifIdOfInterface(table: SlotTable, id: RoutingDomainId, name: string): number {
  const interfaces = table.domains[id]?.interfaces ?? {};
  const number = Object.hasOwn(interfaces, name) ? interfaces[name] : undefined;
  if (number === undefined) throw new RangeError(`no interface id for ${name} of routing domain ${id}`);
  return ifIdOf(slotOf(table, id), number);
}
