/** Ports that the NAT shares with the gateway's kernel: no port is both's, and the gateway always has some. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Address } from '../../lib/address.ts';
import { LOCAL_PORTS, OWN_PORTS, ownPorts, portList } from '../../nat/own-ports.ts';
import { NETNAT } from '../netns/nat-edge.ts';

const OWN = '131.107.10.10' as Address;
const OTHER = '131.107.10.11' as Address;
const nat = (ranges: readonly (readonly [Address, number, number])[], ports: readonly number[] = []) => [
  {
    ...NETNAT,
    externalAddresses: ranges.map(([ipAddress, portStart, portEnd]) => ({
      ipAddress,
      portStart,
      portEnd,
      routingDomainIds: [],
    })),
    staticMappings: ports.map((externalPort) => ({
      routingDomainId: '{1}' as never,
      protocol: 'TCP' as const,
      externalIpAddress: OWN,
      externalPort,
      internalIpAddress: '10.0.0.1' as Address,
      internalPort: 80,
    })),
  },
];
const decide = (...input: Parameters<typeof nat>) => ownPorts(nat(...input), new Set([OWN]));

describe('ports of the gateway itself', () => {
  it('the NAT’s ranges of own addresses are reserved, touching ones as one, and nothing of other addresses', () => {
    const ranges = [
      [OTHER, 50_000, 60_000],
      [OWN, 2000, 2999],
      [OWN, 1024, 1999],
      [OWN, 9000, 9999],
    ] as const;
    assert.equal(portList(decide(ranges, [8080, 60_999, 9001]).reserved), '1024-2999,8080,9000-9999,60999');
    assert.equal(portList(ownPorts([], new Set([OWN])).reserved), '');
  });

  it('a NAT of the whole range leaves 512 ports', () => {
    const { reserved, kept } = decide([[OWN, 1024, 65_534]], [60_500]);
    assert.deepEqual(kept, { first: 60_488, last: 60_999 });
    assert.equal(portList(reserved), '1024-60487,60500,61000-65534');
    assert.equal(decide([[OWN, 1024, LOCAL_PORTS.last - OWN_PORTS]]).kept, undefined);
    assert.ok(decide([[OWN, 1024, LOCAL_PORTS.last - OWN_PORTS + 1]]).kept);
  });

  it('a port is the NAT’s, the kernel’s or nobody’s, whatever the ranges', () => {
    const range = fc.tuple(fc.constantFrom(OWN, OTHER), fc.integer({ min: 1024, max: 65_000 }), fc.nat(40_000));
    fc.assert(
      fc.property(fc.array(range, { maxLength: 6 }), fc.integer({ min: 1, max: 65_535 }), (list, port) => {
        const ranges = list.map(([a, from, n]) => [a, from, Math.min(65_534, from + 1 + n)] as const);
        const { reserved, kept } = decide(ranges);
        const within = (r: { first: number; last: number } | undefined) => !!r && r.first <= port && port <= r.last;
        const given = ranges.some(([a, first, last]) => a === OWN && within({ first, last })) && !within(kept);
        assert.equal(reserved.some(within), given);
        for (let i = 1; i < reserved.length; i++) assert.ok(reserved[i]!.first > reserved[i - 1]!.last + 1);
        const taken = reserved.reduce(
          (n, r) => n + Math.max(0, Math.min(r.last, LOCAL_PORTS.last) - Math.max(r.first, LOCAL_PORTS.first) + 1),
          0,
        );
        assert.ok(LOCAL_PORTS.last - LOCAL_PORTS.first + 1 - taken >= OWN_PORTS);
      }),
    );
  });
});
