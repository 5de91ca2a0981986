/**
 * Client of the QEMU guest agent (JSON lines over the host's end of a virtio serial port; QEMU's docs/interop/qemu-ga). The port
 * serves one client at a time and others wait, so a connection is kept only while there is something to ask: several programs
 * of the lab can use the same guest.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** The agent's own refusal (`desc` of its error object). */
export class AgentError extends Error {}

export interface ExecStatus {
  readonly exited: boolean;
  readonly exitcode?: number;
  readonly signal?: number;
  readonly 'out-data'?: string;
  readonly 'err-data'?: string;
}

const IDLE_MS = 100;
/** An agent that is there answers in milliseconds; in an emulated machine under load it may need this long. */
const SYNC_MS = 15_000;

export class Agent {
  readonly #path: string;
  #socket: Socket | undefined;
  #received = '';
  #wake: (() => void) | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** One command and its `return` value. Rejects with AgentError when the agent refuses, with Error after `timeoutMs`. */
  call<T>(execute: string, args: Readonly<Record<string, unknown>> = {}, timeoutMs = 20_000): Promise<T> {
    clearTimeout(this.#idle);
    this.#waiting++;
    const answer = this.#queue.then(async () => {
      try {
        if (!this.#socket) await this.#open(performance.now() + Math.min(SYNC_MS, timeoutMs));
        return (await this.#exchange(execute, args, performance.now() + timeoutMs)) as T;
      } catch (error) {
        // After a refusal the stream is in step; after anything else a late answer could be taken for the next one's.
        if (!(error instanceof AgentError)) this.close();
        throw error;
      } finally {
        if (--this.#waiting === 0) this.#idle = setTimeout(() => this.close(), IDLE_MS);
      }
    });
    this.#queue = answer.catch(() => undefined);
    return answer;
  }

  close(): void {
    clearTimeout(this.#idle);
    this.#socket?.destroy();
    this.#socket = undefined;
    this.#received = '';
  }

  async #open(deadline: number): Promise<void> {
    const socket = connect(this.#path);
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    this.#socket = socket;
    this.#received = '';
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#received += text;
      this.#wake?.();
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = undefined;
      this.#wake?.();
    });
    // 0xff makes the agent drop a half-read command; its answer begins with 0xff, before which everything is an older one's.
    const id = Math.floor(Math.random() * 2 ** 31);
    socket.write(Buffer.concat([Buffer.of(0xff), Buffer.from(request('guest-sync-delimited', { id }))]));
    while (true) {
      const line = await this.#line(deadline);
      const mark = line.lastIndexOf('\xff');
      if (mark >= 0 && JSON.parse(line.slice(mark + 1)).return === id) return;
    }
  }

  async #exchange(execute: string, args: Readonly<Record<string, unknown>>, deadline: number): Promise<unknown> {
    this.#socket?.write(request(execute, args));
    const answer = JSON.parse(Buffer.from(await this.#line(deadline), 'latin1').toString());
    if (answer.error) throw new AgentError(`${execute}: ${answer.error.desc}`);
    return answer.return;
  }

  async #line(deadline: number): Promise<string> {
    while (true) {
      const end = this.#received.indexOf('\n');
      if (end >= 0) {
        const line = this.#received.slice(0, end);
        this.#received = this.#received.slice(end + 1);
        return line;
      }
      if (!this.#socket) throw new Error('the guest agent closed its port');
      const left = deadline - performance.now();
      if (left <= 0) throw new Error('the guest agent does not answer');
      const stop = new AbortController();
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await Promise.race([woken, delay(left, undefined, { signal: stop.signal }).catch(() => undefined)]);
      stop.abort();
    }
  }
}

const request = (execute: string, args: Readonly<Record<string, unknown>>): string =>
  `${JSON.stringify({ execute, arguments: args })}\n`;
