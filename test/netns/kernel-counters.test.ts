/** Packets that die on a compartment's guard routes: each is counted, for its own tenant, in both families. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { compartmentResources } from '../../compartments/desired.ts';
import { withoutRoute } from '../../kernel/counters.ts';
import { Namespaces } from '../../kernel/namespaces.ts';
import { netnsDel, netnsList } from '../../kernel/netns.ts';
import { ensureNetns } from '../../kernel/resources/netns.ts';
import { ensureRoute } from '../../kernel/resources/route.ts';
import { tenant } from '../gateway/world.ts';
import { titled } from '../kernel/titled.ts';
import { cannotMakeNamespaces, until, World } from './world.ts';

const missing = cannotMakeNamespaces();
const SENT = 5;

describe(titled('packets without a route', missing), function () {
  this.timeout(120_000);
  let world: World;
  let directory: string;
  let namespaces: Namespaces;
  const inside = (netns: string, script: string) =>
    world.sh('', `nsenter --net=${directory}/${netns} sh -ec '${script}'`);

  before(function () {
    if (missing) this.skip();
    world = new World();
    directory = path.join(world.dir, 'compartments');
    namespaces = new Namespaces({ directory });
    world.onClose(() => {
      namespaces.closeAll();
      for (const name of netnsList(directory)) netnsDel(name, directory);
      world.exec('', ['umount', '-l', directory]);
    });
    for (const [i, name] of ['Contoso', 'Woodgrove'].entries()) {
      const slot = 2 + i;
      const vm = world.ns(`vm${slot}`);
      ensureNetns(namespaces, `c${slot}`);
      world.sh(vm, 'ip link add eth0 type veth peer name If1');
      world.sh(vm, `ip link set If1 netns ${directory}/c${slot}`);
      inside(
        `c${slot}`,
        `echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
        ip addr add 10.0.254.2/24 dev If1; ip addr add fd00:254::2/64 dev If1 nodad; ip link set If1 up`,
      );
      world.sh(
        vm,
        `echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6
        ip addr add 10.0.254.9/24 dev eth0; ip addr add fd00:254::9/64 dev eth0 nodad; ip link set eth0 up
        ip route add default via 10.0.254.2; ip route add default via fd00:254::2`,
      );
      const place = { slot, up: new Set<string>(), ifId: () => 0, innerMtu: 1500 };
      for (const r of compartmentResources(tenant(name, 'If1', []), place))
        if (r.kind === 'route' && r.spec.type !== 'unicast') ensureRoute(namespaces, r.spec);
    }
  });
  after(() => world?.close());

  it('are counted one by one, for their tenant alone, and the sender is told', async () => {
    for (const [to, family, says] of [
      ['192.0.2.1', 4, /From 10\.0\.254\.2 .*Net.* Unreachable/i],
      ['2001:db8::1', 6, /From fd00:254::2 .*No route/],
    ] as const) {
      const before = [2, 3].map((slot) => withoutRoute(namespaces, `c${slot}`));
      assert.deepEqual(before[1], { in: 0, out: 0 });
      const ping = ['ping', `-${family}`, '-n', '-c', `${SENT}`, '-i', '0.05', '-W', '1', to];
      const { stdout } = world.exec(`${world.prefix}-vm2`, ping);
      assert.match(stdout, says);
      const [, transmitted] = /(\d+) packets transmitted/.exec(stdout)!;
      await until(() => withoutRoute(namespaces, 'c2').in >= before[0]!.in + Number(transmitted));
      assert.deepEqual(withoutRoute(namespaces, 'c2'), { ...before[0], in: before[0]!.in + Number(transmitted) });
      assert.deepEqual(withoutRoute(namespaces, 'c3'), before[1]);
    }
  });

  it("of the compartment's own are told apart", () => {
    const before = withoutRoute(namespaces, 'c3');
    inside('c3', 'ping -n -c 1 -W 1 192.0.2.1 || true');
    const now = withoutRoute(namespaces, 'c3');
    assert.equal(now.in, before.in);
    assert.ok(now.out > before.out);
  });

  it('throws for a compartment that is not there', () => {
    assert.throws(() => withoutRoute(namespaces, 'c9'), { code: 'ENOENT' });
  });
});
