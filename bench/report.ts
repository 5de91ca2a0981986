/** The overlay benchmark's figures as data, as tables for people, and as the block in docs/performance.md. Pure. */
import { type Row as Cells, formatTable } from '../lib/table.ts';
import { type Bar, judge, type Rounds, type Verdict } from './bars.ts';
import { ratio, type Spread, spread } from './statistics.ts';

export const ROWS = ['vmPlain', 'vmVxlan', 'vmOverlay', 'gatewayPlain', 'gatewayVxlan', 'gatewayOverlay'] as const;
export type Row = (typeof ROWS)[number];

/** Packets and bits per second; microseconds; packets; shares of the time. */
export const MEASURES = ['pps', 'bulk', 'bulkNoGso', 'rtt50', 'rtt99', 'lost', 'waiting', 'busy'] as const;
export type Measure = (typeof MEASURES)[number];

export type Samples = Readonly<Record<Row, Rounds<Measure>>>;

const NAMES: Readonly<Record<Row, string>> = {
  vmPlain: 'VM to VM: plain routing, 2 routers',
  vmVxlan: 'VM to VM: kernel VXLAN + bridge',
  vmOverlay: 'VM to VM: overlay',
  gatewayPlain: 'gateway: plain routing, 3 routers',
  gatewayVxlan: 'gateway: kernel VXLAN + bridge + veth',
  gatewayOverlay: 'gateway: overlay into the compartment',
};
const plainOf = (row: Row): Row => (row.startsWith('vm') ? 'vmPlain' : 'gatewayPlain');
const vxlanOf = (row: Row): Row => (row.startsWith('vm') ? 'vmVxlan' : 'gatewayVxlan');

const bar = (what: string, measure: Measure, row: Row, against: Row, atLeast: number): Bar<Row, Measure> => ({
  what,
  measure,
  row,
  against,
  atLeast,
});

export const BARS: readonly Bar<Row, Measure>[] = [
  bar('VM to VM, small packets, to kernel VXLAN', 'pps', 'vmOverlay', 'vmVxlan', 2.2),
  bar('VM to VM, small packets, to plain routing', 'pps', 'vmOverlay', 'vmPlain', 1.0),
  bar('gateway, small packets, to kernel VXLAN + bridge', 'pps', 'gatewayOverlay', 'gatewayVxlan', 2.0),
  bar('gateway, small packets, to plain routing', 'pps', 'gatewayOverlay', 'gatewayPlain', 1.1),
  bar('VM to VM, TCP bulk, to plain routing', 'bulk', 'vmOverlay', 'vmPlain', 1.0),
  bar('gateway, TCP bulk, to plain routing', 'bulk', 'gatewayOverlay', 'gatewayPlain', 1.0),
  bar('VM to VM, TCP bulk without GSO, to plain routing', 'bulkNoGso', 'vmOverlay', 'vmPlain', 1.0),
  bar('gateway, TCP bulk without GSO, to plain routing', 'bulkNoGso', 'gatewayOverlay', 'gatewayPlain', 1.0),
];

export interface Machine {
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryGiB: number;
  readonly kernel: string; // major.minor
  readonly date: string; // YYYY-MM-DD
}

export interface Report {
  readonly benchmark: 'overlay';
  readonly machine: Machine;
  readonly congestionControl: string;
  readonly rounds: number;
  readonly figures: Readonly<Record<Row, Readonly<Record<Measure, Spread>>>>;
  readonly toPlain: Readonly<Record<Row, Readonly<Record<Measure, Spread>>>>;
  readonly toVxlan: Readonly<Record<Row, Readonly<Record<Measure, Spread>>>>;
  readonly bars: readonly Verdict[];
  /** Every value of every slice, so that nobody has to trust the medians. */
  readonly samples: Samples;
}

const perMeasure = (f: (m: Measure) => Spread) =>
  Object.fromEntries(MEASURES.map((m) => [m, f(m)])) as Record<Measure, Spread>;
const perRow = (f: (r: Row, m: Measure) => Spread) =>
  Object.fromEntries(ROWS.map((r) => [r, perMeasure((m) => f(r, m))])) as Record<Row, Record<Measure, Spread>>;

