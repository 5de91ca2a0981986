/**
 * npm run bench:records [-- --bars] [--rounds N] [-o json] [--write]
 *
 * What a large policy costs: one flow and random destinations among 10, 10,000 and 1,000,000 lookup records; updates a second
 * through the product's own hand; loading; memory. Methods and latest figures: docs/performance.md.
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Command, InvalidArgumentError, Option } from 'commander';
import { FIRST_SLOT } from '../compartments/numbers.ts';
import type { Op, Resource } from '../compartments/resource.ts';
import { decodeLocation, encodeLocation, type Location } from '../encap/abi.ts';
import { verdictLine } from './bars.ts';
import { isolated } from './isolation.ts';
import { machine, publish, root } from './machine.ts';
import { loadSink, type SmallPackets, smallPackets } from './measure.ts';
import { NEXT_HOP, type ScaleHost, scaleHost } from './scale-host.ts';
import { addressAt, HOSTS, providerOf, SIZES, type SizeName, VM_ADDRESS } from './scale-policy.ts';
import {
  bars,
  forPeople,
  type MapUse,
  MEANWHILE,
  markdown,
  type Pattern,
  type ScaleFigures,
  SIZE_NAMES,
} from './scale-report.ts';
import { spread } from './statistics.ts';

const OBJECT = `${root}/dist/bpf/overlay.bpf.o`;
const PATTERNS: readonly Pattern[] = ['one', 'random'];
const PASSES = 4;
const VISIT_SECONDS = 0.25;
const UPDATES_MEASURED = 300_000;
const BESIDE_SECONDS = 1;
const TICK_MS = 10;

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
  return new Command('bench:records')
    .option('--bars', 'exit 1 when a bar is missed', false)
    .option('--rounds <n>', 'rounds over all sizes', positive, 5)
    .addOption(new Option('-o, --output <format>', 'what to print').choices(['table', 'json']).default('table'))
    .option('--write', 'put the figures into docs/performance.md', false)
    .parse()
    .opts<Options>();
}

const progress = (text: string) => process.stderr.write(`${text}\n`);

const fail = (why: Error): never => {
  progress(`bench:records: ${why.message}`);
  process.exit(2);
};

type PerSize<T> = Record<SizeName, T>;
const perSize = <T>(of: (size: SizeName) => T) =>
  Object.fromEntries(SIZE_NAMES.map((size) => [size, of(size)])) as PerSize<T>;

const packets = (host: ScaleHost, pattern: Pattern, seconds: number): Promise<SmallPackets> =>
  smallPackets(
    {
      name: `${host.name}, ${pattern}`,
      source: host.vm,
      nextHop: NEXT_HOP,
      sourceAddress: VM_ADDRESS,
      destination: addressAt(1),
      destinations: pattern === 'one' ? 1 : host.destinations,
    },
    seconds,
  );

/** Every size and pattern, there and back again. */
async function flows(hosts: Readonly<PerSize<ScaleHost>>) {
  const places = SIZE_NAMES.flatMap((size) => PATTERNS.map((pattern) => [size, pattern] as const));
  const seen = perSize(() => ({ one: [] as SmallPackets[], random: [] as SmallPackets[] }));
  for (let pass = 0; pass < PASSES; pass++)
    for (const [size, pattern] of pass % 2 ? places.toReversed() : places)
      seen[size][pattern].push(await packets(hosts[size], pattern, VISIT_SECONDS));
  const median = (of: (p: SmallPackets) => number) =>
    perSize((size) => {
      const at = (pattern: Pattern) => spread(seen[size][pattern].map(of)).median;
      return { one: at('one'), random: at('random') };
    });
  return { pps: median((p) => p.pps), cost: median((p) => p.busy / p.pps) };
}

/** What must become different: records whose VMs have moved to another host, each with its place in the maps. */
interface Move {
  readonly entry: Resource<'entry'>;
  readonly location: Location;
}

/** `count` records from `from` on, without the first two: the VM that sends, and where its one flow goes. */
function moves(known: readonly Resource<'entry'>[], from: number, count: number, round: number): readonly Move[] {
  return Array.from({ length: count }, (_, i) => {
    const entry = known[2 + ((from + i) % (known.length - 2))]!;
    const host = providerOf((i + round) % HOSTS);
    const location = { ...decodeLocation(Buffer.from(entry.spec.value, 'hex')), destination: host, nextHop: host };
    return { entry, location };
  });
}

const op = ({ entry, location }: Move): Op => ({
  verb: 'update',
  impact: 'flow',
  resource: { ...entry, spec: { ...entry.spec, value: Buffer.from(encodeLocation(location)).toString('hex') } },
});

/** From the records' new places to the kernel. */
async function change(host: ScaleHost, moved: readonly Move[]): Promise<void> {
  const { failures } = await host.entries.executeAll(moved.map(op));
  if (failures[0]) throw failures[0].error;
}

