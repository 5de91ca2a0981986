/**
 * The TypeScript half of `bpf/abi.h`: encoders and decoders of map keys and values. Pure. A test compares every offset with the
 * compiler's. Integers are little-endian (the machines we run on), addresses 16 bytes in network order, IPv4 mapped.
 */
import type { Vsid } from '../compartments/compartment.ts';
import { DEFAULT_SLOT, type Slot } from '../compartments/numbers.ts';
import {
  type Address,
  addressFromBytes,
  type Family,
  type Mac,
  macFromBytes,
  mappedBytes,
  putMac,
  putMapped,
} from '../lib/address.ts';
import { lengthOf, networkOf, type Prefix, prefixFamily, prefixOf } from '../lib/prefix.ts';

/** HNV_ABI: number of the directory in which the maps are pinned; another layout is another number. */
export const ABI = 3;

/** Maps whose entries are resources; `drops` holds counters and `events` is a ring buffer: those are only read. */
export const ENTRY_MAPS = ['ports', 'records', 'macs', 'routes', 'tunnels', 'vsids', 'providers', 'replicas'] as const;
export type EntryMap = (typeof ENTRY_MAPS)[number];
/** Those with an entry or more for each record: too many for a resource each. */
export const RECORD_MAPS = ['records', 'macs'] as const;
export const PINNED_MAPS = [...ENTRY_MAPS, 'drops', 'events'] as const;

export const PROGRAMS = { port: 'overlay_port', wire: 'overlay_wire', tag: 'overlay_tag' } as const;

/** How frames travel between machines: RFC 7637 or RFC 7348. */
export type Encapsulation = 'NVGRE' | 'VXLAN';

/** Bytes that the outer IP, GRE or UDP and VXLAN, and the inner Ethernet header add to a tenant's IP packet. */
export const overhead = (encapsulation: Encapsulation, outer: Family): number =>
  (outer === 4 ? 20 : 40) + (encapsulation === 'NVGRE' ? 8 : 16) + 14;

export const PORT_GATEWAY = 1;
export const LOCATION_ROUTED = 1;
export const LOCATION_PEER = 2;
export const LOCATION_ROUTER = 4;
export const LOCATION_VXLAN = 8;
export const LOCATION_IPV6 = 16;
export const LOCATION_LEARN = 32;
export const LOCATION_DYNAMIC = 64;
export const LOCATION_PLAIN = 128;
export const LOCATION_DSCP = 256;
/** Where LOCATION_DSCP's six bits stand. */
export const LOCATION_DSCP_SHIFT = 16;
export const VSID_LEARN = 1;
export const VSID_REPLICATE = 2;
/** HNV_REPLICAS: places of one virtual subnet. */
export const MAX_REPLICAS = 64;
export const TUNNEL_NVGRE = 1;
export const TUNNEL_VXLAN = 2;
export const TUNNEL_UNIFORM = 4;
export const TUNNEL_CHECK = 8;
export const TUNNEL_PLAIN = 16;
/** Reserved (RFC 7637 §3.2); in a tunnel key: without encapsulation. */
export const NO_VSID = 0;
export const ROUTE_VIA = 1;
export const PROVIDER_LOCAL = 1;
export const PROVIDER_PEER = 2;
export const PROVIDER_VXLAN = 4;
/** Where the VLAN stands in the flags of provider addresses and tunnels. */
export const VLAN_SHIFT = 16;
const EVENT_LEARNED = 1;
const EVENT_DROPPED = 2;
const EVENT_FRAME = 64;

export interface Port {
  readonly rdid: Slot;
  readonly vsid: Vsid;
  readonly flags: number;
  readonly mtu: number;
  readonly mac: Mac;
  readonly address: Address;
}

export interface Location {
  readonly rdid: Slot;
  readonly vsid: Vsid;
  readonly port: number; // ifindex, 0 = remote
  readonly uplink: number; // ifindex, 0 = local
  readonly flags: number;
  readonly mtu: number; // bytes of the tenant's IP packet
  readonly mac: Mac;
  readonly destination: Address; // `::` where there is none
  readonly source: Address;
  readonly nextHop: Address;
}

export interface Route {
  readonly flags: number;
  readonly vsid: Vsid;
  readonly router: Address;
  readonly via?: Location;
}

/** Whose frames a tunnel key admits, and in which encapsulations. */
export interface Tunnel {
  readonly rdid: Slot;
  readonly flags: number;
}

