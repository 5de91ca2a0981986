/**
 * Codec of NVGRE frames over IPv4 (RFC 7637 §3.2): the whole Ethernet frame of the provider wire. The product's packets are
 * made and read by the eBPF programs; this is for tests, benchmarks and tools. Pure, total: never throws on input.
 */
import type { Vsid } from '../compartments/compartment.ts';
import { type Address, addressBytes, addressFromBytes, type Mac, macBytes, macFromBytes } from '../lib/address.ts';
import { err, ok, type Result } from '../lib/result.ts';

const ETHERNET = 14;
const IPV4 = 20;
const GRE = 8;
export const ETHERTYPE_IPV4 = 0x0800;
export const PROTOCOL_GRE = 47;
export const GRE_ETHERNET = 0x6558;
/** K present, nothing else; version 0. */
export const GRE_FLAGS = 0x2000;
const DONT_FRAGMENT = 0x4000;

export interface NvgreFrame {
  readonly destinationMac: Mac;
  readonly sourceMac: Mac;
  readonly destination: Address; // provider addresses, IPv4
  readonly source: Address;
  readonly tos: number;
  readonly ttl: number;
  readonly vsid: Vsid;
  readonly flowId: number; // 0 … 255
  readonly inner: Uint8Array; // Ethernet frame of the tenant
}

export type NvgreError = 'TRUNCATED' | 'NOT_IPV4' | 'CHECKSUM' | 'FRAGMENT' | 'NOT_GRE' | 'BAD_GRE';

/** Internet checksum (RFC 1071) over bytes of even length; 0 for a header with a right checksum. */
export function internetChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i + 1 < bytes.length; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export function encodeNvgre(f: NvgreFrame): Uint8Array {
  const bytes = new Uint8Array(ETHERNET + IPV4 + GRE + f.inner.length);
  const view = new DataView(bytes.buffer);
  bytes.set(macBytes(f.destinationMac), 0);
  bytes.set(macBytes(f.sourceMac), 6);
  view.setUint16(12, ETHERTYPE_IPV4);
  view.setUint16(14, (0x45 << 8) | f.tos);
  view.setUint16(16, IPV4 + GRE + f.inner.length);
  view.setUint16(20, DONT_FRAGMENT);
  view.setUint8(22, f.ttl);
  view.setUint8(23, PROTOCOL_GRE);
  bytes.set(addressBytes(f.source), 26);
  bytes.set(addressBytes(f.destination), 30);
  view.setUint16(24, internetChecksum(bytes.subarray(ETHERNET, ETHERNET + IPV4)));
  view.setUint16(34, GRE_FLAGS);
  view.setUint16(36, GRE_ETHERNET);
  view.setUint32(38, ((f.vsid << 8) | f.flowId) >>> 0);
  bytes.set(f.inner, ETHERNET + IPV4 + GRE);
  return bytes;
}

export function decodeNvgre(bytes: Uint8Array): Result<NvgreFrame, NvgreError> {
  if (bytes.length < ETHERNET + IPV4) return err('TRUNCATED');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = (view.getUint8(14) & 15) * 4;
  if (view.getUint16(12) !== ETHERTYPE_IPV4 || view.getUint8(14) >> 4 !== 4 || headerLength < IPV4)
    return err('NOT_IPV4');
  const total = view.getUint16(16);
  if (total < headerLength + GRE || ETHERNET + total > bytes.length) return err('TRUNCATED');
  if (internetChecksum(bytes.subarray(ETHERNET, ETHERNET + headerLength)) !== 0) return err('CHECKSUM');
  if (view.getUint16(20) & 0x3fff) return err('FRAGMENT');
  if (view.getUint8(23) !== PROTOCOL_GRE) return err('NOT_GRE');
  const gre = ETHERNET + headerLength;
  if (view.getUint16(gre) !== GRE_FLAGS || view.getUint16(gre + 2) !== GRE_ETHERNET) return err('BAD_GRE');
  const inner = bytes.subarray(gre + GRE, ETHERNET + total);
  if (inner.length < ETHERNET) return err('TRUNCATED');
  const key = view.getUint32(gre + 4);
  return ok({
    destinationMac: macFromBytes(bytes.subarray(0, 6)),
    sourceMac: macFromBytes(bytes.subarray(6, 12)),
    destination: addressFromBytes(bytes.subarray(30, 34)),
    source: addressFromBytes(bytes.subarray(26, 30)),
    tos: view.getUint8(15),
    ttl: view.getUint8(22),
    vsid: key >>> 8,
    flowId: key & 0xff,
    inner,
  });
}
