/**
 * The hand for entries of pinned eBPF maps. Everything in the maps it is given is ours: maps that the data plane itself writes
 * (counters, learned addresses) are not given to it.
 *
 * `observe('all')` reads the maps; those that are said to be packed come as one resource of kind `entries`. `observe(slot)` looks
 * up the entries known for that slot, each as a resource, so it costs nothing per other tenant, and does not see entries that
 * somebody added behind our back. Arrays have all their keys always: an all-zero value counts as absent, and delete writes zeros.
 *
 * Many ops at once go by map and in batches: a system call for each would take most of the time of a million records.
 */
import { setImmediate } from 'node:timers/promises';
import { type EntryTable, wordsOf } from '../compartments/entry-table.ts';
import type { Slot } from '../compartments/numbers.ts';
import { rowResource } from '../compartments/packed.ts';
import type { AnyResource, Executed, Failure, Hand, Kind, Op, Resource, Specs } from '../compartments/resource.ts';
import { BATCH, type BpfMap } from './bpf/map.ts';
import { asResources, type EntryIndex, Reading } from './entry-index.ts';
import { batched, bytes, deleteRows, type EntryOp, Staging } from './staging.ts';

/** The compartment an entry belongs to; both parts as bytes. */
export type SlotOfEntry = (map: string, key: Uint8Array, value: Uint8Array) => Slot;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const isZero = (bytes: Uint8Array): boolean => bytes.every((b) => b === 0);

export class EntryHand implements Hand {
  readonly kinds: readonly Kind[] = ['entry', 'entries'];
  readonly #maps: ReadonlyMap<string, BpfMap>;
  readonly #slotOf: SlotOfEntry;
  readonly #packed: ReadonlySet<string>;
  /** From the first look at one slot on: a host, which has only full looks, never needs it. */
  #index: EntryIndex | undefined;
  readonly #readings = new Set<Reading>();

  /** @param packed names of the maps whose entries come and go packed when there are many. */
  constructor(maps: ReadonlyMap<string, BpfMap>, slotOf: SlotOfEntry, packed: readonly string[] = []) {
    for (const [name, map] of maps) if (map.perCpu) throw new TypeError(`map ${name} is per CPU: it holds no entries`);
    this.#maps = maps;
    this.#slotOf = slotOf;
    this.#packed = new Set(packed);
  }

