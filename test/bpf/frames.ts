/**
 * Random frames for the differential test: of both families, of every kind that the data path tells apart, from both sides, and
 * disturbed ones. Half of what ports send is honest, so that it gets past the first checks.
 */
import fc from 'fast-check';
import { ROUTER_MAC } from '../../compartments/policy.ts';
import { encodeNvgre } from '../../encap/nvgre.ts';
import type { OverlayDomain, OverlayInput } from '../../encap/overlay.ts';
import { encodeVxlan } from '../../encap/vxlan.ts';
import { type Address, addressBytes, familyOf, type Mac, macBytes } from '../../lib/address.ts';
import { DEVICE_MAC } from './data-path.ts';
import { messageFrame } from './packet.ts';
import { FAR, GATEWAY, PA, PA6, PEER, PEER6, STRANGER, STRANGER6 } from './policy.ts';

export interface IpFrame {
  readonly from: Mac;
  readonly to: Mac;
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: number;
  readonly ttl: number;
  readonly tos: number;
  readonly etherType?: number | undefined;
  readonly payload: Uint8Array;
}

/** An Ethernet frame with an IPv4 or IPv6 packet; the family is that of the destination. */
export function ipFrame(f: IpFrame): Uint8Array {
  const ipv6 = familyOf(f.destination) === 6;
  const source = familyOf(f.source) === familyOf(f.destination) ? f.source : f.destination;
  const m = { to: f.to, from: f.from, source, destination: f.destination, ttl: f.ttl, tos: f.tos };
  const frame = messageFrame({ ...m, body: f.payload.length < 4 ? new Uint8Array(4) : f.payload });
  const at = ipv6 ? 54 : 34;
  frame.set(f.payload, at);
  if (ipv6) frame[20] = f.protocol;
  else {
    // The protocol changes from ICMP, and the checksum with it.
    frame[23] = f.protocol;
    frame.set([0, 0], 24);
    let sum = 0;
    for (let i = 14; i < 34; i += 2) sum += (frame[i]! << 8) | frame[i + 1]!;
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    frame.set([(~sum >> 8) & 255, ~sum & 255], 24);
  }
  if (f.etherType !== undefined) frame.set([f.etherType >> 8, f.etherType & 255], 12);
  return frame;
}

export type RandomFrame =
  | { readonly side: 'port'; readonly device: string; readonly frame: Uint8Array }
  | { readonly side: 'wire'; readonly frame: Uint8Array };

const OTHERS = ['10.0.0.1', '10.0.1.1', '10.0.0.77', '10.5.0.1', '8.8.8.8', '224.0.0.1', '0.0.0.0', '255.255.255.255']
  .concat(
    'fd00:0:0:1::1',
    'fd00:0:0:3::1',
    'fd00:0:0:1::77',
    '2001:db8::8',
    'fd77::1',
    'ff02::1',
    'ff02::1:ff00:11',
    '::',
  )
  .concat('fe80::48:4eff:fe56:1', 'fe80::1210:10ff:fe10:a', 'fe80::1210:10ff:fe10:b', 'fe80::77')
  .concat(PA, PEER, PA6, PEER6) as Address[];

const weighted = <T>(...pairs: readonly (readonly [weight: number, arbitrary: fc.Arbitrary<T>])[]): fc.Arbitrary<T> =>
  fc.oneof(...pairs.map(([weight, arbitrary]) => ({ weight, arbitrary })));
const from = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const byte = fc.integer({ min: 0, max: 255 });
const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

/** Neighbour discovery about `target`, with a link-layer option. */
const discovery = (type: number, target: Address): Uint8Array =>
  Uint8Array.from([
    ...[type, 0, 0, 0, 0, 0, 0, 0],
    ...(familyOf(target) === 6 ? addressBytes(target) : new Uint8Array(16)),
    ...hex('0101020202020202'),
  ]);

