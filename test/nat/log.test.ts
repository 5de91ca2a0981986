/** Block log and `who`: exact over random holdings, whole after a pause of the writer, total over any text (R-NAT-5, RFC 6888 §4). */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { RoutingDomainId } from '../../compartments/compartment.ts';
import type { Address } from '../../lib/address.ts';
import { CLOSING, NAT, NAT_BLOCK_RETURNED, NAT_BLOCK_TAKEN, type NatBlock } from '../../nat/abi.ts';
import { type Pool, placePools, portsOf } from '../../nat/blocks.ts';
import {
  type BlockNames,
  type BlockRecord,
  formatRecord,
  missing,
  parseRecord,
  recordOfEvent,
  recordsOfBlocks,
} from '../../nat/log.ts';
import { parseEndpoint, parseTime, who } from '../../nat/who.ts';

const A = '131.107.10.10' as Address;
const BOOT = Date.parse('2026-11-22T10:00:00Z');
const CONTOSO = { name: 'Contoso', id: '{11111111-2222-3333-4444-000000000001}' as RoutingDomainId };
const WOODGROVE = { name: 'Woodgrove', id: '{11111111-2222-3333-4444-000000000002}' as RoutingDomainId };

const placed = placePools([{ address: A, portStart: 9000, portEnd: 49151, blockPorts: 512 }], []);
assert.ok(placed.ok);
const pools: readonly Pool[] = placed.value.pools;
const names: BlockNames = { pools, boot: BOOT, tenant: (slot) => [CONTOSO, WOODGROVE][slot - 2] };

const event = (type: number, rdid: number, block: number, taken: number, released = 0) =>
  NAT.event.encode({ type, rdid, block, taken, released });
const told = (...args: Parameters<typeof event>): BlockRecord => recordOfEvent(event(...args), names)!;
const at = (seconds: number): number => BOOT + seconds * 1000;

/** Holdings of blocks one after the other, as the data plane makes them. */
const holdings = fc
  .array(
    fc.record({
      block: fc.integer({ min: 0, max: 4 }),
      slot: fc.integer({ min: 2, max: 3 }),
      wait: fc.integer({ min: 3, max: 50 }),
      hold: fc.integer({ min: 3, max: 50 }),
    }),
    { maxLength: 30 },
  )
  .map((list) => {
    const free = new Map<number, number>();
    return list.map(({ block, slot, wait, hold }) => {
      const taken = (free.get(block) ?? 0) + wait;
      free.set(block, taken + hold);
      return { block, slot, taken, released: taken + hold };
    });
  });

describe('block log', () => {
  it('tells the tenant, the ports and the times of a block', () => {
    assert.deepEqual(told(NAT_BLOCK_RETURNED, 3, 78, 60, 3661), {
      event: 'returned',
      routingDomain: 'Woodgrove',
      routingDomainId: WOODGROVE.id,
      slot: 3,
      address: A,
      portStart: 48936,
      portEnd: 49151,
      taken: '2026-11-22T10:01:00Z',
      returned: '2026-11-22T11:01:01Z',
    });
    assert.equal(recordOfEvent(event(NAT_BLOCK_TAKEN, 2, 79, 1), names), undefined);
    assert.equal(recordOfEvent(new Uint8Array(4), names), undefined);
  });

  it('who: the tenant that held the port then, and nobody else, over random holdings', () => {
    fc.assert(
      fc.property(holdings, fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 900 }), (list, block, time) => {
        const log = list.flatMap((h) => [
          told(NAT_BLOCK_TAKEN, h.slot, h.block, h.taken),
          told(NAT_BLOCK_RETURNED, h.slot, h.block, h.taken, h.released),
        ]);
        const { first } = portsOf(pools[0]!, block);
        const expected = list
          .filter((h) => h.block === block && h.taken <= time && time <= h.released)
          .map((h) => (h.slot === 2 ? 'Contoso' : 'Woodgrove'));
        const answers = who(log, { address: A, port: first + 7, at: at(time) });
        assert.deepEqual(
          answers.map((a) => a.RoutingDomain),
          expected,
        );
      }),
      { numRuns: 300 },
    );
  });

  it('who: still holding, another address, another port', () => {
    const log = [told(NAT_BLOCK_TAKEN, 2, 0, 100)];
    assert.deepEqual(who(log, { address: A, port: 9001, at: at(5000) }), [
      {
        RoutingDomain: 'Contoso',
        RoutingDomainId: CONTOSO.id,
        ExternalIPAddress: A,
        PortStart: 9000,
        PortEnd: 9511,
        From: '2026-11-22T10:01:40Z',
        Until: '',
      },
    ]);
    assert.deepEqual(who(log, { address: A, port: 9001, at: at(99) }), []);
    assert.deepEqual(who(log, { address: A, port: 9512, at: at(200) }), []);
    assert.deepEqual(who(log, { address: '131.107.10.11' as Address, port: 9001, at: at(200) }), []);
  });

  it('what happened while nobody wrote is written afterwards, once', () => {
    const empty = { used: [0, 0, 0], of: [] };
    const block: NatBlock = {
      owner: 3,
      taken: 300,
      former: 2,
      former_taken: 100,
      former_released: 200,
      ...empty,
    };
    const closing: NatBlock = { owner: CLOSING, taken: 50, former: 0, former_taken: 0, former_released: 0, ...empty };
    const actual = recordsOfBlocks(
      [
        [5, block],
        [6, closing],
        [500, block],
      ],
      names,
    );
    assert.deepEqual(
      actual.map((r) => [r.event, r.routingDomain]),
      [
        ['taken', 'Contoso'],
        ['returned', 'Contoso'],
        ['taken', 'Woodgrove'],
      ],
    );
    const log = [told(NAT_BLOCK_TAKEN, 2, 5, 101)];
    const late = missing(log, actual);
    assert.deepEqual(
      late.map((r) => [r.event, r.routingDomain]),
      [
        ['returned', 'Contoso'],
        ['taken', 'Woodgrove'],
      ],
    );
    assert.deepEqual(missing([...log, ...late], actual), []);
  });

  it('lines read back as they were written; any other text is refused without a throw', () => {
    for (const r of [told(NAT_BLOCK_TAKEN, 2, 0, 1), told(NAT_BLOCK_RETURNED, 3, 1, 5, 9)]) {
      assert.deepEqual(parseRecord(formatRecord(r)), { ok: true, value: r });
      const line = formatRecord(r);
      for (let length = 0; length < line.length; length++) assert.ok(!parseRecord(line.slice(0, length)).ok);
      for (const key of Object.keys(r)) assert.ok(!parseRecord(JSON.stringify({ ...r, [key]: [] })).ok, key);
    }
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => !parseRecord(text).ok));
  });
});

describe('who: questions', () => {
  it('endpoints', () => {
    assert.deepEqual(parseEndpoint('131.107.10.10:9001'), { ok: true, value: { address: A, port: 9001 } });
    for (const bad of ['131.107.10.10', '131.107.10.10:', '131.107.10.10:65536', '131.107.10:1', '[::1]:1', 'x:1', ''])
      assert.ok(!parseEndpoint(bad).ok, bad);
  });
  it('times, with their zone', () => {
    assert.deepEqual(parseTime('2026-11-22T10:00:00Z'), { ok: true, value: BOOT });
    assert.deepEqual(parseTime('2026-11-22T12:00+02:00'), { ok: true, value: BOOT });
    for (const bad of ['2026-11-22', '2026-11-22T10:00:00', '10:00', '2026-13-22T10:00:00Z', ''])
      assert.ok(!parseTime(bad).ok, bad);
  });
});
