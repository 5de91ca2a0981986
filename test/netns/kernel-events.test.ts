/** Kernel events of one namespace and eBPF ring records, both through FdWatcher. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import type { Netns } from '../../compartments/resource.ts';
import { BpfObject, RingBuf, testRun } from '../../kernel/bpf.ts';
import { type KernelEvent, watchKernel } from '../../kernel/events.ts';
import { FdWatcher } from '../../kernel/fdwatch.ts';
import { Namespaces } from '../../kernel/namespaces.ts';
import { netnsDel, netnsList, warmThreadPool } from '../../kernel/netns.ts';
import { ensureAddress, removeAddress } from '../../kernel/resources/address.ts';
import { ensureNetns } from '../../kernel/resources/netns.ts';
import { ensureRoute, removeRoute } from '../../kernel/resources/route.ts';
import type { Address } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';
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

  it('of a compartment are told while it is open, of what others do and not of our own work', async () => {
    const directory = path.join(world.dir, 'compartments');
    const told: [Netns, KernelEvent['type']][] = [];
    const namespaces = new Namespaces({ directory, events: (netns, event) => told.push([netns, event.type]) });
    const inside = (netns: Netns, script: string) =>
      world.sh('', `nsenter --net=${directory}/${netns} sh -ec '${script}'`);
    world.onClose(() => {
      namespaces.closeAll();
      for (const name of netnsList(directory)) netnsDel(name, directory);
      world.exec('', ['umount', '-l', directory]);
    });
    const address = { device: 'If1', address: '10.0.254.2' as Address, prefixLength: 24 };
    for (const netns of ['c2', 'c3']) {
      ensureNetns(namespaces, netns);
      inside(netns, 'ip link add If1 type veth peer name far; ip link set If1 up; ip link set far up');
      namespaces.existing(netns, 'If1');
    }
    const route = { netns: 'c2', prefix: '10.1.0.0/24' as Prefix, metric: 7, type: 'unicast', device: 'If1' } as const;
    const seen = (netns: Netns, type: KernelEvent['type']) => told.some(([n, t]) => n === netns && t === type);
    inside('c3', 'ip link set lo mtu 60000');
    await until(() => seen('c3', 'link'));
    assert.ok(!told.some(([netns]) => netns === 'c2'));

    // A foreign change behind ours, so that all that the kernel tells of ours has come when that one is told.
    ensureAddress(namespaces, { netns: 'c2', ...address });
    inside('c2', 'ip link set lo mtu 60000');
    await until(() => seen('c2', 'link'));
    told.length = 0;
    for (const step of [ensureRoute, removeRoute]) step(namespaces, route);
    removeAddress(namespaces, { netns: 'c2', ...address });
    ensureAddress(namespaces, { netns: 'c2', ...address });
    inside('c2', 'ip link set lo mtu 61000');
    await until(() => seen('c2', 'link'));
    assert.deepEqual(
      told.filter(([, type]) => type === 'address'),
      [],
      'our own addresses',
    );
    assert.ok(!told.some(([netns]) => netns === 'c3'));

    told.length = 0;
    inside('c2', 'ip route add 10.9.0.0/16 dev If1');
    await until(() => seen('c2', 'route'));
    inside('c2', 'ip addr del 10.0.254.2/24 dev If1');
    await until(() => seen('c2', 'address'));
    inside('c2', 'ip link del If1');
    await until(() => seen('c2', 'link-gone'));
    assert.ok(!told.some(([netns]) => netns === 'c3'));

    namespaces.close('c3');
    told.length = 0;
    inside('c3', 'ip link set lo mtu 60001');
    inside('c2', 'ip link set lo mtu 60001');
    await until(() => seen('c2', 'link'));
    assert.ok(!told.some(([netns]) => netns === 'c3'), 'a closed one is not watched');
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
