/** The configuration in force with its numbers, and what a change of it touches. Pure. */
import { isDeepStrictEqual } from 'node:util';
import type { Compartment, GatewayConfig, RoutingDomainId } from '../compartments/compartment.ts';
import { DEFAULT_SLOT, type Slot } from '../compartments/numbers.ts';
import { type SlotTable, slotOf } from '../compartments/slots.ts';

/** The file as the operator gave it: relative secret paths are resolved from its folder. */
export interface Source {
  readonly file: string; // absolute path
  readonly text: string;
}

export interface Running {
  readonly config: GatewayConfig;
  readonly table: SlotTable;
  readonly source: Source;
}

/** A compartment as plain data with its secrets told, for comparison only. */
const comparable = (c: Compartment): unknown => ({
  ...c,
  s2sInterfaces: c.s2sInterfaces.map((i) => ({ ...i, sharedSecret: i.sharedSecret.reveal() })),
});

const byId = (config: GatewayConfig): Map<RoutingDomainId, Compartment> =>
  new Map(config.compartments.map((c) => [c.routingDomainId, c]));

const peersOf = (compartments: readonly Compartment[]): ReadonlySet<string> =>
  new Set(compartments.flatMap((c) => c.lookupRecords.map((r) => r.providerAddress)));

/**
 * The slots that differ between two configurations; 'all' when what every compartment shares (NICs, provider addresses)
 * differs. Both tables must be assigned; a slot keeps its number, so the new table serves for both.
 */
export function changedSlots(
  before: GatewayConfig | undefined,
  after: GatewayConfig,
  table: SlotTable,
): readonly Slot[] | 'all' {
  if (!before) return 'all';
  const { compartments: a, ...sharedBefore } = before;
  const { compartments: b, ...sharedAfter } = after;
  if (!isDeepStrictEqual(sharedBefore, sharedAfter)) return 'all';
  const old = byId(before);
  const now = byId(after);
  const ids = new Set([...a, ...b].map((c) => c.routingDomainId));
  // The provider addresses that records name are one set for the whole gateway.
  const shared = isDeepStrictEqual(peersOf(a), peersOf(b)) ? [] : [DEFAULT_SLOT];
  const tenants = [...ids]
    .filter((id) => {
      const [x, y] = [old.get(id), now.get(id)];
      return !x || !y || !isDeepStrictEqual(comparable(x), comparable(y));
    })
    .map((id) => slotOf(table, id));
  return [...shared, ...tenants];
}

/** Names of the routing domains by slot. */
export const namesOf = ({ config, table }: Running): ReadonlyMap<Slot, string> =>
  new Map(config.compartments.map((c) => [slotOf(table, c.routingDomainId), c.routingDomain]));
