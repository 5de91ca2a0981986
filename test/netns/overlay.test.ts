/** Two tenants with the same addresses over two hosts and a gateway, by the product's object, agent and resources (R-ENC-1…9). */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { ROUTER_MAC } from '../../compartments/policy.ts';
import { ABI } from '../../encap/abi.ts';
import { encodeNvgre, type NvgreFrame } from '../../encap/nvgre.ts';
import type { Address, Mac } from '../../lib/address.ts';
import { type Fabric, fabric, find, hostYaml, macOf, PA, TENANTS, VMS, type Vm, vmName } from './fabric.ts';
import { detachAll, programsOn } from './hooks.ts';
import { type Ipv4Frame, ipv4Frame, sendFrames } from './raw-frame.ts';
import { cannotMakeNamespaces, type Outcome, until, World } from './world.ts';

const root = path.resolve(import.meta.dirname, '../..');
const [CONTOSO, WOODGROVE] = TENANTS;
const address = (text: string) => text as Address;

describe('overlay of two tenants with the same addresses', function () {
  this.timeout(180_000);
  let world: World;
  let fab: Fabric;
  let providerMac: Mac; // of host1

  before(async function () {
    if (cannotMakeNamespaces()) this.skip();
    execFileSync(path.join(root, 'bin/bpf.sh'), { stdio: 'pipe' });
    world = new World();
    fab = await fabric(world);
    providerMac = JSON.parse(world.sh(fab.ns.host1!, 'ip -j link show nic'))[0].address;
  });
  after(() => world?.close());

  const inVm = (vm: Vm, ...argv: string[]): Outcome => world.exec(fab.ns[vmName(vm)]!, argv);
  const ping = (vm: Vm, seconds: number, to: string, more: readonly string[]): boolean =>
    inVm(vm, 'ping', '-n', '-c', '2', '-i', '0.1', '-W', String(seconds), ...more, to).code === 0;
  /** Waits long for an answer that must come. */
  const pings = (vm: Vm, to: string, ...more: string[]): boolean => ping(vm, 10, to, more);
  /** One try, where none may come or which is repeated. */
  const answers = (vm: Vm, to: string, ...more: string[]): boolean => ping(vm, 1, to, more);
  const c10 = find('Contoso', '10.0.0.10');
  const c11 = find('Contoso', '10.0.0.11');
  const c12 = find('Contoso', '10.0.0.12');
  const second = find('Contoso', '10.0.1.10');
  const w10 = find('Woodgrove', '10.0.0.10');
  const w11 = find('Woodgrove', '10.0.0.11');

  /** The reason's counter must grow by what is sent, and nothing may arrive at the VMs meanwhile. */
  async function dropped(reason: string, routingDomain: string, host: 'host1' | 'host2', send: () => void, by = 1) {
    const before = fab.drops(host, reason, routingDomain);
    const received = VMS.map((vm) => rxPackets(vm));
    send();
    await until(
      () => fab.drops(host, reason, routingDomain) >= before + by,
      undefined,
      `${reason} for '${routingDomain}'`,
    );
    assert.equal(fab.drops(host, reason, routingDomain), before + by);
    assert.deepEqual(
      VMS.map((vm) => rxPackets(vm)),
      received,
    );
  }
  const rxPackets = (vm: Vm): number =>
    Number(world.sh(fab.ns[vmName(vm)]!, 'awk \'$1 == "eth0:" { print $3 }\' /proc/net/dev'));

  const frame = (vm: Vm, over: Partial<Ipv4Frame>): Uint8Array =>
    ipv4Frame({
      from: macOf(vm),
      to: macOf(c11),
      source: address(vm.address),
      destination: address('10.0.0.11'),
      ...over,
    });
  const fromVm = (vm: Vm, over: Partial<Ipv4Frame>) =>
    sendFrames(world.nsPath(fab.ns[vmName(vm)]!), 'eth0', [frame(vm, over)]);
  const nvgre = (over: Partial<NvgreFrame>): Uint8Array =>
    encodeNvgre({
      destinationMac: providerMac,
      sourceMac: '02:00:00:00:00:99' as Mac,
      destination: address(PA.host1),
      source: address(PA.host2),
      tos: 0,
      ttl: 64,
      vsid: 5001,
      flowId: 0,
      inner: ipv4Frame({
        from: macOf(c11),
        to: macOf(c10),
        source: address('10.0.0.11'),
        destination: address('10.0.0.10'),
      }),
      ...over,
    });
  const fromStranger = (bytes: Uint8Array) => sendFrames(world.nsPath(fab.ns.stranger!), 'nic', [bytes]);

  it('gives a VM no way to an address without record or beyond its routes', async () => {
    assert.equal(answers(c10, '10.0.0.77'), false);
    assert.ok(fab.drops('host1', 'NO_RECORD', 'Contoso') > 0);
    assert.equal(answers(w10, '10.0.1.10'), false, 'Woodgrove has no VM in its second subnet');
    assert.equal(answers(w10, '10.0.0.12'), false, 'the address exists only at Contoso');
  });

  it('drops what a VM forges, and counts it with the reason', async () => {
    await dropped('SPOOFED_MAC', 'Contoso', 'host1', () => fromVm(c10, { from: macOf(c12) }));
    await dropped('SPOOFED_CA', 'Contoso', 'host1', () => fromVm(c10, { source: address('10.0.0.12') }));
    await dropped('INNER_VLAN', 'Contoso', 'host1', () => fromVm(c10, { etherType: 0x8100 }));
    await dropped('ETHERTYPE', 'Woodgrove', 'host1', () => fromVm(w10, { etherType: 0x88cc }));
    await dropped('NO_RECORD', 'Woodgrove', 'host1', () => fromVm(w10, { to: macOf(c11) }));
    const gre = Buffer.from('2000655800138900', 'hex');
    const inner = ipv4Frame({
      from: macOf(c10),
      to: macOf(w11),
      source: address('10.0.0.10'),
      destination: address('10.0.0.11'),
    });
    await dropped('NESTED', 'Contoso', 'host1', () =>
      fromVm(c10, {
        to: ROUTER_MAC,
        destination: address(PA.host2),
        protocol: 47,
        payload: Buffer.concat([gre, inner]),
      }),
    );
  });

  it('takes NVGRE only from provider addresses that the policy names for the VSID', async () => {
    await dropped('UNKNOWN_PA', 'Contoso', 'host1', () => fromStranger(nvgre({ source: address(PA.stranger) })));
    await dropped('UNKNOWN_VSID', '', 'host1', () => fromStranger(nvgre({ vsid: 7001 })));
    await dropped('NOT_LOCAL', 'Woodgrove', 'host1', () => fromStranger(nvgre({ vsid: 6001 })));
    const plainGre = nvgre({});
    plainGre.set([0, 0], 34);
    await dropped('BAD_GRE', '', 'host1', () => fromStranger(plainGre));
  });

  it('takes no NVGRE of a VLAN that the provider address is not in', async () => {
    const tagged = (vlan: number): Uint8Array => {
      // An echo reply that nobody asked for: it arrives and has no answer.
      const reply = frame(c11, {
        to: macOf(c10),
        destination: address('10.0.0.10'),
        protocol: 1,
        payload: Buffer.from('0000ffff00000000', 'hex'),
      });
      const bytes = Buffer.from(nvgre({ inner: reply }));
      return Buffer.concat([bytes.subarray(0, 12), Buffer.from([0x81, 0, vlan >> 8, vlan & 0xff]), bytes.subarray(12)]);
    };
    const counted = () => JSON.stringify(fab.show('host1', 'drops'));
    const received = VMS.map(rxPackets);
    const drops = counted();
    fromStranger(tagged(100));
    // Frames of one wire keep their order, so once the harmless one has arrived the other has not.
    const capture = await world.capture(fab.ns[vmName(c10)]!, 'eth0');
    fromStranger(tagged(0));
    await until(() => rxPackets(c10) > received[VMS.indexOf(c10)]!);
    assert.deepEqual(
      VMS.map(rxPackets),
      received.map((n, i) => (VMS[i] === c10 ? n + 1 : n)),
    );
    assert.equal(counted(), drops);
    const shown = world.exec('', ['tshark', '-r', await capture.stop(), '-T', 'fields', '-e', 'eth.type']);
    assert.equal(shown.stdout.trim(), '0x0800', 'the priority tag stays outside');
  });

  it('takes no VSID from a machine that has no VM in it', async () => {
    const yaml = hostYaml('host1').replaceAll(
      `VirtualSubnetID: 6001, ProviderAddress: ${PA.host2}`,
      `VirtualSubnetID: 6001, ProviderAddress: 192.168.4.44`,
    );
    await fab.reload('host1', yaml);
    const inner = ipv4Frame({
      from: macOf(w11),
      to: macOf(w10),
      source: address('10.0.0.11'),
      destination: address('10.0.0.10'),
    });
    await dropped('FOREIGN_PA', 'Woodgrove', 'host1', () => fromStranger(nvgre({ vsid: 6001, inner })));
    await fab.reload('host1', hostYaml('host1'));
  });

  it('carries each tenant to its own peer, with only NVGRE of the right VSIDs on the wire', async () => {
    const capture = await world.capture(fab.ns.fabric!, 'host1');
    // The TTL tells switching (64) from routing (63), the counters which tenant answered.
    for (const [vm, peer, to] of [
      [c10, c11, '10.0.0.11'],
      [w10, w11, '10.0.0.11'],
      [c10, second, '10.0.1.10'],
    ] as const) {
      const [mine, theirs] = [rxPackets(peer), VMS.filter((v) => v.tenant !== vm.tenant).map(rxPackets)];
      assert.ok(pings(vm, to), `${vm.tenant.name} ${vm.address} to ${to}`);
      assert.ok(rxPackets(peer) > mine);
      assert.deepEqual(VMS.filter((v) => v.tenant !== vm.tenant).map(rxPackets), theirs);
    }
    assert.match(inVm(c10, 'ping', '-n', '-c', '1', '10.0.0.11').stdout, /ttl=64/);
    assert.match(inVm(c10, 'ping', '-n', '-c', '1', '10.0.1.10').stdout, /ttl=63/);
    assert.ok(pings(c10, '10.0.254.2'), 'Contoso reaches its compartment');
    assert.ok(pings(w10, '10.0.254.2'), 'Woodgrove reaches its compartment');
    const file = await capture.stop();

    const shown = world.exec('', [
      'tshark',
      '-r',
      file,
      '-T',
      'fields',
      '-e',
      'eth.type',
      '-e',
      'ip.proto',
      '-e',
      'gre.proto',
      '-e',
      'gre.key',
      '-e',
      'ip.src',
      '-e',
      'ip.dst',
      '-e',
      'ip.checksum.status',
      '-o',
      'ip.check_checksum:TRUE',
    ]);
    assert.equal(shown.code, 0, shown.stderr);
    const vsids = new Set<number>();
    for (const line of shown.stdout.trim().split('\n')) {
      const [types = '', protocols = '', gre, key = '', sources = '', targets = '', checks = ''] = line.split('\t');
      if (types === '0x0806') continue;
      assert.equal(protocols.split(',')[0], '47', line);
      assert.equal(gre, '0x6558', line);
      for (const end of [sources.split(',')[0], targets.split(',')[0]])
        assert.ok(Object.values(PA).includes(end!), line);
      assert.ok(
        checks.split(',').every((c) => c === '1' || c === 'Good'),
        line,
      );
      vsids.add(Number(key) >> 8);
    }
    assert.deepEqual([...vsids].sort(), [5001, 5002, 5003, 6001, 6002]);
    // ARP on the wire is only the hosts' own, for provider addresses.
    const arp = world.exec('', [
      'tshark',
      '-r',
      file,
      '-Y',
      'arp',
      '-T',
      'fields',
      '-e',
      'arp.dst.proto_ipv4',
      '-e',
      'arp.src.proto_ipv4',
    ]);
    for (const a of arp.stdout.split(/\s+/).filter(Boolean)) assert.ok(a.startsWith('192.168.4.'), `ARP for ${a}`);
    const tenantArp = world.exec('', ['tshark', '-r', file, '-Y', 'gre && arp']);
    assert.equal(tenantArp.stdout, '');
  });

  it('delivers on the same host without encapsulation', async () => {
    const capture = await world.capture(fab.ns.fabric!, 'host1', 'proto gre');
    assert.ok(pings(c10, '10.0.0.12'));
    assert.ok(pings(c12, '10.0.0.10'));
    const file = await capture.stop();
    assert.equal(world.exec('', ['tshark', '-r', file]).stdout, '');
  });

  it('carries the largest packet of the VM and no larger', () => {
    assert.ok(pings(c10, '10.0.0.11', '-M', 'do', '-s', '1472'));
    assert.equal(answers(c10, '10.0.0.11', '-M', 'do', '-s', '1473'), false);
  });

  it('answers ARP for the router of each subnet with one MAC, and for VMs with theirs', () => {
    world.sh(fab.ns[vmName(c10)]!, 'ip neigh flush all');
    assert.ok(pings(c10, '10.0.0.11'));
    assert.ok(pings(c10, '10.0.1.10'));
    const neighbours = inVm(c10, 'ip', 'neigh').stdout;
    assert.match(neighbours, new RegExp(`10\\.0\\.0\\.1 .*${ROUTER_MAC}`));
    assert.match(neighbours, new RegExp(`10\\.0\\.0\\.11 .*${macOf(c11)}`));
  });

  for (const [from, to, target] of [
    [c10, c11, '10.0.0.11'],
    [w11, w10, '10.0.0.10'],
    [c10, second, '10.0.1.10'],
  ] as const)
    it(`carries bulk TCP from ${vmName(from)} to ${vmName(to)} both ways`, async () => {
      const server = world.start(fab.ns[vmName(to)]!, ['iperf3', '-s', '-1', '--forceflush']);
      await until(() => server.output().includes('listening'));
      const r = await world.run(fab.ns[vmName(from)]!, [
        'iperf3',
        '-c',
        target,
        '--bidir',
        '-t',
        '1',
        '-J',
        '-C',
        'reno',
      ]);
      assert.equal(r.code, 0, r.stdout + r.stderr);
      const end = JSON.parse(r.stdout).end as Record<string, { bits_per_second: number }>;
      assert.ok(end.sum_received!.bits_per_second > 10e6, `forward ${end.sum_received!.bits_per_second}`);
      assert.ok(end.sum_received_bidir_reverse!.bits_per_second > 10e6, 'reverse');
      await server.stop();
    });

  it('carries TCP between a VM and its compartment, both ways', async () => {
    for (const [tenant, vm] of [
      [CONTOSO!, c10],
      [WOODGROVE!, w11],
    ] as const) {
      const argv = ['nsenter', `--net=${fab.compartment(tenant)}`, '--', 'iperf3', '-s', '-1', '--forceflush'];
      const server = world.start('', argv);
      await until(() => server.output().includes('listening'));
      const r = await world.run(fab.ns[vmName(vm)]!, [
        'iperf3',
        '-c',
        '10.0.254.2',
        '--bidir',
        '-t',
        '1',
        '-J',
        '-C',
        'reno',
      ]);
      assert.equal(r.code, 0, r.stdout + r.stderr);
      await server.stop();
    }
  });

  it('carries what a compartment sends back out: a packet is decapsulated and encapsulated again', async () => {
    // 10.0.7.7 has no record, so it goes to the gateway; the compartment translates it to a VM on the other host.
    const inCompartment = (script: string) =>
      world.sh('', `nsenter --net=${fab.compartment(CONTOSO!)} sh -ec '${script}'`);
    assert.equal(answers(c10, '10.0.7.7'), false, 'without translation nobody has the address');
    inCompartment(`nft add table ip hairpin
      nft add chain ip hairpin before "{ type nat hook prerouting priority -100; }"
      nft add chain ip hairpin after "{ type nat hook postrouting priority 100; }"
      nft add rule ip hairpin before ip daddr 10.0.7.7 dnat to 10.0.0.11
      nft add rule ip hairpin after ip daddr 10.0.0.11 masquerade`);
    try {
      assert.ok(pings(c10, '10.0.7.7'));
      const server = world.start(fab.ns[vmName(c11)]!, ['iperf3', '-s', '-1', '--forceflush']);
      await until(() => server.output().includes('listening'));
      const r = await world.run(fab.ns[vmName(c10)]!, [
        'iperf3',
        '-c',
        '10.0.7.7',
        '--bidir',
        '-t',
        '1',
        '-J',
        '-C',
        'reno',
      ]);
      assert.equal(r.code, 0, r.stdout + r.stderr);
      const end = JSON.parse(r.stdout).end as Record<string, { bits_per_second: number }>;
      assert.ok(end.sum_received!.bits_per_second > 10e6 && end.sum_received_bidir_reverse!.bits_per_second > 10e6);
      await server.stop();
    } finally {
      inCompartment('nft delete table ip hairpin');
    }
  });

  it('shows what the data plane holds', () => {
    const drops = fab.cli('host1', 'show', 'drops', '-o', 'json');
    assert.equal(drops.code, 0, drops.stderr);
    assert.ok((JSON.parse(drops.stdout) as { Reason: string }[]).some((row) => row.Reason === 'SPOOFED_CA'));
    assert.match(fab.cli('host1', 'show', 'ports').stdout, /Contoso +c0-10 .* 5001 /);
    const records = fab.show<{ RoutingDomain: string; CustomerAddress: string; ProviderAddress: string }>(
      'host1',
      'records',
    );
    assert.deepEqual(
      records.filter((r) => r.CustomerAddress === '10.0.0.11').map((r) => [r.RoutingDomain, r.ProviderAddress]),
      [
        ['Contoso', PA.host2],
        ['Woodgrove', PA.host2],
      ],
    );
  });

  it('keeps the former policy when the file becomes wrong', async () => {
    const records = fab.show('host1', 'records');
    fs.writeFileSync(
      fab.configFile('host1'),
      hostYaml('host1').replace('VirtualSubnetID: 5001', 'VirtualSubnetID: 12'),
    );
    process.kill(fab.agents.get('host1')!.pid, 'SIGHUP');
    await until(() => fab.agents.get('host1')!.output().includes('configuration refused'));
    assert.deepEqual(fab.show('host1', 'records'), records);
    assert.ok(pings(c10, '10.0.0.11'));
    fs.writeFileSync(fab.configFile('host1'), hostYaml('host1'));
  });

  const onHost1 = (script: string) => world.sh(fab.ns.host1!, script);
  const hasProgram = (device: string) => programsOn(world.nsPath(fab.ns.host1!), device).includes('overlay_port');
  const localRecords = () =>
    fab
      .show<{ CustomerAddress: string; Port: string }>('host1', 'records')
      .filter((r) => r.CustomerAddress === '10.0.0.12' && r.Port === vmName(c12)).length;

  it('filters the device of a VM that comes again as soon as it is there', async () => {
    const name = vmName(c12);
    // So that only an event can be what woke the agent.
    await fab.agents.get('host1')!.stop();
    await fab.startAgent('host1', '--look', '3600');
    for (let round = 0; round < 3; round++) {
      onHost1(`ip link del ${name}`);
      await until(() => localRecords() === 0, undefined, 'the agent is told that the device went');
      assert.equal(answers(c10, '10.0.0.12'), false);
      world.wire(fab.ns.host1!, name, fab.ns[name]!, 'eth0', { macB: macOf(c12) });
      await until(() => hasProgram(name), undefined, 'the agent is told that the device came');
      world.sh(fab.ns[name]!, 'ip addr add 10.0.0.12/24 dev eth0; ip route add default via 10.0.0.1');
      await until(() => answers(c10, '10.0.0.12'));
    }
    await fab.agents.get('host1')!.stop();
    await fab.startAgent('host1');
  });

  it('lets the host answer no VM that was taken out of the file', async () => {
    const [name, hostAddress] = [vmName(c12), PA.host1];
    const reaches = () => inVm(c12, 'ping', '-n', '-c', '1', '-W', '1', hostAddress).code === 0;
    const attached = () => hasProgram(name);
    const mac = JSON.parse(onHost1(`ip -j link show ${name}`))[0].address as string;
    // All that an attack could wish for: the host knows the way back, the VM the way there.
    onHost1(`ip route add 10.0.0.12/32 dev ${name}; ip neigh replace 10.0.0.12 lladdr ${macOf(c12)} dev ${name}`);
    onHost1(`echo 0 > /proc/sys/net/ipv6/conf/${name}/disable_ipv6`);
    await until(() => onHost1(`cat /proc/sys/net/ipv6/conf/${name}/disable_ipv6`).trim() === '1');
    const setNeighbour = `ip neigh replace ${hostAddress} lladdr ${mac} dev eth0`;
    world.sh(fab.ns[name]!, `ip route add ${hostAddress}/32 dev eth0; ${setNeighbour}`);
    assert.equal(reaches(), false, 'as a VM of the file');

    const without = hostYaml('host1')
      .split('\n')
      .filter((line) => !line.includes(`VMName: ${name}`));
    await fab.reload('host1', without.join('\n'));
    assert.equal(localRecords(), 0);
    assert.ok(attached());
    const unknown = fab.drops('host1', 'UNKNOWN_PORT', '');
    assert.equal(reaches(), false, 'taken out of the file');
    assert.ok(fab.drops('host1', 'UNKNOWN_PORT', '') > unknown);
    await fab.agents.get('host1')!.stop();
    await fab.startAgent('host1');
    assert.ok(attached(), 'also for an agent that has never known it');
    assert.equal(reaches(), false);

    // The attack is one: without the program the host answers, though no ARP.
    detachAll(world.nsPath(fab.ns.host1!), name);
    await until(reaches);
    world.sh(fab.ns[name]!, `ip neigh del ${hostAddress} dev eth0`);
    assert.equal(reaches(), false, 'ARP');
    world.sh(fab.ns[name]!, `ip route del ${hostAddress}/32 dev eth0`);
    onHost1(`ip route del 10.0.0.12/32 dev ${name}`);
    await fab.reload('host1', hostYaml('host1'));
    await until(() => answers(c10, '10.0.0.12'));
  });

  it('loses no packet and keeps its maps while the agent is killed and comes back', async () => {
    const ping = world.run(
      fab.ns[vmName(c10)]!,
      ['ping', '-n', '-q', '-c', '150', '-i', '0.02', '-W', '10', '10.0.0.11'],
      {
        timeout: 60_000,
      },
    );
    const records = fab.show('host1', 'records');
    await fab.agents.get('host1')!.stop('SIGKILL');
    assert.deepEqual(fab.show('host1', 'records'), records);
    await fab.startAgent('host1');
    assert.match(fab.agents.get('host1')!.output(), /"ops":0,"settled":true/, 'it changes nothing');
    const { stdout } = await ping;
    assert.match(stdout, /150 packets transmitted, 150 received/);
  });

  it('loses no packet when a version with another layout of the maps takes over', async () => {
    const host = path.join('/sys/fs/bpf', world.prefix, 'host1');
    const former = path.join(host, '0');
    await fab.agents.get('host1')!.stop();
    // As if the maps that the attached programs work on were of an earlier layout.
    fs.renameSync(path.join(host, String(ABI)), former);
    const ping = world.run(
      fab.ns[vmName(c10)]!,
      ['ping', '-n', '-q', '-c', '200', '-i', '0.02', '-W', '10', '10.0.0.11'],
      { timeout: 60_000 },
    );
    await fab.startAgent('host1');
    assert.deepEqual(fs.readdirSync(host), [String(ABI)], 'the former maps are gone');
    const { stdout } = await ping;
    assert.match(stdout, /200 packets transmitted, 200 received/);
    assert.ok(pings(w10, '10.0.0.11'));
    const before = fab.drops('host1', 'NO_RECORD', 'Contoso');
    assert.equal(answers(c10, '10.0.0.77'), false);
    assert.ok(fab.drops('host1', 'NO_RECORD', 'Contoso') > before, 'the programs work on the new maps');
  });
});
