/** What virtual subnets do beside their records: learning, replication, DSCP, senders checked; and records without encapsulation. */
import assert from 'node:assert/strict';
import { VSID_LEARN } from '../../encap/abi.ts';
import { encodeNvgre, type NvgreFrame } from '../../encap/nvgre.ts';
import { type OverlayInput, overlayResources } from '../../encap/overlay.ts';
import { encodeVxlan } from '../../encap/vxlan.ts';
import { type Address, addressBytes, type Mac, macBytes } from '../../lib/address.ts';
import { type Ipv4Frame, ipv4Frame } from '../netns/raw-frame.ts';
import { cannotMakeNamespaces } from '../netns/world.ts';
import { type Compared, compared } from './compare.ts';
import { ACTION, DataPath, DEVICE_MAC } from './data-path.ts';
import { dhcpMessage } from './frames.ts';
import { messageFrame } from './packet.ts';
import { CONTOSO, GATEWAY, LEARNING, LINKS, PA, PEER, PEER6, STRAY, WOODGROVE } from './policy.ts';

const mac = (text: string) => text as Mac;
const ip = (text: string) => text as Address;
const ALL = mac('ff:ff:ff:ff:ff:ff');
/** A VM of the virtual subnet that learns, its neighbour there, and one of the subnet that learns and replicates. */
const A = { mac: mac('10:10:10:10:00:0a'), ip: ip('10.0.0.10'), ip6: ip('fd00:0:0:1::10') };
const B = { mac: mac('10:10:10:10:00:0b'), ip: ip('10.0.0.11') };
const C = { mac: mac('10:10:10:10:01:0a'), ip: ip('10.0.1.10'), ip6: ip('fd00:0:0:3::10') };
const W = { mac: mac('20:20:20:20:00:0a'), ip: ip('10.0.0.10') };

const arp = (o: { from: Mac; sender: Address; target: Address; to?: Mac; op?: number; by?: Mac }): Uint8Array =>
  Uint8Array.from([
    ...[...macBytes(o.to ?? ALL), ...macBytes(o.from), 8, 6, 0, 1, 8, 0, 6, 4, 0, o.op ?? 1],
    ...[...macBytes(o.by ?? o.from), ...addressBytes(o.sender), ...new Uint8Array(6), ...addressBytes(o.target)],
  ]);
const neighbour = (o: { type: number; from: Mac; source: Address; target: Address; to?: Mac; ttl?: number }) =>
  messageFrame({
    to: o.to ?? mac('33:33:00:00:00:01'),
    from: o.from,
    source: o.source,
    destination: ip('ff02::1'),
    ttl: o.ttl ?? 255,
    tos: 0,
    body: Uint8Array.from([o.type, 0, 0, 0, 0x20, 0, 0, 0, ...addressBytes(o.target), 2, 1, ...macBytes(o.from)]),
  });
const udp = (over: Partial<Ipv4Frame>): Uint8Array =>
  ipv4Frame({ from: A.mac, to: B.mac, source: A.ip, destination: B.ip, ...over });
const over = (inner: Uint8Array, o: Partial<NvgreFrame> = {}): Uint8Array =>
  encodeNvgre({
    ...{ destinationMac: mac(DEVICE_MAC), sourceMac: mac('02:00:00:00:00:02'), destination: PA, source: PEER },
    ...{ tos: 0, ttl: 64, vsid: 5001, flowId: 7 },
    ...o,
    inner,
  });

