/** What the data path does of dynamic learning: it asks, carries the answers, and tells the control plane (R-ENC-8). */
import assert from 'node:assert/strict';
import type { LookupRecord } from '../../compartments/compartment.ts';
import type { LearnedEvent } from '../../encap/abi.ts';
import { type Address, addressBytes, type Family, type Mac } from '../../lib/address.ts';
import { messageFrame } from '../bpf/packet.ts';
import {
  GUESTS,
  guestMac,
  MACHINES,
  type MachineName,
  type Machines,
  machines,
  PROVIDER,
  TENANTS,
} from './machines.ts';
import { sendFrames } from './raw-frame.ts';
import { cannotMakeNamespaces, until, World } from './world.ts';

const [a, b, c] = GUESTS;
const [CONTOSO, WOODGROVE] = TENANTS;

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/[: ]/g, ''), 'hex'));
/** Gratuitous ARP, and the unsolicited neighbour advertisement that is IPv6's. */
const announcement = (mac: Mac, address: string): Uint8Array => {
  const ip = Buffer.from(addressBytes(address as Address)).toString('hex');
  return hex(`ffffffffffff ${mac} 0806 0001 0800 06 04 0001 ${mac} ${ip} 000000000000 ${ip}`);
};
const advertisement = (mac: Mac, address: string): Uint8Array =>
  messageFrame({
    ...{ to: '33:33:00:00:00:01' as Mac, from: mac, source: address as Address, destination: 'ff02::1' as Address },
    ...{ ttl: 255, tos: 0 },
    body: hex(`88000000 20000000 ${Buffer.from(addressBytes(address as Address)).toString('hex')} 0201 ${mac}`),
  });

