/**
 * A small world of network namespaces for tests and benchmarks: namespaces, veth wires, processes and captures, all of which
 * `close()` removes. Names bear the process id, so runs side by side do not meet.
 *
 * Commands enter a namespace through nsenter and not `ip netns exec`, which would hide /sys/fs/bpf behind a new mount.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Background {
  readonly pid: number;
  readonly process: ChildProcess;
  /** What it has written so far, both streams. */
  output(): string;
  /** Ends it (default SIGTERM) and waits until it is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface Capture {
  readonly file: string;
  /** Stops the capture and returns the path of the complete pcap file. */
  stop(): Promise<string>;
}

/**
 * Polls until the condition gives something truthy; throws what the last try threw, or a time-out naming the condition. The
 * time limit is for what never comes: on a busy machine what does come may take long.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  ms = 30_000,
  what = String(condition),
): Promise<NonNullable<Awaited<T>>> {
  const end = Date.now() + ms;
  for (;;) {
    let failure: unknown;
    try {
      const value = await condition();
      if (value) return value as NonNullable<Awaited<T>>;
    } catch (e) {
      failure = e;
    }
    if (Date.now() > end) throw failure ?? new Error(`not within ${ms} ms: ${what}`);
    await delay(20);
  }
}

/** Why a namespace test cannot run here, or undefined. */
export const cannotMakeNamespaces = (): string | undefined =>
  process.getuid?.() === 0 ? undefined : 'needs root for network namespaces';

/** Probes of neighbours that are known would be counted among what a test sends. */
const REACHABLE_MS = 3_600_000;

let worlds = 0;

export class World {
  /** Unique on the machine: prefix of every namespace. */
  readonly prefix = `t${process.pid.toString(36)}${(worlds++).toString(36)}`;
  /** Scratch directory, removed by close(). */
  readonly dir = fs.mkdtempSync(path.join(os.tmpdir(), `hnv-${this.prefix}-`));
  readonly #namespaces: string[] = [];
  readonly #running = new Set<Background>();
  readonly #onClose: (() => void | Promise<void>)[] = [];

  /** Makes a namespace with loopback up and IPv6 off; returns its full name. */
  ns(name: string): string {
    const full = `${this.prefix}-${name}`;
    this.#run(['ip', 'netns', 'add', full]);
    this.#namespaces.push(full);
    this.sh(
      full,
      'ip link set lo up; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6',
    );
    return full;
  }

  /** Path of a namespace made by ns(), for setns. */
  nsPath(ns: string): string {
    return `/run/netns/${ns}`;
  }

