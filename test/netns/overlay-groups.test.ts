/** Broadcast and multicast of a virtual subnet, between machines and on one, with two tenants whose addresses are the same (R-ENC-12). */
import assert from 'node:assert/strict';
import type { Address, Family, Mac } from '../../lib/address.ts';
import { messageFrame } from '../bpf/packet.ts';
import { GUESTS, guestMac, type Machines, machines, NEIGHBOUR, TENANTS, type Tenant } from './machines.ts';
import { ipv4Frame, sendFrames } from './raw-frame.ts';
import { cannotMakeNamespaces, until, World } from './world.ts';

const [a, b] = GUESTS;
const [CONTOSO, WOODGROVE] = TENANTS;
/** Port of the test's datagrams. */
const PORT = 0x7e7e;
const payload = Buffer.from('7e7e7e7e000c0000deadbeef', 'hex');

const broadcast = (t: Tenant, source: string = a![4]): Uint8Array =>
  ipv4Frame({
    from: guestMac(t, a!),
    to: 'ff:ff:ff:ff:ff:ff' as Mac,
    source: source as Address,
    destination: '10.0.0.255' as Address,
    payload,
  });
const multicast = (t: Tenant): Uint8Array =>
  ipv4Frame({
    from: guestMac(t, a!),
    to: '01:00:5e:7f:01:02' as Mac,
    source: a![4] as Address,
    destination: '239.255.1.2' as Address,
    tos: 0xb8,
    payload,
  });
/** An echo request, which the capture finds by its sequence number. */
const multicast6 = (t: Tenant): Uint8Array =>
  messageFrame({
    ...{ to: '33:33:00:00:7e:7e' as Mac, from: guestMac(t, a!), source: a![6] as Address },
    ...{ destination: 'ff05::7e7e' as Address, ttl: 4, tos: 0 },
    body: Buffer.from('800000007e7e7e7e', 'hex'),
  });
const OURS = `udp.port == ${PORT} || icmpv6.echo.sequence_number == ${PORT}`;

for (const [encapsulation, outer] of [
  ['NVGRE', 4],
  ['NVGRE', 6],
  ['VXLAN', 4],
  ['VXLAN', 6],
] as const)
  describe(`overlay that replicates, in ${encapsulation} over IPv${outer}`, function () {
    this.timeout(120_000);
    let world: World;
    let m: Machines;

    before(async function () {
      if (cannotMakeNamespaces()) this.skip();
      world = new World();
      m = await machines(world, encapsulation, outer, { replication: true });
    });
    after(() => world?.close());

    const ping = (vm: string, family: Family, to: string): boolean =>
      world.exec(m.ns[vm]!, ['ping', `-${family}`, '-n', '-c', '1', '-W', '5', to]).code === 0;
    const VMS = TENANTS.flatMap((t) => [...GUESTS, NEIGHBOUR].map((g) => t.letter + g.name));

    /** Sends from a VM, and tells how many of the test's packets each VM and the wire have seen; a ping after them is the last. */
    async function seen(t: Tenant, frames: readonly Uint8Array[]): Promise<Readonly<Record<string, number>>> {
      const places = [...VMS.map((vm) => [vm, 'eth0']), ['machine2', 'nic']];
      const captures = await Promise.all(
        places.map(async ([name, device]) => [name!, await world.capture(m.ns[name!]!, device!)] as const),
      );
      sendFrames(world.nsPath(m.ns[`${t.letter}a`]!), 'eth0', frames);
      for (const vm of ['a', 'd']) assert.ok(ping(t.letter + vm, 4, b![4]));
      const counts: Record<string, number> = {};
      for (const [name, capture] of captures) {
        const shown = world.exec('', ['tshark', '-r', await capture.stop(), '-Y', OURS]).stdout;
        counts[name] = shown.split('\n').filter(Boolean).length;
      }
      return counts;
    }

    it('carries nothing of a sender that lies, and counts it for its tenant', async () => {
      const before = m.drops('machine1', 'SPOOFED_CA', CONTOSO.name);
      const counts = await seen(CONTOSO, [broadcast(CONTOSO, b![4])]);
      assert.equal(m.drops('machine1', 'SPOOFED_CA', CONTOSO.name), before + 1);
      assert.deepEqual(
        Object.entries(counts).filter(([, n]) => n > 0),
        [['ca', 1]],
        'only the capture at the sender itself',
      );
    });

    for (const t of TENANTS)
      it(`reaches ${t.name}'s VMs of the virtual subnet once each, nobody else, and never comes back`, async () => {
        for (const g of [b!, NEIGHBOUR]) await until(() => ping(`${t.letter}a`, 4, g[4]));
        const counts = await seen(t, [broadcast(t), multicast(t), multicast6(t)]);
        const want: Record<string, number> = Object.fromEntries(VMS.map((vm) => [vm, 0]));
        for (const g of [a!, b!, NEIGHBOUR]) want[t.letter + g.name] = 3;
        want.machine2 = 3;
        assert.deepEqual(counts, want);
      });

    it('sends copies by unicast, with the VSID, the DSCP and the inner frame as they were', async () => {
      const capture = await world.capture(m.ns.machine2!, 'nic');
      sendFrames(world.nsPath(m.ns.ca!), 'eth0', [multicast(CONTOSO)]);
      assert.ok(ping('ca', 4, b![4]));
      const file = await capture.stop();
      const key = encapsulation === 'NVGRE' ? 'gre.key' : 'vxlan.vni';
      const dscp = outer === 4 ? 'ip.dsfield.dscp' : 'ipv6.tclass.dscp';
      const fields = ['eth.dst', 'ip.dst', key, dscp].flatMap((f) => ['-e', f]);
      const shown = world.exec('', ['tshark', '-r', file, '-Y', OURS, '-T', 'fields', '-E', 'occurrence=a', ...fields]);
      const [macs, addresses, vsid, dscps] = shown.stdout.trim().split('\t');
      assert.match(macs!, /^[0-9a-f:]{17},01:00:5e:7f:01:02$/);
      assert.equal(Number.parseInt(macs!.slice(0, 2), 16) & 1, 0, 'the outer frame is for one machine');
      assert.match(addresses!, /239\.255\.1\.2$/);
      const id = Number(vsid!.split(',')[0]);
      assert.equal(encapsulation === 'NVGRE' ? id >>> 8 : id, CONTOSO.vsids[0]);
      assert.equal(dscps!.split(',')[0], '46');
    });

    it('lets a port fill its own share alone', async () => {
      const before = m.drops('machine1', 'RATE_LIMITED', CONTOSO.name);
      const flood = Array.from({ length: 400 }, () => broadcast(CONTOSO));
      sendFrames(world.nsPath(m.ns.ca!), 'eth0', flood);
      await until(() => m.drops('machine1', 'RATE_LIMITED', CONTOSO.name) > before);
      assert.equal(m.drops('machine1', 'RATE_LIMITED', WOODGROVE.name), 0);
      const counts = await seen(WOODGROVE, [broadcast(WOODGROVE)]);
      assert.deepEqual([counts.wb, counts.wd], [1, 1]);
    });
  });
