/**
 * npm run bench:overlay [-- --bars] [--rounds N] [-o json] [--write]
 *
 * The overlay beside plain kernel routing and kernel VXLAN with a bridge: small packets of one core, TCP bulk, TCP
 * request/response; VM to VM and through a gateway's compartment. Methods and latest figures: docs/performance.md.
 */
import { failed, type Outcome, progress, runBenchmark } from './benchmark.ts';
import { type Layout, plainGateway, plainVm, vxlanGateway, vxlanVm } from './layouts.ts';
import { machine } from './machine.ts';
import { CONGESTION_CONTROL, loadSink, prepare } from './measure.ts';
import { overlayGateway, overlayVm } from './ours.ts';
import { forPeople, MEASURES, markdown, ROWS, type Row, report, type Samples } from './report.ts';
import { round } from './round.ts';

const NAME = 'bench:overlay';

type Layouts = Readonly<Record<Row, Layout>>;

async function build(): Promise<Layouts> {
  progress('building six layouts');
  loadSink();
  const layouts: Layouts = {
    vmPlain: await plainVm(),
    vmVxlan: await vxlanVm(),
    vmOverlay: await overlayVm(),
    gatewayPlain: await plainGateway(),
    gatewayVxlan: await vxlanGateway(),
    gatewayOverlay: await overlayGateway(),
  };
  for (const row of ROWS) await prepare(layouts[row], failed(NAME));
  return layouts;
}

async function run(count: number): Promise<Outcome> {
  const layouts = await build();
  progress(`each line: ${ROWS.join(' | ')}`);
  const rounds: Awaited<ReturnType<typeof round>>[] = [];
  for (let n = 1; n <= count; n++)
    rounds.push(await round(layouts, (text) => progress(`round ${n}/${count}: ${text}`)));
  const samples = Object.fromEntries(
    ROWS.map((row) => [row, Object.fromEntries(MEASURES.map((m) => [m, rounds.flatMap((r) => r[row][m])]))]),
  ) as unknown as Samples;
  const data = report(samples, machine(), CONGESTION_CONTROL);
  return { data, table: forPeople(data), markdown: markdown(data), bars: data.bars };
}

await runBenchmark({ name: NAME, rounds: 'rounds over all layouts', run });
