/**
 * What the data path must do with a frame, said again from the requirements (R-ENC-1…9, RFC 7637, RFC 6040) over the policy
 * itself, with linear searches and no maps. The eBPF programs are compared with it.
 */
import type { LookupRecord, Vsid } from '../../compartments/compartment.ts';
import { ROUTER_MAC } from '../../compartments/policy.ts';
import { encodeNvgre, internetChecksum } from '../../encap/nvgre.ts';
import type { OverlayDomain, OverlayInput, OverlayPort } from '../../encap/overlay.ts';
import { type Address, addressBytes, addressFromBytes, type Mac, macBytes, macFromBytes } from '../../lib/address.ts';
import { contains, lengthOf, routerOf } from '../../lib/prefix.ts';
import { PACKET_REASONS } from '../../lib/reason.ts';

export type Verdict =
  | { readonly verdict: 'drop'; readonly reason: string; readonly slot: number }
  | { readonly verdict: 'pass' }
  /** The frame as it leaves; of an encapsulated one the outer Ethernet header is the kernel's affair and the FlowID free. */
  | { readonly verdict: 'send'; readonly frame: Uint8Array; readonly encapsulated: boolean };

const dropped = (reason: string, slot: number): Verdict => {
  if (!PACKET_REASONS.some((r) => r.name === reason)) throw new Error(`no reason ${reason}`);
  return { verdict: 'drop', reason, slot };
};

interface Place {
  readonly vsid: Vsid;
  readonly mac: Mac;
  readonly port?: OverlayPort;
  readonly pa?: Address;
  readonly router: boolean;
}

const u16 = (b: Uint8Array, at: number): number => (b[at]! << 8) | b[at + 1]!;
const ipv4At = (b: Uint8Array, at: number): Address => addressFromBytes(b.subarray(at, at + 4));
const macAt = (b: Uint8Array, at: number): Mac => macFromBytes(b.subarray(at, at + 6));

export class Model {
  readonly #input: OverlayInput;
  constructor(input: OverlayInput) {
    this.#input = input;
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

  #routed(d: OverlayDomain, destination: Address): Place | string {
    const direct = this.#byAddress(d, destination);
    if (direct)
      return d.customerRoutes.some(
        (r) => r.nextHop === undefined && r.vsid === direct.vsid && contains(r.destinationPrefix, destination),
      )
        ? direct
        : 'NO_ROUTE';
    const [route] = d.customerRoutes
      .filter((r) => contains(r.destinationPrefix, destination))
      .sort((a, b) => lengthOf(b.destinationPrefix) - lengthOf(a.destinationPrefix));
    if (!route) return 'NO_ROUTE';
    return (route.nextHop && this.#byAddress(d, route.nextHop)) || 'NO_RECORD';
  }

  #arp(d: OverlayDomain, port: OverlayPort, f: Uint8Array): Verdict {
    if (f.length < 42) return dropped('TRUNCATED', d.slot);
    const head = Buffer.from(f.subarray(14, 22)).toString('hex');
    if (head !== '0001080006040001') return dropped('ETHERTYPE', d.slot);
    const [sender, target] = [ipv4At(f, 28), ipv4At(f, 38)];
    const owns = (a: Address) => this.#byAddress(d, a)?.port === port;
    if (macAt(f, 22) !== port.mac) return dropped('SPOOFED_MAC', d.slot);
    if (sender !== '0.0.0.0' && !owns(sender)) return dropped('SPOOFED_CA', d.slot);
    if (owns(target)) return dropped('MULTICAST', d.slot);
    const place = this.#byAddress(d, target);
    const router = d.customerRoutes
      .filter((r) => contains(r.destinationPrefix, target))
      .sort((a, b) => lengthOf(b.destinationPrefix) - lengthOf(a.destinationPrefix))
      .slice(0, 1)
      .some((r) => r.nextHop === undefined && r.vsid === port.vsid && routerOf(r.destinationPrefix) === target);
    const mac = place?.vsid === port.vsid ? place.mac : router ? ROUTER_MAC : undefined;
    if (!mac) return dropped('NO_RECORD', d.slot);
    const answer = f.slice();
    answer.set([...macBytes(port.mac), ...macBytes(mac)], 0);
    answer.set([0, 2, ...macBytes(mac), ...addressBytes(target), ...macBytes(port.mac), ...addressBytes(sender)], 20);
    return { verdict: 'send', frame: answer, encapsulated: false };
  }

