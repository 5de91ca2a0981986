/** The NAT benchmark's figures as data, as tables for people, and as the block in docs/performance.md. Pure. */
import { type Row as Cells, formatTable } from '../lib/table.ts';
import { type Bar, judge, type Rounds, type Verdict } from './bars.ts';
import { barRows, type Machine, markdownTable } from './report.ts';
import { ratio, type Spread, spread } from './statistics.ts';

export const NAT_ROWS = ['plain', 'masquerade', 'ours', 'addressDependent', 'full'] as const;
export type NatRow = (typeof NAT_ROWS)[number];

/** Packets, bits and new flows a second; packets lost of both kinds. */
export const NAT_MEASURES = ['pps', 'bulk', 'bulkNoGso', 'fps', 'lost'] as const;
export type NatMeasure = (typeof NAT_MEASURES)[number];
export type NatSamples = Readonly<Record<NatRow, Rounds<NatMeasure>>>;

const NAMES: Readonly<Record<NatRow, string>> = {
  plain: 'no NAT: the gateway routes',
  masquerade: 'nftables masquerade in the compartment',
  ours: 'NAT, filtering as masquerade has it',
  addressDependent: 'NAT, address-dependent filtering',
  full: 'NAT, 1,000,000 other mappings live',
};

/** Bytes in the maps for one more mapping with one session. */
export interface Memory {
  readonly mapping: number;
  readonly external: number;
  /** Two entries. */
  readonly session: number;
  /** Live while it was measured. */
  readonly mappings: number;
}

const bar = (what: string, measure: NatMeasure, row: NatRow, against: NatRow, atLeast: number) =>
  ({ what, measure, row, against, atLeast }) satisfies Bar<NatRow, NatMeasure>;

export const NAT_BARS: readonly Bar<NatRow, NatMeasure>[] = [
  bar('small packets, to no NAT', 'pps', 'ours', 'plain', 0.9),
  bar('small packets, to masquerade', 'pps', 'ours', 'masquerade', 1.1),
  bar('TCP bulk, to masquerade', 'bulk', 'ours', 'masquerade', 1.0),
  bar('TCP bulk without GSO, to masquerade', 'bulkNoGso', 'ours', 'masquerade', 1.0),
  bar('new flows, to masquerade', 'fps', 'ours', 'masquerade', 1.5),
  bar('small packets among 1,000,000 mappings, to few', 'pps', 'full', 'ours', 0.85),
];

export interface NatReport {
  readonly benchmark: 'nat';
  readonly machine: Machine;
  readonly congestionControl: string;
  readonly rounds: number;
  readonly figures: Readonly<Record<NatRow, Readonly<Record<NatMeasure, Spread>>>>;
  readonly memory: Memory;
  readonly bars: readonly Verdict[];
  readonly samples: NatSamples;
}

export const natReport = (
  samples: NatSamples,
  memory: Memory,
  machine: Machine,
  congestionControl: string,
  rounds: number,
): NatReport => ({
  benchmark: 'nat',
  machine,
  congestionControl,
  rounds,
  figures: Object.fromEntries(
    NAT_ROWS.map((row) => [row, Object.fromEntries(NAT_MEASURES.map((m) => [m, spread(samples[row][m])]))]),
  ) as NatReport['figures'],
  memory,
  bars: judge(NAT_BARS, samples),
  samples,
});

const ranged = (s: Spread) => `${s.median.toFixed(2)} (${s.lower.toFixed(2)}-${s.upper.toFixed(2)})`;
const versus = (r: NatReport, row: NatRow, against: NatRow, m: NatMeasure) =>
  ranged(ratio(r.samples[row][m], r.samples[against][m]));

const rows = (r: NatReport): Cells[] =>
  NAT_ROWS.map((row) => {
    const { pps, bulk, bulkNoGso, fps, lost } = r.figures[row];
    return {
      '': NAMES[row],
      kpps: (pps.median / 1e3).toFixed(0),
      'to no NAT': versus(r, row, 'plain', 'pps'),
      'to masquerade': versus(r, row, 'masquerade', 'pps'),
      'TCP Gbit/s': (bulk.median / 1e9).toFixed(2),
      'its ratio to masquerade': versus(r, row, 'masquerade', 'bulk'),
      'without GSO': (bulkNoGso.median / 1e9).toFixed(2),
      'new flows 1000/s': (fps.median / 1e3).toFixed(0),
      'ratio to masquerade': versus(r, row, 'masquerade', 'fps'),
      lost: lost.max,
    };
  });

const memoryRow = ({ mapping, external, session, mappings }: Memory): Cells[] => [
  {
    'live mappings': mappings,
    'bytes in mappings': mapping.toFixed(0),
    'bytes in externals': external.toFixed(0),
    'bytes in flows': session.toFixed(0),
    'bytes in all': (mapping + external + session).toFixed(0),
  },
];

const tables = (r: NatReport) => [rows(r), memoryRow(r.memory), barRows(r.bars, 2)];

export const forPeople = (r: NatReport): string => tables(r).map(formatTable).join('\n');

/** What stands between the marks of docs/performance.md. */
export function markdown(r: NatReport): string {
  const { cpu, cpus, memoryGiB, kernel, date, load } = r.machine;
  return [
    `${date}: ${cpus} vCPU (${cpu}), ${memoryGiB} GiB, cloud VM, kernel ${kernel}, load before ${load.toFixed(1)}; ${r.rounds} rounds; TCP with ${r.congestionControl}.`,
    ...tables(r).map(markdownTable),
  ].join('\n\n');
}
