/** IP packets as the reference model sees and makes them: slowly, from the RFCs, over whole byte arrays. */
import { ROUTER_MAC } from '../../compartments/policy.ts';
import { internetChecksum } from '../../encap/outer.ts';
import {
  type Address,
  addressBytes,
  addressFromBytes,
  type Family,
  familyOf,
  type Mac,
  macBytes,
} from '../../lib/address.ts';

export const ETHERNET = 14;
const ICMP = 1;
const ICMPV6 = 58;
/** What an error quotes at most. */
const QUOTE = 96;

export const u16 = (b: Uint8Array, at: number): number => (b[at]! << 8) | b[at + 1]!;

export interface Packet {
  readonly family: Family;
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: number;
  readonly ttl: number;
  readonly tos: number;
  /** Where the payload begins in the packet. */
  readonly header: number;
  /** Bits of a fragment: more, offset; IPv6 fragments have a header of their own. */
  readonly fragment: number;
}

/** Of bytes that begin with the IP header; undefined when the header is not whole or says more than there is. */
export function parsePacket(b: Uint8Array, family: Family): Packet | undefined {
  if (b.length < (family === 4 ? 20 : 40) || b[0]! >> 4 !== family) return undefined;
  if (family === 6) {
    if (40 + u16(b, 4) > b.length) return undefined;
    return {
      family,
      source: addressFromBytes(b.subarray(8, 24)),
      destination: addressFromBytes(b.subarray(24, 40)),
      protocol: b[6]!,
      ttl: b[7]!,
      tos: (u16(b, 0) >> 4) & 0xff,
      header: 40,
      fragment: 0,
    };
  }
  const header = (b[0]! & 15) * 4;
  if (header < 20 || u16(b, 2) < header || u16(b, 2) > b.length) return undefined;
  return {
    family,
    source: addressFromBytes(b.subarray(12, 16)),
    destination: addressFromBytes(b.subarray(16, 20)),
    protocol: b[9]!,
    ttl: b[8]!,
    tos: b[1]!,
    header,
    fragment: u16(b, 6) & 0x3fff,
  };
}

/** Writes a word and corrects the checksum at `sum` as a router does, so that a wrong checksum stays wrong (RFC 1624). */
export function rewriteWord(b: Uint8Array, at: number, value: number, sum: number): void {
  const old = u16(b, at);
  if (old === value) return;
  const words = Uint8Array.of(~b[sum]!, ~b[sum + 1]!, ~(old >> 8), ~old, value >> 8, value);
  const check = internetChecksum(words);
  b.set([value >> 8, value & 0xff], at);
  b.set([check >> 8, check & 0xff], sum);
}

/** Of a frame, in place. */
export function setTtl(frame: Uint8Array, p: Packet, ttl: number): void {
  if (p.family === 4) rewriteWord(frame, ETHERNET + 8, (ttl << 8) | p.protocol, ETHERNET + 10);
  else frame[ETHERNET + 7] = ttl;
}

export function setTos(frame: Uint8Array, p: Packet, tos: number): void {
  if (p.family === 4) rewriteWord(frame, ETHERNET, (frame[ETHERNET]! << 8) | tos, ETHERNET + 10);
  else {
    frame[ETHERNET] = 0x60 | (tos >> 4);
    frame[ETHERNET + 1] = ((tos & 15) << 4) | (frame[ETHERNET + 1]! & 15);
  }
}

/** The table of RFC 6040 §4.2, figure 4; rows inner, columns outer, in the order Not-ECT, ECT(1), ECT(0), CE. */
export function decapsulatedEcn(inner: number, outer: number): number | undefined {
  const table: readonly (readonly (number | undefined)[])[] = [
    [0, 0, 0, undefined],
    [1, 1, 1, 3],
    [2, 1, 2, 3],
    [3, 3, 3, 3],
  ];
  return table[inner]![outer];
}

