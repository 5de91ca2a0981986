/**
 * Watches charon and keeps the S2S interfaces in the state they should have: holds the vici client, registers for events and
 * only then lists the SAs, lists again every 30 seconds and on any doubt, carries out what `s2s/tunnels.ts` decides, and
 * connects again after a crash. What is loaded into charon is the gateway's business (`charon-hand.ts`): it calls `expect`,
 * loads its connections and calls `setInterfaces`, on every change and after `charonBack`; only then is dialled.
 */
import { EventEmitter } from 'node:events';
import type { Address } from '../../lib/address.ts';
import { DialQueue } from '../s2s/dial-queue.ts';
import { dialFailure } from '../s2s/failure.ts';
import type { S2sEvent, S2sState } from '../s2s/machine.ts';
import { SA_EVENTS } from '../s2s/sas.ts';
import { type Decision, type TunnelCommand, Tunnels, type WatchedInterface } from '../s2s/tunnels.ts';
import { ViciClient } from '../vici/io/client.ts';
import { ViciError } from '../vici/io/connection.ts';
import { terminateConnection, terminateHalfOpen, terminateIke } from './terminate.ts';
import { systemTimers, type Timers } from './timers.ts';

export const RELIST_MS = 30_000;
/** Two exchanges, each given up after 8.1 s by the retransmission settings, and some for the computing. */
export const DIAL_TIMEOUT_MS = 20_000;
/** Every waiting `initiate` holds a thread of charon's pool (image/charon/strongswan.conf: 32). */
const MAX_DIALS = 8;
/**
 * How long tunnels count as connected after charon was lost: an ended vici connection is no ended tunnel, and the kernel keeps
 * the SAs of a crashed charon until the next one starts. Taking the routes away at once would be the only loss.
 */
export const GRACE_MS = 5_000;
const RECONNECT_MS = { first: 100, most: 5_000 };

export interface TunnelMonitorOptions {
  /** Path of charon's vici socket. */
  readonly path: string;
  readonly timers?: Timers;
  readonly relistMs?: number;
  readonly dialTimeoutMs?: number;
  readonly graceMs?: number;
}

interface MonitorEvents {
  /** Names of S2S interfaces whose state changed; `states()` has the new ones. */
  changed: [names: readonly string[]];
  /** The SAs are listed and `client()` works; nothing is dialled until `setInterfaces` is called. Also the first time. */
  charonBack: [];
  /** `client()` works no more. Connected interfaces stay so for GRACE_MS. */
  charonLost: [reason: string];
  /** Something to log: an SA terminated and why, a command that failed. */
  notice: [text: string];
}

export class TunnelMonitor extends EventEmitter<MonitorEvents> {
  readonly #path: string;
  readonly #timers: Timers;
  readonly #relistMs: number;
  readonly #dialTimeoutMs: number;
  readonly #graceMs: number;
  readonly #tunnels = new Tunnels();
  readonly #retries = new Map<string, () => void>();
  readonly #resyncs = new Set<() => void>();
  readonly #queue = new DialQueue();
  #dials = 0;
  #client: ViciClient | undefined;
  #listing = false;
  #listAgain = false;
  #stopped = false;
  #wake: () => void = () => undefined;
  #endGrace: () => void = () => undefined;
  #running: Promise<void> | undefined;

  constructor(o: TunnelMonitorOptions) {
    super();
    this.#path = o.path;
    this.#timers = o.timers ?? systemTimers;
    this.#relistMs = o.relistMs ?? RELIST_MS;
    this.#dialTimeoutMs = o.dialTimeoutMs ?? DIAL_TIMEOUT_MS;
    this.#graceMs = o.graceMs ?? GRACE_MS;
  }

  /** Begins to connect, for as long as it takes; `charonBack` tells when it is done. */
  start(): void {
    this.#running ??= this.#keepConnected();
  }

