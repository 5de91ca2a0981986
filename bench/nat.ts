/**
 * npm run bench:nat [-- --bars] [--rounds N] [-o json] [--write]
 *
 * The NAT beside the same gateway without NAT and beside nftables masquerade in the compartment: small packets of an established
 * flow, TCP bulk, new flows; the same with a million live mappings, and what they take. Methods: docs/performance.md.
 */
import { failed, type Outcome, progress, runBenchmark } from './benchmark.ts';
import { machine } from './machine.ts';
import { bulk, CONGESTION_CONTROL, fillFlows, loadSink, newFlows, prepare, smallPackets } from './measure.ts';
import { type FullLayout, fullNat, masquerade, type NatLayout, OTHERS, oursNat, plainNat } from './nat-layouts.ts';
import {
  forPeople,
  type Memory,
  markdown,
  NAT_MEASURES,
  NAT_ROWS,
  type NatRow,
  type NatSamples,
  natReport,
} from './nat-report.ts';
import { local } from './netns.ts';
import { spread } from './statistics.ts';

const NAME = 'bench:nat';
const SLICES = {
  packets: { seconds: 0.005, rotations: 200 },
  bulk: { seconds: 0.025, rotations: 50 },
  flows: { seconds: 0.02, rotations: 20 },
} as const;
const MAPPINGS = 1_000_000;

type Layouts = Readonly<Record<NatRow, NatLayout>>;

async function build(): Promise<Layouts & { readonly full: FullLayout }> {
  progress('building five layouts');
  loadSink();
  const layouts = {
    plain: await plainNat(),
    masquerade: await masquerade(),
    ours: await oursNat('AddressAndPortDependentFiltering', 3),
    addressDependent: await oursNat('AddressDependentFiltering', 4),
    full: await fullNat(5),
  };
  for (const row of NAT_ROWS) await prepare(layouts[row], failed(NAME));
  return layouts;
}

/** bpftool's account of a pinned map: elements, buckets and all. */
async function bytesOf(pin: string, map: string): Promise<number> {
  const { bytes_memlock } = JSON.parse(await local('bpftool', ['-j', 'map', 'show', 'pinned', `${pin}/${map}`]));
  return Number(bytes_memlock);
}

/** Opens the million flows, each of a mapping of its own, and weighs them. `flows` has all its memory from the beginning. */
async function fill({ fill: paths, pin }: FullLayout): Promise<Memory> {
  const each = MAPPINGS / OTHERS.length;
  progress(`opening ${MAPPINGS} flows`);
  const weigh = async () => [await bytesOf(pin, 'mappings'), await bytesOf(pin, 'externals')] as const;
  const before = await weigh();
  const arrived = await fillFlows(paths, each);
  const opened = arrived.reduce((a, b) => a + b, 0);
  if (opened < MAPPINGS) throw new Error(`${opened} of ${MAPPINGS} flows could be opened: ${arrived.join(' ')}`);
  const after = await weigh();
  return {
    mapping: (after[0] - before[0]) / opened,
    external: (after[1] - before[1]) / opened,
    session: (2 * (await bytesOf(pin, 'flows'))) / FLOWS,
    mappings: opened,
  };
}

/** Entries of `flows` in the full layout. */
const FLOWS = 1 << 21;

async function round(layouts: Layouts, say: (text: string) => void) {
  const all = NAT_ROWS.map((row) => layouts[row]);
  const tell = (what: string, values: readonly (readonly number[])[], unit: number) =>
    say(`${what} ${values.map((v) => (spread(v).median / unit).toFixed(1)).join(' | ')}`);
  const packets = await smallPackets(all, SLICES.packets);
  tell(
    'kpps',
    packets.map((p) => p.pps),
    1e3,
  );
  const whole = await bulk(all, SLICES.bulk, true);
  tell('TCP Gbit/s', whole, 1e9);
  const single = await bulk(all, SLICES.bulk, false);
  tell('TCP without GSO Gbit/s', single, 1e9);
  const flows = await newFlows(all, SLICES.flows);
  tell(
    'new flows 1000/s',
    flows.map((f) => f.fps),
    1e3,
  );
  return NAT_ROWS.map((_, i) => ({
    pps: packets[i]!.pps,
    bulk: whole[i]!,
    bulkNoGso: single[i]!,
    fps: flows[i]!.fps,
    lost: [packets[i]!.lost + flows[i]!.lost],
  }));
}

async function run(count: number): Promise<Outcome> {
  const before = machine();
  if (before.load >= 1) progress(`the machine is busy (load ${before.load.toFixed(1)}): do not trust the ratios`);
  const layouts = await build();
  const memory = await fill(layouts.full);
  progress(`each line: ${NAT_ROWS.join(' | ')}`);
  const rounds: Awaited<ReturnType<typeof round>>[] = [];
  for (let n = 1; n <= count; n++)
    rounds.push(await round(layouts, (text) => progress(`round ${n}/${count}: ${text}`)));
  const samples = Object.fromEntries(
    NAT_ROWS.map((row, i) => [row, Object.fromEntries(NAT_MEASURES.map((m) => [m, rounds.flatMap((r) => r[i]![m])]))]),
  ) as unknown as NatSamples;
  const data = natReport(samples, memory, before, CONGESTION_CONTROL, count);
  return { data, table: forPeople(data), markdown: markdown(data), bars: data.bars };
}

await runBenchmark({ name: NAME, rounds: 'rounds over all layouts', run });
