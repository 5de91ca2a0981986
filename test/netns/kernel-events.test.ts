/** Kernel events of one namespace and eBPF ring records, both through FdWatcher. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { BpfObject, RingBuf, testRun } from '../../kernel/bpf.ts';
import { type KernelEvent, watchKernel } from '../../kernel/events.ts';
import { FdWatcher } from '../../kernel/fdwatch.ts';
import { warmThreadPool } from '../../kernel/netns.ts';
import { compileSample } from '../kernel/sample.ts';
import { titled } from '../kernel/titled.ts';
import { cannotMakeNamespaces, until, World } from './world.ts';

const missing = cannotMakeNamespaces();

describe(titled('kernel events', missing), () => {
  let world: World;
  before(async function () {
    if (missing) this.skip();
    await warmThreadPool();
    world = new World();
  });
  after(() => world?.close());

  it('tell of links and addresses in their own namespace and of nothing in another with the same names', async () => {
    const [a, b, far] = [world.ns('a'), world.ns('b'), world.ns('far')];
    const seen: KernelEvent[] = [];
    const fd = fs.openSync(world.nsPath(a), 'r');
    const watch = watchKernel(fd, (event) => seen.push(event), assert.fail);
    fs.closeSync(fd);
    world.onClose(() => watch.close());

    world.wire(b, 'If1', far, 'b1');
    world.sh(b, 'ip addr add 10.0.254.2/24 dev If1; ip link del If1');
    world.sh(a, 'ip link set lo down; ip link set lo up');
    await until(() => seen.some((e) => e.type === 'link' && e.device === 'lo' && e.up));
    assert.ok(!seen.some((e) => 'device' in e && e.device === 'If1'), 'the other namespace stays unseen');

    world.wire(a, 'If1', far, 'a1');
    await until(() => seen.some((e) => e.type === 'link' && e.device === 'If1' && e.up && e.carrier));
    seen.length = 0;
    world.sh(a, 'ip addr add 10.0.254.2/24 dev If1');
    await until(() => seen.some((e) => e.type === 'address'));
    world.sh(far, 'ip link set a1 down');
    await until(() => seen.some((e) => e.type === 'link' && e.device === 'If1' && !e.carrier));
    world.sh(a, 'ip link del If1');
    await until(() => seen.some((e) => e.type === 'link-gone' && e.device === 'If1'));
    watch.close();
  });

  it('come as ring records too, in order, without the discarded ones', async () => {
    const file = path.join(world.dir, 'sample.o');
    compileSample(file);
    const object = new BpfObject(file);
    const events = object.map('events');
    const ring = new RingBuf(events);
    const records: number[][] = [];
    let woken = 0;
    const watcher = new FdWatcher(
      events.fd,
      () => {
        woken++;
        ring.drain((buf, at, length) => {
          records.push([length, buf.readUInt32LE(at), buf.readUInt32LE(at + 4), buf.readUInt32LE(at + 8)]);
        });
      },
      false,
    );
    try {
      const run = (length: number, mark: number) => {
        const ctx = Buffer.alloc(192);
        ctx.writeUInt32LE(mark, 8);
        return testRun(object.progFd('sample_event'), Buffer.alloc(length), ctx).ret;
      };
      const sent: number[][] = [];
      for (let i = 0; i < 1000; i++) {
        assert.equal(run(60 + i, i), 0);
        if (i !== 13) sent.push([12, 60 + i, i, 0x01020304]);
        if (i % 100 === 99) await until(() => records.length === sent.length);
      }
      assert.deepEqual(records, sent);
      assert.ok(woken >= 10);
    } finally {
      watcher.close();
      object.close();
    }
  });
});
