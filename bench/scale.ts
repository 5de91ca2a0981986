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
import { FIRST_SLOT } from '../compartments/numbers.ts';
import type { Op } from '../compartments/resource.ts';
import { decodeLocation, encodeLocation, encodeRecordKey, type Location } from '../encap/abi.ts';
import type { Address } from '../lib/address.ts';
import { type Outcome, progress, runBenchmark } from './benchmark.ts';
import { machine, root } from './machine.ts';
import { loadSink, type PacketSource, type SmallPackets, smallPackets } from './measure.ts';
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
const SLICES = { seconds: 0.02, rotations: 50 } as const;
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
  const flow = smallPackets([path(host, 'one')], { seconds: BESIDE_SECONDS, rotations: 1 }).then((p) => {
    sent = p[0];
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
        const { pps: rates, busy } = seen[size][pattern];
        pps[size][pattern].push(...rates);
        cost[size][pattern].push(busy / spread(rates).median);
      }
    changes.push(await updates(all.million, template, round));
    beside.push(await besideChanges(all.million, template, round));
    const kpps = SIZE_NAMES.map((size) =>
      PATTERNS.map((p) => (spread(seen[size][p].pps).median / 1e3).toFixed(0)).join('/'),
    );
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
