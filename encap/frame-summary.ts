/**
 * The beginning of a frame in one line, for people who look at drops: Ethernet, ARP, IPv4, IPv6, ports, and NVGRE (RFC 7637) or
 * VXLAN (RFC 7348) with what is inside, as far as the bytes go. Pure, total: a frame that ends early is told up to there.
 */
import { addressFromBytes, macFromBytes } from '../lib/address.ts';

const ETHERNET = 14;
const [IPV4, ARP, IPV6, VLAN, TRANSPARENT_ETHERNET] = [0x0800, 0x0806, 0x86dd, 0x8100, 0x6558];
const [ICMP, TCP, UDP, GRE, ICMPV6] = [1, 6, 17, 47, 58];
const VXLAN_PORT = 4789;
const NAMES: Readonly<Record<number, string>> = { [ICMP]: 'ICMP', [TCP]: 'TCP', [UDP]: 'UDP', [ICMPV6]: 'ICMPv6' };

const u16 = (b: Uint8Array, at: number): number => (b[at]! << 8) | b[at + 1]!;
const u24 = (b: Uint8Array, at: number): number => (u16(b, at) << 8) | b[at + 2]!;

/** `02:00:00:00:00:01 > 02:00:00:00:00:02 IPv4 10.0.0.10 > 10.0.0.11 TCP 1234 > 80`. */
export function describeFrame(b: Uint8Array): string {
  if (b.length < ETHERNET) return `${b.length} bytes`;
  const macs = `${macFromBytes(b.subarray(6, 12))} > ${macFromBytes(b.subarray(0, 6))}`;
  return `${macs} ${payload(u16(b, 12), b.subarray(ETHERNET))}`;
}

function payload(type: number, b: Uint8Array): string {
  switch (type) {
    case IPV4:
      return ipv4(b);
    case IPV6:
      return ipv6(b);
    case ARP:
      return arp(b);
    case VLAN:
      return b.length < 4 ? 'VLAN' : `VLAN ${u16(b, 0) & 0xfff} ${payload(u16(b, 2), b.subarray(4))}`;
    default:
      return `EtherType 0x${type.toString(16).padStart(4, '0')}`;
  }
}

function arp(b: Uint8Array): string {
  if (b.length < 28 || u16(b, 2) !== IPV4 || b[4] !== 6 || b[5] !== 4) return 'ARP';
  const [sender, target] = [addressFromBytes(b.subarray(14, 18)), addressFromBytes(b.subarray(24, 28))];
  if (u16(b, 6) === 1) return `ARP who has ${target}, tell ${sender}`;
  return `ARP ${sender} is at ${macFromBytes(b.subarray(8, 14))}`;
}

function ipv4(b: Uint8Array): string {
  const header = (b[0]! & 15) * 4;
  if (b.length < 20 || header < 20) return 'IPv4';
  const ends = `IPv4 ${addressFromBytes(b.subarray(12, 16))} > ${addressFromBytes(b.subarray(16, 20))}`;
  if (u16(b, 6) & 0x1fff) return `${ends} fragment`;
  return `${ends} ${transport(b[9]!, b.subarray(header))}`;
}

function ipv6(b: Uint8Array): string {
  if (b.length < 40) return 'IPv6';
  const ends = `IPv6 ${addressFromBytes(b.subarray(8, 24))} > ${addressFromBytes(b.subarray(24, 40))}`;
  return `${ends} ${transport(b[6]!, b.subarray(40))}`;
}

function transport(protocol: number, b: Uint8Array): string {
  const name = NAMES[protocol];
  if (protocol === GRE) return gre(b);
  if (name === undefined) return `protocol ${protocol}`;
  if (protocol === ICMP || protocol === ICMPV6) return b.length < 2 ? name : `${name} type ${b[0]} code ${b[1]}`;
  if (b.length < 4) return name;
  if (protocol === UDP && u16(b, 2) === VXLAN_PORT) return inside('VXLAN', b.subarray(8), 4, 8);
  return `${name} ${u16(b, 0)} > ${u16(b, 2)}`;
}

function gre(b: Uint8Array): string {
  if (b.length < 4) return 'GRE';
  const [flags, type] = [u16(b, 0), u16(b, 2)];
  const named = `GRE flags 0x${flags.toString(16).padStart(4, '0')} protocol 0x${type.toString(16).padStart(4, '0')}`;
  return flags === 0x2000 && type === TRANSPARENT_ETHERNET ? inside('NVGRE', b, 4, 8) : named;
}

/** An encapsulated frame whose 24 bits of virtual subnet stand at `id`. */
function inside(name: string, b: Uint8Array, id: number, header: number): string {
  if (b.length < id + 3) return name;
  const vsid = `${name} ${u24(b, id)}`;
  return b.length > header ? `${vsid}: ${describeFrame(b.subarray(header))}` : vsid;
}
