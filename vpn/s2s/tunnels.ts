/**
 * All S2S interfaces of the gateway against charon's SAs: joins the snapshot (`sas.ts`) and the life cycles (`machine.ts`).
 * Pure decisions: every method takes what happened and the time and says what to do; `vpn/io/monitor.ts` does it.
 */
import { isDeepStrictEqual } from 'node:util';
import type { S2sInterface } from '../../compartments/compartment.ts';
import type { Slot } from '../../compartments/numbers.ts';
import type { Address } from '../../lib/address.ts';
import type { Message } from '../vici/codec.ts';
import { initial, next, type S2sCommand, type S2sEvent, type S2sState } from './machine.ts';
import {
  applyEvent,
  EMPTY,
  type ExpectedSa,
  isUp,
  nextChildlessAt,
  type Snapshot,
  snapshotOf,
  type Termination,
  terminations,
} from './sas.ts';

export interface WatchedInterface {
  readonly interface: S2sInterface;
  readonly slot: Slot;
  readonly ifId: number;
  /** Where it is dialled from; none when no external NIC of the configuration has an address of the family. */
  readonly localAddress?: Address;
}

export type TunnelCommand =
  /** S2sCommand of one interface. */
  | {
      readonly kind: 's2s';
      readonly name: string;
      readonly slot: Slot;
      readonly command: Exclude<S2sCommand, { kind: 'resync' }>;
    }
  | ({ readonly kind: 'terminateSa' } & Termination)
  | { readonly kind: 'resync'; readonly afterMs: number };

export interface Decision {
  readonly commands: readonly TunnelCommand[];
  /** Interfaces whose state as operators see it has changed, or that came or went. */
  readonly changed: readonly string[];
}

interface Entry {
  watched: WatchedInterface;
  state: S2sState;
  /** Taken out of the configuration while its dial still runs: kept until the dial is answered, so that none runs twice. */
  removed: boolean;
  /** The list-sas that ran when its dial was answered: that one may be too old to say that no SA stands. */
  answeredDuring?: unknown;
  /** Its dial began with a former configuration: what that dial's failure says does not count. */
  outdatedDial: boolean;
}

const settingsOf = ({ persistent, retryIntervalSeconds, numberOfTries }: S2sInterface) => ({
  persistent,
  retryIntervalSeconds,
  numberOfTries,
});

const expectedOf = ({ interface: i, ifId }: WatchedInterface): ExpectedSa => ({
  name: i.name,
  ifId,
  destination: i.destination,
});

const told = ({ interface: i, ...rest }: WatchedInterface) => ({
  ...rest,
  interface: { ...i, sharedSecret: i.sharedSecret.reveal() },
});

const visible = (s: S2sState): string =>
  [s.connectionState, s.adminStatus, s.lastError, ...s.unReachabilityReasons].join('\0');

class Draft {
  readonly commands: TunnelCommand[] = [];
  readonly changed = new Set<string>();
  get decision(): Decision {
    return { commands: this.commands, changed: [...this.changed] };
  }
}

export class Tunnels {
  readonly #entries = new Map<string, Entry>();
  /** Interfaces whose connections are being loaded. */
  #expected: ReadonlyMap<string, WatchedInterface> = new Map();
  #snapshot: Snapshot = EMPTY;
  /** Events that came while a list-sas ran; they are played again over its result. */
  #sinceListing: { event: string; message: Message; now: number }[] | undefined;
  /** charon answers and its SAs are listed. */
  #listed = false;
  /** The gateway has said, since charon came, that what it wants is loaded. */
  #loaded = false;
  /** Until somebody tells, every address counts as usable. */
  #localAddresses: ReadonlySet<Address> | undefined;

