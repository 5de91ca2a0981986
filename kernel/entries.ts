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
const entry = (spec: Specs['entry'], slot: Slot): Resource<'entry'> => ({
  kind: 'entry',
  key: `${spec.map} ${spec.key}`,
  slot,
  spec,
});
const isZero = (bytes: Uint8Array): boolean => bytes.every((b) => b === 0);

/** Which entries each slot has; each entry is in one slot. Their values are the kernel's: a million of them twice is too much. */
class EntryIndex {
  readonly #slots = new Map<string, Map<string, Slot>>(); // by map and key
  readonly #keys = new Map<Slot, Map<string, Set<string>>>(); // by slot and map

  put(map: string, key: string, slot: Slot): void {
    const slots = within(this.#slots, map, () => new Map<string, Slot>());
    const former = slots.get(key);
    if (former === slot) return;
    if (former !== undefined) this.#keys.get(former)?.get(map)?.delete(key);
    slots.set(key, slot);
    const ofSlot = within(this.#keys, slot, () => new Map<string, Set<string>>());
    within(ofSlot, map, () => new Set<string>()).add(key);
  }

  drop(map: string, key: string): void {
    const slots = this.#slots.get(map);
    const slot = slots?.get(key);
    if (slot === undefined) return;
    slots?.delete(key);
    this.#keys.get(slot)?.get(map)?.delete(key);
  }

  of(slot: Slot): readonly (readonly [map: string, key: string])[] {
    return [...(this.#keys.get(slot) ?? [])].flatMap(([map, keys]) => [...keys].map((key) => [map, key] as const));
  }
}

function within<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

/** A reading of all maps; what is executed meanwhile goes into it too. */
class Reading {
  readonly index = new EntryIndex();
  readonly #found = new Map<string, Map<string, Resource<'entry'>>>(); // by map and key

  put(resource: Resource<'entry'>): void {
    const { map, key } = resource.spec;
    this.index.put(map, key, resource.slot);
    within(this.#found, map, () => new Map<string, Resource<'entry'>>()).set(key, resource);
  }

  drop(map: string, key: string): void {
    this.index.drop(map, key);
    this.#found.get(map)?.delete(key);
  }

  all(): readonly Resource<'entry'>[] {
    const found: Resource<'entry'>[] = [];
    for (const entries of this.#found.values()) for (const resource of entries.values()) found.push(resource);
    return found;
  }
}

export class EntryHand implements Hand {
  readonly kinds: readonly Kind[] = ['entry'];
  readonly #maps: ReadonlyMap<string, BpfMap>;
  readonly #slotOf: SlotOfEntry;
  #index: EntryIndex | undefined;
  readonly #readings = new Set<Reading>();

  constructor(maps: ReadonlyMap<string, BpfMap>, slotOf: SlotOfEntry) {
    for (const [name, map] of maps) if (map.perCpu) throw new TypeError(`map ${name} is per CPU: it holds no entries`);
    this.#maps = maps;
    this.#slotOf = slotOf;
  }

  async observe(slot: Slot | 'all'): Promise<readonly AnyResource[]> {
    if (slot === 'all') return (await this.#read()).all();
    const index = this.#index ?? (await this.#read()).index;
    return index.of(slot).flatMap(([map, key]) => this.#lookUp(index, map, key, slot));
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
      for (let i = 0; i < done; i++) {
        const { spec } = batch[i]!.resource;
        if (gone) this.#deleted(spec);
        else this.#written(spec, this.#slotOf(spec.map, staging.key(i), staging.value(i)));
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
    this.#written(spec, this.#slotOf(spec.map, key, value));
  }

  #delete(spec: Specs['entry']): void {
    const map = this.#map(spec.map);
    const key = bytes(spec.key, map.keySize, 'key');
    if (map.isArray) map.set(key, Buffer.alloc(map.valueSize));
    else map.delete(key);
    this.#deleted(spec);
  }

  #written(spec: Specs['entry'], slot: Slot): void {
    this.#index?.put(spec.map, spec.key, slot);
    for (const reading of this.#readings) reading.put(entry(spec, slot));
  }

  #deleted({ map, key }: Specs['entry']): void {
    this.#index?.drop(map, key);
    for (const reading of this.#readings) reading.drop(map, key);
  }

  #map(name: string): BpfMap {
    const map = this.#maps.get(name);
    if (!map) throw new Error(`there is no map ${name}`);
    return map;
  }

  async #read(): Promise<Reading> {
    const reading = new Reading();
    this.#readings.add(reading);
    try {
      for (const [name, map] of this.#maps)
        for (const batch of map.batches()) {
          for (const [key, value] of batch)
            if (map.isArray && isZero(value)) reading.drop(name, hex(key));
            else reading.put(this.#entry(name, key, value));
          await setImmediate(); // a large map must not hold up the loop
        }
      this.#index = reading.index;
    } finally {
      this.#readings.delete(reading);
    }
    return reading;
  }

  #entry(map: string, key: Uint8Array, value: Uint8Array): Resource<'entry'> {
    return entry({ map, key: hex(key), value: hex(value) }, this.#slotOf(map, key, value));
  }

  /** The entry as it is now, if it is still there and still of the slot. */
  #lookUp(index: EntryIndex, name: string, text: string, slot: Slot): readonly Resource<'entry'>[] {
    const map = this.#map(name);
    const key = Buffer.from(text, 'hex');
    const value = map.get(key);
    if (!value || (map.isArray && isZero(value))) {
      index.drop(name, text);
      return [];
    }
    const found = this.#entry(name, key, value);
    index.put(name, text, found.slot);
    return found.slot === slot ? [found] : [];
  }
}

function failed(op: Op, e: unknown): Error {
  const what = op.resource.label ?? `entry ${op.resource.key}`;
  return new Error(`${op.verb} ${what}: ${e instanceof Error ? e.message : String(e)}`, { cause: e });
}
