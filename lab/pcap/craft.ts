/** Frames that an attacker would send (check 4): built byte by byte, because no ordinary tool sends them. */
import { type Address, addressBytes, type Mac, macBytes } from '../../lib/address.ts';
import { ETHERTYPE, PROTOCOL } from './frame.ts';

const be16 = (n: number): number[] => [(n >> 8) & 0xff, n & 0xff];

/** RFC 1071. */
export function checksum(b: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < b.length; i += 2) sum += (b[i]! << 8) | (b[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

export const ethernet = (
  source: string,
  destination: string,
  etherType: number,
  payload: Uint8Array,
  vlan?: number,
): Uint8Array =>
  Uint8Array.from([
    ...macBytes(destination as Mac),
    ...macBytes(source as Mac),
    ...(vlan === undefined ? [] : [...be16(ETHERTYPE.VLAN), ...be16(vlan)]),
    ...be16(etherType),
    ...payload,
  ]);

export function ipv4(source: string, destination: string, protocol: number, payload: Uint8Array): Uint8Array {
  const b = Uint8Array.from([
    ...[0x45, 0, ...be16(20 + payload.length), 0, 0, 0, 0, 64, protocol, 0, 0],
    ...addressBytes(source as Address),
    ...addressBytes(destination as Address),
    ...payload,
  ]);
  b.set(be16(checksum(b.subarray(0, 20))), 10);
  return b;
}

/** Identifier of our echo requests, by which a capture picks them out. */
export const ECHO_IDENTIFIER = 0x4c41;

/** An ICMP echo request whose data is `text`, so that it is recognised wherever it turns up. */
export function echoRequest(source: string, destination: string, text: string): Uint8Array {
  const icmp = Uint8Array.from([8, 0, 0, 0, ...be16(ECHO_IDENTIFIER), 0, 1, ...new TextEncoder().encode(text)]);
  icmp.set(be16(checksum(icmp)), 2);
  return ipv4(source, destination, PROTOCOL.ICMP, icmp);
}

/** GRE with key and an Ethernet frame (RFC 7637 §3.2), the payload of an IPv4 packet. */
export const nvgre = (vsid: number, inner: Uint8Array): Uint8Array =>
  Uint8Array.from([
    ...be16(0x2000),
    ...be16(ETHERTYPE.TRANSPARENT_BRIDGING),
    vsid >> 16,
    ...be16(vsid & 0xffff),
    7,
    ...inner,
  ]);

export const hex = (b: Uint8Array): string => Buffer.from(b).toString('hex');
