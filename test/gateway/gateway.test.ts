import assert from 'node:assert/strict';
import { pino } from 'pino';
import type { GatewayConfig } from '../../compartments/compartment.ts';
import { compartmentResources } from '../../compartments/desired.ts';
import { EMPTY_SLOTS, ifIdOfInterface, type SlotTable, slotOf } from '../../compartments/slots.ts';
import { Gateway, type Parts } from '../../gateway/gateway.ts';
import { changedSlots, type Running, type Source } from '../../gateway/running.ts';
import type { Address } from '../../lib/address.ts';
import { err, ok } from '../../lib/result.ts';
import { gateway, MapHand, MemoryRecords, s2s, tenant } from './world.ts';

const contoso = tenant('Contoso', 'IfCi1', [s2s('IfCe1', '59.10.10.10', '10.1.0.0/24')]);
const woodgrove = tenant('Woodgrove', 'IfWi1', [s2s('IfWe1', '59.10.10.100', '10.1.0.0/24')]);
const third = tenant('Northwind', 'IfNi1', []);

/** A gateway whose files are names of configurations. */
function bench(files: Readonly<Record<string, GatewayConfig>>) {
  const hand = new MapHand();
  const up = new Set<string>();
  const saved: { table: SlotTable; running: Source | undefined } = { table: EMPTY_SLOTS, running: undefined };
  const later: unknown[] = [];
  const told: Running[] = [];
  const dialled: Address[][] = [];
  const known = { value: true };
  const parts: Parts = {
    hands: () => [hand],
    log: pino({ level: 'silent' }),
    tunnels: {
      expect: () => undefined,
      loaded: (r) => told.push(r),
      dialFrom: (addresses) => dialled.push([...addresses]),
      up: () => (known.value ? up : undefined),
    },
    usableAddresses: () =>
      new Set([...hand.state.values()].flatMap((r) => (r.kind === 'address' ? [r.spec.address] : []))),
    store: {
      slots: EMPTY_SLOTS,
      saveSlots: (table) => {
        saved.table = table;
      },
      saveRunning: (source) => {
        saved.running = source;
      },
      records: new MemoryRecords(),
    },
    recordOps: () => [],
    load: ({ text }) => {
      const config = files[text];
      if (config) return ok(config);
      return err([{ code: 'BAD_VALUE', file: text, line: 1, column: 1, path: '', problem: 'bad', cure: 'mend it' }]);
    },
    desired: (running, tunnelsUp, scope) =>
      running.config.compartments
        .filter((c) => scope === 'all' || slotOf(running.table, c.routingDomainId) === scope)
        .flatMap((c) =>
          compartmentResources(c, {
            slot: slotOf(running.table, c.routingDomainId),
            up: tunnelsUp,
            ifId: (name) => ifIdOfInterface(running.table, c.routingDomainId, name),
            innerMtu: 1500,
          }),
        ),
    statusChanged: () => undefined,
    later: (event) => later.push(event),
  };
  return { gateway: new Gateway(parts), hand, up, saved, later, told, known, dialled };
}
const source = (text: string): Source => ({ file: `/etc/${text}`, text });
/** Lets everything that was noticed run: plan is queued behind it. */
const settle = (g: Gateway, text: string) => g.plan(source(text));

