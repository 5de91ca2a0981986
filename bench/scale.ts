/**
 * npm run bench:records [-- --bars] [--rounds N] [-o json] [--write]
 *
 * What a large policy costs: one flow and random destinations among 10, 10,000 and 1,000,000 lookup records; updates a second
 * through the product's own hand; loading; memory. Methods and latest figures: docs/performance.md.
 */
import fs from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Outcome, progress, runBenchmark } from './benchmark.ts';
import { machine, root } from './machine.ts';
import { loadSink, type PacketSource, type SmallPackets, smallPackets } from './measure.ts';
import { NEXT_HOP, type ScaleHost, scaleHost } from './scale-host.ts';
import { addressAt, SIZES, type SizeName, VM_ADDRESS } from './scale-policy.ts';
import {
  bars,
  forPeople,
  type MapUse,
  MEANWHILE,
  markdown,
  type Pattern,
  type ScaleFigures,
  SIZE_NAMES,
  UPDATE_WAYS,
  type UpdateWay,
} from './scale-report.ts';
import { Library, move } from './scale-updates.ts';
import { spread } from './statistics.ts';

const OBJECT = `${root}/dist/bpf/overlay.bpf.o`;
const PATTERNS: readonly Pattern[] = ['one', 'random'];
const SLICES = { seconds: 0.02, rotations: 50 } as const;
const UPDATES_MEASURED = 300_000;
/** They come as a stream, not all in one list. */
const GROUP = 10_000;
const BATCHED = 100_000;
const SINGLE = 1000;
const BESIDE_SECONDS = 1;
const TICK_MS = 10;

type PerSize<T> = Record<SizeName, T>;
const perSize = <T>(of: (size: SizeName) => T) =>
  Object.fromEntries(SIZE_NAMES.map((size) => [size, of(size)])) as PerSize<T>;

const path = (host: ScaleHost, pattern: Pattern): PacketSource => ({
  name: `${host.name}, ${pattern}`,
  source: host.vm,
  nextHop: NEXT_HOP,
  sourceAddress: VM_ADDRESS,
  destination: addressAt(1),
  destinations: pattern === 'one' ? 1 : host.destinations,
});

/** Every size and pattern. */
async function flows(hosts: Readonly<PerSize<ScaleHost>>) {
  const places = SIZE_NAMES.flatMap((size) => PATTERNS.map((pattern) => [size, pattern] as const));
  const seen = await smallPackets(
    places.map(([size, pattern]) => path(hosts[size], pattern)),
    SLICES,
  );
  const at = (size: SizeName, pattern: Pattern) => seen[places.findIndex(([s, p]) => s === size && p === pattern)]!;
  return perSize((size) => ({ one: at(size, 'one'), random: at(size, 'random') }));
}

/** This process cannot tell the hand's share from that of encoding. */
type CpuWay = Exclude<UpdateWay, 'hand'>;
type Rates<W extends UpdateWay> = Record<W, number>;

/** Each way by itself; returns updates a second and microseconds of this process's CPU for each. */
async function updates(
  host: ScaleHost,
  library: Library,
  round: number,
): Promise<{ perSecond: Rates<UpdateWay>; cpu: Rates<CpuWay> }> {
  const cpuFor = async <T>(count: number, work: () => Promise<T>) => {
    const from = process.cpuUsage();
    const result = await work();
    const { user, system } = process.cpuUsage(from);
    return { result, cpu: (user + system) / count };
  };
  const hand = { encoding: 0, hand: 0, cpu: 0 };
  for (let n = 0; n < UPDATES_MEASURED; n += GROUP) {
    const spent = await move(host, round * UPDATES_MEASURED + n, GROUP, round);
    hand.encoding += spent.encoding;
    hand.hand += spent.hand;
    hand.cpu += spent.cpu;
  }
  const from = round * UPDATES_MEASURED;
  const batched = await cpuFor(BATCHED, () => library.update(from, BATCHED / GROUP, GROUP, round + 1));
  const single = await cpuFor(SINGLE, () => library.update(from, SINGLE, 1, round + 2));
  return {
    perSecond: {
      hand: UPDATES_MEASURED / hand.hand,
      encoded: UPDATES_MEASURED / (hand.encoding + hand.hand),
      batched: BATCHED / batched.result,
      single: SINGLE / single.result,
    },
    cpu: { encoded: hand.cpu / UPDATES_MEASURED, batched: batched.cpu, single: single.cpu },
  };
}

