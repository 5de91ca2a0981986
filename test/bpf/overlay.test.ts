import assert from 'node:assert/strict';
import { ROUTER_MAC } from '../../compartments/policy.ts';
import {
  encodeLocation,
  encodeMacKey,
  encodeRecordKey,
  encodeRoute,
  encodeRouteKey,
  LOCATION_ROUTED,
  type Location,
  NO_ADDRESS,
  ROUTE_VIA,
} from '../../encap/abi.ts';
import { decodeNvgre, encodeNvgre, type NvgreFrame } from '../../encap/nvgre.ts';
import type { Address, Mac } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';
import { PACKET_REASONS } from '../../lib/reason.ts';
import { type Ipv4Frame, ipv4Frame } from '../netns/raw-frame.ts';
import { cannotMakeNamespaces } from '../netns/world.ts';
import { type Compared, compared } from './compare.ts';
import { ACTION, DataPath, type Run } from './data-path.ts';
import { fuzz } from './differential.ts';
import { messageFrame } from './packet.ts';
import { CONTOSO, FAR, GATEWAY, INPUT, LINKS, PA, PEER, STRANGER, STRAY, WOODGROVE } from './policy.ts';

const mac = (text: string) => text as Mac;
const ip = (text: string) => text as Address;

/** From Contoso's first VM to its neighbour on the other host. */
const frame = (over: Partial<Ipv4Frame> = {}): Uint8Array =>
  ipv4Frame({
    from: mac('10:10:10:10:00:0a'),
    to: mac('10:10:10:10:00:0b'),
    source: ip('10.0.0.10'),
    destination: ip('10.0.0.11'),
    ...over,
  });
/** The same the other way round, as it comes from the wire. */
const outer = (over: Partial<NvgreFrame> = {}, inner: Partial<Ipv4Frame> = {}): Uint8Array =>
  encodeNvgre({
    destinationMac: mac('02:00:00:00:00:01'),
    sourceMac: mac('02:00:00:00:00:02'),
    destination: PA,
    source: PEER,
    tos: 0,
    ttl: 64,
    vsid: 5001,
    flowId: 7,
    inner: ipv4Frame({
      from: mac('10:10:10:10:00:0b'),
      to: mac('10:10:10:10:00:0a'),
      source: ip('10.0.0.11'),
      destination: ip('10.0.0.10'),
      ...inner,
    }),
    ...over,
  });
/** Neighbour discovery that a VM forges. */
const advertisement = (type: number): Uint8Array =>
  messageFrame({
    to: mac('10:10:10:10:00:0b'),
    from: mac('10:10:10:10:00:0a'),
    source: ip('fd00:0:0:1::10'),
    destination: ip('fd00:0:0:1::11'),
    ttl: 255,
    tos: 0,
    body: Uint8Array.from([type, ...new Uint8Array(23)]),
  });
const patched = (f: Uint8Array, at: number, ...bytes: number[]): Uint8Array => {
  const copy = f.slice();
  copy.set(bytes, at);
  return copy;
};
const big = (payload: number) => frame({ payload: new Uint8Array(payload) });

