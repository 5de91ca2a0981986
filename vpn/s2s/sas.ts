/**
 * The snapshot of charon's IKE_SAs: built from list-sas (the truth), carried on by its events (hints), and what follows from
 * it: which S2S interfaces are up, and which SAs must go. Pure; times are in milliseconds.
 *
 * Everything is keyed by `uniqueid`: many SAs share a name, half-open ones have none. A uniqueid changes when the IKE_SA is
 * rekeyed. Down is the absence of the key `up`. The if_id is hexadecimal.
 */
import { slotOfIfId } from '../../compartments/numbers.ts';
import { type Address, parseAddress } from '../../lib/address.ts';
import { isSection, type Message, sectionsOf, textOf } from '../vici/codec.ts';

export interface ChildSa {
  readonly uniqueId: string;
  readonly state: string;
  readonly ifIdIn: number;
  readonly ifIdOut: number;
}

export interface IkeSa {
  readonly uniqueId: string;
  readonly name: string;
  readonly state: string;
  /** Both SPIs in hex: the one thing that both ends call an IKE_SA alike. */
  readonly spis: string;
  /** Where the peer's packets come from (through a NAT at any port), and who it proved to be; undefined when no address. */
  readonly remoteHost: Address | undefined;
  readonly remoteId: Address | undefined;
  readonly establishedAt: number;
  readonly children: ReadonlyMap<string, ChildSa>;
}

export type Snapshot = ReadonlyMap<string, IkeSa>;
export const EMPTY: Snapshot = new Map();

/** An S2S interface as far as SAs are concerned. `destination`: the peer's address, and with a pre-shared key its identity. */
export interface ExpectedSa {
  readonly name: string;
  readonly ifId: number;
  readonly destination: Address;
}

export interface Termination {
  readonly uniqueId: string;
  readonly name: string;
  readonly because: 'duplicate' | 'childless' | 'not loaded' | 'wrong if_id' | 'wrong peer';
}

/** The events that carry the snapshot on; register for all of them before listing. */
export const SA_EVENTS = ['ike-updown', 'child-updown', 'ike-rekey', 'child-rekey'] as const;

/** A peer that asked for what it cannot have stays without a child for ever; a good one has it within the same exchange. */
export const CHILDLESS_MS = 10_000;
/** Two SAs established this close together come from both ends dialling at once. */
export const SIMULTANEOUS_MS = 10_000;

/**
 * While a rekeying is under way the old SA carries the packets, so these states count as usable: taking the routes away for
 * the time of a rekeying would be a loss. REKEYED and DELETED ones are on their way out and do not count.
 */
const USABLE_CHILD = new Set(['INSTALLED', 'UPDATING', 'REKEYING']);
const USABLE_IKE = new Set(['ESTABLISHED', 'REKEYING']);

const hex = (text: string | undefined): number =>
  text && /^[0-9a-f]{1,8}$/i.test(text) ? Number.parseInt(text, 16) : 0;

function childOf(m: Message): ChildSa | undefined {
  const uniqueId = textOf(m, 'uniqueid');
  if (uniqueId === undefined) return undefined;
  return {
    uniqueId,
    state: textOf(m, 'state') ?? '',
    ifIdIn: hex(textOf(m, 'if-id-in')),
    ifIdOut: hex(textOf(m, 'if-id-out')),
  };
}

function ikeOf(name: string, m: Message, now: number): IkeSa | undefined {
  const uniqueId = textOf(m, 'uniqueid');
  if (uniqueId === undefined) return undefined;
  const children = new Map<string, ChildSa>();
  for (const [, section] of sectionsOf(m, 'child-sas')) {
    const child = childOf(section);
    if (child) children.set(child.uniqueId, child);
  }
  return {
    uniqueId,
    name,
    state: textOf(m, 'state') ?? '',
    spis: `${textOf(m, 'initiator-spi') ?? ''}:${textOf(m, 'responder-spi') ?? ''}`,
    remoteHost: parseAddress(textOf(m, 'remote-host') ?? ''),
    remoteId: parseAddress(textOf(m, 'remote-id') ?? ''),
    establishedAt: now - 1000 * (Number(textOf(m, 'established')) || 0),
    children,
  };
}

/** `items` = the list-sa messages of one list-sas. */
export function snapshotOf(items: readonly Message[], now: number): Snapshot {
  const out = new Map<string, IkeSa>();
  for (const item of items)
    for (const [name, section] of sectionsOf(item)) {
      const sa = ikeOf(name, section, now);
      if (sa) out.set(sa.uniqueId, sa);
    }
  return out;
}

/** The next snapshot; `unclear` when the event does not fit what is known, so that only a new list-sas can tell. */
export function applyEvent(
  s: Snapshot,
  event: string,
  m: Message,
  now: number,
): { readonly snapshot: Snapshot; readonly unclear: boolean } {
  const next = new Map(s);
  const up = textOf(m, 'up') === 'yes';
  let unclear = false;
  for (const [name, section] of sectionsOf(m)) {
    if (event === 'ike-rekey') {
      unclear ||= !rekeyIke(next, name, section, now);
      continue;
    }
    const id = textOf(section, 'uniqueid');
    const known = id === undefined ? undefined : next.get(id);
    const seen = ikeOf(name, section, now);
    if (!seen) unclear = true;
    else if (event === 'ike-updown' && !up) next.delete(seen.uniqueId);
    else if (event === 'child-rekey') {
      if (known) next.set(known.uniqueId, { ...known, children: rekeyChild(known, section) });
      else unclear = true;
    } else if (event === 'ike-updown' || (event === 'child-updown' && up)) {
      next.set(seen.uniqueId, { ...seen, children: new Map([...(known?.children ?? []), ...seen.children]) });
    } else if (event === 'child-updown' && known) {
      // A login that failed raises down events too, for an SA that never was up; those are not known here.
      const gone = seen.children;
      next.set(known.uniqueId, { ...known, children: new Map([...known.children].filter(([c]) => !gone.has(c))) });
    }
  }
  return { snapshot: next, unclear };
}

