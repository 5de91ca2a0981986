/** The lab's own pcap and frame parsers: what they read, and that no bytes can upset them. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { echoRequest, ethernet, ipv4, nvgre } from '../../lab/pcap/craft.ts';
import { type CapturedFrame, LINKTYPE_ETHERNET, parsePcap } from '../../lab/pcap/file.ts';
import { ETHERTYPE, PROTOCOL, parseFrame, vsidOf } from '../../lab/pcap/frame.ts';
import { framesWith, internetWire, providerWire } from '../../lab/pcap/wire.ts';

const A = '02:00:00:00:00:01';
const B = '02:00:00:00:00:02';
const GATEWAY = '192.168.4.33';
const HOST = '192.168.4.11';

function pcap(frames: readonly Uint8Array[], little = true): Uint8Array {
  const file = new Uint8Array(24 + frames.reduce((n, f) => n + 16 + f.length, 0));
  const v = new DataView(file.buffer);
  v.setUint32(0, 0xa1b2c3d4, little);
  v.setUint32(20, LINKTYPE_ETHERNET, little);
  let at = 24;
  for (const [i, f] of frames.entries()) {
    for (const [j, n] of [1000 + i, 500000, f.length, f.length].entries()) v.setUint32(at + 4 * j, n, little);
    file.set(f, at + 16);
    at += 16 + f.length;
  }
  return file;
}

const captured = (...frames: Uint8Array[]): CapturedFrame[] =>
  frames.map((bytes) => ({ seconds: 0, bytes, length: bytes.length }));
const inner = ethernet(A, B, ETHERTYPE.IPV4, echoRequest('10.0.0.10', '10.1.0.10', 'marker-of-contoso'));
const overlay = (vsid: number, from = HOST, to = GATEWAY, frame = inner, source = A) =>
  ethernet(source, B, ETHERTYPE.IPV4, ipv4(from, to, PROTOCOL.GRE, nvgre(vsid, frame)));
const rules = { gateway: GATEWAY, hosts: [HOST], gatewayVsids: [5002], hostVsids: [5001], rogue: '02:00:5e:10:00:99' };

describe('lab/pcap/file', () => {
  it('reads both byte orders, with times', () => {
    for (const little of [true, false]) {
      const r = parsePcap(pcap([inner, inner.subarray(0, 20)], little));
      assert.ok(r.ok);
      assert.equal(r.value.linkType, LINKTYPE_ETHERNET);
      assert.deepEqual(
        r.value.frames.map((f) => [f.seconds, f.bytes.length]),
        [
          [1000.5, inner.length],
          [1001.5, 20],
        ],
      );
      assert.equal(r.value.cut, false);
    }
  });
  it('keeps the whole frames of a file cut anywhere', () => {
    const file = pcap([inner, inner]);
    for (let n = 0; n < file.length; n++) {
      const r = parsePcap(file.subarray(0, n));
      if (n < 24) assert.deepEqual(r, { ok: false, error: 'TOO_SHORT' });
      else {
        assert.ok(r.ok);
        assert.equal(r.value.frames.length, Math.floor((n - 24) / (16 + inner.length)));
        assert.equal(r.value.cut, (n - 24) % (16 + inner.length) !== 0);
      }
    }
  });
  it('never throws', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (b) => void parsePcap(b)));
    const file = pcap([inner]);
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.nat(255), (at, byte) => {
        const copy = file.slice();
        copy[at] = byte;
        parsePcap(copy);
      }),
    );
  });
});

describe('lab/pcap/frame', () => {
  it('takes NVGRE apart down to the inner frame', () => {
    const r = parseFrame(overlay(5002));
    assert.ok(r.ok);
    const gre = r.value.ipv4?.gre;
    assert.equal(vsidOf(gre?.key ?? 0), 5002);
    assert.deepEqual(parseFrame(gre!.payload), parseFrame(inner));
  });
  it('reads a VLAN tag and goes on behind it', () => {
    const r = parseFrame(ethernet(A, B, ETHERTYPE.IPV4, echoRequest('10.0.0.10', '10.1.0.10', 'x'), 7));
    assert.ok(r.ok);
    assert.deepEqual([r.value.vlan, r.value.ipv4?.destination], [7, '10.1.0.10']);
  });
  it('names where a frame ends too early', () => {
    const frame = overlay(5002);
    const errors = new Set<string>();
    for (let n = 0; n < 42; n++) {
      const r = parseFrame(frame.subarray(0, n));
      if (!r.ok) errors.add(r.error);
    }
    assert.deepEqual([...errors], ['SHORT_ETHERNET', 'SHORT_IPV4', 'SHORT_GRE']);
  });
  it('never throws', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), (b) => void parseFrame(b)));
    const frame = overlay(5002);
    fc.assert(
      fc.property(fc.nat(frame.length - 1), fc.nat(255), (at, byte) => {
        const copy = frame.slice();
        copy[at] = byte;
        parseFrame(copy);
      }),
    );
  });
});

describe('lab/pcap/wire', () => {
  const arp = ethernet(A, 'ff:ff:ff:ff:ff:ff', ETHERTYPE.ARP, new Uint8Array(28));
  const outer = (protocol: number, payload: Uint8Array, from = '59.10.10.10') =>
    ethernet(A, B, ETHERTYPE.IPV4, ipv4(from, '131.107.10.10', protocol, payload));
  const udp = (port: number) => Uint8Array.from([1, 244, port >> 8, port & 255, 0, 8, 0, 0]);
  const internet = (...f: Uint8Array[]) => internetWire(captured(...f), '131.107.10.10', ['59.10.10.10']).findings;
  const provider = (...f: Uint8Array[]) => providerWire(captured(...f), rules).findings;

  it('internet wire: IKE, ESP and ARP pass', () => {
    assert.deepEqual(internet(arp, outer(PROTOCOL.ESP, new Uint8Array(40)), outer(PROTOCOL.UDP, udp(500))), {});
  });
  it('internet wire: a tenant packet, other ports, strangers are findings', () => {
    const found = internet(inner, outer(PROTOCOL.UDP, udp(53)), outer(PROTOCOL.ESP, new Uint8Array(40), '1.2.3.4'));
    assert.deepEqual(Object.keys(found), [
      'IPv4 10.0.0.10 -> 10.1.0.10 protocol 1',
      'IPv4 59.10.10.10 -> 131.107.10.10 protocol 17 port 53',
      'IPv4 1.2.3.4 -> 131.107.10.10 protocol 50',
    ]);
  });
  it('provider wire: the right VSID for each side', () => {
    assert.deepEqual(provider(arp, overlay(5002), overlay(5001, GATEWAY, HOST)), {});
    assert.deepEqual(Object.keys(provider(overlay(5001), overlay(5002, GATEWAY, HOST), overlay(6002))), [
      'VSID 5001 from 192.168.4.11 to 192.168.4.33',
      'VSID 5002 from 192.168.4.33 to 192.168.4.11',
      'VSID 6002 from 192.168.4.11 to 192.168.4.33',
    ]);
  });
  it('provider wire: bare tenant frames, inner ARP, inner VLANs and strangers are findings', () => {
    const tagged = ethernet(A, B, ETHERTYPE.IPV4, echoRequest('10.0.0.10', '10.1.0.10', 'x'), 7);
    assert.deepEqual(
      Object.keys(provider(inner, overlay(5002, HOST, GATEWAY, arp), overlay(5002, HOST, GATEWAY, tagged))),
      ['IPv4 10.0.0.10 -> 10.1.0.10 protocol 1', 'inner EtherType 0x806 in VSID 5002', 'inner VLAN in VSID 5002'],
    );
    assert.deepEqual(Object.keys(provider(overlay(5002, '192.168.4.99'))), [
      'IPv4 192.168.4.99 -> 192.168.4.33 protocol 47',
    ]);
  });
  it('counts what the lab’s own rogue machine sends apart', () => {
    assert.deepEqual(provider(overlay(5002, '192.168.4.99', GATEWAY, inner, rules.rogue)), {});
  });
  it('finds a marker in clear', () => {
    assert.equal(framesWith(captured(inner, arp), ['marker-of-contoso']), 1);
    assert.equal(framesWith(captured(inner, arp), ['marker-of-woodgrove']), 0);
  });
});
