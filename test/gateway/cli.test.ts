/** The operator's command line against the API on a real UNIX socket; behind it the loop over hands of maps. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { EMPTY_SLOTS } from '../../compartments/slots.ts';
import { loadGateway } from '../../config/load.ts';
import { SAMPLING } from '../../control/drops.ts';
import { EventHub } from '../../control/hub.ts';
import type { RecordPlane } from '../../control/plane.ts';
import { desiredResources } from '../../gateway/desired.ts';
import { Gateway } from '../../gateway/gateway.ts';
import { serveApi } from '../../gateway/io/api.ts';
import { secretReader } from '../../gateway/io/secret.ts';
import type { Readings } from '../../gateway/show/readings.ts';
import { until } from '../netns/world.ts';
import { MapHand, MemoryRecords } from './world.ts';

const root = path.resolve(import.meta.dirname, '../..');
const example = fs.readFileSync(path.join(root, 'config/examples/fabrikam.yaml'), 'utf8');

describe('hnvgw', function () {
  this.timeout(180_000);
  let folder: string;
  let close: () => Promise<unknown>;
  let hand: MapHand;
  let gateway: Gateway;
  const events = new EventHub();

  beforeEach(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'hnv-cli-'));
    fs.mkdirSync(path.join(folder, 'secrets'));
    for (const name of ['contoso-ny', 'woodgrove-ny', 'woodgrove-sfo'])
      fs.writeFileSync(path.join(folder, 'secrets', name), 'canary-of-the-shared-secret\n');
    write('gateway.yaml', example.replaceAll('/etc/hnv-gateway/secrets', 'secrets'));
    hand = new MapHand();
    gateway = new Gateway({
      hands: () => [hand],
      log: pino({ level: 'silent' }),
      tunnels: {
        expect: () => undefined,
        loaded: () => undefined,
        dialFrom: () => undefined,
        up: () => new Set(['IfCe1']),
      },
      store: {
        slots: EMPTY_SLOTS,
        saveSlots: () => undefined,
        saveRunning: () => undefined,
        records: new MemoryRecords(),
      },
      recordOps: () => [],
      usableAddresses: () => new Set(),
      load: ({ file, text }) => loadGateway(file, text, secretReader(path.dirname(file))),
      desired: (running, up, scope) =>
        desiredResources(
          running,
          up,
          scope,
          { resources: () => [], mtu: () => 1600 },
          { resources: () => [] },
          Buffer.alloc(32),
        ),
      statusChanged: () => undefined,
      later: () => undefined,
    });
    const readings: Readings = {
      netns: () => undefined,
      entries: () => [],
      device: String,
      withoutRoute: () => undefined,
      tunnel: () => undefined,
    };
    const log = pino({ level: 'silent' });
    const plane: RecordPlane = {
      records: () => gateway.records,
      changeRecords: (ask) => gateway.changeRecords(ask),
      events,
    };
    const app = await serveApi(path.join(folder, 'api.sock'), gateway, readings, plane, log);
    close = () => app.close();
  });
  afterEach(async () => {
    await close();
    fs.rmSync(folder, { recursive: true });
  });

  const file = (name: string) => path.join(folder, name);
  function write(name: string, text: string) {
    fs.writeFileSync(file(name), text);
  }
  const hnvgw = (...argv: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
    new Promise((resolve) => {
      const command = [path.join(root, 'gateway/cli/main.ts'), '--socket', file('api.sock'), ...argv];
      execFile(process.execPath, command, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
      );
    });

  it('validates without the gateway, and names line, column, key and cure', async () => {
    assert.equal((await hnvgw('validate', file('gateway.yaml'))).code, 0);
    write('bad.yaml', example.replace('RouteMetric:', 'RouteMetrik:'));
    const { code, stderr } = await hnvgw('validate', file('bad.yaml'));
    assert.equal(code, 1);
    assert.match(stderr, /bad\.yaml:\d+:\d+: RoutingDomain\[Contoso\].*RouteMetrik.*did you mean RouteMetric/);
    assert.match((await hnvgw('validate', file('absent.yaml'))).stderr, /cannot be read/);
  });

  it('plans, applies, and then has nothing to do', async () => {
    const planned = await hnvgw('plan', file('gateway.yaml'));
    assert.equal(planned.code, 0);
    assert.match(planned.stdout, /^Contoso: create compartment 2 Contoso$/m);
    assert.equal(hand.state.size, 0);
    const applied = await hnvgw('apply', file('gateway.yaml'));
    assert.equal(applied.code, 0, applied.stderr);
    assert.match(applied.stdout, /^applied, \d+ operations$/m);
    assert.equal((await hnvgw('plan', file('gateway.yaml'))).stdout, 'nothing to do\n');
    assert.deepEqual(JSON.parse((await hnvgw('plan', '-o', 'json', file('gateway.yaml'))).stdout), {
      notes: [],
      impact: 'none',
      ops: [],
    });
  });

  it('tells whether all of it is there, by words and exit code', async () => {
    const none = await hnvgw('status');
    assert.deepEqual([none.code, none.stderr], [3, '']);
    assert.match(none.stdout, /^no configuration is in force/);
    await hnvgw('apply', file('gateway.yaml'));
    const whole = { code: 0, stdout: `configured by ${file('gateway.yaml')}\nall of it is there\n`, stderr: '' };
    assert.deepEqual(await hnvgw('status'), whole);
    const lost = [...hand.state.values()].find((r) => r.kind === 'address' && r.slot === 3)!;
    hand.state.delete(`${lost.kind} ${lost.key}`);
    hand.fails = (op) => op.resource.key === lost.key;
    gateway.notice({ type: 'network-changed', slot: 3 });
    const part = await hnvgw('status');
    assert.equal(part.code, 3);
    assert.match(part.stdout, /^not all of it is there; .*\n {2}Woodgrove: create .*: the kernel refuses address c3 /m);
    assert.equal(JSON.parse((await hnvgw('status', '-o', 'json')).stdout).settled, false);
    assert.equal((await hnvgw('--socket', file('none.sock'), 'status')).code, 1);
  });

  it('a refused file touches nothing', async () => {
    await hnvgw('apply', file('gateway.yaml'));
    hand.log.length = 0;
    write('bad.yaml', example.replace('IsolationID: 6002', 'IsolationID: 5002'));
    const { code, stderr } = await hnvgw('apply', file('bad.yaml'));
    assert.equal(code, 1);
    assert.match(stderr, /bad\.yaml:\d+:\d+: /);
    assert.deepEqual(hand.log, []);
  });

  it('shows tables and JSON, of one routing domain, and no secret anywhere', async () => {
    assert.match((await hnvgw('show', 's2s')).stderr, /no configuration yet/);
    await hnvgw('apply', file('gateway.yaml'));
    assert.match((await hnvgw('show', 'compartments')).stdout, /^2 +Contoso .*c2 +Missing$/m);
    const rows = JSON.parse((await hnvgw('show', 's2s', '--routing-domain', 'Woodgrove', '-o', 'json')).stdout);
    assert.deepEqual(
      rows.map((r: { Name: string }) => r.Name),
      ['IfWe1', 'IfWe2'],
    );
    const unknown = await hnvgw('show', 'routes', '--routing-domain', 'Nobody');
    assert.deepEqual([unknown.code, unknown.stderr], [1, 'no routing domain Nobody\n']);
    assert.equal((await hnvgw('show', 'nonsense')).code, 1);
    for (const noun of ['s2s', 'interfaces'])
      assert.ok(!(await hnvgw('show', noun, '-o', 'json')).stdout.includes('canary'));
    assert.ok(!(await hnvgw('plan', '-o', 'json', file('gateway.yaml'))).stdout.includes('canary'));
  });

  it('records at run time: new, get, set, remove, and the file keeps its own', async () => {
    const of = ['--customer-address', '10.0.0.77', '--virtual-subnet-id', '6001'];
    const record = (verb: string, ...argv: string[]) => hnvgw('record', verb, 'lookup-record', ...argv);
    const rest = ['--mac-address', '020000000077', '--provider-address', '192.168.4.11'];
    assert.match((await record('new', ...of, ...rest)).stderr, /there is no configuration yet/);
    await hnvgw('apply', file('gateway.yaml'));
    assert.deepEqual(await record('new', ...of, ...rest), { code: 0, stdout: 'done, 0 operations\n', stderr: '' });
    assert.equal((await record('set', ...of, '--provider-address', '192.168.4.22')).code, 0);
    const rows = JSON.parse((await record('get', '--routing-domain', 'Woodgrove', '-o', 'json')).stdout);
    assert.deepEqual(
      rows.map((r: Record<string, string>) => [r.CustomerAddress, r.ProviderAddress, r.Origin]),
      [
        ['10.0.0.10', '192.168.4.11', 'File'],
        ['10.0.0.77', '192.168.4.22', 'Runtime'],
      ],
    );
    const refused = await record('remove', '--customer-address', '10.0.0.10', '--virtual-subnet-id', '6001');
    assert.deepEqual(
      [refused.code, refused.stderr],
      [
        1,
        'hnvgw: lookup record 6001 10.0.0.10: The record is in the configuration file, which alone may change it. Change the file and apply it.\n',
      ],
    );
    assert.equal((await record('remove', ...of)).code, 0);
    assert.match((await record('get', '--customer-address', '10.0.0.77')).stdout, /^$/);
  });

  it('monitor prints what happens, of the tenant asked for', async () => {
    const argv = [path.join(root, 'gateway/cli/main.ts'), '--socket', file('api.sock'), 'monitor', 'drops'];
    const monitor = spawn(process.execPath, [...argv, '--routing-domain', 'Contoso', '-o', 'json']);
    try {
      let output = '';
      monitor.stdout.on('data', (b) => (output += b));
      const drop = {
        type: 'dropped',
        Reason: 'NO_RECORD',
        Number: 7,
        Direction: 'port',
        Port: 'p2-0',
        Length: 98,
        Frame: '',
      } as const;
      await until(() => {
        for (const RoutingDomain of ['Woodgrove', 'Contoso']) events.tell({ ...drop, RoutingDomain });
        return output.includes('NO_RECORD');
      });
      const lines = new Set(output.trim().split('\n'));
      assert.deepEqual([...lines], [JSON.stringify(SAMPLING), JSON.stringify({ ...drop, RoutingDomain: 'Contoso' })]);
    } finally {
      monitor.kill();
    }
  });

  it('says what to look at when no gateway listens', async () => {
    const { code, stderr } = await hnvgw('--socket', file('none.sock'), 'show', 's2s');
    assert.equal(code, 1);
    assert.match(stderr, /no gateway listens on .*none\.sock: is hnv-gateway\.service running\?/);
  });
});
