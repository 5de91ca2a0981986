/**
 * npm run bench:overlay [-- --bars] [--rounds N] [-o json] [--write]
 *
 * The overlay beside plain kernel routing and kernel VXLAN with a bridge: small packets of one core, TCP bulk, TCP
 * request/response; VM to VM and through a gateway's compartment. Methods and latest figures: docs/performance.md.
 */
import { execFileSync } from 'node:child_process';
import os from 'node:os';
import { Command, InvalidArgumentError, Option } from 'commander';
import { verdictLine } from './bars.ts';
import { isolated } from './isolation.ts';
import { type Layout, plainGateway, plainVm, vxlanGateway, vxlanVm } from './layouts.ts';
import { machine, publish, root } from './machine.ts';
import { CONGESTION_CONTROL, loadSink, prepare } from './measure.ts';
import { overlayGateway, overlayVm } from './ours.ts';
import { forPeople, MEASURES, type Measure, markdown, ROWS, type Row, report } from './report.ts';
import { round } from './round.ts';

interface Options {
  readonly bars: boolean;
  readonly rounds: number;
  readonly output: 'table' | 'json';
  readonly write: boolean;
}

function options(): Options {
  const positive = (text: string) => {
    if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError('a whole number from 1 on');
    return Number(text);
  };
  return new Command('bench:overlay')
    .option('--bars', 'exit 1 when a bar is missed', false)
    .option('--rounds <n>', 'rounds over all layouts', positive, 5)
    .addOption(new Option('-o, --output <format>', 'what to print').choices(['table', 'json']).default('table'))
    .option('--write', 'put the figures into docs/performance.md', false)
    .parse()
    .opts<Options>();
}

const progress = (text: string) => process.stderr.write(`${text}\n`);

const fail = (why: Error): never => {
  progress(`bench:overlay: ${why.message}`);
  process.exit(2);
};

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
  for (const row of ROWS) await prepare(layouts[row], fail);
  return layouts;
}

function compile(): void {
  if (os.cpus().length < 2) throw new Error('bench:overlay needs two CPUs: one generates, one forwards');
  for (const build of ['bin/bpf.sh', 'bench/build.sh']) execFileSync(`${root}/${build}`, { stdio: ['ignore', 2, 2] });
}

async function main(o: Options): Promise<number> {
  const layouts = await build();
  progress(`each line: ${ROWS.join(' | ')}`);
  const rounds: Awaited<ReturnType<typeof round>>[] = [];
  for (let n = 1; n <= o.rounds; n++)
    rounds.push(await round(layouts, (text) => progress(`round ${n}/${o.rounds}: ${text}`)));
  const samples = Object.fromEntries(
    ROWS.map((row) => [row, Object.fromEntries(MEASURES.map((m) => [m, rounds.map((r) => r[row][m])]))]),
  ) as Record<Row, Record<Measure, number[]>>;
  const result = report(samples, machine(), CONGESTION_CONTROL);
  if (o.write) publish('bench:overlay', markdown(result));
  process.stdout.write(o.output === 'json' ? `${JSON.stringify(result)}\n` : `\n${forPeople(result)}\n`);
  process.stdout.write(`${verdictLine(result.bars)}\n`);
  return o.bars && result.bars.some((b) => !b.held) ? 1 : 0;
}

const chosen = options();
await isolated(compile, () => main(chosen)).catch(fail);
