/**
 * The entries that say where addresses and MACs are: one of each for every record, so there are two ways to hold them. A change
 * of a few records makes a resource of each; all records of a machine are packed (`compartments/entry-table.ts`). Pure.
 */
import { EntryTable } from '../compartments/entry-table.ts';
import type { Slot } from '../compartments/numbers.ts';
import { packedResource } from '../compartments/packed.ts';
import type { AnyResource, Resource } from '../compartments/resource.ts';
import type { Address } from '../lib/address.ts';
import {
  decodeMacKey,
  decodeRecordKey,
  type EntryMap,
  encodeLocation,
  encodeMacKey,
  encodeRecordKey,
  type Location,
  type RECORD_MAPS,
  SIZE,
  slotOfEntry,
} from './abi.ts';

/** Of two places for one address, or for one MAC, the first one counts. */
export interface LocationEntries {
  /** Where an address is; false when it is known already. `name` of the VM network. */
  record(name: string, slot: Slot, address: Address, location: Location): boolean;
  mac(name: string, location: Location): void;
  resources(): readonly AnyResource[];
}

const hex = (b: Uint8Array): string => Buffer.from(b.buffer, b.byteOffset, b.length).toString('hex');

export function entry(map: EntryMap, key: Uint8Array, value: Uint8Array, label: string): Resource<'entry'> {
  const spec = { map, key: hex(key), value: hex(value) };
  return { kind: 'entry', key: `${map} ${spec.key}`, slot: slotOfEntry(map, key, value), spec, label };
}

const recordLabel = (name: string, address: string): string => `lookup record ${name} ${address}`;
const macLabel = (name: string, mac: string): string => `MAC ${name} ${mac}`;

export class SingleLocations implements LocationEntries {
  readonly #found = new Map<string, Resource<'entry'>>();

  record(name: string, slot: Slot, address: Address, location: Location): boolean {
    return this.#add('records', encodeRecordKey(slot, address), location, recordLabel(name, address));
  }

  mac(name: string, location: Location): void {
    this.#add('macs', encodeMacKey(location.vsid, location.mac), location, macLabel(name, location.mac));
  }

  resources(): readonly AnyResource[] {
    return [...this.#found.values()];
  }

  #add(map: EntryMap, key: Uint8Array, location: Location, label: string): boolean {
    const made = entry(map, key, encodeLocation(location), label);
    if (this.#found.has(made.key)) return false;
    this.#found.set(made.key, made);
    return true;
  }
}

/** Bytes to encode into, and the same memory as words. */
class Scratch {
  readonly words: Uint32Array;
  readonly #bytes: Uint8Array;
  constructor(size: number) {
    this.#bytes = new Uint8Array(size);
    this.words = new Uint32Array(this.#bytes.buffer);
  }
  zeroed(): Uint8Array {
    return this.#bytes.fill(0);
  }
}

export class PackedLocations implements LocationEntries {
  readonly #tables: Readonly<Record<(typeof RECORD_MAPS)[number], EntryTable>>;
  readonly #names = new Map<Slot, string>();
  readonly #recordKey = new Scratch(SIZE.recordKey);
  readonly #macKey = new Scratch(SIZE.macKey);
  readonly #value = new Scratch(SIZE.location);
  /** What #value holds: a place stands under its address and under its MAC. */
  #encoded: Location | undefined;

  /** @param rows how many there will be at least. */
  constructor(rows: number) {
    this.#tables = {
      records: new EntryTable('records', SIZE.recordKey, SIZE.location, rows),
      macs: new EntryTable('macs', SIZE.macKey, SIZE.location, rows),
    };
  }

  record(name: string, slot: Slot, address: Address, location: Location): boolean {
    this.#names.set(slot, name);
    encodeRecordKey(slot, address, this.#recordKey.zeroed());
    return this.#tables.records.add(slot, this.#recordKey.words, this.#valueOf(location));
  }

  mac(name: string, location: Location): void {
    this.#names.set(location.rdid, name);
    encodeMacKey(location.vsid, location.mac, this.#macKey.zeroed());
    this.#tables.macs.add(location.rdid, this.#macKey.words, this.#valueOf(location));
  }

  resources(): readonly AnyResource[] {
    const name = (row: number, table: EntryTable) => this.#names.get(table.slot(row)) ?? '';
    const { records, macs } = this.#tables;
    return [
      packedResource(records, (row, t) => recordLabel(name(row, t), decodeRecordKey(t.keys(row, row + 1)).address)),
      packedResource(macs, (row, t) => macLabel(name(row, t), decodeMacKey(t.keys(row, row + 1)).mac)),
    ];
  }

  #valueOf(location: Location): Uint32Array {
    if (location !== this.#encoded) encodeLocation(location, this.#value.zeroed());
    this.#encoded = location;
    return this.#value.words;
  }
}