  /** Leaves charon and its tunnels as they are. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    this.#client?.close();
    await this.#running;
    this.#endGrace();
    for (const cancel of this.#retries.values()) cancel();
    this.#retries.clear();
  }

  /** For the charon hand; throws ViciError CLOSED while charon is lost. */
  client(): ViciClient {
    if (!this.#client) throw new ViciError('CLOSED', 'charon does not answer');
    return this.#client;
  }

  states(): ReadonlyMap<string, S2sState> {
    return this.#tunnels.states();
  }

  /**
   * The interfaces whose connections are about to be loaded. From here on their SAs are not terminated as unknown: a peer may
   * dial in as soon as its connection is loaded. `setInterfaces` or another `expect` must follow, with what is then in force.
   */
  expect(interfaces: readonly WatchedInterface[]): void {
    this.#tunnels.expect(interfaces);
  }

  /** All interfaces of the configuration, called on every apply after the connection ops were carried out. */
  setInterfaces(interfaces: readonly WatchedInterface[]): void {
    this.#carryOut(this.#tunnels.setInterfaces(interfaces, this.#timers.now()));
  }

  /** The addresses that can be dialled from at this moment; until the first call every address counts as one. */
  setLocalAddresses(addresses: ReadonlySet<Address>): void {
    this.#carryOut(this.#tunnels.setLocalAddresses(addresses, this.#timers.now()));
  }

  /** Dials an interface that is not persistent, or does not wait for the retry timer of one that is. */
  dial(name: string): void {
    this.#tell(name, { type: 'dial' });
  }

  async #keepConnected(): Promise<void> {
    let pause = RECONNECT_MS.first;
    while (!this.#stopped) {
      try {
        await this.#watch(await ViciClient.connect(this.#path));
        pause = RECONNECT_MS.first;
      } catch (e) {
        if (!(e instanceof ViciError)) throw e;
        pause = Math.min(pause * 2, RECONNECT_MS.most);
      }
      if (!this.#stopped) await this.#pause(pause);
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#timers.after(ms, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }

  /** From the connection to its end. Throws ViciError when not even the first list-sas succeeded. */
  async #watch(client: ViciClient): Promise<void> {
    if (this.#stopped) return client.close();
    this.#client = client;
    try {
      client.on((name, m) => this.#carryOut(this.#tunnels.saEvent(name, m, this.#timers.now())));
      await client.subscribe(SA_EVENTS);
      await this.#list(client);
    } catch (e) {
      client.close();
      this.#client = undefined;
      throw e;
    }
    this.#endGrace();
    this.#relistLater();
    this.emit('charonBack');
    const reason = await client.closed;
    this.#client = undefined;
    for (const cancel of this.#resyncs) cancel();
    this.#resyncs.clear();
    if (this.#stopped) return;
    this.#carryOut(this.#tunnels.disconnected(this.#timers.now()));
    this.#endGrace = this.#timers.after(this.#graceMs, () =>
      this.#carryOut(this.#tunnels.charonLost(this.#timers.now())),
    );
    this.emit('charonLost', reason.message);
  }

  /** One at a time; whoever asks meanwhile gets another one afterwards. */
  async #list(client: ViciClient): Promise<void> {
    this.#listing = true;
    try {
      do {
        this.#listAgain = false;
        this.#tunnels.listing();
        const items = await client.stream('list-sas', 'list-sa');
        this.#carryOut(this.#tunnels.listed(items, this.#timers.now()));
      } while (this.#listAgain);
    } finally {
      this.#listing = false;
    }
  }

  #relistLater(): void {
    this.#resync(this.#relistMs, () => this.#relistLater());
  }

  #resync(afterMs: number, then: () => void = () => undefined): void {
    const cancel = this.#timers.after(afterMs, () => {
      this.#resyncs.delete(cancel);
      this.#resyncNow();
      then();
    });
    this.#resyncs.add(cancel);
  }

  #resyncNow(): void {
    if (this.#listing) this.#listAgain = true;
    else this.#attempt('list-sas', (client) => this.#list(client));
  }

  #tell(name: string, event: Extract<S2sEvent, { type: 'dial' | 'dialSucceeded' | 'dialFailed' | 'retryDue' }>): void {
    this.#carryOut(this.#tunnels.interfaceEvent(name, event, this.#timers.now()));
  }

  #carryOut({ commands, changed }: Decision): void {
    // The answer of a dial that was cut off: nothing may begin again.
    if (this.#stopped) return;
    for (const c of commands) this.#perform(c);
    if (changed.length) this.emit('changed', changed);
  }

  #perform(c: TunnelCommand): void {
    switch (c.kind) {
      case 'resync':
        if (this.#client) this.#resync(c.afterMs);
        return;
      case 'terminateSa':
        this.emit('notice', `terminating SA ${c.uniqueId} of ${c.name}: ${c.because}`);
        this.#attempt(`terminate ${c.name}`, (client) => terminateIke(client, c.uniqueId));
        return;
      case 's2s':
        break;
    }
    const { name, slot, command } = c;
    switch (command.kind) {
      case 'initiate':
        this.#queue.push(slot, name);
        this.#dialNext();
        return;
      case 'terminate':
        this.#attempt(`terminate ${name}`, (client) => terminateConnection(client, name));
        return;
      case 'startRetryTimer':
        this.#retries.get(name)?.();
        this.#retries.set(
          name,
          this.#timers.after(1000 * command.seconds, () => {
            this.#retries.delete(name);
            this.#tell(name, { type: 'retryDue' });
          }),
        );
        return;
      case 'stopRetryTimer':
        this.#retries.get(name)?.();
        this.#retries.delete(name);
        return;
    }
  }

  #dialNext(): void {
    while (this.#dials < MAX_DIALS) {
      const name = this.#queue.next();
      if (name === undefined) return;
      this.#dials++;
      void this.#dial(name).then((answer) => {
        this.#dials--;
        this.#tell(name, answer);
        this.#dialNext();
      });
    }
  }

  /** Always answers, and never throws. */
  async #dial(name: string): Promise<Extract<S2sEvent, { type: 'dialSucceeded' | 'dialFailed' }>> {
    const client = this.#client;
    if (!client) return { type: 'dialFailed', reason: 'charon does not answer' };
    if (this.#tunnels.states().get(name)?.connectionState !== 'Connecting')
      return { type: 'dialFailed', reason: 'no longer wanted' };
    try {
      await client.initiate({ ike: name, child: name, timeoutMs: this.#dialTimeoutMs });
      return { type: 'dialSucceeded' };
    } catch (e) {
      // charon goes on trying after its time limit, and the next dial would only join that attempt.
      if (client === this.#client) await this.#try(`terminate ${name}`, () => terminateHalfOpen(client, name));
      const reason = e instanceof ViciError ? dialFailure(e.message, e.items) : String(e);
      return { type: 'dialFailed', reason };
    }
  }

  #attempt(what: string, command: (client: ViciClient) => Promise<void>): void {
    const client = this.#client;
    if (client) void this.#try(what, () => command(client));
  }

  async #try(what: string, command: () => Promise<void>): Promise<void> {
    try {
      await command();
    } catch (e) {
      this.#notice(what, e);
    }
  }

  #notice(what: string, e: unknown): void {
    if (!this.#stopped) this.emit('notice', `${what}: ${e instanceof Error ? e.message : String(e)}`);
  }
}
