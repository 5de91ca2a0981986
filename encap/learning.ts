/**
 * Dynamic learning, the control side (R-ENC-8): what frames tell, and time, become records to add, move and forget, and notices
 * for the policy store. Pure: the state is a value, time comes as an argument (milliseconds of any one clock).
 *
 * A learned record never takes anything away: an address that a record of the file or of the operator holds is not learned, and
 * a MAC speaks for its own virtual subnet alone. A VM that moved is followed: the newest frame of its own MAC wins. Dynamic records
 * that the policy store brings at run time were learned elsewhere: they do not age here, and are followed like our own.
 */
import type { LookupRecord, RoutingDomainId, VirtualSubnet, Vsid } from '../compartments/compartment.ts';
import { ROUTER_MAC } from '../compartments/policy.ts';
import type { RecordErrorCode } from '../compartments/record-reasons.ts';
import { type Address, type Mac, macBytes } from '../lib/address.ts';
import { Trie } from '../lib/trie.ts';
import { type Kept, type Network, type RecordChange, type RecordStore, recordKey, wasLearned } from './records.ts';

/** What a frame told: this address is at this MAC, behind this provider address. */
export interface Sighting {
  readonly routingDomainId: RoutingDomainId;
  readonly vsid: Vsid;
  readonly address: Address;
  readonly mac: Mac;
  readonly providerAddress: Address; // one of ours for a VM of this machine
}

/** Of a VM network that is not told a limit. */
export const DEFAULT_MAXIMUM = 1024;

const subnetOf = (network: Network, vsid: Vsid): VirtualSubnet | undefined =>
  network.virtualSubnets?.find((s) => s.vsid === vsid && s.dynamicLearning);

/** When each learned record was heard of last, by routing domain and record key. */
export type LearningState = Trie<number>;
export const NOTHING_LEARNED: LearningState = Trie.empty();

export interface Lesson {
  readonly change: 'Added' | 'Moved' | 'Aged' | 'Refused';
  readonly routingDomainId: RoutingDomainId;
  readonly record: LookupRecord;
  readonly reason?: RecordErrorCode; // Refused
}

export interface Learned {
  readonly state: LearningState;
  readonly changes: readonly RecordChange[];
  readonly lessons: readonly Lesson[];
}

const seenKey = (id: RoutingDomainId, key: string): string => `${id} ${key}`;

/** Neither a group nor nobody, and not the distributed router's own. */
const canBeHost = (mac: Mac): boolean => mac !== ROUTER_MAC && !/^[0:]+$/.test(mac) && (macBytes(mac)[0]! & 1) === 0;

const UNUSABLE = /^(0\.|127\.|22[4-9]\.|2[3-5]\d\.|::1?$|ff)/;

const recordOf = (s: Sighting): LookupRecord => ({
  customerAddress: s.address,
  mac: s.mac,
  vsid: s.vsid,
  providerAddress: s.providerAddress,
  rule: 'TranslationMethodEncap',
  type: 'Dynamic',
});

/** Who else holds the address or the MAC, so that it may not be taught; undefined when it may. */
function refusalOf(network: Network, s: Sighting, learnedCount: number): RecordErrorCode | undefined {
  const key = recordKey('lookup-record', recordOf(s));
  for (const [k, kept] of network.kept['lookup-record'].around([s.address], [s.mac])) {
    const { record } = kept;
    if (wasLearned(kept)) {
      if (record.customerAddress === s.address && (k !== key || record.mac !== s.mac)) return 'LEARN_OWNED';
      if (record.mac === s.mac && record.vsid !== s.vsid) return 'LEARN_OWNED';
      continue;
    }
    if (record.type === 'L2Only') {
      if (record.mac === s.mac && record.vsid !== s.vsid) return 'LEARN_OWNED';
    } else if (record.customerAddress === s.address || (record.mac === s.mac && differs(record, s)))
      return 'LEARN_OWNED';
  }
  const local = [...(network.internalInterfaces ?? []), ...(network.ports ?? [])];
  for (const holder of local) {
    const addresses = holder.addresses.map((a) => (typeof a === 'string' ? a : a.address));
    const same = holder.mac === s.mac && holder.vsid === s.vsid;
    if ((addresses.includes(s.address) || holder.mac === s.mac) && !same) return 'LEARN_OWNED';
  }
  if (!network.kept['lookup-record'].has(key) && learnedCount >= (network.maximumLearnedRecords ?? DEFAULT_MAXIMUM))
    return 'LEARN_QUOTA';
  return undefined;
}

const differs = (record: LookupRecord, s: Sighting): boolean =>
  record.vsid !== s.vsid || record.providerAddress !== s.providerAddress;

