/**
 * A virtual machine of the lab: start, run commands in it, move files, watch a byte stream, stop. Commands go through the QEMU
 * guest agent, so a guest needs no address, no password and no network for it.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, type ExecStatus } from './agent.ts';
import { type GuestSpec, qemuArguments, runFiles, STREAMS } from './qemu.ts';
import { GuestStream, openShell } from './stream.ts';

export type { GuestSpec, Nic } from './qemu.ts';
export type { GuestStream } from './stream.ts';

export interface ExecOptions {
  readonly stdin?: string | Uint8Array;
  readonly timeoutMs?: number; // default 60 s; the command is killed then
  readonly env?: readonly string[]; // NAME=value
}

export interface ExecResult {
  readonly code: number; // 128 + signal number when a signal ended it
  readonly stdout: string;
  readonly stderr: string;
}

const text = (base64: string | undefined): string => Buffer.from(base64 ?? '', 'base64').toString();

/** A file is read in parts of this size; the agent refuses more than 48 MiB. */
const READ_BYTES = 4 << 20;

/** UNIX socket paths end at 107 bytes (unix(7)). */
const SOCKET_PATH_MAX = 107;

export class Guest {
  readonly name: string;
  readonly directory: string;
  readonly #agent: Agent;
  readonly #spec: GuestSpec | undefined;
  #died: string | undefined;

  constructor(where: GuestSpec | { readonly name: string; readonly directory: string }) {
    this.name = where.name;
    this.directory = where.directory;
    this.#spec = 'disk' in where ? where : undefined;
    this.#agent = new Agent(runFiles(where.directory).agent);
  }

  /** A guest that another process started. */
  static attach = (name: string, directory: string): Guest => new Guest({ name, directory });

  /** Process id of the guest's QEMU, when it runs. Only a process that names our pid file on its command line counts. */
  static pidOf(directory: string): number | undefined {
    const file = runFiles(directory).pid;
    const pid = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
    const commandLine = pid > 0 && existsSync(`/proc/${pid}`) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : '';
    return commandLine.split('\0').includes(file) ? pid : undefined;
  }

