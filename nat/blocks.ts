/**
 * External addresses to pools, and their port ranges to blocks (R-NAT-2, R-NAT-5): exact arithmetic, so that no port is in two
 * blocks and every port of a range is in one. The data plane gives blocks to tenants; which blocks there are is decided here.
 * A pool that stays keeps its number and blocks, because flows and mappings in the kernel name them. Pure.
 */
import type { NatProtocol, NetNat } from '../compartments/nat.ts';
import type { Address } from '../lib/address.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { BLOCK_PORTS, BLOCKS, POOLS, PROTOCOLS } from './abi.ts';
import { numbered } from './numbers.ts';

/** An external address with the ports that are given to tenants; without ports it serves mappings and services only. */
export interface Range {
  readonly address: Address;
  readonly portStart: number;
  readonly portEnd: number; // inclusive; portStart - 1 = no ports
  readonly blockPorts: number; // a multiple of 64
}

export interface Pool extends Range {
  readonly index: number;
  readonly firstBlock: number;
  readonly blocks: number;
}

/** What the kernel knows of a pool. */
export type FormerPool = Omit<Pool, 'portEnd'>;

export interface Placement {
  readonly pools: readonly Pool[];
  /** Former pools that are gone, moved or lost blocks: what the data plane keeps of them must be purged first. */
  readonly released: readonly number[];
}

const NO_PORTS = { portStart: 0, portEnd: -1, blockPorts: 64 };

export const blocksOf = (r: Range): number => Math.ceil((r.portEnd - r.portStart + 1) / r.blockPorts);
const keyOf = (r: Pick<Range, 'address' | 'portStart' | 'blockPorts'>): string =>
  `${r.address} ${r.portStart} ${r.blockPorts}`;

/** Every external address of the instances, in the order of the file; those without ports of their own last. */
export function rangesOf(instances: readonly NetNat[]): readonly Range[] {
  const ranges = instances.flatMap((n) =>
    n.externalAddresses.map((a) => ({
      address: a.ipAddress,
      portStart: a.portStart,
      portEnd: a.portEnd,
      blockPorts: n.portBlockSize,
    })),
  );
  const others = instances.flatMap((n) => [
    ...n.staticMappings.map((m) => m.externalIpAddress),
    ...n.oneToOneMappings.map((m) => m.externalIpAddress),
    ...n.loadBalancingRules.map((r) => r.frontendIpAddress),
  ]);
  const known = new Set(ranges.map((r) => r.address));
  const without = [...new Set(others)].filter((a) => !known.has(a));
  return [...ranges, ...without.map((address) => ({ address, ...NO_PORTS }))];
}

/** First fit among what is not taken: exact, and the same for the same question. */
function gap(taken: readonly FormerPool[], blocks: number): number | undefined {
  let at = 0;
  for (const t of taken.filter((p) => p.blocks > 0).toSorted((a, b) => a.firstBlock - b.firstBlock)) {
    if (t.firstBlock - at >= blocks) return at;
    at = Math.max(at, t.firstBlock + t.blocks);
  }
  return BLOCKS - at >= blocks ? at : undefined;
}

function placed(
  ranges: readonly Range[],
  numbers: ReadonlyMap<string, number>,
  kept: ReadonlyMap<string, FormerPool>,
): readonly Pool[] | undefined {
  const taken = new Map(kept);
  const pools: Pool[] = [];
  for (const r of ranges) {
    const blocks = blocksOf(r);
    const firstBlock = taken.get(keyOf(r))?.firstBlock ?? (blocks === 0 ? 0 : gap([...taken.values()], blocks));
    if (firstBlock === undefined) return undefined;
    const pool = { ...r, index: numbers.get(keyOf(r))!, firstBlock, blocks };
    taken.set(keyOf(r), pool);
    pools.push(pool);
  }
  return pools;
}

