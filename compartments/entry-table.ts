/**
 * Entries of one eBPF map, packed: keys, values and slots lie in arrays of their own, so a million of them cost no objects, are
 * compared word by word, and go into the kernel's batch calls as they are (bpf(2), BPF_MAP_UPDATE_BATCH).
 *
 * Keys and values are 32-bit words in memory order, as the maps of `bpf/abi.h` have them. Rows are dense: removing one moves the
 * last one into its place.
 */
import type { Slot } from './numbers.ts';

const WORD = 4;
const SMALLEST = 16; // rows

/** Multiplies and shifts of MurmurHash3's finaliser, over all words of a key. */
function hashOf(words: Uint32Array, at: number, count: number): number {
  let h = count;
  for (let i = at; i < at + count; i++) {
    h = Math.imul(h ^ words[i]!, 0x85ebca6b);
    h ^= h >>> 15;
  }
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function grown(array: Uint32Array, length: number): Uint32Array {
  const larger = new Uint32Array(length);
  larger.set(array);
  return larger;
}

/** A copy of bytes as the words of a key or a value. Throws RangeError when they do not fill whole words. */
export function wordsOf(bytes: Uint8Array): Uint32Array {
  if (bytes.length % WORD) throw new RangeError(`${bytes.length} bytes are no whole words`);
  return new Uint32Array(Uint8Array.from(bytes).buffer);
}

export class EntryTable {
  readonly map: string;
  readonly keySize: number; // bytes
  readonly valueSize: number; // bytes; 0 = only the keys are of interest
  readonly #keyWords: number;
  readonly #valueWords: number;
  #count = 0;
  #keys: Uint32Array;
  #values: Uint32Array;
  #slots: Uint32Array;
  /**
   * Open addressing, at most half full: row + 1 in as many low bits as a place has, above them those of the key's hash, which
   * spare most looks at keys of others. 0 = free.
   */
  #index: Int32Array;

  constructor(map: string, keySize: number, valueSize: number, rows = SMALLEST) {
    if (keySize % WORD || valueSize % WORD) throw new RangeError(`entries of ${map} are no whole words`);
    this.map = map;
    this.keySize = keySize;
    this.valueSize = valueSize;
    this.#keyWords = keySize / WORD;
    this.#valueWords = valueSize / WORD;
    this.#keys = new Uint32Array(rows * this.#keyWords);
    this.#values = new Uint32Array(rows * this.#valueWords);
    this.#slots = new Uint32Array(rows);
    this.#index = new Int32Array(2 ** Math.ceil(Math.log2(2 * rows + 1)));
  }

  get count(): number {
    return this.#count;
  }

  slot(row: number): Slot {
    return this.#slots[row]!;
  }

  /** Row of the key that begins at `at`, -1 when it is not there. */
  find(key: Uint32Array, at = 0): number {
    return this.#rowAt(this.#placeOf(key, at));
  }

  /** Sets an entry, whether or not the key was there; tells its row. */
  put(slot: Slot, key: Uint32Array, value: Uint32Array, keyAt = 0, valueAt = 0): number {
    const place = this.#placeOf(key, keyAt);
    const there = this.#rowAt(place);
    const row = there < 0 ? this.#append(place, key, keyAt) : there;
    this.#write(row, slot, value, valueAt);
    return row;
  }

  /** Sets an entry unless the key was there; false when it was. */
  add(slot: Slot, key: Uint32Array, value: Uint32Array): boolean {
    const place = this.#placeOf(key, 0);
    if (this.#index[place] !== 0) return false;
    this.#write(this.#append(place, key, 0), slot, value, 0);
    return true;
  }

  /** False when the key was not there. */
  remove(key: Uint32Array): boolean {
    const place = this.#placeOf(key, 0);
    const row = this.#rowAt(place);
    if (row < 0) return false;
    this.#vacate(place);
    const last = --this.#count;
    if (row !== last) {
      this.#enter(this.#placeOf(this.#keys, last * this.#keyWords), last, row);
      this.#keys.copyWithin(row * this.#keyWords, last * this.#keyWords, (last + 1) * this.#keyWords);
      this.#values.copyWithin(row * this.#valueWords, last * this.#valueWords, (last + 1) * this.#valueWords);
      this.#slots[row] = this.#slots[last]!;
    }
    return true;
  }

  /** Row here of the key that another table has in a row, -1 when it is not there. */
  rowOf(other: EntryTable, row: number): number {
    return this.find(other.#keys, row * this.#keyWords);
  }

  sameValue(row: number, other: EntryTable, otherRow: number): boolean {
    const n = this.#valueWords;
    for (let i = row * n, j = otherRow * n; i < (row + 1) * n; i++, j++)
      if (this.#values[i] !== other.#values[j]) return false;
    return true;
  }

  /** Bytes of the keys of rows, one after the other; not a copy. */
  keys(from: number, to: number): Buffer {
    return Buffer.from(this.#keys.buffer, from * this.keySize, (to - from) * this.keySize);
  }

  values(from: number, to: number): Buffer {
    return Buffer.from(this.#values.buffer, from * this.valueSize, (to - from) * this.valueSize);
  }

  /** The chosen rows as a table of their own, in the order given. */
  pick(rows: Iterable<number>): EntryTable {
    const chosen = new EntryTable(this.map, this.keySize, this.valueSize);
    for (const row of rows)
      chosen.put(this.slot(row), this.#keys, this.#values, row * this.#keyWords, row * this.#valueWords);
    return chosen;
  }

  /** Bytes of memory. */
  get bytes(): number {
    return [this.#keys, this.#values, this.#slots, this.#index].reduce((sum, a) => sum + a.byteLength, 0);
  }

  /** Where in the index the key is, or would be. */
  #placeOf(key: Uint32Array, at: number): number {
    const [n, keys, index] = [this.#keyWords, this.#keys, this.#index];
    const mask = index.length - 1;
    const hash = hashOf(key, at, n);
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const there = index[place]!;
      if (there === 0) return place;
      if ((there ^ hash) & ~mask) continue;
      const row = (there & mask) - 1;
      let i = 0;
      for (const from = row * n; i < n && keys[from + i] === key[at + i]; ) i++;
      if (i === n) return place;
    }
  }

  #append(place: number, key: Uint32Array, at: number): number {
    const [row, n] = [this.#count, this.#keyWords];
    if (row === this.#slots.length) this.#grow();
    for (let i = 0; i < n; i++) this.#keys[row * n + i] = key[at + i]!;
    this.#count = row + 1;
    if (2 * this.#count > this.#index.length) this.#reindex();
    else this.#enter(place, row, row);
    return row;
  }

  #rowAt(place: number): number {
    return (this.#index[place]! & (this.#index.length - 1)) - 1;
  }

  /** The key of row `of` is in `row`. */
  #enter(place: number, of: number, row: number): void {
    const mask = this.#index.length - 1;
    this.#index[place] = (hashOf(this.#keys, of * this.#keyWords, this.#keyWords) & ~mask) | (row + 1);
  }

  #write(row: number, slot: Slot, value: Uint32Array, at: number): void {
    const n = this.#valueWords;
    for (let i = 0; i < n; i++) this.#values[row * n + i] = value[at + i]!;
    this.#slots[row] = slot;
  }

  #grow(): void {
    const rows = 2 * this.#slots.length;
    this.#keys = grown(this.#keys, rows * this.#keyWords);
    this.#values = grown(this.#values, rows * this.#valueWords);
    this.#slots = grown(this.#slots, rows);
  }

  #reindex(): void {
    const index = new Int32Array(2 * this.#index.length);
    const [mask, n] = [index.length - 1, this.#keyWords];
    for (let row = 0; row < this.#count; row++) {
      const hash = hashOf(this.#keys, row * n, n);
      let place = hash & mask;
      while (index[place] !== 0) place = (place + 1) & mask;
      index[place] = (hash & ~mask) | (row + 1);
    }
    this.#index = index;
  }

  /** Frees a place without breaking the chains that lead over it (Knuth, TAOCP 6.4, algorithm R). */
  #vacate(place: number): void {
    const [index, n] = [this.#index, this.#keyWords];
    const mask = index.length - 1;
    let hole = place;
    for (let at = (hole + 1) & mask; index[at] !== 0; at = (at + 1) & mask) {
      const home = hashOf(this.#keys, this.#rowAt(at) * n, n) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      index[hole] = index[at]!;
      hole = at;
    }
    index[hole] = 0;
  }
}

/** What must be done so that a map has the entries wanted: rows of `wanted` to set, rows of `present` to delete. */
export interface TableDifference {
  readonly created: readonly number[];
  readonly changed: readonly number[];
  readonly gone: readonly number[];
}

export function tableDifference(wanted: EntryTable, present: EntryTable): TableDifference {
  const difference = { created: [] as number[], changed: [] as number[], gone: [] as number[] };
  for (let row = 0; row < wanted.count; row++) {
    const there = present.rowOf(wanted, row);
    if (there < 0) difference.created.push(row);
    else if (!wanted.sameValue(row, present, there)) difference.changed.push(row);
  }
  if (wanted.count - difference.created.length === present.count) return difference;
  for (let row = 0; row < present.count; row++) if (wanted.rowOf(present, row) < 0) difference.gone.push(row);
  return difference;
}