export interface Message {
  readonly to: Mac;
  readonly from: Mac;
  readonly source: Address;
  readonly destination: Address;
  readonly ttl: number;
  readonly tos: number;
  /** ICMP or ICMPv6, its checksum zero. */
  readonly body: Uint8Array;
}

/** A frame with an ICMP message of the family of its addresses; IPv4 without identification and with DF (RFC 6864). */
export function messageFrame(m: Message): Uint8Array {
  const ipv6 = familyOf(m.destination) === 6;
  const [source, destination] = [addressBytes(m.source), addressBytes(m.destination)];
  const { length } = m.body;
  const header = ipv6
    ? [
        0x60 | (m.tos >> 4),
        (m.tos & 15) << 4,
        0,
        0,
        length >> 8,
        length & 255,
        ICMPV6,
        m.ttl,
        ...source,
        ...destination,
      ]
    : [
        0x45,
        m.tos,
        (length + 20) >> 8,
        (length + 20) & 255,
        0,
        0,
        0x40,
        0,
        m.ttl,
        ICMP,
        0,
        0,
        ...source,
        ...destination,
      ];
  const frame = Uint8Array.from([
    ...macBytes(m.to),
    ...macBytes(m.from),
    ...(ipv6 ? [0x86, 0xdd] : [8, 0]),
    ...header,
    ...m.body,
  ]);
  const pseudo = ipv6 ? [...source, ...destination, 0, 0, length >> 8, length & 255, 0, 0, 0, ICMPV6] : [];
  const check = internetChecksum(Uint8Array.from([...pseudo, ...m.body]));
  frame.set([check >> 8, check & 255], ETHERNET + header.length + 2);
  if (!ipv6) {
    const sum = internetChecksum(frame.subarray(ETHERNET, ETHERNET + 20));
    frame.set([sum >> 8, sum & 255], ETHERNET + 10);
  }
  return frame;
}

/** Types and codes of RFC 792, RFC 1191 and RFC 4443 for the reasons that are answered. */
const ERRORS: Readonly<
  Record<string, { readonly 4: readonly [number, number]; readonly 6: readonly [number, number] }>
> = {
  TOO_BIG: { 4: [3, 4], 6: [2, 0] },
  TTL_EXCEEDED: { 4: [11, 0], 6: [3, 0] },
  NO_ROUTE: { 4: [3, 0], 6: [1, 0] },
  NO_RECORD: { 4: [3, 1], 6: [1, 3] },
};

/** RFC 1122 §3.2.2, RFC 4443 §2.4 (e). */
function mayAnswer(packet: Uint8Array, p: Packet): boolean {
  if (p.family === 6) {
    if (p.source === '::' || p.source.startsWith('ff')) return false;
    return p.protocol === ICMPV6 ? (packet[40] ?? 0) >= 128 : [6, 17, 50, 132].includes(p.protocol);
  }
  const first = Number(p.source.split('.')[0]);
  if (p.fragment & 0x1fff || first === 0 || first === 127 || first >= 224) return false;
  const type = packet[p.header];
  return p.protocol !== ICMP || (type !== undefined && [0, 8, 13, 14, 15, 16, 17, 18].includes(type));
}

/** What the distributed router answers to a frame that it drops; undefined when it must not. */
export function errorFrame(
  frame: Uint8Array,
  p: Packet,
  to: Mac,
  from: Address,
  reason: string,
  mtu: number,
): Uint8Array | undefined {
  const packet = frame.subarray(ETHERNET);
  if (!mayAnswer(packet, p)) return undefined;
  const [type, code] = ERRORS[reason]![p.family];
  const info = reason === 'TOO_BIG' ? mtu : 0;
  const body = Uint8Array.from([type, code, 0, 0, 0, 0, info >> 8, info & 255, ...packet.subarray(0, QUOTE)]);
  const tos = p.family === 4 ? 0xc0 : 0;
  return messageFrame({ to, from: ROUTER_MAC, source: from, destination: p.source, ttl: 64, tos, body });
}
