/**
 * The TypeScript half of `bpf/nat-abi.h`: map keys and values. Pure. A test compares every offset with the compiler's.
 * Which side writes a map, and what each field means, the header says.
 */
import type { Slot } from '../compartments/numbers.ts';
import { DEFAULT_SLOT } from '../compartments/numbers.ts';
import type { Mac } from '../lib/address.ts';
import { array, be16, ipv4, layout, u8, u16, u32, u64, type ValueOf } from './layout.ts';

/** HNV_NAT_ABI: number of the directory in which the maps are pinned; another layout is another number. */
export const NAT_ABI = 1;

/** Maps whose entries are resources, the control plane's. Arrays: `settings`, `tenants`, `pools`, `reserved`, `maglev`. */
export const NAT_ENTRY_MAPS = [
  'settings',
  'tenants',
  'policies',
  'pools',
  'addresses',
  'reserved',
  'statics',
  'maglev',
  'dips',
  'one_to_one',
] as const;
export type NatEntryMap = (typeof NAT_ENTRY_MAPS)[number];
/** What the data plane keeps: it must outlive the gateway process. */
export const NAT_STATE_MAPS = [
  'flows',
  'mappings',
  'externals',
  'contacts',
  'hosts',
  'usage',
  'blocks',
  'fragments',
  'drops',
  'events',
  'nat_events',
  'clock',
] as const;
export const NAT_PINNED_MAPS = [...NAT_ENTRY_MAPS, ...NAT_STATE_MAPS] as const;

/** tc ingress of n<slot>, of the external NICs, of natw1 (where waiting fragments come back), and the two of SEC("syscall"). */
export const NAT_PROGRAMS = {
  out: 'nat_out',
  in: 'nat_in',
  wait: 'nat_wait',
  sweep: 'nat_sweep',
  purge: 'nat_purge',
} as const;

export const TENANTS = 8192;
export const POOLS = 1024;
export const BLOCKS = 16384;
export const TENANT_BLOCKS = 128;
export const RULES = 16;
export const RULE_POOLS = 8;
export const SETS = 8;
export const SERVICES = 1024;
export const MAGLEV = 2039;
/** Ports of the largest block; a smaller one is a multiple of 64. */
export const BLOCK_PORTS = 1024;

export const FILTERING = { EndpointIndependent: 0, AddressDependent: 1, AddressAndPortDependent: 2 } as const;
export const TENANT_INBOUND_REFRESH = 1;
export const RULE = { drop: 0, pool: 1, oneToOne: 2 } as const;
export const KIND = { mapped: 1, static: 2, vip: 3 } as const;
export const FLOW_OPENER = 1;
export const FLOW_TO_INSIDE = 2;
export const FLOW_CONTACT = 4;
export const FLOW_FROM_VIP = 8;
export const STATIC_SOURCE_AFFINITY = 1;
/** Owner of a block that is being given back. */
export const CLOSING = 0xffffffff;
/** In a count of sessions: the entry is being taken away. */
export const ENDED = 0x80000000;
/** Any pool, of a purge. */
export const ANY_POOL = 0xffffffff;

/** Order of the bitmaps in a block. */
export const PROTOCOLS = ['TCP', 'UDP', 'ICMP'] as const;

/** MAC of a compartment's `nat0`: the data plane knows the tenant by it. */
export const natMac = (slot: Slot): Mac =>
  `02:48:4e:41:${(slot >> 8).toString(16).padStart(2, '0')}:${(slot & 0xff).toString(16).padStart(2, '0')}` as Mac;

const words = array(u64, BLOCK_PORTS / 64);
const bucket = layout('hnv_nat_bucket', { filled: u64, tokens: u64 });
const rule = layout('hnv_nat_rule', {
  network: ipv4,
  mask: ipv4,
  action: u8,
  set: u8,
  pools: u8,
  zero: u8,
  pool: array(u16, RULE_POOLS),
});

