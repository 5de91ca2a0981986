/**
 * One round: every measurement visits all layouts, there and back again (A B C … C B A …), so that neighbours in a ratio are
 * neighbours in time, and a machine that gets slower or faster meanwhile does so for both sides.
 */
import type { Layout } from './layouts.ts';
import { bulk, exchange, smallPackets } from './measure.ts';
import { type Measure, ROWS, type Row } from './report.ts';
import { spread } from './statistics.ts';

type PerRow<T> = Record<Row, T>;

/** How often a measurement visits each layout in a round, and for how many seconds. */
const VISITS = {
  smallPackets: { passes: 4, seconds: 0.25 },
  bulk: { passes: 2, seconds: 1 },
  bulkNoGso: { passes: 1, seconds: 1 },
  exchange: { passes: 2, seconds: 0.25 },
} as const;

async function visit<T>(
  layouts: Readonly<PerRow<Layout>>,
  { passes, seconds }: { readonly passes: number; readonly seconds: number },
  measure: (layout: Layout, seconds: number) => Promise<T>,
): Promise<PerRow<T[]>> {
  const seen = Object.fromEntries(ROWS.map((row) => [row, []])) as unknown as PerRow<T[]>;
  for (let pass = 0; pass < passes; pass++)
    for (const row of pass % 2 ? [...ROWS].reverse() : ROWS) seen[row].push(await measure(layouts[row], seconds));
  return seen;
}

/** The figures of one round, by layout and measure; what disturbs one visit does not make the round's figure. */
export async function round(
  layouts: Readonly<PerRow<Layout>>,
  say: (text: string) => void,
): Promise<PerRow<Record<Measure, number>>> {
  const median = <T>(seen: readonly T[], of: (t: T) => number) => spread(seen.map(of)).median;
  const tell = <T>(what: string, seen: PerRow<T[]>, of: (t: T) => number, digits: number) =>
    say(`${what} ${ROWS.map((row) => median(seen[row], of).toFixed(digits)).join(' | ')}`);

  const packets = await visit(layouts, VISITS.smallPackets, smallPackets);
  tell('kpps', packets, (p) => p.pps / 1e3, 0);
  const whole = await visit(layouts, VISITS.bulk, (l, seconds) => bulk(l, seconds, true));
  tell('TCP Gbit/s', whole, (b) => b / 1e9, 1);
  const single = await visit(layouts, VISITS.bulkNoGso, (l, seconds) => bulk(l, seconds, false));
  tell('TCP without GSO Gbit/s', single, (b) => b / 1e9, 2);
  const trips = await visit(layouts, VISITS.exchange, exchange);
  tell('round trip µs', trips, (t) => t.p50, 0);

  const figures = (row: Row): Record<Measure, number> => ({
    pps: median(packets[row], (p) => p.pps),
    peak: Math.max(...packets[row].map((p) => p.peak)),
    lost: packets[row].reduce((sum, p) => sum + p.lost, 0),
    waiting: median(packets[row], (p) => p.waiting),
    busy: median(packets[row], (p) => p.busy),
    bulk: median(whole[row], (b) => b),
    bulkNoGso: median(single[row], (b) => b),
    rtt50: median(trips[row], (t) => t.p50),
    rtt99: median(trips[row], (t) => t.p99),
  });
  return Object.fromEntries(ROWS.map((row) => [row, figures(row)])) as PerRow<Record<Measure, number>>;
}
