/** charon as the gateway sees it: its hand while it answers, the state of its tunnels, and the events that wake the loop. */
import type { Logger } from 'pino';
import type { Slot } from '../../compartments/numbers.ts';
import type { Hand } from '../../compartments/resource.ts';
import { ifIdOfInterface, slotOf } from '../../compartments/slots.ts';
import type { Address } from '../../lib/address.ts';
import { CharonHand } from '../../vpn/io/charon-hand.ts';
import { TunnelMonitor } from '../../vpn/io/monitor.ts';
import type { WatchedInterface } from '../../vpn/s2s/tunnels.ts';
import { externalAddress } from '../desired.ts';
import type { Event } from '../event.ts';
import type { Tunnels } from '../gateway.ts';
import type { Running } from '../running.ts';
import type { TunnelReading } from '../show/readings.ts';

const place = (localAddress: Address | undefined) => (localAddress === undefined ? {} : { localAddress });

const watched = ({ config, table }: Running): readonly WatchedInterface[] =>
  config.compartments.flatMap((c) =>
    c.s2sInterfaces.map((i) => ({
      interface: i,
      slot: slotOf(table, c.routingDomainId),
      ifId: ifIdOfInterface(table, c.routingDomainId, i.name),
      ...place(i.sourceIpAddress ?? externalAddress(config, i.destination)),
    })),
  );

/** Every name that was ever given a number: also a removed interface's connection is found under its tenant. */
function slotsByName(running: Running | undefined): ReadonlyMap<string, Slot> {
  if (!running) return new Map();
  const past = Object.values(running.table.domains).flatMap((d) =>
    Object.keys(d.interfaces).map((name): [string, Slot] => [name, d.slot]),
  );
  return new Map([...past, ...watched(running).map((w): [string, Slot] => [w.interface.name, w.slot])]);
}

export class Charon implements Tunnels {
  readonly #monitor: TunnelMonitor;
  readonly #hand: CharonHand;
  #answers = false;
  /** charon has told, since this process started, which tunnels are up. */
  #known = false;
  #firstAnswer: () => void = () => undefined;
  /** Settles when charon has answered for the first time. */
  readonly ready: Promise<void>;

  constructor(viciSocket: string, running: () => Running | undefined, notice: (event: Event) => void, log: Logger) {
    this.#monitor = new TunnelMonitor({ path: viciSocket });
    // Nothing is dialled before the NICs were looked at.
    this.#monitor.setLocalAddresses(new Set());
    this.#hand = new CharonHand({ client: () => this.#monitor.client(), slots: () => slotsByName(running()) });
    this.ready = new Promise((resolve) => {
      this.#firstAnswer = resolve;
    });
    this.#monitor.on('charonBack', () => {
      this.#answers = true;
      this.#firstAnswer();
      log.info('charon answers');
      notice({ type: 'charon-back' });
    });
    this.#monitor.on('charonLost', (reason) => {
      this.#answers = false;
      log.error({ reason }, 'charon is gone');
      notice({ type: 'charon-lost' });
    });
    this.#monitor.on('notice', (text) => log.warn(text));
    this.#monitor.on('changed', (interfaces) => {
      for (const name of interfaces) {
        const { connectionState, lastError } = this.#monitor.states().get(name) ?? {};
        // Why a dial failed is nowhere else once the next one has begun.
        const reason = connectionState !== 'Connected' && lastError ? { reason: lastError } : {};
        log.info({ interface: name, state: connectionState, ...reason }, 'S2S interface');
      }
      notice({ type: 'tunnels-changed', interfaces });
    });
  }

  start(): void {
    this.#monitor.start();
  }

  stop(): Promise<void> {
    return this.#monitor.stop();
  }

  hands(): readonly Hand[] {
    return this.#answers ? [this.#hand] : [];
  }

  expect(running: Running): void {
    this.#monitor.expect(watched(running));
  }

  loaded(running: Running): void {
    if (!this.#answers) return;
    this.#monitor.setInterfaces(watched(running));
    this.#known = true;
  }

  dialFrom(addresses: ReadonlySet<Address>): void {
    this.#monitor.setLocalAddresses(addresses);
  }

  up(): ReadonlySet<string> | undefined {
    if (!this.#known) return undefined;
    return new Set(
      [...this.#monitor.states()].filter(([, s]) => s.connectionState === 'Connected').map(([name]) => name),
    );
  }

  reading(name: string): TunnelReading | undefined {
    const state = this.#monitor.states().get(name);
    return (
      state && {
        connectionState: state.connectionState,
        lastError: state.lastError,
        unreachabilityReasons: state.unReachabilityReasons,
      }
    );
  }
}
