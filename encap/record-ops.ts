/**
 * What a change of policy records does to the data plane: the map entries that differ, of the VM networks that changed alone.
 * Nothing is read from the kernel and no other VM network is looked at; the regular full look finds what somebody else changed.
 */
import type { Vsid } from '../compartments/compartment.ts';
import { FEW, plan } from '../compartments/plan.ts';
import type { Op } from '../compartments/resource.ts';
import type { Address } from '../lib/address.ts';
import { derive } from '../lib/derive.ts';
import { decodeAddress, type EntryMap } from './abi.ts';
import { type OverlayDomain, type OverlayInput, overlayResources } from './overlay.ts';
import type { RecordList } from './record-list.ts';
import type { RecordStore } from './records.ts';
import { around, type Touched } from './touched.ts';

/** The machine beside its VM networks. */
export type Machine = Omit<OverlayInput, 'domains'>;

export type IndexedDomain = OverlayDomain & { readonly records: RecordList };

/** A VM network before and after a change. */
export interface DomainChange {
  readonly before: IndexedDomain;
  readonly after: IndexedDomain;
  readonly touched: Touched;
}

/** Virtual subnets and peers of all of a VM network. */
function named({ records, ports, customerRoutes }: IndexedDomain): NonNullable<OverlayDomain['named']> {
  const { vsids, peers } = records.counts;
  const ofRecords = [...vsids.entries()].map(([vsid]) => Number(vsid));
  return {
    vsids: [...new Set([...ofRecords, ...[...ports, ...customerRoutes].map((x) => x.vsid)])],
    peers: [...peers.entries()].map(([peer]) => peer as Address),
  };
}

const hasVsid = (d: IndexedDomain, vsid: Vsid): boolean =>
  d.records.counts.vsids.get(String(vsid)) !== undefined ||
  d.ports.some((p) => p.vsid === vsid) ||
  d.customerRoutes.some((r) => r.vsid === vsid);
const hasPeer = (d: IndexedDomain, peer: Address): boolean => d.records.counts.peers.get(peer) !== undefined;

/** Whether a change gave the VM network a virtual subnet or a peer, or took one. */
function namesOthers({ before, after, touched }: DomainChange): boolean {
  const vsids = new Set([...touched.lookupRecords, ...touched.customerRoutes].map((x) => x.vsid));
  const peers = new Set(touched.lookupRecords.map((r) => r.providerAddress));
  return (
    [...vsids].some((vsid) => hasVsid(before, vsid) !== hasVsid(after, vsid)) ||
    [...peers].some((peer) => hasPeer(before, peer) !== hasPeer(after, peer))
  );
}

/** Maps that hold what virtual subnets and provider addresses have, and not single records. */
const WHOLE: readonly EntryMap[] = ['vsids', 'tunnels', 'providers'];

const mapOf = ({ resource: r }: Op): string => (r.kind === 'entry' ? r.spec.map : '');

type Domains = readonly OverlayDomain[];
/** Packed when there is much to compare. */
const difference = (machine: Machine, before: Domains, after: Domains, packed: boolean): readonly Op[] =>
  plan(
    overlayResources({ ...machine, domains: after }, packed),
    overlayResources({ ...machine, domains: before }, packed),
  );

/** Provider addresses that records of VM networks which did not change name. */
function namedElsewhere(store: RecordStore, changed: readonly IndexedDomain[]): (address: Address) => boolean {
  const here = (address: Address) => changed.reduce((sum, d) => sum + (d.records.counts.peers.get(address) ?? 0), 0);
  return (address) => (store.peers.get(address) ?? 0) > here(address);
}

/** @param store the store after the change. */
export function recordOps(machine: Machine, changes: readonly DomainChange[], store: RecordStore): readonly Op[] {
  const many = changes.reduce((sum, c) => sum + c.touched.lookupRecords.length, 0) > FEW;
  const whole: DomainChange[] = [];
  const ops: Op[] = [];
  for (const change of changes) {
    const { before, after, touched } = change;
    const [former, now] = around([before, after], touched) as [IndexedDomain, IndexedDomain];
    if (namesOthers(change))
      whole.push({
        before: derive(former, { named: named(before) }),
        after: derive(now, { named: named(after) }),
        touched,
      });
    else
      for (const op of difference(machine, [former], [now], many))
        if (!(WHOLE as readonly string[]).includes(mapOf(op))) ops.push(op);
  }
  if (whole.length === 0) return ops;
  const elsewhere = namedElsewhere(
    store,
    whole.map((c) => c.after),
  );
  const [before, after] = [whole.map((c) => c.before), whole.map((c) => c.after)];
  for (const op of difference(machine, before, after, many)) {
    const { resource: r } = op;
    const kept =
      r.kind === 'entry' && r.spec.map === 'providers' && elsewhere(decodeAddress(Buffer.from(r.spec.key, 'hex')));
    if (!kept) ops.push(op);
  }
  return ops;
}
