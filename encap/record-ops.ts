/**
 * What a change of policy records does to the data plane: the map entries that differ, of the VM networks that changed alone.
 * Nothing is read from the kernel and no other VM network is looked at; the regular full look finds what somebody else changed.
 */
import type { Vsid } from '../compartments/compartment.ts';
import { plan } from '../compartments/plan.ts';
import { ROUTER_MAC } from '../compartments/policy.ts';
import { isPlain } from '../compartments/policy-plain.ts';
import type { Op } from '../compartments/resource.ts';
import type { Address } from '../lib/address.ts';
import { decodeAddress, type EntryMap } from './abi.ts';
import { type OverlayDomain, type OverlayInput, overlayResources } from './overlay.ts';
import type { RecordStore } from './records.ts';
import { around, type Touched } from './touched.ts';

/** The machine beside its VM networks. */
export type Machine = Omit<OverlayInput, 'domains'>;

/** A VM network before and after a change. */
export interface DomainChange {
  readonly before: OverlayDomain;
  readonly after: OverlayDomain;
  readonly touched: Touched;
}

const vsidsOf = (d: OverlayDomain): ReadonlySet<Vsid> =>
  new Set([...d.ports, ...d.customerRoutes, ...d.lookupRecords].map((x) => x.vsid));
const peersOf = (d: OverlayDomain): ReadonlySet<Address> =>
  new Set(d.lookupRecords.filter((r) => r.mac !== ROUTER_MAC).map((r) => r.providerAddress));
const same = <T>(a: ReadonlySet<T>, b: ReadonlySet<T>): boolean => a.size === b.size && [...a].every((x) => b.has(x));

/** Maps that hold what virtual subnets and provider addresses have, and not single records with an address. */
const WHOLE: readonly EntryMap[] = ['vsids', 'tunnels', 'providers', 'replicas'];

/** The machines of a virtual subnet in the order of its replicas, and which of them hold addresses that are not known for good. */
function machinesOf(machine: Machine, d: OverlayDomain, vsid: Vsid): string {
  const asked = new Map<Address, boolean>();
  const here = new Set(d.ports.filter((p) => p.vsid === vsid && machine.link(p.device)).map((p) => p.mac));
  for (const r of d.lookupRecords)
    if (r.vsid === vsid && r.mac !== ROUTER_MAC && !isPlain(r) && !here.has(r.mac))
      asked.set(r.providerAddress, asked.get(r.providerAddress) || r.type === 'L2Only' || r.type === 'Dynamic');
  return [...asked].join(' ');
}

/** Replicas are a list without gap, so one record may move others'. */
function sameReplicas(machine: Machine, { before, after, touched }: DomainChange): boolean {
  const replicating = new Set(
    (after.virtualSubnets ?? []).flatMap((s) => (s.dynamicLearning || s.replication ? [s.vsid] : [])),
  );
  const vsids = new Set(touched.lookupRecords.map((r) => r.vsid).filter((vsid) => replicating.has(vsid)));
  return [...vsids].every((vsid) => machinesOf(machine, before, vsid) === machinesOf(machine, after, vsid));
}

const mapOf = ({ resource: r }: Op): string => (r.kind === 'entry' ? r.spec.map : '');

type Domains = readonly OverlayDomain[];
const difference = (machine: Machine, before: Domains, after: Domains): readonly Op[] =>
  plan(overlayResources({ ...machine, domains: after }), overlayResources({ ...machine, domains: before }));

/** Provider addresses that records of VM networks which did not change name. */
function namedElsewhere(store: RecordStore, changed: readonly OverlayDomain[]): (address: Address) => boolean {
  const here = new Map<Address, number>();
  for (const { providerAddress, mac } of changed.flatMap((d) => d.lookupRecords))
    if (mac !== ROUTER_MAC) here.set(providerAddress, (here.get(providerAddress) ?? 0) + 1);
  return (address) => (store.peers.get(address) ?? 0) > (here.get(address) ?? 0);
}

/** @param store the store after the change. */
export function recordOps(machine: Machine, changes: readonly DomainChange[], store: RecordStore): readonly Op[] {
  const whole: DomainChange[] = [];
  const ops: Op[] = [];
  for (const change of changes) {
    const { before, after, touched } = change;
    // Who may send without encapsulation is a tunnel of its own.
    const plain = touched.lookupRecords.some(isPlain);
    const alike = !plain && sameReplicas(machine, change);
    if (alike && same(vsidsOf(before), vsidsOf(after)) && same(peersOf(before), peersOf(after))) {
      const [former, now] = around([before, after], touched) as [OverlayDomain, OverlayDomain];
      const differing = difference(machine, [former], [now]);
      for (const op of differing) if (!(WHOLE as readonly string[]).includes(mapOf(op))) ops.push(op);
    } else whole.push(change);
  }
  if (whole.length === 0) return ops;
  const elsewhere = namedElsewhere(
    store,
    whole.map((c) => c.after),
  );
  const [before, after] = [whole.map((c) => c.before), whole.map((c) => c.after)];
  for (const op of difference(machine, before, after)) {
    const { resource: r } = op;
    const kept =
      r.kind === 'entry' && r.spec.map === 'providers' && elsewhere(decodeAddress(Buffer.from(r.spec.key, 'hex')));
    if (!kept) ops.push(op);
  }
  return ops;
}
