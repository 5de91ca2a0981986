/**
 * What the wires of the lab may carry, taken apart: Ethernet II, 802.1Q, ARP (RFC 826), IPv4 (RFC 791), UDP, GRE (RFC 2784, 2890)
 * and NVGRE (RFC 7637 §3.2). Headers only, so that frames cut by a snap length still parse. Total: any bytes give a Result.
 */
import { type Address, addressFromBytes, type Mac, macFromBytes } from '../../lib/address.ts';
import { err, ok, type Result } from '../../lib/result.ts';

export const ETHERTYPE = {
  IPV4: 0x0800,
  ARP: 0x0806,
  VLAN: 0x8100,
  IPV6: 0x86dd,
  TRANSPARENT_BRIDGING: 0x6558,
} as const;
export const PROTOCOL = { ICMP: 1, TCP: 6, UDP: 17, GRE: 47, ESP: 50, ICMPV6: 58 } as const;

export interface Gre {
  readonly flags: number; // C, K, S and the version as on the wire; 0x2000 = key present only
  readonly etherType: number;
  readonly key?: number; // VSID << 8 | FlowID
  readonly payload: Uint8Array;
}

export interface Ipv4 {
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: number;
  readonly fragment: boolean;
  readonly ports?: { readonly source: number; readonly destination: number }; // of UDP
  readonly gre?: Gre;
  readonly payload: Uint8Array;
}

export interface Frame {
  readonly source: Mac;
  readonly destination: Mac;
  readonly etherType: number; // of the payload, behind a VLAN tag
  readonly vlan?: number;
  readonly ipv4?: Ipv4;
  readonly payload: Uint8Array;
}

export type FrameError = 'SHORT_ETHERNET' | 'SHORT_VLAN' | 'SHORT_IPV4' | 'BAD_IPV4' | 'SHORT_UDP' | 'SHORT_GRE';

const u16 = (b: Uint8Array, at: number): number => (b[at]! << 8) | b[at + 1]!;
const u32 = (b: Uint8Array, at: number): number => u16(b, at) * 0x10000 + u16(b, at + 2);

export const vsidOf = (key: number): number => Math.floor(key / 256);

function gre(b: Uint8Array): Result<Gre, FrameError> {
  if (b.length < 4) return err('SHORT_GRE');
  const flags = u16(b, 0);
  const checksum = flags & 0x8000 ? 4 : 0;
  const hasKey = (flags & 0x2000) !== 0;
  const header = 4 + checksum + (hasKey ? 4 : 0) + (flags & 0x1000 ? 4 : 0);
  if (b.length < header) return err('SHORT_GRE');
  const common = { flags, etherType: u16(b, 2), payload: b.subarray(header) };
  return ok(hasKey ? { ...common, key: u32(b, 4 + checksum) } : common);
}

function ipv4(b: Uint8Array): Result<Ipv4, FrameError> {
  if (b.length < 20) return err('SHORT_IPV4');
  const header = (b[0]! & 15) * 4;
  if (b[0]! >> 4 !== 4 || header < 20) return err('BAD_IPV4');
  if (b.length < header) return err('SHORT_IPV4');
  const fragment = (u16(b, 6) & 0x3fff) !== 0;
  const protocol = b[9]!;
  const payload = b.subarray(header, Math.max(header, Math.min(b.length, u16(b, 2))));
  const ip = {
    source: addressFromBytes(b.subarray(12, 16)),
    destination: addressFromBytes(b.subarray(16, 20)),
    protocol,
    fragment,
    payload,
  };
  // Later fragments hold no transport header.
  if ((u16(b, 6) & 0x1fff) !== 0) return ok(ip);
  if (protocol === PROTOCOL.UDP) {
    if (payload.length < 8) return err('SHORT_UDP');
    return ok({ ...ip, ports: { source: u16(payload, 0), destination: u16(payload, 2) } });
  }
  if (protocol === PROTOCOL.GRE) {
    const g = gre(payload);
    return g.ok ? ok({ ...ip, gre: g.value }) : g;
  }
  return ok(ip);
}

export function parseFrame(b: Uint8Array): Result<Frame, FrameError> {
  if (b.length < 14) return err('SHORT_ETHERNET');
  const tagged = u16(b, 12) === ETHERTYPE.VLAN;
  if (tagged && b.length < 18) return err('SHORT_VLAN');
  const at = tagged ? 16 : 12;
  const frame = {
    source: macFromBytes(b.subarray(6, 12)),
    destination: macFromBytes(b.subarray(0, 6)),
    etherType: u16(b, at),
    ...(tagged && { vlan: u16(b, 14) & 0xfff }),
    payload: b.subarray(at + 2),
  };
  if (frame.etherType !== ETHERTYPE.IPV4) return ok(frame);
  const ip = ipv4(frame.payload);
  return ip.ok ? ok({ ...frame, ipv4: ip.value }) : ip;
}
