/**
 * eBPF maps. Every buffer is checked against the kernel's own sizes: a short one would be read or WRITTEN past its end.
 */
import fs from 'node:fs';
import { ENOENT, raw } from '../sys.ts';
import { BpfError, check, libbpf } from './libbpf.ts';

const MAP_INFO = 80; // struct bpf_map_info
const PER_CPU = new Set([5, 6, 10, 21]);
const ARRAYS = new Set([2, 6]);
const ENOSPC = 28;
/** Entries of one system call: large enough that the call costs nothing, short enough that timers are not late. */
export const BATCH = 4096;

/** Per-CPU values come for every possible CPU, online or not. */
export function possibleCpus(): number {
  return fs
    .readFileSync('/sys/devices/system/cpu/possible', 'utf8')
    .trim()
    .split(',')
    .reduce((n, range) => {
      const [first, last = first] = range.split('-').map(Number) as [number, number?];
      return n + last - first + 1;
    }, 0);
}

export type Entry = readonly [key: Buffer, value: Buffer];

/** Entries whose keys and values lie one after the other from the beginnings of two buffers of their own. */
export interface PackedBatch {
  readonly count: number;
  readonly keys: Uint8Array<ArrayBuffer>;
  readonly values: Uint8Array<ArrayBuffer>;
}

/** How many entries from the first on were carried out, and why the next one was not. */
export interface Batch {
  readonly done: number;
  readonly error?: BpfError;
}

export class BpfMap {
  readonly fd: number;
  readonly id: number;
  readonly type: number;
  readonly keySize: number;
  /** Bytes of a lookup's answer: for per-CPU maps eight-byte-aligned values of all possible CPUs. */
  readonly valueSize: number;
  readonly maxEntries: number;

  constructor(fd: number) {
    const info = Buffer.alloc(MAP_INFO);
    check('map info', libbpf.info(fd, info, [info.length]));
    this.fd = fd;
    this.type = info.readUInt32LE(0);
    this.id = info.readUInt32LE(4);
    this.keySize = info.readUInt32LE(8);
    const valueSize = info.readUInt32LE(12);
    this.maxEntries = info.readUInt32LE(16);
    this.valueSize = this.perCpu ? ((valueSize + 7) & ~7) * possibleCpus() : valueSize;
  }

  static pinned(path: string): BpfMap {
    return new BpfMap(check(`bpf_obj_get ${path}`, libbpf.getPinned(path)));
  }

  get perCpu(): boolean {
    return PER_CPU.has(this.type);
  }
  /** All keys exist for ever; there is no delete. */
  get isArray(): boolean {
    return ARRAYS.has(this.type);
  }

  #checkSizes(keys: Uint8Array, values?: Uint8Array, count = 1): void {
    if (keys.length < this.keySize * count || (values && values.length < this.valueSize * count))
      throw new RangeError(`map wants keys of ${this.keySize} and values of ${this.valueSize} bytes, ${count} of them`);
  }

  set(key: Uint8Array, value: Uint8Array, flags = 0): void {
    this.#checkSizes(key, value);
    check('map update', libbpf.update(this.fd, key, value, flags));
  }

  get(key: Uint8Array, value: Uint8Array = Buffer.alloc(this.valueSize)): Uint8Array | undefined {
    this.#checkSizes(key, value);
    const result: number = libbpf.lookup(this.fd, key, value);
    if (result === -ENOENT) return undefined;
    check('map lookup', result);
    return value;
  }

  /** False when there was no such key. */
  delete(key: Uint8Array): boolean {
    this.#checkSizes(key);
    const result: number = libbpf.delete(this.fd, key);
    if (result === -ENOENT) return false;
    check('map delete', result);
    return true;
  }

  /** Sets `count` entries, which lie one after the other in `keys` and `values`, by one system call. */
  setBatch(keys: Uint8Array, values: Uint8Array, count: number): Batch {
    this.#checkSizes(keys, values, count);
    const got = [count];
    const result: number = libbpf.updateBatch(this.fd, keys, values, got, batchOptions());
    return this.#batch('map update', result, got[0]!, count);
  }

  /** Deletes `count` keys by one system call. A key that is not there ends the batch with ENOENT. */
  deleteBatch(keys: Uint8Array, count: number): Batch {
    this.#checkSizes(keys, undefined, count);
    const got = [count];
    const result: number = libbpf.deleteBatch(this.fd, keys, got, batchOptions());
    return this.#batch('map delete', result, got[0]!, count);
  }

  /** A kernel that refuses the whole call leaves the count as it was. */
  #batch(what: string, result: number, got: number, count: number): Batch {
    if (result >= 0) return { done: count };
    return { done: got < count ? got : 0, error: new BpfError(what, result) };
  }

  /**
   * All entries, a batch a step, so that the caller can let the event loop run in between. An entry that changes meanwhile may
   * come twice or not at all.
   */
  *batches(): Generator<Entry[]> {
    const { keySize, valueSize } = this;
    for (const { count, keys, values } of this.packedBatches())
      yield Array.from(
        { length: count },
        (_, i): Entry => [
          Buffer.from(keys.buffer, i * keySize, keySize),
          Buffer.from(values.buffer, i * valueSize, valueSize),
        ],
      );
  }

  /** The same with the keys and the values of a batch one after the other. */
  *packedBatches(size = BATCH): Generator<PackedBatch> {
    const { keySize, valueSize } = this;
    let count = Math.min(size, Math.max(1, this.maxEntries));
    let from: Buffer | null = null;
    for (;;) {
      const next = Buffer.alloc(Math.max(8, keySize));
      const keys = new Uint8Array(count * keySize);
      const values = new Uint8Array(count * valueSize);
      const got = [count];
      const result: number = libbpf.lookupBatch(this.fd, from, next, keys, values, got, batchOptions());
      if (result === -ENOSPC && count < this.maxEntries) {
        count = Math.min(count * 2, this.maxEntries); // a hash bucket holds more than the batch
        continue;
      }
      if (result !== -ENOENT) check('map dump', result);
      yield { count: got[0]!, keys, values };
      if (result === -ENOENT) return;
      from = next;
    }
  }

  close(): void {
    raw.close(this.fd);
  }
}

/** struct bpf_map_batch_opts: its own size, no flags. */
function batchOptions(): Buffer {
  const b = Buffer.alloc(24);
  b.writeBigUInt64LE(24n);
  return b;
}