/** One flow among a million records while records of others change at a steady rate. */
async function besideChanges(host: ScaleHost, round: number) {
  let sent: SmallPackets | undefined;
  const flow = smallPackets([path(host, 'one')], { seconds: BESIDE_SECONDS, rotations: 1 }).then((p) => {
    sent = p[0];
  });
  const from = performance.now();
  let changed = 0;
  while (!sent) {
    await delay(TICK_MS);
    const due = Math.floor(((performance.now() - from) / 1000) * MEANWHILE);
    await move(host, changed, due - changed, round);
    changed = due;
  }
  const rate = changed / ((performance.now() - from) / 1000);
  await flow;
  const { pps, lost } = sent;
  const arrived = pps[0]! * BESIDE_SECONDS;
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

const perWay = <T>(of: (way: UpdateWay) => T) =>
  Object.fromEntries((Object.keys(UPDATE_WAYS) as UpdateWay[]).map((way) => [way, of(way)])) as Record<UpdateWay, T>;

/** Objects and buffers of this process. */
const held = (): number => {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
};

async function measure(rounds: number): Promise<ScaleFigures> {
  loadSink();
  const hosts: Partial<PerSize<ScaleHost>> = {};
  let policyBytes = 0;
  for (const [number, size] of SIZE_NAMES.entries()) {
    progress(`loading ${SIZES[size].records} records`);
    const before = held();
    hosts[size] = await scaleHost(OBJECT, size, number, SIZES[size]);
    policyBytes = held() - before;
  }
  const all = hosts as PerSize<ScaleHost>;
  const before = held();
  progress('making the store of records');
  const library = new Library(all.million);
  const storeBytes = held() - before;
  const pps = perSize(() => ({ one: [] as number[], random: [] as number[] }));
  const cost = perSize(() => ({ one: [] as number[], random: [] as number[] }));
  const beside: Awaited<ReturnType<typeof besideChanges>>[] = [];
  const changes: Awaited<ReturnType<typeof updates>>[] = [];
  for (let round = 0; round < rounds; round++) {
    const seen = await flows(all);
    for (const size of SIZE_NAMES)
      for (const pattern of PATTERNS) {
        const { pps: rates, busy } = seen[size][pattern];
        pps[size][pattern].push(...rates);
        cost[size][pattern].push(busy / spread(rates).median);
      }
    changes.push(await updates(all.million, library, round));
    beside.push(await besideChanges(all.million, round));
    const kpps = SIZE_NAMES.map((size) =>
      PATTERNS.map((p) => (spread(seen[size][p].pps).median / 1e3).toFixed(0)).join('/'),
    );
    progress(
      `round ${round + 1}/${rounds}: kpps ${kpps.join(' | ')}, ${(changes.at(-1)!.perSecond.encoded / 1e3).toFixed(0)} k updates/s`,
    );
  }
  return {
    pps,
    cost,
    updates: perWay((way) => changes.map((c) => c.perSecond[way])),
    updateCpu: {
      encoded: changes.map((c) => c.cpu.encoded),
      batched: changes.map((c) => c.cpu.batched),
      single: changes.map((c) => c.cpu.single),
    },
    undisturbed: beside.map((b) => b.arrived),
    changesMeanwhile: beside.map((b) => b.rate),
    loading: perSize((size) => all[size].loading),
    memory: memory(all.million),
    policyBytes,
    storeBytes,
  };
}

async function run(rounds: number): Promise<Outcome> {
  const figures = await measure(rounds);
  const verdicts = bars(figures);
  return {
    data: { benchmark: 'records', machine: machine(), figures, bars: verdicts },
    table: forPeople(figures),
    markdown: markdown(figures, machine()),
    bars: verdicts,
  };
}

await runBenchmark({ name: 'bench:records', rounds: 'rounds over all sizes', run });
