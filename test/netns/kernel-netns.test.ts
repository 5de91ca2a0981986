/** Namespaces and visits: the thread always comes home, and a name never stands for something half made. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { inNetns, netnsAdd, netnsDel, netnsExists, netnsList, netnsOpen, warmThreadPool } from '../../kernel/netns.ts';
import { sys } from '../../kernel/sys.ts';
import { titled } from '../kernel/titled.ts';
import { cannotMakeNamespaces, World } from './world.ts';

const missing = cannotMakeNamespaces();
const MNT_DETACH = 2;
const here = () => fs.readlinkSync('/proc/thread-self/ns/net');

describe(titled('network namespaces', missing), () => {
  let world: World;
  let directory: string;
  before(async function () {
    if (missing) this.skip();
    await warmThreadPool();
    world = new World();
    directory = path.join(world.dir, 'netns');
    world.onClose(() => {
      for (const name of netnsList(directory)) netnsDel(name, directory);
      sys.umount2(directory, MNT_DETACH);
    });
  });
  after(() => world?.close());

  it('are made with a name, visited and deleted', () => {
    const home = here();
    const [a, b] = [netnsAdd('c2', directory), netnsAdd('c3', directory)];
    try {
      const [inA, inB] = [inNetns(a, here), inNetns(b, here)];
      assert.equal(new Set([home, inA, inB]).size, 3);
      assert.equal(here(), home);
      assert.deepEqual(netnsList(directory).sort(), ['c2', 'c3']);
      const again = netnsOpen('c2', directory);
      assert.equal(inNetns(again, here), inA);
      fs.closeSync(again);
    } finally {
      fs.closeSync(a);
      fs.closeSync(b);
    }
    assert.throws(() => netnsAdd('c2', directory), { code: 'EEXIST' });
    netnsDel('c3', directory);
    assert.equal(netnsExists('c3', directory), false);
    assert.throws(() => netnsOpen('c3', directory), /ENOENT.*no network namespace c3/);
  });

  it('a visit that throws, returns a promise or nests comes home all the same', () => {
    const home = here();
    const fd = netnsOpen('c2', directory);
    try {
      assert.throws(
        () =>
          inNetns(fd, () => {
            throw new Error('inside');
          }),
        /inside/,
      );
      assert.throws(() => inNetns(fd, async () => {}), /must be synchronous/);
      assert.throws(() => inNetns(fd, () => inNetns(fd, here)), /does not nest/);
      assert.throws(() => inNetns(fd, () => netnsAdd('c4', directory)), /does not nest/);
      assert.equal(here(), home);
    } finally {
      fs.closeSync(fd);
    }
  });

  it('a name without a namespace, as a crash leaves it, is no namespace and is taken over', () => {
    fs.writeFileSync(`${directory}/c5`, '');
    assert.equal(netnsExists('c5', directory), false);
    assert.ok(!netnsList(directory).includes('c5'));
    fs.closeSync(netnsAdd('c5', directory));
    assert.equal(netnsExists('c5', directory), true);
  });

  it('a preparation that fails leaves nothing', () => {
    const home = here();
    const prepare = () => {
      throw new Error('no');
    };
    assert.throws(() => netnsAdd('c6', directory, prepare), /^Error: no$/);
    assert.equal(fs.existsSync(`${directory}/c6`), false);
    assert.equal(here(), home);
  });

  it('asynchronous work started after visits runs at home', async () => {
    const fd = netnsOpen('c2', directory);
    for (let i = 0; i < 20; i++) inNetns(fd, () => fs.statSync('/'));
    fs.closeSync(fd);
    const links = await Promise.all(Array.from({ length: 16 }, () => fs.promises.readlink('/proc/thread-self/ns/net')));
    assert.deepEqual([...new Set(links)], [here()]);
  });
});
