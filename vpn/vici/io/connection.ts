/** A vici session on a UNIX stream socket. Every call has a time limit; the end of the socket is `closed`, never silence. */
import { EventEmitter } from 'node:events';
import net from 'node:net';
import type { Message } from '../codec.ts';
import { type Job, type Outcome, type Received, ViciSession } from '../session.ts';

export type ViciErrorCode =
  | 'CLOSED' // the socket ended: charon is gone, or close() was called
  | 'TIMEOUT' // no answer in time; without sequence numbers the connection is lost with it
  | 'PROTOCOL' // charon sent what vici does not allow, or the request cannot be encoded
  | 'UNKNOWN' // no such command or event in this charon
  | 'REFUSED'; // charon answered success=no

/** `message` never holds what was sent, so no secret of a request can leak through it. */
export class ViciError extends Error {
  readonly code: ViciErrorCode;
  /** What a streaming command said before it failed. */
  readonly items: readonly Message[];

  constructor(code: ViciErrorCode, text: string, items: readonly Message[] = []) {
    super(text);
    this.name = 'ViciError';
    this.code = code;
    this.items = items;
  }
}

interface Waiting {
  readonly resolve: (o: Outcome) => void;
  readonly reject: (e: ViciError) => void;
  readonly timer: NodeJS.Timeout;
}

export class ViciConnection extends EventEmitter<{ event: [name: string, message: Message] }> {
  readonly #socket: net.Socket;
  readonly #session = new ViciSession();
  readonly #waiting = new Map<number, Waiting>();
  #ended: ViciError | undefined;
  /** Resolves with the reason when the connection is over. */
  readonly closed: Promise<ViciError>;
  #close: (reason: ViciError) => void = () => undefined;

  private constructor(socket: net.Socket) {
    super();
    this.#socket = socket;
    this.closed = new Promise((resolve) => {
      this.#close = resolve;
    });
    socket.on('data', (bytes) => this.#receive(bytes));
    socket.on('error', (e) => this.#end(new ViciError('CLOSED', e.message)));
    socket.on('close', () => this.#end(new ViciError('CLOSED', 'the vici socket was closed')));
  }

  /** Throws ViciError CLOSED when nobody listens (also when only the socket's file is there), TIMEOUT when nobody accepts. */
  static connect(path: string, timeoutMs: number): Promise<ViciConnection> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ path });
      const timer = setTimeout(() => {
        socket.destroy();
        reject(new ViciError('TIMEOUT', `no vici connection after ${timeoutMs} ms`));
      }, timeoutMs);
      const failed = (e: Error) => {
        clearTimeout(timer);
        reject(new ViciError('CLOSED', e.message));
      };
      socket.once('error', failed);
      socket.once('connect', () => {
        clearTimeout(timer);
        socket.off('error', failed);
        resolve(new ViciConnection(socket));
      });
    });
  }

  /** Queues a job; the time limit covers the wait in the queue too. */
  run(job: Job, timeoutMs: number): Promise<Outcome> {
    if (this.#ended) return Promise.reject(this.#ended);
    const submitted = this.#session.submit(job);
    if (!submitted.ok) return Promise.reject(new ViciError('PROTOCOL', `cannot be encoded: ${submitted.error}`));
    const { id, write } = submitted.value;
    return new Promise((resolve, reject) => {
      const what = 'command' in job ? job.command : `${job.kind} ${job.event}`;
      const timer = setTimeout(
        () => this.#end(new ViciError('TIMEOUT', `${what}: no answer after ${timeoutMs} ms`)),
        timeoutMs,
      );
      this.#waiting.set(id, { resolve, reject, timer });
      for (const bytes of write) this.#socket.write(bytes);
    });
  }

  close(): void {
    this.#end(new ViciError('CLOSED', 'closed by us'));
  }

  #receive(bytes: Uint8Array): void {
    if (this.#ended) return;
    const r = this.#session.receive(bytes);
    if (!r.ok) {
      const { error } = r;
      const text = error.kind === 'codec' ? `bad packet: ${error.error}` : `unexpected packet: ${error.packet}`;
      this.#end(new ViciError('PROTOCOL', text));
    } else this.#deliver(r.value);
  }

  #deliver({ write, finished, events }: Received): void {
    for (const b of write) this.#socket.write(b);
    for (const { name, message } of events) this.emit('event', name, message);
    for (const { id, outcome } of finished) {
      const w = this.#waiting.get(id);
      this.#waiting.delete(id);
      clearTimeout(w?.timer);
      w?.resolve(outcome);
    }
  }

  #end(reason: ViciError): void {
    if (this.#ended) return;
    this.#ended = reason;
    this.#socket.destroy();
    for (const w of this.#waiting.values()) {
      clearTimeout(w.timer);
      w.reject(reason);
    }
    this.#waiting.clear();
    this.#close(reason);
  }
}
