/**
 * The book's first chapter, packet flows between two VMs without learning (figures 1-7, 1-8, 1-9, 1-11; R-ENC-4…7): two tenants
 * with the same addresses and MACs at the same time, every header compared at every place.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { ROUTER_MAC } from '../../../compartments/policy.ts';
import { titled } from '../../kernel/titled.ts';
import { cannotMakeNamespaces, World } from '../world.ts';
import { Cloud, type Host, routerOf, TENANTS } from './cloud.ts';
import {
  assertCleanWire,
  assertPings,
  assertResolved,
  backwards,
  during,
  forgetNeighbours,
  type Leg,
} from './expect.ts';
import { FIRST, pairOf } from './policy.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const missing = cannotMakeNamespaces();
const COUNT = 3;
const NOBODY = '10.0.0.77';

interface Flow {
  readonly title: string;
  readonly host: Host;
  readonly address: string;
  readonly vsid: number;
}
const FLOWS: readonly Flow[] = [
  { title: 'same virtual subnet, same host (figure 1-7)', host: 'host1', address: '10.0.0.7', vsid: 5001 },
  { title: 'different virtual subnets, same host (figure 1-8)', host: 'host1', address: '10.0.1.7', vsid: 6001 },
  { title: 'same virtual subnet, different hosts (figure 1-9)', host: 'host2', address: '10.0.0.7', vsid: 5001 },
  { title: 'different virtual subnets, different hosts (figure 1-11)', host: 'host2', address: '10.0.1.7', vsid: 6001 },
];

for (const { title, host, address, vsid } of FLOWS)
  describe(titled(`flow: ${title}`, missing), function () {
    this.timeout(180_000);
    const { second, lonely, scenario } = pairOf(host, address, vsid);
    const remote = host === 'host2';
    const routed = vsid !== FIRST.vsid;
    let world: World;
    let cloud: Cloud;

    before(async function () {
      if (missing) this.skip();
      execFileSync(path.join(root, 'bin/bpf.sh'), { stdio: 'pipe' });
      world = new World();
      cloud = new Cloud(world, scenario);
      await Promise.all([cloud.addHost('host1'), ...(remote ? [cloud.addHost('host2')] : [])]);
    });
    after(() => world?.close());

    it('leads nowhere without a record: no answer, nothing on the wire, counted for the tenant', async () => {
      const before = TENANTS.map((t) => cloud.drops('host1', 'NO_RECORD', t));
      const { host1 } = await during(world, cloud, ['host1'], async () => {
        for (const outcome of await Promise.all(TENANTS.map((t) => cloud.pingInVain(t, 1, NOBODY))))
          assert.notEqual(outcome.code, 0, outcome.stdout);
      });
      assert.deepEqual(host1, []);
      for (const [i, t] of TENANTS.entries()) assert.ok(cloud.drops('host1', 'NO_RECORD', t) > before[i]!, t.name);
    });

    it('does not reach a machine of the other tenant', async () => {
      const [contoso, woodgrove] = TENANTS as readonly [(typeof TENANTS)[0], (typeof TENANTS)[0]];
      const frames = await during(world, cloud, [[contoso, 3], 'host1'], async () => {
        assert.notEqual((await cloud.pingInVain(woodgrove, 1, lonely.address)).code, 0);
      });
      assert.deepEqual(frames, { Contoso3: [], host1: [] });
      assert.equal((await cloud.ping(contoso, 1, lonely.address)).code, 0, 'its own tenant reaches it');
    });

    it('carries both tenants at once, each header as the book says', async () => {
      forgetNeighbours(world, cloud, [1, 2]);
      const places = TENANTS.flatMap((t) => [[t, 1] as const, [t, 2] as const]);
      const hosts = remote ? (['host1', 'host2'] as const) : (['host1'] as const);
      const frames = await during(world, cloud, [...places, ...hosts], async () => {
        for (const outcome of await Promise.all(TENANTS.map((t) => cloud.ping(t, 1, address, COUNT))))
          assert.equal(outcome.code, 0, outcome.stdout);
      });

      const ip = { source: FIRST.address, destination: address };
      const back = backwards(ip);
      // Switched frames keep MACs and TTL; the distributed router takes its own MAC as source and one off the TTL.
      const sent = (mac: string, to: string, ends: Leg['ip']): Leg => ({
        mac: { source: mac, destination: to },
        ip: ends,
        ttl: 64,
      });
      const arrived = (mac: string, to: string, ends: Leg['ip']): Leg =>
        routed
          ? { mac: { source: ROUTER_MAC, destination: to }, ip: ends, ttl: 63 }
          : { mac: { source: mac, destination: to }, ip: ends, ttl: 64 };
      const legs = {
        requestSent: sent(FIRST.mac, routed ? ROUTER_MAC : second.mac, ip),
        requestArrived: arrived(FIRST.mac, second.mac, ip),
        replySent: sent(second.mac, routed ? ROUTER_MAC : FIRST.mac, back),
        replyArrived: arrived(second.mac, FIRST.mac, back),
      };
      for (const t of TENANTS) {
        const [one, two] = [frames[`${t.name}1`]!, frames[`${t.name}2`]!];
        assertPings(one, t, legs.requestSent, legs.replyArrived, COUNT);
        assertPings(two, t, legs.requestArrived, legs.replySent, COUNT);
        assert.equal(
          one.length + two.length,
          2 * (2 * COUNT + 2),
          'nothing else came: no ARP of the other VM, no other tenant',
        );
        // Asked at the port, answered at the port: the VM for its own subnet, MACDFGW for another one.
        const [asked, told] = routed ? [routerOf(FIRST.address), ROUTER_MAC] : [address, second.mac];
        assertResolved(one, FIRST, asked, told);
        const [askedBack, toldBack] = routed ? [routerOf(address), ROUTER_MAC] : [FIRST.address, FIRST.mac];
        assertResolved(two, second, askedBack, toldBack);

        if (!remote) continue;
        // The destination's virtual subnet is on the wire, both ways.
        const request: Leg = { ...legs.requestArrived, wire: { from: 'host1', to: 'host2', vsid } };
        const reply: Leg = { ...legs.replyArrived, wire: { from: 'host2', to: 'host1', vsid: FIRST.vsid } };
        for (const name of hosts) assertPings(frames[name]!, t, request, reply, COUNT);
      }
      if (remote) for (const name of hosts) assertCleanWire(frames[name]!);
      else assert.deepEqual(frames.host1, [], 'one host: nothing is encapsulated');
    });
  });
