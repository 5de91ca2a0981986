/** Entries of pinned maps, and pinning itself, on real eBPF maps. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import type { Slot } from '../../compartments/numbers.ts';
import { plan } from '../../compartments/plan.ts';
import { reconcile } from '../../compartments/reconcile.ts';
import type { AnyResource, Op } from '../../compartments/resource.ts';
import { EntryHand } from '../../kernel/entries.ts';
import { openPinned, type Pinned, removePinned } from '../../kernel/pinned.ts';
import { compileSample } from '../kernel/sample.ts';
import { titled } from '../kernel/titled.ts';
import { cannotMakeNamespaces, World } from './world.ts';

const missing = cannotMakeNamespaces();
const pinDir = `/sys/fs/bpf/hnv-entries-${process.pid}`;
const MAPS = ['records', 'routes', 'settings'];

const hex = (n: number, size: number): string => {
  const b = Buffer.alloc(size);
  b.writeUInt32LE(n);
  return b.toString('hex');
};
/** In these tests the slot is the first byte of the value. */
const slotOf = (_map: string, _key: Uint8Array, value: Uint8Array): Slot => value[0]!;

const entry = (map: string, key: string, value: string): AnyResource => ({
  kind: 'entry',
  key: `${map} ${key}`,
  slot: Number.parseInt(value.slice(0, 2), 16),
  spec: { map, key, value },
});
const record = (key: number, value: number) => entry('records', hex(key, 4), hex(value, 8));
const route = (key: string, value: number) => entry('routes', key, hex(value, 4));
const setting = (key: number, value: number) => entry('settings', hex(key, 4), hex(value, 4));

