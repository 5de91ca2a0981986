import assert from 'node:assert/strict';
import { type Address, macBytes } from '../../lib/address.ts';
import { PACKET_REASONS } from '../../lib/reason.ts';
import { NAT, NAT_BLOCK_RETURNED, NAT_BLOCK_TAKEN, natMac } from '../../nat/abi.ts';
import { cannotMakeNamespaces } from '../netns/world.ts';
import { ACK, frameOf, ICMP, type Ip, isSealed, parseFrame, RST, SYN, sealed, TCP, UDP, u16 } from './nat-packet.ts';
import { NatRun, type Ran } from './nat-run.ts';
import { deviceOf, NIC, natInput } from './nat-world.ts';

const GATEWAY = Uint8Array.from([2, 0, 0, 0, 0, 1]);
const GRE = 47;
const START = 10_000;
/** Of struct hnv_nat_tenant: max_host_sessions, max_host_ports, session_rate. */
const [HOST_SESSIONS_AT, HOST_PORTS_AT, RATE_AT] = [40, 44, 48];
const SERVER = '65.10.10.100';
const OWN = '131.107.10.10';

interface Ends {
  readonly from?: string;
  readonly to?: string;
  readonly protocol?: number;
  readonly flags?: number;
  readonly sequence?: number;
  readonly acknowledged?: number;
  readonly type?: number;
  readonly fragment?: number;
  readonly data?: Uint8Array;
}

const endpoint = (text: string): [Address, number] => {
  const [address, port = '0'] = text.split(':') as [string, string?];
  return [address as Address, Number(port)];
};

/** `from` and `to` as address:port; of a query the port is the identifier, on the asker's side. */
function packet({ from = '10.0.0.10:5001', to = `${SERVER}:80`, protocol = TCP, ...p }: Ends): Ip {
  const [[source, sourcePort], [destination, destinationPort]] = [endpoint(from), endpoint(to)];
  const head = new Uint8Array(protocol === TCP ? 20 : 8);
  const v = new DataView(head.buffer);
  if (protocol === ICMP) {
    v.setUint8(0, p.type ?? 8);
    v.setUint16(4, sourcePort || destinationPort);
  } else {
    v.setUint16(0, sourcePort);
    v.setUint16(2, destinationPort);
  }
  if (protocol === UDP) v.setUint16(4, 8 + (p.data?.length ?? 0));
  if (protocol === TCP) {
    v.setUint32(4, p.sequence ?? 1000);
    v.setUint32(8, p.acknowledged ?? 0);
    v.setUint16(12, 0x5000 | (p.flags ?? SYN));
    v.setUint16(14, 500);
  }
  const payload = Uint8Array.from([...head, ...(p.data ?? [])]);
  return sealed({ source, destination, protocol, ttl: 63, tos: 0, id: 7, fragment: p.fragment ?? 0, payload });
}

const text = (ran: Ran): string => {
  const p = parseFrame(ran.frame);
  assert.ok(p && isSealed(p), 'a broken packet');
  return `${p.source}:${u16(p.payload, 0)} > ${p.destination}:${u16(p.payload, 2)}`;
};

