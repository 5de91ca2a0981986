/** The three measurements. Each takes a layout and some seconds and returns figures; `prepare` puts the listeners in place. */
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import type { Layout } from './layouts.ts';
import { exec, start } from './netns.ts';

const BUILD = path.resolve(import.meta.dirname, '../.cache/bench');
export const PIN = '/sys/fs/bpf/bench';
const PORT = { iperf3: '5201', pingpong: '5202' } as const;

/** Named explicitly: a kernel whose default is BBR would show BBR's pacing and not the path. */
export const CONGESTION_CONTROL = 'reno';

export interface SmallPackets {
  /** Packets per second of one core for the whole chain. */
  readonly pps: number;
  /** The same over the best 20 ms: what the chain carries while nothing else wants the CPUs. */
  readonly peak: number;
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

/** Attaches the sink to the layout's end and starts its TCP servers on CPU 1. */
export async function prepare(layout: Layout, failed: (why: Error) => void): Promise<void> {
  const { netns, device } = layout.sink;
  await exec(netns, ['tc', 'qdisc', 'add', 'dev', device, 'clsact']);
  const filter = ['tc', 'filter', 'add', 'dev', device, 'ingress', 'prio', '1', 'handle', '1'];
  await exec(netns, [...filter, 'bpf', 'direct-action', 'object-pinned', `${PIN}/sink`]);
  start(netns, ['iperf3', '--server', '--port', PORT.iperf3], failed, 1);
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

/** 60-byte UDP frames through the chain, closed loop. */
export async function smallPackets(from: PacketSource, seconds: number): Promise<SmallPackets> {
  const { source, nextHop, sourceAddress, destination, destinations = 1 } = from;
  const argv = [source.device, nextHop, sourceAddress, destination, `${seconds}`, `${PIN}/arrived`, `${destinations}`];
  const out = JSON.parse(await exec(source.netns, [`${BUILD}/generator`, ...argv], 0)) as {
    packets: number;
    seconds: number;
    peak: number;
    lost: number;
    waiting: number;
    busy: number;
  };
  if (out.packets === 0) throw new Error(`${from.name}: no packet arrived`);
  const { packets, seconds: took, ...rest } = out;
  return { pps: packets / took, ...rest };
}

/** One TCP stream, bits per second at the receiver. `gso: false` = the VM's NIC takes no large segments, as a wire would. */
export async function bulk(layout: Layout, seconds: number, gso: boolean): Promise<number> {
  const { netns, device } = layout.source;
  const argv = ['--client', layout.destination, '--port', PORT.iperf3, '--json'];
  const offload = (state: 'on' | 'off') => exec(netns, ['ethtool', '-K', device, 'tso', state, 'gso', state]);
  if (!gso) await offload('off');
  try {
    const text = await exec(netns, ['iperf3', ...argv, '--time', `${seconds}`, '--congestion', CONGESTION_CONTROL], 0);
    const { end } = JSON.parse(text) as {
      end: { sum_received: { bits_per_second: number }; sender_tcp_congestion: string };
    };
    if (end.sender_tcp_congestion !== CONGESTION_CONTROL)
      throw new Error(`${layout.name}: sent with ${end.sender_tcp_congestion}`);
    return end.sum_received.bits_per_second;
  } finally {
    if (!gso) await offload('on');
  }
}

/** TCP request/response of 14 bytes, microseconds of the full round trip. */
export async function exchange(layout: Layout, seconds: number): Promise<{ p50: number; p99: number }> {
  const argv = ['measure', layout.destination, PORT.pingpong, `${seconds}`];
  return JSON.parse(await exec(layout.source.netns, [`${BUILD}/pingpong`, ...argv], 0)) as { p50: number; p99: number };
}
