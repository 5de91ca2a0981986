/**
 * The book's first chapter, VM to a physical host through the forwarding gateway (figure 1-12; R-ENC-9, R-CMP-4), and back. Two
 * tenants with the same addresses, MACs and physical servers at the same time.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { ROUTER_MAC } from '../../../compartments/policy.ts';
import { titled } from '../../kernel/titled.ts';
import { cannotMakeNamespaces, World } from '../world.ts';
import { Cloud, PROVIDERS, recordOf, routerOf, type Scenario, TENANTS, type Vm } from './cloud.ts';
import {
  assertCleanWire,
  assertPings,
  assertResolved,
  backwards,
  during,
  forgetNeighbours,
  type Leg,
} from './expect.ts';
import { onLink } from './policy.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const missing = cannotMakeNamespaces();
const COUNT = 3;

const VM: Vm = { number: 1, host: 'host1', address: '10.229.202.5', mac: '10:10:10:10:10:05', vsid: 5001 };
const GATEWAY = { vsid: 5002, address: '10.0.1.2', mac: '10:10:10:10:10:fe' };
const OUTSIDE = { address: '10.229.200.2', mac: '10:10:10:20:20:02' };
const SERVER = { address: '10.229.200.10', mac: '10:10:10:20:20:10' };
/** Beyond the customer route. */
const ELSEWHERE = '10.229.201.10';

const scenario: Scenario = {
  vms: [VM],
  customerRoutes: [
    onLink(5001, '10.229.202.0/24'),
    onLink(5002, '10.0.1.0/24'),
    { VirtualSubnetID: 5002, DestinationPrefix: '10.229.200.0/24', NextHop: GATEWAY.address },
  ],
  lookupRecords: [
    recordOf(VM),
    {
      CustomerAddress: GATEWAY.address,
      MACAddress: GATEWAY.mac,
      VirtualSubnetID: GATEWAY.vsid,
      ProviderAddress: PROVIDERS.gateway.address,
      Rule: 'TranslationMethodEncap',
    },
  ],
  forwarding: { ...GATEWAY, routes: ['10.229.202.0/24'], outside: OUTSIDE, server: SERVER },
};

describe(titled('flow: VM to a physical server through the forwarding gateway (figure 1-12)', missing), function () {
  this.timeout(180_000);
  let world: World;
  let cloud: Cloud;

  before(async function () {
    if (missing) this.skip();
    execFileSync(path.join(root, 'bin/bpf.sh'), { stdio: 'pipe' });
    world = new World();
    cloud = new Cloud(world, scenario);
    await cloud.addHost('host1');
    await cloud.addGateway();
    cloud.addServers(['10.229.202.0/24']);
  });
  after(() => world?.close());

  it('leads nowhere beyond the customer routes: nothing on the wire, counted for the tenant', async () => {
    const before = TENANTS.map((t) => cloud.drops('host1', 'NO_ROUTE', t));
    const { host1 } = await during(world, cloud, ['host1'], async () => {
      for (const outcome of await Promise.all(TENANTS.map((t) => cloud.pingInVain(t, 1, ELSEWHERE))))
        assert.notEqual(outcome.code, 0, outcome.stdout);
    });
    assert.deepEqual(host1, []);
    for (const [i, t] of TENANTS.entries()) assert.ok(cloud.drops('host1', 'NO_ROUTE', t) > before[i]!, t.name);
  });

  it('shows no packet of one tenant to the other, when only one sends', async () => {
    const [contoso, woodgrove] = TENANTS as readonly [(typeof TENANTS)[0], (typeof TENANTS)[0]];
    const frames = await during(
      world,
      cloud,
      [
        [woodgrove, 'server'],
        [woodgrove, 1],
      ],
      async () => {
        assert.equal((await cloud.ping(contoso, 1, SERVER.address)).code, 0);
      },
    );
    assert.deepEqual(frames, { Woodgroveserver: [], Woodgrove1: [] });
  });

  it('gives the server no way to a virtual network that is not its own', async () => {
    for (const t of TENANTS) {
      const other = TENANTS.find((x) => x !== t)!;
      const frames = await during(world, cloud, [[other, 1]], async () => {
        assert.equal((await cloud.ping(t, 'server', VM.address)).code, 0);
      });
      assert.deepEqual(frames, { [`${other.name}1`]: [] });
    }
  });

  it('carries both tenants at once, each header as the book says', async () => {
    forgetNeighbours(world, cloud, [1]);
    const places = TENANTS.flatMap((t) => [[t, 1] as const, [t, 'server'] as const]);
    const frames = await during(world, cloud, [...places, 'host1', 'gateway'], async () => {
      for (const outcome of await Promise.all(TENANTS.map((t) => cloud.ping(t, 1, SERVER.address, COUNT))))
        assert.equal(outcome.code, 0, outcome.stdout);
    });

    const ip = { source: VM.address, destination: SERVER.address };
    const back = backwards(ip);
    const leg = (source: string, destination: string, ends: Leg['ip'], ttl: number): Leg => ({
      mac: { source, destination },
      ip: ends,
      ttl,
    });
    for (const t of TENANTS) {
      const [vm, server] = [frames[`${t.name}1`]!, frames[`${t.name}server`]!];
      // Two routers each way: the distributed one on the sender's side of the wire, and the gateway's compartment.
      const request = leg(ROUTER_MAC, GATEWAY.mac, ip, 63);
      const reply = leg(ROUTER_MAC, VM.mac, back, 62);
      assertPings(vm, t, leg(VM.mac, ROUTER_MAC, ip, 64), reply, COUNT);
      assertPings(server, t, leg(OUTSIDE.mac, SERVER.mac, ip, 62), leg(SERVER.mac, OUTSIDE.mac, back, 64), COUNT);
      assertResolved(vm, VM, routerOf(VM.address), ROUTER_MAC);
      for (const name of ['host1', 'gateway'] as const)
        assertPings(
          frames[name]!,
          t,
          { ...request, wire: { from: 'host1', to: 'gateway', vsid: GATEWAY.vsid } },
          { ...reply, wire: { from: 'gateway', to: 'host1', vsid: VM.vsid } },
          COUNT,
        );
    }
    for (const name of ['host1', 'gateway'] as const) assertCleanWire(frames[name]!);
  });
});
