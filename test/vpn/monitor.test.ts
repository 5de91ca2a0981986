/** The tunnel monitor against a vici server whose SAs and moods the test decides. */
import assert from 'node:assert/strict';
import { ifIdOf } from '../../compartments/numbers.ts';
import { parseAddress } from '../../lib/address.ts';
import { TunnelMonitor } from '../../vpn/io/monitor.ts';
import type { WatchedInterface } from '../../vpn/s2s/tunnels.ts';
import { message, type Packet } from '../../vpn/vici/codec.ts';
import { FakeCharon } from './fake-charon.ts';
import { CONTOSO, listSa, type Sa, s2s, upDown, WOODGROVE } from './fixtures.ts';

const done: Packet = { type: 'response', message: message({ success: 'yes' }) };
const contosoSa: Sa = { id: '1', established: 100, child: { ifId: CONTOSO.ifId } };
const woodgroveSa: Sa = { id: '2', established: 100, name: 'IfWe1', child: { id: '2', ifId: WOODGROVE.ifId } };

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not within 30 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('tunnel monitor', () => {
  let sas: Sa[];
  let dials: { name: string; answer: (success: boolean) => void }[];
  let server: FakeCharon;
  let monitor: TunnelMonitor;
  let seen: string[];
  const state = (name: string) => monitor.states().get(name)?.connectionState;
  const requests = (name: string) => server.received.filter((p) => p.type === 'request' && p.name === name);

  beforeEach(async () => {
    [sas, dials, seen] = [[], [], []];
    server = new FakeCharon((p, send) => {
      if (p.type === 'register' || p.type === 'unregister') send({ type: 'confirm' });
      if (p.type !== 'request') return;
      if (p.name === 'initiate') {
        const errmsg = 'establishing CHILD_SA failed';
        const no: Packet = { type: 'response', message: message({ success: 'no', errmsg }) };
        dials.push({ name: String(p.message.get('ike')), answer: (success) => send(success ? done : no) });
        return;
      }
      if (p.name === 'list-sas') for (const sa of sas) send({ type: 'event', name: 'list-sa', message: listSa(sa) });
      send(done);
    });
    await server.listen();
  });
  afterEach(async () => {
    await monitor.stop();
    await server.remove();
  });
  const start = async (graceMs: number, relistMs = 60_000) => {
    monitor = new TunnelMonitor({ path: server.path, graceMs, relistMs });
    monitor.on('changed', (names) => seen.push(...names.map((n) => `${n} ${state(n)}`)));
    monitor.on('charonLost', () => seen.push('charonLost'));
    monitor.on('charonBack', () => seen.push('charonBack'));
    monitor.start();
    await until('charonBack', () => seen.includes('charonBack'));
  };

  it('registers for every event before it lists', async () => {
    await start(0);
    const order = server.received.map((p) => ('name' in p ? `${p.type} ${p.name}` : p.type));
    const listing = order.indexOf('request list-sas');
    for (const e of ['ike-updown', 'child-updown', 'ike-rekey', 'child-rekey']) {
      const at = order.indexOf(`register ${e}`);
      assert.ok(at >= 0 && at < listing, e);
    }
  });

  it('lists again in time, and on doubt at once', async () => {
    await start(0, 30);
    const before = requests('list-sas').length;
    await until('two more', () => requests('list-sas').length >= before + 2);
    await monitor.stop();
    seen.length = 0;
    await start(0);
    const calm = requests('list-sas').length;
    server.event('child-rekey', listSa({ id: '77' }));
    await until('one more', () => requests('list-sas').length === calm + 1);
  });

  it('a connection that ends and comes back takes no tunnel down', async () => {
    sas = [contosoSa, woodgroveSa];
    await start(60_000);
    monitor.setInterfaces([CONTOSO, WOODGROVE]);
    assert.deepEqual([state('IfCe1'), state('IfWe1')], ['Connected', 'Connected']);
    seen.length = 0;
    for (const s of server.sockets) s.destroy();
    await until('back', () => seen.includes('charonBack'));
    monitor.setInterfaces([CONTOSO, WOODGROVE]);
    assert.deepEqual(seen, ['charonLost', 'charonBack']);
    assert.deepEqual(dials, []);
  });

  it('what went down meanwhile is noticed, for that tenant only', async () => {
    sas = [contosoSa, woodgroveSa];
    await start(60_000);
    monitor.setInterfaces([CONTOSO, WOODGROVE]);
    seen.length = 0;
    sas = [contosoSa];
    for (const s of server.sockets) s.destroy();
    await until('back', () => seen.includes('charonBack'));
    monitor.setInterfaces([CONTOSO, WOODGROVE]);
    assert.equal(state('IfCe1'), 'Connected');
    assert.notEqual(state('IfWe1'), 'Connected');
    assert.ok(!seen.some((s) => s.startsWith('IfCe1')));
  });

  it('a charon that stays away takes the tunnels down after the grace time', async () => {
    sas = [contosoSa];
    await start(50);
    monitor.setInterfaces([CONTOSO]);
    await server.crash();
    await until('unreachable', () => state('IfCe1') === 'Unreachable');
    assert.ok(seen.indexOf('charonLost') < seen.indexOf('IfCe1 Unreachable'));
    assert.throws(() => monitor.client(), /does not answer/);
  });

  it('never holds more than eight threads of charon, and dials everybody in the end', async () => {
    const many: WatchedInterface[] = Array.from({ length: 20 }, (_, n) => ({
      interface: s2s({ name: `If${n}`, destination: parseAddress(`192.0.2.${n + 1}`)! }),
      slot: 2,
      ifId: CONTOSO.ifId + n,
    }));
    await start(0);
    monitor.setInterfaces(many);
    await until('the first eight', () => dials.length === 8);
    await monitor.client().call('version');
    assert.equal(dials.length, 8);
    for (let answered = 0; answered < many.length; answered++) {
      await until(`dial ${answered}`, () => dials.length > answered);
      assert.ok(dials.length <= answered + 8);
      dials[answered]!.answer(false);
    }
    await until('all failed', () => many.every((w) => state(w.interface.name) === 'Unreachable'));
    assert.equal(new Set(dials.map((d) => d.name)).size, many.length);
  });

  it("a tenant's only dial waits for one turn of another tenant's many", async () => {
    const of = (slot: number, count: number): WatchedInterface[] =>
      Array.from({ length: count }, (_, n) => ({
        interface: s2s({ name: `If${slot}-${n}`, destination: parseAddress(`192.0.${slot}.${n + 1}`)! }),
        slot,
        ifId: ifIdOf(slot, n + 1),
      }));
    await start(0);
    monitor.setInterfaces([...of(2, 30), ...of(3, 2)]);
    await until('the first eight', () => dials.length === 8);
    assert.ok(dials.every((d) => d.name.startsWith('If2-')));
    for (let answered = 0; answered < 4; answered++) {
      dials[answered]!.answer(false);
      await until(`dial ${8 + answered}`, () => dials.length === 9 + answered);
    }
    assert.deepEqual(
      dials.slice(8).map((d) => d.name),
      ['If2-8', 'If3-0', 'If2-9', 'If3-1'],
    );
  });

  it('a peer that dials in while its connection is loaded is not terminated, a stranger is', async () => {
    sas = [contosoSa];
    await start(60_000, 30);
    monitor.setInterfaces([CONTOSO]);
    monitor.expect([CONTOSO, WOODGROVE]);
    sas = [contosoSa, woodgroveSa, { ...woodgroveSa, id: '3', name: 'IfOld' }];
    await until('the stranger terminated', () => requests('terminate').length >= 1);
    const ended = new Set(requests('terminate').map((p) => 'message' in p && p.message.get('ike-id')));
    assert.deepEqual([...ended], ['3']);
    assert.equal(state('IfWe1'), undefined);
    monitor.setInterfaces([CONTOSO, WOODGROVE]);
    assert.equal(state('IfWe1'), 'Connected');
    assert.deepEqual(dials, []);
  });

  it('an interface that is disabled while its dial waits is not dialled', async () => {
    const many: WatchedInterface[] = Array.from({ length: 9 }, (_, n) => ({
      interface: s2s({ name: `If${n}`, destination: parseAddress(`192.0.2.${n + 1}`)! }),
      slot: 2,
      ifId: CONTOSO.ifId + n,
    }));
    await start(0);
    monitor.setInterfaces(many);
    await until('the first eight', () => dials.length === 8);
    const last = many[8]!;
    monitor.setInterfaces([...many.slice(0, 8), { ...last, interface: { ...last.interface, adminStatus: false } }]);
    dials[0]!.answer(false);
    await until('the first failed', () => state('If0') === 'Unreachable');
    await monitor.client().call('version');
    assert.equal(dials.length, 8);
    assert.deepEqual(monitor.states().get('If8')?.unReachabilityReasons, ['AdminDisabled']);
  });

  it('a tunnel that the peer brings up is connected by its event', async () => {
    const answering = { ...CONTOSO, interface: s2s({ persistent: false }) };
    await start(0);
    monitor.setInterfaces([answering]);
    assert.equal(state('IfCe1'), 'Disconnected');
    server.event('ike-updown', upDown(true, { id: '5', established: 0 }));
    server.event('child-updown', upDown(true, { id: '5', established: 0, child: { ifId: CONTOSO.ifId } }));
    await until('connected', () => state('IfCe1') === 'Connected');
    server.event('ike-updown', upDown(false, { id: '5' }));
    await until('disconnected', () => state('IfCe1') === 'Disconnected');
    assert.deepEqual(dials, []);
  });
});