export interface Drops {
  readonly packets: number;
  readonly bytes: number;
}

/** No address: sixteen zero bytes. */
export const NO_ADDRESS = '::' as Address;

/** Sizes of `bpf/abi.h`, bytes. */
export const SIZE = {
  port: 36,
  location: 76,
  route: 100,
  recordKey: 20,
  macKey: 12,
  routeKey: 24,
  tunnelKey: 36,
  tunnel: 8,
  vsid: 8,
  replicaKey: 8,
  dropKey: 8,
  drops: 16,
  event: 128,
} as const;

/** Where each field of the structs stands; compared with the C compiler's offsets in the tests. */
export const OFFSET = {
  port: { rdid: 0, vsid: 4, flags: 8, mtu: 12, mac: 14, address: 20 },
  location: {
    rdid: 0,
    vsid: 4,
    port: 8,
    uplink: 12,
    flags: 16,
    mtu: 20,
    mac: 22,
    destination: 28,
    source: 44,
    next_hop: 60,
  },
  route: { flags: 0, vsid: 4, router: 8, via: 24 },
  recordKey: { rdid: 0, address: 4 },
  macKey: { vsid: 0, mac: 4, zero: 10 },
  routeKey: { prefixlen: 0, rdid: 4, address: 8 },
  tunnelKey: { vsid: 0, source: 4, destination: 20 },
  tunnel: { rdid: 0, flags: 4 },
  vsid: { rdid: 0, flags: 4 },
  replicaKey: { vsid: 0, index: 4 },
  dropKey: { rdid: 0, reason: 4, direction: 6 },
  drops: { packets: 0, bytes: 8 },
  event: {
    type: 0,
    rdid: 4,
    vsid: 8,
    port: 12,
    address: 16,
    provider: 32,
    mac: 48,
    reason: 54,
    direction: 56,
    captured: 58,
    length: 60,
    frame: 64,
  },
} as const;

const view = (b: Uint8Array) => new DataView(b.buffer, b.byteOffset, b.byteLength);

/** Byte by byte: a DataView for each of a million entries would take a third of the time. */
class Writer {
  readonly bytes: Uint8Array;
  /** @param to a size, or zero bytes to write into. */
  constructor(to: number | Uint8Array) {
    this.bytes = typeof to === 'number' ? new Uint8Array(to) : to;
  }
  u32(at: number, value: number): this {
    return this.u16(at, value).u16(at + 2, value >>> 16);
  }
  u16(at: number, value: number): this {
    this.bytes[at] = value;
    this.bytes[at + 1] = value >>> 8;
    return this;
  }
  mac(at: number, mac: Mac): this {
    putMac(this.bytes, at, mac);
    return this;
  }
  address(at: number, address: Address): this {
    putMapped(this.bytes, at, address);
    return this;
  }
}

const u16 = (b: Uint8Array, at: number): number => b[at]! | (b[at + 1]! << 8);
const u32 = (b: Uint8Array, at: number): number => (u16(b, at) | (u16(b, at + 2) << 16)) >>> 0;
const addressAt = (b: Uint8Array, at: number): Address => addressFromBytes(b.subarray(at, at + 16));
const macAt = (b: Uint8Array, at: number): Mac => macFromBytes(b.subarray(at, at + 6));

export const encodeU32 = (value: number): Uint8Array => new Writer(4).u32(0, value).bytes;
export const decodeU32 = (b: Uint8Array): number => u32(b, 0);

export const encodeAddress = (a: Address): Uint8Array => mappedBytes(a);
export const decodeAddress = (b: Uint8Array): Address => addressAt(b, 0);

export function encodePort(p: Port): Uint8Array {
  const o = OFFSET.port;
  const w = new Writer(SIZE.port).u32(o.rdid, p.rdid).u32(o.vsid, p.vsid).u32(o.flags, p.flags);
  return w.u16(o.mtu, p.mtu).mac(o.mac, p.mac).address(o.address, p.address).bytes;
}

export function decodePort(b: Uint8Array): Port {
  const o = OFFSET.port;
  return {
    rdid: u32(b, o.rdid),
    vsid: u32(b, o.vsid),
    flags: u32(b, o.flags),
    mtu: u16(b, o.mtu),
    mac: macAt(b, o.mac),
    address: addressAt(b, o.address),
  };
}

