import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describeFrame } from '../../encap/frame-summary.ts';
import { encodeNvgre } from '../../encap/nvgre.ts';
import type { Address, Mac } from '../../lib/address.ts';

const bytes = (...hex: string[]): Uint8Array => Buffer.from(hex.join('').replaceAll(' ', ''), 'hex');
const TO_FROM = '0200000000 02 0200000000 01';
const MACS = '02:00:00:00:00:01 > 02:00:00:00:00:02';
const ip4 = (protocol: string, rest: string, fragment = '0000') =>
  bytes(TO_FROM, '0800', `4500 0054 0000 ${fragment} 40 ${protocol} 0000 0a00000a 0a00000b`, rest);
const ENDS = 'IPv4 10.0.0.10 > 10.0.0.11';

describe('encap/frame-summary', () => {
  for (const [what, frame, text] of [
    ['TCP', ip4('06', '04d2 0050'), `${MACS} ${ENDS} TCP 1234 > 80`],
    ['UDP', ip4('11', '0035 1000'), `${MACS} ${ENDS} UDP 53 > 4096`],
    ['a ping', ip4('01', '0800'), `${MACS} ${ENDS} ICMP type 8 code 0`],
    ['a later fragment', ip4('11', '0035 1000', '0001'), `${MACS} ${ENDS} fragment`],
    ['another protocol', ip4('84', ''), `${MACS} ${ENDS} protocol 132`],
    ['foreign GRE', ip4('2f', '8000 0800'), `${MACS} ${ENDS} GRE flags 0x8000 protocol 0x0800`],
    [
      'an ARP question',
      bytes('ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 0a00000a 000000000000 0a00000b'),
      '02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff ARP who has 10.0.0.11, tell 10.0.0.10',
    ],
    [
      'an ARP answer',
      bytes(TO_FROM, '0806 0001 0800 06 04 0002 020000000001 0a00000a 020000000002 0a00000b'),
      `${MACS} ARP 10.0.0.10 is at 02:00:00:00:00:01`,
    ],
    [
      'IPv6',
      bytes(TO_FROM, '86dd 60000000 0004 3a 40', 'fd00', '00'.repeat(13), '0a', 'fd00', '00'.repeat(13), '0b', '8700'),
      `${MACS} IPv6 fd00::a > fd00::b ICMPv6 type 135 code 0`,
    ],
    ['a tag', bytes(TO_FROM, '8100 0064 86dd'), `${MACS} VLAN 100 IPv6`],
    ['another EtherType', bytes(TO_FROM, '88cc'), `${MACS} EtherType 0x88cc`],
    ['half a header', bytes('0200'), '2 bytes'],
    [
      'NVGRE',
      encodeNvgre({
        destinationMac: '02:00:00:00:00:02' as Mac,
        sourceMac: '02:00:00:00:00:01' as Mac,
        destination: '192.168.4.11' as Address,
        source: '192.168.4.22' as Address,
        tos: 0,
        ttl: 64,
        vsid: 5001,
        flowId: 7,
        inner: bytes('aa0000000002 aa0000000001 0800', '4500'),
      }),
      `${MACS} IPv4 192.168.4.22 > 192.168.4.11 NVGRE 5001: aa:00:00:00:00:01 > aa:00:00:00:00:02 IPv4`,
    ],
    [
      'VXLAN',
      ip4('11', 'c000 12b5 0000 0000 0800 0000 001389 00 aa0000000002 aa0000000001 0806'),
      `${MACS} ${ENDS} VXLAN 5001: aa:00:00:00:00:01 > aa:00:00:00:00:02 ARP`,
    ],
  ] as const)
    it(what, () => assert.equal(describeFrame(frame), text));

  it('is total, and one line', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (b) => assert.doesNotMatch(describeFrame(b), /\n|undefined|NaN/)),
    );
  });
});
