/**
 * What a change of policy records does to the data plane: the map entries that differ, of the VM networks that changed alone.
 * Nothing is read from the kernel and no other VM network is looked at; the regular full look finds what somebody else changed.
 */
import { plan } from '../compartments/plan.ts';
import { ROUTER_MAC } from '../compartments/policy.ts';
import type { Op } from '../compartments/resource.ts';
import { decodeAddress } from './abi.ts';
import { type OverlayDomain, type OverlayInput, overlayResources } from './overlay.ts';
import type { RecordStore } from './records.ts';

/** The machine beside its VM networks. */
export type Machine = Omit<OverlayInput, 'domains'>;

/** Provider addresses that records of other VM networks name stay as they are. */
function namedByOthers(store: RecordStore, changed: readonly OverlayDomain[]): (address: string) => boolean {
  const here = new Map<string, number>();
  for (const { providerAddress, mac } of changed.flatMap((d) => d.lookupRecords))
    if (mac !== ROUTER_MAC) here.set(providerAddress, (here.get(providerAddress) ?? 0) + 1);
  return (address) => (store.peers.get(address) ?? 0) > (here.get(address) ?? 0);
}

/** @param store the store after the change. */
export function recordOps(
  machine: Machine,
  before: readonly OverlayDomain[],
  after: readonly OverlayDomain[],
  store: RecordStore,
): readonly Op[] {
  const shared = namedByOthers(store, after);
  const ops = plan(overlayResources({ ...machine, domains: after }), overlayResources({ ...machine, domains: before }));
  return ops.filter(({ resource: r }) => {
    if (r.kind !== 'entry' || r.spec.map !== 'providers') return true;
    return !shared(decodeAddress(Buffer.from(r.spec.key, 'hex')));
  });
}