/** @param into zero bytes to write into, for who encodes a million of them. */
export function encodeLocation(l: Location, into?: Uint8Array): Uint8Array {
  const o = OFFSET.location;
  const w = new Writer(into ?? SIZE.location).u32(o.rdid, l.rdid).u32(o.vsid, l.vsid).u32(o.port, l.port);
  w.u32(o.uplink, l.uplink).u32(o.flags, l.flags).u16(o.mtu, l.mtu).mac(o.mac, l.mac);
  w.address(o.destination, l.destination).address(o.source, l.source).address(o.next_hop, l.nextHop);
  return w.bytes;
}

export function decodeLocation(b: Uint8Array): Location {
  const o = OFFSET.location;
  return {
    rdid: u32(b, o.rdid),
    vsid: u32(b, o.vsid),
    port: u32(b, o.port),
    uplink: u32(b, o.uplink),
    flags: u32(b, o.flags),
    mtu: u16(b, o.mtu),
    mac: macAt(b, o.mac),
    destination: addressAt(b, o.destination),
    source: addressAt(b, o.source),
    nextHop: addressAt(b, o.next_hop),
  };
}

export function encodeRoute(r: Route): Uint8Array {
  const o = OFFSET.route;
  const w = new Writer(SIZE.route).u32(o.flags, r.flags).u32(o.vsid, r.vsid).address(o.router, r.router);
  if (r.via) w.bytes.set(encodeLocation(r.via), o.via);
  return w.bytes;
}

export function decodeRoute(b: Uint8Array): Route {
  const o = OFFSET.route;
  const route = { flags: u32(b, o.flags), vsid: u32(b, o.vsid), router: addressAt(b, o.router) };
  return route.flags & ROUTE_VIA ? { ...route, via: decodeLocation(b.subarray(o.via)) } : route;
}

export const encodeRecordKey = (rdid: Slot, address: Address, into?: Uint8Array): Uint8Array =>
  new Writer(into ?? SIZE.recordKey).u32(0, rdid).address(4, address).bytes;
export const decodeRecordKey = (b: Uint8Array): { rdid: Slot; address: Address } => ({
  rdid: u32(b, 0),
  address: addressAt(b, 4),
});

export const encodeMacKey = (vsid: Vsid, mac: Mac, into?: Uint8Array): Uint8Array =>
  new Writer(into ?? SIZE.macKey).u32(0, vsid).mac(4, mac).bytes;
export const decodeMacKey = (b: Uint8Array): { vsid: Vsid; mac: Mac } => ({ vsid: u32(b, 0), mac: macAt(b, 4) });

/** IPv4 prefixes lie under ::ffff:0:0/96. */
export function encodeRouteKey(rdid: Slot, prefix: Prefix): Uint8Array {
  const length = lengthOf(prefix) + (prefixFamily(prefix) === 4 ? 96 : 0);
  return new Writer(SIZE.routeKey)
    .u32(0, 32 + length)
    .u32(4, rdid)
    .address(8, networkOf(prefix)).bytes;
}

export function decodeRouteKey(b: Uint8Array): { rdid: Slot; prefix: Prefix } {
  const address = addressAt(b, 8);
  const length = u32(b, 0) - 32;
  return { rdid: u32(b, 4), prefix: prefixOf(address, address.includes(':') ? length : length - 96) };
}

export const encodeTunnelKey = (vsid: Vsid, source: Address, destination: Address): Uint8Array =>
  new Writer(SIZE.tunnelKey).u32(0, vsid).address(4, source).address(20, destination).bytes;
export const decodeTunnelKey = (b: Uint8Array): { vsid: Vsid; source: Address; destination: Address } => ({
  vsid: u32(b, 0),
  source: addressAt(b, 4),
  destination: addressAt(b, 20),
});

export const encodeTunnel = (t: Tunnel): Uint8Array =>
  new Writer(SIZE.tunnel).u32(OFFSET.tunnel.rdid, t.rdid).u32(OFFSET.tunnel.flags, t.flags).bytes;
export const decodeTunnel = (b: Uint8Array): Tunnel => ({
  rdid: u32(b, OFFSET.tunnel.rdid),
  flags: u32(b, OFFSET.tunnel.flags),
});

/** A virtual subnet: whose it is, and what it does beside its records. */
export interface Subnet {
  readonly rdid: Slot;
  readonly flags: number;
}
export const encodeSubnet = (s: Subnet): Uint8Array =>
  new Writer(SIZE.vsid).u32(OFFSET.vsid.rdid, s.rdid).u32(OFFSET.vsid.flags, s.flags).bytes;