/** False when the old SA was not known: its children are then not known either. */
function rekeyIke(next: Map<string, IkeSa>, name: string, section: Message, now: number): boolean {
  const older = section.get('old');
  const newer = section.get('new');
  const before = isSection(older) ? ikeOf(name, older, now) : undefined;
  const after = isSection(newer) ? ikeOf(name, newer, now) : undefined;
  if (!before || !after) return false;
  const known = next.get(before.uniqueId);
  const there = next.get(after.uniqueId);
  next.delete(before.uniqueId);
  const children = new Map([...(known ?? before).children, ...(there?.children ?? []), ...after.children]);
  next.set(after.uniqueId, { ...after, state: 'ESTABLISHED', children });
  return known !== undefined || there !== undefined;
}

function rekeyChild(ike: IkeSa, section: Message): ReadonlyMap<string, ChildSa> {
  const children = new Map(ike.children);
  for (const [, pair] of sectionsOf(section, 'child-sas')) {
    const older = pair.get('old');
    const newer = pair.get('new');
    const gone = isSection(older) ? textOf(older, 'uniqueid') : undefined;
    if (gone !== undefined) children.delete(gone);
    const child = isSection(newer) ? childOf(newer) : undefined;
    if (child) children.set(child.uniqueId, child);
  }
  return children;
}

const carries = (sa: IkeSa, ifId: number): boolean =>
  [...sa.children.values()].some((c) => USABLE_CHILD.has(c.state) && c.ifIdIn === ifId && c.ifIdOut === ifId);

const isWith = (sa: IkeSa, peer: Address): boolean => sa.remoteHost === peer && sa.remoteId === peer;

/** An established IKE_SA of this interface, with its Destination, and with a child that has the interface's if_id. */
export const isUp = (s: Snapshot, { name, ifId, destination }: ExpectedSa): boolean =>
  [...s.values()].some(
    (sa) => sa.name === name && USABLE_IKE.has(sa.state) && isWith(sa, destination) && carries(sa, ifId),
  );

/**
 * Of two SAs the newer one stays, by uniqueid: the older one is what a restarted peer left behind. When both ends dialled at
 * once each end has its own idea of newer, so then the SPIs decide, which both ends see alike.
 */
function better(a: IkeSa, b: IkeSa): number {
  if (Math.abs(a.establishedAt - b.establishedAt) < SIMULTANEOUS_MS) return a.spis < b.spis ? -1 : 1;
  return Number(b.uniqueId) - Number(a.uniqueId);
}

/**
 * SAs that must be terminated; for a fresh list-sas only, since a snapshot carried on by events may lag. An SA of a name that
 * is not loaded is ours when a child has an if_id of our range; others are left alone. `loaded` may name an interface twice,
 * as it was and as it is to be: an SA that fits either one stays.
 */
export function terminations(s: Snapshot, loaded: readonly ExpectedSa[], now: number): readonly Termination[] {
  const out: Termination[] = [];
  const expected = Map.groupBy(loaded, (e) => e.name);
  const end = (sa: IkeSa, because: Termination['because']) =>
    out.push({ uniqueId: sa.uniqueId, name: sa.name, because });
  const up = new Map<string, IkeSa[]>();
  for (const sa of s.values()) {
    if (!USABLE_IKE.has(sa.state)) continue;
    const fitting = expected.get(sa.name)?.filter((e) => isWith(sa, e.destination));
    const usable = [...sa.children.values()].filter((c) => USABLE_CHILD.has(c.state));
    if (!fitting) {
      if (usable.some((c) => slotOfIfId(c.ifIdIn) !== undefined)) end(sa, 'not loaded');
    } else if (fitting.length === 0) end(sa, 'wrong peer');
    else if (fitting.some((e) => carries(sa, e.ifId))) up.set(sa.name, [...(up.get(sa.name) ?? []), sa]);
    else if (usable.length > 0) end(sa, 'wrong if_id');
    else if (now - sa.establishedAt > CHILDLESS_MS) end(sa, 'childless');
  }
  for (const sas of up.values()) for (const sa of sas.sort(better).slice(1)) end(sa, 'duplicate');
  return out;
}

/** When a childless SA becomes one to terminate; undefined when there is none. */
export function nextChildlessAt(s: Snapshot): number | undefined {
  const times = [...s.values()]
    .filter((sa) => USABLE_IKE.has(sa.state) && ![...sa.children.values()].some((c) => USABLE_CHILD.has(c.state)))
    .map((sa) => sa.establishedAt + CHILDLESS_MS);
  return times.length ? Math.min(...times) : undefined;
}