describe('overlay.bpf.c', function () {
  this.timeout(180_000);
  let path: DataPath;
  let both: Compared;

  before(function () {
    if (cannotMakeNamespaces()) this.skip();
    path = new DataPath(INPUT, [...Object.values(LINKS).map((l) => l.index), STRAY]);
    both = compared(path, INPUT);
  });
  after(() => path?.close());

  const port = (device: string, f: Uint8Array, what = device) => both.port(device, f, what);
  const wire = (f: Uint8Array, what = 'nic') => both.wire(f, what);
  const index = (device: string): number => LINKS[device]!.index;

  const plainGre = patched(outer(), 34, 0, 0);
  const toRouter = { to: ROUTER_MAC };
  const cases: readonly [reason: string, where: string, frame: Uint8Array][] = [
    ['TRUNCATED', 'c-a', patched(frame().subarray(0, 40), 12, 0x08, 0x06)],
    ['TRUNCATED', 'c-a', patched(frame(), 16, 0x05, 0xdc)],
    ['TRUNCATED', 'nic', outer().subarray(0, 70)],
    ['SPOOFED_MAC', 'c-a', frame({ from: mac('10:10:10:10:00:0b') })],
    ['SPOOFED_MAC', 'c-a', frame({ from: ROUTER_MAC })],
    ['SPOOFED_CA', 'c-a', frame({ source: ip('10.0.0.11') })],
    ['SPOOFED_CA', 'c-a', frame({ source: ip('10.0.1.10') })],
    ['INNER_VLAN', 'c-a', frame({ etherType: 0x8100 })],
    ['INNER_VLAN', 'nic', outer({}, { etherType: 0x88a8 })],
    ['NESTED', 'c-a', frame({ ...toRouter, destination: PEER, protocol: 47 })],
    [
      'NESTED',
      'c-a',
      frame({ ...toRouter, destination: PA, payload: Buffer.from('ffff12b500100000000000000000000000000000', 'hex') }),
    ],
    ['NESTED', 'nic', outer({}, { protocol: 47, destination: PA })],
    ['NO_RECORD', 'c-a', frame({ to: mac('20:20:20:20:00:0b') })],
    ['NO_RECORD', 'c-a', frame({ ...toRouter, destination: ip('10.0.0.99') })],
    ['NO_RECORD', 'c-a', frame({ ...toRouter, destination: ip('10.5.1.1') })],
    ['NO_ROUTE', 'c-a', frame({ ...toRouter, destination: ip('10.9.9.9') })],
    ['TTL_EXCEEDED', 'c-a', frame({ ...toRouter, ttl: 1 })],
    ['ETHERTYPE', 'c-a', frame({ etherType: 0x88cc })],
    ['ETHERTYPE', 'nic', outer({}, { etherType: 0x0806 })],
    ['MULTICAST', 'c-a', frame({ to: mac('ff:ff:ff:ff:ff:ff') })],
    ['MULTICAST', 'c-a', frame({ ...toRouter, destination: ip('224.0.0.5') })],
    ['MULTICAST', 'nic', outer({}, { to: mac('01:00:5e:00:00:05') })],
    ['UNKNOWN_PA', 'nic', outer({ source: STRANGER })],
    ['UNKNOWN_PA', 'nic', outer({ source: STRANGER, vsid: 9999 })],
    ['FOREIGN_PA', 'nic', outer({ vsid: 6001 })],
    ['FOREIGN_PA', 'nic', outer({ source: FAR, vsid: 6002 })],
    ['UNKNOWN_VSID', 'nic', outer({ vsid: 7777 })],
    ['UNKNOWN_VSID', 'nic', outer({ vsid: 0xffffff })],
    ['BAD_GRE', 'nic', plainGre],
    ['BAD_GRE', 'nic', patched(outer(), 34, 0xa0, 0)],
    ['BAD_GRE', 'nic', patched(outer(), 34, 0x20, 1)],
    ['BAD_GRE', 'nic', patched(outer(), 36, 0x08, 0)],
    ['NOT_LOCAL', 'nic', outer({}, { to: mac('10:10:10:10:00:0b') })],
    ['NOT_LOCAL', 'nic', outer({}, { to: mac('20:20:20:20:00:0a') })],
    ['FRAGMENTED_OUTER', 'nic', patched(outer(), 20, 0x20, 0)],
    ['TOO_BIG', 'c-a', big(1481)],
    ['TOO_BIG', 'c-a', frame({ ...toRouter, destination: ip('10.0.1.10'), payload: new Uint8Array(1381) })],
    ['CONGESTION', 'nic', outer({ tos: 3 })],
    ['NEIGHBOUR', 'c-a', advertisement(134)],
    ['NEIGHBOUR', 'c-a', advertisement(136)],
  ];

  it('drops with every reason, each counted for its tenant', () => {
    // Only when the kernel has no memory; the others stand in overlay-subnets.test.ts.
    const seen = new Set(['ADJUST_FAILED', 'BAD_VXLAN', 'ENCAPSULATION', 'RATE_LIMITED', 'FOREIGN_CA', 'FOREIGN_VLAN']);
    const stray = path.run('port', STRAY, frame());
    assert.deepEqual(stray.drop, { reason: 'UNKNOWN_PORT', slot: 0 });
    seen.add('UNKNOWN_PORT');
    for (const [reason, where, f] of cases) {
      const got = where === 'nic' ? wire(f, reason) : port(where, f, reason);
      assert.equal(got.drop?.reason, reason);
      assert.equal(got.direction, where === 'nic' ? 'wire' : 'port');
      seen.add(reason);
    }
    assert.deepEqual(
      PACKET_REASONS.filter((r) => !seen.has(r.name) && !r.name.startsWith('NAT_')).map((r) => r.name),
      [],
    );
  });

  it('tells of a drop with the beginning of its frame, and of no more than a few of many', () => {
    path.events();
    const f = frame({ source: ip('10.0.0.11'), payload: new Uint8Array(100) });
    const deadline = Date.now() + 30_000;
    let [event] = path.events();
    while (!event && Date.now() < deadline) {
      port('c-a', f);
      [event] = path.events(); // the bucket of this CPU may be empty from the tests before
    }
    assert.ok(event?.type === 'DROPPED');
    const { frame: start, ...rest } = event;
    const number = PACKET_REASONS.find((r) => r.name === 'SPOOFED_CA')!.number;
    assert.deepEqual(rest, {
      type: 'DROPPED',
      rdid: 2,
      port: index('c-a'),
      reason: number,
      direction: 'port',
      length: f.length,
    });
    assert.deepEqual([...start], [...f.subarray(0, 64)]);
    for (let n = 0; n < 1000; n++) path.run('port', index('c-a'), f);
    const told = path.events().length;
    assert.ok(told > 0 && told < 900, `${told} events of 1000 drops`);
  });

  it('encapsulates field by field as RFC 7637 asks', () => {
    const sent = port('c-a', frame({ tos: 0xb9 }));
    const decoded = decodeNvgre(sent.frame);
    assert.ok(decoded.ok);
    const { inner, flowId, ...head } = decoded.value;
    assert.deepEqual(
      { destination: head.destination, source: head.source, tos: head.tos, ttl: head.ttl, vsid: head.vsid },
      { destination: PEER, source: PA, tos: 0xb9, ttl: 64, vsid: 5001 },
    );
    assert.equal(Buffer.from(inner).toString('hex'), Buffer.from(frame({ tos: 0xb9 })).toString('hex'));
    assert.equal(sent.frame.readUInt16BE(20), 0x4000, 'do not fragment');
    assert.equal(path.run('port', index('c-a'), frame({ tos: 0xb9 })).frame[41], flowId, 'same flow, same FlowID');
  });

  it('spreads flows over the FlowIDs', () => {
    const ids = new Set<number>();
    for (let p = 0; p < 200; p++) {
      const payload = Buffer.from('0007000700100000000000000000000000000000', 'hex');
      payload.writeUInt16BE(1024 + p, 0);
      ids.add(path.run('port', index('c-a'), frame({ payload })).frame[41]!);
    }
    assert.ok(ids.size > 100, `${ids.size} different of 200`);
  });

  it('routes with the VSID and MAC of the destination, and takes one from the TTL', () => {
    const cases = [
      ['10.0.1.11', 5003, '10:10:10:10:01:0b', PEER],
      ['8.8.8.8', 5002, '02:48:4e:00:13:8a', GATEWAY], // the gateway wildcard
      ['10.0.0.30', 5001, '10:10:10:10:00:1e', FAR],
    ] as const;
    for (const [destination, vsid, to, pa] of cases) {
      const decoded = decodeNvgre(port('c-a', frame({ ...toRouter, destination: ip(destination) }), destination).frame);
      assert.ok(decoded.ok);
      const { inner } = decoded.value;
      const macs = Buffer.concat([inner.subarray(0, 12)]).toString('hex');
      assert.equal(macs, `${to}${ROUTER_MAC}`.replaceAll(':', ''));
      assert.deepEqual([decoded.value.vsid, decoded.value.destination, inner[22]], [vsid, pa, 63]);
    }
  });

  it('follows no entry that leads into another VM network, whatever map holds it', () => {
    const woodgrove: Location = {
      rdid: WOODGROVE.slot,
      vsid: 6001,
      port: index('w-a'),
      uplink: 0,
      flags: LOCATION_ROUTED,
      mtu: 1500,
      mac: mac('20:20:20:20:00:0a'),
      destination: NO_ADDRESS,
      source: NO_ADDRESS,
      nextHop: NO_ADDRESS,
    };
    const dropped = (got: Run, reason: string) =>
      // A routed packet is answered with an error, so only the count tells.
      assert.deepEqual(got.drop, { reason, slot: CONTOSO.slot });
    const local = mac('10:10:10:10:00:0a');
    const peer = mac('10:10:10:10:00:0b');
    const sent = { ...toRouter, destination: ip('10.0.0.11') };
    const far = { ...toRouter, destination: ip('8.8.8.8') };
    assert.equal(port('c-a', frame(sent)).action, ACTION.redirect);
    assert.equal(port('c-a', frame(far)).action, ACTION.redirect);
    path.withEntry('macs', encodeMacKey(5001, peer), encodeLocation(woodgrove), () =>
      dropped(path.run('port', index('c-a'), frame()), 'NO_RECORD'),
    );
    path.withEntry('records', encodeRecordKey(CONTOSO.slot, sent.destination), encodeLocation(woodgrove), () =>
      dropped(path.run('port', index('c-a'), frame(sent)), 'NO_RECORD'),
    );
    const via = { flags: ROUTE_VIA, vsid: 5002, router: NO_ADDRESS, via: woodgrove };
    path.withEntry('routes', encodeRouteKey(CONTOSO.slot, '0.0.0.0/0' as Prefix), encodeRoute(via), () =>
      dropped(path.run('port', index('c-a'), frame(far)), 'NO_RECORD'),
    );
    path.withEntry('macs', encodeMacKey(5001, local), encodeLocation(woodgrove), () =>
      dropped(path.run('wire', index('nic'), outer()), 'NOT_LOCAL'),
    );
    assert.equal(wire(outer()).action, ACTION.redirect);
  });

  it('delivers between local ports without encapsulation', () => {
    const got = port('c-a', frame({ ...toRouter, destination: ip('10.0.1.10') }));
    assert.equal(got.frame.length, frame().length);
  });

  it('lets a compartment send from any address, and a VM from the second address that a record gives it', () => {
    const gw = {
      from: mac('02:48:4e:00:17:72'),
      to: ROUTER_MAC,
      source: ip('65.10.10.10'),
      destination: ip('10.0.0.11'),
    };
    assert.equal(port('gw', ipv4Frame(gw)).action, ACTION.redirect);
    assert.equal(port('c-a', frame({ source: ip('10.0.0.20') })).action, ACTION.redirect);
  });

  it('decapsulates to exactly the tenant frame, with the congestion of the path', () => {
    assert.equal(wire(outer()).action, ACTION.redirect);
    for (let inside = 0; inside < 4; inside++)
      for (let outside = 0; outside < 4; outside++)
        wire(outer({ tos: outside }, { tos: 0xb8 | inside }), `${inside} in ${outside}`);
  });

  it('leaves to the stack what is not ours', () => {
    const foreign = [
      outer({ destination: ip('192.168.4.12') }),
      patched(plainGre, 30, 192, 168, 4, 12),
      patched(outer(), 23, 6),
      patched(outer(), 12, 0x08, 0x06),
      patched(outer(), 12, 0x86, 0xdd),
    ];
    for (const f of foreign) assert.equal(wire(f).action, ACTION.pass);
  });

  const arp = (over: { op?: number; senderMac?: string; sender?: string; target: string; to?: string }): Uint8Array => {
    const hex = (a: string) =>
      a
        .split('.')
        .map((x) => Number(x).toString(16).padStart(2, '0'))
        .join('');
    const sender = (over.senderMac ?? '10:10:10:10:00:0a').replaceAll(':', '');
    return Buffer.from(
      `${(over.to ?? 'ff:ff:ff:ff:ff:ff').replaceAll(':', '')}10101010000a0806000108000604000${over.op ?? 1}` +
        `${sender}${hex(over.sender ?? '10.0.0.10')}000000000000${hex(over.target)}`,
      'hex',
    );
  };

  it('answers ARP from the policy, and nothing else', () => {
    const answers: readonly [string, string | undefined][] = [
      ['10.0.0.11', '10:10:10:10:00:0b'],
      ['10.0.0.1', ROUTER_MAC],
      ['10.0.0.20', undefined], // its own
      ['10.0.0.10', undefined],
      ['10.0.0.99', undefined],
      ['10.0.1.1', undefined], // the router of the other subnet
      ['10.0.1.11', undefined],
    ];
    for (const [target, want] of answers) {
      const got = port('c-a', arp({ target }), target);
      assert.equal(got.action === ACTION.redirect, want !== undefined, target);
      if (want) assert.equal(got.frame.subarray(22, 28).toString('hex'), want.replaceAll(':', ''));
    }
    port('c-a', arp({ target: '10.0.0.11', sender: '0.0.0.0' }), 'probe');
    assert.equal(port('c-a', arp({ target: '10.0.0.11', sender: '10.0.0.12' })).drop?.reason, 'SPOOFED_CA');
    assert.equal(port('c-a', arp({ target: '10.0.0.11', senderMac: '10:10:10:10:00:0b' })).drop?.reason, 'SPOOFED_MAC');
    assert.equal(port('c-a', arp({ target: '10.0.0.11', op: 2 })).drop?.reason, 'ETHERTYPE');
  });

  it('answers ping to a router address that has a record', () => {
    const payload = Buffer.from('0800f7fd0001000168656c6c6f21', 'hex');
    const got = port('c-a', frame({ ...toRouter, destination: ip('10.0.0.1'), protocol: 1, payload }));
    assert.equal(got.action, ACTION.redirect);
    assert.equal(port('c-a', frame({ ...toRouter, destination: ip('10.0.0.1') })).drop?.reason, 'NO_ROUTE');
  });

  it('agrees with the model on random frames, whatever the encapsulation', async () => {
    const { verdicts } = await fuzz(6000, 7637);
    const seen = verdicts.map(([verdict]) => verdict);
    for (const verdict of [
      'NVGRE',
      'VXLAN',
      'send',
      'pass',
      'copied',
      'drop TOO_BIG, answered',
      'drop TTL_EXCEEDED, answered',
    ])
      assert.ok(seen.includes(verdict), `${verdict} among ${seen}`);
  });
});
