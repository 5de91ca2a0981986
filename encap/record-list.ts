/**
 * The lookup records of a VM network by key, as an immutable map that a change does not copy: most records lie in a base that all
 * versions share, the changes since in tries over it. When these grow, the next version gets a new base, so a change costs the
 * same among ten records as among a million. Pure.
 */
import type { LookupRecord, Vsid } from '../compartments/compartment.ts';
import { ROUTER_MAC } from '../compartments/policy.ts';
import { isPlain } from '../compartments/policy-plain.ts';
import type { Address, Mac } from '../lib/address.ts';
import { Trie } from '../lib/trie.ts';

/** `File` records change with the file only; `Learned` ones give way to whatever the operator says. */
export type RecordOrigin = 'File' | 'Runtime' | 'Learned';

export interface Kept<T> {
  readonly record: T;
  readonly origin: RecordOrigin;
}
type Entry = readonly [key: string, kept: Kept<LookupRecord>];

/** What a lookup record is known by; the address of an L2Only record is a placeholder (R-ENC-8). */
export const lookupKey = (r: LookupRecord): string => `${r.vsid} ${r.type === 'L2Only' ? r.mac : r.customerAddress}`;

/** The data plane heeds what is known before what was learned, and places without address last. */
const ORDER: readonly LookupRecord['type'][] = ['Static', 'GatewayWildcard', 'Dynamic', 'L2Only'];

/** Records in the order in which the data plane heeds them. */
export function heeded(all: Iterable<Kept<LookupRecord>>): readonly LookupRecord[] {
  const sorts = ORDER.map((): LookupRecord[] => []);
  for (const { record } of all) sorts[ORDER.indexOf(record.type)]!.push(record);
  return sorts.flat();
}

/** Below this a new base is not worth it, nor below this share of the base. */
const FEW_CHANGES = 4096;
const SHARE = 4;

/** Taken from the base. */
const GONE = Symbol('gone');

class Base {
  readonly records: ReadonlyMap<string, Kept<LookupRecord>>;
  /** Nearly every MAC has one record: a list for each would cost a million of them. */
  #byMac: ReadonlyMap<Mac, string | string[]> | undefined;

  constructor(records: ReadonlyMap<string, Kept<LookupRecord>>) {
    this.records = records;
  }

  /** Keys of the records with a MAC. A policy that nobody changes never needs them. */
  ofMac(mac: Mac): readonly string[] {
    if (!this.#byMac) {
      const byMac = new Map<Mac, string | string[]>();
      for (const [key, { record }] of this.records) {
        const there = byMac.get(record.mac);
        if (there === undefined) byMac.set(record.mac, key);
        else if (typeof there === 'string') byMac.set(record.mac, [there, key]);
        else there.push(key);
      }
      this.#byMac = byMac;
    }
    const keys = this.#byMac.get(mac);
    return keys === undefined ? [] : typeof keys === 'string' ? [keys] : keys;
  }
}

/** What a virtual subnet's records say of one machine. */
export interface MachineCount {
  readonly records: number;
  /** Those whose addresses are not known for good: L2Only and Dynamic ones. */
  readonly asked: number;
}

/** How many records name each; those that none names are not there. */
interface Counts {
  readonly vsids: Trie<number>;
  /** Provider addresses at the ends of tunnels: those of the distributed router's records and of plain ones left out. */
  readonly peers: Trie<number>;
  /** The same in each virtual subnet, by `machineKey`. */
  readonly machines: Trie<MachineCount>;
  readonly learned: number;
  /** Those that are not the file's. */
  readonly own: number;
}

export const machineKey = (vsid: Vsid, peer: Address): string => `${vsid} ${peer}`;
export function parseMachineKey(key: string): { readonly vsid: Vsid; readonly peer: Address } {
  const cut = key.indexOf(' ');
  return { vsid: Number(key.slice(0, cut)), peer: key.slice(cut + 1) as Address };
}
export const isTunnelled = (r: LookupRecord): boolean => r.mac !== ROUTER_MAC && !isPlain(r);
/** Whether the machine that a record names is asked for addresses (R-ENC-8). */
export const isAsked = (r: LookupRecord): boolean => r.type === 'L2Only' || r.type === 'Dynamic';

/** What changes add to counts and take from them, summed up before the tries are touched: a call may bring a million. */
class Recount {
  readonly #vsids = new Map<Vsid, number>();
  readonly #machines = new Map<Vsid, Map<Address, { records: number; asked: number }>>();
  #learned = 0;
  #own = 0;

  add({ record, origin }: Kept<LookupRecord>, by: 1 | -1): void {
    const { vsid, providerAddress } = record;
    this.#vsids.set(vsid, (this.#vsids.get(vsid) ?? 0) + by);
    if (origin === 'Learned') this.#learned += by;
    if (origin !== 'File') this.#own += by;
    if (!isTunnelled(record)) return;
    let ofSubnet = this.#machines.get(vsid);
    if (!ofSubnet) {
      ofSubnet = new Map();
      this.#machines.set(vsid, ofSubnet);
    }
    let machine = ofSubnet.get(providerAddress);
    if (!machine) {
      machine = { records: 0, asked: 0 };
      ofSubnet.set(providerAddress, machine);
    }
    machine.records += by;
    if (isAsked(record)) machine.asked += by;
  }

