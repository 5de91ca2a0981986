/**
 * Random steps for the NAT's differential test. A step is plain data that means something for any state, so that fast-check can
 * leave steps out of a failing sequence; `packetOf` makes a packet of it for the state at hand.
 */
import fc from 'fast-check';
import { type Address, addressBytes, addressFromBytes } from '../../lib/address.ts';
import {
  ACK,
  endpointsOf,
  FIN,
  ICMP,
  type Ip,
  ipHeader,
  putU16,
  RST,
  SYN,
  sealed,
  TCP,
  translated,
  UDP,
} from './nat-packet.ts';
import type { Direction, NatState } from './nat-state.ts';
import { HOSTS, REMOTES, SLOTS } from './nat-world.ts';

export type Step =
  /** Something new from inside. */
  | {
      readonly kind: 'out';
      readonly slot: number;
      readonly host: number;
      readonly port: number;
      readonly to: To;
      readonly what: What;
    }
  /** Something new from outside. */
  | { readonly kind: 'in'; readonly remote: number; readonly port: number; readonly to: To; readonly what: What }
  /** One more packet of a session. */
  | {
      readonly kind: 'more';
      readonly which: number;
      readonly flags: number;
      readonly inWindow: boolean;
      readonly length: number;
    }
  /** An ICMP error about a packet of a session, as its receiver or a router on the way sends it. */
  | {
      readonly kind: 'error';
      readonly which: number;
      readonly type: number;
      readonly quoted: number;
      readonly router: boolean;
      readonly strange: boolean;
    }
  /** Many new ones from one host, until ports, sessions or blocks run out. */
  | {
      readonly kind: 'flood';
      readonly slot: number;
      readonly host: number;
      readonly first: number;
      readonly count: number;
      readonly what: What;
    }
  | { readonly kind: 'time'; readonly seconds: number; readonly sweep: boolean };

/** Whom a packet is for: somebody outside, or an external address of ours. */
interface To {
  readonly ours: boolean;
  readonly which: number;
  readonly port: number;
}
interface What {
  readonly protocol: number;
  readonly flags: number;
  readonly type: number;
  readonly checksum: boolean;
  readonly length: number;
}

const weighted = <T>(...pairs: readonly (readonly [weight: number, arbitrary: fc.Arbitrary<T>])[]): fc.Arbitrary<T> =>
  fc.oneof(...pairs.map(([weight, arbitrary]) => ({ weight, arbitrary })));
const from = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const any = fc.nat(0xffff);

const what: fc.Arbitrary<What> = fc.record({
  protocol: weighted([5, fc.constant(TCP)], [5, fc.constant(UDP)], [2, fc.constant(ICMP)], [1, from(47, 50, 132)]),
  flags: weighted([8, fc.constant(SYN)], [1, from(ACK, SYN | ACK, FIN | ACK, RST, 0, SYN | RST, SYN | FIN)]),
  type: weighted([6, fc.constant(8)], [1, from(0, 13, 14, 5, 9)]),
  checksum: weighted([4, fc.constant(true)], [1, fc.constant(false)]),
  length: from(0, 1, 8, 33),
});

const to: fc.Arbitrary<To> = fc.record({
  ours: weighted([1, fc.constant(true)], [2, fc.constant(false)]),
  which: any,
  port: any,
});

