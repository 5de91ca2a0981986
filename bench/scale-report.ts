/** From the figures of bench:records to bars, tables for people, and the block in docs/performance.md. Pure. */
import { type Row as Cells, formatTable } from '../lib/table.ts';
import type { Verdict } from './bars.ts';
import { barRows, type Machine, markdownTable } from './report.ts';
import type { Loading } from './scale-host.ts';
import { ROUTES_PER_NETWORK, SIZES, type SizeName } from './scale-policy.ts';
import { ratio, type Spread, spread } from './statistics.ts';

export type Pattern = 'one' | 'random';
export const SIZE_NAMES = Object.keys(SIZES) as readonly SizeName[];

/** Bytes that the kernel accounts to a map with all its entries, and how many these are. */
export interface MapUse {
  readonly map: string;
  readonly entries: number;
  readonly bytes: number;
}

export interface ScaleFigures {
  /** Packets per second of one core, one value a slice. */
  readonly pps: Readonly<Record<SizeName, Readonly<Record<Pattern, readonly number[]>>>>;
  /** Seconds of the forwarding core per packet, one value a round. */
  readonly cost: Readonly<Record<SizeName, Readonly<Record<Pattern, readonly number[]>>>>;
  /** One flow among a million records while records of others change: share of its packets that arrived, and changes a second. */
  readonly undisturbed: readonly number[];
  readonly changesMeanwhile: readonly number[];
  /** Updates a second, through the hand; and with encoding them before. */
  readonly updates: readonly number[];
  readonly updatesEncoded: readonly number[];
  /** Microseconds of CPU for each, user and kernel. */
  readonly updateCpu: readonly number[];
  readonly loading: Readonly<Record<SizeName, Loading>>;
  readonly memory: readonly MapUse[];
  /** Of this process, for a million records, after everything but the hand's own index is gone. */
  readonly heapBytes: number;
}

const MILLION = SIZES.million.records;
export const LOADING_SECONDS = 10;
export const UPDATES = 300_000;
export const MEANWHILE = 10_000;

const total = ({ toEntries, comparing, toKernel }: Loading): number => toEntries + comparing + toKernel;
const exactly = (value: number): Spread => spread([value]);

function bar(what: string, atLeast: number, r: Spread): Verdict {
  return { what, atLeast, ratio: r, held: r.median >= atLeast };
}

export const bars = (f: ScaleFigures): readonly Verdict[] => [
  bar('one flow at 1,000,000 records, to one at 10', 0.95, ratio(f.pps.million.one, f.pps.ten.one)),
  bar('random destinations at 1,000,000, to one flow at 10', 0.6, ratio(f.pps.million.random, f.pps.ten.one)),
  bar('record updates, to 300,000 a second', 1, spread(f.updates.map((u) => u / UPDATES))),
  bar('loading 1,000,000 records, 10 s to the time taken', 1, exactly(LOADING_SECONDS / total(f.loading.million))),
  bar('a flow while 10,000 records/s change: share that arrives', 1, spread(f.undisturbed)),
];

const ranged = (s: Spread) => `${s.median.toFixed(2)} (${s.lower.toFixed(2)}-${s.upper.toFixed(2)})`;
const whole = (n: number) => Math.round(n).toLocaleString('en-US');

const flowRows = (f: ScaleFigures): Cells[] =>
  SIZE_NAMES.flatMap((size) =>
    (['one', 'random'] as const).map((pattern) => ({
      records: whole(SIZES[size].records),
      'customer routes': whole(SIZES[size].networks * ROUTES_PER_NETWORK),
      destinations: pattern === 'one' ? 'one flow' : 'random',
      kpps: (spread(f.pps[size][pattern]).median / 1000).toFixed(0),
      'to one flow at 10': ranged(ratio(f.pps[size][pattern], f.pps.ten.one)),
      'ns/packet': (spread(f.cost[size][pattern]).median * 1e9).toFixed(0),
    })),
  );

const loadingRows = (f: ScaleFigures): Cells[] =>
  SIZE_NAMES.map((size) => {
    const { toEntries, comparing, toKernel } = f.loading[size];
    return {
      loading: `${whole(SIZES[size].records)} records`,
      'policy to entries s': toEntries.toFixed(2),
      'comparing s': comparing.toFixed(2),
      'into the kernel s': toKernel.toFixed(2),
      'in all s': total(f.loading[size]).toFixed(2),
    };
  });

const memoryRows = (f: ScaleFigures): Cells[] => [
  ...f.memory.map(({ map, entries, bytes }) => ({
    memory: `kernel, map ${map}`,
    entries: whole(entries),
    MiB: (bytes / 2 ** 20).toFixed(0),
    'bytes per entry': entries ? (bytes / entries).toFixed(0) : '',
    'bytes per record': (bytes / MILLION).toFixed(0),
  })),
  {
    memory: 'agent, index of its entries',
    entries: whole(f.memory.reduce((sum, m) => sum + m.entries, 0)),
    MiB: (f.heapBytes / 2 ** 20).toFixed(0),
    'bytes per entry': '',
    'bytes per record': (f.heapBytes / MILLION).toFixed(0),
  },
];

const updateRow = (updates: string, rates: readonly number[], cpu = ''): Cells => {
  const { median, min, max } = spread(rates);
  return { updates, 'a second': whole(median), lowest: whole(min), highest: whole(max), 'CPU µs each': cpu };
};

const updateRows = (f: ScaleFigures): Cells[] => [
  updateRow('through the hand', f.updates),
  updateRow('encoded, then through the hand', f.updatesEncoded, spread(f.updateCpu).median.toFixed(2)),
  updateRow('beside the undisturbed flow', f.changesMeanwhile),
];

const tables = (f: ScaleFigures) => [flowRows(f), updateRows(f), loadingRows(f), memoryRows(f), barRows(bars(f), 2)];

export const forPeople = (f: ScaleFigures): string => tables(f).map(formatTable).join('\n');

export function markdown(f: ScaleFigures, { cpu, cpus, memoryGiB, kernel, date }: Machine): string {
  const rounds = f.updates.length;
  return [
    `${date}: ${cpus} vCPU (${cpu}), ${memoryGiB} GiB, cloud VM, kernel ${kernel}; ${rounds} interleaved rounds.`,
    ...tables(f).map(markdownTable),
  ].join('\n\n');
}