/** A DHCP message as a server or a client sends it (RFC 2131), its type behind up to three other options. */
export function dhcpMessage(server: boolean, mac: Mac, yours: Address, type: number, before: number): Uint8Array {
  const message = new Uint8Array(8 + 240 + 24);
  message.set(server ? [0, 67, 0, 68] : [0, 68, 0, 67], 0);
  message.set([server ? 2 : 1, 1, 6, 0], 8);
  if (familyOf(yours) === 4) message.set(addressBytes(yours), 24);
  message.set(macBytes(mac), 36);
  const options = [[0], [1, 4, 255, 255, 255, 0], [51, 4, 0, 0, 1, 0]].slice(0, before).flat();
  message.set([0x63, 0x82, 0x53, 0x63, ...options, 53, 1, type, 255], 8 + 236);
  return message;
}

/** VXLAN's port; echo requests of both families; what an error quotes. */
const HEADS = ['ffff12b500100000', '0800f7fd00010001', '8000f7fd00010001', '0300000000000000'];

/** Payloads, of a length about the MTUs in play now and then. */
const payloads = (address: fc.Arbitrary<Address>, mac: fc.Arbitrary<Mac>): fc.Arbitrary<Uint8Array> =>
  weighted<Uint8Array>(
    [6, fc.uint8Array({ maxLength: 64 })],
    [1, fc.uint8Array({ minLength: 60, maxLength: 200 })],
    [2, fc.integer({ min: 1340, max: 1500 }).map((n) => new Uint8Array(n).fill(0x5a))],
    [2, from(...HEADS).map((head) => hex(`${head}${'00'.repeat(16)}`))],
    [2, fc.tuple(from(133, 134, 135, 135, 135, 136, 136, 137), address).map(([type, a]) => discovery(type, a))],
    [
      2,
      fc
        .tuple(from(true, true, false), mac, address, from(5, 5, 5, 2), fc.integer({ min: 0, max: 3 }))
        .map(([server, m, yours, type, before]) => dhcpMessage(server, m, yours, type, before)),
    ],
  );

/** Packets of one VM network, between its addresses mostly. */
function packets(d: OverlayDomain): fc.Arbitrary<IpFrame> {
  const macs = [...d.ports, ...d.lookupRecords].map((x) => x.mac);
  const known = [...d.ports.flatMap((p) => p.addresses), ...d.lookupRecords.map((r) => r.customerAddress)];
  const address = weighted([5, from(...known)], [1, from(...OTHERS)]);
  return fc.record({
    from: from(...macs),
    to: weighted<Mac>(
      [4, from(...macs)],
      [4, fc.constant(ROUTER_MAC)],
      [1, from('ff:ff:ff:ff:ff:ff' as Mac, '33:33:00:00:00:01' as Mac)],
    ),
    source: address,
    destination: address,
    protocol: from(0, 1, 6, 17, 17, 17, 44, 47, 58, 58, 58, 132),
    ttl: from(0, 1, 2, 64, 255, 255),
    tos: byte,
    etherType: weighted<number | undefined>([15, fc.constant(undefined)], [1, from(0x0806, 0x8100, 0x88a8, 0x88cc)]),
    payload: payloads(address, from(...macs)),
  });
}

function arps(d: OverlayDomain): fc.Arbitrary<{ device: string; frame: Uint8Array }> {
  const known = [...d.ports.flatMap((p) => p.addresses), ...d.lookupRecords.map((r) => r.customerAddress), ...OTHERS];
  const address = from(...known.filter((a) => familyOf(a) === 4));
  return fc
    .record({
      port: from(...d.ports),
      mac: from(...[...d.ports, ...d.lookupRecords].map((x) => x.mac)),
      to: from('ff:ff:ff:ff:ff:ff' as Mac, 'ff:ff:ff:ff:ff:ff' as Mac, ...d.lookupRecords.map((r) => r.mac)),
      sender: address,
      target: address,
      op: from(1, 1, 1, 2),
      kind: from('honest', 'other address', 'announcement', 'liar'),
    })
    .map(({ port, mac, to, sender, target, op, kind }) => {
      const own = port.addresses.find((a) => familyOf(a) === 4)!;
      const by = macBytes(kind === 'liar' ? mac : port.mac);
      const [asker, asked] = [addressBytes(kind === 'honest' ? own : sender), addressBytes(target)];
      const head = [...macBytes(to), ...by, 8, 6, 0, 1, 8, 0, 6, 4, 0, op, ...by, ...asker, ...new Uint8Array(6)];
      return { device: port.device, frame: Uint8Array.from([...head, ...(kind === 'announcement' ? asker : asked)]) };
    });
}

