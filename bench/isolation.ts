/**
 * Runs a benchmark in mount, network and process namespaces of its own: names of namespaces and pinned eBPF objects cannot
 * meet anyone else's, and the kernel removes all of it with the last process, however the benchmark ends (SIGKILL included).
 */
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';

const INSIDE = 'HNV_BENCH_ISOLATED';

/**
 * Calls `before` outside, where the machine's network is, then starts this program again inside the namespaces, where `main` is
 * called. Exits by what `main` returns.
 */
export async function isolated(before: () => void, main: () => Promise<number>): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('benchmarks make network namespaces: run as root');
  if (process.env[INSIDE]) {
    execFileSync('mount', ['-t', 'tmpfs', 'netns', '/run/netns']);
    execFileSync('mount', ['-t', 'bpf', 'bpf', '/sys/fs/bpf']);
    process.exit(await main());
  }
  before();
  fs.mkdirSync('/run/netns', { recursive: true });
  const unshare = ['unshare', '--mount', '--net', '--pid', '--fork', '--mount-proc', '--kill-child=SIGKILL'];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...unshare, process.execPath, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, [INSIDE]: '1' },
  });
  let ended: NodeJS.Signals | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      ended = signal;
      child.kill('SIGKILL');
    });
  await new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      const by = ended ?? signal;
      process.exitCode = by ? 128 + os.constants.signals[by] : (code ?? 1);
      resolve();
    });
  });
}