export const step: fc.Arbitrary<Step> = weighted<Step>(
  [
    10,
    fc.record({
      kind: fc.constant('out' as const),
      slot: from(...SLOTS),
      host: any,
      port: weighted([3, fc.nat(5)], [1, fc.nat(60)]),
      to,
      what,
    }),
  ],
  [6, fc.record({ kind: fc.constant('in' as const), remote: any, port: fc.nat(3), to, what })],
  [
    12,
    fc.record({
      kind: fc.constant('more' as const),
      which: any,
      flags: from(ACK, ACK, ACK, SYN | ACK, SYN | ACK, SYN, FIN | ACK, FIN | ACK, RST),
      inWindow: fc.boolean(),
      length: from(0, 1, 40),
    }),
  ],
  [
    3,
    fc.record({
      kind: fc.constant('error' as const),
      which: any,
      type: from(3, 3, 11, 12, 4),
      quoted: from(8, 8, 16, 20, 40, 4),
      router: fc.boolean(),
      strange: weighted([5, fc.constant(false)], [1, fc.constant(true)]),
    }),
  ],
  [
    1,
    fc.record({
      kind: fc.constant('flood' as const),
      slot: from(...SLOTS),
      host: any,
      first: fc.nat(200),
      count: from(4, 8, 70, 150),
      what,
    }),
  ],
  [
    2,
    fc.record({
      kind: fc.constant('time' as const),
      seconds: from(0, 1, 5, 29, 31, 59, 61, 119, 121, 500, 1801),
      sweep: weighted([3, fc.constant(true)], [1, fc.constant(false)]),
    }),
  ],
);

/** Where a made packet enters: from a compartment, or from the external NIC. */
export interface Made {
  readonly slot: number | undefined;
  readonly packet: Ip;
}

const pick = <T>(list: readonly T[], which: number): T => list[which % list.length]!;
/** Ports of hosts inside: the first two are what static mappings serve. */
const INSIDE_PORTS = [80, 53, 5001, 5002, 5003, 40_000];
const REMOTE_PORTS = [80, 53, 443, 12_345];

function payloadOf(w: What, sourcePort: number, destinationPort: number): Uint8Array {
  const body = Uint8Array.from({ length: w.length }, (_, i) => i * 7);
  const b = new Uint8Array(({ [TCP]: 20, [UDP]: 8, [ICMP]: 8 }[w.protocol] ?? 8) + body.length);
  b.set(body, b.length - body.length);
  if (w.protocol === ICMP) {
    b[0] = w.type;
    putU16(b, 4, sourcePort || destinationPort);
    return b;
  }
  putU16(b, 0, sourcePort);
  putU16(b, 2, destinationPort);
  if (w.protocol === UDP) putU16(b, 4, b.length);
  if (w.protocol === TCP) {
    b.set([0, 0, 3, 232, 0, 0, 0, 0, 0x50, w.flags, 16, 0], 4);
    if (w.flags & ACK) b.set([0, 0, 7, 208], 8);
  }
  return b;
}

const build = (w: What, source: Address, destination: Address, sourcePort: number, destinationPort: number): Ip =>
  sealed(
    {
      source,
      destination,
      protocol: w.protocol,
      ttl: 60,
      tos: w.length,
      id: 0x1234,
      fragment: 0x4000,
      payload: payloadOf(w, sourcePort, destinationPort),
    },
    !w.checksum,
  );

/** An external address of ours with a port where something is, or may be. */
function ourEnd(state: NatState, t: To): readonly [Address, number] {
  const fixed = state.input.netNats.flatMap((n): readonly (readonly [Address, number])[] => [
    ...n.staticMappings.map((m) => [m.externalIpAddress, m.externalPort] as const),
    ...n.loadBalancingRules.map((r) => [r.frontendIpAddress, r.frontendPort] as const),
    ...n.oneToOneMappings.map((m) => [m.externalIpAddress, 7] as const),
  ]);
  const live = [...state.mappings.values()].map((m) => [m.external, m.externalPort] as const);
  const own: readonly (readonly [Address, number])[] = [500, 4500, 22].map((port) => [state.pools[0]!.address, port]);
  const pool = pick(state.pools, t.which >> 3);
  const random: readonly [Address, number] = [pool.address, Math.max(1, pool.portStart + (t.port % 100))];
  switch (t.which & 7) {
    case 0:
      return pick(own, t.port);
    case 1:
      return random;
    case 2:
    case 3:
      return pick(fixed, t.port);
    default:
      return live.length ? pick(live, t.port) : random;
  }
}

const directionAt = (state: NatState, which: number): Direction | undefined =>
  state.flows.size ? [...state.flows.values()][which % state.flows.size] : undefined;

