/** Every encapsulation over every outer family with both families inside, and the errors that senders must hear (R-ENC-1, 4, 11, 13). */
import assert from 'node:assert/strict';
import { overhead } from '../../encap/abi.ts';
import type { Family } from '../../lib/address.ts';
import { GUESTS, type Machines, machines, PROVIDER, TENANTS, WIRE_MTU } from './machines.ts';
import { tunPair } from './tun.ts';
import { cannotMakeNamespaces, type Outcome, until, World } from './world.ts';

const [, b, c] = GUESTS;
const FAMILIES: readonly Family[] = [4, 6];

for (const encapsulation of ['NVGRE', 'VXLAN'] as const)
  for (const outer of FAMILIES)
    describe(`overlay in ${encapsulation} over IPv${outer}`, function () {
      this.timeout(180_000);
      let world: World;
      let m: Machines;
      const mtu = WIRE_MTU - overhead(encapsulation, outer);

      before(async function () {
        if (cannotMakeNamespaces()) this.skip();
        world = new World();
        m = await machines(world, encapsulation, outer);
      });
      after(() => world?.close());

      const inVm = (vm: string, ...argv: string[]): Outcome => world.exec(m.ns[vm]!, argv);
      const ping = (vm: string, family: Family, to: string, ...more: string[]): Outcome =>
        inVm(vm, 'ping', `-${family}`, '-n', '-c', '1', '-W', '10', ...more, to);
      const rxPackets = (vm: string): number =>
        Number(world.sh(m.ns[vm]!, 'awk \'$1 == "eth0:" { print $3 }\' /proc/net/dev'));

      it('says that there is no way, and which way: no such host, no such network', () => {
        for (const [to, says] of [
          ['10.0.1.77', /From 10\.0\.0\.1 .*Destination Host Unreachable/],
          ['10.9.9.9', /From 10\.0\.0\.1 .*Destination Net Unreachable/],
        ] as const)
          assert.match(ping('ca', 4, to).stdout, says);
        for (const [to, says] of [
          ['fd00:0:0:3::77', /From fd00:0:0:1::1 .*Destination unreachable: Address unreachable/],
          ['fd77::1', /From fd00:0:0:1::1 .*Destination unreachable: No route/],
        ] as const)
          assert.match(ping('ca', 6, to).stdout, says);
        assert.ok(m.drops('machine1', 'NO_RECORD', 'Contoso') >= 2);
        assert.ok(m.drops('machine1', 'NO_ROUTE', 'Contoso') >= 2);
      });

      it('carries both families to the own tenant, switched and routed', async () => {
        const capture = await world.capture(m.ns.machine2!, 'nic');
        for (const t of TENANTS)
          for (const family of FAMILIES)
            for (const guest of [b!, c!]) {
              const to = t.letter + guest.name;
              const others = TENANTS.filter((x) => x !== t).map((x) => x.letter + guest.name);
              const [mine, theirs] = [rxPackets(to), others.map(rxPackets)];
              const r = ping(`${t.letter}a`, family, guest[family]);
              assert.equal(r.code, 0, `${t.name} IPv${family} to ${guest.name}: ${r.stdout}`);
              assert.match(r.stdout, guest === c ? /ttl=63/ : /ttl=64/);
              assert.ok(rxPackets(to) > mine);
              assert.deepEqual(others.map(rxPackets), theirs);
            }
        const file = await capture.stop();
        const [filter, key] = encapsulation === 'NVGRE' ? ['gre', 'gre.key'] : ['vxlan', 'vxlan.vni'];
        const ip = outer === 4 ? 'ip' : 'ipv6';
        const fields = [key, `${ip}.src`, `${ip}.dst`, 'frame.protocols'].flatMap((f) => ['-e', f]);
        const shown = world.exec('', ['tshark', '-r', file, '-Y', filter!, '-T', 'fields', ...fields]);
        const vsids = new Set<number>();
        for (const line of shown.stdout.trim().split('\n')) {
          const [vsid = '', source = '', destination = '', protocols = ''] = line.split('\t');
          vsids.add(encapsulation === 'NVGRE' ? Number(vsid) >> 8 : Number(vsid));
          const addresses = [source.split(',')[0], destination.split(',')[0]];
          assert.deepEqual(addresses.sort(), [PROVIDER.machine1[outer], PROVIDER.machine2[outer]]);
          assert.doesNotMatch(protocols, /arp/);
        }
        assert.deepEqual([...vsids].sort(), [5001, 5003, 6001, 6003]);
        const tenants = world.exec('', [
          'tshark',
          '-r',
          file,
          '-Y',
          `${filter} && (arp || icmpv6.type == 135 || icmpv6.type == 136)`,
        ]);
        assert.equal(tenants.stdout, '', 'the neighbours of tenants are not asked on the wire');
      });

      it('tells the sender the size that fits', () => {
        const most = { 4: mtu - 28, 6: mtu - 48 };
        for (const family of FAMILIES) {
          const to = c![family];
          assert.equal(ping('ca', family, to, '-M', 'do', '-s', String(most[family])).code, 0);
          const r = ping('ca', family, to, '-M', 'do', '-s', String(most[family] + 1));
          assert.match(
            r.stdout,
            family === 4 ? new RegExp(`From 10\\.0\\.0\\.1 .*mtu = ${mtu}`) : new RegExp(`Packet too big: mtu=${mtu}`),
          );
        }
        // Without DF the first is lost too, here and then the answer there; both senders make fragments of the next.
        const whole = (seconds: string) => ping('wa', 4, b![4], '-M', 'dont', '-s', '1472', '-W', seconds).code;
        assert.deepEqual([whole('1'), whole('1'), whole('10')], [1, 1, 0]);
      });

      it('tells the sender that the TTL has ended', () => {
        assert.match(ping('ca', 4, c![4], '-t', '1').stdout, /From 10\.0\.0\.1 .*Time to live exceeded/);
        assert.match(ping('ca', 6, c![6], '-t', '1').stdout, /From fd00:0:0:1::1 .*Time exceeded: Hop limit/);
        assert.equal(m.drops('machine1', 'TTL_EXCEEDED', 'Contoso'), 2);
      });

      for (const family of FAMILIES)
        it(`carries bulk TCP over IPv${family} whose senders believe in a larger path`, async () => {
          const server = world.start(m.ns.wc!, ['iperf3', '-s', '-1', '--forceflush']);
          await until(() => server.output().includes('listening'));
          world.sh(m.ns.wa!, 'ip route flush cache; ip -6 route flush cache');
          const r = await world.run(m.ns.wa!, ['iperf3', '-c', c![family], '--bidir', '-n', '30M', '-J']);
          assert.equal(r.code, 0, r.stdout + r.stderr);
          const end = JSON.parse(r.stdout).end as Record<string, { bits_per_second: number }>;
          assert.ok(end.sum_received!.bits_per_second > 10e6, `forward ${end.sum_received!.bits_per_second}`);
          await server.stop();
        });

      // A decapsulated packet keeps the kernel's note that it was in a tunnel; whoever segments it later must not believe it.
      const noOffload = 'ethtool -K out tso off gso off tx off sg off >/dev/null';
      for (const [what, device] of [
        ['a device without segmentation offload', noOffload],
        [
          'such a device behind a shaper of classes',
          `${noOffload}
          tc qdisc add dev out root handle 1: htb default 1; tc class add dev out parent 1: classid 1:1 htb rate 5gbit`,
        ],
        ['a TUN device', ''],
        ['a shaper', 'tc qdisc add dev out root tbf rate 5gbit burst 9000 limit 1000000'],
      ] as const)
        it(`lets a decapsulated packet be segmented by ${what}`, async () => {
          const beyond = world.ns(`beyond${what.length}`);
          const tun =
            device === ''
              ? tunPair(
                  world,
                  [
                    [m.ns.cc!, 'out'],
                    [beyond, 'in'],
                  ],
                  WIRE_MTU,
                )
              : undefined;
          if (!tun) world.wire(m.ns.cc!, 'out', beyond, 'in', { mtu: WIRE_MTU });
          try {
            world.sh(beyond, 'ip addr add 192.0.2.2/24 dev in');
            world.sh(
              m.ns.cc!,
              `ip addr add 192.0.2.1/24 dev out
              ${device}
              echo 1 > /proc/sys/net/ipv4/ip_forward
              nft 'table ip beyond {
                chain before { type nat hook prerouting priority -100; iifname eth0 dnat to 192.0.2.2; }
                chain after { type nat hook postrouting priority 100; oifname out masquerade; }
              }'`,
            );
            const server = world.start(beyond, ['iperf3', '-s', '-1', '--forceflush']);
            await until(() => server.output().includes('listening'));
            const capture = await world.capture(beyond, 'in', 'tcp and src 192.0.2.1');
            const before = await world.capture(m.ns.cc!, 'eth0', 'tcp and greater 3000');
            const r = await world.run(m.ns.ca!, ['iperf3', '-c', c![4], '-n', '4M', '-J']);
            assert.equal(r.code, 0, r.stdout + r.stderr);
            await server.stop();
            const file = await capture.stop();
            const large = world.exec('', ['tshark', '-r', await before.stop(), '-c', '1']);
            assert.notEqual(large.stdout, '', 'nothing was there to be segmented');
            const end = JSON.parse(r.stdout).end as Record<string, { retransmits: number }>;
            // Of about 2,900: queues may overflow, but what is segmented wrong would be sent again and again.
            assert.ok(end.sum_sent!.retransmits < 700, `${end.sum_sent!.retransmits} segments sent again`);
            const bad = world.exec('', [
              ...['tshark', '-r', file, '-o', 'tcp.check_checksum:TRUE', '-Y'],
              what !== 'a shaper' ? 'frame.len > 1514 || tcp.checksum.status == "Bad"' : 'frame.len > 9014',
            ]);
            assert.equal(bad.stdout, '');
          } finally {
            world.sh(m.ns.cc!, 'nft delete table ip beyond; ip link del out');
            if (tun) {
              world.sh(beyond, 'ip link del in');
              const longest = await tun;
              assert.ok(longest > 0 && longest <= WIRE_MTU, `${longest} bytes in a packet`);
            }
          }
        });
    });
