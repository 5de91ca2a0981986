import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeVxlan, encodeVxlan, type VxlanFrame } from '../../encap/vxlan.ts';
import { addressFromBytes, macFromBytes } from '../../lib/address.ts';

const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map(macFromBytes);
const addresses = fc
  .constantFrom(4, 16)
  .chain((n) => fc.tuple(...[0, 1].map(() => fc.uint8Array({ minLength: n, maxLength: n }).map(addressFromBytes))))
  // An IPv4-mapped address is written as IPv4, so it is not of the family it was made for.
  .filter(([a, b]) => a!.includes(':') === b!.includes(':'));
const byte = fc.integer({ min: 0, max: 255 });
const frame: fc.Arbitrary<VxlanFrame> = fc
  .record({
    destinationMac: mac,
    sourceMac: mac,
    addresses,
    tos: byte,
    ttl: byte,
    sourcePort: fc.integer({ min: 0, max: 0xffff }),
    vsid: fc.integer({ min: 0, max: 0xffffff }),
    inner: fc.uint8Array({ minLength: 14, maxLength: 200 }),
  })
  .map(({ addresses: [source, destination], ...f }) => ({ ...f, source: source!, destination: destination! }));

describe('encap/vxlan', () => {
  it('decodes what it encodes, over both families', () => {
    fc.assert(
      fc.property(frame, (f) => {
        const r = decodeVxlan(encodeVxlan(f));
        assert.ok(r.ok);
        assert.deepEqual({ ...r.value, inner: [...r.value.inner] }, { ...f, inner: [...f.inner] });
      }),
    );
  });

  it('takes nothing that is cut, of another port or without a network identifier', () => {
    fc.assert(
      fc.property(frame, fc.nat(), (f, cut) => {
        const whole = encodeVxlan(f);
        assert.equal(decodeVxlan(whole.subarray(0, cut % whole.length)).ok, false);
        const udp = f.destination.includes(':') ? 54 : 34;
        const change = (at: number, bit: number) => {
          const copy = whole.slice();
          copy[at]! ^= bit;
          return decodeVxlan(copy);
        };
        assert.deepEqual(change(udp + 2, 1), { ok: false, error: 'PORT' });
        assert.deepEqual(change(udp + 8, 8), { ok: false, error: 'BAD_VXLAN' });
        assert.equal(change(udp + 9, 0xff).ok, true, 'reserved bits are ignored');
      }),
    );
  });

  it('never throws on random bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), (b) => void decodeVxlan(b)));
  });
});
