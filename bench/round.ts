/** One round: every measurement of all layouts. Inside a measurement the layouts take turns in short slices. */
import type { Layout } from './layouts.ts';
import { bulk, exchange, type Slices, smallPackets } from './measure.ts';
import { type Measure, ROWS, type Row } from './report.ts';
import { spread } from './statistics.ts';

type PerRow<T> = Record<Row, T>;

const SLICES = {
  smallPackets: { seconds: 0.005, rotations: 200 },
  bulk: { seconds: 0.025, rotations: 50 },
  exchange: { seconds: 0.05, rotations: 4 },
} as const satisfies Record<string, Slices>;

const perRow = <T>(values: readonly T[]): PerRow<T> =>
  Object.fromEntries(ROWS.map((row, i) => [row, values[i]!])) as PerRow<T>;

async function exchanges(layouts: Readonly<PerRow<Layout>>, { seconds, rotations }: Slices) {
  const seen = perRow(ROWS.map(() => ({ p50: [] as number[], p99: [] as number[] })));
  for (let rotation = 0; rotation < rotations; rotation++)
    for (const row of rotation % 2 ? ROWS.toReversed() : ROWS) {
      const { p50, p99 } = await exchange(layouts[row], seconds);
      seen[row].p50.push(p50);
      seen[row].p99.push(p99);
    }
  return seen;
}

/** The figures of one round, by layout and measure, one value a slice or one a round. */
export async function round(
  layouts: Readonly<PerRow<Layout>>,
  say: (text: string) => void,
): Promise<PerRow<Readonly<Record<Measure, readonly number[]>>>> {
  const all = ROWS.map((row) => layouts[row]);
  const tell = (what: string, values: (row: Row) => readonly number[], unit: number, digits: number) =>
    say(`${what} ${ROWS.map((row) => (spread(values(row)).median / unit).toFixed(digits)).join(' | ')}`);

  const packets = perRow(await smallPackets(all, SLICES.smallPackets));
  tell('kpps', (row) => packets[row].pps, 1e3, 0);
  const whole = perRow(await bulk(all, SLICES.bulk, true));
  tell('TCP Gbit/s', (row) => whole[row], 1e9, 1);
  const single = perRow(await bulk(all, SLICES.bulk, false));
  tell('TCP without GSO Gbit/s', (row) => single[row], 1e9, 2);
  const trips = await exchanges(layouts, SLICES.exchange);
  tell('round trip µs', (row) => trips[row].p50, 1, 0);

  return perRow(
    ROWS.map((row) => ({
      pps: packets[row].pps,
      lost: [packets[row].lost],
      waiting: [packets[row].waiting],
      busy: [packets[row].busy],
      bulk: whole[row],
      bulkNoGso: single[row],
      rtt50: trips[row].p50,
      rtt99: trips[row].p99,
    })),
  );
}
