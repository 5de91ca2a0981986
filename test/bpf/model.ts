/**
 * What the data path must do with a frame, said again from the requirements (R-ENC-1…13, RFC 7637, RFC 7348, RFC 6040) over the
 * policy itself, with linear searches and no maps. The eBPF programs are compared with it.
 */
import type { DscpPolicy, LookupRecord, Vsid } from '../../compartments/compartment.ts';
import { ROUTER_MAC } from '../../compartments/policy.ts';
import type { Encapsulation } from '../../encap/abi.ts';
import { encodeNvgre } from '../../encap/nvgre.ts';
import type { OverlayDomain, OverlayInput, OverlayPort } from '../../encap/overlay.ts';
import { encodeVxlan } from '../../encap/vxlan.ts';
import {
  type Address,
  addressBytes,
  addressFromBytes,
  type Family,
  familyOf,
  type Mac,
  macBytes,
  macFromBytes,
} from '../../lib/address.ts';
import { contains, lengthOf, routerOf } from '../../lib/prefix.ts';
import { PACKET_REASONS } from '../../lib/reason.ts';
import { type Claim, isDhcp, isNeighbourFrame, readAcknowledgement, readNeighbour } from './claims.ts';
import { DEVICE_MAC } from './data-path.ts';
import {
  decapsulatedEcn,
  ETHERNET,
  errorFrame,
  messageFrame,
  type Packet,
  parsePacket,
  rewriteWord,
  setTos,
  setTtl,
  u16,
} from './packet.ts';

export type Verdict =
  /** `answer` = what the sender gets in its place. */
  | { readonly verdict: 'drop'; readonly reason: string; readonly slot: number; readonly answer?: Uint8Array }
  | { readonly verdict: 'pass' }
  /** Copies went to the places of the virtual subnet. */
  | { readonly verdict: 'copied' }
  /** The frame as it leaves; of an encapsulated one the outer Ethernet header is the kernel's affair and the entropy free. */
  | { readonly verdict: 'send'; readonly frame: Uint8Array; readonly encapsulated?: 'NVGRE' | 'VXLAN' };

const dropped = (reason: string, slot: number, answer?: Uint8Array): Verdict => {
  if (!PACKET_REASONS.some((r) => r.name === reason)) throw new Error(`no reason ${reason}`);
  return { verdict: 'drop', reason, slot, ...(answer && { answer }) };
};

interface Place {
  readonly vsid: Vsid;
  readonly mac: Mac;
  readonly port?: OverlayPort;
  readonly pa?: Address;
  readonly router: boolean;
  readonly type?: LookupRecord['type'];
  readonly plain?: boolean;
}

/** Where a frame comes from: one of the ports, or a machine. */
type Origin = { readonly port: OverlayPort } | { readonly pa: Address };

/** What the control plane is told, as an event has it. */
export interface Told {
  readonly rdid: number;
  readonly vsid: Vsid;
  readonly port: number;
  readonly address: Address;
  readonly provider: Address;
  readonly mac: Mac;
}

const PASS: Verdict = { verdict: 'pass' };
const GRE = 47;
const UDP = 17;
const ICMPV6 = 58;
const EXTENSIONS = [0, 43, 44, 60];
const FAMILIES: Readonly<Record<number, Family>> = { 2048: 4, 34525: 6 };
const macAt = (b: Uint8Array, at: number): Mac => macFromBytes(b.subarray(at, at + 6));
const addressAt = (b: Uint8Array, at: number, size: 4 | 16): Address => addressFromBytes(b.subarray(at, at + size));
const isVlan = (type: number): boolean => type === 0x8100 || type === 0x88a8;
const isMulticast = (a: Address): boolean =>
  familyOf(a) === 6 ? a.startsWith('ff') && a.indexOf(':') === 4 : Number(a.split('.')[0]) >= 224;
const isLinkLocal = (a: Address): boolean =>
  familyOf(a) === 6 && Buffer.from(addressBytes(a)).toString('hex').startsWith('fe80000000000000');

