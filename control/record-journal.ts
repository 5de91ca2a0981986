/**
 * The records of run time of one VM network as lines of a file: the first ones hold all of them, each line after those one change
 * that was acknowledged. A change costs what it changes; whoever reads takes the lines in their order. Pure.
 *
 * A crash may leave the last line torn: it was never acknowledged, so it does not count. Any other line that does not read is
 * damage, and records must not be guessed.
 */
import { type Network, type NetworkKind, type RecordKind, recordKey } from '../encap/records.ts';
import type { Touched } from '../encap/touched.ts';
import { err, ok, type Result } from '../lib/result.ts';
import type { Own } from './merge.ts';

const VERSION = 1;
const NEWLINE = 0x0a;
/** Records of a line: a text of a million of them would be larger than texts may be. */
const PER_LINE = 1000;

interface Head {
  readonly version: number;
  readonly records: readonly Own[];
}
interface Step {
  readonly set: readonly Own[];
  readonly gone?: readonly (readonly [RecordKind, string])[];
}

export interface Journal {
  readonly records: readonly Own[];
  /** Bytes that count; what follows them is a torn line. */
  readonly length: number;
}

const line = (of: Head | Step): string => `${JSON.stringify(of)}\n`;

/** All records, as the first lines of a file. */
export function* wholeLines(own: readonly Own[]): Generator<string> {
  yield line({ version: VERSION, records: [] });
  for (let from = 0; from < own.length; from += PER_LINE) yield line({ set: own.slice(from, from + PER_LINE) });
}

/** A change of a VM network's records, `after` it. */
export function changeLine({ kept, routingDomainId }: Network, { lookupRecords, customerRoutes }: Touched): string {
  const [set, gone]: [Own[], [RecordKind, string][]] = [[], []];
  const add = (kind: NetworkKind, keys: ReadonlySet<string>): void => {
    for (const key of keys) {
      const there = kept[kind].get(key);
      if (there && there.origin !== 'File') set.push({ verb: 'new', kind, routingDomainId, ...there } as Own);
      else gone.push([kind, key]);
    }
  };
  add('customer-route', new Set(customerRoutes.map((r) => recordKey('customer-route', r))));
  add('lookup-record', new Set(lookupRecords.map((r) => recordKey('lookup-record', r))));
  return line(gone.length ? { set, gone } : { set });
}

const identity = (kind: RecordKind, key: string): string => `${kind} ${key}`;
const identityOf = (own: Own): string => identity(own.kind, recordKey(own.kind, own.record as never));

function parsed(bytes: Uint8Array): Partial<Head & Step> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'));
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What a file holds, or what is wrong with it. */
export function readJournal(bytes: Uint8Array): Result<Journal, string> {
  const records = new Map<string, Own>();
  let length = 0;
  for (let number = 1; length < bytes.length; number++) {
    const end = bytes.indexOf(NEWLINE, length);
    const read = end < 0 ? undefined : parsed(bytes.subarray(length, end));
    const last = end < 0 || end + 1 === bytes.length;
    if (number === 1 && (!read || read.version !== VERSION))
      return err(read ? `it has version ${read.version}, not ${VERSION}` : 'its first line is damaged');
    const set = number === 1 ? read?.records : read?.set;
    if (!Array.isArray(set)) {
      if (last && number > 1) break;
      return err(`line ${number} is damaged`);
    }
    for (const own of set) records.set(identityOf(own), own);
    for (const [kind, key] of read?.gone ?? []) records.delete(identity(kind, key));
    length = end + 1;
  }
  return length === 0 ? err('it is empty') : ok({ records: [...records.values()], length });
}
