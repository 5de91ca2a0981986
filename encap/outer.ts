/**
 * The outer Ethernet and IP headers of the provider wire, IPv4 (RFC 791) and IPv6 (RFC 8200), as the overlay uses them: no
 * options, no extension headers, no fragments. Pure, total.
 */
import {
  type Address,
  addressBytes,
  addressFromBytes,
  familyOf,
  type Mac,
  macBytes,
  macFromBytes,
} from '../lib/address.ts';
import { err, ok, type Result } from '../lib/result.ts';

const ETHERNET = 14;
export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_IPV6 = 0x86dd;
const DONT_FRAGMENT = 0x4000;

export interface OuterHeader {
  readonly destinationMac: Mac;
  readonly sourceMac: Mac;
  readonly destination: Address; // provider addresses, both of one family
  readonly source: Address;
  readonly tos: number; // DSCP and ECN
  readonly ttl: number;
}

export type OuterError = 'TRUNCATED' | 'NOT_IP' | 'CHECKSUM' | 'FRAGMENT' | 'PROTOCOL';

/** Internet checksum (RFC 1071), an odd last byte counted as if a zero followed; 0 for bytes with a right checksum in them. */
export function internetChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** The whole frame around what follows the IP header. */
export function encodeOuter(h: OuterHeader, protocol: number, payload: Uint8Array): Uint8Array {
  const ipv6 = familyOf(h.destination) === 6;
  const header = ETHERNET + (ipv6 ? 40 : 20);
  const bytes = new Uint8Array(header + payload.length);
  const view = new DataView(bytes.buffer);
  bytes.set(macBytes(h.destinationMac), 0);
  bytes.set(macBytes(h.sourceMac), 6);
  view.setUint16(12, ipv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
  bytes.set(payload, header);
  if (ipv6) {
    view.setUint32(14, (0x60000000 | (h.tos << 20)) >>> 0);
    view.setUint16(18, payload.length);
    view.setUint8(20, protocol);
    view.setUint8(21, h.ttl);
    bytes.set(addressBytes(h.source), 22);
    bytes.set(addressBytes(h.destination), 38);
    return bytes;
  }
  view.setUint16(14, (0x45 << 8) | h.tos);
  view.setUint16(16, 20 + payload.length);
  view.setUint16(20, DONT_FRAGMENT);
  view.setUint8(22, h.ttl);
  view.setUint8(23, protocol);
  bytes.set(addressBytes(h.source), 26);
  bytes.set(addressBytes(h.destination), 30);
  view.setUint16(24, internetChecksum(bytes.subarray(ETHERNET, header)));
  return bytes;
}

/** The header and what follows the IP header, when the frame is whole and of that protocol. */
export function decodeOuter(
  bytes: Uint8Array,
  protocol: number,
): Result<{ readonly header: OuterHeader; readonly payload: Uint8Array }, OuterError> {
  if (bytes.length < ETHERNET + 20) return err('TRUNCATED');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const macs = { destinationMac: macFromBytes(bytes.subarray(0, 6)), sourceMac: macFromBytes(bytes.subarray(6, 12)) };
  const type = view.getUint16(12);
  const version = view.getUint8(14) >> 4;
  if (type === ETHERTYPE_IPV6 && version === 6) {
    const end = ETHERNET + 40 + view.getUint16(18);
    if (end > bytes.length) return err('TRUNCATED');
    if (view.getUint8(20) !== protocol) return err('PROTOCOL');
    const header = {
      ...macs,
      destination: addressFromBytes(bytes.subarray(38, 54)),
      source: addressFromBytes(bytes.subarray(22, 38)),
      tos: (view.getUint16(14) >> 4) & 0xff,
      ttl: view.getUint8(21),
    };
    return ok({ header, payload: bytes.subarray(ETHERNET + 40, end) });
  }
  const start = ETHERNET + (view.getUint8(14) & 15) * 4;
  if (type !== ETHERTYPE_IPV4 || version !== 4 || start < ETHERNET + 20) return err('NOT_IP');
  const end = ETHERNET + view.getUint16(16);
  if (end < start || end > bytes.length) return err('TRUNCATED');
  if (internetChecksum(bytes.subarray(ETHERNET, start)) !== 0) return err('CHECKSUM');
  if (view.getUint16(20) & 0x3fff) return err('FRAGMENT');
  if (view.getUint8(23) !== protocol) return err('PROTOCOL');
  const header = {
    ...macs,
    destination: addressFromBytes(bytes.subarray(30, 34)),
    source: addressFromBytes(bytes.subarray(26, 30)),
    tos: view.getUint8(15),
    ttl: view.getUint8(22),
  };
  return ok({ header, payload: bytes.subarray(start, end) });
}
