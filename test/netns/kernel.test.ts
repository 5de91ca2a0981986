/** The kernel hand on real namespaces: what it makes it reads back, twice is the same as once, and what is not ours stays. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { Compartment, InternalInterface } from '../../compartments/compartment.ts';
import { compartmentResources, sysctlResources } from '../../compartments/desired.ts';
import { DEFAULT_SLOT, type Slot } from '../../compartments/numbers.ts';
import { describeOp, plan } from '../../compartments/plan.ts';
import type { AnyResource, Op } from '../../compartments/resource.ts';
import { KernelHand } from '../../kernel/hand.ts';
import { warmThreadPool } from '../../kernel/netns.ts';
import { openPinned, type Pinned, removePinned } from '../../kernel/pinned.ts';
import { sys } from '../../kernel/sys.ts';
import { parseAddress, parseMac } from '../../lib/address.ts';
import { parsePrefix } from '../../lib/prefix.ts';
import { compileSample } from '../kernel/sample.ts';
import { titled } from '../kernel/titled.ts';
import { detachAll, programsOn } from './hooks.ts';
import { cannotMakeNamespaces, until, World } from './world.ts';

const missing = cannotMakeNamespaces();
const pinDir = `/sys/fs/bpf/hnv-test-${process.pid}`;

const address = (text: string) => parseAddress(text)!;
const prefix = (text: string) => parsePrefix(text)!;

/** Both tenants have the same addresses, names, MACs and routes; only names that share the default compartment differ. */
const internal: InternalInterface = {
  name: 'If1',
  vsid: 5002,
  addresses: [
    { address: address('10.0.254.2'), prefixLength: 24 },
    { address: address('fd00:254::2'), prefixLength: 64 },
  ],
  mac: parseMac('02:00:00:00:fe:02')!,
};
const tenant = (name: string): Compartment => ({
  routingDomain: name,
  routingDomainId: '{11111111-2222-3333-4444-000000000001}' as Compartment['routingDomainId'],
  internalInterfaces: [internal],
  routes: [
    { destinationPrefix: prefix('10.0.0.0/24'), nextHop: address('10.0.254.1'), interfaceAlias: 'If1', metric: 100 },
    { destinationPrefix: prefix('10.7.0.0/16'), interfaceAlias: 'If1', metric: 5 },
    { destinationPrefix: prefix('fd00:7::/48'), nextHop: address('fd00:254::1'), interfaceAlias: 'If1', metric: 256 },
    { destinationPrefix: prefix('fd00:8::/48'), interfaceAlias: 'If1', metric: 1 },
    { destinationPrefix: prefix('10.8.0.0/16'), nextHop: address('fd00:254::1'), interfaceAlias: 'If1', metric: 9 },
  ],
  s2sInterfaces: [],
  customerRoutes: [],
  lookupRecords: [],
});

const state = (slot: Slot, innerMtu = 1458) => ({ slot, up: new Set<string>(), ifId: () => 0x10001, innerMtu });

const MNT_DETACH = 2;

function unmountAll(directory: string): void {
  if (!fs.existsSync(directory)) return;
  for (const name of fs.readdirSync(directory)) sys.umount2(`${directory}/${name}`, MNT_DETACH);
  sys.umount2(directory, MNT_DETACH);
}

/** Why xfrm interfaces cannot be tested here, or undefined. */
function cannotMakeXfrm(): string | undefined {
  const probe = spawnSync('unshare', ['-n', 'ip', 'link', 'add', 'probe', 'type', 'xfrm', 'if_id', '1']);
  return probe.status === 0 ? undefined : 'this kernel has no xfrm interfaces';
}