  async observe(slot: Slot | 'all'): Promise<readonly AnyResource[]> {
    if (slot === 'all') return asResources((await this.#read(this.#index !== undefined)).tables(), this.#packed);
    if (!this.#index) await this.#read(true);
    const index = this.#index!;
    return index.of(slot).flatMap(([map, key]) => this.#lookUp(index, map, key, slot));
  }

  async execute(op: Op): Promise<void> {
    if (op.resource.kind !== 'entry') {
      const { failures } = await this.executeAll([op]);
      if (failures[0]) throw failures[0].error;
      return;
    }
    const { spec } = op.resource;
    try {
      if (op.verb === 'delete') this.#delete(spec);
      else this.#set(spec);
    } catch (e) {
      throw failed(op, e);
    }
  }

  /** Once an op of a slot has failed, the rest of its ops are left out. */
  async executeAll(ops: readonly Op[], stoppedBefore: ReadonlySet<Slot> = new Set()): Promise<Executed> {
    const done: Op[] = [];
    const failures: Failure[] = [];
    const stopped = new Set(stoppedBefore);
    for (const run of runsOf(ops)) {
      const { resource } = run[0]!;
      if (resource.kind === 'entries') {
        const { through, failed: broken } = await this.#carryOutPacked(run[0]!, resource, stopped);
        if (through) done.push(run[0]!);
        for (const failure of broken) failures.push(failure);
        continue;
      }
      for (const batch of batched(run)) {
        for (let rest = batch; ; ) {
          if (stopped.size > 0) rest = rest.filter((op) => !stopped.has(op.resource.slot));
          if (rest.length === 0) break;
          const { through, error } = this.#carryOut(rest);
          for (let i = 0; i < through; i++) done.push(rest[i]!);
          const at = rest[through];
          if (!at) break;
          stopped.add(at.resource.slot);
          failures.push({ op: at, error: failed(at, error) });
          rest = rest.slice(through + 1);
        }
        await setImmediate(); // a large policy must not hold up the loop
      }
    }
    return { done, failures };
  }

  /** Rows of stopped slots are left out; a row that fails stops its slot. `through` = some rows were carried out. */
  async #carryOutPacked(
    op: Op,
    resource: Resource<'entries'>,
    stopped: Set<Slot>,
  ): Promise<{ through: boolean; failed: Failure[] }> {
    const broken: Failure[] = [];
    const whole = resource.spec.table;
    let through = false;
    for (let from = 0; from < whole.count; ) {
      const to = Math.min(from + BATCH, whole.count);
      const rows = stopped.size > 0 ? rowsWithout(whole, from, to, stopped) : undefined;
      const { done, error } = rows
        ? this.#writeRows(whole.pick(rows), 0, rows.length, op.verb === 'delete')
        : this.#writeRows(whole, from, to, op.verb === 'delete');
      if (done > 0) through = true;
      if (error === undefined) from = to;
      else {
        const at = rows ? rows[done]! : from + done;
        const single: Op = { ...op, resource: rowResource(resource, at) };
        broken.push({ op: single, error: failed(single, error) });
        stopped.add(single.resource.slot);
        from = at + 1;
      }
      await setImmediate(); // a large policy must not hold up the loop
    }
    return { through, failed: broken };
  }

  #writeRows(table: EntryTable, from: number, to: number, gone: boolean): { done: number; error?: unknown } {
    if (from === to) return { done: 0 };
    try {
      const map = this.#map(table.map);
      const [keys, values] = [table.keys(from, to), table.values(from, to)];
      const { done, error } =
        gone && !map.isArray
          ? deleteRows(map, keys, to - from)
          : map.setBatch(keys, gone ? Buffer.alloc(values.length) : values, to - from);
      for (let row = from; row < from + done; row++) {
        if (!this.#index && this.#readings.size === 0) break;
        const [key, value] = [table.keys(row, row + 1), table.values(row, row + 1)];
        if (gone) this.#deleted(table.map, key);
        else this.#written(table.map, key, value, table.slot(row));
      }
      return error ? { done, error } : { done };
    } catch (e) {
      return { done: 0, error: e };
    }
  }

  /** A batch of one map and one sort, up to the first op that fails. */
  #carryOut(batch: readonly EntryOp[]): { through: number; error?: unknown } {
    const { verb, resource } = batch[0]!;
    try {
      const gone = verb === 'delete';
      const staging = new Staging(this.#map(resource.spec.map), batch, gone);
      const { done, error } = staging.write();
      if (this.#index || this.#readings.size > 0)
        for (let i = 0; i < done; i++) {
          const { map } = batch[i]!.resource.spec;
          const [key, value] = [staging.key(i), staging.value(i)];
          if (gone) this.#deleted(map, key);
          else this.#written(map, key, value, this.#slotOf(map, key, value));
        }
      return { through: done, error: error ?? staging.error };
    } catch (e) {
      return { through: 0, error: e };
    }
  }

  #set(spec: Specs['entry']): void {
    const map = this.#map(spec.map);
    const key = bytes(spec.key, map.keySize, 'key');
    const value = bytes(spec.value, map.valueSize, 'value');
    map.set(key, value);
    this.#written(spec.map, key, value, this.#slotOf(spec.map, key, value));
  }

  #delete(spec: Specs['entry']): void {
    const map = this.#map(spec.map);
    const key = bytes(spec.key, map.keySize, 'key');
    if (map.isArray) map.set(key, Buffer.alloc(map.valueSize));
    else map.delete(key);
    this.#deleted(spec.map, key);
  }

  #written(map: string, key: Uint8Array, value: Uint8Array, slot: Slot): void {
    if (!this.#index && this.#readings.size === 0) return;
    const [k, v] = [wordsOf(key), wordsOf(value)];
    this.#index?.put(map, key.length, k, slot);
    for (const reading of this.#readings) reading.table(map, key.length, value.length).put(slot, k, v);
  }

  #deleted(map: string, key: Uint8Array): void {
    if (!this.#index && this.#readings.size === 0) return;
    this.#index?.drop(map, wordsOf(key));
    for (const reading of this.#readings) reading.drop(map, key);
  }

  #map(name: string): BpfMap {
    const map = this.#maps.get(name);
    if (!map) throw new Error(`there is no map ${name}`);
    return map;
  }

  async #read(indexed: boolean): Promise<Reading> {
    const reading = new Reading();
    this.#readings.add(reading);
    try {
      for (const [name, map] of this.#maps) {
        const { keySize, valueSize } = map;
        const table = reading.table(name, keySize, valueSize);
        for (const { count, keys, values } of map.packedBatches()) {
          const [keyWords, valueWords] = [new Uint32Array(keys.buffer), new Uint32Array(values.buffer)];
          for (let i = 0; i < count; i++) {
            const key = keys.subarray(i * keySize, (i + 1) * keySize);
            const value = values.subarray(i * valueSize, (i + 1) * valueSize);
            if (map.isArray && isZero(value)) reading.drop(name, key);
            else
              table.put(this.#slotOf(name, key, value), keyWords, valueWords, (i * keySize) / 4, (i * valueSize) / 4);
          }
          await setImmediate(); // a large map must not hold up the loop
        }
      }
      if (indexed) this.#index = reading.index();
    } finally {
      this.#readings.delete(reading);
    }
    return reading;
  }

  /** The entry as it is now, if it is still there and still of the slot. */
  #lookUp(index: EntryIndex, name: string, key: Buffer, slot: Slot): readonly Resource<'entry'>[] {
    const map = this.#map(name);
    const value = map.get(key);
    if (!value || (map.isArray && isZero(value))) {
      index.drop(name, wordsOf(key));
      return [];
    }
    const found = this.#slotOf(name, key, value);
    index.put(name, map.keySize, wordsOf(key), found);
    if (found !== slot) return [];
    const spec = { map: name, key: hex(key), value: hex(value) };
    return [{ kind: 'entry', key: `${name} ${spec.key}`, slot, spec }];
  }
}

/** A packed op by itself, others as long as none is in between. */
function* runsOf(ops: readonly Op[]): Generator<readonly Op[]> {
  for (let from = 0, to = 0; from < ops.length; from = to) {
    to = from + 1;
    if (ops[from]!.resource.kind !== 'entries') while (to < ops.length && ops[to]!.resource.kind !== 'entries') to++;
    yield ops.slice(from, to);
  }
}

function rowsWithout(table: EntryTable, from: number, to: number, slots: ReadonlySet<Slot>): readonly number[] {
  const rows: number[] = [];
  for (let row = from; row < to; row++) if (!slots.has(table.slot(row))) rows.push(row);
  return rows;
}

function failed(op: Op, e: unknown): Error {
  const what = op.resource.label ?? `entry ${op.resource.key}`;
  return new Error(`${op.verb} ${what}: ${e instanceof Error ? e.message : String(e)}`, { cause: e });
}