  /** A veth pair between two namespaces, both ends up; once known, a neighbour is not asked for again. */
  wire(
    nsA: string,
    ifA: string,
    nsB: string,
    ifB: string,
    options: { mtu?: number; macA?: string; macB?: string } = {},
  ): void {
    const address = (mac?: string) => (mac ? ['address', mac] : []);
    const mtu = ['mtu', String(options.mtu ?? 1500)];
    this.#run([
      ...['ip', '-n', nsA, 'link', 'add', ifA, ...address(options.macA), ...mtu, 'type', 'veth'],
      ...['peer', 'name', ifB, ...address(options.macB), ...mtu, 'netns', nsB],
    ]);
    for (const [ns, device] of [
      [nsA, ifA],
      [nsB, ifB],
    ] as const)
      this.sh(
        ns,
        `for f in 4 6; do echo ${REACHABLE_MS} > /proc/sys/net/ipv$f/neigh/${device}/base_reachable_time_ms; done
        ip link set ${device} up`,
      );
  }

  /** Runs a command in a namespace ('' = the test's own) to its end. Never throws on an exit code. */
  exec(ns: string, argv: readonly string[], options: { input?: string | Uint8Array; timeout?: number } = {}): Outcome {
    const [file, ...rest] = inside(ns, argv);
    const r = spawnSync(file!, rest, { input: options.input, timeout: options.timeout ?? 30_000, maxBuffer: 64 << 20 });
    if (r.error && r.status === null && r.signal === null) throw r.error;
    return { code: r.status ?? 128, stdout: r.stdout.toString(), stderr: r.stderr.toString() };
  }

  /** The same without blocking this process: needed when this process itself serves what the command talks to. */
  run(ns: string, argv: readonly string[], options: { timeout?: number } = {}): Promise<Outcome> {
    const [file, ...rest] = inside(ns, argv);
    return new Promise((resolve, reject) => {
      const child = spawn(file!, rest, { stdio: ['ignore', 'pipe', 'pipe'], timeout: options.timeout ?? 30_000 });
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', (b) => (stdout += b));
      child.stderr.on('data', (b) => (stderr += b));
      child.on('error', reject);
      child.on('close', (code) => resolve({ code: code ?? 128, stdout, stderr }));
    });
  }

  /** A shell script in a namespace; throws with its output when it fails. Returns stdout. */
  sh(ns: string, script: string): string {
    return this.#run(inside(ns, ['sh', '-ec', script]));
  }

  /** Starts a command that goes on until stop() or close(). */
  start(ns: string, argv: readonly string[], options: { env?: Record<string, string> } = {}): Background {
    const [file, ...rest] = inside(ns, argv);
    const child = spawn(file!, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...options.env } });
    let output = '';
    child.stdout.on('data', (b) => (output += b));
    child.stderr.on('data', (b) => (output += b));
    child.on('error', (e) => (output += String(e)));
    const gone = new Promise<void>((resolve) => child.on('close', () => resolve()));
    const background: Background = {
      pid: child.pid ?? -1,
      process: child,
      output: () => output,
      stop: async (signal = 'SIGTERM') => {
        if (child.exitCode === null && child.signalCode === null) child.kill(signal);
        const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
        await gone;
        clearTimeout(timer);
        this.#running.delete(background);
      },
    };
    this.#running.add(background);
    return background;
  }

  /** tcpdump to a pcap file; resolves once tcpdump listens. */
  async capture(ns: string, device: string, filter = ''): Promise<Capture> {
    const file = path.join(this.dir, `${ns}-${device}-${this.#running.size}.pcap`);
    const dump = this.start(
      ns,
      ['tcpdump', '-Z', 'root', '-U', '--immediate-mode', '-s', '0', '-i', device, '-w', file, filter].filter(Boolean),
    );
    await until(() => dump.output().includes('listening on'), undefined, `tcpdump on ${device}`);
    return {
      file,
      stop: async () => {
        const before = dump.output().length;
        await until(
          () => hasReadAll(dump, before),
          undefined,
          `tcpdump on ${device} has read what the kernel has for it`,
        );
        await dump.stop('SIGINT');
        return file;
      },
    };
  }

  /** Registers something that close() undoes before the namespaces go. */
  onClose(undo: () => void | Promise<void>): void {
    this.#onClose.push(undo);
  }

  /** Ends every process, undoes everything. Safe to call twice and after a failure half way. */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (const undo of this.#onClose.splice(0).reverse()) {
      try {
        await undo();
      } catch (e) {
        failures.push(e);
      }
    }
    await Promise.all([...this.#running].map((p) => p.stop()));
    for (const name of this.#namespaces.splice(0)) {
      const r = spawnSync('ip', ['netns', 'del', name]);
      if (r.status) failures.push(new Error(r.stderr.toString()));
    }
    fs.rmSync(this.dir, { recursive: true, force: true });
    if (failures.length) throw new AggregateError(failures, failures.map(String).join('\n'));
  }

  #run(argv: readonly string[]): string {
    const r = spawnSync(argv[0]!, argv.slice(1), { timeout: 30_000, maxBuffer: 64 << 20 });
    if (r.error) throw r.error;
    if (r.status !== 0) throw new Error(`${argv.join(' ')}: exit ${r.status}\n${r.stdout}${r.stderr}`);
    return r.stdout.toString();
  }
}

/** tcpdump answers SIGUSR1 with its counts; a SIGINT would leave what it has not read yet. */
function hasReadAll(dump: Background, since: number): boolean {
  const counts = /(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped/g;
  const [, captured, received, dropped] = [...dump.output().slice(since).matchAll(counts)].at(-1) ?? [];
  if (received !== undefined && Number(captured) + Number(dropped) >= Number(received)) return true;
  dump.process.kill('SIGUSR1');
  return false;
}

const inside = (ns: string, argv: readonly string[]): readonly string[] =>
  ns === '' ? argv : ['nsenter', `--net=/run/netns/${ns}`, '--', ...argv];
