/** Commands in the benchmark's network namespaces, and the elements every layout is built from. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** CPU 0 generates and dials, CPU 1 forwards and answers. */
export type Cpu = 0 | 1;

const enter = (netns: string, argv: readonly string[], cpu?: Cpu): string[] => [
  `--net=${fileOf(netns)}`,
  ...(cpu === undefined ? [] : ['taskset', '--cpu-list', `${cpu}`]),
  ...argv,
];

/** Runs a command in a namespace to its end and returns what it printed. Throws with its error text when it fails. */
export async function exec(netns: string, argv: readonly string[], cpu?: Cpu): Promise<string> {
  try {
    return (await run('nsenter', enter(netns, argv, cpu), { maxBuffer: 1 << 24 })).stdout;
  } catch (e) {
    const { stderr, stdout, message } = e as { stderr?: string; stdout?: string; message: string };
    throw new Error(`${netns}: ${argv.join(' ')}: ${stderr?.trim() || stdout?.trim() || message}`);
  }
}

/** A namespace's file, for programs that enter it themselves. */
export const fileOf = (netns: string): string => `/run/netns/${netns}`;

/** Runs a command of the benchmark itself to its end and returns what it printed. */
export const local = async (program: string, argv: readonly string[]): Promise<string> =>
  (await run(program, argv, { maxBuffer: 1 << 24 })).stdout;

/** Starts a process that lives as long as the benchmark. When it ends earlier, `failed` is told why. */
export function start(netns: string, argv: readonly string[], failed: (why: Error) => void, cpu?: Cpu): ChildProcess {
  const child = spawn('nsenter', enter(netns, argv, cpu), { stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    text = (text + part).slice(-2000);
  });
  child.on('error', failed);
  child.on('exit', (code, signal) => failed(new Error(`${netns}: ${argv[0]} ended (${code ?? signal}): ${text}`)));
  return child;
}

/** Feeds lines to one `ip -batch` or `bridge -batch` inside a namespace. */
export async function batch(program: 'ip' | 'bridge', netns: string, ...lines: readonly string[]): Promise<void> {
  await exec(netns, ['sh', '-c', `${program} -batch - <<'EOF'\n${lines.join('\n')}\nEOF`]);
}

export const ip = (netns: string, ...lines: readonly string[]): Promise<void> => batch('ip', netns, ...lines);

/** A namespace without IPv6 and without reverse-path filter, so that no layout pays for what the others do not have. */
export async function addNetns(netns: string, options: { readonly forwarding: boolean }): Promise<void> {
  await run('ip', ['netns', 'add', netns]);
  await quiet(netns, options);
}

/** The settings of addNetns for a namespace that someone else has made. */
export async function quiet(netns: string, { forwarding }: { readonly forwarding: boolean }): Promise<void> {
  const off = ['all', 'default'].flatMap((scope) => [
    `net.ipv6.conf.${scope}.disable_ipv6=1`,
    `net.ipv4.conf.${scope}.rp_filter=0`,
    `net.ipv4.conf.${scope}.send_redirects=0`,
  ]);
  await exec(netns, ['sysctl', '-q', '-w', `net.ipv4.ip_forward=${forwarding ? 1 : 0}`, ...off]);
  await ip(netns, 'link set lo up');
}

/** One end of a veth pair. */
export interface End {
  readonly netns: string;
  readonly device: string;
  readonly mac: string;
}

/** A veth pair between two namespaces, both ends up. */
export async function wire(a: End, b: End, mtu: number): Promise<void> {
  const end = (e: End) => ['name', e.device, 'netns', e.netns, 'address', e.mac, 'mtu', `${mtu}`];
  await run('ip', ['link', 'add', ...end(a), 'type', 'veth', 'peer', ...end(b)]);
  for (const e of [a, b]) await ip(e.netns, `link set dev ${e.device} up`);
}

/** Receive packet steering: from this device on, everything runs on `cpu`. */
export async function steer({ netns, device }: End, cpu: Cpu): Promise<void> {
  const file = `/sys/class/net/${device}/queues/rx-0/rps_cpus`;
  await run('ip', ['netns', 'exec', netns, 'sh', '-c', `echo ${1 << cpu} > ${file}`]);
}