  apply(to: Counts): Counts {
    let { vsids, peers, machines } = to;
    for (const [vsid, by] of this.#vsids) if (by) vsids = counted(vsids, String(vsid), by);
    for (const [vsid, ofSubnet] of this.#machines)
      for (const [peer, { records, asked }] of ofSubnet) {
        if (records) peers = counted(peers, peer, records);
        if (!records && !asked) continue;
        const key = machineKey(vsid, peer);
        const there = machines.get(key);
        const sum = { records: (there?.records ?? 0) + records, asked: (there?.asked ?? 0) + asked };
        machines = machines.with(key, sum.records ? sum : undefined);
      }
    return { vsids, peers, machines, learned: to.learned + this.#learned, own: to.own + this.#own };
  }
}

const counted = (trie: Trie<number>, key: string, by: number): Trie<number> =>
  trie.with(key, (trie.get(key) ?? 0) + by || undefined);

const NOBODY: Counts = { vsids: Trie.empty(), peers: Trie.empty(), machines: Trie.empty(), learned: 0, own: 0 };

const NONE: readonly string[] = [];
const NOTHING = { changes: Trie.empty<Kept<LookupRecord> | typeof GONE>(), macs: Trie.empty<readonly string[]>() };

export class RecordList implements Iterable<Entry> {
  readonly #base: Base;
  readonly #changes: typeof NOTHING.changes;
  /** Keys of changed records whose MAC is not the base's, by MAC; some may have another one by now. */
  readonly #macs: typeof NOTHING.macs;
  readonly counts: Counts;
  readonly size: number;
  #inOrder: readonly LookupRecord[] | undefined;

  private constructor(base: Base, { changes, macs }: typeof NOTHING, counts: Counts, size: number) {
    this.#base = base;
    this.#changes = changes;
    this.#macs = macs;
    this.counts = counts;
    this.size = size;
  }

  static of(entries: Iterable<Entry>): RecordList {
    const records = new Map(entries);
    const recount = new Recount();
    for (const kept of records.values()) recount.add(kept, 1);
    return new RecordList(new Base(records), NOTHING, recount.apply(NOBODY), records.size);
  }

  get(key: string): Kept<LookupRecord> | undefined {
    const changed = this.#changes.size ? this.#changes.get(key) : undefined;
    if (changed === undefined) return this.#base.records.get(key);
    return changed === GONE ? undefined : changed;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /** All of the changes; `undefined` takes a key away. */
  withAll(all: ReadonlyMap<string, Kept<LookupRecord> | undefined>): RecordList {
    const recount = new Recount();
    let size = this.size;
    for (const [key, kept] of all) {
      const former = this.get(key);
      if (former) recount.add(former, -1);
      if (kept) recount.add(kept, 1);
      size += (kept ? 1 : 0) - (former ? 1 : 0);
    }
    const counts = recount.apply(this.counts);
    const many = this.#many;
    if (this.#changes.size + all.size <= many) {
      let { changes, macs } = { changes: this.#changes, macs: this.#macs };
      for (const [key, kept] of all) {
        changes = changes.with(key, kept ?? (this.#base.records.has(key) ? GONE : undefined));
        if (!kept) continue;
        const { mac } = kept.record;
        if (this.#base.records.get(key)?.record.mac === mac) continue;
        const there = macs.get(mac);
        if (!there?.includes(key)) macs = macs.with(mac, there ? [...there, key] : [key]);
      }
      if (macs.size <= many) return new RecordList(this.#base, { changes, macs }, counts, size);
    }
    const records = new Map(this);
    for (const [key, kept] of all)
      if (kept) records.set(key, kept);
      else records.delete(key);
    return new RecordList(new Base(records), NOTHING, counts, size);
  }

  /** So many changes are worth a new base. */
  get #many(): number {
    return Math.max(FEW_CHANGES, this.#base.records.size / SHARE);
  }

  /** `undefined` takes the key away. */
  with(key: string, kept: Kept<LookupRecord> | undefined): RecordList {
    return this.withAll(new Map([[key, kept]]));
  }

  /** The records that have one of the addresses or of the MACs. */
  around(addresses: Iterable<Address>, macs: Iterable<Mac>): ReadonlyMap<string, Kept<LookupRecord>> {
    const found = new Map<string, Kept<LookupRecord>>();
    const vsids = [...this.counts.vsids.entries()].map(([vsid]) => vsid);
    for (const address of addresses)
      for (const vsid of vsids) {
        const key = `${vsid} ${address}`;
        const kept = this.get(key);
        if (kept) found.set(key, kept);
      }
    for (const mac of macs)
      for (const keys of [this.#base.ofMac(mac), this.#macs.get(mac) ?? NONE])
        for (const key of keys) {
          const kept = found.get(key) ?? this.get(key);
          if (kept?.record.mac === mac) found.set(key, kept);
        }
    return found;
  }

  /** Those of the base first, in the order in which they were given. */
  *[Symbol.iterator](): Generator<Entry> {
    for (const [key, kept] of this.#base.records) {
      const changed = this.#changes.get(key);
      if (changed === undefined) yield [key, kept];
      else if (changed !== GONE) yield [key, changed];
    }
    for (const [key, changed] of this.#changes.entries())
      if (changed !== GONE && !this.#base.records.has(key)) yield [key, changed];
  }

  *values(): Generator<Kept<LookupRecord>> {
    for (const [, kept] of this) yield kept;
  }

  /** In the order in which the data plane heeds them; made when somebody asks. */
  inOrder(): readonly LookupRecord[] {
    this.#inOrder ??= heeded(this.values());
    return this.#inOrder;
  }
}