for (const [encapsulation, outer] of [
  ['NVGRE', 4],
  ['VXLAN', 6],
] as const)
  describe(`overlay that learns, in ${encapsulation} over IPv${outer}`, function () {
    this.timeout(60_000);
    let world: World;
    let m: Machines;

    before(async function () {
      if (cannotMakeNamespaces()) this.skip();
      world = new World();
      m = await machines(world, encapsulation, outer, { learning: true });
    });
    after(() => world?.close());

    const ping = (vm: string, family: Family, to: string, count = 1): boolean =>
      world.exec(m.ns[vm]!, ['ping', `-${family}`, '-n', '-c', String(count), '-i', '0.2', '-W', '1', to]).code === 0;

    /** The control plane's part, in short: each claim becomes a Dynamic record of the machine that told of it. */
    async function follow(machine: MachineName, events: readonly LearnedEvent[]): Promise<void> {
      for (const t of TENANTS) {
        const records = new Map<Address, LookupRecord>();
        for (const e of events.filter((x) => x.rdid === t.slot))
          records.set(e.address, {
            customerAddress: e.address,
            mac: e.mac,
            vsid: e.vsid,
            providerAddress: e.port ? PROVIDER[machine][outer] : e.provider,
            rule: 'TranslationMethodEncap',
            type: 'Dynamic',
          });
        if (records.size) await m.add(machine, t.slot, [...records.values()]);
      }
    }

    it('lets no VM teach an address that a static record owns, or one that is none of its subnet', async () => {
      const owned: LookupRecord = {
        customerAddress: '10.0.0.50' as Address,
        mac: guestMac(CONTOSO, b!),
        vsid: CONTOSO.vsids[0],
        providerAddress: PROVIDER.machine2[outer],
        rule: 'TranslationMethodEncap',
        type: 'Static',
      };
      for (const machine of MACHINES) await m.add(machine, CONTOSO.slot, [owned]);
      for (const address of ['10.0.0.50', '10.0.0.1', '8.8.8.8']) {
        const before = m.drops('machine1', 'SPOOFED_CA', 'Contoso');
        world.sh(m.ns.ca!, `ip addr add ${address}/32 dev eth0`);
        // A question from an address is as good a claim as an announcement.
        world.exec(m.ns.ca!, ['ping', '-n', '-c', '1', '-W', '1', '-I', address, '10.0.0.78']);
        await until(() => m.drops('machine1', 'SPOOFED_CA', 'Contoso') > before, 5000, `${address} refused`);
        world.sh(m.ns.ca!, `ip addr del ${address}/32 dev eth0`);
        for (const machine of MACHINES)
          assert.deepEqual(
            m.learned(machine).filter((e) => e.address === address),
            [],
            address,
          );
      }
    });

    for (const family of [4, 6] as const)
      it(`learns an IPv${family} neighbour from its answer, on both machines and for its own tenant alone`, async () => {
        const capture = await world.capture(m.ns.machine2!, 'nic');
        // Nobody knows anything yet: the neighbour is found, what follows is refused until the records are there.
        ping('ca', family, b![family]);
        const told = { machine1: m.learned('machine1'), machine2: m.learned('machine2') };
        const place = (machine: MachineName, address: string) =>
          told[machine]
            .filter((e) => e.address === address)
            .map((e) => [e.rdid, e.vsid, e.mac, e.port ? 'here' : e.provider])[0];
        const [slot, vsid] = [CONTOSO.slot, CONTOSO.vsids[0]];
        const macs = [guestMac(CONTOSO, a!), guestMac(CONTOSO, b!)];
        assert.deepEqual(place('machine1', a![family]), [slot, vsid, macs[0], 'here']);
        assert.deepEqual(place('machine2', a![family]), [slot, vsid, macs[0], PROVIDER.machine1[outer]]);
        assert.deepEqual(place('machine2', b![family]), [slot, vsid, macs[1], 'here']);
        assert.deepEqual(place('machine1', b![family]), [slot, vsid, macs[1], PROVIDER.machine2[outer]]);
        for (const machine of MACHINES) {
          const foreign = told[machine].filter((e) => e.rdid !== CONTOSO.slot && e.address === b![family]);
          assert.deepEqual(foreign, [], 'the other tenant was not asked');
          await follow(machine, told[machine]);
        }
        await until(() => ping('ca', family, b![family]), 20_000);
        assert.equal(ping('wa', family, c![family]), false, 'the other tenant has learned nothing of it');
        const file = await capture.stop();
        const asked = family === 4 ? 'arp.dst.proto_ipv4' : 'icmpv6.nd.ns.target_address';
        const tunnel = encapsulation === 'NVGRE' ? 'gre' : 'vxlan';
        const shown = world.exec('', ['tshark', '-r', file, '-Y', `${tunnel} && ${asked} == ${b![family]}`]);
        assert.notEqual(shown.stdout, '', 'the question went to the machine of the L2Only record');
      });

    it('answers from what was learned without asking again', async () => {
      const capture = await world.capture(m.ns.machine2!, 'nic');
      world.sh(m.ns.ca!, 'ip neigh flush all');
      assert.ok(ping('ca', 4, b![4]));
      assert.ok(ping('ca', 6, b![6]));
      const file = await capture.stop();
      const tunnel = encapsulation === 'NVGRE' ? 'gre' : 'vxlan';
      const asked = `${tunnel} && (arp.opcode == 1 && arp.dst.proto_ipv4 == ${b![4]} && arp.src.proto_ipv4 == ${a![4]})`;
      assert.equal(world.exec('', ['tshark', '-r', file, '-Y', asked]).stdout, '');
      assert.equal(m.drops('machine2', 'SPOOFED_CA', WOODGROVE.name), 0);
    });

    it('follows a VM that moved: the new machine tells, the old one forgets, and both families arrive', async () => {
      await m.move(CONTOSO, b!, 'machine1');
      const [slot, vsid, mac] = [CONTOSO.slot, CONTOSO.vsids[0], guestMac(CONTOSO, b!)];
      for (const machine of MACHINES) m.learned(machine);
      // What a VM says after a move (RFC 5227 §3, RFC 9131).
      sendFrames(world.nsPath(m.ns.cb!), 'eth0', [announcement(mac, b![4]), advertisement(mac, b![6])]);
      const told = { machine1: [] as LearnedEvent[], machine2: [] as LearnedEvent[] };
      for (const machine of MACHINES)
        await until(() => {
          told[machine].push(...m.learned(machine));
          return [b![4], b![6]].every((address) => told[machine].some((e) => e.address === address));
        });
      const places = (machine: MachineName) =>
        told[machine]
          .filter((e) => e.mac === mac)
          .map((e) => [e.rdid, e.vsid, e.port ? 'here' : e.provider, e.address]);
      assert.deepEqual(places('machine1'), [
        [slot, vsid, 'here', b![4]],
        [slot, vsid, 'here', b![6]],
      ]);
      assert.deepEqual(places('machine2'), [
        [slot, vsid, PROVIDER.machine1[outer], b![4]],
        [slot, vsid, PROVIDER.machine1[outer], b![6]],
      ]);
      for (const machine of MACHINES) await follow(machine, told[machine]);
      const capture = await world.capture(
        m.ns.machine2!,
        'nic',
        encapsulation === 'NVGRE' ? 'proto gre' : 'udp port 4789',
      );
      for (const family of [4, 6] as const) await until(() => ping('ca', family, b![family]));
      const shown = world.exec('', ['tshark', '-r', await capture.stop(), '-Y', 'icmp || icmpv6.type == 128']);
      assert.equal(shown.stdout, '', 'nothing more goes to the machine it left');
    });
  });
