import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  addressBytes,
  addressFromBytes,
  macBytes,
  macFromBytes,
  mappedBytes,
  parseAddress,
  parseMac,
} from '../../lib/address.ts';
import { contains, lengthOf, networkOf, overlaps, parsePrefix, prefixOf, routerOf } from '../../lib/prefix.ts';

const bytes4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 }).filter((b) => b[0] !== 0);

describe('addresses and prefixes', () => {
  it('round-trip between bytes and canonical text', () => {
    fc.assert(
      fc.property(fc.oneof(bytes4, bytes16), (b) => {
        const a = addressFromBytes(b);
        assert.equal(parseAddress(a), a);
        assert.deepEqual(addressBytes(a), b);
        assert.equal(addressFromBytes(mappedBytes(a)), a);
      }),
    );
  });

  it('refuse what is not one address', () => {
    for (const text of [
      '',
      '10.0.0',
      '10.0.0.256',
      '010.0.0.1',
      '10.0.0.1/24',
      'fe80::1%eth0',
      '0x0a000001',
      '1',
      'fd00:::1',
    ])
      assert.equal(parseAddress(text), undefined, text);
    assert.equal(parseAddress('FD00:0:0:0:0:0:0:1'), 'fd00::1');
  });

  it('take MACs as the cmdlets and as Linux write them', () => {
    for (const text of ['101010101105', '10:10:10:10:11:05', '10-10-10-10-11-05'])
      assert.equal(parseMac(text), '10:10:10:10:11:05');
    for (const text of ['', '10101010110', '10:10:10:10:11-05', '10:10:10:10:11:0g'])
      assert.equal(parseMac(text), undefined);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (b) => assert.deepEqual(macBytes(macFromBytes(b)), b)),
    );
  });

  it('a prefix holds its network and every address that shares its bits', () => {
    fc.assert(
      fc.property(bytes4, fc.integer({ min: 0, max: 32 }), bytes4, (b, length, other) => {
        const p = prefixOf(addressFromBytes(b), length);
        assert.equal(parsePrefix(p), p);
        assert.equal(lengthOf(p), length);
        assert.ok(contains(p, networkOf(p)) && contains(p, addressFromBytes(b)));
        const bits = (x: Uint8Array) =>
          Array.from(x, (n) => n.toString(2).padStart(8, '0'))
            .join('')
            .slice(0, length);
        assert.equal(contains(p, addressFromBytes(other)), bits(b) === bits(other));
      }),
    );
    assert.equal(parsePrefix('10.0.0.9/24'), '10.0.0.0/24');
    assert.equal(parsePrefix('10.0.0.0/33'), undefined);
    assert.equal(parsePrefix('10.0.0.0'), undefined);
    assert.equal(parsePrefix('::ffff:1.2.3.4/96'), undefined);
    assert.ok(
      overlaps('10.0.0.0/8' as never, '10.1.0.0/24' as never) &&
        !overlaps('10.1.0.0/24' as never, '10.1.1.0/24' as never),
    );
    assert.equal(routerOf('10.0.254.0/24' as never), '10.0.254.1');
  });
});
