/** What `show` reads: everything in the namespace it is asked for, and nothing of its neighbour. */
import assert from 'node:assert/strict';
import { inspectNetns } from '../../kernel/inspect.ts';
import { titled } from '../kernel/titled.ts';
import { cannotMakeNamespaces, World } from './world.ts';

const missing = cannotMakeNamespaces();

describe(titled('inspection of two namespaces with the same addresses', missing), () => {
  let world: World;
  let a: string;
  let b: string;

  before(function () {
    if (missing) this.skip();
    world = new World();
    [a, b] = [world.ns('a'), world.ns('b')];
    const sites = [world.ns('site-a'), world.ns('site-b')];
    for (const [i, netns] of [a, b].entries()) {
      world.wire(netns, 'If1', sites[i]!, 'far', { mtu: 1400, macA: `02:00:00:00:00:0${i + 1}` });
      world.sh(netns, 'ip addr add 10.0.254.2/24 dev If1; ip route add 10.1.0.0/16 via 10.0.254.1 metric 100');
      world.sh(sites[i]!, 'ip addr add 10.0.254.1/24 dev far');
    }
    world.sh(b, 'ip route add unreachable 10.9.0.0/16 metric 7');
    world.sh(a, 'ping -c 1 -W 2 10.0.254.1');
  });
  after(() => world?.close());

  it('refuses a namespace that does not exist', () => {
    assert.throws(() => inspectNetns(`${world.prefix}-none`), /no network namespace/);
  });

  it('gives links with their counters', () => {
    const link = (netns: string) => inspectNetns(netns).links.find((l) => l.name === 'If1')!;
    assert.deepEqual([link(a).mac, link(b).mac], ['02:00:00:00:00:01', '02:00:00:00:00:02']);
    assert.deepEqual([link(a).mtu, link(a).up, link(a).carrier, link(a).kind], [1400, true, true, 'veth']);
    assert.ok(link(a).counters!.rxPackets >= 2n && link(a).counters!.txBytes > 0n);
  });

  it('gives addresses, routes and neighbours of that namespace only', () => {
    const [first, second] = [inspectNetns(a), inspectNetns(b)];
    for (const view of [first, second]) {
      assert.ok(view.addresses.some((x) => x.device === 'If1' && x.address === '10.0.254.2' && x.prefixLength === 24));
      const route = view.routes.find((r) => r.prefix === '10.1.0.0/16')!;
      assert.deepEqual([route.device, route.nextHop, route.metric, route.type], ['If1', '10.0.254.1', 100, 'unicast']);
    }
    assert.ok(second.routes.some((r) => r.prefix === '10.9.0.0/16' && r.type === 'unreachable' && r.metric === 7));
    assert.ok(!first.routes.some((r) => r.prefix === '10.9.0.0/16'));
    const neighbour = first.neighbours.find((n) => n.address === '10.0.254.1')!;
    assert.equal(neighbour.device, 'If1');
    assert.match(neighbour.mac!, /^[0-9a-f:]{17}$/);
    assert.ok(!second.neighbours.some((n) => n.address === '10.0.254.1'));
  });
});