/** The MAC from which a link-local address was made (RFC 4291 appendix A). */
function macOfLinkLocal(a: Address): Mac | undefined {
  const b = addressBytes(a);
  if (!isLinkLocal(a) || b[11] !== 0xff || b[12] !== 0xfe) return undefined;
  return macFromBytes(Uint8Array.of(b[8]! ^ 2, b[9]!, b[10]!, b[13]!, b[14]!, b[15]!));
}

/** The provider address of the record is the end of a tunnel. */
const isTunnel = (r: LookupRecord): boolean => r.mac !== ROUTER_MAC && r.rule === 'TranslationMethodEncap';

export class Model {
  readonly #input: OverlayInput;
  readonly #sends: Encapsulation;
  readonly #takes: readonly Encapsulation[];
  #told: Told[] = [];
  constructor(input: OverlayInput) {
    this.#input = input;
    this.#sends = input.encapsulation ?? 'NVGRE';
    this.#takes = input.decapsulation ?? [this.#sends];
  }

  #place(d: OverlayDomain, r: LookupRecord): Place | undefined {
    const { vsid, mac } = r;
    if (mac === ROUTER_MAC) return { vsid, mac, router: true };
    const port = d.ports.find((p) => p.mac === mac && p.vsid === vsid);
    const { type } = r;
    if (port) return { vsid, mac, port, router: false, type };
    const own = this.#input.providerAddresses.some((p) => p.providerAddress === r.providerAddress);
    const plain = r.rule === 'TranslationMethodNone';
    return own ? undefined : { vsid, mac, pa: r.providerAddress, router: false, type, plain };
  }

  #subnet(d: OverlayDomain, vsid: Vsid): { learns: boolean; replicates: boolean; dscp?: DscpPolicy } {
    const s = d.virtualSubnets?.find((x) => x.vsid === vsid);
    return { learns: false, ...s, ...(s && { learns: s.dynamicLearning }), replicates: s?.replication ?? false };
  }

  /** What the last frame told since the last call. */
  told(): readonly Told[] {
    const told = this.#told;
    this.#told = [];
    return told;
  }

  /** False when the claim may not be made. */
  #teach(d: OverlayDomain, vsid: Vsid, from: Origin, { mac, address }: Required<Claim>): boolean {
    const place = this.#byAddress(d, address);
    const at = 'port' in from ? place?.port === from.port : place?.pa === from.pa;
    if (place && place.type !== 'Dynamic') return place.vsid === vsid && place.mac === mac && at;
    const [route] = this.#routes(d, address);
    if (!route || route.nextHop !== undefined || route.vsid !== vsid) return false;
    if (routerOf(route.destinationPrefix) === address) return false;
    const port = 'port' in from ? this.#input.link(from.port.device)!.index : 0;
    const provider = 'port' in from ? ('::' as Address) : from.pa;
    this.#told.push({ rdid: d.slot, vsid, port, address, provider, mac });
    return true;
  }

  /** Learns from a DHCP server that a record other than a learned one places where the frame came from. */
  #hear(d: OverlayDomain, vsid: Vsid, from: Origin, f: Uint8Array, p: Packet): void {
    const claim = readAcknowledgement(f, p);
    const server = this.#byAddress(d, p.source);
    if (!claim || !server || server.type === 'Dynamic' || server.vsid !== vsid) return;
    if ('port' in from ? server.port !== from.port : server.pa !== from.pa) return;
    const client = this.#byMac(vsid, claim.mac);
    if (client) this.#teach(d, vsid, client.port ? { port: client.port } : { pa: client.pa! }, claim);
  }

  #byAddress(d: OverlayDomain, address: Address): Place | undefined {
    const port = d.ports.find((p) => p.addresses.includes(address));
    if (port) return { vsid: port.vsid, mac: port.mac, port, router: false };
    const record = d.lookupRecords.find((r) => r.customerAddress === address && r.type !== 'L2Only');
    return record && this.#place(d, record);
  }

  #byMac(vsid: Vsid, mac: Mac): Place | undefined {
    for (const d of this.#input.domains) {
      const port = d.ports.find((p) => p.vsid === vsid && p.mac === mac);
      if (port) return { vsid, mac, port, router: false };
      const records = d.lookupRecords.filter((r) => r.vsid === vsid && r.mac === mac && mac !== ROUTER_MAC);
      const places = records.map((r) => this.#place(d, r)).filter((p) => p !== undefined);
      const place = places.find((p) => p.type !== 'L2Only') ?? places[0];
      if (place) return place;
    }
    return undefined;
  }

  #isProvider(address: Address): boolean {
    const records = this.#input.domains.flatMap((d) => d.lookupRecords.filter(isTunnel));
    return [...this.#input.providerAddresses, ...records].some((x) => x.providerAddress === address);
  }

  #routes(d: OverlayDomain, a: Address) {
    return d.customerRoutes
      .filter((r) => contains(r.destinationPrefix, a))
      .sort((x, y) => lengthOf(y.destinationPrefix) - lengthOf(x.destinationPrefix));
  }

  #routed(d: OverlayDomain, destination: Address): Place | string {
    const direct = this.#byAddress(d, destination);
    if (direct)
      return d.customerRoutes.some(
        (r) => r.nextHop === undefined && r.vsid === direct.vsid && contains(r.destinationPrefix, destination),
      )
        ? direct
        : 'NO_ROUTE';
    const [route] = this.#routes(d, destination);
    if (!route) return 'NO_ROUTE';
    return (route.nextHop && this.#byAddress(d, route.nextHop)) || 'NO_RECORD';
  }

  /** The router's address on the subnet of the port that holds `a`. */
  #routerOf(d: OverlayDomain, port: OverlayPort, a: Address): Address | undefined {
    const [route] = this.#routes(d, a);
    return route && route.nextHop === undefined && route.vsid === port.vsid
      ? routerOf(route.destinationPrefix)
      : undefined;
  }

  #owns(d: OverlayDomain, port: OverlayPort, a: Address): boolean {
    return macOfLinkLocal(a) === port.mac || this.#byAddress(d, a)?.port === port;
  }

  /** The MAC for which the port's ARP or neighbour solicitation is answered. */
  #resolve(d: OverlayDomain, port: OverlayPort, target: Address): Mac | undefined {
    const place = this.#byAddress(d, target);
    if (place?.vsid === port.vsid) return place.mac;
    if (this.#routerOf(d, port, target) === target) return ROUTER_MAC;
    const named = macOfLinkLocal(target);
    return named && (named === ROUTER_MAC || this.#byMac(port.vsid, named)) ? named : undefined;
  }

  #arp(d: OverlayDomain, port: OverlayPort, f: Uint8Array): Verdict {
    if (f.length < 42) return dropped('TRUNCATED', d.slot);
    const { learns } = this.#subnet(d, port.vsid);
    const head = Buffer.from(f.subarray(14, 22)).toString('hex');
    const reply = learns && head === '0001080006040002';
    if (head !== '0001080006040001' && !reply) return dropped('ETHERTYPE', d.slot);
    const [sender, target] = [addressAt(f, 28, 4), addressAt(f, 38, 4)];
    if (macAt(f, 22) !== port.mac) return dropped('SPOOFED_MAC', d.slot);
    const claim = { mac: port.mac, address: sender };
    if (sender !== '0.0.0.0' && !(learns ? this.#teach(d, port.vsid, { port }, claim) : this.#owns(d, port, sender)))
      return dropped('SPOOFED_CA', d.slot);
    if (reply || (learns && sender === target)) return this.#copied(d, port, f);
    if (this.#owns(d, port, target)) return dropped('MULTICAST', d.slot);
    const mac = this.#resolve(d, port, target);
    if (!mac) return learns ? this.#copied(d, port, f) : dropped('NO_RECORD', d.slot);
    const answer = f.slice();
    answer.set([...macBytes(port.mac), ...macBytes(mac)], 0);
    answer.set([0, 2, ...macBytes(mac), ...addressBytes(target), ...macBytes(port.mac), ...addressBytes(sender)], 20);
    return { verdict: 'send', frame: answer };
  }

  #solicitation(d: OverlayDomain, port: OverlayPort, f: Uint8Array, p: Packet): Verdict {
    if (f.length < 78) return dropped('TRUNCATED', d.slot);
    if (f[55] !== 0 || p.ttl !== 255) return dropped('NEIGHBOUR', d.slot);
    const { learns } = this.#subnet(d, port.vsid);
    const target = addressAt(f, 62, 16);
    const probe = p.source === '::';
    const told = f[54] === 136;
    if (told && (!learns || probe)) return dropped('NEIGHBOUR', d.slot);
    const address = told ? target : p.source;
    const claimed =
      learns && !isLinkLocal(address)
        ? () => this.#teach(d, port.vsid, { port }, { mac: port.mac, address })
        : () => this.#owns(d, port, address);
    if (!probe && !claimed()) return dropped('SPOOFED_CA', d.slot);
    if (told) return this.#copied(d, port, f);
    if (this.#owns(d, port, target)) return dropped('MULTICAST', d.slot);
    const mac = this.#resolve(d, port, target);
    if (!mac) return learns ? this.#copied(d, port, f) : dropped('NO_RECORD', d.slot);
    const flags = 0x20 | (probe ? 0 : 0x40) | (mac === ROUTER_MAC ? 0x80 : 0);
    const frame = messageFrame({
      to: probe ? ('33:33:00:00:00:01' as Mac) : port.mac,
      from: mac,
      source: target,
      destination: probe ? ('ff02::1' as Address) : p.source,
      ttl: 255,
      tos: 0,
      body: Uint8Array.from([136, 0, 0, 0, flags, 0, 0, 0, ...addressBytes(target), 2, 1, ...macBytes(mac)]),
    });
    return { verdict: 'send', frame };
  }

  #ping(d: OverlayDomain, port: OverlayPort, f: Uint8Array, p: Packet): Verdict {
    const at = ETHERNET + p.header;
    const [request, reply, protocol] = p.family === 4 ? [8, 0, 1] : [128, 129, ICMPV6];
    if (f.length < ETHERNET + (p.family === 4 ? 20 : 40) + 4) return dropped('TRUNCATED', d.slot);
    const plain = p.family === 6 || p.header === 20;
    if (!plain || p.protocol !== protocol || p.fragment || f[at] !== request || f[at + 1] !== 0)
      return dropped('NO_ROUTE', d.slot);
    const answer = f.slice();
    answer.set([...macBytes(port.mac), ...macBytes(ROUTER_MAC)], 0);
    const addresses = ETHERNET + (p.family === 4 ? 12 : 8);
    answer.set([...addressBytes(p.destination), ...addressBytes(p.source)], addresses);
    setTtl(answer, p, 64);
    rewriteWord(answer, at, reply << 8, at + 2);
    return { verdict: 'send', frame: answer };
  }

  /** To the many, or to the one whose MAC it is for. */
  #copied(d: OverlayDomain, port: OverlayPort, f: Uint8Array): Verdict {
    if (f[0]! & 1) return { verdict: 'copied' };
    const place = this.#byMac(port.vsid, macAt(f, 0));
    if (!place || place.port === port) return dropped('NO_RECORD', d.slot);
    return place.port ? { verdict: 'send', frame: f } : { verdict: 'copied' };
  }

  /** IPv4 for a group of the virtual subnet. */
  #group(d: OverlayDomain, port: OverlayPort, f: Uint8Array): Verdict {
    const { learns, replicates } = this.#subnet(d, port.vsid);
    if (!learns && !replicates) return dropped('MULTICAST', d.slot);
    if (f.length < 34) return dropped('TRUNCATED', d.slot);
    if (u16(f, 12) !== 0x0800) return dropped('ETHERTYPE', d.slot);
    const p = parsePacket(f.subarray(ETHERNET), 4);
    if (!p) return dropped('TRUNCATED', d.slot);
    const dhcp = isDhcp(f, p);
    if (!replicates && !dhcp) return dropped('MULTICAST', d.slot);
    const asking = dhcp && p.source === '0.0.0.0';
    if (!asking && !port.gateway && !this.#owns(d, port, p.source)) return dropped('SPOOFED_CA', d.slot);
    if (p.protocol === GRE && this.#isProvider(p.destination)) return dropped('NESTED', d.slot);
    if (learns) this.#hear(d, port.vsid, { port }, f, p);
    return { verdict: 'copied' };
  }

  /** The copy for one machine: the place of that number among those of the virtual subnet. */
  replica(index: number, f: Uint8Array, n: number): Verdict {
    const { d, port } = this.#portOf(index)!;
    const places = d.lookupRecords
      .filter((r) => r.vsid === port.vsid)
      .map((r) => this.#place({ ...d, ports: [] }, r))
      .filter((p) => p?.pa !== undefined && !p.plain);
    const byAddress = [...new Map(places.map((p) => [p!.pa!, p!]))];
    const machines = byAddress.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, place]) => place);
    const locals = d.ports.filter((p) => p.vsid === port.vsid).length;
    const place = n < locals ? undefined : machines[n - locals];
    if (!place) return dropped('NO_RECORD', d.slot);
    if (f.length - ETHERNET > this.#room(place)) return dropped('TOO_BIG', d.slot);
    const tos = u16(f, 12) === 0x0806 ? 0 : u16(f, 12) === 0x86dd ? (u16(f, 14) >> 4) & 0xff : f[15]!;
    return this.#encapsulated(d, f, tos, place);
  }

  #portOf(index: number) {
    return this.#input.domains
      .flatMap((d) => d.ports.map((port) => ({ d, port })))
      .find(({ port }) => this.#input.link(port.device)?.index === index);
  }

  port(index: number, f: Uint8Array, gsoSize = 0): Verdict {
    const found = this.#portOf(index);
    if (!found) return dropped('UNKNOWN_PORT', 0);
    const { d, port } = found;
    const type = u16(f, 12);
    if (isVlan(type)) return dropped('INNER_VLAN', d.slot);
    if (macAt(f, 6) !== port.mac) return dropped('SPOOFED_MAC', d.slot);
    if (type === 0x0806) return this.#arp(d, port, f);
    const group = (f[0]! & 1) === 1;
    if (type !== 0x86dd && group) return this.#group(d, port, f);
    const family = FAMILIES[type];
    if (!family) return dropped('ETHERTYPE', d.slot);
    const p = parsePacket(f.subarray(ETHERNET), family);
    if (!p) return dropped('TRUNCATED', d.slot);
    const refused = family === 4 ? this.#refuseIpv4(d, port, f, p) : this.#refuseIpv6(d, port, f, p, group);
    return refused ?? this.#forward(d, port, f, p, gsoSize);
  }

  #nested(f: Uint8Array, p: Packet): boolean {
    const at = ETHERNET + p.header;
    const vxlan =
      p.protocol === UDP && p.header === (p.family === 4 ? 20 : 40) && f.length >= at + 16 && u16(f, at + 2) === 4789;
    return !p.fragment && (p.protocol === GRE || vxlan) && this.#isProvider(p.destination);
  }

  #refuseIpv4(d: OverlayDomain, port: OverlayPort, f: Uint8Array, p: Packet): Verdict | undefined {
    if (!port.gateway && !this.#owns(d, port, p.source)) return dropped('SPOOFED_CA', d.slot);
    if (isMulticast(p.destination)) return dropped('MULTICAST', d.slot);
    if (this.#nested(f, p)) return dropped('NESTED', d.slot);
    if (this.#subnet(d, port.vsid).learns) this.#hear(d, port.vsid, { port }, f, p);
    return undefined;
  }

  #refuseIpv6(d: OverlayDomain, port: OverlayPort, f: Uint8Array, p: Packet, group: boolean): Verdict | undefined {
    const routed = macAt(f, 0) === ROUTER_MAC;
    const type = p.protocol === ICMPV6 && f.length >= 58 ? f[54]! : 0;
    if (type === 135 || type === 136) return this.#solicitation(d, port, f, p);
    if (!port.gateway && p.source !== '::' && !this.#owns(d, port, p.source)) return dropped('SPOOFED_CA', d.slot);
    if (type >= 133 && type <= 137) return dropped('NEIGHBOUR', d.slot);
    if (!routed && EXTENSIONS.includes(p.protocol) && p.ttl === 255) return dropped('NEIGHBOUR', d.slot);
    if (group || isMulticast(p.destination)) {
      if (!group || !this.#subnet(d, port.vsid).replicates) return dropped('MULTICAST', d.slot);
      return p.source === '::' ? dropped('SPOOFED_CA', d.slot) : { verdict: 'copied' };
    }
    if (p.source === '::') return dropped('SPOOFED_CA', d.slot);
    if (this.#nested(f, p)) return dropped('NESTED', d.slot);
    if (routed && isLinkLocal(p.destination)) return this.#ping(d, port, f, p);
    return routed && isLinkLocal(p.source) ? dropped('NO_ROUTE', d.slot) : undefined;
  }

  #forward(d: OverlayDomain, port: OverlayPort, f: Uint8Array, p: Packet, gsoSize: number): Verdict {
    const routed = macAt(f, 0) === ROUTER_MAC;
    const fallback = p.family === 4 ? port.addresses.find((a) => familyOf(a) === 4) : undefined;
    const router =
      this.#routerOf(d, port, p.source) ?? (fallback && this.#routerOf(d, port, fallback)) ?? p.destination;
    const refuse = (reason: string, mtu = 0) =>
      dropped(reason, d.slot, errorFrame(f, p, port.mac, router, reason, mtu));
    const found = routed ? this.#routed(d, p.destination) : (this.#byMac(port.vsid, macAt(f, 0)) ?? 'NO_RECORD');
    const place = typeof found === 'object' && found.port === port ? (routed ? 'NO_ROUTE' : 'NO_RECORD') : found;
    if (typeof place === 'string') return routed ? refuse(place) : dropped(place, d.slot);
    if (place.router) return this.#ping(d, port, f, p);
    const room = this.#room(place);
    const longest = gsoSize
      ? gsoSize + p.header + (p.protocol === 6 ? (f[ETHERNET + p.header + 12]! >> 4) * 4 : 8)
      : f.length - ETHERNET;
    if (longest > room) return refuse('TOO_BIG', room);
    const out = f.slice();
    if (routed) {
      if (p.ttl <= 1) return refuse('TTL_EXCEEDED');
      setTtl(out, p, p.ttl - 1);
      out.set([...macBytes(place.mac), ...macBytes(ROUTER_MAC)], 0);
    }
    return place.port || place.plain ? { verdict: 'send', frame: out } : this.#encapsulated(d, out, p.tos, place);
  }

  /** The largest packet that fits. */
  #room(place: Place): number {
    if (place.port) return this.#input.link(place.port.device)!.mtu;
    const { mtu } = this.#input.link(this.#input.netAdapters[0]!.device)!;
    return place.plain ? mtu : mtu - { NVGRE: 22, VXLAN: 30 }[this.#sends] - (familyOf(place.pa!) === 4 ? 20 : 40);
  }

  #encapsulated(d: OverlayDomain, inner: Uint8Array, tos: number, place: Place): Verdict {
    const { dscp } = this.#subnet(d, place.vsid);
    const family = familyOf(place.pa!);
    const own = this.#input.providerAddresses.find((x) => familyOf(x.providerAddress) === family)!;
    const frame = {
      destinationMac: macAt(inner, 0),
      sourceMac: macAt(inner, 6),
      destination: place.pa!,
      source: own.providerAddress,
      tos: typeof dscp === 'number' ? (dscp << 2) | (tos & 3) : tos,
      ttl: 64,
      vsid: place.vsid,
      inner,
    };
    return this.#sends === 'NVGRE'
      ? { verdict: 'send', frame: encodeNvgre({ ...frame, flowId: 0 }), encapsulated: 'NVGRE' }
      : { verdict: 'send', frame: encodeVxlan({ ...frame, sourcePort: 0 }), encapsulated: 'VXLAN' };
  }

  wire(f: Uint8Array): Verdict {
    const family = FAMILIES[u16(f, 12)];
    const ours = (a: Address) => this.#input.providerAddresses.some((p) => p.providerAddress === a);
    const at = ETHERNET + (family === 6 ? 40 : 20);
    if (!family || f.length < at || f[ETHERNET]! >> 4 !== family) return PASS;
    const protocol = f[ETHERNET + (family === 4 ? 9 : 6)]!;
    const size = family === 4 ? 4 : 16;
    const source = addressAt(f, at - 2 * size, size);
    if (!ours(addressAt(f, at - size, size))) return this.#plain(f, family, source, addressAt(f, at - size, size));
    const options = family === 4 && (f[ETHERNET]! & 15) !== 5;
    const fragment = family === 4 ? u16(f, ETHERNET + 6) & 0x3fff : 0;
    let name: Encapsulation = 'NVGRE';
    if (protocol === UDP) {
      name = 'VXLAN';
      const port = f.length >= at + 4 && u16(f, at + 2);
      if (options || fragment & 0x1fff || !this.#takes.includes('VXLAN') || port !== 4789) return PASS;
    } else if (protocol !== GRE) return PASS;
    if (options) return dropped('BAD_GRE', 0);
    if (fragment) return dropped('FRAGMENTED_OUTER', 0);
    const start = at + (name === 'NVGRE' ? 8 : 16);
    if (f.length < start) return dropped('TRUNCATED', 0);
    if (name === 'NVGRE' && (u16(f, at) !== 0x2000 || u16(f, at + 2) !== 0x6558)) return dropped('BAD_GRE', 0);
    if (name === 'VXLAN' && !(f[at + 8]! & 8)) return dropped('BAD_VXLAN', 0);
    const vsid = (f[start - 4]! << 16) | u16(f, start - 3);
    const d = this.#input.domains.find((x) =>
      [...x.ports, ...x.customerRoutes, ...x.lookupRecords].some((y) => y.vsid === vsid),
    );
    const names = (x: OverlayDomain) => x.lookupRecords.some((r) => r.providerAddress === source && isTunnel(r));
    if (!this.#isPeer(source)) return dropped('UNKNOWN_PA', d?.slot ?? 0);
    if (!d) return dropped('UNKNOWN_VSID', 0);
    if (ours(source) || !names(d)) return dropped('FOREIGN_PA', d.slot);
    if (!this.#takes.includes(name)) return dropped('ENCAPSULATION', d.slot);
    const whole = family === 4 ? u16(f, ETHERNET + 2) : u16(f, ETHERNET + 4) + 40;
    if (whole > f.length - ETHERNET || (family === 4 && whole < 20)) return dropped('TRUNCATED', d.slot);
    const outerTos = family === 4 ? f[ETHERNET + 1]! : (u16(f, ETHERNET) >> 4) & 0xff;
    return this.#received(d, vsid, f.slice(start), source, outerTos);
  }

  #isPeer(address: Address): boolean {
    return this.#input.domains.some((d) => d.lookupRecords.some((r) => r.providerAddress === address && isTunnel(r)));
  }

  /** What comes without encapsulation from the address of a record that says so; else it is the stack's. */
  #plain(f: Uint8Array, family: Family, source: Address, destination: Address): Verdict {
    const d = this.#input.domains.find((x) =>
      x.lookupRecords.some((r) => r.rule === 'TranslationMethodNone' && r.customerAddress === source),
    );
    const place = d && this.#routed(d, destination);
    const direct = d && this.#byAddress(d, destination);
    if (!place || typeof place === 'string' || !direct?.port || macAt(f, 0) !== DEVICE_MAC) return PASS;
    const p = parsePacket(f.subarray(ETHERNET), family);
    if (!p) return dropped('TRUNCATED', d.slot);
    if (f.length - ETHERNET > this.#room(place)) return dropped('TOO_BIG', d.slot);
    if (p.ttl <= 1) return dropped('TTL_EXCEEDED', d.slot);
    const out = f.slice();
    setTtl(out, p, p.ttl - 1);
    out.set([...macBytes(place.mac), ...macBytes(ROUTER_MAC)], 0);
    return { verdict: 'send', frame: out };
  }

  #receivedNeighbour(d: OverlayDomain, vsid: Vsid, inner: Uint8Array, pa: Address): Verdict {
    const claim = readNeighbour(inner);
    if (typeof claim === 'string') return dropped(claim, d.slot);
    const known = this.#byMac(vsid, claim.mac);
    const bound = known && known.pa !== pa && known.type !== 'L2Only' && known.type !== 'Dynamic';
    if (bound || known?.port) return dropped('SPOOFED_MAC', d.slot);
    const { mac, address } = claim;
    if (address !== undefined && !this.#teach(d, vsid, { pa }, { mac, address })) return dropped('SPOOFED_CA', d.slot);
    if (inner[0]! & 1) return { verdict: 'copied' };
    if (!this.#byMac(vsid, macAt(inner, 0))?.port) return dropped('NOT_LOCAL', d.slot);
    // Ethernet's shortest frame.
    return { verdict: 'send', frame: Buffer.concat([inner, Buffer.alloc(Math.max(0, 60 - inner.length))]) };
  }

  #received(d: OverlayDomain, vsid: Vsid, inner: Uint8Array, pa: Address, outerTos: number): Verdict {
    if (inner.length < ETHERNET + 20) return dropped('TRUNCATED', d.slot);
    const type = u16(inner, 12);
    if (isVlan(type)) return dropped('INNER_VLAN', d.slot);
    const { learns, replicates, dscp } = this.#subnet(d, vsid);
    if (learns && isNeighbourFrame(inner)) return this.#receivedNeighbour(d, vsid, inner, pa);
    const group = (inner[0]! & 1) === 1;
    if (group && !learns && !replicates) return dropped('MULTICAST', d.slot);
    const family = FAMILIES[type];
    if (!family) return dropped('ETHERTYPE', d.slot);
    const p = parsePacket(inner.subarray(ETHERNET), family);
    if (!p) return dropped('TRUNCATED', d.slot);
    const dhcp = group && learns && isDhcp(inner, p);
    if (dhcp) this.#hear(d, vsid, { pa }, inner, p);
    if (group && !dhcp && !replicates) return dropped('MULTICAST', d.slot);
    if (p.protocol === GRE && this.#isProvider(p.destination)) return dropped('NESTED', d.slot);
    if (!group && !this.#byMac(vsid, macAt(inner, 0))?.port) return dropped('NOT_LOCAL', d.slot);
    const sender = d.sourceCheck ? this.#byAddress(d, p.source) : undefined;
    if (sender && sender.pa !== pa) return dropped('FOREIGN_CA', d.slot);
    const ecn = decapsulatedEcn(p.tos & 3, outerTos & 3);
    if (ecn === undefined) return dropped('CONGESTION', d.slot);
    setTos(inner, p, ((dscp === 'Uniform' ? outerTos : p.tos) & ~3) | ecn);
    return group ? { verdict: 'copied' } : { verdict: 'send', frame: inner };
  }
}