describe('overlay.bpf.c: virtual subnets', function () {
  this.timeout(60_000);
  let path: DataPath;
  let both: Compared;

  const start = (input: OverlayInput) => {
    path = new DataPath(input, [...Object.values(LINKS).map((l) => l.index), STRAY]);
    both = compared(path, input);
  };
  before(function () {
    if (cannotMakeNamespaces()) this.skip();
    start(LEARNING);
  });
  after(() => path?.close());

  const claims = (work: () => unknown): readonly unknown[] => {
    work();
    return both.told().map((e) => [e.rdid, e.vsid, e.port, e.provider, e.mac, e.address]);
  };
  const index = (device: string): number => LINKS[device]!.index;
  const refused = (device: 'c-a' | 'c-b' | 'w-a' | 'nic', f: Uint8Array, reason: string) =>
    assert.equal((device === 'nic' ? both.wire(f) : both.port(device, f)).drop?.reason, reason);

  it('learns what a port says of itself, and asks the other machines what it does not know', () => {
    const here = [2, 5001, index('c-a'), '::', A.mac];
    const cases: readonly [string, Uint8Array, string][] = [
      ['a question', arp({ from: A.mac, sender: ip('10.0.0.90'), target: ip('10.0.0.91') }), '10.0.0.90'],
      ['gratuitous ARP', arp({ from: A.mac, sender: ip('10.0.0.92'), target: ip('10.0.0.92') }), '10.0.0.92'],
      ['ARP reply', arp({ from: A.mac, sender: ip('10.0.0.93'), target: ip('10.0.0.93'), op: 2 }), '10.0.0.93'],
      ['learned elsewhere', arp({ from: A.mac, sender: ip('10.0.0.47'), target: ip('10.0.0.47') }), '10.0.0.47'],
      [
        'unsolicited advertisement',
        neighbour({ type: 136, from: A.mac, source: ip('fd00:0:0:1::90'), target: ip('fd00:0:0:1::90') }),
        'fd00:0:0:1::90',
      ],
      [
        'solicitation',
        neighbour({ type: 135, from: A.mac, source: ip('fd00:0:0:1::91'), target: ip('fd00:0:0:1::92') }),
        'fd00:0:0:1::91',
      ],
    ];
    for (const [what, f, address] of cases) {
      assert.deepEqual(
        claims(() => assert.equal(both.port('c-a', f, what).action, ACTION.copied)),
        [[...here, address]],
        what,
      );
    }
  });

  it('lets no port teach what is another’s: a static record, the router, the gateway, another subnet, a foreign MAC', () => {
    for (const address of ['10.0.0.11', '10.0.0.1', '10.0.254.2', '10.0.254.9', '10.0.1.77', '8.8.8.8'])
      assert.deepEqual(
        claims(() => refused('c-a', arp({ from: A.mac, sender: ip(address), target: ip(address) }), 'SPOOFED_CA')),
        [],
      );
    refused('c-a', arp({ from: A.mac, by: B.mac, sender: ip('10.0.0.90'), target: ip('10.0.0.90') }), 'SPOOFED_MAC');
    refused('w-a', arp({ from: W.mac, sender: ip('10.0.0.90'), target: ip('10.0.0.90') }), 'SPOOFED_CA');
    const foreign = { type: 136, from: A.mac, source: A.ip6 };
    refused('c-a', neighbour({ ...foreign, target: ip('fd00:0:0:1::11') }), 'SPOOFED_CA');
    refused('c-a', neighbour({ ...foreign, target: ip('fd00:0:0:1::1') }), 'SPOOFED_CA');
    refused('c-a', neighbour({ ...foreign, target: A.ip6, ttl: 64 }), 'NEIGHBOUR');
  });

  it('learns from other machines, follows a VM that moved, and believes none about what is bound elsewhere', () => {
    const at = (pa: Address, m: string) => [2, 5001, 0, pa, m];
    const moved = arp({ from: mac('10:10:10:10:00:45'), sender: ip('10.0.0.45'), target: ip('10.0.0.45') });
    assert.deepEqual(
      claims(() => both.wire(over(moved, { source: GATEWAY }))),
      [[...at(GATEWAY, '10:10:10:10:00:45'), '10.0.0.45']],
      'heard again where it is',
    );
    assert.deepEqual(
      claims(() => both.wire(over(moved))),
      [[...at(PEER, '10:10:10:10:00:45'), '10.0.0.45']],
      'heard at another machine',
    );
    const l2 = arp({ from: mac('10:10:10:10:00:44'), sender: ip('10.0.0.80'), target: A.ip });
    assert.deepEqual(
      claims(() => both.wire(over(l2))),
      [[...at(PEER, '10:10:10:10:00:44'), '10.0.0.80']],
    );
    refused('nic', over(arp({ from: A.mac, sender: ip('10.0.0.80'), target: A.ip })), 'SPOOFED_MAC');
    refused('nic', over(arp({ from: B.mac, sender: B.ip, target: A.ip }), { source: GATEWAY }), 'SPOOFED_MAC');
    refused(
      'nic',
      over(arp({ from: mac('10:10:10:10:00:44'), sender: B.ip, target: A.ip }), { source: GATEWAY }),
      'SPOOFED_CA',
    );
    refused(
      'nic',
      over(arp({ from: W.mac, sender: ip('10.0.0.90'), target: W.ip }), { source: GATEWAY, vsid: 6001 }),
      'ETHERTYPE',
    );
  });

  it('learns a DHCP lease from a server that a static record owns, and from nobody else', () => {
    const client = mac('10:10:10:10:00:44');
    const ack = (o: { source?: Address; type?: number; yours?: string; before?: number; to?: Mac; whom?: Mac }) =>
      udp({
        source: o.source ?? A.ip,
        destination: ip('255.255.255.255'),
        to: o.to ?? ALL,
        payload: dhcpMessage(true, o.whom ?? client, ip(o.yours ?? '10.0.0.70'), o.type ?? 5, o.before ?? 0),
      });
    const lease = [[2, 5001, 0, PEER, client, '10.0.0.70']];
    for (const before of [0, 1, 3])
      assert.deepEqual(
        claims(() => assert.equal(both.port('c-a', ack({ before })).action, ACTION.copied)),
        lease,
      );
    const unicast = udp({ to: client, payload: dhcpMessage(true, client, ip('10.0.0.70'), 5, 0) });
    assert.deepEqual(
      claims(() => assert.equal(both.port('c-a', unicast).action, ACTION.redirect)),
      lease,
    );
    const none: readonly [string, Uint8Array][] = [
      ['an offer', ack({ type: 2 })],
      ['no address', ack({ yours: '0.0.0.0' })],
      ['a static record’s', ack({ yours: '10.0.0.11' })],
      ['the router’s', ack({ yours: '10.0.0.1' })],
      ['to a MAC of nobody', ack({ whom: mac('10:10:10:10:77:77') })],
    ];
    for (const [what, f] of none)
      assert.deepEqual(
        claims(() => both.port('c-a', f, what)),
        [],
        what,
      );
    assert.deepEqual(
      claims(() => both.port('c-a', ack({ source: ip('10.0.0.46') }))),
      [],
      'a server with a learned address',
    );
    // What another machine's server says, to a client here.
    const far = ack({ source: B.ip, whom: A.mac });
    assert.deepEqual(
      claims(() => both.wire(over(far))),
      [[2, 5001, index('c-a'), '::', A.mac, '10.0.0.70']],
    );
    assert.deepEqual(
      claims(() => both.wire(over(far, { source: GATEWAY }))),
      [],
      'not where the record places the server',
    );
  });

  it('lets a client without an address ask for one, and carries nothing else from nobody', () => {
    const ask = { source: ip('0.0.0.0'), destination: ip('255.255.255.255'), to: ALL };
    const payload = dhcpMessage(false, A.mac, ip('0.0.0.0'), 1, 0);
    assert.equal(both.port('c-a', udp({ ...ask, payload })).action, ACTION.copied);
    refused('c-a', udp(ask), 'MULTICAST');
    refused('c-b', udp({ ...ask, from: C.mac }), 'SPOOFED_CA');
    refused('w-a', udp({ ...ask, from: W.mac }), 'SPOOFED_CA');
  });

  it('carries broadcast and multicast of the virtual subnets that say so, of honest senders alone', () => {
    const group = { from: C.mac, source: C.ip, to: mac('01:00:5e:00:00:fb'), destination: ip('224.0.0.251') };
    assert.equal(both.port('c-b', udp(group)).action, ACTION.copied);
    assert.equal(
      both.port('c-b', udp({ ...group, to: ALL, destination: ip('255.255.255.255') })).action,
      ACTION.copied,
    );
    refused('c-b', udp({ ...group, source: ip('10.0.1.11') }), 'SPOOFED_CA');
    refused('c-b', udp({ ...group, protocol: 47, destination: PEER }), 'NESTED');
    refused('c-b', udp({ ...group, etherType: 0x88cc }), 'ETHERTYPE');
    refused('c-b', udp({ ...group, to: mac('02:48:4e:56:00:01') }), 'MULTICAST');
    refused('c-a', udp({ ...group, from: A.mac, source: A.ip }), 'MULTICAST');
    const inner = udp({ ...group, from: mac('10:10:10:10:01:0b'), source: ip('10.0.1.11') });
    assert.equal(both.wire(over(inner, { vsid: 5003 })).action, ACTION.copied);
    refused('nic', over(inner, { vsid: 5001 }), 'MULTICAST');
    refused('nic', over(inner, { vsid: 6001 }), 'FOREIGN_PA');
    const six = (destination: string, source: Address) =>
      messageFrame({
        ...{ to: mac('33:33:00:00:00:fb'), from: C.mac, source, destination: ip(destination), ttl: 1, tos: 0 },
        body: new Uint8Array(16).fill(200),
      });
    assert.equal(both.port('c-b', six('ff02::fb', C.ip6)).action, ACTION.copied);
    refused('c-b', six('ff02::fb', ip('fd00:0:0:3::11')), 'SPOOFED_CA');
    refused('c-b', six('ff02::fb', ip('::')), 'SPOOFED_CA');
  });

  it('copies to each machine of the virtual subnet once, by unicast', () => {
    const question = arp({ from: A.mac, sender: A.ip, target: ip('10.0.0.99') });
    // One port, then the machines in the order of their addresses.
    for (let n = 0; n < 6; n++) both.replica('c-a', question, n);
    refusedReplica('c-a', question, 0);
    refusedReplica('c-a', question, 63);
    const group = { from: C.mac, source: C.ip, to: mac('01:00:5e:00:00:fb'), destination: ip('224.0.0.251') };
    for (const tos of [0, 0xb9, 0x2e]) for (let n = 0; n < 4; n++) both.replica('c-b', udp({ ...group, tos }), n);
    assert.equal(both.replica('c-b', udp({ ...group, payload: new Uint8Array(1481) }), 1).drop?.reason, 'TOO_BIG');
  });
  const refusedReplica = (device: string, f: Uint8Array, n: number) =>
    assert.equal(both.replica(device, f, n).drop?.reason, 'NO_RECORD');

  it('limits what one port sends to many places, and counts the rest', () => {
    const question = arp({ from: A.mac, sender: A.ip, target: ip('10.0.0.99') });
    both.port('c-a', question);
    const runs = Array.from({ length: 200 }, () => path.run('port', index('c-a'), question, { keepBuckets: true }));
    const limited = runs.filter((r) => r.drop?.reason === 'RATE_LIMITED');
    assert.ok(limited.length > 0, 'no limit');
    assert.ok(limited.length < 200, 'nothing passes');
    assert.ok(limited.every((r) => r.drop?.slot === CONTOSO.slot));
    path.events();
  });

  it('writes the DSCP of the virtual subnet, and takes the outer one where the model is uniform', () => {
    for (const tos of [0, 0x01, 0xb8, 0x2b]) {
      const sent = both.port('c-a', udp({ tos }));
      assert.equal(sent.frame[15], (46 << 2) | (tos & 3));
      assert.equal(sent.frame[57], tos, 'the tenant’s own stays');
    }
    const inner = udp({
      from: mac('10:10:10:10:01:0b'),
      to: C.mac,
      source: ip('10.0.1.11'),
      destination: C.ip,
      tos: 0x29,
    });
    for (const tos of [0, 0xb8, 0x49]) {
      assert.equal(both.wire(over(inner, { vsid: 5003, tos })).frame[15]! >> 2, tos >> 2);
      const copy = udp({ from: B.mac, to: A.mac, source: B.ip, destination: A.ip, tos: 0x29 });
      assert.equal(both.wire(over(copy, { tos })).frame[15]! >> 2, 0x29 >> 2);
    }
  });

  it('believes no machine about an address that a record places elsewhere, where senders are checked', () => {
    const from = (source: string, m = '20:20:20:20:00:0b') =>
      over(udp({ from: mac(m), to: W.mac, source: ip(source), destination: W.ip }), { source: GATEWAY, vsid: 6001 });
    assert.equal(both.wire(from('10.0.0.11')).action, ACTION.redirect);
    assert.equal(both.wire(from('203.0.113.9')).action, ACTION.redirect, 'no record speaks of it');
    refused('nic', from('10.0.0.10'), 'FOREIGN_CA'); // a VM of this machine
    refused('nic', from('10.0.254.2'), 'FOREIGN_CA');
    // The other VM network does not ask for it.
    const contoso = udp({ from: B.mac, to: A.mac, source: ip('10.0.0.60'), destination: A.ip });
    assert.equal(both.wire(over(contoso)).action, ACTION.redirect);
  });

  it('sends unencapsulated where the record says so, and takes the answers for that VM network alone', () => {
    const [outside, router] = [ip('172.16.0.80'), mac('02:48:4e:56:00:01')];
    const sent = both.port('w-a', udp({ from: W.mac, to: router, source: W.ip, destination: outside }));
    assert.equal(sent.frame.length, udp({}).length);
    assert.equal(sent.frame[22], 63);
    const back = (o: Partial<Ipv4Frame>) =>
      udp({ from: mac('02:00:00:00:00:09'), to: mac(DEVICE_MAC), source: outside, destination: W.ip, ...o });
    assert.equal(both.wire(back({})).action, ACTION.redirect);
    refused('nic', back({ ttl: 1 }), 'TTL_EXCEEDED');
    for (const f of [
      back({ source: ip('172.16.0.81') }),
      back({ destination: ip('10.0.1.10') }),
      back({ destination: PA }),
      back({ to: mac('02:00:00:00:00:07') }),
    ])
      assert.equal(both.wire(f).action, ACTION.pass);
    const six = (o: { source: string; destination: string; to: string }) =>
      messageFrame({
        ...{ from: W.mac, ttl: 64, tos: 0, body: Uint8Array.of(128, 0, 0, 0, 1, 2, 3, 4) },
        ...{ to: mac(o.to), source: ip(o.source), destination: ip(o.destination) },
      });
    assert.equal(both.port('w-a', six({ source: 'fd00:0:0:1::10', destination: 'fd99::80', to: router })).action, 7);
    assert.equal(both.wire(six({ source: 'fd99::80', destination: 'fd00:0:0:1::10', to: DEVICE_MAC })).action, 7);
  });

  it('bounds the places that a frame goes to', () => {
    const many = Array.from({ length: 100 }, (_, n) => ({
      ...CONTOSO.lookupRecords[2]!,
      customerAddress: ip(`10.0.0.${n + 100}`),
      mac: mac(`10:10:10:10:07:${n.toString(16).padStart(2, '0')}`),
      providerAddress: ip(`192.168.4.${n + 100}`),
    }));
    const [contoso] = LEARNING.domains;
    const input = { ...LEARNING, domains: [{ ...contoso!, lookupRecords: many }] };
    const entries = overlayResources(input).flatMap((r) => (r.kind === 'entry' ? [r.spec] : []));
    assert.equal(entries.filter((e) => e.map === 'replicas' && e.key.startsWith('8913')).length, 64);
    assert.ok(entries.some((e) => e.map === 'vsids' && e.value.endsWith(`0${VSID_LEARN}000000`)));
  });

  it('refuses VXLAN that is none, and an encapsulation that it is not told to take', async () => {
    const vxlan = encodeVxlan({
      ...{ destinationMac: mac(DEVICE_MAC), sourceMac: mac('02:00:00:00:00:02'), destination: PA, source: PEER },
      ...{ tos: 0, ttl: 64, vsid: 5001, sourcePort: 50000 },
      inner: udp({ from: B.mac, to: A.mac, source: B.ip, destination: A.ip }),
    });
    const without = vxlan.slice();
    without[42] = 0;
    assert.equal(both.wire(vxlan).action, ACTION.pass, 'not ours while only NVGRE is');
    await path.close();
    start({ ...LEARNING, encapsulation: 'VXLAN' });
    assert.equal(both.wire(vxlan).action, ACTION.redirect);
    refused('nic', without, 'BAD_VXLAN');
    for (const bits of [0x07, 0xf7]) refused('nic', Object.assign(vxlan.slice(), { 42: bits }), 'BAD_VXLAN');
    const reserved = Object.assign(vxlan.slice(), { 42: 0xff, 43: 0xff, 44: 0xff, 45: 0xff, 49: 0xff });
    assert.equal(both.wire(reserved).action, ACTION.redirect, 'reserved bits are ignored');
    const nvgre = over(udp({ from: B.mac, to: A.mac, source: B.ip, destination: A.ip }));
    const refusal = both.wire(nvgre);
    assert.deepEqual(refusal.drop, { reason: 'ENCAPSULATION', slot: CONTOSO.slot });
    refused('nic', over(udp({}), { source: GATEWAY, vsid: 6001 }), 'ENCAPSULATION');
    assert.equal(both.wire(over(udp({}), { source: PEER, vsid: 6001 })).drop?.slot, WOODGROVE.slot);
    assert.notEqual(PEER6, PEER);
  });
});

