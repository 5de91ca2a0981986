/** The appliance from its real image, booted by itself: what every other test in guests takes for granted. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { buildImages, IMAGES } from '../../image/build.ts';
import { makeConfigDrive } from '../../image/drive.ts';
import { Guest } from '../../lab/guest/guest.ts';

const directory = join(import.meta.dirname, '../../.cache/lab/boot-test');
const drive = join(directory, 'drive.img');

const CONFIG = `Gateway: BootTest
NetAdapter:
  - { InterfaceAlias: If2, Device: eth0, Role: External, IPAddress: 131.107.10.10/24 }
  - { InterfaceAlias: NIC1, Device: eth1, Role: Provider }
NetVirtualizationProviderAddress:
  - { InterfaceAlias: NIC1, ProviderAddress: 192.168.4.33, PrefixLength: 24 }
RoutingDomain:
  - Name: Contoso
    RoutingDomainID: "{11111111-2222-3333-4444-000000000001}"
    VMNetworkAdapterRoutingDomainMapping:
      - { IsolationName: IfCi1, IsolationID: 5002, IPAddress: 10.0.254.2/24 }
  - Name: Woodgrove
    RoutingDomainID: "{11111111-2222-3333-4444-000000000002}"
    VMNetworkAdapterRoutingDomainMapping:
      - { IsolationName: IfWi1, IsolationID: 6002, IPAddress: 10.0.254.2/24 }
`;

const EBPF_LOAD = `
import koffi from 'koffi';
const bpf = koffi.load('libbpf.so.1');
const object = bpf.func('void *bpf_object__open(const char *path)')('/usr/lib/hnv-gateway/bpf/overlay.bpf.o');
const code = object ? bpf.func('int bpf_object__load(void *object)')(object) : -1;
if (code !== 0) throw new Error('bpf_object__load: ' + code);
`;

describe('the appliance', function () {
  this.timeout(300_000);
  const nic = (index: number) => ({
    wire: join(directory, `wire${index}.sock`),
    listens: true,
    mac: `52:54:00:00:0${index}:01`,
  });
  const guest = new Guest({
    name: 'boot-test',
    directory,
    disk: IMAGES.appliance,
    diskFormat: 'qcow2',
    drives: [drive],
    nics: [nic(0), { ...nic(1), mtu: 1600 }],
  });

  /** Waits until the unit has left its starting states. */
  const settled = async (unit: string): Promise<string> => {
    for (const until = performance.now() + 120_000; ; await delay(500)) {
      const state = (await guest.exec(['systemctl', 'is-active', unit])).stdout.trim();
      if (!['activating', 'inactive'].includes(state) || performance.now() > until) return state;
    }
  };

  before(async () => {
    await buildImages({ progress: () => {} });
    rmSync(directory, { recursive: true, force: true });
    const tree = join(directory, 'drive');
    mkdirSync(tree, { recursive: true });
    writeFileSync(join(tree, 'gateway.yaml'), CONFIG);
    chmodSync(join(tree, 'gateway.yaml'), 0o600);
    await makeConfigDrive(tree, drive);
    await guest.start(240_000);
  });
  after(() => guest.stop());

  it('is smaller than 600 MB', () => assert.ok(statSync(IMAGES.appliance).size < 600e6));

  it('boots the 6.12 kernel from its own boot sector', async () => {
    assert.match(await guest.output(['uname', '-r']), /^6\.12\..*-cloud-amd64\n$/);
    assert.match(await guest.output(['cat', '/proc/cmdline']), /^BOOT_IMAGE=/);
  });

  it('has every module of its list, aesni_intel among them', async () => {
    const wanted = (await guest.output(['cat', '/etc/modules-load.d/hnv-gateway.conf']))
      .split('\n')
      .filter((line) => /^\w/.test(line));
    assert.ok(wanted.includes('aesni_intel'));
    await guest.output(['ls', '-d', ...wanted.map((module) => `/sys/module/${module}`)]);
    assert.match(await guest.output(['cat', '/proc/crypto']), /driver +: .*aesni/);
  });

  it('runs charon, whose socket answers', async () => {
    assert.equal(await settled('hnv-charon.service'), 'active');
    await guest.output(['swanctl', '--stats', '--uri', 'unix:///run/hnv-charon/charon.vici']);
  });

  it('loads the overlay data path', () =>
    guest.output(['/usr/lib/hnv-gateway/node', '--input-type=module', '-'], {
      stdin: EBPF_LOAD.replace("'koffi'", "'/usr/lib/hnv-gateway/node_modules/koffi/index.js'"),
    }));

  it('reads its configuration drive and runs the gateway', async () => {
    assert.equal(await settled('hnv-gateway.service'), 'active');
    const mount = await guest.output(['findmnt', '-n', '-o', 'OPTIONS', '/media/hnv-config']);
    assert.match(mount, /^ro,/);
    assert.match(await guest.output(['ip', '-br', 'address', 'show', 'eth0']), /131\.107\.10\.10\/24/);
  });

  it('lets `ip netns` outside the service see what the service mounts', async () => {
    const namespaces = ['/proc/1/ns/mnt', `/proc/${await mainPid()}/ns/mnt`];
    const [init, gateway] = await Promise.all(namespaces.map((path) => guest.output(['readlink', path])));
    assert.equal(gateway, init);
    for (const [compartment, device] of [
      ['c2', 'IfCi1'],
      ['c3', 'IfWi1'],
    ] as const)
      assert.match(
        await guest.output(['ip', '-n', compartment, '-br', 'address', 'show', device]),
        /10\.0\.254\.2\/24/,
      );
  });

  it('starts its programs from the compiled code that came with the image', async () => {
    const { stderr, stdout } = await guest.exec(['hnvgw', '--help'], { env: ['NODE_DEBUG_NATIVE=COMPILE_CACHE'] });
    assert.match(stderr + stdout, /hnvgw\.js was accepted/);
    assert.doesNotMatch(stderr + stdout, /was rejected/);
  });

  it('keeps what the hypervisor’s agent ran in a journal of its own', async () => {
    const word = `audited-${process.pid}`;
    await guest.output(['true', word]);
    const logged = (...journal: string[]) =>
      guest.output(['journalctl', ...journal, '--no-pager', '-o', 'cat', '-t', 'qemu-ga']);
    for (const until = performance.now() + 20_000; ; await delay(200)) {
      if ((await logged('--namespace=qemu-guest-agent')).includes(word)) break;
      assert.ok(performance.now() < until, 'the command is not in the journal');
    }
    assert.ok(!(await logged()).includes('guest-exec'));
  });

  it('brings the gateway back when it is killed, and leaves charon alone', async () => {
    const charon = await guest.output(['systemctl', 'show', '-P', 'MainPID', 'hnv-charon.service']);
    const before = await mainPid();
    await guest.output(['systemctl', 'kill', '-s', 'KILL', 'hnv-gateway.service']);
    for (const until = performance.now() + 120_000; ; await delay(500)) {
      const pid = await mainPid();
      if (pid !== before && pid !== '0' && (await settled('hnv-gateway.service')) === 'active') break;
      assert.ok(performance.now() < until, 'the gateway did not come back');
    }
    assert.equal(await guest.output(['systemctl', 'show', '-P', 'MainPID', 'hnv-charon.service']), charon);
  });

  it('keeps the default compartment from routing, and runs nothing that failed', async () => {
    assert.equal(await guest.output(['sysctl', '-n', 'net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding']), '0\n0\n');
    assert.equal(await guest.output(['systemctl', '--failed', '--no-legend', '--plain']), '');
  });

  it('has no way in from the network, and no password', async () => {
    assert.match(await guest.output(['grep', '^root:', '/etc/shadow']), /^root:[*!]/);
    const listening = await guest.output(['ss', '-Hltn']);
    assert.equal(listening, '');
  });

  it('gives its commands a byte stream, and ends them', async () => {
    const stream = await guest.stream(['sh', '-c', 'head -c 100000 /dev/zero; exec sleep 600']);
    let received = 0;
    stream.stdout.on('data', (bytes: Buffer) => {
      received += bytes.length;
    });
    for (const until = performance.now() + 20_000; received < 100_000; await delay(50))
      assert.ok(performance.now() < until, `${received} bytes only`);
    assert.equal((await stream.stop()).code, 128 + 15);
    assert.equal(received, 100_000);
  });

  it('stops without leaving a process or a socket', async () => {
    await guest.stop();
    assert.equal(Guest.pidOf(directory), undefined);
    assert.ok(!existsSync(join(directory, 'agent.sock')));
  });

  const mainPid = async (): Promise<string> =>
    (await guest.output(['systemctl', 'show', '-P', 'MainPID', 'hnv-gateway.service'])).trim();
});