  #ping(d: OverlayDomain, port: OverlayPort, f: Uint8Array): Verdict {
    if (f.length < 38) return dropped('TRUNCATED', d.slot);
    if (f[14] !== 0x45 || f[23] !== 1 || u16(f, 20) & 0x3fff || f[34] !== 8 || f[35] !== 0)
      return dropped('NO_ROUTE', d.slot);
    const answer = f.slice();
    answer.set([...macBytes(port.mac), ...macBytes(ROUTER_MAC)], 0);
    answer.set([...f.subarray(30, 34), ...f.subarray(26, 30)], 26);
    rewriteWord(answer, 22, (64 << 8) | f[23]!, 24);
    rewriteWord(answer, 34, 0, 36);
    return { verdict: 'send', frame: answer, encapsulated: false };
  }

  port(index: number, f: Uint8Array): Verdict {
    const found = this.#input.domains
      .flatMap((d) => d.ports.map((port) => ({ d, port })))
      .find(({ port }) => this.#input.link(port.device)?.index === index);
    if (!found) return dropped('UNKNOWN_PORT', 0);
    const { d, port } = found;
    const type = u16(f, 12);
    if (type === 0x8100 || type === 0x88a8) return dropped('INNER_VLAN', d.slot);
    if (macAt(f, 6) !== port.mac) return dropped('SPOOFED_MAC', d.slot);
    if (type === 0x0806) return this.#arp(d, port, f);
    if (f[0]! & 1) return dropped('MULTICAST', d.slot);
    if (type !== 0x0800) return dropped('ETHERTYPE', d.slot);
    if (!soundIpv4(f.subarray(14))) return dropped('TRUNCATED', d.slot);
    const [source, destination] = [ipv4At(f, 26), ipv4At(f, 30)];
    if (!port.gateway && this.#byAddress(d, source)?.port !== port) return dropped('SPOOFED_CA', d.slot);
    if (f[30]! >= 224) return dropped('MULTICAST', d.slot);
    const whole = !(u16(f, 20) & 0x3fff);
    const vxlan = f[14] === 0x45 && f[23] === 17 && f.length >= 50 && u16(f, 36) === 4789;
    if (whole && (f[23] === 47 || vxlan) && this.#isProvider(destination)) return dropped('NESTED', d.slot);

    const routed = macAt(f, 0) === ROUTER_MAC;
    const place = routed ? this.#routed(d, destination) : (this.#byMac(port.vsid, macAt(f, 0)) ?? 'NO_RECORD');
    if (typeof place === 'string') return dropped(place, d.slot);
    if (place.port === port) return dropped(routed ? 'NO_ROUTE' : 'NO_RECORD', d.slot);
    if (place.router) return this.#ping(d, port, f);
    const room = place.port
      ? this.#input.link(place.port.device)!.mtu
      : this.#input.link(this.#input.netAdapters[0]!.device)!.mtu - 42;
    if (f.length - 14 > room) return dropped('TOO_BIG', d.slot);
    const out = f.slice();
    if (routed) {
      if (f[22]! <= 1) return dropped('TTL_EXCEEDED', d.slot);
      rewriteWord(out, 22, ((f[22]! - 1) << 8) | f[23]!, 24);
      out.set([...macBytes(place.mac), ...macBytes(ROUTER_MAC)], 0);
    }
    if (place.port) return { verdict: 'send', frame: out, encapsulated: false };
    const frame = encodeNvgre({
      destinationMac: macAt(out, 0),
      sourceMac: macAt(out, 6),
      destination: place.pa!,
      source: this.#input.providerAddresses[0]!.providerAddress,
      tos: out[15]!,
      ttl: 64,
      vsid: place.vsid,
      flowId: 0,
      inner: out,
    });
    return { verdict: 'send', frame, encapsulated: true };
  }

  wire(f: Uint8Array): Verdict {
    const ours = (a: Address) => this.#input.providerAddresses.some((p) => p.providerAddress === a);
    if (f.length < 34 || u16(f, 12) !== 0x0800 || f[23] !== 47 || !ours(ipv4At(f, 30))) return { verdict: 'pass' };
    if (u16(f, 20) & 0x3fff) return dropped('FRAGMENTED_OUTER', 0);
    if (f.length < 42) return dropped('TRUNCATED', 0);
    if ((f[14]! & 15) !== 5 || u16(f, 34) !== 0x2000 || u16(f, 36) !== 0x6558) return dropped('BAD_GRE', 0);
    const vsid = (f[38]! << 16) | u16(f, 39);
    const d = this.#input.domains.find((x) =>
      [...x.ports, ...x.customerRoutes, ...x.lookupRecords].some((y) => y.vsid === vsid),
    );
    const source = ipv4At(f, 26);
    const names = (x: OverlayDomain) =>
      x.lookupRecords.some((r) => r.providerAddress === source && r.mac !== ROUTER_MAC);
    if (!this.#input.domains.some(names)) return dropped('UNKNOWN_PA', d?.slot ?? 0);
    if (!d) return dropped('UNKNOWN_VSID', 0);
    if (f.length < 76) return dropped('TRUNCATED', d.slot);
    if (ours(source) || !names(d)) return dropped('FOREIGN_PA', d.slot);

    const type = u16(f, 54);
    if (type === 0x8100 || type === 0x88a8) return dropped('INNER_VLAN', d.slot);
    if (f[42]! & 1) return dropped('MULTICAST', d.slot);
    if (type !== 0x0800) return dropped('ETHERTYPE', d.slot);
    if (!soundIpv4(f.subarray(14)) || !soundIpv4(f.subarray(56))) return dropped('TRUNCATED', d.slot);
    if (f[65] === 47 && this.#isProvider(ipv4At(f, 72))) return dropped('NESTED', d.slot);
    if (!this.#byMac(vsid, macAt(f, 42))?.port) return dropped('NOT_LOCAL', d.slot);
    const inner = f.slice(42);
    const ecn = decapsulatedEcn(inner[15]! & 3, f[15]! & 3);
    if (ecn === undefined) return dropped('CONGESTION', d.slot);
    rewriteWord(inner, 14, (inner[14]! << 8) | (inner[15]! & ~3) | ecn, 24);
    return { verdict: 'send', frame: inner, encapsulated: false };
  }
}

/** The table of RFC 6040 §4.2, figure 4; rows inner, columns outer, in the order Not-ECT, ECT(1), ECT(0), CE. */
function decapsulatedEcn(inner: number, outer: number): number | undefined {
  const table: readonly (readonly (number | undefined)[])[] = [
    [0, 0, 0, undefined],
    [1, 1, 1, 3],
    [2, 1, 2, 3],
    [3, 3, 3, 3],
  ];
  return table[inner]![outer];
}

function soundIpv4(packet: Uint8Array): boolean {
  if (packet.length < 20 || packet[0]! >> 4 !== 4) return false;
  const header = (packet[0]! & 15) * 4;
  const total = u16(packet, 2);
  return header >= 20 && total >= header && total <= packet.length;
}

/** Writes a word and corrects the checksum at `sum` as a router does, so that a wrong checksum stays wrong (RFC 1624). */
function rewriteWord(b: Uint8Array, at: number, value: number, sum: number): void {
  const old = u16(b, at);
  if (old === value) return;
  const words = Uint8Array.of(~b[sum]!, ~b[sum + 1]!, ~(old >> 8), ~old, value >> 8, value);
  const check = internetChecksum(words);
  b.set([value >> 8, value & 0xff], at);
  b.set([check >> 8, check & 0xff], sum);
}
