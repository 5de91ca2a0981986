/**
 * The vici client: one connection for events, one for quick commands, one for each running dial, since `initiate` blocks its
 * connection until the tunnel stands or fails. Any of the first two ending ends the client; reconnecting is the caller's
 * policy.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Message, message, textOf } from '../codec.ts';
import type { Job } from '../session.ts';
import { ViciConnection, ViciError } from './connection.ts';

/** How long a quick command may take; a busy charon needs 25 ms for a load-conn. */
export const CALL_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 5_000;
const CONNECT_PAUSE_MS = 50;
/** Beyond charon's own time limit of a dial, so that its answer is heard. */
const DIAL_GRACE_MS = 3_000;

export interface Dial {
  readonly ike: string;
  readonly child: string;
  readonly timeoutMs: number;
}

export class ViciClient {
  readonly #path: string;
  readonly #events: ViciConnection;
  readonly #commands: ViciConnection;
  readonly #dials = new Set<ViciConnection>();
  /** Resolves with the reason when charon is lost or close() was called. */
  readonly closed: Promise<ViciError>;

  private constructor(path: string, events: ViciConnection, commands: ViciConnection) {
    this.#path = path;
    this.#events = events;
    this.#commands = commands;
    this.closed = Promise.race([events.closed, commands.closed]).then((reason) => {
      this.close();
      return reason;
    });
  }

  /** Throws ViciError when charon does not answer at once. */
  static async connect(path: string): Promise<ViciClient> {
    const events = await ViciConnection.connect(path, CONNECT_TIMEOUT_MS);
    try {
      return new ViciClient(path, events, await ViciConnection.connect(path, CONNECT_TIMEOUT_MS));
    } catch (e) {
      events.close();
      throw e;
    }
  }

  close(): void {
    for (const c of [this.#events, this.#commands, ...this.#dials]) c.close();
  }

  /** The response, whatever its `success`; throws ViciError REFUSED when that is `no`. */
  async call(command: string, m: Message = message(), timeoutMs = CALL_TIMEOUT_MS): Promise<Message> {
    return (await run(this.#commands, { kind: 'command', command, message: m }, timeoutMs)).response;
  }

  /** All that a streaming command said in `event`: `stream('list-sas', 'list-sa')`. */
  async stream(
    command: string,
    event: string,
    m: Message = message(),
    timeoutMs = CALL_TIMEOUT_MS,
  ): Promise<readonly Message[]> {
    return (await run(this.#commands, { kind: 'stream', command, event, message: m }, timeoutMs)).items;
  }

  /** Events arrive at the listeners from the moment this resolves; the listeners' order is the order of the wire. */
  async subscribe(names: readonly string[]): Promise<void> {
    for (const event of names) await run(this.#events, { kind: 'register', event }, CALL_TIMEOUT_MS);
  }

  on(listener: (name: string, m: Message) => void): void {
    this.#events.on('event', listener);
  }

  /**
   * Dials on a connection of its own; resolves when the tunnel stands. Throws ViciError REFUSED with charon's log of the dial
   * in `items`. When charon's time limit passed, the IKE_SA goes on trying: terminate it.
   */
  async initiate({ ike, child, timeoutMs }: Dial): Promise<void> {
    const connection = await ViciConnection.connect(this.#path, CONNECT_TIMEOUT_MS);
    this.#dials.add(connection);
    try {
      const m = message({ ike, child, timeout: String(timeoutMs), loglevel: '1' });
      await run(
        connection,
        { kind: 'stream', command: 'initiate', event: 'control-log', message: m },
        timeoutMs + DIAL_GRACE_MS,
      );
    } finally {
      this.#dials.delete(connection);
      connection.close();
    }
  }
}

async function run(
  connection: ViciConnection,
  job: Job,
  timeoutMs: number,
): Promise<{ response: Message; items: readonly Message[] }> {
  const outcome = await connection.run(job, timeoutMs);
  switch (outcome.kind) {
    case 'unknown-command':
      throw new ViciError('UNKNOWN', `charon does not know the command ${outcome.command}`);
    case 'unknown-event':
      throw new ViciError('UNKNOWN', `charon does not know the event ${outcome.event}`);
    case 'confirmed':
      return { response: message(), items: [] };
    case 'response': {
      const { message: response, items } = outcome;
      if (textOf(response, 'success') === 'no')
        throw new ViciError('REFUSED', textOf(response, 'errmsg') ?? 'refused without a reason', items);
      return { response, items };
    }
  }
}

/**
 * Waits until charon answers: for a connection that is accepted and used, since the socket's file outlives a crash.
 * `deadlineMs` from now; throws the last ViciError when it passes or `signal` says so.
 */
export async function connectWhenReady(path: string, deadlineMs: number, signal?: AbortSignal): Promise<ViciClient> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    try {
      const client = await ViciClient.connect(path);
      try {
        await client.call('version', message(), Math.max(1, deadline - Date.now()));
        return client;
      } catch (e) {
        client.close();
        throw e;
      }
    } catch (e) {
      if (!(e instanceof ViciError) || Date.now() >= deadline || signal?.aborted) throw e;
    }
    await sleep(CONNECT_PAUSE_MS, undefined, { signal });
  }
}