export const NAT = {
  settings: layout('hnv_nat_settings', { seed: u32, waiting: u32 }),
  tenant: layout('hnv_nat_tenant', {
    device: u32,
    flags: u32,
    tcp_filtering: u8,
    udp_filtering: u8,
    zero: u16,
    tcp_transient: u32,
    tcp_established: u32,
    udp_idle: u32,
    icmp_query: u32,
    quarantine: u32,
    max_blocks: u32,
    max_sessions: u32,
    max_host_sessions: u32,
    max_host_ports: u32,
    session_rate: u32,
    host_session_rate: u32,
  }),
  rule,
  policy: layout('hnv_nat_policy', { rules: u32, rule: array(rule, RULES) }),
  pool: layout('hnv_nat_pool', {
    address: ipv4,
    device: u32,
    network: ipv4,
    mask: ipv4,
    gateway: ipv4,
    first_block: u32,
    blocks: u32,
    port_start: u16,
    block_ports: u16,
    next: u16,
    zero: u16,
  }),
  reserved: layout('hnv_nat_reserved', { of: array(words, 3) }),
  block: layout('hnv_nat_block', {
    owner: u32,
    taken: u32,
    former: u32,
    former_taken: u32,
    former_released: u32,
    used: array(u32, 3),
    of: array(words, 3),
  }),
  flowKey: layout('hnv_nat_flow_key', {
    rdid: u32,
    source: ipv4,
    destination: ipv4,
    source_port: be16,
    destination_port: be16,
    protocol: u8,
    zero: array(u8, 3),
  }),
  flow: layout('hnv_nat_flow', {
    source: ipv4,
    destination: ipv4,
    source_port: be16,
    destination_port: be16,
    rdid: u32,
    egress: u16,
    kind: u8,
    set: u8,
    seen: u32,
    opened: u32,
    ack: u32,
    next: u32,
    window: u16,
    scale: u8,
    tcp_flags: u8,
    flags: u8,
    zero: u8,
    dip: u16,
  }),
  mappingKey: layout('hnv_nat_mapping_key', { rdid: u32, address: ipv4, port: be16, protocol: u8, set: u8 }),
  mapping: layout('hnv_nat_mapping', {
    address: ipv4,
    port: be16,
    pool: u16,
    block: u32,
    sessions: u32,
    opened: u32,
    released: u32,
  }),
  endpoint: layout('hnv_nat_endpoint', { address: ipv4, port: be16, protocol: u8, zero: u8 }),
  inside: layout('hnv_nat_inside', { rdid: u32, address: ipv4, port: be16, set: u8, zero: u8 }),
  contactKey: layout('hnv_nat_contact_key', { address: ipv4, remote: ipv4, port: be16, protocol: u8, zero: u8 }),
  contact: layout('hnv_nat_contact', { rdid: u32, sessions: u32 }),
  staticKey: layout('hnv_nat_static_key', { rdid: u32, address: ipv4, port: be16, protocol: u8, zero: u8 }),
  static: layout('hnv_nat_static', {
    rdid: u32,
    address: ipv4,
    port: be16,
    pool: u16,
    kind: u8,
    flags: u8,
    service: u16,
    remote: ipv4,
    remote_mask: ipv4,
  }),
  maglev: layout('hnv_nat_maglev', { dip: array(u16, MAGLEV), zero: u16 }),
  dipKey: layout('hnv_nat_dip_key', { service: u16, dip: u16 }),
  dip: layout('hnv_nat_dip', { address: ipv4, port: be16, zero: u16 }),
  hostKey: layout('hnv_nat_host_key', { rdid: u32, address: ipv4 }),
  oneToOne: layout('hnv_nat_one_to_one', { rdid: u32, address: ipv4, pool: u32 }),
  host: layout('hnv_nat_host', { sessions: u32, ports: u32, rate: bucket, set: array(u32, SETS) }),
  usage: layout('hnv_nat_usage', {
    sessions: u32,
    ports: u32,
    blocks: u32,
    current: u32,
    rate: bucket,
    errors: bucket,
    block: array(u32, TENANT_BLOCKS),
  }),
  fragmentKey: layout('hnv_nat_fragment_key', {
    rdid: u32,
    source: ipv4,
    destination: ipv4,
    id: be16,
    protocol: u8,
    zero: u8,
  }),
  fragment: layout('hnv_nat_fragment', {
    source: ipv4,
    destination: ipv4,
    seen: u32,
    egress: u16,
    id: be16,
    flags: u8,
    zero: array(u8, 3),
  }),
  event: layout('hnv_nat_event', { type: u32, rdid: u32, block: u32, taken: u32, released: u32 }),
  sweep: layout('hnv_nat_sweep', { flows: u32, ended: u32, mappings: u32, freed: u32, returned: u32, hosts: u32 }),
  purge: layout('hnv_nat_purge', { rdid: u32, address: ipv4, pool: u32, ended: u32 }),
} as const;

export type NatSettings = ValueOf<typeof NAT.settings>;
export type NatTenant = ValueOf<typeof NAT.tenant>;
export type NatRule = ValueOf<typeof NAT.rule>;
export type NatPolicy = ValueOf<typeof NAT.policy>;
export type NatPool = ValueOf<typeof NAT.pool>;
export type NatBlock = ValueOf<typeof NAT.block>;
export type NatFlowKey = ValueOf<typeof NAT.flowKey>;
export type NatFlow = ValueOf<typeof NAT.flow>;
export type NatMappingKey = ValueOf<typeof NAT.mappingKey>;
export type NatMapping = ValueOf<typeof NAT.mapping>;
export type NatStatic = ValueOf<typeof NAT.static>;

export const NAT_BLOCK_TAKEN = 1;
export const NAT_BLOCK_RETURNED = 2;

/** The tenant of an entry as the kernel holds it; what the entry hand sorts by. */
export function slotOfNatEntry(map: string, key: Uint8Array, value: Uint8Array): Slot {
  switch (map) {
    case 'tenants':
    case 'policies':
      return u32.get(new DataView(key.buffer, key.byteOffset), 0);
    case 'statics':
    case 'one_to_one':
      return u32.get(new DataView(value.buffer, value.byteOffset), 0);
    default:
      return DEFAULT_SLOT;
  }
}
