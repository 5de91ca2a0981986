/**
 * The hand for entries of pinned eBPF maps. Everything in the maps it is given is ours: maps that the data plane itself writes
 * (counters, learned addresses) are not given to it.
 *
 * `observe('all')` reads the maps and sorts the entries by slot; `observe(slot)` looks up the entries known for that slot, so
 * it costs nothing per other tenant, and does not see entries that somebody added behind our back. Arrays have all their keys
 * always: an all-zero value counts as absent, and delete writes zeros.
 *
 * Many ops at once go by map and in batches: a system call for each would take most of the time of a million records.
 */
import { setImmediate } from 'node:timers/promises';
import type { Slot } from '../compartments/numbers.ts';
import type { AnyResource, Executed, Failure, Hand, Kind, Op, Resource, Specs } from '../compartments/resource.ts';
import type { BpfMap } from './bpf/map.ts';
import { batched, bytes, type EntryOp, Staging } from './staging.ts';

/** The compartment an entry belongs to; both parts as bytes. */
export type SlotOfEntry = (map: string, key: Uint8Array, value: Uint8Array) => Slot;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const idOf = (spec: Specs['entry']): string => `${spec.map} ${spec.key}`;
const isZero = (bytes: Uint8Array): boolean => bytes.every((b) => b === 0);

/** Entries by slot; each entry is in one slot. */
class EntryIndex {
  readonly #bySlot = new Map<Slot, Map<string, Resource<'entry'>>>();
  readonly #slots = new Map<string, Slot>();

  put(key: string, spec: Specs['entry'], slot: Slot): void {
    const former = this.#slots.get(key);
    if (former !== slot) {
      if (former !== undefined) this.#bySlot.get(former)?.delete(key);
      this.#slots.set(key, slot);
    }
    let entries = this.#bySlot.get(slot);
    if (!entries) {
      entries = new Map();
      this.#bySlot.set(slot, entries);
    }
    entries.set(key, { kind: 'entry', key, slot, spec });
  }

  drop(key: string): void {
    const slot = this.#slots.get(key);
    if (slot === undefined) return;
    this.#slots.delete(key);
    this.#bySlot.get(slot)?.delete(key);
  }

  of(slot: Slot): Resource<'entry'>[] {
    return [...(this.#bySlot.get(slot)?.values() ?? [])];
  }

  all(): Resource<'entry'>[] {
    return [...this.#bySlot.values()].flatMap((entries) => [...entries.values()]);
  }
}

export class EntryHand implements Hand {
  readonly kinds: readonly Kind[] = ['entry'];
  readonly #maps: ReadonlyMap<string, BpfMap>;
  readonly #slotOf: SlotOfEntry;
  #index: EntryIndex | undefined;
  /** Indexes that a reading is still filling: what is executed meanwhile goes into them too. */
  readonly #filling = new Set<EntryIndex>();

  constructor(maps: ReadonlyMap<string, BpfMap>, slotOf: SlotOfEntry) {
    for (const [name, map] of maps) if (map.perCpu) throw new TypeError(`map ${name} is per CPU: it holds no entries`);
    this.#maps = maps;
    this.#slotOf = slotOf;
  }

  async observe(slot: Slot | 'all'): Promise<readonly AnyResource[]> {
    const index = slot === 'all' || !this.#index ? await this.#read() : this.#index;
    if (slot === 'all') return index.all();
    for (const { key, spec } of index.of(slot)) this.#lookUp(index, key, spec);
    return index.of(slot);
  }

  async execute(op: Op): Promise<void> {
    if (op.resource.kind !== 'entry') throw new Error('not a resource of the entry hand');
    const { spec } = op.resource;
    try {
      if (op.verb === 'delete') this.#delete(spec);
      else this.#set(spec);
    } catch (e) {
      throw failed(op, e);
    }
  }

  /** Once an op of a slot has failed, the rest of its ops are left out. */
  async executeAll(ops: readonly Op[]): Promise<Executed> {
    const done: Op[] = [];
    const failures: Failure[] = [];
    const stopped = new Set<Slot>();
    for (const batch of batched(ops)) {
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
    return { done, failures };
  }

  /** A batch of one map and one sort, up to the first op that fails. */
  #carryOut(batch: readonly EntryOp[]): { through: number; error?: unknown } {
    const { verb, resource } = batch[0]!;
    try {
      const gone = verb === 'delete';
      const staging = new Staging(this.#map(resource.spec.map), batch, gone);
      const { done, error } = staging.write();
      for (let i = 0; i < done; i++) this.#settle(batch[i]!.resource, staging.key(i), staging.value(i), gone);
      return { through: done, error: error ?? staging.error };
    } catch (e) {
      return { through: 0, error: e };
    }
  }

  #settle({ key, spec }: Resource<'entry'>, keyBytes: Uint8Array, valueBytes: Uint8Array, gone: boolean): void {
    const slot = gone ? undefined : this.#slotOf(spec.map, keyBytes, valueBytes);
    for (const index of this.#indexes()) {
      if (slot === undefined) index.drop(key);
      else index.put(key, spec, slot);
    }
  }

  #set(spec: Specs['entry']): void {
    const map = this.#map(spec.map);
    const key = bytes(spec.key, map.keySize, 'key');
    const value = bytes(spec.value, map.valueSize, 'value');
    map.set(key, value);
    const slot = this.#slotOf(spec.map, key, value);
    for (const index of this.#indexes()) index.put(idOf(spec), spec, slot);
  }

  #delete(spec: Specs['entry']): void {
    const map = this.#map(spec.map);
    const key = bytes(spec.key, map.keySize, 'key');
    if (map.isArray) map.set(key, Buffer.alloc(map.valueSize));
    else map.delete(key);
    for (const index of this.#indexes()) index.drop(idOf(spec));
  }

  #indexes(): EntryIndex[] {
    return this.#index ? [this.#index, ...this.#filling] : [...this.#filling];
  }

  #map(name: string): BpfMap {
    const map = this.#maps.get(name);
    if (!map) throw new Error(`there is no map ${name}`);
    return map;
  }

  async #read(): Promise<EntryIndex> {
    const index = new EntryIndex();
    this.#filling.add(index);
    try {
      for (const [name, map] of this.#maps)
        for (const batch of map.batches()) {
          for (const [key, value] of batch) this.#enter(index, name, key, value);
          await setImmediate(); // a large map must not hold up the loop
        }
      this.#index = index;
    } finally {
      this.#filling.delete(index);
    }
    return index;
  }

  #enter(index: EntryIndex, name: string, key: Uint8Array, value: Uint8Array): void {
    if (this.#map(name).isArray && isZero(value)) index.drop(`${name} ${hex(key)}`);
    else {
      const spec = { map: name, key: hex(key), value: hex(value) };
      index.put(idOf(spec), spec, this.#slotOf(name, key, value));
    }
  }

  #lookUp(index: EntryIndex, id: string, spec: Specs['entry']): void {
    const key = Buffer.from(spec.key, 'hex');
    const value = this.#map(spec.map).get(key);
    if (value) this.#enter(index, spec.map, key, value);
    else index.drop(id);
  }
}

function failed(op: Op, e: unknown): Error {
  const what = op.resource.label ?? `entry ${op.resource.key}`;
  return new Error(`${op.verb} ${what}: ${e instanceof Error ? e.message : String(e)}`, { cause: e });
}
