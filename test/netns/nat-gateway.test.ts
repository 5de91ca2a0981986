/**
 * NAT through the gateway process itself, in namespaces of its own: two tenants with the same addresses, an internet with the
 * book's two servers, death under traffic, and what is left of a tenant that goes (R-NAT-1 … 6).
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Mac } from '../../lib/address.ts';
import { natSizes } from '../../nat/sizes.ts';
import { titled } from '../kernel/titled.ts';
import { datagramFragments } from './nat-fragments.ts';
import { sendFrames } from './raw-frame.ts';
import { type Background, cannotMakeNamespaces, until, World } from './world.ts';

const root = path.resolve(import.meta.dirname, '../..');
const missing = cannotMakeNamespaces();
const TENANTS = ['Contoso', 'Woodgrove'] as const;
const PATIENCE = 90_000;

const tenant = (name: string, i: number) => `  - Name: ${name}
    RoutingDomainID: "{11111111-2222-3333-4444-00000000000${i + 1}}"
    VMNetworkAdapterRoutingDomainMapping:
      - { IsolationName: If${name[0]}i1, IsolationID: ${5002 + 1000 * i}, IPAddress: 10.0.254.2/24 }
`;
const yaml = (tenants: readonly string[]) => `Gateway: GW-VM
NetAdapter:
  - { InterfaceAlias: NIC1, Device: nic, Role: Provider, Mtu: 1600 }
  - { InterfaceAlias: NIC2, Device: ext, Role: External, IPAddress: 131.107.10.10/24, DefaultGateway: 131.107.10.1 }
NetVirtualizationProviderAddress:
  - { InterfaceAlias: NIC1, ProviderAddress: 192.168.4.33, PrefixLength: 24 }
NetNat:
  - Name: AllTenants
    ExternalIPInterfaceAddressPrefix: 131.107.10.0/24
    NetNatExternalAddress:
      - { IPAddress: 131.107.10.10, PortStart: 9000, PortEnd: 49151 }
    NetNatStaticMapping:
      - { RoutingDomain: Contoso, Protocol: TCP, ExternalIPAddress: 131.107.10.11, ExternalPort: 8080, InternalIPAddress: 10.0.0.10, InternalPort: 80 }
    LoadBalancingRule:
      - Name: web
        RoutingDomain: Contoso
        Protocol: TCP
        FrontendIPAddress: 131.107.10.12
        FrontendPort: 80
        DIP: [{ IPAddress: 10.0.0.21 }, { IPAddress: 10.0.0.22 }]
        Probe: { Protocol: TCP, IntervalInSeconds: 1, NumberOfProbes: 1 }
RoutingDomain:
${tenants.map((t) => tenant(t, TENANTS.indexOf(t as (typeof TENANTS)[number]))).join('')}`;

/** Serves lines `<name> <peer's address>:<port>`. */
const server = (addresses: readonly string[], port: number, name: string) =>
  `for (const host of ${JSON.stringify(addresses)}) require("net").createServer((s) => { s.on("error", () => {}); s.on("data", (d) => s.write("${name}:" + host + " " + s.remoteAddress + ":" + s.remotePort + " " + d)); s.resume(); }).listen(${port}, host, () => console.log("ready " + host))`;

/** Connects, asks once, prints the answer. */
const client = (from: string, port: number, to: string, toPort: number) =>
  `const s = require("net").connect({ host: "${to}", port: ${toPort}, localAddress: "${from}"${port ? `, localPort: ${port}` : ''} }, () => s.write("hello")); s.on("data", (d) => { console.log(String(d)); s.destroy(); }); s.on("error", (e) => { console.log(e.code); process.exit(1); }); setTimeout(() => process.exit(2), 5000).unref()`;

/** Sends one datagram, then tells length and first byte of each that it receives whole. */
const listener = (from: string, port: number) =>
  `const s = require("dgram").createSocket("udp4"); s.on("message", (m) => console.log("got " + m.length + " " + m[0] + " " + m.every((b) => b === m[0]))); s.bind(${port}, "${from}", () => s.send("open", 7000, "65.10.10.100", () => console.log("open")))`;

/** A session that says a line ten times a second and counts the answers. */
const talker = (port: number, to: string) =>
  `let n = 0; const s = require("net").connect({ host: "${to}", port: 80, localAddress: "10.0.0.10", localPort: ${port} }, () => setInterval(() => s.write("hello"), 100)); s.on("data", (d) => console.log(++n + " " + d)); for (const e of ["error", "close"]) s.on(e, () => { console.log("BROKEN"); process.exit(1); })`;

