/**
 * What records and virtual subnets say beside where a machine is, on the wire: DSCP of both models, senders that are checked,
 * machines without encapsulation, leases of a DHCP server (R-ENC-8, R-ENC-11, R-POL-1). Two tenants with the same addresses.
 */
import assert from 'node:assert/strict';
import type { LookupRecord } from '../../compartments/compartment.ts';
import { encodeNvgre } from '../../encap/nvgre.ts';
import type { Address, Mac } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';
import { dhcpMessage } from '../bpf/frames.ts';
import {
  type Features,
  GUESTS,
  guestMac,
  MACHINES,
  type MachineName,
  type Machines,
  machines,
  PROVIDER,
  TENANTS,
  type Tenant,
} from './machines.ts';
import { ipv4Frame, sendFrames } from './raw-frame.ts';
import { cannotMakeNamespaces, until, World } from './world.ts';

const [a, b] = GUESTS as readonly [(typeof GUESTS)[0], (typeof GUESTS)[0]];
const [CONTOSO, WOODGROVE] = TENANTS;
const ip = (text: string) => text as Address;

describe('overlay: what records and virtual subnets say beside', function () {
  this.timeout(120_000);
  let world: World;
  let m: Machines;

  before(function () {
    if (cannotMakeNamespaces()) this.skip();
  });
  afterEach(() => world?.close());
  const start = async (features: Features) => {
    world = new World();
    m = await machines(world, 'NVGRE', 4, features);
  };

  const ping = (vm: string, to: string, ...more: string[]): boolean =>
    world.exec(m.ns[vm]!, ['ping', '-n', '-c', '1', '-W', '10', ...more, to]).code === 0;
  const macOfNic = (machine: MachineName): Mac =>
    world.sh(m.ns[machine]!, "ip -o link show nic | sed 's/.*ether //; s/ .*//'").trim() as Mac;
  /** Fields of the frames that a filter finds, a line each. */
  const fields = (file: string, filter: string, ...names: string[]): readonly string[] =>
    world
      .exec('', [
        ...['tshark', '-r', file, '-Y', filter, '-T', 'fields', '-E', 'occurrence=a', '-E', 'separator=/s'],
        ...names.flatMap((n) => ['-e', n]),
      ])
      .stdout.split('\n')
      .filter(Boolean);
  const record = (t: Tenant, address: string, mac: Mac, provider: Address): LookupRecord => ({
    customerAddress: ip(address),
    mac,
    vsid: t.vsids[0],
    providerAddress: provider,
    rule: 'TranslationMethodEncap',
    type: 'Static',
  });

  it('sends under the DSCP of the virtual subnet, and takes the outer one only where the model is uniform', async () => {
    await start({ subnets: { machine1: { dscp: 46 }, machine2: { dscp: 'Uniform' } } });
    const captures = {
      wire: await world.capture(m.ns.machine2!, 'nic'),
      c: [await world.capture(m.ns.ca!, 'eth0'), await world.capture(m.ns.cb!, 'eth0')],
      w: [await world.capture(m.ns.wa!, 'eth0'), await world.capture(m.ns.wb!, 'eth0')],
    };
    // From the uniform side the tenant's own code point crosses unchanged: 10, of both tenants.
    for (const t of TENANTS) assert.ok(ping(`${t.letter}b`, a[4], '-Q', '0x28'));
    for (const t of TENANTS) assert.ok(ping(`${t.letter}a`, b[4], '-Q', '0'));
    const wire = await captures.wire.stop();
    const dscp = 'ip.dsfield.dscp';
    for (const [t, [atA, atB]] of [
      [CONTOSO, captures.c],
      [WOODGROVE, captures.w],
    ] as const) {
      const [one, two] = [await atA!.stop(), await atB!.stop()];
      const from = (source: string, type: number) => `icmp.type == ${type} && ip.src == ${source}`;
      assert.deepEqual(
        fields(one, from(b[4], 8), dscp),
        ['10'],
        'copied, and not taken by a machine of the pipe model',
      );
      assert.deepEqual(fields(two, from(a[4], 0), dscp), ['46'], 'the answer took the outer one');
      assert.deepEqual(fields(one, from(a[4], 8), dscp), ['0'], 'as it was sent');
      assert.deepEqual(fields(two, from(a[4], 8), dscp), ['46']);
      const onWire = (source: string, type: number) =>
        fields(wire, from(source, type), 'gre.key', dscp)
          .map((line) => line.split(' '))
          .filter(([k]) => Number(k) >>> 8 === t.vsids[0])
          .map(([, d]) => d);
      assert.deepEqual(onWire(b[4], 8), ['10,10']);
      assert.deepEqual(onWire(a[4], 8), ['46,0'], 'outer, inner');
    }
  });

  it('believes no machine about an address that a record places elsewhere, where senders are checked', async () => {
    await start({ sourceCheck: true });
    const elsewhere = '10.0.0.50';
    await m.add('machine1', CONTOSO.slot, [record(CONTOSO, elsewhere, '10:10:10:10:00:50' as Mac, ip('192.168.4.77'))]);
    const macs = { destinationMac: macOfNic('machine1'), sourceMac: macOfNic('machine2') };
    const frame = (t: Tenant, source: string) =>
      encodeNvgre({
        ...macs,
        ...{ destination: PROVIDER.machine1[4], source: PROVIDER.machine2[4], tos: 0, ttl: 64 },
        ...{ vsid: t.vsids[0], flowId: 0 },
        inner: ipv4Frame({ from: guestMac(t, b), to: guestMac(t, a), source: ip(source), destination: ip(a[4]) }),
      });
    const captures = await Promise.all(
      TENANTS.map(async (t) => [t, await world.capture(m.ns[`${t.letter}a`]!, 'eth0')] as const),
    );
    const claims = [elsewhere, a[4], '10.0.0.51'];
    sendFrames(
      world.nsPath(m.ns.machine2!),
      'nic',
      TENANTS.flatMap((t) => claims.map((source) => frame(t, source))),
    );
    // Frames of one wire keep their order: what is behind the claims has arrived after them.
    for (const t of TENANTS) assert.ok(ping(`${t.letter}b`, a[4]));
    const arrived: Record<string, readonly string[]> = {};
    for (const [t, capture] of captures) arrived[t.name] = fields(await capture.stop(), 'udp.dstport == 7', 'ip.src');
    assert.deepEqual(arrived, { Contoso: ['10.0.0.51'], Woodgrove: [elsewhere, '10.0.0.51'] });
    assert.equal(m.drops('machine1', 'FOREIGN_CA', 'Contoso'), 2);
    assert.equal(m.drops('machine1', 'FOREIGN_CA', 'Woodgrove'), 1, 'its own VM, claimed by another machine');
  });

  it('reaches a machine of the provider network without encapsulation, from the VM network of its record alone', async () => {
    await start({});
    const machine = '192.168.4.80';
    world.sh(m.ns.machine2!, `ip addr add ${machine}/24 dev nic; ip route add 10.0.0.0/24 via ${PROVIDER.machine1[4]}`);
    assert.ok(!ping('ca', machine, '-W', '1'), 'without a record nobody reaches it');
    const plain = { rule: 'TranslationMethodNone' as const };
    await m.add(
      'machine1',
      CONTOSO.slot,
      [{ ...record(CONTOSO, machine, '10:10:10:10:00:80' as Mac, ip(machine)), ...plain }],
      [{ vsid: CONTOSO.vsids[0], destinationPrefix: `${machine}/32` as Prefix, metric: 0 }],
    );
    const wire = await world.capture(m.ns.machine2!, 'nic');
    const captures = await Promise.all(['ca', 'wa'].map((vm) => world.capture(m.ns[vm]!, 'eth0')));
    const refused = m.drops('machine1', 'NO_ROUTE', 'Woodgrove');
    assert.ok(!ping('wa', machine, '-W', '1'));
    assert.equal(m.drops('machine1', 'NO_ROUTE', 'Woodgrove'), refused + 1);
    const from = (source: string) =>
      world.exec(m.ns.machine2!, ['ping', '-n', '-c', '1', '-W', '2', '-I', source, a[4]]);
    assert.notEqual(from(PROVIDER.machine2[4]).code, 0, 'an address of no record');
    assert.ok(ping('ca', machine));
    assert.equal(from(machine).code, 0);
    const file = await wire.stop();
    assert.deepEqual(fields(file, 'gre && icmp', 'ip.src'), []);
    assert.deepEqual(fields(file, `icmp.type == 8 && ip.src == ${a[4]}`, 'ip.dst', 'ip.ttl'), [`${machine} 63`]);
    const [ours, others] = await Promise.all(captures.map((c) => c.stop()));
    assert.deepEqual(fields(ours!, `icmp.type == 8 && ip.src == ${machine}`, 'ip.dst', 'ip.ttl'), [`${a[4]} 63`]);
    assert.deepEqual(fields(others!, `icmp && ip.src == ${machine}`, 'ip.dst'), []);
  });

  it('learns a lease from a server that a static record owns, for its own tenant alone', async () => {
    await start({ learning: true });
    const lease = '10.0.0.60';
    const told = (machine: MachineName) =>
      m
        .learned(machine)
        .filter((e) => e.address === lease)
        .map((e) => [e.rdid, e.vsid, e.mac, e.port ? 'here' : e.provider]);
    const acknowledge = (t: Tenant) =>
      sendFrames(world.nsPath(m.ns[`${t.letter}b`]!), 'eth0', [
        ipv4Frame({
          ...{ from: guestMac(t, b), to: 'ff:ff:ff:ff:ff:ff' as Mac },
          ...{ source: ip(b[4]), destination: ip('255.255.255.255') },
          payload: dhcpMessage(true, guestMac(t, a), ip(lease), 5, 3),
        }),
      ]);
    const refused = async (t: Tenant) => {
      const before = m.drops('machine2', 'SPOOFED_CA', t.name);
      acknowledge(t);
      await until(() => m.drops('machine2', 'SPOOFED_CA', t.name) > before, 10_000, 'a server of no record');
      for (const machine of MACHINES) assert.deepEqual(told(machine), []);
    };
    for (const t of TENANTS) await refused(t);
    for (const machine of MACHINES)
      await m.add(machine, CONTOSO.slot, [record(CONTOSO, b[4], guestMac(CONTOSO, b), PROVIDER.machine2[4])]);
    await refused(WOODGROVE);
    acknowledge(CONTOSO);
    const client = [CONTOSO.slot, CONTOSO.vsids[0], guestMac(CONTOSO, a)];
    assert.deepEqual(
      await until(() => {
        const found = told('machine1');
        return found.length > 0 && found;
      }),
      [[...client, 'here']],
    );
    assert.deepEqual(told('machine2'), [[...client, PROVIDER.machine1[4]]]);
  });
});