  states(): ReadonlyMap<string, S2sState> {
    return new Map([...this.#entries].filter(([, e]) => !e.removed).map(([name, e]) => [name, e.state]));
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  /**
   * Connections are about to change to these interfaces (instead of those of a former call). Until `setInterfaces`, SAs that
   * fit them are left alone as well as SAs of the interfaces that are watched; they are neither watched nor dialled yet.
   */
  expect(interfaces: readonly WatchedInterface[]): void {
    this.#expected = new Map(interfaces.filter((w) => w.interface.adminStatus).map((w) => [w.interface.name, w]));
  }

  /** The interfaces that are configured, after their connections were loaded (and others unloaded). */
  setInterfaces(interfaces: readonly WatchedInterface[], now: number): Decision {
    const d = new Draft();
    if (this.#listed) this.#loaded = true;
    this.#expected = new Map();
    const wanted = new Map(interfaces.map((w) => [w.interface.name, w]));
    for (const [name, e] of this.#entries) {
      if (wanted.has(name) || e.removed) continue;
      e.removed = true;
      d.changed.add(name);
      this.#feed(name, e, { type: 'adminDisable' }, now, d);
      this.#forget(name, e);
    }
    for (const [name, watched] of wanted) {
      const settings = settingsOf(watched.interface);
      let e = this.#entries.get(name);
      if (!e) {
        e = { watched, state: initial(settings), removed: false, outdatedDial: false };
        this.#entries.set(name, e);
        d.changed.add(name);
      }
      const changed = !isDeepStrictEqual(told(e.watched), told(watched));
      e.watched = watched;
      e.removed = false;
      this.#feed(name, e, { type: 'configure', settings }, now, d);
      this.#feed(name, e, this.#local(watched), now, d);
      const up = this.#isUp(watched);
      this.#feed(
        name,
        e,
        watched.interface.adminStatus ? { type: 'adminEnable', up } : { type: 'adminDisable' },
        now,
        d,
      );
      if (this.#loaded && !e.state.charon) this.#feed(name, e, { type: 'charonBack', up }, now, d);
      else if (this.#loaded) this.#compare(name, e, now, d);
      // The operator has changed something, perhaps what the last dial failed for: no reason to wait.
      if (changed && e.state.dialling) e.outdatedDial = true;
      else if (changed && e.state.waiting) this.#retryNow(name, e, now, d);
    }
    return d.decision;
  }

  /** The addresses that can be dialled from at this moment. */
  setLocalAddresses(addresses: ReadonlySet<Address>, now: number): Decision {
    const d = new Draft();
    this.#localAddresses = addresses;
    for (const [name, e] of this.#entries) if (!e.removed) this.#feed(name, e, this.#local(e.watched), now, d);
    return d.decision;
  }

  /** A list-sas begins: from here on events are kept, to be played over its result. */
  listing(): void {
    this.#sinceListing = [];
  }

  /** The list-sa messages of the list-sas that `listing` announced. */
  listed(items: readonly Message[], now: number): Decision {
    const d = new Draft();
    let snapshot = snapshotOf(items, now);
    const listing = this.#sinceListing;
    for (const e of listing ?? []) snapshot = applyEvent(snapshot, e.event, e.message, e.now).snapshot;
    this.#sinceListing = undefined;
    this.#snapshot = snapshot;
    this.#listed = true;
    if (this.#loaded) {
      for (const t of terminations(snapshot, this.#fitting(), now)) d.commands.push({ kind: 'terminateSa', ...t });
      for (const [name, e] of this.#entries) {
        if (this.#isComing(e)) continue;
        if (!e.removed && (!listing || e.answeredDuring !== listing)) this.#feed(name, e, this.#seen(e), now, d);
        else this.#compare(name, e, now, d);
      }
    } else {
      // A new charon without the tunnel: down, but to be dialled only once it is loaded again.
      for (const [name, e] of this.#entries)
        if (e.state.connectionState === 'Connected' && !this.#isUp(e.watched))
          this.#feed(name, e, { type: 'charonLost' }, now, d);
    }
    this.#watchChildless(now, d);
    return d.decision;
  }

  saEvent(event: string, message: Message, now: number): Decision {
    const d = new Draft();
    this.#sinceListing?.push({ event, message, now });
    const { snapshot, unclear } = applyEvent(this.#snapshot, event, message, now);
    this.#snapshot = snapshot;
    if (unclear) d.commands.push({ kind: 'resync', afterMs: 0 });
    if (this.#loaded) for (const [name, e] of this.#entries) this.#compare(name, e, now, d);
    if (event === 'ike-updown') this.#watchChildless(now, d);
    return d.decision;
  }

  /** What an operator, a dial or a timer says about one interface. */
  interfaceEvent(
    name: string,
    event: Extract<S2sEvent, { type: 'dial' | 'dialSucceeded' | 'dialFailed' | 'retryDue' }>,
    now: number,
  ): Decision {
    const d = new Draft();
    const e = this.#entries.get(name);
    if (e) {
      if (event.type === 'dialSucceeded') e.answeredDuring = this.#sinceListing;
      this.#feed(name, e, event, now, d);
      const outdated = e.outdatedDial;
      if (!e.state.dialling) e.outdatedDial = false;
      if (outdated && e.state.waiting) this.#retryNow(name, e, now, d);
      this.#forget(name, e);
    }
    return d.decision;
  }

  /**
   * The connection to charon ended. Its SAs, and those a crash left in the kernel, may go on carrying packets, so what is
   * connected stays so for now: until the next list-sas tells, or `charonLost` says that there is none to come.
   */
  disconnected(now: number): Decision {
    this.#snapshot = EMPTY;
    this.#sinceListing = undefined;
    this.#listed = false;
    this.#loaded = false;
    return this.#lose((e) => e.state.connectionState !== 'Connected', now);
  }

  /** charon has been gone for too long. */
  charonLost(now: number): Decision {
    return this.#lose(() => true, now);
  }

  #lose(which: (e: Entry) => boolean, now: number): Decision {
    const d = new Draft();
    for (const [name, e] of this.#entries) if (which(e)) this.#feed(name, e, { type: 'charonLost' }, now, d);
    return d.decision;
  }

  #fitting(): readonly ExpectedSa[] {
    const watched = [...this.#entries.values()].filter((e) => !e.removed && e.watched.interface.adminStatus);
    return [...watched.map((e) => e.watched), ...this.#expected.values()].map(expectedOf);
  }

  /** Disabled so far and about to be enabled: its SA, the peer's work, is adopted then. */
  #isComing = (e: Entry): boolean => !e.watched.interface.adminStatus && this.#expected.has(e.watched.interface.name);

  #isUp = (w: WatchedInterface): boolean => isUp(this.#snapshot, expectedOf(w));

  #local = ({ localAddress }: WatchedInterface): S2sEvent => ({
    type: 'localAddress',
    usable: !this.#localAddresses || (localAddress !== undefined && this.#localAddresses.has(localAddress)),
  });

  #seen = (e: Entry): S2sEvent => ({ type: this.#isUp(e.watched) ? 'up' : 'down' });

  /**
   * Tells a life cycle what the snapshot says; the same again changes nothing. That no SA stands counts here for a connected
   * interface only: the event for a dial that has just been answered may still be on its way, a list-sas must tell.
   */
  #compare(name: string, e: Entry, now: number, d: Draft): void {
    const event = this.#seen(e);
    if (!e.removed && !this.#isComing(e) && (event.type === 'up' || e.state.connectionState === 'Connected'))
      this.#feed(name, e, event, now, d);
  }

  #watchChildless(now: number, d: Draft): void {
    const at = nextChildlessAt(this.#snapshot);
    if (at !== undefined && at >= now) d.commands.push({ kind: 'resync', afterMs: at - now + 1 });
  }

  #feed(name: string, e: Entry, event: S2sEvent, now: number, d: Draft): void {
    const before = visible(e.state);
    const { state, commands } = next(e.state, event, now);
    e.state = state;
    if (visible(state) !== before) d.changed.add(name);
    for (const command of commands)
      d.commands.push(
        command.kind === 'resync'
          ? { kind: 'resync', afterMs: 0 }
          : { kind: 's2s', name, slot: e.watched.slot, command },
      );
  }

  #retryNow(name: string, e: Entry, now: number, d: Draft): void {
    d.commands.push({ kind: 's2s', name, slot: e.watched.slot, command: { kind: 'stopRetryTimer' } });
    this.#feed(name, e, { type: 'retryDue' }, now, d);
  }

  #forget(name: string, e: Entry): void {
    if (e.removed && !e.state.dialling) this.#entries.delete(name);
  }
}
