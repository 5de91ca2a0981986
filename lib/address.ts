/**
 * IP and MAC addresses as canonical text. Canonical text compares with `===`, is a map key, prints and serialises as it is;
 * bytes exist only at the edges (codecs, eBPF map keys). IPv6 text follows RFC 5952.
 */
import ipaddr from 'ipaddr.js';

/** Canonical IPv4 or IPv6 text, for instance `10.0.0.1` or `fd00::1`. */
export type Address = string & { readonly __address: true };
/** Lower-case MAC with colons, for instance `10:10:10:10:11:05`. */
export type Mac = string & { readonly __mac: true };
export type Family = 4 | 6;

const ZERO = 0x30;
const NINE = 0x39;
const DOT = 0x2e;
const LOWER_A = 0x61;

/** Strict: four decimal parts without leading zeros, or RFC 4291 text without a zone. */
export function parseAddress(text: string): Address | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text) && !/(^|\.)0\d/.test(text)) return text as Address;
  if (text.includes(':') && !text.includes('%') && ipaddr.IPv6.isValid(text))
    return ipaddr.IPv6.parse(text).toRFC5952String() as Address;
  return undefined;
}

export const familyOf = (a: Address): Family => (a.includes(':') ? 6 : 4);

/** Writes the four bytes of canonical IPv4 text: by hand, because a policy of a million records asks for millions. */
function putIpv4(target: Uint8Array, at: number, text: string): void {
  let part = 0;
  let to = at;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === DOT) {
      target[to++] = part;
      part = 0;
    } else part = part * 10 + (c - ZERO);
  }
  target[to] = part;
}

/** The 32 bits of canonical IPv4 text, signed or not: for comparing bit by bit. */
export function ipv4Number(text: string): number {
  let [number, part] = [0, 0];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === DOT) {
      number = (number << 8) | part;
      part = 0;
    } else part = part * 10 + (c - ZERO);
  }
  return (number << 8) | part;
}

/** 4 or 16 bytes in network order. */
export function addressBytes(a: Address): Uint8Array {
  if (a.includes(':')) return Uint8Array.from(ipaddr.parse(a).toByteArray());
  const b = new Uint8Array(4);
  putIpv4(b, 0, a);
  return b;
}

/** 16 bytes; IPv4 as `::ffff:a.b.c.d`, the form of every address in our eBPF maps. */
export function mappedBytes(a: Address): Uint8Array {
  const m = new Uint8Array(16);
  putMapped(m, 0, a);
  return m;
}

/** Writes what mappedBytes gives into sixteen zero bytes. */
export function putMapped(target: Uint8Array, at: number, a: Address): void {
  if (a === '::') return;
  if (a.includes(':')) target.set(addressBytes(a), at);
  else {
    target[at + 10] = target[at + 11] = 0xff;
    putIpv4(target, at + 12, a);
  }
}

/** The reverse of addressBytes (4 or 16 bytes) and of mappedBytes (an IPv4-mapped address comes back as IPv4). */
export function addressFromBytes(b: Uint8Array): Address {
  const mapped = b.length === 16 && b[10] === 0xff && b[11] === 0xff && b.subarray(0, 10).every((x) => x === 0);
  if (mapped) return `${b[12]}.${b[13]}.${b[14]}.${b[15]}` as Address;
  if (b.length === 4) return `${b[0]}.${b[1]}.${b[2]}.${b[3]}` as Address;
  return (ipaddr.fromByteArray([...b]) as ipaddr.IPv6).toRFC5952String() as Address;
}

/** Accepts the cmdlets' twelve hex digits and the forms with `:` or `-`. */
export function parseMac(text: string): Mac | undefined {
  const hex = /^([0-9a-f]{2}([:-])(?:[0-9a-f]{2}\2){4}[0-9a-f]{2}|[0-9a-f]{12})$/i.test(text)
    ? text.replace(/[:-]/g, '').toLowerCase()
    : undefined;
  return hex?.match(/../g)?.join(':') as Mac | undefined;
}

/** Of the code of a hexadecimal digit; letters differ from their capitals in one bit. */
const nibble = (c: number): number => (c <= NINE ? c - ZERO : (c | 0x20) - LOWER_A + 10);

export function macBytes(m: Mac): Uint8Array {
  const b = new Uint8Array(6);
  putMac(b, 0, m);
  return b;
}

/** Writes what macBytes gives. */
export function putMac(target: Uint8Array, at: number, m: Mac): void {
  for (let i = 0; i < 6; i++) target[at + i] = (nibble(m.charCodeAt(3 * i)) << 4) | nibble(m.charCodeAt(3 * i + 1));
}

export const NO_MAC = '00:00:00:00:00:00' as Mac;
/** Whether it is for many: the lowest bit of its first byte (IEEE 802). */
export const isGroup = (m: Mac): boolean => (nibble(m.charCodeAt(1)) & 1) === 1;

const HEX = Array.from({ length: 256 }, (_, x) => x.toString(16).padStart(2, '0'));

export const macFromBytes = (b: Uint8Array): Mac =>
  `${HEX[b[0]!]}:${HEX[b[1]!]}:${HEX[b[2]!]}:${HEX[b[3]!]}:${HEX[b[4]!]}:${HEX[b[5]!]}` as Mac;
