/**
 * The book's first chapter: the same virtual subnet on different hosts, with dynamic learning (R-ENC-8). The hosts know where MACs
 * are (L2Only records) and no address: the first question goes over the wire, by unicast to the machines of these records, and is
 * the last one. Two tenants with the same addresses and MACs at the same time, every header compared.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { request } from '../../../control/io/client.ts';
import { titled } from '../../kernel/titled.ts';
import { cannotMakeNamespaces, until, World } from '../world.ts';
import type { Ends, Frame } from './capture.ts';
import { Cloud, type Host, type LookupRecord, PROVIDERS, recordOf, type Scenario, TENANTS, type Vm } from './cloud.ts';
import {
  assertCleanWire,
  assertPings,
  assertResolved,
  backwards,
  during,
  forgetNeighbours,
  type Leg,
} from './expect.ts';
import { FIRST, onLink } from './policy.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const missing = cannotMakeNamespaces();
const [CONTOSO, WOODGROVE] = TENANTS as readonly [(typeof TENANTS)[0], (typeof TENANTS)[0]];
const HOSTS: readonly Host[] = ['host1', 'host2'];
const COUNT = 3;
const NOBODY = '10.0.0.77';
const ARP_LENGTH = 70; // bytes: outer IP, GRE, Ethernet, ARP
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const NO_MAC = '00:00:00:00:00:00';

const first: Vm = { ...FIRST, learned: true };
const second: Vm = { ...first, number: 2, host: 'host2', address: '10.0.0.7', mac: '10:10:10:10:10:07' };
/** Woodgrove has none, so its address must lead nowhere there. */
const lonely: Vm = { ...second, number: 3, address: '10.0.0.9', mac: '10:10:10:10:10:09', only: 'Contoso' };
const placeOf = (vm: Vm): LookupRecord => ({ ...recordOf(vm), CustomerAddress: '0.0.0.0', Type: 'L2Only' });
const scenario: Scenario = {
  vms: [first, second, lonely],
  customerRoutes: [onLink(first.vsid, '10.0.0.0/24')],
  lookupRecords: [first, second, lonely].map(placeOf),
  virtualSubnets: [{ VirtualSubnetID: first.vsid, DynamicLearning: true, AgeingTimeSeconds: 3600 }],
};