export const decodeSubnet = (b: Uint8Array): Subnet => ({
  rdid: u32(b, OFFSET.vsid.rdid),
  flags: u32(b, OFFSET.vsid.flags),
});

export const encodeReplicaKey = (vsid: Vsid, index: number): Uint8Array =>
  new Writer(SIZE.replicaKey).u32(0, vsid).u32(4, index).bytes;
export const decodeReplicaKey = (b: Uint8Array): { vsid: Vsid; index: number } => ({
  vsid: u32(b, 0),
  index: u32(b, 4),
});

const DIRECTIONS = { port: 1, wire: 2 } as const;
/** Where a frame came from: a VM or a compartment, or the provider network. */
export type Direction = keyof typeof DIRECTIONS;
const directionOf = (number: number): Direction => (number === DIRECTIONS.wire ? 'wire' : 'port');

export const encodeDropKey = (rdid: Slot, reason: number, direction: Direction): Uint8Array =>
  new Writer(SIZE.dropKey).u32(0, rdid).u16(4, reason).u16(6, DIRECTIONS[direction]).bytes;
export const decodeDropKey = (b: Uint8Array): { rdid: Slot; reason: number; direction: Direction } => ({
  rdid: u32(b, 0),
  reason: u16(b, 4),
  direction: directionOf(u16(b, 6)),
});

/** Sum over the per-CPU values of one key. */
export function decodeDrops(perCpu: Uint8Array): Drops {
  const v = view(perCpu);
  let packets = 0;
  let bytes = 0;
  for (let at = 0; at + SIZE.drops <= perCpu.length; at += SIZE.drops) {
    packets += Number(v.getBigUint64(at, true));
    bytes += Number(v.getBigUint64(at + 8, true));
  }
  return { packets, bytes };
}

/** A frame told where an address of a learning virtual subnet is (R-ENC-8). */
export interface LearnedEvent {
  readonly type: 'LEARNED';
  readonly rdid: Slot;
  readonly vsid: Vsid;
  readonly port: number; // ifindex of the local port; 0 = at `provider`
  readonly address: Address;
  readonly provider: Address; // `::` = at the port
  readonly mac: Mac;
}

/** One of the dropped frames; how many there were, the counters say. */
export interface DroppedEvent {
  readonly type: 'DROPPED';
  readonly rdid: Slot; // 0 = of no known tenant
  readonly port: number; // ifindex the frame came in by: of the port, or of the provider NIC
  readonly reason: number;
  readonly direction: Direction;
  readonly length: number; // bytes of the whole frame
  readonly frame: Uint8Array; // its first bytes, at most 64; a copy
}

/** Undefined for a record that is shorter than an event or of a type unknown to this version. */
export function decodeEvent(b: Uint8Array): LearnedEvent | DroppedEvent | undefined {
  if (b.length < SIZE.event) return undefined;
  const o = OFFSET.event;
  const [rdid, port] = [u32(b, o.rdid), u32(b, o.port)];
  if (u32(b, o.type) === EVENT_LEARNED) {
    const [address, provider] = [addressAt(b, o.address), addressAt(b, o.provider)];
    return { type: 'LEARNED', rdid, vsid: u32(b, o.vsid), port, address, provider, mac: macAt(b, o.mac) };
  }
  if (u32(b, o.type) !== EVENT_DROPPED) return undefined;
  return {
    type: 'DROPPED',
    rdid,
    port,
    reason: u16(b, o.reason),
    direction: directionOf(u16(b, o.direction)),
    length: u32(b, o.length),
    frame: b.slice(o.frame, o.frame + Math.min(u16(b, o.captured), EVENT_FRAME)),
  };
}

/** The tenant of an entry as the kernel holds it; what the entry hand sorts by. */
export function slotOfEntry(map: string, key: Uint8Array, value: Uint8Array): Slot {
  switch (map) {
    case 'records':
      return u32(key, OFFSET.recordKey.rdid);
    case 'routes':
      return u32(key, OFFSET.routeKey.rdid);
    case 'ports':
    case 'macs':
    case 'tunnels':
    case 'vsids':
    case 'replicas':
      return u32(value, 0);
    default:
      return DEFAULT_SLOT;
  }
}
