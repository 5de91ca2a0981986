/** Pools and blocks: exact arithmetic, and numbers that stay (R-NAT-2, R-NAT-5). */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Address } from '../../lib/address.ts';
import { BLOCKS } from '../../nat/abi.ts';
import {
  blockAt,
  type FormerPool,
  type Pool,
  placePools,
  portsOf,
  type Range,
  reservedPorts,
} from '../../nat/blocks.ts';

const A = '131.107.10.10' as Address;
const B = '131.107.10.11' as Address;
const range = (address: Address, portStart: number, portEnd: number, blockPorts = 512): Range => ({
  address,
  portStart,
  portEnd,
  blockPorts,
});

function placed(ranges: readonly Range[], former: readonly FormerPool[] = []) {
  const result = placePools(ranges, former);
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

/** Ranges of a few addresses that do not overlap, as the configuration lets them through. */
const ranges: fc.Arbitrary<readonly Range[]> = fc
  .uniqueArray(
    fc.record({
      address: fc.integer({ min: 1, max: 6 }).map((n) => `131.107.10.${n}` as Address),
      part: fc.integer({ min: 0, max: 3 }),
      first: fc.integer({ min: 0, max: 2000 }),
      ports: fc.integer({ min: 2, max: 12_000 }),
      blockPorts: fc.constantFrom(64, 128, 256, 512, 1024),
    }),
    { selector: (r) => `${r.address} ${r.part}`, maxLength: 12 },
  )
  .map((list) =>
    list.map(({ address, part, first, ports, blockPorts }) => {
      const portStart = 1024 + part * 16_000 + first;
      return { address, portStart, portEnd: portStart + ports - 1, blockPorts };
    }),
  );

const blocksOfPool = (p: Pool) => Array.from({ length: p.blocks }, (_, i) => p.firstBlock + i);

describe('port blocks', () => {
  it("the book's range: every port in one block, the rest of the last block beyond PortEnd", () => {
    const { pools } = placed([range(A, 9000, 49151)]);
    const [pool] = pools as [Pool];
    assert.deepEqual([pool.index, pool.firstBlock, pool.blocks], [0, 0, 79]);
    assert.deepEqual(portsOf(pool, 0), { first: 9000, last: 9511 });
    assert.deepEqual(portsOf(pool, 78), { first: 48936, last: 49151 });
    assert.equal(blockAt(pools, A, 8999), undefined);
    assert.equal(blockAt(pools, B, 9000), undefined);
    assert.equal(blockAt(pools, A, 9512), 1);
  });

  it('no block is in two pools, no port in two blocks, and every port of a range is in one', () => {
    fc.assert(
      fc.property(ranges, (list) => {
        const { pools, released } = placed(list);
        assert.deepEqual(released, []);
        const blocks = pools.flatMap(blocksOfPool);
        assert.equal(new Set(blocks).size, blocks.length);
        assert.equal(new Set(pools.map((p) => p.index)).size, pools.length);
        for (const p of pools) {
          let port = p.portStart;
          for (const b of blocksOfPool(p)) {
            const { first, last } = portsOf(p, b);
            assert.equal(first, port);
            for (const at of [first, last]) assert.equal(blockAt([p], p.address, at), b);
            port = last + 1;
          }
          assert.equal(port, p.portEnd + 1);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('whatever comes and goes, a range that stays keeps its number and blocks; released = what did not', () => {
    fc.assert(
      fc.property(fc.array(ranges, { minLength: 2, maxLength: 5 }), (steps) => {
        let former: readonly Pool[] = [];
        for (const list of steps) {
          const { pools, released } = placed(list, former);
          const blocks = pools.flatMap(blocksOfPool);
          assert.equal(new Set(blocks).size, blocks.length);
          assert.equal(new Set(pools.map((p) => p.index)).size, pools.length);
          for (const f of former) {
            const same = pools.find(
              (p) => p.address === f.address && p.portStart === f.portStart && p.blockPorts === f.blockPorts,
            );
            const kept = same?.index === f.index && same.firstBlock === f.firstBlock && same.blocks >= f.blocks;
            assert.equal(released.includes(f.index), !kept);
            if (same && same.blocks <= f.blocks)
              assert.deepEqual([same.index, same.firstBlock], [f.index, f.firstBlock]);
          }
          former = pools;
        }
      }),
      { numRuns: 200 },
    );
  });

  it('addresses without ports of their own have a pool without blocks', () => {
    const none = { address: B, portStart: 0, portEnd: -1, blockPorts: 64 };
    const { pools } = placed([range(A, 1024, 65535), none]);
    assert.deepEqual(
      pools.map((p) => [p.index, p.firstBlock, p.blocks]),
      [
        [0, 0, 126],
        [1, 0, 0],
      ],
    );
    assert.deepEqual(placed([none], pools).released, [0]);
  });

  it('what does not fit is refused, not cut short', () => {
    const many = Array.from({ length: 20 }, (_, i) => range(`131.107.11.${i + 1}` as Address, 1024, 65535, 64));
    const refused = placePools(many, []);
    assert.ok(!refused.ok);
    assert.match(refused.error, /^20160 port blocks are more than 16384$/);
    assert.equal(placed(many.slice(0, 16)).pools.at(-1)!.firstBlock + 1008, 16128);
    assert.ok(16128 <= BLOCKS);
  });

  it('what fits is never refused, even where what stays leaves no room in one piece', () => {
    const all = Array.from({ length: 12 }, (_, i) => range(`131.107.11.${i + 1}` as Address, 1024, 65535, 64));
    const apart = placed(all.slice(0, 10)).pools.map((p, i) => ({ ...p, firstBlock: i * 1508 }));
    assert.deepEqual(placed(all.slice(0, 11), apart).released, []);
    const { pools, released } = placed(all, apart);
    const taken = pools.flatMap(blocksOfPool);
    assert.equal(new Set(taken).size, 12 * 1008);
    assert.ok(Math.max(...taken) < BLOCKS);
    // The first one is where it was.
    assert.deepEqual(
      released,
      apart.slice(1).map((p) => p.index),
    );
  });

  it('reserved: the ports of mappings for their protocol, and what lies beyond PortEnd for all', () => {
    const { pools } = placed([range(A, 4000, 4699)]);
    const reserved = reservedPorts(pools, [
      { address: A, protocol: 'UDP', port: 4500 },
      { address: A, protocol: 'TCP', port: 4000 },
      { address: B, protocol: 'TCP', port: 4001 },
      { address: A, protocol: 'TCP', port: 4700 },
    ]);
    const ports = (block: number, protocol: number) => {
      const bits: number[] = [];
      for (const [w, word] of reserved.get(block)![protocol]!.entries())
        for (let b = 0; b < 64; b++) if (word & (1n << BigInt(b))) bits.push(4000 + block * 512 + w * 64 + b);
      return bits;
    };
    const beyond = Array.from({ length: 324 }, (_, i) => 4700 + i);
    assert.deepEqual(ports(0, 0), [4000]);
    assert.deepEqual(ports(0, 1), [4500]);
    assert.deepEqual(ports(0, 2), []);
    for (const protocol of [0, 1, 2]) assert.deepEqual(ports(1, protocol), beyond);
  });
});
