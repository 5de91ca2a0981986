/** Provider addresses in a VLAN (R-ENC-10): what is on the wire bears the tag, neighbour questions too, and nothing else is taken. */
import assert from 'node:assert/strict';
import type { Family } from '../../lib/address.ts';
import { GUESTS, type Machines, machines, PROVIDER, TENANTS } from './machines.ts';
import { cannotMakeNamespaces, until, World } from './world.ts';

const [a, b, c] = GUESTS;
const VLAN = 100;

for (const [encapsulation, outer] of [
  ['NVGRE', 4],
  ['VXLAN', 6],
] as const) {
  const ours = Object.values(PROVIDER)
    .map((p) => `${outer === 4 ? 'ip' : 'ipv6'}.addr == ${p[outer]}`)
    .join(' || ');

  describe(`overlay in ${encapsulation} over IPv${outer}, provider addresses in a VLAN`, function () {
    this.timeout(120_000);
    let world: World;
    let m: Machines;

    before(function () {
      if (cannotMakeNamespaces()) this.skip();
    });
    afterEach(() => world?.close());

    const ping = (vm: string, family: Family, to: string, seconds = 10): boolean =>
      world.exec(m.ns[vm]!, ['ping', `-${family}`, '-n', '-c', '1', '-W', `${seconds}`, to]).code === 0;
    const shown = (file: string, filter: string): string => world.exec('', ['tshark', '-r', file, '-Y', filter]).stdout;
    const macOfNic = (machine: string): string =>
      world.sh(m.ns[machine]!, "ip -o link show nic | sed 's/.*ether //; s/ .*//'").trim();

    it('carries nothing between a machine in the VLAN and one that is not, even when they know each other', async () => {
      world = new World();
      m = await machines(world, encapsulation, outer, { vlans: { machine1: VLAN } });
      const wire = await world.capture(m.ns.machine2!, 'nic');
      for (const t of TENANTS) assert.ok(!ping(`${t.letter}a`, 4, b![4], 1));
      const before = m.drops('machine1', 'FOREIGN_VLAN', '');
      for (const t of TENANTS) assert.ok(!ping(`${t.letter}b`, 4, a![4], 1));
      await until(() => m.drops('machine1', 'FOREIGN_VLAN', '') > before, 10_000, 'questions without tag are refused');
      const lladdr = `lladdr ${macOfNic('machine1')} dev nic nud permanent`;
      world.sh(m.ns.machine2!, `ip neigh replace ${PROVIDER.machine1[outer]} ${lladdr}`);
      const refused = m.drops('machine1', 'FOREIGN_VLAN', '');
      for (const t of TENANTS) assert.ok(!ping(`${t.letter}b`, 4, a![4], 1));
      await until(
        () => m.drops('machine1', 'FOREIGN_VLAN', '') >= refused + 2,
        10_000,
        'frames without tag are refused',
      );
      const file = await wire.stop();
      const asked = outer === 4 ? 'arp.src.proto_ipv4' : 'ipv6.src';
      const questions = `${outer === 4 ? 'arp' : 'icmpv6.type == 135'} && ${asked} == ${PROVIDER.machine1[outer]}`;
      assert.notEqual(shown(file, `${questions} && vlan.id == ${VLAN}`), '');
      assert.equal(shown(file, `${questions} && !vlan`), '');
    });

    it('carries both tenants within the VLAN, and nothing of them or for them without its tag', async () => {
      world = new World();
      m = await machines(world, encapsulation, outer, { vlans: { machine1: VLAN, machine2: VLAN } });
      const wire = await world.capture(m.ns.machine2!, 'nic');
      assert.ok(!ping('ca', 4, '10.0.0.99', 1), 'nobody is there');
      for (const t of TENANTS)
        for (const family of [4, 6] as const)
          for (const to of [b!, c!]) assert.ok(ping(`${t.letter}a`, family, to[family]), `${t.name} ${to[family]}`);
      const server = world.start(m.ns.cb!, ['iperf3', '-s', '-1', '--forceflush']);
      await until(() => server.output().includes('listening'));
      const r = await world.run(m.ns.ca!, ['iperf3', '-c', b![4], '-n', '4M', '-J']);
      assert.equal(r.code, 0, r.stdout + r.stderr);
      await server.stop();
      const file = await wire.stop();
      const ends = outer === 4 ? `(${ours}) || arp` : ours;
      assert.notEqual(shown(file, `vlan.id == ${VLAN} && (${ends})`), '');
      assert.equal(shown(file, `!vlan && (${ends})`), '');
      assert.equal(shown(file, `vlan && vlan.id != ${VLAN}`), '');
    });
  });
}
