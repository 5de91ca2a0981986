import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeNvgre, encodeNvgre, internetChecksum, type NvgreFrame } from '../../encap/nvgre.ts';
import { addressFromBytes, macFromBytes } from '../../lib/address.ts';

const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map(macFromBytes);
const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map(addressFromBytes);
const byte = fc.integer({ min: 0, max: 255 });
const frame: fc.Arbitrary<NvgreFrame> = fc.record({
  destinationMac: mac,
  sourceMac: mac,
  destination: ipv4,
  source: ipv4,
  tos: byte,
  ttl: byte,
  vsid: fc.integer({ min: 0, max: 0xffffff }),
  flowId: byte,
  inner: fc.uint8Array({ minLength: 14, maxLength: 200 }),
});

describe('encap/nvgre', () => {
  it('decodes what it encodes', () => {
    fc.assert(
      fc.property(frame, (f) => {
        const r = decodeNvgre(encodeNvgre(f));
        assert.ok(r.ok);
        assert.deepEqual({ ...r.value, inner: [...r.value.inner] }, { ...f, inner: [...f.inner] });
      }),
    );
  });

  it('answers every truncation and every flipped bit of the headers with a result', () => {
    fc.assert(
      fc.property(frame, fc.nat(), fc.nat(), (f, cut, bit) => {
        const whole = encodeNvgre(f);
        assert.equal(decodeNvgre(whole.subarray(0, cut % whole.length)).ok, false);
        const flipped = whole.slice();
        flipped[12 + ((bit >> 3) % 24)]! ^= 1 << (bit & 7);
        assert.equal(decodeNvgre(flipped).ok, false, `byte ${12 + ((bit >> 3) % 24)}`);
      }),
    );
  });

  it('never throws on random bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), (b) => void decodeNvgre(b)));
  });

  it('computes the checksum of the RFC 1071 example', () => {
    assert.equal(internetChecksum(Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)), 0x220d);
  });
});
