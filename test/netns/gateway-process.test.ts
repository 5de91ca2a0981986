/**
 * The gateway process itself, in namespaces of its own and without charon: what it tells the service manager, what it does
 * about changes by others, and that one tenant's failure is its own.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { socketAddress } from '../../kernel/notify.ts';
import { raw, SOCK_CLOEXEC, sys } from '../../kernel/sys.ts';
import { titled } from '../kernel/titled.ts';
import { type Background, cannotMakeNamespaces, until, World } from './world.ts';

const root = path.resolve(import.meta.dirname, '../..');
const missing = cannotMakeNamespaces();
const [AF_UNIX, SOCK_DGRAM, MSG_DONTWAIT] = [1, 2, 0x40];

const YAML = `Gateway: GW-VM
NetAdapter:
  - { InterfaceAlias: NIC1, Device: nic, Role: Provider, Mtu: 1600 }
NetVirtualizationProviderAddress:
  - { InterfaceAlias: NIC1, ProviderAddress: 192.168.4.33, PrefixLength: 24 }
RoutingDomain:
${['Contoso', 'Woodgrove']
  .map(
    (name, i) => `  - Name: ${name}
    RoutingDomainID: "{11111111-2222-3333-4444-00000000000${i + 1}}"
    VMNetworkAdapterRoutingDomainMapping:
      - { IsolationName: If${name[0]}i1, IsolationID: ${5002 + 1000 * i}, IPAddress: 10.0.254.2/24 }
    NetRoute:
      - { DestinationPrefix: 10.0.0.0/16, NextHop: 10.0.254.1, InterfaceAlias: If${name[0]}i1, RouteMetric: 100 }
`,
  )
  .join('')}`;

describe(titled('the gateway process', missing), function () {
  this.timeout(180_000);
  let world: World;
  let gateway: Background;
  let manager: number;
  const heard: string[] = [];
  const file = (name: string) => path.join(world.dir, name);

  /** What the service manager has heard. */
  function hear(): string {
    const buffer = Buffer.alloc(4096);
    for (;;) {
      const length = raw.recv(manager, buffer, buffer.length, MSG_DONTWAIT);
      if (length < 0) return heard.join('\n');
      heard.push(buffer.toString('utf8', 0, length));
    }
  }
  const inside = (netns: string, script: string): string => {
    const there = netns === '' ? script : `nsenter --net=/run/netns/${netns} -- sh -ec '${script}'`;
    return world.sh('', `nsenter -t ${gateway.pid} -n -m -- sh -ec "${there}"`);
  };
  const hnvgw = (...argv: string[]) =>
    world.exec('', [process.execPath, path.join(root, 'gateway/cli/main.ts'), '--socket', file('api.sock'), ...argv]);

  before(async function () {
    if (missing) this.skip();
    execFileSync(path.join(root, 'bin/bpf.sh'), { stdio: 'pipe' });
    world = new World();
    fs.writeFileSync(file('gateway.yaml'), YAML);
    manager = sys.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    world.onClose(() => void raw.close(manager));
    const address = socketAddress(file('notify'));
    sys.bind(manager, address, address.length);
    // Woodgrove's place is taken by somebody else's namespace.
    const script = `mkdir -p /run/netns && mount -t tmpfs none /run/netns && mount -t sysfs none /sys && mount -t bpf none /sys/fs/bpf
      ip link set lo up; ip link add nic type veth peer name far; ip link set far up; ip netns add c3
      exec ${process.execPath} ${root}/gateway/main.ts --config ${file('gateway.yaml')} --state ${file('state')} \\
        --socket ${file('api.sock')} --pin /sys/fs/bpf/gateway --object ${root}/dist/bpf/overlay.bpf.o --vici ${file('none')}`;
    gateway = world.start('', ['unshare', '-n', '-m', 'sh', '-ec', script], { env: { NOTIFY_SOCKET: file('notify') } });
    await until(() => {
      assert.equal(gateway.process.exitCode, null, gateway.output());
      return hear().includes('READY=1');
    }, 60_000);
  });
  after(() => world?.close());

  it('is ready though a tenant cannot be served, and says so', () => {
    assert.match(hear(), /^READY=1\nSTATUS=configured by .*gateway\.yaml; NOT all of it is there: Woodgrove \(/);
    assert.match(inside('c2', 'ip route'), /10\.0\.0\.0\/16 via 10\.0\.254\.1/);
    const { code, stdout } = hnvgw('status');
    assert.equal(code, 3, stdout);
    assert.match(stdout, /^ {2}Woodgrove: create compartment 3 Woodgrove: .* c3 is there and is not ours$/m);
  });

  it('serves the tenant as soon as it can, and says so', async () => {
    inside('', 'ip netns del c3');
    await until(() => hear().split('\n').at(-1) === `STATUS=configured by ${file('gateway.yaml')}`);
    assert.match(inside('c3', 'ip route'), /10\.0\.0\.0\/16 via 10\.0\.254\.1/);
    assert.equal(hnvgw('status').code, 0);
  });

  it('puts right at once what somebody else changes, in a compartment and on its NICs', async () => {
    for (const [netns, change, look, wanted] of [
      ['c2', 'ip route del 10.0.0.0/16', 'ip route', '10.0.0.0/16 via 10.0.254.1'],
      ['c3', 'ip addr del 10.0.254.2/24 dev IfWi1', 'ip addr', '10.0.254.2/24'],
      ['', 'ip addr del 192.168.4.33/24 dev nic', 'ip addr', '192.168.4.33/24'],
    ] as const) {
      inside(netns, change);
      await until(() => inside(netns, look).includes(wanted), undefined, change);
    }
  });

  it('counts what no route leads on, for its tenant', () => {
    inside('c2', 'ping -n -c 1 -W 1 192.0.2.1 || true');
    const rows = JSON.parse(hnvgw('show', 'drops', '-o', 'json').stdout) as Record<string, unknown>[];
    assert.deepEqual(
      rows.filter((r) => r.Reason === 'NO_ROUTE').map((r) => [r.RoutingDomain, r.Direction]),
      [['Contoso', 'out']],
    );
  });
});