export const report = (samples: Samples, machine: Machine, congestionControl: string): Report => ({
  benchmark: 'overlay',
  machine,
  congestionControl,
  rounds: samples.vmPlain.busy.length,
  figures: perRow((r, m) => spread(samples[r][m])),
  toPlain: perRow((r, m) => ratio(samples[r][m], samples[plainOf(r)][m])),
  toVxlan: perRow((r, m) => ratio(samples[r][m], samples[vxlanOf(r)][m])),
  bars: judge(BARS, samples),
  samples,
});

const fixed = (x: number, digits: number) => x.toFixed(digits);
/** Median and interquartile range. */
const ranged = (s: Spread) => `${fixed(s.median, 2)} (${fixed(s.lower, 2)}-${fixed(s.upper, 2)})`;
const thousands = (x: number) => fixed(x / 1e3, 0);
const gigabits = (x: number) => fixed(x / 1e9, 2);

export const packetRows = (r: Report): Cells[] =>
  ROWS.map((row) => {
    const { pps, lost, waiting, busy } = r.figures[row];
    return {
      'small packets': NAMES[row],
      kpps: thousands(pps.median),
      'to plain': ranged(r.toPlain[row].pps),
      'to VXLAN': ranged(r.toVxlan[row].pps),
      'best slice': thousands(pps.max),
      'ns/packet': fixed((busy.median / pps.median) * 1e9, 0),
      lost: lost.max,
      'generator waits': `${fixed(waiting.median * 100, 0)} %`,
    };
  });

export const tcpRows = (r: Report): Cells[] =>
  ROWS.map((row) => {
    const { bulk, bulkNoGso, rtt50, rtt99 } = r.figures[row];
    return {
      TCP: NAMES[row],
      'bulk Gbit/s': gigabits(bulk.median),
      'to plain': ranged(r.toPlain[row].bulk),
      'without GSO': gigabits(bulkNoGso.median),
      'without GSO to plain': ranged(r.toPlain[row].bulkNoGso),
      'round trip µs p50 / p99': `${fixed(rtt50.median, 0)} / ${fixed(rtt99.median, 0)}`,
      'p50 to plain': ranged(r.toPlain[row].rtt50),
    };
  });

/** `digits` of the least value that holds. */
export const barRows = (verdicts: readonly Verdict[], digits: number): Cells[] =>
  verdicts.map(({ what, atLeast, ratio: x, held }) => ({
    bar: what,
    'at least': fixed(atLeast, digits),
    'median (quartiles)': ranged(x),
    '95 % confidence': `${fixed(x.from, 2)}-${fixed(x.to, 2)}`,
    verdict: held ? 'held' : 'MISSED',
  }));

const tables = (r: Report) => [packetRows(r), tcpRows(r), barRows(r.bars, 1)];

export const forPeople = (r: Report): string => tables(r).map(formatTable).join('\n');

export function markdownTable(rows: readonly Cells[]): string {
  const columns = Object.keys(rows[0] ?? {});
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    line(columns),
    line(columns.map(() => '---')),
    ...rows.map((row) => line(columns.map((c) => `${row[c]}`))),
  ].join('\n');
}

/** What stands between the marks of docs/performance.md. */
export function markdown(r: Report): string {
  const { cpu, cpus, memoryGiB, kernel, date } = r.machine;
  return [
    `${date}: ${cpus} vCPU (${cpu}), ${memoryGiB} GiB, cloud VM, kernel ${kernel}; ${r.rounds} rounds, ${r.samples.vmPlain.pps.length} interleaved slices; TCP with ${r.congestionControl}.`,
    ...tables(r).map(markdownTable),
  ].join('\n\n');
}

const BEGIN = (name: string) => `<!-- figures of ${name}: begin -->`;
const END = (name: string) => `<!-- figures of ${name}: end -->`;

/** The document with the block between the marks replaced; undefined when the marks are missing. */
export function withBlock(document: string, name: string, block: string): string | undefined {
  const from = document.indexOf(BEGIN(name));
  const to = document.indexOf(END(name));
  if (from < 0 || to < from) return undefined;
  return `${document.slice(0, from)}${BEGIN(name)}\n${block}\n${document.slice(to)}`;
}
