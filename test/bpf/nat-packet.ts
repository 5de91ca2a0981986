/** IPv4 packets as the NAT model sees and makes them: slowly, from the RFCs (791, 768, 792, 9293), over whole byte arrays. */
import { internetChecksum } from '../../encap/outer.ts';
import { type Address, addressBytes, addressFromBytes } from '../../lib/address.ts';

export const ETHERNET = 14;
export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const ACK = 16;

export const u16 = (b: Uint8Array, at: number): number => (b[at]! << 8) | b[at + 1]!;
export const u32 = (b: Uint8Array, at: number): number => ((u16(b, at) << 16) | u16(b, at + 2)) >>> 0;
export const putU16 = (b: Uint8Array, at: number, value: number): void => b.set([(value >> 8) & 255, value & 255], at);

export interface Ip {
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: number;
  readonly ttl: number;
  readonly tos: number;
  readonly id: number;
  /** Flags and offset. */
  readonly fragment: number;
  readonly payload: Uint8Array;
}

export interface Endpoints {
  readonly source: Address;
  readonly destination: Address;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** An Ethernet frame with an IPv4 packet without options. */
export function frameOf(p: Ip, to: Uint8Array, from: Uint8Array): Uint8Array {
  const b = new Uint8Array(ETHERNET + 20 + p.payload.length);
  b.set(to, 0);
  b.set(from, 6);
  putU16(b, 12, 0x0800);
  b.set(ipHeader(p, p.payload.length), ETHERNET);
  b.set(p.payload, ETHERNET + 20);
  return b;
}

/** Twenty bytes. */
export function ipHeader(p: Ip, length: number): Uint8Array {
  const b = new Uint8Array(20);
  b.set([0x45, p.tos]);
  putU16(b, 2, 20 + length);
  putU16(b, 4, p.id);
  putU16(b, 6, p.fragment);
  b.set([p.ttl, p.protocol], 8);
  b.set(addressBytes(p.source), 12);
  b.set(addressBytes(p.destination), 16);
  putU16(b, 10, internetChecksum(b));
  return b;
}

/** The packet in a frame, when it is IPv4 without options and whole. */
export const parseFrame = (frame: Uint8Array): Ip | undefined =>
  u16(frame, 12) === 0x0800 ? parseIp(frame.subarray(ETHERNET)) : undefined;

/** @param cut the payload may be shorter than the header says: the packet is quoted. */
export function parseIp(b: Uint8Array, cut = false): Ip | undefined {
  if (b.length < 20 || b[0] !== 0x45) return undefined;
  const length = u16(b, 2);
  if (length < 20 || (length > b.length && !cut)) return undefined;
  return {
    source: addressFromBytes(b.subarray(12, 16)),
    destination: addressFromBytes(b.subarray(16, 20)),
    protocol: b[9]!,
    ttl: b[8]!,
    tos: b[1]!,
    id: u16(b, 4),
    fragment: u16(b, 6),
    payload: Uint8Array.from(b.subarray(20, Math.min(b.length, length))),
  };
}

export const checksumOk = (header: Uint8Array): boolean => internetChecksum(header) === 0;

const pseudo = (p: Ip): Uint8Array =>
  Uint8Array.from([
    ...addressBytes(p.source),
    ...addressBytes(p.destination),
    0,
    p.protocol,
    p.payload.length >> 8,
    p.payload.length & 255,
  ]);

/** With the checksum of its protocol made right; `udpWithout`: UDP says that it has none. */
export function sealed(p: Ip, udpWithout = false): Ip {
  const payload = p.payload.slice();
  const at = { [ICMP]: 2, [TCP]: 16, [UDP]: 6 }[p.protocol];
  if (at === undefined) return p;
  putU16(payload, at, 0);
  if (p.protocol === UDP && udpWithout) return { ...p, payload };
  const over = p.protocol === ICMP ? payload : Uint8Array.from([...pseudo({ ...p, payload }), ...payload]);
  const sum = internetChecksum(over);
  putU16(payload, at, p.protocol === UDP && sum === 0 ? 0xffff : sum);
  return { ...p, payload };
}

/** The checksum over the whole is right, or UDP has none. */
export function isSealed(p: Ip): boolean {
  if (p.protocol === UDP && u16(p.payload, 6) === 0) return true;
  const over = p.protocol === ICMP ? p.payload : Uint8Array.from([...pseudo(p), ...p.payload]);
  return internetChecksum(over) === 0;
}

export const isQuery = (type: number): boolean => [0, 8, 13, 14, 15, 16, 17, 18].includes(type);
export const isRequest = (type: number): boolean => [8, 13, 15, 17].includes(type);
/** Destination Unreachable, Time Exceeded, Parameter Problem; Source Quench is obsolete (RFC 6633). */
export const isError = (type: number): boolean => [3, 11, 12].includes(type);

/**
 * Where a session's packet comes from and goes to. The identifier of an ICMP query stands for the port of whoever asks: the source
 * of a request, the destination of an answer. Undefined where there are no ports.
 */
export function endpointsOf(p: Ip): Endpoints | undefined {
  const b = p.payload;
  const ends = { source: p.source, destination: p.destination };
  if (p.protocol === TCP || p.protocol === UDP)
    return b.length < 4 ? undefined : { ...ends, sourcePort: u16(b, 0), destinationPort: u16(b, 2) };
  if (p.protocol !== ICMP || b.length < 8 || !isQuery(b[0]!)) return undefined;
  const [id, asks] = [u16(b, 4), isRequest(b[0]!)];
  return { ...ends, sourcePort: asks ? id : 0, destinationPort: asks ? 0 : id };
}

/** RFC 1624 equation 3: the checksum after 16-bit words were exchanged for others. */
export function adjusted(checksum: number, from: readonly number[], to: readonly number[]): number {
  let sum = ~checksum & 0xffff;
  for (const w of from) sum += ~w & 0xffff;
  for (const w of to) sum += w;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

const words = (e: Endpoints, protocol: number): number[] => {
  const [s, d] = [addressBytes(e.source), addressBytes(e.destination)];
  const ports = [e.sourcePort, e.destinationPort];
  return protocol === ICMP ? ports : [u16(s, 0), u16(s, 2), u16(d, 0), u16(d, 2), ...ports];
};

/** The packet with other endpoints; its payload may be cut off anywhere after the ports. */
export function translated(p: Ip, from: Endpoints, to: Endpoints): Ip {
  const payload = p.payload.slice();
  if (p.protocol === ICMP) putU16(payload, 4, to.sourcePort || to.destinationPort);
  else {
    putU16(payload, 0, to.sourcePort);
    putU16(payload, 2, to.destinationPort);
  }
  const at = { [ICMP]: 2, [TCP]: 16, [UDP]: 6 }[p.protocol]!;
  const absent = p.protocol === UDP && u16(payload, 6) === 0;
  if (payload.length >= at + 2 && !absent) {
    const sum = adjusted(u16(payload, at), words(from, p.protocol), words(to, p.protocol));
    putU16(payload, at, p.protocol === UDP && sum === 0 ? 0xffff : sum);
  }
  return { ...p, source: to.source, destination: to.destination, payload };
}

/** The same for fragments after the first and for one-to-one: addresses alone, and the checksum that covers them if it is there. */
export function readdressed(p: Ip, source: Address, destination: Address): Ip {
  const first = (p.fragment & 0x1fff) === 0;
  const at = { [TCP]: 16, [UDP]: 6 }[p.protocol];
  const payload = p.payload.slice();
  const ends = { sourcePort: 0, destinationPort: 0 };
  if (first && at !== undefined && payload.length >= at + 2 && !(p.protocol === UDP && u16(payload, 6) === 0)) {
    const sum = adjusted(
      u16(payload, at),
      words({ source: p.source, destination: p.destination, ...ends }, p.protocol),
      words({ source, destination, ...ends }, p.protocol),
    );
    putU16(payload, at, p.protocol === UDP && sum === 0 ? 0xffff : sum);
  }
  return { ...p, source, destination, payload };
}

/** 0x0000 and 0xffff are the same number of ones' complement; which of the two a sum gives does not matter. */
export const sameChecksum = (a: number, b: number): boolean => a % 0xffff === b % 0xffff;
