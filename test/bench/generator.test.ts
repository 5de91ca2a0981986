/** The closed-loop generator and the sink tell the truth: what is counted arrived, what is lost is told, TCP is left alone. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { cannotMakeNamespaces, until, World } from '../netns/world.ts';

const root = path.resolve(import.meta.dirname, '../..');
const BUILD = `${root}/.cache/bench`;
const missing = cannotMakeNamespaces() ?? (os.cpus().length < 2 ? 'needs two CPUs' : undefined);

describe(`closed-loop generator${missing ? ` (skipped: ${missing})` : ''}`, function () {
  this.timeout(180_000);
  let world: World;
  let a: string;
  let b: string;
  let pins: string;

  const generate = (destination: string) => {
    const path = ['/proc/self/ns/net', 'eth0', '02:00:00:00:00:02', '10.0.0.1', destination, 1].join(',');
    const outcome = world.exec(a, [`${BUILD}/generator`, `${pins}/arrived`, '0.1', '2', path, path]);
    assert.equal(outcome.code, 0, outcome.stderr);
    return JSON.parse(outcome.stdout) as { pps: number[]; lost: number }[];
  };

  before(function () {
    if (missing) this.skip();
    execFileSync(`${root}/bench/build.sh`, { stdio: 'ignore' });
    world = new World();
    [a, b] = [world.ns('a'), world.ns('b')];
    world.wire(a, 'eth0', b, 'eth0', { macA: '02:00:00:00:00:01', macB: '02:00:00:00:00:02' });
    world.sh(a, 'ip addr add 10.0.0.1/24 dev eth0');
    world.sh(b, 'ip addr add 10.0.0.2/24 dev eth0');
    const bpffs = path.join(world.dir, 'bpf');
    fs.mkdirSync(bpffs);
    execFileSync('mount', ['-t', 'bpf', 'bpf', bpffs]);
    world.onClose(() => void execFileSync('umount', [bpffs]));
    pins = `${bpffs}/sink`;
    execFileSync('bpftool', ['prog', 'loadall', `${BUILD}/sink.bpf.o`, pins, 'pinmaps', pins]);
  });
  after(() => world?.close());

  it('counts nothing and reports the loss when nothing arrives', () => {
    for (const { pps, lost } of generate('10.0.0.2')) {
      assert.deepEqual(pps, [0, 0]);
      assert.ok(lost > 0);
    }
  });

  it('counts what arrives, loses nothing, and leaves TCP alone', async () => {
    world.sh(b, `tc qdisc add dev eth0 clsact; tc filter add dev eth0 ingress bpf da object-pinned ${pins}/sink`);
    const paths = generate('10.0.0.2');
    assert.equal(paths.length, 2);
    for (const { pps, lost } of paths) {
      assert.equal(lost, 0);
      assert.ok(pps.length === 2 && pps.every((rate) => rate > 1000), `${pps} packets a second`);
    }

    world.start(b, [`${BUILD}/pingpong`, 'serve', '10.0.0.2', '5202']);
    const measure = [`${BUILD}/pingpong`, 'measure', '10.0.0.2', '5202', '0.1'];
    const answer = await until(() => {
      const outcome = world.exec(a, measure);
      return outcome.code === 0
        ? (JSON.parse(outcome.stdout) as { count: number; p50: number; p99: number })
        : undefined;
    });
    assert.ok(answer.count > 10 && answer.p50 > 0 && answer.p50 <= answer.p99, JSON.stringify(answer));
  });

  it('sends bulk TCP over every path in turn, and tells what the receivers got', () => {
    const path = (port: number) => [`/run/netns/${a}`, `/run/netns/${b}`, '10.0.0.2', port].join(',');
    const outcome = world.exec(a, [`${BUILD}/bulk`, 'reno', '0.05', '3', path(5203), path(5204)]);
    assert.equal(outcome.code, 0, outcome.stderr);
    const rates = JSON.parse(outcome.stdout) as number[][];
    assert.deepEqual(
      rates.map((r) => r.length),
      [3, 3],
    );
    assert.ok(
      rates.flat().every((rate) => rate > 1e6),
      outcome.stdout,
    );
  });
});
