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

/** Strict: four decimal parts without leading zeros, or RFC 4291 text without a zone. */
export function parseAddress(text: string): Address | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text) && !/(^|\.)0\d/.test(text)) return text as Address;
  if (text.includes(':') && !text.includes('%') && ipaddr.IPv6.isValid(text))
    return ipaddr.IPv6.parse(text).toRFC5952String() as Address;
  return undefined;
}

export const familyOf = (a: Address): Family => (a.includes(':') ? 6 : 4);

/** 4 or 16 bytes in network order. */
export const addressBytes = (a: Address): Uint8Array => Uint8Array.from(ipaddr.parse(a).toByteArray());

/** 16 bytes; IPv4 as `::ffff:a.b.c.d`, the form of every address in our eBPF maps. */
export function mappedBytes(a: Address): Uint8Array {
  const b = addressBytes(a);
  if (b.length === 16) return b;
  const m = new Uint8Array(16);
  m[10] = m[11] = 0xff;
  m.set(b, 12);
  return m;
}

/** The reverse of addressBytes (4 or 16 bytes) and of mappedBytes (an IPv4-mapped address comes back as IPv4). */
export function addressFromBytes(b: Uint8Array): Address {
  const mapped = b.length === 16 && b.subarray(0, 10).every((x) => x === 0) && b[10] === 0xff && b[11] === 0xff;
  const a = ipaddr.fromByteArray([...(mapped ? b.subarray(12) : b)]);
  return (a instanceof ipaddr.IPv6 ? a.toRFC5952String() : a.toString()) as Address;
}

/** Accepts the cmdlets' twelve hex digits and the forms with `:` or `-`. */
export function parseMac(text: string): Mac | undefined {
  const hex = /^([0-9a-f]{2}([:-])(?:[0-9a-f]{2}\2){4}[0-9a-f]{2}|[0-9a-f]{12})$/i.test(text)
    ? text.replace(/[:-]/g, '').toLowerCase()
    : undefined;
  return hex?.match(/../g)?.join(':') as Mac | undefined;
}

export const macBytes = (m: Mac): Uint8Array => Uint8Array.from(m.split(':'), (x) => Number.parseInt(x, 16));
export const macFromBytes = (b: Uint8Array): Mac =>
  Array.from(b, (x) => x.toString(16).padStart(2, '0')).join(':') as Mac;
