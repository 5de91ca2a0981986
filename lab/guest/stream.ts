/**
 * Byte streams out of and into a guest over its spare virtio serial ports: captures and interactive shells. A port is free when
 * its lock file is; the lock holds the process id of the user, so that one left by a crash does not count.
 */
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { PassThrough, type Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { ExecResult, Guest } from './guest.ts';
import { runFiles, streamPort } from './qemu.ts';

interface Port {
  readonly device: string; // in the guest
  readonly socket: Socket;
  release(): void;
}

/** What is on its way from the guest when its program has ended arrives within this time. */
const DRAIN_MS = 200;

function lock(file: string): boolean {
  if (existsSync(file) && !existsSync(`/proc/${readFileSync(file, 'utf8').trim()}`)) rmSync(file, { force: true });
  try {
    const fd = openSync(file, 'wx');
    writeSync(fd, String(process.pid));
    closeSync(fd);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function openPort(guest: Guest, ports: number): Promise<Port> {
  for (let i = 0; i < ports; i++) {
    const path = runFiles(guest.directory).stream(i);
    const lockFile = `${path}.lock`;
    if (!lock(lockFile)) continue;
    const release = (): void => rmSync(lockFile, { force: true });
    try {
      const socket = connect(path);
      await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
      return { device: `/dev/virtio-ports/${streamPort(i)}`, socket, release };
    } catch (error) {
      release();
      throw error;
    }
  }
  throw new Error(`${guest.name}: all ${ports} streams are in use`);
}

const EVER = Number.POSITIVE_INFINITY;

export class GuestStream {
  readonly stdout: Readable;
  /** Resolves when the program has ended and everything it wrote has been handed over; `stdout` of it is empty. */
  readonly done: Promise<ExecResult>;
  readonly #guest: Guest;
  readonly #pid: number;

  private constructor(guest: Guest, port: Port, pid: number) {
    this.#guest = guest;
    this.#pid = pid;
    const out = new PassThrough();
    this.stdout = out;
    port.socket.on('error', () => port.socket.destroy());
    port.socket.pipe(out, { end: false });
    this.done = this.#end(port).finally(() => out.end());
  }

  static async open(guest: Guest, argv: readonly string[], ports: number): Promise<GuestStream> {
    const port = await openPort(guest, ports);
    try {
      // A port can be opened once only, hence one descriptor for reading and writing.
      const script = 'port=$1; shift; exec "$@" 1<>"$port"';
      return new GuestStream(guest, port, await guest.spawn(['sh', '-c', script, 'sh', port.device, ...argv]));
    } catch (error) {
      port.socket.destroy();
      port.release();
      throw error;
    }
  }

  /** Asks the program to end (SIGTERM) and waits until it has. */
  async stop(): Promise<ExecResult> {
    await this.#guest.kill(this.#pid, 'TERM');
    return this.done;
  }

  async #end(port: Port): Promise<ExecResult> {
    try {
      const result = await this.#guest.exited(this.#pid, EVER);
      for (let seen = -1; seen !== port.socket.bytesRead; await delay(DRAIN_MS)) seen = port.socket.bytesRead;
      return result!;
    } finally {
      port.socket.destroy();
      port.release();
    }
  }
}

/** Both terminals must be free for it: raw mode here, a pseudo-terminal of the same size there. */
export async function openShell(guest: Guest, argv: readonly string[], ports: number): Promise<number> {
  const port = await openPort(guest, ports);
  const { stdin, stdout } = process;
  const size = `stty rows ${stdout.rows ?? 24} cols ${stdout.columns ?? 80}`;
  const command = `${size} 2>/dev/null; exec ${argv.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')}`;
  try {
    const script = 'exec script -qec "$2" /dev/null 0<>"$1" 1>&0 2>&0';
    const env = [`TERM=${process.env.TERM ?? 'linux'}`, 'HOME=/root', 'SHELL=/bin/bash'];
    env.push('PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin');
    const pid = await guest.spawn(['sh', '-c', script, 'sh', port.device, command], { env });
    stdin.setRawMode?.(true);
    port.socket.on('error', () => port.socket.destroy());
    port.socket.pipe(stdout, { end: false });
    stdin.pipe(port.socket, { end: false });
    const result = await guest.exited(pid, EVER);
    await delay(DRAIN_MS);
    return result!.code;
  } finally {
    stdin.unpipe(port.socket);
    stdin.setRawMode?.(false);
    stdin.pause();
    port.socket.destroy();
    port.release();
  }
}
