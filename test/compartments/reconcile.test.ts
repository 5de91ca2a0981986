import assert from 'node:assert/strict';
import { observe, reconcile, withdraw } from '../../compartments/reconcile.ts';
import type { AnyResource, Hand, Op } from '../../compartments/resource.ts';

const entry = (slot: number, key: string, value = '00'): AnyResource => ({
  kind: 'entry',
  key: `records ${slot}${key}`,
  slot,
  spec: { map: 'records', key, value },
});

/** A hand over a map, which fails for the ops it is told to. */
class MapHand implements Hand {
  readonly kinds = ['entry'] as const;
  readonly state = new Map<string, AnyResource>();
  readonly fails: (op: Op) => boolean;
  constructor(initial: readonly AnyResource[], fails: (op: Op) => boolean = () => false) {
    for (const r of initial) this.state.set(r.key, r);
    this.fails = fails;
  }
  async observe(slot: number | 'all') {
    return [...this.state.values()].filter((r) => slot === 'all' || r.slot === slot);
  }
  async execute(op: Op) {
    if (this.fails(op)) throw new Error('no room');
    if (op.verb === 'delete') this.state.delete(op.resource.key);
    else this.state.set(op.resource.key, op.resource);
  }
}

describe('reconcile', () => {
  it('makes actual the same as desired, then does nothing', async () => {
    const hand = new MapHand([entry(2, 'old')]);
    const want = [entry(2, 'a'), entry(3, 'a')];
    const first = await reconcile([hand], 'all', () => want);
    assert.deepEqual(
      first.done.map((o) => `${o.verb} ${o.resource.key}`),
      ['delete records 2old', 'create records 2a', 'create records 3a'],
    );
    assert.ok(first.settled);
    assert.deepEqual(await reconcile([hand], 'all', () => want), { done: [], failures: [], settled: true });
  });

  it('of one compartment leaves the others alone', async () => {
    const hand = new MapHand([entry(2, 'old'), entry(3, 'old')]);
    await reconcile([hand], 2, () => []);
    assert.deepEqual([...hand.state.keys()], ['records 3old']);
  });

  it('withdraw carries out the deletes alone', async () => {
    const hand = new MapHand([entry(2, 'old'), entry(3, 'stays')]);
    const outcome = await withdraw([hand], 'all', () => [entry(2, 'new'), entry(3, 'stays')]);
    assert.deepEqual([...hand.state.keys()], ['records 3stays']);
    assert.ok(outcome.settled);
  });

  it('asks for desired again after each reading', async () => {
    const hand = new MapHand([]);
    const outcome = await reconcile([hand], 'all', () =>
      hand.state.size ? [entry(2, 'port'), entry(2, 'b')] : [entry(2, 'port')],
    );
    assert.ok(outcome.settled);
    assert.equal(hand.state.size, 2);
  });

  it('one compartment that fails stops itself only, and is told', async () => {
    const hand = new MapHand([], (op) => op.resource.key === 'records 2a');
    const outcome = await reconcile([hand], 'all', () => [entry(2, 'a'), entry(2, 'b'), entry(3, 'a')]);
    assert.deepEqual([...hand.state.keys()], ['records 3a']);
    assert.equal(outcome.settled, false);
    assert.deepEqual(
      outcome.failures.map((f) => [f.op.resource.key, f.error.message]),
      [['records 2a', 'no room']],
    );
  });

  it('loads no connection while one that must go still stands', async () => {
    const connection = (name: string, slot: number): AnyResource => ({
      kind: 'connection',
      key: name,
      slot,
      spec: { digest: 'a' },
    });
    const loaded: string[] = [];
    const hand: Hand = {
      kinds: ['connection'],
      observe: async () => [connection('IfCe1', 2)],
      execute: async (op) => {
        if (op.verb === 'delete') throw new Error('the SA does not end');
        loaded.push(op.resource.key);
      },
    };
    const outcome = await reconcile([hand], 'all', () => [connection('IfWe1', 3)]);
    assert.deepEqual(loaded, []);
    assert.ok(!outcome.settled);
  });

  it('changes nothing when reality cannot be read in full', async () => {
    const good = new MapHand([entry(2, 'old')]);
    const blind: Hand = {
      kinds: ['route'],
      observe: () => Promise.reject(new Error('netlink: ENOBUFS')),
      execute: () => Promise.resolve(),
    };
    await assert.rejects(
      reconcile([good, blind], 'all', () => []),
      /ENOBUFS/,
    );
    await assert.rejects(observe([blind], 2));
    assert.equal(good.state.size, 1);
  });
});