async function updatesPerSecond(host: ScaleHost, known: readonly Resource<'entry'>[], round: number): Promise<number> {
  const moved = moves(known, round * UPDATES_MEASURED, UPDATES_MEASURED, round);
  const from = performance.now();
  await change(host, moved);
  return UPDATES_MEASURED / ((performance.now() - from) / 1000);
}

/** One flow among a million records while records of others change at a steady rate. */
async function besideChanges(host: ScaleHost, known: readonly Resource<'entry'>[], round: number) {
  const moved = moves(known, 0, MEANWHILE * BESIDE_SECONDS * 3, round);
  let sent: SmallPackets | undefined;
  const flow = packets(host, 'one', BESIDE_SECONDS).then((p) => {
    sent = p;
  });
  const from = performance.now();
  let changed = 0;
  while (!sent && changed < moved.length) {
    await delay(TICK_MS);
    const due = Math.min(moved.length, Math.floor(((performance.now() - from) / 1000) * MEANWHILE));
    await change(host, moved.slice(changed, due));
    changed = due;
  }
  const rate = changed / ((performance.now() - from) / 1000);
  await flow;
  const { pps, lost } = sent!;
  const arrived = pps * BESIDE_SECONDS;
  return { arrived: arrived / (arrived + lost), rate };
}

/** The kernel's own account of each map (fdinfo, memlock), which holds elements and buckets. */
const memory = (host: ScaleHost, entries: readonly Resource<'entry'>[]): MapUse[] =>
  [...host.maps].map(([map, { fd }]) => ({
    map,
    entries: entries.filter((e) => e.spec.map === map).length,
    bytes: Number(/^memlock:\s*(\d+)/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? 0),
  }));

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const heap = (): number => {
  collectGarbage();
  return process.memoryUsage().heapUsed;
};

async function measure(rounds: number): Promise<ScaleFigures> {
  loadSink();
  const hosts: Partial<PerSize<ScaleHost>> = {};
  let heapBytes = 0;
  for (const [number, size] of SIZE_NAMES.entries()) {
    progress(`loading ${SIZES[size].records} records`);
    const before = heap();
    hosts[size] = await scaleHost(OBJECT, size, number, SIZES[size]);
    heapBytes = heap() - before;
  }
  const all = hosts as PerSize<ScaleHost>;
  const entries = (await all.million.entries.observe('all')).filter((r) => r.kind === 'entry');
  const known = entries
    .filter((e) => e.spec.map === 'records' && e.slot === FIRST_SLOT)
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const pps = perSize(() => ({ one: [] as number[], random: [] as number[] }));
  const cost = perSize(() => ({ one: [] as number[], random: [] as number[] }));
  const beside: Awaited<ReturnType<typeof besideChanges>>[] = [];
  const updates: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const seen = await flows(all);
    for (const size of SIZE_NAMES)
      for (const pattern of PATTERNS) {
        pps[size][pattern].push(seen.pps[size][pattern]);
        cost[size][pattern].push(seen.cost[size][pattern]);
      }
    updates.push(await updatesPerSecond(all.million, known, round));
    beside.push(await besideChanges(all.million, known, round));
    const kpps = SIZE_NAMES.map((size) => PATTERNS.map((p) => (seen.pps[size][p] / 1e3).toFixed(0)).join('/'));
    progress(
      `round ${round + 1}/${rounds}: kpps ${kpps.join(' | ')}, ${(updates.at(-1)! / 1e3).toFixed(0)} k updates/s`,
    );
  }
  return {
    pps,
    cost,
    updates,
    undisturbed: beside.map((b) => b.arrived),
    changesMeanwhile: beside.map((b) => b.rate),
    loading: perSize((size) => all[size].loading),
    memory: memory(all.million, entries),
    heapBytes,
  };
}

function compile(): void {
  if (os.cpus().length < 2) throw new Error('bench:records needs two CPUs: one generates, one forwards');
  for (const build of ['bin/bpf.sh', 'bench/build.sh']) execFileSync(`${root}/${build}`, { stdio: ['ignore', 2, 2] });
}

async function main(o: Options): Promise<number> {
  const figures = await measure(o.rounds);
  const verdicts = bars(figures);
  if (o.write) publish('bench:records', markdown(figures, machine()));
  const result = { benchmark: 'records', machine: machine(), figures, bars: verdicts };
  process.stdout.write(o.output === 'json' ? `${JSON.stringify(result)}\n` : `\n${forPeople(figures)}\n`);
  process.stdout.write(`${verdictLine(verdicts)}\n`);
  return o.bars && verdicts.some((v) => !v.held) ? 1 : 0;
}

const chosen = options();
await isolated(compile, () => main(chosen)).catch(fail);