describe(titled('entry hand on pinned maps', missing), function () {
  this.timeout(180_000);
  let world: World;
  let object: string;
  let pinned: Pinned;
  let hand: EntryHand;

  const ops = async (wanted: readonly AnyResource[], scope: Slot | 'all' = 'all') =>
    plan(wanted, await hand.observe(scope));
  const settle = async (wanted: readonly AnyResource[]) => {
    for (const op of await ops(wanted)) await hand.execute(op);
    assert.deepEqual(await ops(wanted), []);
  };
  const both = () => [
    ...Array.from({ length: 1500 }, (_, i) => record(i, 2)),
    ...Array.from({ length: 1500 }, (_, i) => record(10_000 + i, 3)),
    ...Array.from({ length: 200 }, (_, i) => route(`200000000a00${i.toString(16).padStart(2, '0')}01`, 2)),
    route('080000000a000000', 3),
    route('0000000000000000', 3),
    setting(0, 2),
    setting(3, 3),
  ];

  before(function () {
    if (missing) this.skip();
    world = new World();
    object = path.join(world.dir, 'sample.o');
    compileSample(object);
    pinned = openPinned(object, pinDir, MAPS);
    world.onClose(() => {
      pinned.close();
      removePinned(pinDir);
    });
    hand = new EntryHand(pinned.maps, slotOf);
  });
  after(() => world?.close());

  it('is empty at first, also for an array', async () => assert.deepEqual(await hand.observe('all'), []));

  it('reads back what it wrote into a hash, an LPM trie and an array', async () => {
    await settle(both());
    assert.equal((await hand.observe('all')).length, both().length);
    for (const slot of [2, 3])
      assert.deepEqual(
        await ops(
          both().filter((r) => r.slot === slot),
          slot,
        ),
        [],
      );
  });

  it('writing twice and deleting what is absent succeed', async () => {
    for (const resource of both().slice(0, 3)) await hand.execute({ verb: 'create', resource, impact: 'none' });
    await hand.execute({ verb: 'delete', resource: record(99_999, 2), impact: 'flow' });
    assert.deepEqual(await ops(both()), []);
  });

  it('sees in one slot what others changed or took away there', async () => {
    const records = pinned.maps.get('records')!;
    records.set(Buffer.from(hex(5, 4), 'hex'), Buffer.from('02ff000000000000', 'hex'));
    records.delete(Buffer.from(hex(6, 4), 'hex'));
    const mine = both().filter((r) => r.slot === 2);
    assert.deepEqual(
      (await ops(mine, 2)).map((o) => `${o.verb} ${o.resource.key}`),
      ['update records 05000000', 'create records 06000000'],
    );
    await settle(both());
  });

  it('an entry whose value moves it to another slot leaves the first', async () => {
    await settle(both().map((r) => (r.key === 'records 07000000' ? record(7, 3) : r)));
    assert.ok(!(await hand.observe(2)).some((r) => r.key === 'records 07000000'));
    assert.ok((await hand.observe(3)).some((r) => r.key === 'records 07000000'));
    await settle(both());
  });

  it('an entry written while the maps are read is not lost', async () => {
    const fresh = new EntryHand(pinned.maps, slotOf);
    const reading = fresh.observe('all');
    await fresh.execute({ verb: 'create', resource: record(50_000, 4), impact: 'none' });
    await fresh.execute({ verb: 'delete', resource: record(0, 2), impact: 'none' });
    await reading;
    assert.deepEqual(await fresh.observe(4), [record(50_000, 4)]);
    assert.ok(!(await fresh.observe(2)).some((r) => r.key === 'records 00000000'));
    await settle(both());
  });

  it('refuses entries of a wrong size and of maps it was not given', async () => {
    const create = (resource: AnyResource) => hand.execute({ verb: 'create', resource, impact: 'none' });
    await assert.rejects(create(entry('records', '00', hex(2, 8))), /key has 1 bytes, the map wants 4/);
    await assert.rejects(create(entry('records', hex(1, 4), 'zz')), /value has 1 bytes, the map wants 8/);
    await assert.rejects(create(entry('nothing', '00', '00')), /there is no map nothing/);
  });

  it('says by name which entry did not fit', async () => {
    const full = Array.from({ length: 5000 }, (_, i) => record(100_000 + i, 5));
    const fill = async () => {
      for (const resource of full) await hand.execute({ verb: 'create', resource, impact: 'none' });
    };
    await assert.rejects(fill(), /^Error: create entry records [0-9a-f]{8}: map update: E2BIG/);
    await settle(both());
  });

  describe('many at once', () => {
    const toOps = (verb: Op['verb'], wanted: readonly AnyResource[]): Op[] =>
      wanted.map((resource) => ({ verb, resource, impact: 'none' }));
    const names = (found: readonly Op[]) => found.map((o) => o.resource.key).sort();

    it('sets, changes and deletes in a hash, an LPM trie and an array', async () => {
      await settle([]);
      const wanted = both().slice(0, 1000).concat(both().slice(3000));
      assert.deepEqual(await hand.executeAll(toOps('create', wanted)).then((r) => r.failures), []);
      assert.deepEqual(await ops(wanted), []);
      for (const slot of [2, 3])
        assert.deepEqual(
          await ops(
            wanted.filter((r) => r.slot === slot),
            slot,
          ),
          [],
        );
      const changed = [record(5, 3), route('080000000a000000', 2), setting(3, 2)];
      const gone = [record(0, 2), record(77_777, 2), record(2, 2), setting(0, 2)];
      const { done, failures } = await hand.executeAll([...toOps('delete', gone), ...toOps('update', changed)]);
      assert.deepEqual(failures, []);
      assert.equal(done.length, 7, 'a key that is gone already is as good as deleted');
      const keys = new Set([...changed, ...gone].map((r) => r.key));
      assert.deepEqual(await ops([...wanted.filter((r) => !keys.has(r.key)), ...changed]), []);
    });

    it('a delete does not pass the create of the same key', async () => {
      const resource = record(5, 2);
      const [create] = toOps('create', [resource]);
      const [remove] = toOps('delete', [resource]);
      await hand.executeAll([remove!, create!, remove!]);
      assert.equal(pinned.maps.get('records')!.get(Buffer.from(hex(5, 4), 'hex')), undefined);
      await hand.executeAll([remove!, create!]);
      assert.ok(pinned.maps.get('records')!.get(Buffer.from(hex(5, 4), 'hex')));
      await settle([]);
    });

    it('one that is wrong stops its slot only, and is told by name', async () => {
      const good = [record(1, 2), record(2, 3)];
      const wrong = entry('records', 'aa', hex(3, 8));
      const later = [record(4, 3), record(5, 2)];
      const { done, failures } = await hand.executeAll(toOps('create', [...good, wrong, ...later]));
      assert.deepEqual(names(done), ['records 01000000', 'records 02000000', 'records 05000000']);
      assert.deepEqual(
        failures.map((f) => f.error.message),
        ['create entry records aa: EINVAL: the key has 1 bytes, the map wants 4'],
      );
      await settle([]);
    });

    it('a full table is told once for each slot, and what fits is there', async () => {
      const full = Array.from({ length: 6000 }, (_, i) => record(i, 2 + (i % 3)));
      const { done, failures } = await hand.executeAll(toOps('create', full));
      assert.equal(done.length, 4096);
      assert.deepEqual(failures.map((f) => f.op.resource.slot).sort(), [2, 3, 4]);
      for (const { error } of failures)
        assert.match(error.message, /^create entry records [0-9a-f]{8}: map update: E2BIG/);
      assert.equal((await hand.observe('all')).length, 4096);
      await settle([]);
    });

    it('refuses buffers that are shorter than the batch', () => {
      const map = pinned.maps.get('records')!;
      assert.throws(() => map.setBatch(Buffer.alloc(8), Buffer.alloc(8), 2), RangeError);
      assert.throws(() => map.deleteBatch(Buffer.alloc(4), 2), RangeError);
    });

    it('the loop hands the whole run over, and finds nothing left to do', async () => {
      const outcome = await reconcile([hand], 'all', both);
      assert.ok(outcome.settled);
      assert.equal(outcome.done.length, both().length);
    });
  });

  it('the next process finds the entries, and the programs use the same maps', async () => {
    const ids = pinned.programs.sample_count!.maps;
    assert.equal(ids.length, 1);
    pinned.close();
    pinned = openPinned(object, pinDir, MAPS);
    assert.deepEqual(pinned.programs.sample_count!.maps, ids);
    assert.match(pinned.programs.sample_count!.tag, /^[0-9a-f]{16}$/);
    hand = new EntryHand(pinned.maps, slotOf);
    assert.deepEqual(await ops(both()), []);
    await settle([]);
    assert.deepEqual(await hand.observe('all'), []);
  });

  it('refuses maps of another shape, and says what to do', () => {
    const other = path.join(world.dir, 'other.o');
    compileSample(other, 'RECORDS=8');
    assert.throws(() => openPinned(other, pinDir, MAPS), /another layout: a new layout needs a new schema number/);
    assert.ok(fs.existsSync(`${pinDir}/records`));
  });
});
