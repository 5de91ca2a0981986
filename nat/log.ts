/**
 * Who had which ports when (RFC 6888 §4): one line when a tenant is given a block and one when it gives it back, never one for a
 * session. The data plane keeps owner and times of every block, so what was not written while the process was away is written
 * when it is back. Times in the log are UTC: the kernel's seconds begin anew with every boot. Pure.
 */
import type { RoutingDomainId } from '../compartments/compartment.ts';
import type { Slot } from '../compartments/numbers.ts';
import { type Address, familyOf, parseAddress } from '../lib/address.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { CLOSING, NAT, NAT_BLOCK_RETURNED, type NatBlock } from './abi.ts';
import { type Pool, portsOf } from './blocks.ts';

/** One line of the log, as JSON. */
export interface BlockRecord {
  readonly event: 'taken' | 'returned';
  readonly routingDomain: string;
  readonly routingDomainId: RoutingDomainId | '';
  readonly slot: Slot;
  readonly address: Address;
  readonly portStart: number;
  readonly portEnd: number;
  readonly taken: string; // `2026-11-22T10:00:00Z`
  readonly returned?: string;
}

/** What the numbers of the data plane stand for. */
export interface BlockNames {
  readonly pools: readonly Pool[];
  tenant(slot: Slot): { readonly name: string; readonly id: RoutingDomainId } | undefined;
  /** Wall-clock time at which the kernel's clock was 0, ms since 1970. */
  readonly boot: number;
}

/** Whole seconds: what the data plane counts in. */
export const utc = (ms: number): string => `${new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, 19)}Z`;

interface Holding {
  readonly slot: Slot;
  readonly block: number;
  readonly taken: number; // s of the kernel's clock
  readonly released?: number;
}

/** Undefined for a block of no pool: the pool is gone. */
function recordOf(h: Holding, names: BlockNames): BlockRecord | undefined {
  const pool = names.pools.find((p) => h.block >= p.firstBlock && h.block < p.firstBlock + p.blocks);
  if (!pool) return undefined;
  const { first, last } = portsOf(pool, h.block);
  const tenant = names.tenant(h.slot);
  return {
    event: h.released === undefined ? 'taken' : 'returned',
    routingDomain: tenant?.name ?? '',
    routingDomainId: tenant?.id ?? '',
    slot: h.slot,
    address: pool.address,
    portStart: first,
    portEnd: last,
    taken: utc(names.boot + h.taken * 1000),
    ...(h.released !== undefined && { returned: utc(names.boot + h.released * 1000) }),
  };
}

/** What an event of the ring says; undefined when it is too short or of no known block. */
export function recordOfEvent(bytes: Uint8Array, names: BlockNames): BlockRecord | undefined {
  if (bytes.length < NAT.event.size) return undefined;
  const e = NAT.event.decode(bytes);
  const returned = e.type === NAT_BLOCK_RETURNED;
  return recordOf({ slot: e.rdid, block: e.block, taken: e.taken, ...(returned && { released: e.released }) }, names);
}

/** What the blocks themselves say: whoever has one, and who had it before. */
export function recordsOfBlocks(
  blocks: Iterable<readonly [index: number, block: NatBlock]>,
  names: BlockNames,
): readonly BlockRecord[] {
  const records: BlockRecord[] = [];
  const add = (h: Holding): void => {
    const record = recordOf(h, names);
    if (record) records.push(record);
  };
  for (const [block, b] of blocks) {
    if (b.former) {
      const before = { slot: b.former, block, taken: b.former_taken };
      add(before);
      add({ ...before, released: b.former_released });
    }
    if (b.owner && b.owner !== CLOSING) add({ slot: b.owner, block, taken: b.taken });
  }
  return records;
}

/** One holding of one block, whatever is told of it. Times of two readings of the clock differ by a second at most. */
const sameHolding = (a: BlockRecord, b: BlockRecord): boolean =>
  a.address === b.address &&
  a.portStart === b.portStart &&
  a.slot === b.slot &&
  Math.abs(Date.parse(a.taken) - Date.parse(b.taken)) <= 2000;

/** Of the data plane's records those that the log does not hold: what happened while nobody wrote. */
export function missing(log: readonly BlockRecord[], actual: readonly BlockRecord[]): readonly BlockRecord[] {
  const by = new Map<string, BlockRecord[]>();
  for (const r of log) {
    const key = `${r.event} ${r.address} ${r.portStart}`;
    by.set(key, [...(by.get(key) ?? []), r]);
  }
  return actual.filter((a) => !by.get(`${a.event} ${a.address} ${a.portStart}`)?.some((r) => sameHolding(r, a)));
}

export const formatRecord = (r: BlockRecord): string => JSON.stringify(r);

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const isPort = (v: unknown): v is number => typeof v === 'number' && Number.isInteger(v) && v >= 0 && v <= 65535;
const isTime = (v: unknown): v is string => typeof v === 'string' && TIME.test(v) && !Number.isNaN(Date.parse(v));

/** A line of the log; a line that was cut off by a crash is an error, not a reason to stop. */
export function parseRecord(line: string): Result<BlockRecord, string> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return err('not JSON');
  }
  if (typeof value !== 'object' || value === null) return err('not a record');
  const r = value as Record<string, unknown>;
  const address = typeof r.address === 'string' ? parseAddress(r.address) : undefined;
  const { event, routingDomain, routingDomainId, slot, portStart, portEnd, taken, returned } = r;
  if (event !== 'taken' && event !== 'returned') return err('unknown event');
  if (typeof routingDomain !== 'string' || typeof routingDomainId !== 'string' || !Number.isSafeInteger(slot))
    return err('no tenant');
  if (!address || familyOf(address) !== 4 || !isPort(portStart) || !isPort(portEnd)) return err('no ports');
  if (!isTime(taken) || (event === 'returned' && !isTime(returned))) return err('no time');
  return ok({
    event,
    routingDomain,
    routingDomainId: routingDomainId as RoutingDomainId,
    slot: slot as Slot,
    address,
    portStart,
    portEnd,
    taken,
    ...(event === 'returned' && { returned: returned as string }),
  });
}
