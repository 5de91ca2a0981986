/**
 * What the data path must do with a frame, said again from the requirements (R-ENC-1…13, RFC 7637, RFC 7348, RFC 6040) over the
 * policy itself, with linear searches and no maps. The eBPF programs are compared with it.
 */
import type { LookupRecord, Vsid } from '../../compartments/compartment.ts';
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
}

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

export class Model {
  readonly #input: OverlayInput;
  readonly #sends: Encapsulation;
  readonly #takes: readonly Encapsulation[];
  constructor(input: OverlayInput) {
    this.#input = input;
    this.#sends = input.encapsulation ?? 'NVGRE';
    this.#takes = input.decapsulation ?? [this.#sends];
  }

  #place(d: OverlayDomain, r: LookupRecord): Place | undefined {
    const { vsid, mac } = r;
    if (mac === ROUTER_MAC) return { vsid, mac, router: true };
    const port = d.ports.find((p) => p.mac === mac && p.vsid === vsid);
    if (port) return { vsid, mac, port, router: false };
    const own = this.#input.providerAddresses.some((p) => p.providerAddress === r.providerAddress);
    return own ? undefined : { vsid, mac, pa: r.providerAddress, router: false };
  }

  #byAddress(d: OverlayDomain, address: Address): Place | undefined {
    const port = d.ports.find((p) => p.addresses.includes(address));
    if (port) return { vsid: port.vsid, mac: port.mac, port, router: false };
    const record = d.lookupRecords.find((r) => r.customerAddress === address);
    return record && this.#place(d, record);
  }

  #byMac(vsid: Vsid, mac: Mac): Place | undefined {
    for (const d of this.#input.domains) {
      const port = d.ports.find((p) => p.vsid === vsid && p.mac === mac);
      if (port) return { vsid, mac, port, router: false };
      const record = d.lookupRecords.find((r) => r.vsid === vsid && r.mac === mac && mac !== ROUTER_MAC);
      if (record) return this.#place(d, record);
    }
    return undefined;
  }

  #isProvider(address: Address): boolean {
    const records = this.#input.domains.flatMap((d) => d.lookupRecords.filter((r) => r.mac !== ROUTER_MAC));
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
    const head = Buffer.from(f.subarray(14, 22)).toString('hex');
    if (head !== '0001080006040001') return dropped('ETHERTYPE', d.slot);
    const [sender, target] = [addressAt(f, 28, 4), addressAt(f, 38, 4)];
    if (macAt(f, 22) !== port.mac) return dropped('SPOOFED_MAC', d.slot);
    if (sender !== '0.0.0.0' && !this.#owns(d, port, sender)) return dropped('SPOOFED_CA', d.slot);
    if (this.#owns(d, port, target)) return dropped('MULTICAST', d.slot);
    const mac = this.#resolve(d, port, target);
    if (!mac) return dropped('NO_RECORD', d.slot);
    const answer = f.slice();
    answer.set([...macBytes(port.mac), ...macBytes(mac)], 0);
    answer.set([0, 2, ...macBytes(mac), ...addressBytes(target), ...macBytes(port.mac), ...addressBytes(sender)], 20);
    return { verdict: 'send', frame: answer };
  }

  #solicitation(d: OverlayDomain, port: OverlayPort, f: Uint8Array, p: Packet): Verdict {
    if (f.length < 78) return dropped('TRUNCATED', d.slot);
    if (f[55] !== 0 || p.ttl !== 255) return dropped('NEIGHBOUR', d.slot);
    if (f[54] === 136) return dropped('NEIGHBOUR', d.slot); // no virtual subnet of this policy learns
    const target = addressAt(f, 62, 16);
    const probe = p.source === '::';
    if (!probe && !this.#owns(d, port, p.source)) return dropped('SPOOFED_CA', d.slot);
    if (this.#owns(d, port, target)) return dropped('MULTICAST', d.slot);
    const mac = this.#resolve(d, port, target);
    if (!mac) return dropped('NO_RECORD', d.slot);
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

  port(index: number, f: Uint8Array, gsoSize = 0): Verdict {
    const found = this.#input.domains
      .flatMap((d) => d.ports.map((port) => ({ d, port })))
      .find(({ port }) => this.#input.link(port.device)?.index === index);
    if (!found) return dropped('UNKNOWN_PORT', 0);
    const { d, port } = found;
    const type = u16(f, 12);
    if (isVlan(type)) return dropped('INNER_VLAN', d.slot);
    if (macAt(f, 6) !== port.mac) return dropped('SPOOFED_MAC', d.slot);
    if (type === 0x0806) return this.#arp(d, port, f);
    const group = (f[0]! & 1) === 1;
    if (type !== 0x86dd && group) return dropped('MULTICAST', d.slot);
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
    return this.#nested(f, p) ? dropped('NESTED', d.slot) : undefined;
  }

  #refuseIpv6(d: OverlayDomain, port: OverlayPort, f: Uint8Array, p: Packet, group: boolean): Verdict | undefined {
    const routed = macAt(f, 0) === ROUTER_MAC;
    const type = p.protocol === ICMPV6 && f.length >= 58 ? f[54]! : 0;
    if (type === 135 || type === 136) return this.#solicitation(d, port, f, p);
    if (!port.gateway && p.source !== '::' && !this.#owns(d, port, p.source)) return dropped('SPOOFED_CA', d.slot);
    if (type >= 133 && type <= 137) return dropped('NEIGHBOUR', d.slot);
    if (!routed && EXTENSIONS.includes(p.protocol) && p.ttl === 255) return dropped('NEIGHBOUR', d.slot);
    if (group || isMulticast(p.destination)) return dropped('MULTICAST', d.slot);
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
    const room = place.port
      ? this.#input.link(place.port.device)!.mtu
      : this.#input.link(this.#input.netAdapters[0]!.device)!.mtu -
        { NVGRE: 22, VXLAN: 30 }[this.#sends] -
        (familyOf(place.pa!) === 4 ? 20 : 40);
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
    return place.port ? { verdict: 'send', frame: out } : this.#encapsulated(out, p, place);
  }

  #encapsulated(inner: Uint8Array, p: Packet, place: Place): Verdict {
    const family = familyOf(place.pa!);
    const own = this.#input.providerAddresses.find((x) => familyOf(x.providerAddress) === family)!;
    const frame = {
      destinationMac: macAt(inner, 0),
      sourceMac: macAt(inner, 6),
      destination: place.pa!,
      source: own.providerAddress,
      tos: p.tos,
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
    if (!family || f.length < at || f[ETHERNET]! >> 4 !== family) return { verdict: 'pass' };
    const protocol = f[ETHERNET + (family === 4 ? 9 : 6)]!;
    const size = family === 4 ? 4 : 16;
    const source = addressAt(f, at - 2 * size, size);
    if (!ours(addressAt(f, at - size, size))) return { verdict: 'pass' };
    const options = family === 4 && (f[ETHERNET]! & 15) !== 5;
    const fragment = family === 4 ? u16(f, ETHERNET + 6) & 0x3fff : 0;
    let name: Encapsulation = 'NVGRE';
    if (protocol === UDP) {
      name = 'VXLAN';
      const port = f.length >= at + 4 && u16(f, at + 2);
      if (options || fragment & 0x1fff || !this.#takes.includes('VXLAN') || port !== 4789) return { verdict: 'pass' };
    } else if (protocol !== GRE) return { verdict: 'pass' };
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
    const names = (x: OverlayDomain) =>
      x.lookupRecords.some((r) => r.providerAddress === source && r.mac !== ROUTER_MAC);
    if (!this.#input.domains.some(names)) return dropped('UNKNOWN_PA', d?.slot ?? 0);
    if (!d) return dropped('UNKNOWN_VSID', 0);
    if (ours(source) || !names(d)) return dropped('FOREIGN_PA', d.slot);
    if (!this.#takes.includes(name)) return dropped('ENCAPSULATION', d.slot);
    const whole = family === 4 ? u16(f, ETHERNET + 2) : u16(f, ETHERNET + 4) + 40;
    if (whole > f.length - ETHERNET || (family === 4 && whole < 20)) return dropped('TRUNCATED', d.slot);
    const outerTos = family === 4 ? f[ETHERNET + 1]! : (u16(f, ETHERNET) >> 4) & 0xff;
    return this.#received(d, vsid, f.slice(start), outerTos);
  }

  #received(d: OverlayDomain, vsid: Vsid, inner: Uint8Array, outerTos: number): Verdict {
    if (inner.length < ETHERNET + 20) return dropped('TRUNCATED', d.slot);
    const type = u16(inner, 12);
    if (isVlan(type)) return dropped('INNER_VLAN', d.slot);
    if (inner[0]! & 1) return dropped('MULTICAST', d.slot);
    const family = FAMILIES[type];
    if (!family) return dropped('ETHERTYPE', d.slot);
    const p = parsePacket(inner.subarray(ETHERNET), family);
    if (!p) return dropped('TRUNCATED', d.slot);
    if (p.protocol === GRE && this.#isProvider(p.destination)) return dropped('NESTED', d.slot);
    if (!this.#byMac(vsid, macAt(inner, 0))?.port) return dropped('NOT_LOCAL', d.slot);
    const ecn = decapsulatedEcn(p.tos & 3, outerTos & 3);
    if (ecn === undefined) return dropped('CONGESTION', d.slot);
    setTos(inner, p, (p.tos & ~3) | ecn);
    return { verdict: 'send', frame: inner };
  }
}
