/** The three measurements. Each takes a layout and some seconds and returns figures; `prepare` puts the listeners in place. */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import type { Layout } from './layouts.ts';
import { exec, fileOf, local, start } from './netns.ts';

const BUILD = path.resolve(import.meta.dirname, '../.cache/bench');
export const PIN = '/sys/fs/bpf/bench';
const PORT = { bulk: '5201', pingpong: '5202' } as const;

/** Named explicitly: a kernel whose default is BBR would show BBR's pacing and not the path. */
export const CONGESTION_CONTROL = 'reno';

/** Paths take turns: in a rotation each has one slice. Short slices, so that a busy moment of the machine meets all paths. */
export interface Slices {
  readonly seconds: number;
  readonly rotations: number;
}

export interface SmallPackets {
  /** Packets per second of one core for the whole chain, one value a rotation. */
  readonly pps: readonly number[];
  readonly lost: number;
  /** Share of the time that the generator waited for the chain. Near 0 = the generator is the limit. */
  readonly waiting: number;
  /** Share of the time that the forwarding CPU worked. */
  readonly busy: number;
}

/** Loads the sink once for all layouts: one counter, because one layout is measured at a time. */
export function loadSink(): void {
  execFileSync('bpftool', ['prog', 'loadall', `${BUILD}/sink.bpf.o`, PIN, 'pinmaps', PIN]);
}

/** Attaches the sink to the layout's end and starts its TCP server on CPU 1. */
export async function prepare(layout: Layout, failed: (why: Error) => void): Promise<void> {
  const { netns, device } = layout.sink;
  await exec(netns, ['tc', 'qdisc', 'add', 'dev', device, 'clsact']);
  const filter = ['tc', 'filter', 'add', 'dev', device, 'ingress', 'prio', '1', 'handle', '1'];
  await exec(netns, [...filter, 'bpf', 'direct-action', 'object-pinned', `${PIN}/sink`]);
  start(netns, [`${BUILD}/pingpong`, 'serve', layout.destination, PORT.pingpong], failed, 1);
  await reachable(layout, failed);
}

async function reachable(layout: Layout, failed: (why: Error) => void): Promise<void> {
  for (const deadline = Date.now() + 5000; ; ) {
    try {
      await exchange(layout, 0.01);
      return;
    } catch (e) {
      if (Date.now() > deadline) {
        failed(new Error(`${layout.name} carries no TCP: ${(e as Error).message}`));
        return;
      }
    }
  }
}

/** Where small packets start and where they go: to the address, or to one of so many from it on, at random. */
export interface PacketSource extends Pick<Layout, 'name' | 'source' | 'nextHop' | 'sourceAddress' | 'destination'> {
  readonly destinations?: number;
}

/** 60-byte UDP frames through each chain, closed loop. */
export async function smallPackets(paths: readonly PacketSource[], slices: Slices): Promise<readonly SmallPackets[]> {
  const path = ({ source, nextHop, sourceAddress, destination, destinations = 1 }: PacketSource) =>
    [fileOf(source.netns), source.device, nextHop, sourceAddress, destination, destinations].join(',');
  const argv = [`${PIN}/arrived`, `${slices.seconds}`, `${slices.rotations}`, ...paths.map(path)];
  const seen = JSON.parse(await local(`${BUILD}/generator`, argv)) as SmallPackets[];
  const dead = paths.find((_, i) => seen[i]!.pps.every((pps) => pps === 0));
  if (dead) throw new Error(`${dead.name}: no packet arrived`);
  return seen;
}

/**
 * One TCP stream through each chain, bits per second at the receiver, one value a rotation. `gso: false` = the VM's NIC takes
 * no large segments, as a wire would.
 */
export async function bulk(
  layouts: readonly Layout[],
  slices: Slices,
  gso: boolean,
): Promise<readonly (readonly number[])[]> {
  const path = ({ source, sink, destination }: Layout) =>
    [fileOf(source.netns), fileOf(sink.netns), destination, PORT.bulk].join(',');
  const offload = async (state: 'on' | 'off') => {
    for (const { netns, device } of layouts.map((l) => l.source))
      await exec(netns, ['ethtool', '-K', device, 'tso', state, 'gso', state]);
  };
  if (!gso) await offload('off');
  const argv = [CONGESTION_CONTROL, `${slices.seconds}`, `${slices.rotations}`, ...layouts.map(path)];
  const seen = JSON.parse(await local(`${BUILD}/bulk`, argv)) as number[][];
  if (!gso) await offload('on');
  return seen;
}

/** TCP request/response of 14 bytes, microseconds of the full round trip. */
export async function exchange(layout: Layout, seconds: number): Promise<{ p50: number; p99: number }> {
  const argv = ['measure', layout.destination, PORT.pingpong, `${seconds}`];
  return JSON.parse(await exec(layout.source.netns, [`${BUILD}/pingpong`, ...argv], 0)) as { p50: number; p99: number };
}
