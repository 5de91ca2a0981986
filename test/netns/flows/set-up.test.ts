/**
 * The book's first chapter, "Simple setup" (figure 1-13): Host 1, Host 2, the gateway and the physical server, one after the
 * other, each told nothing but the four kinds of records; after each step everyone who exists pings everyone who exists, and
 * the default gateway. Two tenants with the same addresses and MACs at the same time.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { ROUTER_MAC } from '../../../compartments/policy.ts';
import { titled } from '../../kernel/titled.ts';
import { cannotMakeNamespaces, World } from '../world.ts';
import { Cloud, type LookupRecord, PROVIDERS, recordOf, type Scenario, TENANTS, type Vm } from './cloud.ts';
import { assertCleanWire, during } from './expect.ts';
import { onLink } from './policy.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const missing = cannotMakeNamespaces();

const SUBNET = 6000;
const GATEWAY_SUBNET = 6001;
const vm = (number: number, host: Vm['host']): Vm => ({
  number,
  host,
  address: `10.0.1.${10 + number}`,
  mac: `10:10:10:10:10:0${number}`,
  vsid: SUBNET,
});
const VMS = [vm(1, 'host1'), vm(2, 'host1'), vm(3, 'host2')];
const GATEWAY = { vsid: GATEWAY_SUBNET, address: '10.0.2.2', mac: '10:10:10:10:10:fe' };
const SERVER = '10.229.200.10';

/** "A static route for the default gateway": the record that makes a subnet's `.1` answer ping on this machine. */
const defaultGateway = (address: string, vsid: number): LookupRecord => ({
  CustomerAddress: address,
  MACAddress: ROUTER_MAC,
  VirtualSubnetID: vsid,
  ProviderAddress: 'own',
  Rule: 'TranslationMethodEncap',
});

/** "Where the gateway is": one address of its virtual subnet, or all of them. */
const GATEWAYS = {
  'a record of its address': { CustomerAddress: GATEWAY.address },
  'a GatewayWildcard record': { CustomerAddress: '0.0.0.0', Type: 'GatewayWildcard' },
} as const;

const scenarioOf = (gateway: (typeof GATEWAYS)[keyof typeof GATEWAYS]): Scenario => ({
  vms: VMS,
  customerRoutes: [
    onLink(SUBNET, '10.0.1.0/24'),
    onLink(GATEWAY_SUBNET, '10.0.2.0/24'),
    { VirtualSubnetID: GATEWAY_SUBNET, DestinationPrefix: '0.0.0.0/0', NextHop: GATEWAY.address },
  ],
  lookupRecords: [
    defaultGateway('10.0.1.1', SUBNET),
    defaultGateway('10.0.2.1', GATEWAY_SUBNET),
    ...VMS.map(recordOf),
    {
      ...gateway,
      MACAddress: GATEWAY.mac,
      VirtualSubnetID: GATEWAY_SUBNET,
      ProviderAddress: PROVIDERS.gateway.address,
      Rule: 'TranslationMethodEncap',
    },
  ],
  forwarding: {
    ...GATEWAY,
    routes: ['10.0.1.0/24'],
    outside: { address: '10.229.200.2', mac: '10:10:10:20:20:02' },
    server: { address: SERVER, mac: '10:10:10:20:20:10' },
  },
});

type Who = number | 'gateway' | 'server';
type Pairs = readonly (readonly [from: Who, to: string])[];
const ADDRESS = (who: Who): string =>
  who === 'gateway' ? GATEWAY.address : who === 'server' ? SERVER : VMS[who - 1]!.address;
const NAME = (who: Who): string =>
  who === 'gateway' ? 'MT-GW' : who === 'server' ? 'the physical server' : `VM ${who}`;

for (const [title, gateway] of Object.entries(GATEWAYS))
  describe(
    titled(`set-up of chapter 1, step by step, from the four records alone, the gateway by ${title}`, missing),
    function () {
      this.timeout(180_000);
      let world: World;
      let cloud: Cloud;

      before(function () {
        if (missing) this.skip();
        execFileSync(path.join(root, 'bin/bpf.sh'), { stdio: 'pipe' });
        world = new World();
        cloud = new Cloud(world, scenarioOf(gateway));
      });
      after(() => world?.close());

      /** All pairs of both tenants at once; a list of what failed, so that one message tells the whole picture. */
      async function failures(pairs: Pairs, ping = cloud.ping.bind(cloud)): Promise<readonly string[]> {
        const tried = await Promise.all(
          TENANTS.flatMap((t) =>
            pairs.map(async ([from, to]) =>
              (await ping(t, from, to)).code === 0 ? [] : [`${t.name}: ${NAME(from)} to ${to}`],
            ),
          ),
        );
        return tried.flat();
      }
      const inVain = (pairs: Pairs) => failures(pairs, cloud.pingInVain.bind(cloud));
      const everyone = (who: readonly Who[]) =>
        who.flatMap((from) => who.filter((to) => to !== from).map((to) => [from, ADDRESS(to)] as const));
      const vmsToRouter = (numbers: readonly number[]) => numbers.map((n) => [n, '10.0.1.1'] as const);

      it('Host 1: Contoso1 and Contoso2 reach the default gateway and each other, and nobody who is not there yet', async () => {
        await cloud.addHost('host1');
        const absent = [3, 'gateway', 'server'] as const;
        const unreachable = await inVain(absent.map((who) => [1, ADDRESS(who)] as const));
        assert.equal(unreachable.length, TENANTS.length * absent.length, unreachable.join('; '));
        assert.deepEqual(await failures([...vmsToRouter([1, 2]), ...everyone([1, 2])]), []);
      });

      it('Host 2: Contoso3 reaches the default gateway, Contoso1 and Contoso2', async () => {
        await cloud.addHost('host2');
        assert.deepEqual(await failures([...vmsToRouter([1, 2, 3]), ...everyone([1, 2, 3])]), []);
        assert.equal((await inVain([[3, GATEWAY.address]])).length, TENANTS.length, 'no gateway yet');
      });

      it('gateway: MT-GW reaches its default gateway and the three VMs', async () => {
        await cloud.addGateway();
        assert.deepEqual(await failures([['gateway', '10.0.2.1'], ...everyone([1, 2, 3, 'gateway'])]), []);
        assert.equal((await inVain([[3, SERVER]])).length, TENANTS.length, 'no physical server yet');
      });

      it('physical server: all five ping each other, and nothing but NVGRE of the two subnets is on the wire', async () => {
        cloud.addServers(['10.0.1.0/24', '10.0.2.0/24']);
        const frames = await during(world, cloud, ['host1', 'host2', 'gateway'], async () => {
          assert.deepEqual(await failures(everyone([1, 2, 3, 'gateway', 'server'])), []);
        });
        for (const wire of Object.values(frames)) assertCleanWire(wire);
        const vsids = new Set(frames.gateway!.flatMap((f) => (f.outer ? [f.outer.vsid] : [])));
        const wanted = TENANTS.flatMap((t) => [SUBNET + t.offset, GATEWAY_SUBNET + t.offset]);
        assert.deepEqual([...vsids].sort(), wanted.sort());
      });

      it('still answers for the default gateways, each machine its own', async () => {
        const wire = await during(world, cloud, ['host1', 'host2', 'gateway'], async () => {
          assert.deepEqual(await failures([...vmsToRouter([1, 2, 3]), ['gateway', '10.0.2.1']]), []);
        });
        for (const frames of Object.values(wire))
          assert.deepEqual(
            frames.filter((f) => f.outer),
            [],
          );
      });
    },
  );
