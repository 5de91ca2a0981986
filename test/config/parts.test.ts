/** The small pure parts: values, nearest word, derived MAC, limits. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { z } from 'zod';
import { ROUTER_MAC } from '../../compartments/policy.ts';
import { tunnelProblems } from '../../config/check/s2s.ts';
import { distance, nearest } from '../../config/nearest.ts';
import { derivedMac } from '../../config/resolve.ts';
import { address, interfaceAddress, interfaceName, mac, prefix, subnetMetric } from '../../config/schema/values.ts';
import { positions } from '../../config/yaml.ts';
import { macBytes, parseMac } from '../../lib/address.ts';
import { lengthOf, networkOf, prefixFamily } from '../../lib/prefix.ts';

const accepts = (schema: z.ZodType, text: string) => schema.safeParse(text).success;

describe('configuration values', () => {
  const table: readonly (readonly [
    name: string,
    schema: z.ZodType,
    good: readonly string[],
    bad: readonly string[],
  ])[] = [
    [
      'address',
      address(),
      ['59.10.10.10', '2001:db8::1'],
      [
        '0.0.0.0',
        '127.0.0.1',
        '224.0.0.1',
        '255.255.255.255',
        '::',
        '::1',
        'ff02::1',
        '::ffff:1.2.3.4',
        '1.2.3',
        '01.2.3.4',
        '1.2.3.4/24',
        'fe80::1%eth0',
        '',
      ],
    ],
    ['next hop', address({ any: true }), ['0.0.0.0', '::', '10.0.0.1'], ['127.0.0.1', '']],
    [
      'prefix',
      prefix(),
      ['0.0.0.0/0', '10.0.0.9/24', '::/0', 'fd00::/64'],
      ['10.0.0.0', '10.0.0.0/33', 'fd00::/129', '::ffff:0.0.0.0/96', '::ffff:1.2.3.4/128', '10.0.0.0/', '/24', ''],
    ],
    [
      'interface address',
      interfaceAddress(),
      ['10.0.254.2/24', '10.0.254.2/32', '10.0.254.2/31', 'fd00::2/64'],
      ['10.0.254.0/24', '10.0.254.2', '10.0.254.2/0', '127.0.0.1/8', 'fd00::/64', ''],
    ],
    [
      'IPv4Subnet',
      subnetMetric(4),
      ['10.1.0.0/24:100', '10.1.0.0/24'],
      ['10.1.0.0:100', '10.1.0.0/24:', '10.1.0.0/24:0', '10.1.0.0/24:65536', 'fd00::/64:1', ''],
    ],
    [
      'IPv6Subnet',
      subnetMetric(6),
      ['2001:db8:2::/48:100', '2001:db8:2::/48'],
      ['10.1.0.0/24:100', '2001:db8:2:::100', ''],
    ],
    [
      'MAC',
      mac(),
      ['101010101105', '10-10-10-10-11-05', '02:48:4e:00:13:8a'],
      ['000000000000', '010000000001', 'ffffffffffff', '10101010110', '10:10:10:10:11-05', ''],
    ],
    [
      'interface name',
      interfaceName(),
      ['IfCi1', 'a', 'site-1.ny_2', 'constructor', 'c2x', 'p2'],
      ['lo', 'all', 'default', 'c2', 'p2-0', 'a b', 'a/b', '.', '..', '-a', 'sixteencharacter', ''],
    ],
  ];
  for (const [name, schema, good, bad] of table) {
    it(`${name}: takes ${good.join(' ')}`, () =>
      assert.deepEqual(
        good.filter((text) => !accepts(schema, text)),
        [],
      ));
    it(`${name}: refuses ${bad.join(' ')} and nothing`, () =>
      assert.deepEqual(
        bad.filter((text) => accepts(schema, text)),
        [],
      ));
  }

  it('every prefix with a metric reads back as it was written', () => {
    const four = fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 }));
    const six = fc.tuple(
      fc.ipV6().filter((a) => !/^::ffff|\./i.test(a)),
      fc.integer({ min: 0, max: 128 }),
    );
    const metric = fc.integer({ min: 1, max: 65535 });
    for (const [family, address] of [
      [4, four],
      [6, six],
    ] as const)
      fc.assert(
        fc.property(address, metric, ([a, length], m) => {
          const read = subnetMetric(family).parse(`${a}/${length}:${m}`);
          assert.equal(read.metric, m);
          assert.equal(lengthOf(read.prefix), length);
          assert.equal(prefixFamily(read.prefix), family);
          assert.deepEqual(subnetMetric(family).parse(`${networkOf(read.prefix)}/${length}:${m}`), read);
        }),
      );
  });

  it('a MAC address follows from the VSID: locally administered, unicast, one for each', () => {
    fc.assert(
      fc.property(fc.integer({ min: 4096, max: 16777214 }), (vsid) => {
        const derived = derivedMac(vsid);
        assert.equal(parseMac(derived), derived);
        assert.equal(macBytes(derived)[0]! & 3, 2);
        assert.equal(Number.parseInt(derived.slice(9).replaceAll(':', ''), 16), vsid);
      }),
    );
    assert.equal(derivedMac(0x560001), ROUTER_MAC, 'the one VSID whose internal interface needs a MACAddress');
  });
});

describe('nearest', () => {
  it('counts inserted, deleted, replaced and swapped letters', () => {
    for (const [a, b, d] of [
      ['', '', 0],
      ['abc', 'abc', 0],
      ['abc', 'abd', 1],
      ['abc', 'ab', 1],
      ['abc', 'acb', 1],
      ['', 'abc', 3],
      ['kitten', 'sitting', 3],
    ] as const)
      assert.equal(distance(a, b), d, `${a} ${b}`);
    fc.assert(
      fc.property(
        fc.string({ maxLength: 9 }),
        fc.string({ maxLength: 9 }),
        (a, b) => distance(a, b) === distance(b, a),
      ),
    );
  });
  it('finds the key that was meant, or none', () => {
    const keys = ['Destination', 'DestinationPrefix', 'SharedSecret'];
    assert.equal(nearest('destination', keys), 'Destination');
    assert.equal(nearest('DestinationPrefx', keys), 'DestinationPrefix');
    assert.equal(nearest('Colour', keys), undefined);
    assert.equal(nearest('x'.repeat(100_000), keys), undefined);
  });
});

describe('positions', () => {
  it('are those of a plain count', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '\n', 'ä', '𐍈'), maxLength: 40 });
    fc.assert(
      fc.property(text, fc.nat(40), (t, n) => {
        const offset = Math.min(n, t.length);
        const before = t.slice(0, offset).split('\n');
        assert.deepEqual(positions(t)(n), { line: before.length, column: before.at(-1)!.length + 1 });
      }),
    );
  });
});

describe('limits', () => {
  it('a routing domain has no more tunnels than interface ids', () => {
    const domain = (count: number) => ({
      RoutingDomain: [{ VpnS2SInterface: Array.from({ length: count }, () => ({})) }],
    });
    assert.deepEqual(
      tunnelProblems(domain(1023), () => 1),
      [],
    );
    assert.deepEqual(
      tunnelProblems(domain(1024), () => 1).map((p) => p.code),
      ['TOO_LARGE'],
    );
  });
});