describe(titled('flow: same virtual subnet, different hosts, with dynamic learning', missing), function () {
  this.timeout(180_000);
  let world: World;
  let cloud: Cloud;

  before(async function () {
    if (missing) this.skip();
    execFileSync(path.join(root, 'bin/bpf.sh'), { stdio: 'pipe' });
    world = new World();
    cloud = new Cloud(world, scenario);
    await Promise.all(HOSTS.map((host) => cloud.addHost(host)));
  });
  after(() => world?.close());

  /** Of a tenant's virtual subnet on the wire: all fields but the entropy and what the decoder calls it. */
  const questions = (frames: readonly Frame[], vsid: number) =>
    frames
      .filter((f) => f.arp && f.outer?.vsid === vsid)
      .map(({ protocols: _, ip: __, outer, ...rest }) => {
        const { flowId: ___, ...stable } = outer!;
        return { ...rest, outer: stable };
      });
  const arpFrame = (vsid: number, from: Host, mac: Ends, arp: Frame['arp']) => {
    const [one, two] = [PROVIDERS[from], PROVIDERS[from === 'host1' ? 'host2' : 'host1']];
    return {
      arp,
      mac,
      checksums: 'good',
      outer: {
        mac: { source: one.mac, destination: two.mac },
        ip: { source: one.address, destination: two.address, ttl: 64, length: ARP_LENGTH },
        dontFragment: true,
        gre: '0x2000 0x6558',
        vsid,
      },
    };
  };
  const asked = (vsid: number, target: string) =>
    arpFrame(
      vsid,
      'host1',
      { source: first.mac, destination: BROADCAST },
      { operation: 'request', sender: first.address, senderMac: first.mac, target, targetMac: NO_MAC },
    );
  const learned = async (host: Host, tenant: string): Promise<readonly string[]> => {
    const service = { socket: cloud.socket(host), name: 'host agent', unit: host };
    const { status, body } = await request(service, 'GET', `/v1/records/lookup-record?RoutingDomain=${tenant}`);
    assert.equal(status, 200);
    return (body as readonly Record<string, string>[])
      .filter((r) => r.Type === 'Dynamic')
      .map((r) => `${r.CustomerAddress} ${r.ProviderAddress}`)
      .sort();
  };

  it('asks for what nobody has by unicast, and for the other tenant’s machine in its own virtual subnet alone', async () => {
    const frames = await during(world, cloud, ['host2', [CONTOSO, 3]], async () => {
      for (const t of TENANTS) assert.notEqual((await cloud.pingInVain(t, 1, NOBODY)).code, 0);
      assert.notEqual((await cloud.pingInVain(WOODGROVE, 1, lonely.address)).code, 0);
    });
    assert.ok(frames.Contoso3!.every((f) => f.arp?.target === NOBODY && f.mac.destination === BROADCAST));
    for (const t of TENANTS) {
      const seen = questions(frames.host2!, first.vsid + t.offset);
      const targets = t === WOODGROVE ? [NOBODY, lonely.address] : [NOBODY];
      assert.deepEqual([...new Set(seen.map((f) => f.arp?.target))], targets);
      for (const f of seen) assert.deepEqual(f, asked(first.vsid + t.offset, f.arp!.target));
    }
    assert.ok(!frames.host2!.some((f) => f.icmp), 'nothing follows a question without an answer');
  });

  it('asks over the wire, hears the answer, and both hosts of each tenant know both machines', async () => {
    const frames = await during(world, cloud, HOSTS, async () => {
      for (const t of TENANTS)
        await until(async () => (await cloud.ping(t, 1, second.address, 1)).code === 0, 60_000, `${t.name}: answered`);
    });
    const ours = new Set<string>([first.address, second.address]);
    for (const t of TENANTS) {
      const vsid = first.vsid + t.offset;
      const answered = arpFrame(
        vsid,
        'host2',
        { source: second.mac, destination: first.mac },
        {
          ...{ operation: 'reply', sender: second.address, senderMac: second.mac },
          ...{ target: first.address, targetMac: first.mac },
        },
      );
      for (const host of HOSTS) {
        // What was asked in vain before may be asked once more.
        const seen = questions(frames[host]!, vsid).filter((f) => ours.has(f.arp!.target));
        // On a slow machine a VM asks again before it is answered.
        const different = [...new Map(seen.map((f) => [JSON.stringify(f), f])).values()];
        assert.deepEqual(different.slice(0, 2), [asked(vsid, second.address), answered], `${t.name} at ${host}`);
      }
    }
    const known = [first, second].map((vm) => `${vm.address} ${PROVIDERS[vm.host].address}`);
    for (const host of HOSTS)
      for (const t of TENANTS)
        await until(
          async () => JSON.stringify(await learned(host, t.name)) === JSON.stringify(known),
          30_000,
          `${host} knows both machines of ${t.name}`,
        );
  });

  it('asks nobody any more: the port answers, and the wire carries the packets alone', async () => {
    forgetNeighbours(world, cloud, [1, 2]);
    const places = TENANTS.flatMap((t) => [[t, 1] as const, [t, 2] as const]);
    const frames = await during(world, cloud, [...places, ...HOSTS], async () => {
      for (const t of TENANTS) assert.equal((await cloud.ping(t, 1, second.address, COUNT)).code, 0);
    });
    const ip = { source: first.address, destination: second.address };
    const mac = { source: first.mac, destination: second.mac };
    const there: Leg = { mac, ip, ttl: 64 };
    const back: Leg = { mac: backwards(mac), ip: backwards(ip), ttl: 64 };
    for (const t of TENANTS) {
      for (const n of [1, 2]) assertPings(frames[`${t.name}${n}`]!, t, there, back, COUNT);
      assertResolved(frames[`${t.name}1`]!, first, second.address, second.mac);
      assertResolved(frames[`${t.name}2`]!, second, first.address, first.mac);
      const { vsid } = first;
      for (const host of HOSTS)
        assertPings(
          frames[host]!,
          t,
          { ...there, wire: { from: 'host1', to: 'host2', vsid } },
          { ...back, wire: { from: 'host2', to: 'host1', vsid } },
          COUNT,
        );
    }
    for (const host of HOSTS) assertCleanWire(frames[host]!);
  });
});
