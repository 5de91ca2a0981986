/** IP prefixes as canonical text, host bits cleared: `10.0.0.0/24`, `fd00::/64`. */
import {
  type Address,
  addressBytes,
  addressFromBytes,
  type Family,
  familyOf,
  ipv4Number,
  parseAddress,
} from './address.ts';

export type Prefix = string & { readonly __prefix: true };

/** `address/length`; host bits are cleared, as the cmdlets do. */
export function parsePrefix(text: string): Prefix | undefined {
  const m = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const address = m && parseAddress(m[1]!);
  const length = Number(m?.[2]);
  // An IPv4-mapped network is neither of the two families; its bytes would come back as IPv4 with a length of 96 too many.
  if (address?.startsWith('::ffff:')) return undefined;
  if (!address || length > (familyOf(address) === 4 ? 32 : 128)) return undefined;
  return prefixOf(address, length);
}

/** The prefix of the given length that holds the address. */
export function prefixOf(address: Address, length: number): Prefix {
  const b = addressBytes(address);
  for (let i = 0; i < b.length; i++) b[i]! &= 0xff << (8 - Math.min(8, Math.max(0, length - 8 * i)));
  return `${addressFromBytes(b)}/${length}` as Prefix;
}

export const networkOf = (p: Prefix): Address => p.slice(0, p.indexOf('/')) as Address;
export const lengthOf = (p: Prefix): number => Number(p.slice(p.indexOf('/') + 1));
export const prefixFamily = (p: Prefix): Family => familyOf(networkOf(p));
export const isDefault = (p: Prefix): boolean => lengthOf(p) === 0;

export function contains(p: Prefix, a: Address): boolean {
  const network = networkOf(p);
  if (familyOf(network) !== familyOf(a)) return false;
  const length = lengthOf(p);
  const [of, at] = [addressBytes(network), addressBytes(a)];
  const whole = length >> 3;
  for (let i = 0; i < whole; i++) if (of[i] !== at[i]) return false;
  const rest = 0xff << (8 - (length & 7));
  return (length & 7) === 0 || (of[whole]! & rest) === (at[whole]! & rest);
}

/** `contains` of a prefix that is asked for many addresses. */
export type Covering = (a: Address) => boolean;

export function covering(p: Prefix): Covering {
  if (prefixFamily(p) === 6) return (a) => contains(p, a);
  const length = lengthOf(p);
  const network = ipv4Number(networkOf(p));
  const mask = length === 0 ? 0 : -1 << (32 - length);
  return (a) => familyOf(a) === 4 && ((ipv4Number(a) ^ network) & mask) === 0;
}

export const overlaps = (a: Prefix, b: Prefix): boolean =>
  lengthOf(a) <= lengthOf(b) ? contains(a, networkOf(b)) : contains(b, networkOf(a));

/** The `.1` of a virtual subnet: network address + 1, reserved for the distributed router (R-ENC-4). */
export function routerOf(p: Prefix): Address {
  const b = addressBytes(networkOf(p));
  b[b.length - 1]! |= 1;
  return addressFromBytes(b);
}
