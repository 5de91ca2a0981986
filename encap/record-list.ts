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

/** Below this a new base is not worth it, nor above this share of the base. */
const FEW_CHANGES = 4096;
const SHARE = 8;

/** Taken from the base. */
const GONE = Symbol('gone');

class Base {
  readonly records: ReadonlyMap<string, Kept<LookupRecord>>;
  #byMac: ReadonlyMap<Mac, readonly string[]> | undefined;

  constructor(records: ReadonlyMap<string, Kept<LookupRecord>>) {
    this.records = records;
  }

  /** Keys of the records with a MAC. A policy that nobody changes never needs them. */
  ofMac(mac: Mac): readonly string[] {
    if (!this.#byMac) {
      const byMac = new Map<Mac, readonly string[]>();
      for (const [key, { record }] of this.records) byMac.set(record.mac, [...(byMac.get(record.mac) ?? []), key]);
      this.#byMac = byMac;
    }
    return this.#byMac.get(mac) ?? [];
  }
}

/** How many records name each; those that none names are not there. */
interface Counts {
  readonly vsids: Trie<number>;
  /** Provider addresses at the ends of tunnels: those of the distributed router's records and of plain ones left out. */
  readonly peers: Trie<number>;
  readonly learned: number;
}

const counted = (trie: Trie<number>, key: string, by: number): Trie<number> =>
  trie.with(key, (trie.get(key) ?? 0) + by || undefined);

function count(c: Counts, kept: Kept<LookupRecord> | undefined, by: 1 | -1): Counts {
  if (!kept) return c;
  const { record, origin } = kept;
  return {
    vsids: counted(c.vsids, String(record.vsid), by),
    peers: record.mac === ROUTER_MAC || isPlain(record) ? c.peers : counted(c.peers, record.providerAddress, by),
    learned: c.learned + (origin === 'Learned' ? by : 0),
  };
}

function countAll(all: Iterable<Kept<LookupRecord>>): Counts {
  const [vsids, peers] = [new Map<Vsid, number>(), new Map<Address, number>()];
  let learned = 0;
  for (const { record, origin } of all) {
    vsids.set(record.vsid, (vsids.get(record.vsid) ?? 0) + 1);
    if (record.mac !== ROUTER_MAC && !isPlain(record))
      peers.set(record.providerAddress, (peers.get(record.providerAddress) ?? 0) + 1);
    if (origin === 'Learned') learned++;
  }
  const trie = (m: ReadonlyMap<unknown, number>) => {
    let t = Trie.empty<number>();
    for (const [key, n] of m) t = t.with(String(key), n);
    return t;
  };
  return { vsids: trie(vsids), peers: trie(peers), learned };
}

const NOTHING = { changes: Trie.empty<Kept<LookupRecord> | typeof GONE>(), macs: Trie.empty<readonly string[]>() };

export class RecordList implements Iterable<Entry> {
  readonly #base: Base;
  readonly #changes: typeof NOTHING.changes;
  /** Keys of changed records by MAC; some may have another one by now. */
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
    return new RecordList(new Base(records), NOTHING, countAll(records.values()), records.size);
  }

  get(key: string): Kept<LookupRecord> | undefined {
    const changed = this.#changes.get(key);
    if (changed === undefined) return this.#base.records.get(key);
    return changed === GONE ? undefined : changed;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /** All of the changes; `undefined` takes a key away. */
  withAll(changes: ReadonlyMap<string, Kept<LookupRecord> | undefined>): RecordList {
    if (this.#changes.size + changes.size > this.#many) {
      const all = new Map(this);
      for (const [key, kept] of changes)
        if (kept) all.set(key, kept);
        else all.delete(key);
      return RecordList.of(all);
    }
    let list: RecordList = this;
    for (const [key, kept] of changes) list = list.with(key, kept);
    return list;
  }

  /** So many changes are worth a new base. */
  get #many(): number {
    return Math.max(FEW_CHANGES, this.#base.records.size / SHARE);
  }

  /** `undefined` takes the key away. */
  with(key: string, kept: Kept<LookupRecord> | undefined): RecordList {
    const former = this.get(key);
    const counts = count(count(this.counts, former, -1), kept, 1);
    const size = this.size - (former ? 1 : 0) + (kept ? 1 : 0);
    const changes = this.#changes.with(key, kept ?? (this.#base.records.has(key) ? GONE : undefined));
    const there = kept && (this.#macs.get(kept.record.mac) ?? []);
    const macs = there && !there.includes(key) ? this.#macs.with(kept.record.mac, [...there, key]) : this.#macs;
    const next = new RecordList(this.#base, { changes, macs }, counts, size);
    return Math.max(changes.size, macs.size) > this.#many
      ? new RecordList(new Base(new Map(next)), NOTHING, counts, size)
      : next;
  }

  /** The records that have one of the addresses or of the MACs. */
  around(addresses: Iterable<Address>, macs: Iterable<Mac>): ReadonlyMap<string, Kept<LookupRecord>> {
    const found = new Map<string, Kept<LookupRecord>>();
    const vsids = [...this.counts.vsids.entries()].map(([vsid]) => vsid);
    for (const address of addresses)
      for (const vsid of vsids) {
        const kept = this.get(`${vsid} ${address}`);
        if (kept) found.set(`${vsid} ${address}`, kept);
      }
    for (const mac of macs)
      for (const key of [...this.#base.ofMac(mac), ...(this.#macs.get(mac) ?? [])]) {
        const kept = this.get(key);
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