  /** Starts QEMU, after ending one that an earlier, crashed lab left behind. Resolves when QEMU has made its sockets. */
  async launch(): Promise<void> {
    if (!this.#spec) throw new Error(`${this.name} was not made to be started`);
    const files = runFiles(this.directory);
    if (Buffer.byteLength(files.stream(0)) > SOCKET_PATH_MAX)
      throw new Error(`the path of this directory is too long for a UNIX socket: ${this.directory}`);
    mkdirSync(this.directory, { recursive: true });
    await this.stop();
    const log = openSync(files.log, 'w');
    // A process group of its own: Ctrl-C in the terminal is the lab's to handle.
    const qemu = spawn('qemu-system-x86_64', qemuArguments(this.#spec), {
      stdio: ['ignore', log, log],
      detached: true,
    });
    this.#died = undefined;
    qemu.once('error', (error) => {
      this.#died = String(error);
    });
    qemu.once('exit', (code, signal) => {
      this.#died = `QEMU ended (${code ?? signal}): ${readFileSync(files.log, 'utf8').trim()}`;
    });
    qemu.unref();
    const deadline = performance.now() + 10_000;
    while (!existsSync(files.pid) || !existsSync(files.agent)) {
      if (this.#died !== undefined) throw new Error(`${this.name}: ${this.#died}`);
      if (performance.now() > deadline) throw new Error(`${this.name}: QEMU does not start, see ${files.log}`);
      await delay(20);
    }
  }

  /** Resolves with the milliseconds it took once the agent in the guest answers; `progress` gets the console's last line. */
  async ready(deadlineMs = 180_000, progress: (line: string) => void = () => {}): Promise<number> {
    const began = performance.now();
    while (true) {
      try {
        await this.#agent.call('guest-ping', {}, 2000);
        return performance.now() - began;
      } catch (error) {
        if (this.#died !== undefined) throw new Error(`${this.name}: ${this.#died}`);
        if (performance.now() - began > deadlineMs)
          throw new Error(`${this.name}: ${(error as Error).message}; console:\n${this.console().slice(-2000)}`);
        progress(this.console().trimEnd().split('\n').at(-1) ?? '');
        await delay(100);
      }
    }
  }

  async start(deadlineMs?: number, progress?: (line: string) => void): Promise<number> {
    await this.launch();
    return this.ready(deadlineMs, progress);
  }

  /** What the guest has written to its serial console so far. */
  console(): string {
    const file = runFiles(this.directory).console;
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** Runs a program in the guest (PATH is searched, no shell) and waits for its end. Output up to 16 MiB each. */
  async exec(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    const pid = await this.spawn(argv, options);
    const deadline = performance.now() + (options.timeoutMs ?? 60_000);
    const status = await this.exited(pid, deadline);
    if (status) return status;
    await this.kill(pid, 'KILL');
    await this.exited(pid, performance.now() + 5000);
    throw new Error(`${this.name}: no end within ${options.timeoutMs ?? 60_000} ms: ${argv.join(' ')}`);
  }

  /** As exec, but any exit code other than 0 is an error; resolves with standard output. */
  async output(argv: readonly string[], options: ExecOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.exec(argv, options);
    if (code === 0) return stdout;
    throw new Error(`${this.name}: ${argv.join(' ')} failed (${code}): ${(stderr || stdout).trim()}`);
  }

  /** Starts a program and returns its process id in the guest; `exited` must be asked for its end. */
  async spawn(argv: readonly string[], options: Omit<ExecOptions, 'timeoutMs'> = {}): Promise<number> {
    const input = options.stdin === undefined ? {} : { 'input-data': Buffer.from(options.stdin).toString('base64') };
    const env = options.env ? { env: options.env } : {};
    const args = { path: 'setsid', arg: argv, 'capture-output': true, ...input, ...env };
    return (await this.#agent.call<{ pid: number }>('guest-exec', args)).pid;
  }

  /** The result of a program that was spawned, or undefined at the deadline (performance.now()). To be asked once. */
  async exited(pid: number, deadline: number): Promise<ExecResult | undefined> {
    // Each question costs the guest a few milliseconds of its emulated processor.
    for (let pause = 40; ; pause = Math.min(pause * 1.3, 200)) {
      const s = await this.#agent.call<ExecStatus>('guest-exec-status', { pid });
      if (s.exited) {
        const code = s.signal === undefined ? (s.exitcode ?? 0) : 128 + s.signal;
        return { code, stdout: text(s['out-data']), stderr: text(s['err-data']) };
      }
      if (performance.now() > deadline) return undefined;
      await delay(pause);
    }
  }

  /** Signals a spawned program and its children: each spawned program leads a session of its own. */
  async kill(pid: number, signal: 'INT' | 'TERM' | 'KILL'): Promise<void> {
    const killer = await this.spawn(['/bin/kill', `-${signal}`, '--', `-${pid}`]);
    await this.exited(killer, performance.now() + 10_000);
  }

  async write(path: string, data: string | Uint8Array, mode?: number): Promise<void> {
    const handle = await this.#agent.call<number>('guest-file-open', { path, mode: 'w' });
    try {
      if (mode !== undefined) await this.output(['chmod', mode.toString(8), path]);
      const bytes = Buffer.from(data);
      for (let at = 0; at < bytes.length; ) {
        const part = bytes.subarray(at, at + (1 << 18)).toString('base64');
        at += (await this.#agent.call<{ count: number }>('guest-file-write', { handle, 'buf-b64': part })).count;
      }
    } finally {
      await this.#agent.call('guest-file-close', { handle });
    }
  }

  async read(path: string): Promise<Buffer> {
    const handle = await this.#agent.call<number>('guest-file-open', { path, mode: 'r' });
    const parts: Buffer[] = [];
    try {
      while (true) {
        const part = await this.#agent.call<{ 'buf-b64': string; eof: boolean }>('guest-file-read', {
          handle,
          count: READ_BYTES,
        });
        parts.push(Buffer.from(part['buf-b64'], 'base64'));
        if (part.eof) return Buffer.concat(parts);
      }
    } finally {
      await this.#agent.call('guest-file-close', { handle });
    }
  }

  /** Runs a program whose standard output arrives as it is written (for instance `tcpdump -U -w -`). */
  stream(argv: readonly string[]): Promise<GuestStream> {
    return GuestStream.open(this, argv, STREAMS);
  }

  /** Joins this process's terminal to a program in the guest, on a terminal of its own. Resolves with its exit code. */
  shell(argv: readonly string[] = ['bash', '-l']): Promise<number> {
    return openShell(this, argv, STREAMS);
  }

  /** Ends QEMU and removes its sockets; logs stay. Does nothing when it does not run. */
  async stop(): Promise<void> {
    this.#agent.close();
    const files = runFiles(this.directory);
    for (const [signal, patience] of [
      ['SIGTERM', 5000],
      ['SIGKILL', 5000],
    ] as const) {
      const pid = Guest.pidOf(this.directory);
      if (pid === undefined) break;
      process.kill(pid, signal);
      for (const until = performance.now() + patience; Guest.pidOf(this.directory) && performance.now() < until; )
        await delay(20);
    }
    if (Guest.pidOf(this.directory)) throw new Error(`${this.name}: QEMU does not end`);
    for (const file of [files.agent, files.pid]) rmSync(file, { force: true });
    for (let i = 0; i < STREAMS; i++) rmSync(files.stream(i), { force: true });
  }
}
