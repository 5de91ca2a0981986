/** Links, addresses, routes, neighbours: what we encode reads back, and cut answers are refused. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { sysctlPath } from '../../kernel/resources/sysctl.ts';
import { createAddress, parseInterfaceAddress } from '../../kernel/rtnl/address.ts';
import { parseLink, setLink } from '../../kernel/rtnl/link.ts';
import { Batch, encodeAttributes, parseMessages } from '../../kernel/rtnl/message.ts';
import { parseNeighbour } from '../../kernel/rtnl/neighbour.ts';
import { createRoute, type NewRoute, parseRoute } from '../../kernel/rtnl/route.ts';
import { type Address, addressFromBytes } from '../../lib/address.ts';
import { prefixOf } from '../../lib/prefix.ts';
import type { Result } from '../../lib/result.ts';

const payload = (batch: Batch): Buffer => {
  const messages = parseMessages(batch.encode(1));
  assert.ok(messages.ok);
  return messages.value[0]!.payload;
};
const value = <T>(r: Result<T, string>): T => {
  assert.ok(r.ok, r.ok ? '' : r.error);
  return r.value;
};

const v4: fc.Arbitrary<Address> = fc.uint8Array({ minLength: 4, maxLength: 4 }).map(addressFromBytes);
const v6: fc.Arbitrary<Address> = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((b) => addressFromBytes(Uint8Array.from(b, (x, i) => (i === 0 ? 0x20 : x))));

const route: fc.Arbitrary<NewRoute> = fc.oneof(
  ...([v4, v6] as const).map((address, family) =>
    fc.record(
      {
        prefix: fc.tuple(address, fc.nat(family ? 128 : 32)).map(([a, length]) => prefixOf(a, length)),
        metric: fc.integer({ min: 1, max: 0xffffffff }),
        protocol: fc.integer({ min: 1, max: 255 }),
        type: fc.constantFrom('unicast' as const, 'unreachable' as const, 'throw' as const),
        index: fc.integer({ min: 1, max: 0x7fffffff }),
        nextHop: fc.oneof(v4, v6),
      },
      { requiredKeys: ['prefix', 'metric', 'protocol', 'type'] },
    ),
  ),
);

describe('routes', () => {
  it('read back as they were written, both families, also with a next hop of the other', () => {
    fc.assert(
      fc.property(route, (r) => {
        assert.deepEqual(value(parseRoute(payload(createRoute(new Batch(), r, 0)))), { ...r, table: 254 });
      }),
    );
  });
});

describe('interface addresses', () => {
  it('read back as they were written', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.tuple(v4, fc.nat(32)), fc.tuple(v6, fc.nat(128))),
        fc.integer({ min: 1, max: 0x7fffffff }),
        fc.nat(255),
        ([address, prefixLength], index, protocol) => {
          const a = { index, address, prefixLength, protocol };
          assert.deepEqual(value(parseInterfaceAddress(payload(createAddress(new Batch(), a)))), a);
        },
      ),
    );
  });
});

describe('answers that are cut or made up', () => {
  const parsers: readonly ((b: Buffer) => Result<unknown, string>)[] = [
    parseLink,
    parseInterfaceAddress,
    parseRoute,
    parseNeighbour,
  ];

  it('give a result for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (b) => {
        for (const parse of parsers) parse(Buffer.from(b));
      }),
    );
  });

  it('give a result for any attributes behind any header', () => {
    const attributes = fc
      .array(fc.tuple(fc.nat(40), fc.uint8Array({ maxLength: 24 })), { maxLength: 8 })
      .map(encodeAttributes);
    const family = fc.constantFrom(0, 2, 7, 10);
    fc.assert(
      fc.property(family, fc.uint8Array({ minLength: 15, maxLength: 15 }), attributes, (af, rest, tail) => {
        for (const [i, size] of [16, 8, 12, 12].entries())
          parsers[i]!(Buffer.concat([Uint8Array.of(af), rest.subarray(0, size - 1), tail]));
      }),
    );
  });

  it('refuse a link without a name, an address and a route of a wrong length', () => {
    assert.equal(parseLink(payload(setLink(new Batch(), 7, { up: true }))).ok, false);
    const header = Buffer.alloc(8);
    header[0] = 10;
    assert.equal(parseInterfaceAddress(Buffer.concat([header, encodeAttributes([[2, Buffer.alloc(4)]])])).ok, false);
    const long = Buffer.alloc(12);
    long[0] = 2;
    long[1] = 33;
    assert.equal(parseRoute(long).ok, false);
  });
});

describe('names of settings', () => {
  it('have dots for separators and slashes for the dots of a device name', () => {
    assert.equal(sysctlPath('net.ipv4.ip_forward'), '/proc/sys/net/ipv4/ip_forward');
    assert.equal(sysctlPath('net.ipv4.conf.eth0/100.rp_filter'), '/proc/sys/net/ipv4/conf/eth0.100/rp_filter');
  });
});
