/**
 * A real charon in a network namespace of its own, with the appliance's strongswan.conf except for the socket and the log.
 * Several run side by side; each ends only what it started.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { connectWhenReady, type ViciClient } from '../../vpn/vici/io/client.ts';

const BINARY = '/usr/sbin/charon-systemd';
export const CONF = path.resolve(import.meta.dirname, '../../image/charon/strongswan.conf');

/** Why charon cannot run here, or undefined. */
export function charonMissing(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  return fs.existsSync(BINARY) ? undefined : `no ${BINARY}`;
}

export const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

export class Charon {
  readonly netns: string;
  readonly dir: string;
  readonly socket: string;
  readonly #ownsNetns: boolean;
  #process: ChildProcess | undefined;

  /** `netns` given = that namespace, which must exist; otherwise one is made. `edit` changes the configuration. */
  constructor({ netns, edit = (conf) => conf }: { netns?: string; edit?: (conf: string) => string } = {}) {
    this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'hnv-vici-'));
    this.socket = path.join(this.dir, 'charon.vici');
    this.#ownsNetns = netns === undefined;
    this.netns = netns ?? path.basename(this.dir);
    const conf = fs
      .readFileSync(CONF, 'utf8')
      .replace('unix:///run/hnv-charon/charon.vici', `unix://${this.socket}`)
      .replace(
        'charon {\n',
        `charon {\n  filelog { log { path = ${this.logFile}\n default = 2\n flush_line = yes } }\n  user =\n  group =\n`,
      );
    fs.writeFileSync(path.join(this.dir, 'strongswan.conf'), edit(conf));
    if (this.#ownsNetns) {
      ip('netns', 'add', this.netns);
      ip('-n', this.netns, 'link', 'set', 'lo', 'up');
    }
  }

  get logFile(): string {
    return path.join(this.dir, 'charon.log');
  }
  log(): string {
    return fs.existsSync(this.logFile) ? fs.readFileSync(this.logFile, 'utf8') : '';
  }

  start(): void {
    this.#process = spawn('ip', ['netns', 'exec', this.netns, BINARY], {
      env: { ...process.env, STRONGSWAN_CONF: path.join(this.dir, 'strongswan.conf') },
      stdio: 'ignore',
    });
  }

  connect(): Promise<ViciClient> {
    return connectWhenReady(this.socket, 60_000);
  }

  /** `ip netns exec` becomes charon, so the signal reaches charon itself. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const p = this.#process;
    this.#process = undefined;
    if (!p || p.exitCode !== null || p.signalCode !== null) return;
    const gone = new Promise((resolve) => p.once('exit', resolve));
    p.kill(signal);
    await gone;
  }

  async remove(): Promise<void> {
    await this.end('SIGKILL');
    if (this.#ownsNetns) ip('netns', 'del', this.netns);
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Polls until `condition` holds; throws after `ms`, with what `state` says then. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  state: () => unknown = () => '',
  ms = 60_000,
): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${ms} ms: ${what} ${JSON.stringify(state())}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