describe(titled('NAT through the gateway process', missing), function () {
  this.timeout(600_000);
  let world: World;
  let holder: Background;
  let gateway: Background;
  const file = (name: string) => path.join(world.dir, name);

  const entered = (netns: string, argv: readonly string[]): readonly string[] => {
    const there = netns === '' ? [] : ['nsenter', `--net=/run/netns/${netns}`, '--'];
    return ['nsenter', '-t', String(holder.pid), '-n', '-m', '--', ...there, ...argv];
  };
  const inside = (netns: string, script: string): string => {
    const { code, stdout, stderr } = world.exec('', entered(netns, ['sh', '-ec', script]));
    assert.equal(code, 0, `${script}\n${stdout}${stderr}`);
    return stdout;
  };
  const node = (netns: string, script: string) => world.exec('', entered(netns, [process.execPath, '-e', script]));
  const start = (netns: string, script: string) => world.start('', entered(netns, [process.execPath, '-e', script]));
  const hnvgw = (...argv: string[]) =>
    world.exec('', [process.execPath, path.join(root, 'gateway/cli/main.ts'), '--socket', file('api.sock'), ...argv], {
      timeout: 120_000,
    });
  const rows = (...argv: string[]) => {
    const { code, stdout, stderr } = hnvgw(...argv, '-o', 'json');
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as Record<string, unknown>[];
  };
  const startGateway = async () => {
    const options = `--config ${file('gateway.yaml')} --state ${file('state')} --socket ${file('api.sock')} \
      --pin /sys/fs/bpf/gateway --object ${root}/dist/bpf/overlay.bpf.o --vici ${file('none')}`;
    gateway = world.start('', entered('', ['sh', '-c', `exec ${process.execPath} ${root}/gateway/main.ts ${options}`]));
    await until(() => {
      assert.equal(gateway.process.exitCode, null, gateway.output());
      const status = hnvgw('status');
      assert.equal(status.code, 0, `${status.stdout}${status.stderr}${gateway.output().slice(-3000)}`);
      return true;
    }, 180_000);
  };
  /** A change of health is in force a moment after it is told. */
  const nothingToDo = () =>
    until(() => {
      assert.match(hnvgw('plan', file('gateway.yaml')).stdout, /^nothing to do$/m);
      return true;
    }, PATIENCE);
  const serve = async (netns: string, addresses: readonly string[], port: number, name: string) => {
    const running = start(netns, server(addresses, port, name));
    await until(() => addresses.every((a) => running.output().includes(`ready ${a}`)), PATIENCE, running.output());
    return running;
  };

  before(async function () {
    if (missing) this.skip();
    execFileSync(path.join(root, 'bin/bpf.sh'), { stdio: 'pipe' });
    world = new World();
    fs.writeFileSync(file('gateway.yaml'), yaml(TENANTS));
    const script = `mkdir -p /run/netns && mount -t tmpfs none /run/netns && mount -t sysfs none /sys && mount -t bpf none /sys/fs/bpf
      ip link set lo up; ip link add nic type veth peer name far; ip link set far up
      ip netns add internet; ip link add ext type veth peer name wan netns internet; echo made; exec sleep 100000`;
    holder = world.start('', ['unshare', '-n', '-m', 'sh', '-ec', script]);
    await until(() => holder.output().includes('made'), PATIENCE);
    inside(
      'internet',
      `ip link set lo up; ip addr add 131.107.10.1/24 dev wan; ip link set wan up
       for a in 65.10.10.100 65.10.10.10; do ip addr add $a/32 dev lo; done`,
    );
    await startGateway();
    // Hosts behind the gateway: their addresses are in the compartment, where the gateway leaves alone what is not its own.
    inside('c2', 'for a in 10 21 22; do ip addr add 10.0.0.$a/32 dev lo; done');
    inside('c3', 'ip addr add 10.0.0.10/32 dev lo');
    await serve('internet', ['65.10.10.100', '65.10.10.10'], 80, 'internet');
  });
  after(() => world?.close());

  const answerOf = (netns: string, port: number, to: string): string => {
    const { code, stdout } = node(netns, client('10.0.0.10', port, to, 80));
    assert.equal(code, 0, `${stdout}\n${hnvgw('show', 'drops').stdout}`);
    return stdout.trim();
  };

  it('has nothing to do once it is there, and the probes have told what they found', async () => {
    await until(() => rows('nat', 'vips').every((r) => r.State === 'Down'), PATIENCE);
    await nothingToDo();
  });

  it('serves both tenants’ 10.0.0.10:5001 at the same time, each by its own port of one address', () => {
    const answers = [answerOf('c2', 5001, '65.10.10.100'), answerOf('c3', 5001, '65.10.10.10')];
    const ports = answers.map((a, i) => {
      const m = /^internet:(\S+) (?:::ffff:)?131\.107\.10\.10:(\d+) hello$/.exec(a);
      assert.ok(m, a);
      assert.equal(m[1], i ? '65.10.10.10' : '65.10.10.100');
      return Number(m[2]);
    });
    assert.notEqual(ports[0], ports[1]);
    for (const [i, name] of TENANTS.entries()) {
      const sessions = rows('nat', 'sessions', '--routing-domain', name).filter((r) => r.Internal === '10.0.0.10:5001');
      assert.deepEqual(
        sessions.map((r) => [r.RoutingDomain, r.Internal, r.External]),
        [[name, '10.0.0.10:5001', `131.107.10.10:${ports[i]}`]],
      );
    }
  });

  it('says who has a port, and that nobody had it before', async () => {
    const [session] = rows('nat', 'sessions', '--routing-domain', 'Woodgrove').filter(
      (r) => r.Internal === '10.0.0.10:5001',
    );
    const endpoint = String(session!.External);
    const ask = (...at: string[]) => JSON.parse(hnvgw('nat', 'who', endpoint, ...at, '-o', 'json').stdout);
    const who = await until(() => (ask().tenants.length ? ask() : undefined), PATIENCE);
    assert.deepEqual(
      who.tenants.map((t: Record<string, unknown>) => [t.RoutingDomain, t.RoutingDomainId, t.Until]),
      [['Woodgrove', '{11111111-2222-3333-4444-000000000002}', '']],
    );
    assert.deepEqual(
      who.inside.map((t: Record<string, unknown>) => [t.RoutingDomain, t.Internal]),
      [['Woodgrove', '10.0.0.10:5001']],
    );
    assert.deepEqual(ask('--at', '2026-01-01T00:00:00Z'), { tenants: [], inside: [] });
  });

  it('leads a static mapping of another address to its tenant, and nothing else', async () => {
    const ask = () => node('internet', client('131.107.10.1', 0, '131.107.10.11', 8080));
    assert.notEqual(ask().code, 0, 'nobody listens yet');
    await serve('c2', ['10.0.0.10'], 80, 'Contoso');
    await serve('c3', ['10.0.0.10'], 80, 'Woodgrove');
    assert.match(ask().stdout, /^Contoso:10\.0\.0\.10 (::ffff:)?131\.107\.10\.1:/);
  });

  it('takes fragments in any order: those of both tenants, and of the IKE of the gateway itself', async () => {
    const internet = `/proc/${holder.pid}/root/run/netns/internet`;
    const macOf = (netns: string, device: string) =>
      inside(netns, `cat /sys/class/net/${device}/address`).trim() as Mac;
    const macs = {
      from: JSON.parse(inside('internet', 'ip -j link show dev wan'))[0].address as Mac,
      to: macOf('', 'ext'),
    };
    let id = 0;
    const arrives = async (receiver: Background, port: number, from: number, order: readonly number[]) => {
      const data = new Uint8Array(3000).fill(++id);
      const fragments = datagramFragments({
        ...macs,
        source: ['65.10.10.100', from],
        destination: ['131.107.10.10', port],
        id,
        checksum: true,
        data,
      });
      sendFrames(
        internet,
        'wan',
        order.map((n) => fragments[n]!),
      );
      await until(() => receiver.output().includes(`got 3000 ${id} true`), 10_000, `${port}, order ${order}`);
    };
    const receivers: [Background, number, number][] = [];
    for (const [i, name] of TENANTS.entries()) {
      const receiver = start(i ? 'c3' : 'c2', listener('10.0.0.10', 7001));
      await until(() => receiver.output().includes('open'), PATIENCE);
      const [session] = await until(() => {
        const found = rows('nat', 'sessions', '--routing-domain', name).filter((r) => r.Internal === '10.0.0.10:7001');
        return found.length ? found : undefined;
      }, PATIENCE);
      receivers.push([receiver, Number(String(session!.External).split(':')[1]), 7000]);
    }
    const ike = start('', listener('131.107.10.10', 500));
    await until(() => ike.output().includes('open'), PATIENCE, ike.output());
    receivers.push([ike, 500, 500]);
    for (const [receiver, port, from] of receivers)
      for (const order of [
        [0, 1, 2],
        [2, 1, 0],
        [1, 2, 0],
      ])
        await arrives(receiver, port, from, order);
    for (const [receiver] of receivers) await receiver.stop();
    inside('', 'ip link del natw0');
    await nothingToDo();
  });

  it('has room by the memory of the machine, and tells it', () => {
    const [gatewayRow] = rows('nat', 'pressure').filter((r) => r.Of === 'gateway');
    const maps = JSON.parse(inside('', 'bpftool -j map show pinned /sys/fs/bpf/gateway/nat/1/flows'));
    const { flows } = natSizes(os.totalmem());
    assert.deepEqual([maps.max_entries, gatewayRow!.MaxSessions], [flows, flows / 2]);
    assert.ok(Number(gatewayRow!.Sessions) > 0);
  });

  it('never sends from a port of the NAT itself', () => {
    const range = '/proc/sys/net/ipv4/ip_local_port_range';
    assert.equal(inside('', 'cat /proc/sys/net/ipv4/ip_local_reserved_ports').trim(), '9000-49151');
    const was = inside('', `cat ${range}; echo 49140 49153 > ${range}`).trim();
    const ports = Array.from({ length: 8 }, () =>
      Number(/:(\d+) hello/.exec(node('', client('131.107.10.10', 0, '65.10.10.100', 80)).stdout)?.[1]),
    );
    inside('', `echo ${was} > ${range}`);
    assert.ok(
      ports.every((p) => p === 49_152 || p === 49_153 || Number.isNaN(p)),
      ports.join(),
    );
    assert.ok(ports.some((p) => !Number.isNaN(p)));
  });

  it('gives new flows of a VIP to the DIPs that answer their probes', async () => {
    const healthy = () => rows('nat', 'vips').map((r) => `${r.DIP} ${r.State}`);
    await until(() => healthy().every((r) => r.endsWith('Down')), PATIENCE, String(healthy()));
    const [one, two] = [await serve('c2', ['10.0.0.21'], 80, 'web'), await serve('c2', ['10.0.0.22'], 80, 'web')];
    await until(() => healthy().every((r) => r.endsWith('Healthy')), PATIENCE, String(healthy()));
    const seen = new Set<string>();
    await until(() => {
      seen.add(node('internet', client('131.107.10.1', 0, '131.107.10.12', 80)).stdout.split(' ')[0]!);
      return seen.has('web:10.0.0.21') && seen.has('web:10.0.0.22');
    }, PATIENCE);
    await one.stop('SIGKILL');
    await until(() => healthy().includes('10.0.0.21:80 Down'), PATIENCE);
    await nothingToDo();
    for (let i = 0; i < 5; i++)
      assert.match(node('internet', client('131.107.10.1', 0, '131.107.10.12', 80)).stdout, /^web:10\.0\.0\.22 /);
    await two.stop('SIGKILL');
  });

  it('dies and comes back while sessions go on, and changes nothing', async () => {
    const talkers = TENANTS.map((_, i) => start(i ? 'c3' : 'c2', talker(6000, '65.10.10.100')));
    const count = (t: Background) => t.output().split('\n').length;
    for (const t of talkers) await until(() => count(t) > 3, PATIENCE, t.output());
    const before = rows('nat', 'sessions').length;
    await gateway.stop('SIGKILL');
    for (const t of talkers) {
      const said = count(t);
      await until(() => count(t) > said + 3, PATIENCE, t.output());
    }
    await startGateway();
    assert.ok(rows('nat', 'sessions').length >= Math.min(before, 2));
    await nothingToDo();
    for (const t of talkers) {
      const said = count(t);
      await until(() => count(t) > said + 3, PATIENCE, t.output());
      assert.doesNotMatch(t.output(), /BROKEN/);
      await t.stop();
    }
  });

  it('leaves nothing of a tenant that goes, and the other has all of its own', async () => {
    const kept = () => rows('nat', 'blocks').filter((r) => r.RoutingDomain === 'Contoso').length;
    assert.ok(rows('nat', 'blocks').some((r) => r.RoutingDomain === 'Woodgrove'));
    const had = kept();
    fs.writeFileSync(file('one.yaml'), yaml(['Contoso']));
    const { code, stdout, stderr } = hnvgw('apply', file('one.yaml'));
    assert.equal(code, 0, stdout + stderr);
    const left = () =>
      (['sessions', 'mappings', 'blocks', 'pressure'] as const).flatMap((noun) =>
        rows('nat', noun).filter((r) => r.RoutingDomain !== undefined && r.RoutingDomain !== 'Contoso'),
      );
    await until(() => left().length === 0, PATIENCE, JSON.stringify(left()));
    assert.equal(kept(), had);
    const log = fs.readFileSync(file('state/nat-blocks.jsonl'), 'utf8').trim().split('\n');
    const of = log.map((l) => JSON.parse(l)).filter((r) => r.routingDomain === 'Woodgrove');
    const events = (event: string) => of.filter((r) => r.event === event).map((r) => `${r.portStart} ${r.taken}`);
    assert.deepEqual(events('returned').sort(), events('taken').sort());
    assert.ok(events('taken').length > 0);
    assert.match(answerOf('c2', 5002, '65.10.10.10'), /131\.107\.10\.10/);
  });
});
