/**
 * What a change of policy records does to the data plane: the map entries that differ, of the VM networks that changed alone.
 * Nothing is read from the kernel and no other VM network is looked at; the regular full look finds what somebody else changed.
 */
import type { LookupRecord, Vsid } from '../compartments/compartment.ts';
import { FEW, plan } from '../compartments/plan.ts';
import { isPlain } from '../compartments/policy-plain.ts';
import type { Op } from '../compartments/resource.ts';
import type { Address } from '../lib/address.ts';
import { derive } from '../lib/derive.ts';
import { decodeAddress, type EntryMap } from './abi.ts';
import { type OverlayDomain, type OverlayInput, overlayResources } from './overlay.ts';
import { machineKey, type RecordList } from './record-list.ts';
import type { RecordStore } from './records.ts';
import { machinesCounted } from './replicas.ts';
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
function namedIn({ records, ports, customerRoutes }: IndexedDomain): NonNullable<OverlayDomain['named']> {
  const { vsids, peers, machines } = records.counts;
  const ofRecords = [...vsids.entries()].map(([vsid]) => Number(vsid));
  return {
    vsids: [...new Set([...ofRecords, ...[...ports, ...customerRoutes].map((x) => x.vsid)])],
    peers: [...peers.entries()].map(([peer]) => peer as Address),
    machines: machinesCounted(machines),
    ports,
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

/** Maps that hold what virtual subnets and provider addresses have, and not single records with an address. */
const WHOLE: readonly EntryMap[] = ['vsids', 'tunnels', 'providers', 'replicas'];

/** Whether a virtual subnet that sends to all of its machines has other ones now, or asks others for addresses. */
function movesReplicas({ before, after, touched }: DomainChange): boolean {
  const replicating = new Set(
    (after.virtualSubnets ?? []).flatMap((s) => (s.dynamicLearning || s.replication ? [s.vsid] : [])),
  );
  const differs = ({ vsid, providerAddress }: LookupRecord): boolean => {
    const of = ({ records }: IndexedDomain) => records.counts.machines.get(machineKey(vsid, providerAddress));
    const [former, now] = [of(before), of(after)];
    return !former !== !now || !former?.asked !== !now?.asked;
  };
  return replicating.size > 0 && touched.lookupRecords.some((r) => replicating.has(r.vsid) && differs(r));
}

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
  const named: DomainChange[] = [];
  const ops: Op[] = [];
  for (const change of changes) {
    const { before, after, touched } = change;
    // Who may send without encapsulation is a tunnel of its own.
    if (touched.lookupRecords.some(isPlain)) {
      whole.push(change);
      continue;
    }
    const [former, now] = around([before, after], touched) as [IndexedDomain, IndexedDomain];
    if (namesOthers(change) || movesReplicas(change))
      named.push({
        before: derive(former, { named: namedIn(before) }),
        after: derive(now, { named: namedIn(after) }),
        touched,
      });
    else
      for (const op of difference(machine, [former], [now], many))
        if (!(WHOLE as readonly string[]).includes(mapOf(op))) ops.push(op);
  }
  const all = [...whole, ...named];
  if (all.length === 0) return ops;
  const elsewhere = namedElsewhere(
    store,
    all.map((c) => c.after),
  );
  // Compared together: one VM network may name the provider address that another one named no longer.
  const [before, after] = [all.map((c) => c.before), all.map((c) => c.after)];
  for (const op of difference(machine, before, after, many)) {
    const { resource: r } = op;
    const kept =
      r.kind === 'entry' && r.spec.map === 'providers' && elsewhere(decodeAddress(Buffer.from(r.spec.key, 'hex')));
    if (!kept) ops.push(op);
  }
  return ops;
}
