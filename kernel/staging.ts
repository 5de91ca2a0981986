/** Entry ops as the arrays of keys and values that the kernel's batch calls take (bpf(2), BPF_MAP_UPDATE_BATCH). */
import type { Op, Resource } from '../compartments/resource.ts';
import { BATCH, type Batch, type BpfMap } from './bpf/map.ts';

export type EntryOp = Op & { readonly resource: Resource<'entry'> };

const ENOENT = 'ENOENT';

/** The bytes of hexadecimal text of exactly `size` bytes. Throws RangeError. */
export function bytes(text: string, size: number, what: string): Buffer {
  const b = Buffer.alloc(size);
  fill(b, 0, text, size, what);
  return b;
}

function fill(target: Buffer, at: number, text: string, size: number, what: string): void {
  if (text.length !== 2 * size || target.write(text, at, size, 'hex') !== size)
    throw new RangeError(`EINVAL: the ${what} has ${text.length / 2} bytes, the map wants ${size}`);
}

/**
 * Ops in batches of one map and of one sort (deletes, or all others). The order among keys of a stretch of the same sort does
 * not matter; deletes and others never pass each other.
 */
export function* batched(ops: readonly Op[], size = BATCH): Generator<readonly EntryOp[]> {
  for (let from = 0, to = 0; from < ops.length; from = to) {
    const deletes = ops[from]!.verb === 'delete';
    const byMap = new Map<string, EntryOp[]>();
    for (; to < ops.length && (ops[to]!.verb === 'delete') === deletes; to++) {
      const { resource } = ops[to]!;
      if (resource.kind !== 'entry') throw new Error('not a resource of the entry hand');
      let list = byMap.get(resource.spec.map);
      if (!list) {
        list = [];
        byMap.set(resource.spec.map, list);
      }
      list.push(ops[to] as EntryOp);
      if (list.length < size) continue;
      byMap.delete(resource.spec.map);
      yield list;
    }
    yield* byMap.values();
  }
}

/** The bytes of a batch. `error` = why an op has none; it ends the batch before that op. */
export class Staging {
  readonly error: unknown;
  readonly #map: BpfMap;
  readonly #gone: boolean;
  readonly #keys: Buffer;
  readonly #values: Buffer;
  #count = 0;

  constructor(map: BpfMap, batch: readonly EntryOp[], gone: boolean) {
    this.#map = map;
    this.#gone = gone;
    this.#keys = Buffer.allocUnsafe(batch.length * map.keySize);
    this.#values = Buffer.alloc(batch.length * map.valueSize);
    try {
      for (const { resource } of batch) {
        fill(this.#keys, this.#count * map.keySize, resource.spec.key, map.keySize, 'key');
        if (!gone) fill(this.#values, this.#count * map.valueSize, resource.spec.value, map.valueSize, 'value');
        this.#count++;
      }
    } catch (e) {
      this.error = e;
    }
  }

  key(i: number): Uint8Array {
    return this.#keys.subarray(i * this.#map.keySize, (i + 1) * this.#map.keySize);
  }

  value(i: number): Uint8Array {
    return this.#values.subarray(i * this.#map.valueSize, (i + 1) * this.#map.valueSize);
  }

  /** An array's entries have no absence: they become zero. */
  write(): Batch {
    if (!this.#gone || this.#map.isArray) return this.#map.setBatch(this.#keys, this.#values, this.#count);
    return deleteRows(this.#map, this.#keys, this.#count);
  }
}

/** Deletes `count` keys. A key that is gone already is as good as deleted. */
export function deleteRows(map: BpfMap, keys: Buffer, count: number): Batch {
  for (let from = 0; from < count; ) {
    const { done, error } = map.deleteBatch(keys.subarray(from * map.keySize), count - from);
    from += done;
    if (!error) break;
    if (error.code !== ENOENT) return { done: from, error };
    from++;
  }
  return { done: count };
}
