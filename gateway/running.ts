/** The configuration in force with its numbers, and what a change of it touches. Pure. */
import { isDeepStrictEqual } from 'node:util';
import type { Compartment, GatewayConfig, RoutingDomainId } from '../compartments/compartment.ts';
import { DEFAULT_SLOT, type Slot } from '../compartments/numbers.ts';
import { type SlotTable, slotOf } from '../compartments/slots.ts';
import { type RecordStore, recordStore, withRecordsOf } from '../encap/records.ts';

/** The file as the operator gave it: relative secret paths are resolved from its folder. */
export interface Source {
  readonly file: string; // absolute path
  readonly text: string;
}

export interface Running {
  /** With the records of run time in it. */
  readonly config: GatewayConfig;
  readonly table: SlotTable;
  readonly source: Source;
  readonly records: RecordStore;
  /** Where in `config.compartments` a routing domain is. */
  readonly positions: ReadonlyMap<RoutingDomainId, number>;
  readonly domains: ReadonlyMap<Slot, RoutingDomainId>;
}

const positionsOf = (config: GatewayConfig): ReadonlyMap<RoutingDomainId, number> =>
  new Map(config.compartments.map((c, i) => [c.routingDomainId, i]));

/** The store of what the file says. */
export const fileRecords = (config: GatewayConfig): RecordStore =>
  recordStore({ ...config, networks: config.compartments.map(networkOf) });

const networkOf = (c: Compartment) => ({
  routingDomain: c.routingDomain,
  routingDomainId: c.routingDomainId,
  internalInterfaces: c.internalInterfaces,
  customerRoutes: c.customerRoutes,
  lookupRecords: c.lookupRecords,
  ...(c.virtualSubnets && { virtualSubnets: c.virtualSubnets }),
  ...(c.maximumLearnedRecords !== undefined && { maximumLearnedRecords: c.maximumLearnedRecords }),
});

/** A configuration as read, with all records of a store. */
export function runningOf(config: GatewayConfig, table: SlotTable, source: Source, records: RecordStore): Running {
  const domains = new Map(config.compartments.map((c) => [slotOf(table, c.routingDomainId), c.routingDomainId]));
  const running = { config, table, source, records, positions: positionsOf(config), domains };
  return withRecords(
    running,
    records,
    config.compartments.map((c) => c.routingDomainId),
  );
}

/** What is in force, with the records of the named VM networks as a newer store has them. */
export function withRecords(running: Running, records: RecordStore, networks: readonly RoutingDomainId[]): Running {
  const compartments = [...running.config.compartments]; // a copy of references; nothing is looked at
  for (const id of networks) {
    const at = running.positions.get(id);
    const network = records.networks.get(id);
    if (at === undefined || !network) continue;
    compartments[at] = withRecordsOf(compartments[at]!, network);
  }
  const providerAddresses = records.providerAddresses.map((k) => k.record);
  const providerRoutes = records.providerRoutes.map((k) => k.record);
  return { ...running, records, config: { ...running.config, providerAddresses, providerRoutes, compartments } };
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