describe(titled('kernel hand on two compartments with the same addresses', missing), function () {
  this.timeout(180_000);
  let world: World;
  let directory: string;
  let home: string;
  let hand: KernelHand;
  let pinned: Pinned;

  const filterOn = (device: string, slot: Slot, direction: 'ingress' | 'egress', program: string): AnyResource => ({
    kind: 'filter',
    key: `${device} ${direction}`,
    slot,
    spec: { device, direction, program, tag: pinned.programs[program]!.tag },
  });
  const gateway = (): AnyResource[] => [
    ...sysctlResources(DEFAULT_SLOT, ''),
    { kind: 'nic', key: 'eth0', slot: DEFAULT_SLOT, spec: { device: 'eth0', up: true, mtu: 1600 } },
    {
      kind: 'address',
      key: ' eth0 192.168.4.33/24',
      slot: DEFAULT_SLOT,
      spec: { netns: '', device: 'eth0', address: address('192.168.4.33'), prefixLength: 24 },
    },
    filterOn('eth0', DEFAULT_SLOT, 'ingress', 'sample_count'),
  ];
  const desired = (mtu?: number): AnyResource[] => [
    ...gateway(),
    ...compartmentResources(tenant('Contoso'), state(2, mtu)),
    filterOn('p2-0', 2, 'ingress', 'sample_pass'),
    ...compartmentResources(tenant('Woodgrove'), state(3, mtu)),
    filterOn('p3-0', 3, 'ingress', 'sample_pass'),
    filterOn('p3-0', 3, 'egress', 'sample_count'),
  ];
  const carryOut = async (ops: readonly Op[]) => {
    for (const op of ops) await hand.execute(op);
  };
  const ops = async (wanted: readonly AnyResource[], scope: Slot | 'all' = 'all') =>
    plan(wanted, await hand.observe(scope));
  const inside = (netns: string, script: string): string => {
    const r = world.exec('', ['nsenter', `--net=${directory}/${netns}`, '--', 'sh', '-ec', script]);
    assert.equal(r.code, 0, r.stderr);
    return r.stdout;
  };
  const settle = async (wanted: readonly AnyResource[]) => {
    await carryOut(await ops(wanted));
    assert.deepEqual((await ops(wanted)).map(describeOp), []);
  };

  before(async function () {
    if (missing) this.skip();
    await warmThreadPool();
    world = new World();
    home = world.ns('gw');
    world.ns('net');
    world.wire(home, 'eth0', world.ns('wire'), 'far');
    directory = path.join(world.dir, 'netns');
    const object = path.join(world.dir, 'sample.o');
    compileSample(object);
    pinned = openPinned(object, pinDir, ['records', 'routes', 'settings']);
    world.onClose(() => {
      pinned.close();
      removePinned(pinDir);
    });
    hand = new KernelHand({
      directory,
      home: world.nsPath(home),
      programs: pinned.programs,
      sysctls: (netns) => sysctlResources(2, netns).map((r) => (r.spec as { name: string }).name),
      nics: () => [{ device: 'eth0', mtu: 1600 }],
    });
    world.onClose(() => {
      hand.close();
      unmountAll(directory);
    });
  });
  after(() => world?.close());

  it('finds nothing of ours before anything was made', async () => {
    const found = (await hand.observe('all')).filter((r) => r.kind !== 'sysctl' && r.kind !== 'nic');
    assert.deepEqual(found, []);
  });

  const isUp = (port: string) => / state UP|,UP/.test(world.sh(home, `ip -o link show ${port}`));

  it('keeps a port down while its program is not on it', async () => {
    const [netns, veth] = ['netns', 'veth'].map((kind) => desired().find((r) => r.kind === kind && r.slot === 2)!);
    const program = filterOn('p2-0', 2, 'ingress', 'sample_pass');
    for (const resource of [netns!, veth!]) await hand.execute({ verb: 'create', resource, impact: 'none' });
    assert.equal(isUp('p2-0'), false);
    const left = (await ops(desired(), 2)).filter((o) => o.resource.slot === 2).map((o) => o.resource.kind);
    assert.ok(!left.includes('veth') && left.includes('filter'), left.join());
    await hand.execute({ verb: 'create', resource: program, impact: 'none' });
    assert.equal(isUp('p2-0'), true);
    await hand.execute({ verb: 'delete', resource: program, impact: 'none' });
    assert.equal(isUp('p2-0'), false);
    await hand.execute({ verb: 'delete', resource: netns!, impact: 'none' });
  });

  it('reads back exactly what it made', async () => {
    await settle(desired());
    for (const slot of [DEFAULT_SLOT, 2, 3])
      assert.deepEqual(
        await ops(
          desired().filter((r) => r.slot === slot),
          slot,
        ),
        [],
      );
    assert.deepEqual(await hand.observe(4), []);
    // The kernel's own link-local addresses must have been probed before what it says is compared as text.
    for (const netns of ['c2', 'c3']) await until(() => !inside(netns, 'ip -6 addr').includes('tentative'));
  });

  it('agrees with what iproute2 sees', () => {
    for (const netns of ['c2', 'c3']) {
      assert.match(inside(netns, 'ip -d link show If1'), /mtu 1458 .*02:00:00:00:fe:02.*alias hnv-gateway/s);
      assert.match(inside(netns, 'ip route'), /10\.0\.0\.0\/24 via 10\.0\.254\.1 dev If1 proto 72 metric 100/);
      assert.match(inside(netns, 'ip route'), /10\.8\.0\.0\/16 via inet6 fd00:254::1 dev If1 proto 72 metric 9/);
      assert.match(inside(netns, 'ip route'), /throw default proto 72 metric 4294967280/);
      assert.match(inside(netns, 'ip -6 route'), /fd00:8::\/48 dev If1 proto 72 metric 1/);
      assert.match(inside(netns, 'ip -6 addr show dev If1'), /fd00:254::2\/64/);
      assert.match(inside(netns, 'ip link show lo'), /LOOPBACK,UP/);
    }
    assert.deepEqual(programsOn(world.nsPath(home), 'p2-0'), ['sample_pass']);
    assert.doesNotMatch(world.sh(home, 'ip -6 addr show dev p2-0'), /inet6/);
  });

  it('does each of them a second time without complaint and without effect', async () => {
    const before = inside('c2', 'ip -d addr; ip route; ip -6 route');
    for (const resource of desired()) await hand.execute({ verb: 'create', resource, impact: 'none' });
    assert.equal(inside('c2', 'ip -d addr; ip route; ip -6 route'), before);
    assert.deepEqual(await ops(desired()), []);
  });

  it('changes in place: MTU, program, route', async () => {
    const port = world.sh(home, 'cat /sys/class/net/p2-0/ifindex 2>/dev/null || ip -o link show p2-0 | cut -d: -f1');
    const other = desired(1400).map((r): AnyResource => {
      if (r.kind === 'filter' && r.key === 'p2-0 ingress') return filterOn('p2-0', 2, 'ingress', 'sample_count');
      if (r.kind === 'route' && r.spec.prefix === '10.0.0.0/24')
        return { ...r, spec: { ...r.spec, nextHop: address('10.0.254.9') } };
      return r;
    });
    const changes = await ops(other);
    assert.ok(changes.every((o) => o.verb === 'update'));
    assert.equal(changes.length, 2 + 2 + 1);
    await settle(other);
    assert.equal(
      world.sh(home, 'cat /sys/class/net/p2-0/ifindex 2>/dev/null || ip -o link show p2-0 | cut -d: -f1'),
      port,
    );
    await settle(desired());
  });

  it('replaces a port whose MAC changes, and what it carried comes back with it', async () => {
    const other = desired().map(
      (r): AnyResource =>
        r.kind === 'veth' && r.key === 'p2-0' ? { ...r, spec: { ...r.spec, mac: parseMac('02:00:00:00:00:77')! } } : r,
    );
    for (const wanted of [other, desired()]) {
      const woodgrove = inside('c3', 'ip -o link; ip addr; ip route');
      const [first] = await ops(wanted);
      assert.equal(describeOp(first!), 'replace interface Contoso/If1 (session)');
      for (let pass = 0; pass < 2; pass++) await carryOut(await ops(wanted));
      assert.deepEqual((await ops(wanted)).map(describeOp), []);
      assert.equal(inside('c3', 'ip -o link; ip addr; ip route'), woodgrove);
    }
  });

  it('notices what others changed or took away, and repairs it', async () => {
    inside('c2', 'ip link set If1 down; ip addr flush dev If1; ip link set If1 mtu 1300');
    world.sh(home, 'ip link set p3-0 down');
    detachAll(world.nsPath(home), 'p3-0', 'egress');
    world.sh(home, 'ip link set p2-0 down');
    assert.notDeepEqual(await ops(desired()), []);
    for (let pass = 0; pass < 3; pass++) await carryOut(await ops(desired()));
    assert.deepEqual((await ops(desired())).map(describeOp), []);
    assert.ok(isUp('p2-0') && isUp('p3-0'));
  });

  it('sees the other maps of a program that was loaded over other maps', async () => {
    const stale = `${pinDir}-stale`;
    const object = path.join(world.dir, 'sample.o');
    const others = openPinned(object, stale, ['records', 'routes', 'settings']);
    const elsewhere = new KernelHand({
      directory,
      home: world.nsPath(home),
      programs: others.programs,
      sysctls: () => [],
      nics: () => [],
    });
    try {
      const filters = (await elsewhere.observe(2)).filter((r) => r.kind === 'filter');
      assert.deepEqual(
        filters.map((f) => f.kind === 'filter' && f.spec.tag),
        [`${pinned.programs.sample_pass!.tag} on other maps`],
      );
    } finally {
      elsewhere.close();
      others.close();
      removePinned(stale);
    }
  });

  it('a fresh hand finds the same', async () => {
    hand.close();
    assert.deepEqual(await ops(desired()), []);
  });

  it('says which resource failed and why, in the words of the kernel', async () => {
    const route = (spec: object): Op => ({
      verb: 'create',
      impact: 'none',
      resource: {
        kind: 'route',
        key: 'c2 10.9.0.0/16 1',
        slot: 2,
        spec: { netns: 'c2', prefix: prefix('10.9.0.0/16'), metric: 1, type: 'unicast', ...spec },
      },
    });
    await assert.rejects(hand.execute(route({ device: 'If1', nextHop: address('10.99.0.1') })), {
      message: 'create route c2 10.9.0.0/16 1: ENETUNREACH: Nexthop has invalid gateway',
    });
    await assert.rejects(hand.execute(route({ device: 'IfGone' })), /ENODEV: there is no device IfGone in c2/);
    await assert.rejects(hand.execute(route({ netns: 'c9', device: 'If1' })), /no network namespace c9/);
  });

  it('sets settings of devices with any name, and nothing but network settings', async () => {
    const set = (name: string, value = '1') =>
      hand.execute({
        verb: 'create',
        impact: 'none',
        resource: { kind: 'sysctl', key: `c2 ${name}`, slot: 2, spec: { netns: 'c2', name, value } },
      });
    inside('c2', 'ip link add vm..0@a type veth peer name vm..0@b');
    await set('net.ipv4.conf.vm//0@a.rp_filter', '2');
    assert.equal(inside('c2', 'cat /proc/sys/net/ipv4/conf/vm..0@a/rp_filter').trim(), '2');
    inside('c2', 'ip link del vm..0@a');
    for (const name of ['kernel.panic', 'net.//.kernel.panic', 'net.ipv4.conf.a b.rp_filter'])
      await assert.rejects(set(name), /is not the name of a network setting/, name);
  });

  it('leaves alone what is not ours', async () => {
    inside('c2', 'ip route add 10.55.0.0/16 dev If1 proto static; ip addr add 10.56.0.1/24 dev If1');
    inside('c2', 'ip link add foreign type veth peer name foreign2; ip route add 10.57.0.0/16 dev If1 metric 7');
    world.sh(home, 'ip link add p4-0 type veth peer name far');
    const stranger = path.join(directory, 'stranger');
    inside('c2', `touch ${stranger}; unshare -n sh -c 'mount --bind /proc/self/ns/net ${stranger}'`);
    const namesake = path.join(directory, 'c9');
    inside(
      'c2',
      `touch ${namesake}; unshare -n sh -c 'ip link add If1 type veth; mount --bind /proc/self/ns/net ${namesake}'`,
    );
    assert.deepEqual((await ops(desired())).map(describeOp), []);

    const c9: AnyResource = { kind: 'netns', key: 'c9', slot: 9, spec: {} };
    await assert.rejects(hand.execute({ verb: 'create', resource: c9, impact: 'none' }), /EEXIST: .*c9 .*not ours/);
    await assert.rejects(hand.execute({ verb: 'delete', resource: c9, impact: 'none' }), /EPERM: .*c9 .*not ours/);
    const veth = desired().find((r) => r.key === 'p2-0' && r.kind === 'veth')!;
    const theirs = { ...veth, key: 'p4-0', spec: { ...veth.spec, port: 'p4-0' } } as AnyResource;
    await assert.rejects(hand.execute({ verb: 'create', resource: theirs, impact: 'none' }), /p4-0 .*not ours/);
    await assert.rejects(hand.execute({ verb: 'delete', resource: theirs, impact: 'none' }), /p4-0 is not ours/);
    // For a hand that has not loaded it, sample_count on eth0 is a stranger's: it stays, behind ours.
    const { sample_pass } = pinned.programs;
    const other = new KernelHand({
      directory,
      home: world.nsPath(home),
      programs: { sample_pass: sample_pass! },
      sysctls: () => [],
      nics: () => [],
    });
    const filter = filterOn('eth0', DEFAULT_SLOT, 'ingress', 'sample_pass');
    const onEth0 = () => programsOn(world.nsPath(home), 'eth0');
    try {
      await other.execute({ verb: 'create', resource: filter, impact: 'none' });
      assert.deepEqual(onEth0(), ['sample_pass', 'sample_count']);
      await other.execute({ verb: 'delete', resource: filter, impact: 'none' });
      await other.execute({ verb: 'delete', resource: filter, impact: 'none' });
      assert.deepEqual(onEth0(), ['sample_count']);
    } finally {
      other.close();
    }
    const taken: AnyResource = {
      kind: 'route',
      key: 'c2 10.57.0.0/16 7',
      slot: 2,
      spec: { netns: 'c2', prefix: prefix('10.57.0.0/16'), metric: 7, type: 'unreachable' },
    };
    await assert.rejects(hand.execute({ verb: 'create', resource: taken, impact: 'none' }), /is not ours/);
    await hand.execute({ verb: 'delete', resource: taken, impact: 'none' });
    assert.match(inside('c2', 'ip route'), /10\.57\.0\.0\/16 dev If1 .*metric 7/);
  });

  it('deletes one compartment and leaves the other and the strangers', async () => {
    const rest = desired().filter((r) => r.slot !== 3);
    await settle(rest);
    assert.equal(fs.existsSync(`${directory}/c3`), false);
    assert.equal(world.exec(home, ['ip', 'link', 'show', 'p3-0']).code, 1, 'the name is free at once');
    assert.match(inside('c2', 'ip route; ip addr; ip link'), /10\.55\.0\.0\/16.*10\.56\.0\.1.*foreign/s);
    await settle(desired());
  });

  it('deletes everything of ours, twice, and nothing else', async () => {
    const all = await ops([]);
    await carryOut(all);
    await carryOut(all);
    const found = (await hand.observe('all')).filter((r) => r.kind !== 'sysctl' && r.kind !== 'nic');
    assert.deepEqual(found, []);
    assert.equal(fs.existsSync(`${directory}/c2`), false);
    assert.equal(fs.existsSync(`${directory}/stranger`), true);
    assert.match(inside('c9', 'ip link'), /If1/);
    assert.match(world.sh(home, 'ip link'), /p4-0/);
    assert.doesNotMatch(world.sh(home, 'ip addr show dev eth0'), /192\.168\.4\.33/);
  });
});