/** What a record that is not to be learned says already. */
const known = (kept: Kept<LookupRecord> | undefined, s: Sighting): boolean =>
  kept !== undefined && !wasLearned(kept) && kept.record.mac === s.mac && !differs(kept.record, s);

/** What sightings change. Several of one address: the last one counts. */
export function learn(state: LearningState, store: RecordStore, sightings: readonly Sighting[], now: number): Learned {
  let next = state;
  const changes: RecordChange[] = [];
  const lessons: Lesson[] = [];
  const counts = new Map<RoutingDomainId, number>(); // of learned records
  const moved = new Set<string>();
  const last = new Map(sightings.map((s) => [`${s.routingDomainId} ${s.address}`, s]));
  const fresh = new Map<string, string>(); // where this call saw a MAC: it is in one place
  for (const s of last.values()) {
    const { routingDomainId } = s;
    const network = store.networks.get(routingDomainId);
    const usable = network && subnetOf(network, s.vsid) && canBeHost(s.mac) && !UNUSABLE.test(s.address);
    if (!usable || store.vsids.get(String(s.vsid)) !== routingDomainId) continue;
    const record = recordOf(s);
    const key = recordKey('lookup-record', record);
    if (known(network.kept['lookup-record'].get(key), s)) continue;
    const place = `${routingDomainId} ${s.mac}`;
    const elsewhere = fresh.has(place) && fresh.get(place) !== `${s.vsid} ${s.providerAddress}`;
    const count = counts.get(routingDomainId) ?? network.kept['lookup-record'].counts.learned;
    counts.set(routingDomainId, count);
    const reason = elsewhere ? 'LEARN_OWNED' : refusalOf(network, s, count);
    if (reason) {
      lessons.push({ change: 'Refused', routingDomainId, record, reason });
      continue;
    }
    fresh.set(place, `${s.vsid} ${s.providerAddress}` as Mac);
    next = next.with(seenKey(routingDomainId, key), now);
    const there = network.kept['lookup-record'].get(key)?.record;
    const base = { kind: 'lookup-record', routingDomainId, origin: 'Learned' } as const;
    if (!there) {
      counts.set(routingDomainId, count + 1);
      changes.push({ ...base, verb: 'new', record });
      lessons.push({ change: 'Added', routingDomainId, record });
    }
    // The MAC moved as a whole: whatever else was learned of it is at the new place too.
    for (const [k, kept] of network.kept['lookup-record'].around([], [s.mac])) {
      const { record: other } = kept;
      const here = seenKey(routingDomainId, k);
      if (wasLearned(kept) && other.mac === s.mac && other.providerAddress !== s.providerAddress && !moved.has(here)) {
        const { providerAddress } = s;
        moved.add(here);
        next = next.with(here, now);
        changes.push({ ...base, verb: 'set', key: k, patch: { providerAddress } });
        lessons.push({ change: 'Moved', routingDomainId, record: { ...other, providerAddress } });
      }
    }
  }
  return { state: next, changes, lessons };
}

/** When a learned record was heard of last. */
export const heardAt = (state: LearningState, id: RoutingDomainId, key: string): number | undefined =>
  state.get(seenKey(id, key));

/** After a restart: what was learned before counts as heard of now. */
export function resumed(store: RecordStore, now: number): LearningState {
  let state = NOTHING_LEARNED;
  for (const [id, network] of store.networks.entries())
    for (const [key, { origin }] of network.kept['lookup-record'])
      if (origin === 'Learned') state = state.with(seenKey(id as RoutingDomainId, key), now);
  return state;
}

/** Forgets what was not heard of for the ageing time. Looks at what was learned, and at nothing else. */
export function age(state: LearningState, store: RecordStore, now: number): Learned {
  let next = state;
  const changes: RecordChange[] = [];
  const lessons: Lesson[] = [];
  for (const [seen, time] of state.entries()) {
    const cut = seen.indexOf(' ');
    const [routingDomainId, key] = [seen.slice(0, cut) as RoutingDomainId, seen.slice(cut + 1)];
    const network = store.networks.get(routingDomainId);
    const kept = network?.kept['lookup-record'].get(key);
    // Somebody took it away, or made it theirs.
    if (!network || kept?.origin !== 'Learned') {
      next = next.with(seen, undefined);
      continue;
    }
    // A virtual subnet that does not learn any more has nothing learned.
    const subnet = subnetOf(network, kept.record.vsid);
    if (!subnet || now - time >= subnet.ageingTimeSeconds * 1000) {
      next = next.with(seen, undefined);
      changes.push({ kind: 'lookup-record', verb: 'remove', routingDomainId, origin: 'Learned', key });
      lessons.push({ change: 'Aged', routingDomainId, record: kept.record });
    }
  }
  return { state: next, changes, lessons };
}