/** From a port: its own MAC and address mostly. */
const sent = (d: OverlayDomain): fc.Arbitrary<{ device: string; frame: Uint8Array }> =>
  fc
    .tuple(from(...d.ports), packets(d), from('honest', 'honest', 'honest', 'other address', 'liar'))
    .map(([p, f, kind]) => {
      const own = p.addresses.find((a) => familyOf(a) === familyOf(f.destination)) ?? f.source;
      const honest = { honest: { from: p.mac, source: own }, 'other address': { from: p.mac }, liar: {} }[kind];
      return { device: p.device, frame: ipFrame({ ...f, ...honest }) };
    });

const PAIRS: readonly (readonly [Address, Address])[] = [
  [PEER, PA],
  [PEER6, PA6],
  [GATEWAY, PA],
  [FAR, PA],
];
const WRONG_PAIRS: typeof PAIRS = [
  [STRANGER, PA],
  [STRANGER6, PA6],
  [PA, PA],
  [PEER, FAR],
];

const received = (d: OverlayDomain): fc.Arbitrary<Uint8Array> =>
  fc
    .record({
      inner: weighted([4, packets(d).map(ipFrame)], [1, arps(d).map((x) => x.frame)]),
      vxlan: fc.boolean(),
      pair: weighted([9, from(...PAIRS)], [1, from(...WRONG_PAIRS)]),
      vsid: weighted([9, from(...d.ports.map((p) => p.vsid))], [1, from(5001, 6001, 7777, 0, 0xffffff)]),
      tos: byte,
    })
    .map(({ inner, vxlan, pair: [source, destination], vsid, tos }) => {
      const macs = { destinationMac: '02:00:00:00:00:01' as Mac, sourceMac: '02:00:00:00:00:02' as Mac };
      const head = { ...macs, source, destination, ttl: 64, tos, vsid, inner };
      return vxlan ? encodeVxlan({ ...head, sourcePort: 50000 }) : encodeNvgre({ ...head, flowId: 7 });
    });

/** Without encapsulation, from the addresses of records that say so and from others. */
const plain = (d: OverlayDomain): fc.Arbitrary<Uint8Array> => {
  const senders = d.lookupRecords.filter((r) => r.rule === 'TranslationMethodNone').map((r) => r.customerAddress);
  return fc
    .tuple(packets(d), from(...senders, STRANGER), from(DEVICE_MAC, '02:00:00:00:00:07'))
    .map(([f, source, to]) => ipFrame({ ...f, source, to: to as Mac }));
};

/** Frames for one policy. */
export function randomFrames(input: OverlayInput): fc.Arbitrary<RandomFrame> {
  const noise = weighted<readonly (readonly [number, number])[]>(
    [6, fc.constant([])],
    [1, fc.array(fc.tuple(fc.nat(), byte), { minLength: 1, maxLength: 2 })],
  );
  const cut = weighted<number | null>([12, fc.constant(null)], [1, fc.nat()]);
  const fromPorts = weighted(...input.domains.flatMap((d) => [[4, sent(d)] as const, [1, arps(d)] as const]));
  return weighted<RandomFrame>(
    [
      1,
      fc
        .tuple(fromPorts, noise, cut)
        .map(([{ device, frame }, n, c]) => ({ side: 'port', device, frame: disturbed(frame, n, c) })),
    ],
    [
      1,
      fc
        .tuple(fc.oneof(...input.domains.flatMap((d) => [received(d), received(d), received(d), plain(d)])), noise, cut)
        .map(([frame, n, c]) => ({ side: 'wire', frame: disturbed(frame, n, c) })),
    ],
  );
}

function disturbed(
  frame: Uint8Array,
  changes: readonly (readonly [number, number])[],
  length: number | null,
): Uint8Array {
  const copy = frame.slice();
  for (const [at, value] of changes) copy[at % Math.min(copy.length, 120)] = value;
  // The kernel's test run takes no frame that ends inside its IP header.
  const least = { 2048: 34, 34525: 54 }[Buffer.from(copy).readUInt16BE(12)] ?? 14;
  if (copy.length < least) return Buffer.concat([copy, Buffer.alloc(least - copy.length)]);
  return length === null ? copy : copy.subarray(0, least + (length % (copy.length - least + 1)));
}