/** Packets of a step; none where it means nothing now. Each is made when the one before has been answered. */
export function* packetsOf(state: NatState, s: Exclude<Step, { kind: 'time' }>): Generator<Made> {
  if (s.kind === 'flood') {
    const to = pick(REMOTES, s.first);
    for (let i = 0; i < s.count; i++) {
      const port = s.what.protocol === ICMP ? 0 : 80;
      yield { slot: s.slot, packet: build(s.what, pick(HOSTS, s.host), to, 41_000 + s.first + i, port) };
    }
    return;
  }
  const made = packetOf(state, s);
  if (made) yield made;
}

function packetOf(state: NatState, s: Exclude<Step, { kind: 'time' | 'flood' }>): Made | undefined {
  switch (s.kind) {
    case 'out': {
      const outside: readonly [Address, number] = [pick(REMOTES, s.to.which), pick(REMOTE_PORTS, s.to.port)];
      const [destination, port] = s.to.ours ? ourEnd(state, s.to) : outside;
      const sourcePort = INSIDE_PORTS[s.port] ?? 40_000 + s.port;
      return {
        slot: s.slot,
        packet: build(s.what, pick(HOSTS, s.host), destination, sourcePort, s.what.protocol === ICMP ? 0 : port),
      };
    }
    case 'in': {
      const [destination, port] = ourEnd(state, s.to);
      const sourcePort = s.what.protocol === ICMP ? 0 : pick(REMOTE_PORTS, s.port);
      return { slot: undefined, packet: build(s.what, pick(REMOTES, s.remote), destination, sourcePort, port) };
    }
    case 'more':
      return more(state, s);
    default:
      return error(state, s);
  }
}

function more(state: NatState, s: Extract<Step, { kind: 'more' }>): Made | undefined {
  const d = directionAt(state, s.which);
  if (!d) return undefined;
  const { protocol } = d.session;
  const other = d.session.directions.find((x) => x !== d)!;
  // A reset before both sides were heard says nothing that the state keeps in the same words.
  const reset = s.flags === RST && !(d.flags & other.flags & ACK);
  const asks = d === d.session.directions[0];
  const w = { protocol, flags: reset ? ACK : s.flags, type: asks ? 8 : 0, checksum: true, length: s.length };
  const p = build(w, d.from.source, d.from.destination, d.from.sourcePort, d.from.destinationPort);
  if (protocol === TCP) {
    const seq = w.flags === RST ? (other.ack + (s.inWindow ? 1 : 0x100_0000)) >>> 0 : 5000 + s.which;
    new DataView(p.payload.buffer).setUint32(4, seq);
  }
  return { slot: d.sender, packet: sealed(p) };
}

/** About a packet of the direction as its receiver got it. */
function error(state: NatState, s: Extract<Step, { kind: 'error' }>): Made | undefined {
  const d = directionAt(state, s.which);
  if (!d) return undefined;
  const { protocol } = d.session;
  const asks = d === d.session.directions[0];
  const w = { protocol, flags: ACK, type: asks ? 8 : 0, checksum: true, length: 33 };
  const before = build(w, d.from.source, d.from.destination, d.from.sourcePort, d.from.destinationPort);
  const got = translated(
    before,
    d.from,
    s.strange ? { ...d.to, sourcePort: d.to.sourcePort ^ 8, destinationPort: d.to.destinationPort ^ 8 } : d.to,
  );
  if (!endpointsOf(got)) return undefined;
  const payload = new Uint8Array(8 + 20 + s.quoted);
  payload[0] = s.type;
  payload[1] = s.type === 3 ? 4 : 0;
  if (s.type === 3) putU16(payload, 6, 1400);
  payload.set(ipHeader(got, got.payload.length), 8);
  payload.set(got.payload.subarray(0, s.quoted), 28);
  const router = d.inside === undefined ? ('65.9.9.9' as Address) : routerOf(got.destination);
  const packet = {
    ...got,
    protocol: ICMP,
    source: s.router ? router : got.destination,
    destination: got.source,
    tos: 0xc0,
    fragment: 0,
    payload,
  };
  return { slot: d.inside, packet: sealed(packet) };
}

/** The `.254` of a host's network. */
const routerOf = (host: Address): Address => addressFromBytes(addressBytes(host).with(3, 254));