describe('overlay.bpf.c: a provider address in a VLAN', function () {
  this.timeout(60_000);
  const VLAN = 100;
  const tagged = LEARNING.providerAddresses.map((p) => ({ ...p, vlanId: VLAN }));
  let path: DataPath;

  before(function () {
    if (cannotMakeNamespaces()) this.skip();
    path = new DataPath({ ...LEARNING, providerAddresses: tagged }, [
      ...Object.values(LINKS).map((l) => l.index),
      STRAY,
    ]);
  });
  after(() => path?.close());

  it('takes nothing that comes without the tag: frames of the plain case and others, questions for neighbours', () => {
    const untagged: Readonly<Record<string, Uint8Array>> = {
      'the plain case': over(ipv4Frame({ from: B.mac, to: W.mac, source: B.ip, destination: W.ip }), {
        ...{ vsid: 6001, source: GATEWAY },
      }),
      'a subnet with a DSCP': over(udp({ from: B.mac, to: A.mac, source: B.ip, destination: A.ip })),
      'a question for us': arp({ from: mac('02:00:00:00:00:02'), sender: ip('192.168.4.77'), target: PA }),
      'an answer of a machine': arp({
        from: mac('02:00:00:00:00:02'),
        sender: PEER,
        target: ip('192.168.4.76'),
        op: 2,
      }),
      'a neighbour solicitation': neighbour({
        ...{ type: 135, from: mac('02:00:00:00:00:02'), source: ip('fe80::2'), target: ip('fd99::11') },
      }),
    };
    for (const [what, f] of Object.entries(untagged))
      assert.deepEqual(path.run('wire', LINKS.nic!.index, f).drop, { reason: 'FOREIGN_VLAN', slot: 0 }, what);
  });

  it('leaves to the stack what is not for its VLAN', () => {
    const other = arp({ from: mac('02:00:00:00:00:02'), sender: ip('192.168.4.77'), target: ip('192.168.4.78') });
    assert.equal(path.run('wire', LINKS.nic!.index, other).action, ACTION.pass);
  });
});
