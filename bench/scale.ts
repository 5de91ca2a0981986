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
import type { Op } from '../compartments/resource.ts';
import { decodeLocation, encodeLocation, encodeRecordKey, type Location } from '../encap/abi.ts';
import type { Address } from '../lib/address.ts';
import { verdictLine } from './bars.ts';
import { isolated } from './isolation.ts';
import { machine, publish, root } from './machine.ts';
import { loadSink, type SmallPackets, smallPackets } from './measure.ts';
import { NEXT_HOP, type ScaleHost, scaleHost } from './scale-host.ts';
import { addressAt, HOSTS, macAt, providerOf, SIZES, type SizeName, VM_ADDRESS } from './scale-policy.ts';
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
/** They come as a stream, not all in one list. */
const GROUP = 10_000;
const BESIDE_SECONDS = 1;
const TICK_MS = 10;

interface Updates {
  readonly perSecond: number; // of the hand
  readonly encoded: number; // the same with making the entries
  readonly cpuMicroseconds: number; // of this process, each
}

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

/** The entry of a record that is there: its VM is on that host now. */
function moved(template: Location, i: number, host: Address): Op {
  const key = Buffer.from(encodeRecordKey(FIRST_SLOT, addressAt(i))).toString('hex');
  const location = { ...template, mac: macAt(i), destination: host, nextHop: host };
  const value = Buffer.from(encodeLocation(location)).toString('hex');
  const resource = {
    kind: 'entry',
    key: `records ${key}`,
    slot: FIRST_SLOT,
    spec: { map: 'records', key, value },
  } as const;
  return { verb: 'update', impact: 'flow', resource };
}

/**
 * Moves `count` VMs, from new place to the kernel; never the VM that sends, nor the one its flow goes to. Returns the seconds
 * that the hand had.
 */
async function move(host: ScaleHost, template: Location, from: number, count: number, round: number): Promise<number> {
  const ops = Array.from({ length: count }, (_, n) => {
    const i = 2 + ((from + n) % (host.destinations - 1));
    return moved(template, i, providerOf((i + round) % HOSTS));
  });
  const begin = performance.now();
  const { failures } = await host.entries.executeAll(ops);
  if (failures[0]) throw failures[0].error;
  return (performance.now() - begin) / 1000;
}

/** The value that the data plane has for the record of the one flow. */
function templateOf(host: ScaleHost): Location {
  const value = host.maps.get('records')!.get(encodeRecordKey(FIRST_SLOT, addressAt(1)));
  if (!value) throw new Error('the record of the flow is not there');
  return decodeLocation(value);
}

async function updates(host: ScaleHost, template: Location, round: number): Promise<Updates> {
  const from = performance.now();
  const cpu = process.cpuUsage();
  let hand = 0;
  for (let n = 0; n < UPDATES_MEASURED; n += GROUP)
    hand += await move(host, template, round * UPDATES_MEASURED + n, GROUP, round);
  const { user, system } = process.cpuUsage(cpu);
  const encoded = UPDATES_MEASURED / ((performance.now() - from) / 1000);
  return { perSecond: UPDATES_MEASURED / hand, encoded, cpuMicroseconds: (user + system) / UPDATES_MEASURED };
}

/** One flow among a million records while records of others change at a steady rate. */
async function besideChanges(host: ScaleHost, template: Location, round: number) {
  let sent: SmallPackets | undefined;
  const flow = packets(host, 'one', BESIDE_SECONDS).then((p) => {
    sent = p;
  });
  const from = performance.now();
  let changed = 0;
  while (!sent) {
    await delay(TICK_MS);
    const due = Math.floor(((performance.now() - from) / 1000) * MEANWHILE);
    await move(host, template, changed, due - changed, round);
    changed = due;
  }
  const rate = changed / ((performance.now() - from) / 1000);
  await flow;
  const { pps, lost } = sent;
  const arrived = pps * BESIDE_SECONDS;
  return { arrived: arrived / (arrived + lost), rate };
}

/** The kernel's own account of each map (fdinfo, memlock), which holds elements and buckets. */
const memory = (host: ScaleHost): MapUse[] =>
  [...host.maps].map(([map, { fd }]) => ({
    map,
    entries: host.entryCounts[map] ?? 0,
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
  const template = templateOf(all.million);
  const pps = perSize(() => ({ one: [] as number[], random: [] as number[] }));
  const cost = perSize(() => ({ one: [] as number[], random: [] as number[] }));
  const beside: Awaited<ReturnType<typeof besideChanges>>[] = [];
  const changes: Updates[] = [];
  for (let round = 0; round < rounds; round++) {
    const seen = await flows(all);
    for (const size of SIZE_NAMES)
      for (const pattern of PATTERNS) {
        pps[size][pattern].push(seen.pps[size][pattern]);
        cost[size][pattern].push(seen.cost[size][pattern]);
      }
    changes.push(await updates(all.million, template, round));
    beside.push(await besideChanges(all.million, template, round));
    const kpps = SIZE_NAMES.map((size) => PATTERNS.map((p) => (seen.pps[size][p] / 1e3).toFixed(0)).join('/'));
    progress(
      `round ${round + 1}/${rounds}: kpps ${kpps.join(' | ')}, ${(changes.at(-1)!.perSecond / 1e3).toFixed(0)} k updates/s`,
    );
  }
  return {
    pps,
    cost,
    updates: changes.map((c) => c.perSecond),
    updatesEncoded: changes.map((c) => c.encoded),
    updateCpu: changes.map((c) => c.cpuMicroseconds),
    undisturbed: beside.map((b) => b.arrived),
    changesMeanwhile: beside.map((b) => b.rate),
    loading: perSize((size) => all[size].loading),
    memory: memory(all.million),
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
