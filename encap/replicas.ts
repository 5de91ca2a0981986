/**
 * Where one frame of a virtual subnet goes that is for many: its local ports, and each machine that its records name (R-ENC-8,
 * R-ENC-12); a VM that came here has left a machine that must hear of it. Pure.
 *
 * The machines come in the order of their addresses, whichever records name them, so that a record of a machine that is there
 * already changes no entry. The data path has room for so many places and no more; those beyond get none.
 */
import type { LookupRecord, Vsid } from '../compartments/compartment.ts';
import type { Resource } from '../compartments/resource.ts';
import type { Address } from '../lib/address.ts';
import type { Trie } from '../lib/trie.ts';
import { encodeLocation, encodeReplicaKey, LOCATION_LEARN, type Location, MAX_REPLICAS } from './abi.ts';
import { entry } from './location-entries.ts';
import { isAsked, isTunnelled, type MachineCount, parseMachineKey } from './record-list.ts';

/** The machines of each virtual subnet, and whether one is asked for addresses that are not known for good. */
export type Machines = ReadonlyMap<Vsid, ReadonlyMap<Address, boolean>>;

class Found {
  readonly machines = new Map<Vsid, Map<Address, boolean>>();
  add(vsid: Vsid, peer: Address, asked: boolean): void {
    const there = this.machines.get(vsid) ?? new Map<Address, boolean>();
    this.machines.set(vsid, there.set(peer, asked || there.get(peer) === true));
  }
}

export function machinesOf(records: readonly LookupRecord[]): Machines {
  const found = new Found();
  for (const r of records) if (isTunnelled(r)) found.add(r.vsid, r.providerAddress, isAsked(r));
  return found.machines;
}

/** The same from what a list counts. */
export function machinesCounted(counts: Trie<MachineCount>): Machines {
  const found = new Found();
  for (const [key, { asked }] of counts.entries()) {
    const { vsid, peer } = parseMachineKey(key);
    found.add(vsid, peer, asked > 0);
  }
  return found.machines;
}

/** @param to where a machine is; undefined when nothing can be sent there. */
export function replicaEntries(
  name: string,
  vsid: Vsid,
  local: readonly Location[],
  machines: ReadonlyMap<Address, boolean>,
  to: (peer: Address) => Location | undefined,
): readonly Resource<'entry'>[] {
  const away = [...machines]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([peer, asked]) => {
      const location = to(peer);
      return location ? [asked ? { ...location, flags: location.flags | LOCATION_LEARN } : location] : [];
    });
  return [...local, ...away]
    .slice(0, MAX_REPLICAS)
    .map((l, index) =>
      entry('replicas', encodeReplicaKey(vsid, index), encodeLocation(l), `replica ${name} ${vsid} ${index}`),
    );
}
