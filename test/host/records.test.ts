/** `hnvhost record` and `hnvhost monitor` with real agents in namespaces: two tenants with the same addresses (R-POL-1). */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { type Fabric, fabric, find, hostYaml, macOf, PA, type Vm, vmName } from '../netns/fabric.ts';
import { cannotMakeNamespaces, type Outcome, until, World } from '../netns/world.ts';

const root = path.resolve(import.meta.dirname, '../..');
const c10 = find('Contoso', '10.0.0.10');
const c11 = find('Contoso', '10.0.0.11');
const w10 = find('Woodgrove', '10.0.0.10');

describe('records of a host at run time', function () {
  this.timeout(180_000);
  let world: World;
  let fab: Fabric;

  before(async function () {
    if (cannotMakeNamespaces()) this.skip();
    execFileSync(path.join(root, 'bin/bpf.sh'), { stdio: 'pipe' });
    world = new World();
    fab = await fabric(world);
    // Contoso's record of its VM on the other host is not in the file; Woodgrove's with the same address is.
    const line = new RegExp(`^.*CustomerAddress: 10.0.0.11, MACAddress: "${macOf(c11)}".*\n`, 'm');
    const text = hostYaml('host1');
    assert.match(text, line);
    await fab.reload('host1', text.replace(line, ''));
    assert.equal(get().length, 4);
  });
  after(() => world?.close());

  const state = () => path.join(world.dir, 'host1');
  const hnvhost = (...argv: string[]): Outcome =>
    world.exec(fab.ns.host1!, [process.execPath, path.join(root, 'host/main.ts'), ...argv, '--state', state()]);
  const get = (): readonly Record<string, string>[] => {
    const { stdout, stderr, code } = hnvhost(
      'record',
      'get',
      'lookup-record',
      '--routing-domain',
      'Contoso',
      '-o',
      'json',
    );
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  };
  const ping = (vm: Vm, seconds: string, to: string): boolean =>
    world.exec(fab.ns[vmName(vm)]!, ['ping', '-n', '-c', '2', '-i', '0.1', '-W', seconds, to]).code === 0;
  const pings = (vm: Vm, to: string) => ping(vm, '10', to);
  const silent = (vm: Vm, to: string) => !ping(vm, '1', to);
  const KEY = ['--customer-address', '10.0.0.11', '--virtual-subnet-id', '5001'];
  const NEW = ['record', 'new', 'lookup-record', ...KEY, '--mac-address', macOf(c11).replaceAll(':', '')];

  it('an address without a record is dropped, and `monitor drops` tells; the other tenant goes on', async () => {
    const monitor = world.start(fab.ns.host1!, [
      process.execPath,
      path.join(root, 'host/main.ts'),
      ...['monitor', 'drops', '--state', state(), '--routing-domain', 'Contoso'],
    ]);
    await until(() => {
      assert.ok(silent(c10, '10.0.0.11'));
      return /^Contoso +NO_RECORD +port +c0-10 .* > /m.test(monitor.output());
    });
    assert.ok(pings(w10, '10.0.0.11'));
    assert.doesNotMatch(monitor.output(), /Woodgrove/);
    await monitor.stop();
  });

  it('new, set and remove take effect at once, and outlive the agent', async () => {
    const wrong = hnvhost(...NEW, '--provider-address', PA.stranger);
    assert.equal(wrong.code, 0, wrong.stderr);
    assert.ok(silent(c10, '10.0.0.11'));
    const set = hnvhost('record', 'set', 'lookup-record', ...KEY, '--provider-address', PA.host2);
    assert.equal(set.code, 0, set.stderr);
    assert.ok(pings(c10, '10.0.0.11'));

    await fab.agents.get('host1')!.stop('SIGKILL');
    assert.ok(pings(c10, '10.0.0.11'));
    await fab.startAgent('host1');
    assert.ok(pings(c10, '10.0.0.11'));
    assert.equal(get().find((r) => r.CustomerAddress === '10.0.0.11')?.Origin, 'Runtime');

    assert.equal(hnvhost('record', 'remove', 'lookup-record', ...KEY).code, 0);
    assert.ok(silent(c10, '10.0.0.11'));
    assert.ok(pings(w10, '10.0.0.11'));
  });

  it('refuses in words, with exit 1', () => {
    const refused = (...argv: string[]) => {
      const { code, stderr } = hnvhost(...argv);
      assert.equal(code, 1);
      return stderr;
    };
    assert.equal(
      refused('record', 'remove', 'lookup-record', '--customer-address', '10.0.0.10', '--virtual-subnet-id', '5001'),
      'hnvhost: lookup record 5001 10.0.0.10: The record is in the configuration file, which alone may change it. Change the file and apply it.\n',
    );
    assert.match(refused(...NEW), /^hnvhost: lookup record: ProviderAddress: the key is missing\. Add it\.$/m);
    assert.match(refused('record', 'get', 'nonsense'), /unknown command/);
    assert.match(refused('record', 'set', 'lookup-record', ...KEY), /There is no record with this key/);
  });
});
