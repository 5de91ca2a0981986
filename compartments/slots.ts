/**
 * Which slot each routing domain has and which number each of its S2S interfaces has. The table is kept on disk; numbers only
 * ever grow, so a number is never given to somebody else while the kernel or charon may still hold something under it.
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
  const interfaces: Record<string, number> = { ...entry.interfaces };
  let next = entry.nextInterface;
  for (const name of names) {
    if (Object.hasOwn(interfaces, name)) continue;
    if (next >= IF_IDS_PER_SLOT)
      throw new RangeError(`slot ${entry.slot} has used all ${IF_IDS_PER_SLOT} interface ids`);
    interfaces[name] = next++;
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
