/** Which entries each slot has, by packed keys; their values are the kernel's. And a reading of maps while it goes on. Pure. */
import { EntryTable, wordsOf } from '../compartments/entry-table.ts';
import type { Slot } from '../compartments/numbers.ts';
import { packedResource, rowResource } from '../compartments/packed.ts';
import type { AnyResource } from '../compartments/resource.ts';

const NONE = new Uint32Array(0);

/** Each entry is in one slot. */
export class EntryIndex {
  readonly #slots = new Map<string, EntryTable>(); // by map
  readonly #keys = new Map<Slot, Map<string, EntryTable>>(); // by slot and map

  put(map: string, keySize: number, key: Uint32Array, slot: Slot, at = 0): void {
    const slots = within(this.#slots, map, () => new EntryTable(map, keySize, 0));
    const row = slots.find(key, at);
    if (row >= 0) {
      const former = slots.slot(row);
      if (former === slot) return;
      this.#keys
        .get(former)
        ?.get(map)
        ?.remove(key.slice(at, at + keySize / 4));
    }
    slots.put(slot, key, NONE, at);
    const ofSlot = within(this.#keys, slot, () => new Map<string, EntryTable>());
    within(ofSlot, map, () => new EntryTable(map, keySize, 0)).put(slot, key, NONE, at);
  }

  drop(map: string, key: Uint32Array): void {
    const slots = this.#slots.get(map);
    const row = slots?.find(key) ?? -1;
    if (!slots || row < 0) return;
    this.#keys.get(slots.slot(row))?.get(map)?.remove(key);
    slots.remove(key);
  }

  /** Copies: entries may go while they are looked at. */
  of(slot: Slot): readonly (readonly [map: string, key: Buffer])[] {
    return [...(this.#keys.get(slot) ?? [])].flatMap(([map, table]) =>
      Array.from({ length: table.count }, (_, row) => [map, Buffer.from(table.keys(row, row + 1))] as const),
    );
  }
}

export function within<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

/** What is executed while maps are read goes into the reading too. */
export class Reading {
  readonly #tables = new Map<string, EntryTable>();

  /** The table of a map, which is filled as the map is read. */
  table(map: string, keySize: number, valueSize: number): EntryTable {
    return within(this.#tables, map, () => new EntryTable(map, keySize, valueSize));
  }

  drop(map: string, key: Uint8Array): void {
    this.#tables.get(map)?.remove(wordsOf(key));
  }

  tables(): readonly EntryTable[] {
    return [...this.#tables.values()];
  }

  index(): EntryIndex {
    const index = new EntryIndex();
    for (const table of this.tables())
      for (let row = 0; row < table.count; row++)
        index.put(table.map, table.keySize, wordsOf(table.keys(row, row + 1)), table.slot(row));
    return index;
  }
}

/** The maps that are named come packed, the others' entries one by one. */
export const asResources = (tables: readonly EntryTable[], packed: ReadonlySet<string>): readonly AnyResource[] => {
  const found: AnyResource[] = [];
  for (const table of tables)
    if (packed.has(table.map)) found.push(packedResource(table));
    else for (let row = 0; row < table.count; row++) found.push(rowResource(packedResource(table), row));
  return found;
};