describe('gateway', () => {
  const files = {
    two: gateway(contoso, woodgrove),
    three: gateway(contoso, woodgrove, third),
    one: gateway(woodgrove),
  };

  it('starts, then has nothing to do; a second start on the same reality does nothing', async () => {
    const { gateway: g, hand } = bench(files);
    const first = await g.start(source('two'));
    assert.ok(first.ok && first.value.ops.length > 0);
    const again = await g.plan(source('two'));
    assert.deepEqual(again, { ok: true, value: { ops: [], notes: [] } });
    hand.log.length = 0;
    assert.ok((await g.start(source('two'))).ok);
    assert.deepEqual(hand.log, []);
  });

  it('dials only from what the NICs have when everything was compared, also when part of it was refused', async () => {
    const { gateway: g, hand, dialled, later } = bench(files);
    hand.blind = true;
    assert.ok(!(await g.start(source('two'))).ok);
    assert.deepEqual([dialled, later], [[], [{ type: 'charon-back' }]]);
    hand.blind = false;
    hand.fails = (op) => op.resource.kind === 'address' && op.resource.slot === 3;
    assert.ok(!(await g.start(source('two'))).ok);
    assert.deepEqual(dialled, [['10.0.254.2']]);
    g.notice({ type: 'resync' });
    await settle(g, 'two');
    assert.equal(dialled.length, 2, 'and after every look');
  });

  it('a change of the network is put right in its own compartment, and in no other', async () => {
    const { gateway: g, hand } = bench(files);
    await g.start(source('two'));
    for (const slot of [2, 3]) hand.state.delete(`address c${slot} If${slot === 2 ? 'C' : 'W'}i1 10.0.254.2/24`);
    hand.log.length = 0;
    for (const slot of [3, 9]) g.notice({ type: 'network-changed', slot });
    await settle(g, 'two');
    assert.deepEqual(hand.log, ['create address c3 IfWi1 10.0.254.2/24']);
  });

  it('tells what is not there, by tenant, until it is', async () => {
    const { gateway: g, hand } = bench(files);
    assert.deepEqual(g.status, { file: '', settled: false, unsettled: [], notes: [] });
    hand.fails = (op) => op.resource.kind === 'address';
    await g.start(source('two'));
    const failing = () => g.status.unsettled.map((u) => [u.routingDomain, u.error]);
    assert.equal(g.status.settled, false);
    assert.deepEqual(failing(), [
      ['Contoso', 'the kernel refuses address c2 IfCi1 10.0.254.2/24'],
      ['Woodgrove', 'the kernel refuses address c3 IfWi1 10.0.254.2/24'],
    ]);
    hand.fails = (op) => op.resource.kind === 'address' && op.resource.slot === 3;
    for (const slot of [2, 3]) g.notice({ type: 'retry', slot });
    await settle(g, 'two');
    assert.deepEqual(failing(), [['Woodgrove', 'the kernel refuses address c3 IfWi1 10.0.254.2/24']]);
    hand.fails = () => false;
    hand.blind = true;
    g.notice({ type: 'resync' });
    await assert.rejects(settle(g, 'two'));
    assert.deepEqual(failing()[0], ['', 'the hand is blind']);
    hand.blind = false;
    g.notice({ type: 'resync' });
    await settle(g, 'two');
    assert.deepEqual(g.status, { file: '/etc/two', settled: true, unsettled: [], notes: [] });
  });

  it('a third tenant touches neither of the others', async () => {
    const { gateway: g, hand, saved } = bench(files);
    await g.start(source('two'));
    hand.log.length = 0;
    assert.ok((await g.apply(source('three'))).ok);
    assert.ok(hand.log.length > 0);
    assert.deepEqual(
      hand.log.filter((l) => !/(c4|p4-0)\b/.test(l)),
      [],
    );
    assert.equal(saved.running?.text, 'three');
  });

  it('removes a tenant and leaves nothing of it', async () => {
    const { gateway: g, hand } = bench(files);
    await g.start(source('two'));
    assert.ok((await g.apply(source('one'))).ok);
    assert.deepEqual(
      [...hand.state.values()].filter((r) => r.slot === 2),
      [],
    );
    assert.ok(hand.state.has('netns c3'));
  });

  it('refuses a file with errors and touches nothing', async () => {
    const { gateway: g, hand, saved } = bench(files);
    await g.start(source('two'));
    hand.log.length = 0;
    const answer = await g.apply(source('broken'));
    assert.ok(!answer.ok && answer.error.code === 'CONFIG');
    assert.deepEqual(hand.log, []);
    assert.equal(saved.running?.text, 'two');
    assert.equal(g.running?.source.text, 'two');
  });

  it('puts everything back when the system refuses an op', async () => {
    const { gateway: g, hand, saved } = bench(files);
    await g.start(source('two'));
    const before = [...hand.state.keys()].sort();
    hand.fails = (op) => op.resource.kind === 'address' && op.resource.slot === 4;
    const answer = await g.apply(source('three'));
    assert.ok(!answer.ok && answer.error.code === 'FAILED');
    assert.deepEqual(
      answer.error.failures.map((f) => [f.routingDomain, f.error]),
      [['Northwind', 'the kernel refuses address c4 IfNi1 10.0.254.2/24']],
    );
    assert.deepEqual([...hand.state.keys()].sort(), before);
    assert.equal(saved.running?.text, 'two');
    assert.equal(g.running?.source.text, 'two');
  });

  it('puts everything back when reality cannot be read half-way', async () => {
    const { gateway: g, hand, saved } = bench(files);
    await g.start(source('two'));
    const before = [...hand.state.keys()].sort();
    let reads = 0;
    hand.fails = () => {
      // The first op of the new tenant runs, then charon goes away; it is back for the way back.
      if (++reads === 3) hand.blind = true;
      return false;
    };
    hand.onBlind = () => {
      hand.blind = false;
    };
    const answer = await g.apply(source('three'));
    assert.ok(!answer.ok && answer.error.code === 'FAILED');
    assert.deepEqual([answer.error.restored, answer.error.failures.map((f) => f.error)], [true, ['the hand is blind']]);
    assert.deepEqual([...hand.state.keys()].sort(), before);
    assert.equal(g.running?.source.text, 'two');
    assert.equal(saved.running?.text, 'two');
  });

  it('a first apply that fails says that nothing could be put back', async () => {
    const { gateway: g, hand } = bench(files);
    hand.fails = (op) => op.resource.kind === 'address';
    const answer = await g.apply(source('one'));
    assert.ok(!answer.ok && answer.error.code === 'FAILED' && !answer.error.restored);
    assert.equal(g.running, undefined);
  });

  it('while charon has not told, tunnels that carry packets keep their links and routes', async () => {
    const { gateway: g, hand, up, known } = bench(files);
    up.add('IfCe1');
    await g.start(source('two'));
    hand.log.length = 0;
    known.value = false;
    await g.start(source('two'));
    assert.deepEqual(hand.log, []);
    known.value = true;
    up.clear();
    g.notice({ type: 'resync' });
    await settle(g, 'two');
    assert.deepEqual(hand.log, ['delete route c2 10.1.0.0/24 100', 'update xfrm IfCe1']);
  });

  it('a plan keeps no numbers', async () => {
    const { gateway: g, saved } = bench(files);
    await g.start(source('two'));
    await g.plan(source('three'));
    assert.equal(saved.table.nextSlot, 4);
  });

  it('a tunnel that comes up or falls moves its own routes only', async () => {
    const { gateway: g, hand, up } = bench(files);
    await g.start(source('two'));
    hand.log.length = 0;
    up.add('IfCe1');
    g.notice({ type: 'tunnels-changed', interfaces: ['IfCe1'] });
    await settle(g, 'two');
    assert.deepEqual(hand.log, ['update xfrm IfCe1', 'create route c2 10.1.0.0/24 100']);
    up.delete('IfCe1');
    g.notice({ type: 'tunnels-changed', interfaces: ['IfCe1'] });
    await settle(g, 'two');
    assert.deepEqual(hand.log.slice(2), ['delete route c2 10.1.0.0/24 100', 'update xfrm IfCe1']);
  });

  it('one compartment that fails is tried again by itself; the others are served', async () => {
    const { gateway: g, hand, later } = bench(files);
    hand.fails = (op) => op.resource.slot === 2 && op.resource.kind === 'veth';
    await g.start(source('two'));
    assert.ok(hand.state.has('veth p3-0') && !hand.state.has('veth p2-0'));
    assert.deepEqual(new Set(later.map((e) => JSON.stringify(e))), new Set(['{"type":"retry","slot":2}']));
    hand.fails = () => false;
    g.notice({ type: 'retry', slot: 2 });
    await settle(g, 'two');
    assert.ok(hand.state.has('veth p2-0'));
  });

  it('what could not be adopted when charon came back is adopted later', async () => {
    const { gateway: g, hand, later, told } = bench(files);
    await g.start(source('two'));
    assert.equal(told.length, 1);
    hand.blind = true;
    g.notice({ type: 'charon-back' });
    await assert.rejects(settle(g, 'two'), /blind/);
    assert.deepEqual(later, [{ type: 'charon-back' }]);
    hand.blind = false;
    g.notice({ type: 'charon-back' });
    await settle(g, 'two');
    assert.equal(told.length, 2);
  });

  it('without a configuration touches nothing at all', async () => {
    const { gateway: g, hand } = bench(files);
    hand.state.set('netns c9', { kind: 'netns', key: 'c9', slot: 9, spec: {} });
    assert.ok(!(await g.start(source('broken'))).ok);
    g.notice({ type: 'resync' });
    await settle(g, 'broken');
    assert.deepEqual(hand.log, []);
  });
});

describe('changedSlots', () => {
  const table = {
    nextSlot: 5,
    domains: { '{contoso}': { slot: 2 }, '{woodgrove}': { slot: 3 }, '{northwind}': { slot: 4 } },
  };
  const slots = table as unknown as SlotTable;

  it('names what differs, secrets included', () => {
    const rekeyed = tenant('Contoso', 'IfCi1', [s2s('IfCe1', '59.10.10.10', '10.1.0.0/24', 'another secret')]);
    assert.deepEqual(changedSlots(gateway(contoso, woodgrove), gateway(contoso, woodgrove, third), slots), [4]);
    assert.deepEqual(changedSlots(gateway(contoso, woodgrove), gateway(rekeyed, woodgrove), slots), [2]);
    assert.deepEqual(changedSlots(gateway(contoso, woodgrove), gateway(contoso), slots), [3]);
    assert.deepEqual(changedSlots(gateway(contoso), gateway(contoso), slots), []);
    assert.equal(changedSlots(undefined, gateway(contoso), slots), 'all');
    assert.equal(changedSlots(gateway(contoso), { ...gateway(contoso), gateway: 'GW2' }, slots), 'all');
  });
});