const noXfrm = missing ?? cannotMakeXfrm();

describe(titled('xfrm interfaces of two compartments', noXfrm), function () {
  this.timeout(180_000);
  let world: World;
  let directory: string;
  let home: string;
  let hand: KernelHand;
  const resources = (slot: Slot, name: string, up: boolean): AnyResource[] => {
    const netns = `c${slot}`;
    return [
      { kind: 'netns', key: netns, slot, spec: {} },
      { kind: 'xfrm', key: name, slot, spec: { netns, name, ifId: 0x10000 + slot * 1024, mtu: 1400, up } },
    ];
  };

  before(function () {
    if (noXfrm) this.skip();
    world = new World();
    home = world.ns('gw');
    directory = path.join(world.dir, 'netns');
    hand = new KernelHand({
      directory,
      home: world.nsPath(home),
      programs: {},
      sysctls: () => [],
      nics: () => [],
    });
    world.onClose(() => {
      hand.close();
      unmountAll(directory);
    });
  });
  after(() => world?.close());

  it('refuse an if_id that another has, in the words of the kernel, and leave nothing behind', async () => {
    const [netns, link] = resources(2, 'IfCe1', true) as [AnyResource, AnyResource];
    const twin = { ...link, key: 'IfCe2', spec: { ...link.spec, name: 'IfCe2' } } as AnyResource;
    for (const resource of [netns, link]) await hand.execute({ verb: 'create', resource, impact: 'none' });
    await assert.rejects(
      hand.execute({ verb: 'create', resource: twin, impact: 'none' }),
      /^Error: create xfrm IfCe2: EEXIST/,
    );
    assert.equal(world.exec(home, ['ip', 'link', 'show', 'IfCe2']).code, 1);
    await hand.execute({ verb: 'delete', resource: netns, impact: 'session' });
    assert.deepEqual(await hand.observe('all'), []);
  });

  it('are made, moved, set up and down, and deleted', async () => {
    const settle = async (wanted: readonly AnyResource[]) => {
      for (const op of plan(wanted, await hand.observe('all'))) await hand.execute(op);
      assert.deepEqual(plan(wanted, await hand.observe('all')).map(describeOp), []);
    };
    await settle([...resources(2, 'IfCe1', true), ...resources(3, 'IfWe1', false)]);
    await settle([...resources(2, 'IfCe1', false), ...resources(3, 'IfWe1', true)]);
    await settle(resources(3, 'IfWe1', true));
    await settle([...resources(2, 'IfCe1', true), ...resources(3, 'IfWe1', true)]);
    await settle([]);
  });
});