/** Numbers and blocks for all ranges. @param former pools as the kernel has them now. */
export function placePools(ranges: readonly Range[], former: readonly FormerPool[]): Result<Placement, string> {
  const wrong = ranges.find((r) => r.blockPorts % 64 || r.blockPorts < 64 || r.blockPorts > BLOCK_PORTS);
  if (wrong) return err(`blocks of ${wrong.blockPorts} ports do not exist`);
  const numbers = numbered(ranges.map(keyOf), new Map(former.map((f) => [keyOf(f), f.index])), POOLS);
  if (!numbers) return err(`${ranges.length} external addresses and port ranges are more than ${POOLS}`);
  const before = new Map(former.map((f) => [keyOf(f), f]));
  // Whoever keeps its blocks takes them before anybody new is placed; a range that grew keeps them when there is room behind.
  const kept = new Map<string, FormerPool>();
  for (const r of ranges) {
    const f = before.get(keyOf(r));
    if (!f || f.blocks === 0 || blocksOf(r) > f.blocks) continue;
    kept.set(keyOf(r), { ...f, blocks: blocksOf(r) });
  }
  for (const r of ranges) {
    const f = before.get(keyOf(r));
    if (!f || f.blocks === 0 || blocksOf(r) <= f.blocks) continue;
    const grown = { ...f, blocks: blocksOf(r) };
    const free = [...kept.values()].every(
      (k) => k.firstBlock >= f.firstBlock + grown.blocks || k.firstBlock + k.blocks <= f.firstBlock,
    );
    if (free && f.firstBlock + grown.blocks <= BLOCKS) kept.set(keyOf(r), grown);
  }
  // Where what stays leaves no room in one piece, everything is placed anew: what fits must never be refused.
  const pools = placed(ranges, numbers, kept) ?? placed(ranges, numbers, new Map());
  if (!pools) return err(`${ranges.reduce((n, r) => n + blocksOf(r), 0)} port blocks are more than ${BLOCKS}`);
  const stays = (f: FormerPool): boolean => {
    const now = pools.find((p) => p.index === f.index);
    return (
      now !== undefined &&
      keyOf(now) === keyOf(f) &&
      (f.blocks === 0 || (now.firstBlock === f.firstBlock && now.blocks >= f.blocks))
    );
  };
  return ok({ pools, released: former.filter((f) => !stays(f)).map((f) => f.index) });
}

/** The block and its first port that hold a port, of the pools of an address. */
export function blockAt(pools: readonly FormerPool[], address: Address, port: number): number | undefined {
  for (const p of pools) {
    const n = Math.floor((port - p.portStart) / p.blockPorts);
    if (p.address === address && n >= 0 && n < p.blocks) return p.firstBlock + n;
  }
  return undefined;
}

/** First and last port of a block; the last is not above PortEnd. */
export function portsOf(pool: Pool, block: number): { readonly first: number; readonly last: number } {
  const first = pool.portStart + (block - pool.firstBlock) * pool.blockPorts;
  return { first, last: Math.min(first + pool.blockPorts - 1, pool.portEnd) };
}

/** A port that no tenant may be given: the gateway's own, or of a static mapping or service. */
export interface TakenPort {
  readonly address: Address;
  readonly protocol: NatProtocol;
  readonly port: number;
}

export type Bitmaps = readonly (readonly bigint[])[]; // by PROTOCOLS, then by word

/** Reserved ports of the blocks that have some. */
export function reservedPorts(pools: readonly Pool[], taken: readonly TakenPort[]): ReadonlyMap<number, Bitmaps> {
  const reserved = new Map<number, bigint[][]>();
  const mark = (block: number, protocol: number, bit: number): void => {
    const maps = reserved.get(block) ?? PROTOCOLS.map(() => new Array<bigint>(BLOCK_PORTS / 64).fill(0n));
    reserved.set(block, maps);
    maps[protocol]![bit >> 6]! |= 1n << BigInt(bit & 63);
  };
  for (const p of pools)
    for (let port = p.portEnd + 1; port < p.portStart + p.blocks * p.blockPorts; port++)
      for (const protocol of PROTOCOLS.keys())
        mark(p.firstBlock + p.blocks - 1, protocol, (port - p.portStart) % p.blockPorts);
  for (const t of taken)
    for (const p of pools) {
      if (p.address !== t.address || t.port < p.portStart || t.port > p.portEnd) continue;
      const at = t.port - p.portStart;
      mark(p.firstBlock + Math.floor(at / p.blockPorts), PROTOCOLS.indexOf(t.protocol), at % p.blockPorts);
    }
  return reserved;
}
