/**
 * Learning from the file to the wire and back (R-ENC-8): real agents, told by YAML alone, two tenants with the same addresses and
 * MACs at the same time. One virtual subnet of each tenant learns; its VMs' addresses are in no file.
 *
 * | virtual subnet | host1 | host2 | |
 * |---|---|---|---|
 * | 5001 | 10.0.0.5 | 10.0.0.7 | learns; the files say where the MACs are |
 * | 5003 | | 10.0.1.9 | known by its record |
 * | 5004 | 10.0.2.4 | 10.0.2.5 | known, replicates, and travels under a code point of its own |
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { request } from '../../control/io/client.ts';
import { titled } from '../kernel/titled.ts';
import {
  Cloud,
  type Host,
  type LookupRecord,
  PROVIDERS,
  recordOf,
  type Scenario,
  TENANTS,
  type Vm,
} from './flows/cloud.ts';
import { during, forgetNeighbours } from './flows/expect.ts';
import { onLink } from './flows/policy.ts';
import { cannotMakeNamespaces, until, World } from './world.ts';

const root = path.resolve(import.meta.dirname, '../..');
const missing = cannotMakeNamespaces();
const [CONTOSO, WOODGROVE] = TENANTS as readonly [(typeof TENANTS)[0], (typeof TENANTS)[0]];
const LEARNING = 5001;
const KNOWN = 5003;
const REPLICATING = 5004;
const EXPEDITED = 46;

const first: Vm = {
  number: 1,
  host: 'host1',
  address: '10.0.0.5',
  mac: '10:10:10:10:10:05',
  vsid: LEARNING,
  learned: true,
};
const second: Vm = {
  number: 2,
  host: 'host2',
  address: '10.0.0.7',
  mac: '10:10:10:10:10:07',
  vsid: LEARNING,
  learned: true,
};
const third: Vm = { number: 3, host: 'host2', address: '10.0.1.9', mac: '10:10:10:10:10:09', vsid: KNOWN };

const fourth: Vm = { number: 4, host: 'host1', address: '10.0.2.4', mac: '10:10:10:10:10:04', vsid: REPLICATING };
const fifth: Vm = { number: 5, host: 'host2', address: '10.0.2.5', mac: '10:10:10:10:10:0a', vsid: REPLICATING };

const placeOf = (vm: Vm): LookupRecord => ({ ...recordOf(vm), CustomerAddress: '0.0.0.0', Type: 'L2Only' });
const scenario: Scenario = {
  vms: [first, second, third, fourth, fifth],
  customerRoutes: [onLink(LEARNING, '10.0.0.0/24'), onLink(KNOWN, '10.0.1.0/24'), onLink(REPLICATING, '10.0.2.0/24')],
  lookupRecords: [placeOf(first), placeOf(second), recordOf(third), recordOf(fourth), recordOf(fifth)],
  virtualSubnets: [
    { VirtualSubnetID: LEARNING, DynamicLearning: true, AgeingTimeSeconds: 3600 },
    { VirtualSubnetID: REPLICATING, Replication: true, DSCP: EXPEDITED },
  ],
};

type Row = Readonly<Record<string, string>>;

describe(titled('records that are learned, by agents and files alone', missing), function () {
  this.timeout(120_000);
  let world: World;
  let cloud: Cloud;

  before(async function () {
    if (missing) this.skip();
    execFileSync(path.join(root, 'bin/bpf.sh'), { stdio: 'pipe' });
    world = new World();
    cloud = new Cloud(world, scenario);
    await cloud.addHost('host1');
    await cloud.addHost('host2');
  });
  after(() => world?.close());

  const hnvhost = async (host: Host, ...argv: string[]): Promise<string> => {
    const { code, stdout, stderr } = await world.run(cloud.machine(host), cloud.hnvhost(host, ...argv));
    assert.equal(code, 0, stderr);
    return stdout;
  };
  /** By the API, because a process for each look is slow. */
  const records = async (host: Host, tenant: string): Promise<readonly Row[]> => {
    const service = { socket: cloud.socket(host), name: 'host agent', unit: host };
    const { status, body } = await request(service, 'GET', `/v1/records/lookup-record?RoutingDomain=${tenant}`);
    assert.equal(status, 200);
    return body as readonly Row[];
  };
  const learned = async (host: Host, tenant: string) =>
    (await records(host, tenant))
      .filter((r) => r.Type === 'Dynamic')
      .map((r) => [r.CustomerAddress, r.MACAddress, r.VirtualSubnetID, r.ProviderAddress, r.Origin].join(' '))
      .sort();
  const row = (vm: Vm, vsid: number, origin: string) =>
    `${vm.address} ${vm.mac} ${vsid} ${PROVIDERS[vm.host].address} ${origin}`;
  const bothOf = (vsid: number) => [row(first, vsid, 'Learned'), row(second, vsid, 'Learned')];
  const pings = async (t: (typeof TENANTS)[0], from: number, to: string): Promise<boolean> =>
    (await cloud.ping(t, from, to, 1)).code === 0;

  it('knows nothing at first, and asks nobody in a virtual subnet that does not learn', async () => {
    for (const host of ['host1', 'host2'] as const)
      for (const t of TENANTS) assert.deepEqual(await learned(host, t.name), []);
    const { host2 } = await during(world, cloud, ['host2'], async () => {
      for (const t of TENANTS) assert.ok(!(await pings(t, 3, '10.0.1.77')), 'nobody is there');
    });
    assert.deepEqual(
      host2!.filter((f) => f.outer),
      [],
    );
  });

  it('learns of one tenant what that tenant says, on both hosts', async () => {
    await until(() => pings(CONTOSO, 1, second.address), 60_000, 'learned from the answers');
    await until(async () => (await learned('host1', 'Contoso')).length === 2, 20_000, 'both addresses on host1');
    await until(async () => (await learned('host2', 'Contoso')).length === 2, 20_000, 'both addresses on host2');
    for (const host of ['host1', 'host2'] as const) {
      assert.deepEqual(await learned(host, 'Contoso'), bothOf(LEARNING), host);
      assert.deepEqual(await learned(host, 'Woodgrove'), [], `${host} has heard nothing of the other tenant`);
    }
    const [mine] = (await records('host1', 'Contoso')).filter((r) => r.CustomerAddress === second.address);
    assert.match(mine?.AgeSeconds ?? '', /^\d+$/);
    const shown: readonly Row[] = JSON.parse(
      await hnvhost('host1', 'show', 'records', '-o', 'json', ...cloud.pin('host1')),
    );
    assert.equal(shown.find((r) => r.CustomerAddress === second.address)?.Type, 'Dynamic');
    assert.equal(shown.find((r) => r.CustomerAddress === third.address)?.Type, 'Static');
  });

  it('leads other virtual subnets there, of the same tenant alone', async () => {
    assert.ok(!(await pings(WOODGROVE, 3, first.address)));
    assert.ok(await pings(CONTOSO, 3, first.address));
    assert.ok(await pings(CONTOSO, 1, third.address));
  });

  it('keeps what was learned when an agent is killed and starts again, without asking anybody', async () => {
    await cloud.agent('host1').stop('SIGKILL');
    assert.ok(await pings(CONTOSO, 1, second.address), 'packets go on without the agent');
    await cloud.startAgent('host1');
    assert.deepEqual(await learned('host1', 'Contoso'), bothOf(LEARNING));
    const { host2 } = await during(world, cloud, ['host2'], async () => {
      forgetNeighbours(world, cloud, [1]);
      assert.ok(await pings(CONTOSO, 1, second.address));
    });
    assert.deepEqual(
      host2!.filter((f) => f.outer && f.arp),
      [],
    );
  });

  it('takes what the policy store learned elsewhere, and gives it up when told so', async () => {
    const vsid = LEARNING + WOODGROVE.offset;
    const key = ['--customer-address', second.address, '--virtual-subnet-id', `${vsid}`];
    const rest = ['--mac-address', second.mac.replaceAll(':', ''), '--provider-address', PROVIDERS.host2.address];
    await hnvhost('host1', 'record', 'new', 'lookup-record', ...key, ...rest, '--type', 'Dynamic');
    assert.deepEqual(await learned('host1', 'Woodgrove'), [row(second, vsid, 'Runtime')]);
    await until(() => pings(WOODGROVE, 1, second.address), 60_000, 'the record leads there');
    assert.ok((await learned('host1', 'Woodgrove')).includes(row(second, vsid, 'Runtime')), 'it is not learned anew');
    assert.deepEqual(await learned('host1', 'Contoso'), bothOf(LEARNING), 'the other tenant is as it was');
    await hnvhost('host1', 'record', 'remove', 'lookup-record', ...key);
    assert.deepEqual(
      (await learned('host1', 'Woodgrove')).filter((r) => r.endsWith('Runtime')),
      [],
    );
  });

  it('replicates where the file says so, to the same tenant alone, under the code point that the file names', async () => {
    const wire = await world.capture(cloud.machine('host2'), 'nic');
    const broadcast = '10.0.2.255';
    const frames = await during(
      world,
      cloud,
      [
        [CONTOSO, 5],
        [WOODGROVE, 5],
      ],
      async () => {
        const ping = ['ping', '-n', '-b', '-c', '3', '-i', '0.2', '-W', '1', broadcast];
        await world.run(cloud.vm(CONTOSO, 4), ping);
        assert.ok(await pings(CONTOSO, 4, fifth.address));
      },
    );
    const arrived = (name: string) => frames[name]!.filter((f) => f.ip?.destination === broadcast).length;
    assert.deepEqual([arrived('Contoso5'), arrived('Woodgrove5')], [3, 0]);
    const file = await wire.stop();
    const count = (filter: string) =>
      execFileSync('tshark', ['-r', file, '-Y', filter], { stdio: ['ignore', 'pipe', 'ignore'] })
        .toString()
        .split('\n')
        .filter(Boolean).length;
    const sent = `gre && ip.src == ${PROVIDERS.host1.address}`;
    assert.equal(count(`${sent} && ip.dst == ${broadcast}`), 3);
    assert.ok(count(`${sent} && ip.dsfield.dscp == ${EXPEDITED}`) > 3);
    assert.equal(count(`${sent} && !(ip.dsfield.dscp == ${EXPEDITED})`), 0);
  });

  it('tells of every change as it happens, with the tenant', async () => {
    const monitor = world.start(cloud.machine('host2'), cloud.hnvhost('host2', 'monitor', 'learned', '-o', 'json'));
    const seen = () =>
      monitor
        .output()
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Row);
    // An address more at each try: when the stream is open is not to be seen from outside.
    let n = 100;
    await until(async () => {
      const address = `10.0.0.${n++}`;
      world.sh(cloud.vm(CONTOSO, 1), `ip addr add ${address}/32 dev eth0`);
      await world.run(cloud.vm(CONTOSO, 1), ['ping', '-n', '-c', '1', '-W', '1', '-I', address, `10.0.0.${n + 100}`]);
      return seen().length > 0;
    }, 60_000);
    await monitor.stop();
    for (const line of seen()) {
      const { Change, RoutingDomain, MACAddress, ProviderAddress } = line;
      assert.deepEqual(
        [Change, RoutingDomain, MACAddress, ProviderAddress],
        ['Added', 'Contoso', first.mac, PROVIDERS.host1.address],
      );
    }
  });
});