describe('nat.bpf.c', function () {
  this.timeout(120_000);
  let nat: NatRun;

  beforeEach(function () {
    if (cannotMakeNamespaces()) this.skip();
    nat = new NatRun(natInput(7));
    nat.time(START);
  });
  afterEach(() => nat?.close());

  const raw = (slot: number, frame: Uint8Array) => nat.frame('out', deviceOf(slot), frame);
  const out = (slot: number, e: Ends) => raw(slot, frameOf(packet(e), GATEWAY, macBytes(natMac(slot))));
  const inward = (e: Ends) => nat.frame('in', NIC, frameOf(packet(e), GATEWAY, GATEWAY));
  const externalOf = (slot: number, port: number): string => {
    const m = nat.mappings().find((x) => x.rdid === slot && x.port === port);
    assert.ok(m, `no mapping of tenant ${slot}, port ${port}`);
    return `${m.to.address}:${m.to.port}`;
  };
  /** The value of an array's or hash's entry, changed in one field. */
  const change = (map: string, key: Uint8Array, change: (value: Buffer) => void): void => {
    const value = Buffer.from(nat.map(map).get(key)!);
    change(value);
    nat.map(map).set(key, value);
  };
  const key32 = (n: number): Buffer => {
    const b = Buffer.alloc(4);
    b.writeUInt32LE(n);
    return b;
  };

  it("gives two tenants' identical endpoints an external one each, the same to every server", () => {
    for (const slot of [2, 3])
      for (const to of ['65.10.10.100:80', '65.10.10.10:80']) {
        const sent = out(slot, { to });
        assert.equal(sent.outcome, 'forwarded');
        assert.equal(text(sent), `${externalOf(slot, 5001)} > ${to}`);
        const back = inward({ from: to, to: externalOf(slot, 5001), flags: SYN | ACK });
        assert.equal(text(back), `${to} > 10.0.0.10:5001`);
        assert.deepEqual(back.frame.subarray(0, 6), Buffer.from(macBytes(natMac(slot))));
      }
    assert.notEqual(externalOf(2, 5001), externalOf(3, 5001));
  });

  it('drops with every reason, each counted for its tenant and direction', () => {
    // Only when the kernel has no memory, or a table of millions is full.
    const seen = new Set(['NAT_TABLE']);
    const expect = (ran: Ran, reason: string, slot: number, direction: 'port' | 'wire', answered = false): void => {
      assert.deepEqual(ran.drop, { reason, slot, direction }, reason);
      assert.equal(ran.outcome, answered ? 'answered' : 'drop', reason);
      seen.add(reason);
    };
    const ipv6 = frameOf(packet({}), GATEWAY, macBytes(natMac(2)));
    ipv6.set([0x86, 0xdd], 12);
    expect(raw(2, ipv6), 'NAT_IPV6', 2, 'port');
    ipv6.set([0x08, 0x06], 12);
    expect(raw(2, ipv6), 'ETHERTYPE', 2, 'port');
    expect(raw(2, frameOf(packet({}), GATEWAY, macBytes(natMac(3)))), 'UNKNOWN_PORT', 0, 'port');
    expect(raw(2, frameOf(packet({}), GATEWAY, macBytes(natMac(2))).subarray(0, 40)), 'TRUNCATED', 2, 'port');
    expect(out(2, { to: '224.0.0.1:1', protocol: UDP }), 'MULTICAST', 2, 'port');
    expect(out(2, { to: '192.0.2.1:80' }), 'NAT_POLICY', 2, 'port', true);
    expect(out(2, { protocol: GRE }), 'NAT_PROTOCOL', 2, 'port', true);
    expect(out(2, { flags: ACK }), 'NAT_NO_SESSION', 2, 'port');
    expect(out(2, { protocol: ICMP, type: 0 }), 'NAT_NO_SESSION', 2, 'port');
    expect(out(2, { protocol: ICMP, type: 3 }), 'NAT_ERROR', 2, 'port');
    expect(out(2, { protocol: UDP, fragment: 100 }), 'NAT_FRAGMENT', 2, 'port');
    expect(out(2, { to: `${OWN}:4500`, protocol: UDP }), 'NAT_NO_MAPPING', 2, 'port');
    expect(inward({ from: '66.1.1.1:9', to: `${OWN}:5353`, protocol: UDP }), 'NAT_FILTERED', 2, 'wire');
    expect(inward({ from: `${SERVER}:9`, to: '131.107.10.12:443' }), 'NAT_NO_DIP', 4, 'wire');
    assert.equal(out(2, { protocol: UDP }).outcome, 'forwarded');
    const [address, port] = endpoint(externalOf(2, 5001));
    expect(inward({ from: `${SERVER}:9`, to: `${address}:${port + 2}`, protocol: UDP }), 'NAT_NO_MAPPING', 2, 'wire');
    expect(out(2, { to: `${address}:${port}`, protocol: UDP }), 'NAT_COLLISION', 2, 'port');
    change('tenants', key32(4), (v) => {
      v.writeUInt32LE(6, HOST_SESSIONS_AT);
      v.writeUInt32LE(4, HOST_PORTS_AT);
    });
    for (let i = 0; i < 6; i++) assert.equal(out(4, { to: `65.10.10.${i}:80` }).outcome, 'forwarded');
    expect(out(4, { to: '65.10.10.9:80' }), 'NAT_SESSIONS', 4, 'port', true);
    for (let i = 0; i < 4; i++) assert.equal(out(4, { from: `10.0.0.11:${i}` }).outcome, 'forwarded');
    expect(out(4, { from: '10.0.0.11:9' }), 'NAT_HOST_PORTS', 4, 'port', true);
    change('tenants', key32(3), (v) => v.writeUInt32LE(2, RATE_AT));
    for (let i = 0; i < 2; i++) assert.equal(out(3, { from: `10.0.0.10:${i}` }).outcome, 'forwarded');
    expect(out(3, { from: '10.0.0.10:9' }), 'NAT_RATE', 3, 'port', true);
    nat.time(START + 1);
    assert.equal(out(3, { from: '10.0.0.10:9' }).outcome, 'forwarded', 'the next second has tokens again');
    expect(exhaust(2), 'NAT_PORTS', 2, 'port', true);
    const missing = PACKET_REASONS.filter((r) => r.name.startsWith('NAT_') && !seen.has(r.name)).map((r) => r.name);
    assert.deepEqual(missing, []);
  });

  /** Opens mappings until one is refused; gives that. */
  function exhaust(slot: number): Ran {
    for (let port = 10_000; port < 11_000; port++) {
      const ran = out(slot, { from: `10.0.0.12:${port}`, protocol: UDP });
      if (ran.outcome !== 'forwarded') return ran;
    }
    throw new Error('no end of ports');
  }

  it("a tenant that takes every port it can takes none of another's, and every port of its blocks (R-NAT-5)", () => {
    assert.equal(exhaust(2).drop?.reason, 'NAT_PORTS');
    const used = nat.mappings().filter((m) => m.rdid === 2);
    // Two blocks of 64 in the pool, less what is reserved in them.
    assert.equal(new Set(used.map((m) => `${m.to.address}:${m.to.port}`)).size, used.length);
    const free = nat
      .entries('blocks')
      .flatMap(([k, v]) => (NAT.block.decode(v).owner === 2 ? [[k, NAT.block.decode(v)] as const] : []))
      .map(([k, b]) => {
        const reserved = NAT.reserved.decode(nat.map('reserved').get(k)!).of[1]![0]!;
        return (~(b.of[1]![0]! | reserved) & 0xffffffffffffffffn).toString(2).replaceAll('0', '').length;
      });
    assert.deepEqual(free, [0, 0]);
    assert.equal(out(3, { from: '10.0.0.12:10000', protocol: UDP }).outcome, 'forwarded');
  });

  it('keeps a port in quarantine after its last session, then gives it back, and the block of it too', () => {
    assert.equal(exhaust(2).drop?.reason, 'NAT_PORTS');
    assert.equal(nat.events().filter((e) => e.type === NAT_BLOCK_TAKEN && e.rdid === 2).length, 2);
    nat.time(START + 61);
    assert.ok(nat.sweep().ended > 100);
    assert.equal(
      out(2, { from: '10.0.0.11:1', protocol: UDP }).drop?.reason,
      'NAT_PORTS',
      'ports that rest are not given',
    );
    nat.time(START + 61 + 119);
    assert.equal(nat.sweep().freed, 0);
    nat.time(START + 61 + 120);
    const told = nat.sweep();
    assert.ok(told.freed > 100);
    assert.equal(told.returned, 1, 'the last block of a tenant stays');
    const [returned] = nat.events().filter((e) => e.type === NAT_BLOCK_RETURNED);
    assert.deepEqual([returned?.rdid, returned?.taken, returned?.released], [2, START, START + 181]);
    const block = NAT.block.decode(nat.map('blocks').get(key32(returned!.block))!);
    assert.deepEqual(
      [block.owner, block.former, block.former_taken, block.former_released],
      [0, 2, START, START + 181],
      'the array says it too, for a control plane that was dead',
    );
    assert.equal(out(2, { from: '10.0.0.11:1', protocol: UDP }).outcome, 'forwarded');
  });

  it('believes a reset only inside the window, and time-outs by what both sides have said (RFC 5961, RFC 7857)', () => {
    const connect = () => {
      out(2, { sequence: 1000 });
      inward({ from: `${SERVER}:80`, to: externalOf(2, 5001), flags: SYN | ACK, sequence: 5000, acknowledged: 1001 });
      out(2, { flags: ACK, sequence: 1001, acknowledged: 5001 });
      inward({ from: `${SERVER}:80`, to: externalOf(2, 5001), flags: ACK, sequence: 5001, acknowledged: 1001 });
    };
    const reset = (sequence: number) =>
      inward({ from: `${SERVER}:80`, to: externalOf(2, 5001), flags: RST, sequence }).outcome;
    connect();
    assert.equal(reset(5001 + 500), 'forwarded');
    nat.time(START + 121);
    assert.equal(nat.sweep().ended, 0, 'out of the window: established as before');
    assert.equal(reset(5001), 'forwarded');
    nat.time(START + 121 + 119);
    assert.equal(nat.sweep().ended, 0);
    nat.time(START + 121 + 120);
    assert.equal(nat.sweep().ended, 1);
  });

  it('removes a tenant with everything that it has, and nothing of another (R-NAT-5)', () => {
    for (const slot of [2, 3])
      for (let i = 0; i < 70; i++) out(slot, { from: `10.0.0.${10 + (i % 2)}:${3000 + i}`, protocol: UDP });
    const before = nat.mappings().filter((m) => m.rdid === 3).length;
    assert.equal(before, 70);
    assert.equal(nat.purge({ rdid: 2 }), 70);
    assert.equal(nat.mappings().filter((m) => m.rdid === 2).length, 0);
    assert.equal(nat.mappings().filter((m) => m.rdid === 3).length, 70);
    const rdids = {
      flows: nat.entries('flows').map(([k, v]) => [NAT.flowKey.decode(k).rdid, NAT.flow.decode(v).rdid]),
      hosts: nat.entries('hosts').map(([k]) => NAT.hostKey.decode(k).rdid),
      externals: nat.entries('externals').map(([, v]) => NAT.inside.decode(v).rdid),
      contacts: nat.entries('contacts').map(([, v]) => NAT.contact.decode(v).rdid),
      blocks: nat.entries('blocks').map(([, v]) => NAT.block.decode(v).owner),
    };
    for (const [map, found] of Object.entries(rdids)) assert.ok(!found.flat().includes(2), map);
    const usage = NAT.usage.decode(nat.map('usage').get(key32(2))!);
    assert.deepEqual([usage.sessions, usage.ports, usage.blocks, usage.block.some(Boolean)], [0, 0, 0, false]);
  });

  it('ends the sessions of one inside address, or of one pool, alone', () => {
    for (const slot of [2, 3])
      for (const host of [10, 11]) out(slot, { from: `10.0.0.${host}:3000`, to: '66.1.1.1:80', protocol: UDP });
    assert.equal(nat.purge({ rdid: 2, address: '10.0.0.10' }), 1);
    assert.equal(nat.entries('flows').length, 6);
    const pool = nat.mappings().find((m) => m.rdid === 2)!.to.pool;
    const others = nat.mappings().filter((m) => m.to.pool !== pool).length;
    nat.purge({ pool });
    assert.deepEqual([nat.mappings().length, nat.entries('flows').length], [others, 2 * others]);
  });

  it("keeps a client's flows with their DIP, and its source address too where the rule says so", () => {
    const dipOf = (from: string, to: string, protocol: number) =>
      text(inward({ from, to, protocol })).replace(/.* > /, '');
    const flows = Array.from({ length: 40 }, (_, i) => `65.10.10.10:${2000 + i}`);
    const first = flows.map((f) => dipOf(f, `${OWN}:443`, TCP));
    assert.deepEqual(new Set(first), new Set(['10.0.0.10:8443', '10.0.0.11:8443']));
    // The table changes under them: all new flows to nobody.
    change('maglev', key32(0), (v) => v.fill(0));
    const again = flows.map((f) => text(inward({ from: f, to: `${OWN}:443`, flags: ACK })).replace(/.* > /, ''));
    assert.deepEqual(again, first);
    assert.equal(new Set(flows.map((f) => dipOf(f, '131.107.10.11:53', UDP))).size, 1, 'SourceIP');
  });

  it('translates one-to-one without state, ports and protocols as they are', () => {
    const sent = out(2, { from: '10.0.0.30:5001' });
    assert.equal(text(sent), `131.107.10.20:5001 > ${SERVER}:80`);
    assert.equal(text(inward({ from: `${SERVER}:9`, to: '131.107.10.21:22' })), `${SERVER}:9 > 10.0.0.30:22`);
    assert.equal(out(2, { from: '10.0.0.30', protocol: GRE }).outcome, 'forwarded');
    assert.equal(nat.entries('flows').length, 0);
  });
});
