/** The configuration of a host with the records of run time in it, and what a change of records does to the maps. Pure. */
import type { RoutingDomainId } from '../compartments/compartment.ts';
import type { HostConfig } from '../compartments/host.ts';
import type { Op } from '../compartments/resource.ts';
import { type SlotTable, slotOf } from '../compartments/slots.ts';
import { hostDomains } from '../encap/overlay.ts';
import { type Machine, recordOps } from '../encap/record-ops.ts';
import { type Changed, type RecordStore, recordStore, withRecordsOf } from '../encap/records.ts';
import { derive } from '../lib/derive.ts';

export interface HostPolicy {
  /** With the records of run time in it. */
  readonly config: HostConfig;
  readonly records: RecordStore;
  /** Where in `config.routingDomains` a routing domain is. */
  readonly positions: ReadonlyMap<RoutingDomainId, number>;
}

/** The store of what the file says. */
export const hostRecords = (config: HostConfig): RecordStore =>
  recordStore({ ...config, networks: config.routingDomains });

/** A configuration as read, with all records of a store. */
export function hostPolicy(config: HostConfig, records: RecordStore): HostPolicy {
  const positions = new Map(config.routingDomains.map((d, i) => [d.routingDomainId, i]));
  return withRecords({ config, records, positions }, records, [...positions.keys()]);
}

/** What is in force, with the records of the named VM networks as a newer store has them. */
export function withRecords(
  policy: HostPolicy,
  records: RecordStore,
  networks: readonly RoutingDomainId[],
): HostPolicy {
  const routingDomains = [...policy.config.routingDomains]; // a copy of references; nothing is looked at
  for (const id of networks) {
    const at = policy.positions.get(id);
    const network = records.networks.get(id);
    if (at === undefined || !network) continue;
    routingDomains[at] = withRecordsOf(routingDomains[at]!, network);
  }
  const providerAddresses = records.providerAddresses.map((k) => k.record);
  const providerRoutes = records.providerRoutes.map((k) => k.record);
  return { ...policy, records, config: { ...policy.config, providerAddresses, providerRoutes, routingDomains } };
}

/** What must be done when only records of some VM networks changed. */
export function hostRecordOps(
  machine: Machine,
  table: SlotTable,
  before: HostPolicy,
  after: HostPolicy,
  networks: Changed['networks'],
): readonly Op[] {
  const domainOf = ({ config, positions, records }: HostPolicy, id: RoutingDomainId) => {
    const routingDomains = [config.routingDomains[positions.get(id)!]!];
    const [domain] = hostDomains({ ...config, routingDomains }, (d) => slotOf(table, d.routingDomainId));
    return derive(domain!, { records: records.networks.get(id)!.kept['lookup-record'] });
  };
  const changes = [...networks].map(([id, touched]) => ({
    before: domainOf(before, id),
    after: domainOf(after, id),
    touched,
  }));
  return recordOps(machine, changes, after.records);
}
