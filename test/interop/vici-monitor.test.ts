/**
 * The tunnel monitor with real charons: a gateway and the sites of two tenants on one wire. Their ESP is kernel-libipsec's
 * (this needs no kernel ESP); no packet of a tenant is sent here, what counts is the control plane: states, events, rekeying,
 * crash and return.
 */
import assert from 'node:assert/strict';
import { reconcile } from '../../compartments/reconcile.ts';
import type { AnyResource } from '../../compartments/resource.ts';
import { CharonHand } from '../../vpn/io/charon-hand.ts';
import { TunnelMonitor } from '../../vpn/io/monitor.ts';
import { connectionResource } from '../../vpn/s2s/connection.ts';
import type { WatchedInterface } from '../../vpn/s2s/tunnels.ts';
import { message, sectionsOf, textOf } from '../../vpn/vici/codec.ts';
import type { ViciClient } from '../../vpn/vici/io/client.ts';
import { address, CONTOSO, s2s, WOODGROVE } from '../vpn/fixtures.ts';
import { Charon, charonMissing, ip, until } from './vici-charon.ts';

const missing = charonMissing();
const GATEWAY = '131.107.10.10';
const userspace = (conf: string) => conf.replace(' kernel-netlink', ' kernel-libipsec kernel-netlink');
const key = Buffer.alloc(32, 1);

const contoso: WatchedInterface = {
  ...CONTOSO,
  interface: s2s({
    destination: address('131.107.10.20'),
    retryIntervalSeconds: 1,
    networkOutageTimeSeconds: 12,
  }),
};
const woodgrove: WatchedInterface = {
  ...WOODGROVE,
  interface: s2s({
    name: 'IfWe1',
    destination: address('131.107.10.30'),
    sharedSecret: { reveal: () => "Woodgrove's own" },
    retryIntervalSeconds: 1,
  }),
};
const both = [contoso, woodgrove];

/** What the gateway process does with charon: load what is wanted, then say so. */
class Gateway {
  readonly monitor: TunnelMonitor;
  readonly seen: string[] = [];
  readonly hand: CharonHand;

  constructor(path: string, dialTimeoutMs = 5000) {
    this.monitor = new TunnelMonitor({ path, dialTimeoutMs, relistMs: 500, graceMs: 500 });
    const slots = new Map(both.map((w) => [w.interface.name, w.slot]));
    this.hand = new CharonHand({ client: () => this.monitor.client(), slots: () => slots });
    this.monitor.on('charonBack', () => this.seen.push('charonBack'));
    this.monitor.on('charonLost', () => this.seen.push('charonLost'));
    this.monitor.on('notice', (text) => this.seen.push(text));
    this.monitor.on('changed', (names) => this.seen.push(...names.map((n) => `${n} ${this.state(n)}`)));
    this.monitor.start();
  }
  state = (name: string) => this.monitor.states().get(name)?.connectionState;

  async apply(interfaces: readonly WatchedInterface[]): Promise<void> {
    this.monitor.expect(interfaces);
    const wanted: readonly AnyResource[] = interfaces.map((w) =>
      connectionResource(w.interface, { slot: w.slot, ifId: w.ifId, localAddress: address(GATEWAY) }, key),
    );
    const outcome = await reconcile([this.hand], 'all', () => wanted);
    assert.ok(outcome.settled, JSON.stringify(outcome.failures));
    this.monitor.setInterfaces(interfaces);
  }
  connected = (...names: string[]) =>
    until(
      `${names} connected`,
      () => names.every((n) => this.state(n) === 'Connected'),
      () => [this.seen, ...this.monitor.states()],
    );
}

describe(`tunnel monitor, with real charons${missing ? ` (skipped: ${missing})` : ''}`, function () {
  this.timeout(240_000);
  let gw: Charon;
  const sites: { charon: Charon; client: ViciClient }[] = [];
  let gateway: Gateway;

  /** A site accepts and dials its gateway with the given secret. */
  async function site(w: WatchedInterface, secret: string): Promise<void> {
    const charon = new Charon({ edit: userspace });
    const n = sites.length;
    const wire = `s${n}`;
    ip('-n', gw.netns, 'link', 'add', wire, 'type', 'veth', 'peer', 'name', 'wan', 'netns', charon.netns);
    ip('-n', gw.netns, 'link', 'set', wire, 'master', 'internet', 'up');
    ip('-n', charon.netns, 'addr', 'add', `${w.interface.destination}/24`, 'dev', 'wan');
    ip('-n', charon.netns, 'link', 'set', 'wan', 'up');
    // kernel-libipsec wants an address of its own within the local selector.
    ip('-n', charon.netns, 'addr', 'add', '10.1.0.1/24', 'dev', 'lo');
    charon.start();
    const client = await charon.connect();
    sites.push({ charon, client });
    await client.call(
      'load-conn',
      message({
        gw: {
          version: '2',
          local_addrs: [w.interface.destination],
          remote_addrs: [GATEWAY],
          mobike: 'no',
          proposals: ['aes256-sha384-ecp384'],
          local: { auth: 'psk', id: w.interface.destination },
          remote: { auth: 'psk', id: GATEWAY },
          // Sites ask for their own networks only; both tenants have the same ones.
          children: {
            gw: { local_ts: ['10.1.0.0/24'], remote_ts: ['10.0.0.0/24'], esp_proposals: ['aes256gcm16-ecp384'] },
          },
        },
      }),
    );
    await siteSecret(client, secret);
  }
  const siteSecret = (client: ViciClient, data: string) =>
    client.call('load-shared', message({ id: 'gw', type: 'IKE', data, owners: [GATEWAY] }));
  const sas = async (client: ViciClient) =>
    (await client.stream('list-sas', 'list-sa')).flatMap((m) => sectionsOf(m)).map(([name, sa]) => ({ name, sa }));
  /** Of installed children; one that was rekeyed stays listed for a while. */
  const ifIds = async () =>
    (await sas(gateway.monitor.client()))
      .flatMap(({ name, sa }) => sectionsOf(sa, 'child-sas').map(([, c]) => ({ name, c })))
      .filter(({ c }) => textOf(c, 'state') === 'INSTALLED')
      .map(({ name, c }) => `${name} ${Number.parseInt(textOf(c, 'if-id-in')!, 16)}`)
      .sort();

  before(async function () {
    if (missing) this.skip();
    gw = new Charon({ edit: userspace });
    ip('-n', gw.netns, 'link', 'add', 'internet', 'type', 'bridge');
    ip('-n', gw.netns, 'link', 'set', 'internet', 'up');
    ip('-n', gw.netns, 'addr', 'add', `${GATEWAY}/24`, 'dev', 'internet');
    ip('-n', gw.netns, 'addr', 'add', '10.0.0.1/24', 'dev', 'lo');
    await site(contoso, contoso.interface.sharedSecret.reveal());
    // Woodgrove's site holds Contoso's secret.
    await site(woodgrove, contoso.interface.sharedSecret.reveal());
    gateway = new Gateway(gw.socket);
    assert.throws(() => gateway.monitor.client(), /does not answer/);
    gw.start();
    await until('charonBack', () => gateway.seen.includes('charonBack'));
  });
  after(async () => {
    await gateway?.monitor.stop();
    for (const { charon, client } of sites) {
      client.close();
      await charon.remove();
    }
    await gw?.remove();
  });

  it("a site with the other tenant's secret stays out, and the interface says why; the other tenant is not disturbed", async () => {
    await gateway.apply(both);
    await gateway.connected('IfCe1');
    await until('a failed dial', () => gateway.monitor.states().get('IfWe1')?.lastError !== '');
    const s = gateway.monitor.states().get('IfWe1')!;
    assert.match(s.lastError, /AUTHENTICATION_FAILED/);
    assert.ok(['Unreachable', 'Connecting'].includes(s.connectionState));
    assert.deepEqual(await ifIds(), [`IfCe1 ${CONTOSO.ifId}`]);
    assert.ok(!gw.log().includes(contoso.interface.sharedSecret.reveal()));
  });

  it('with the right secret it dials again and connects, each tenant with its own if_id', async () => {
    const { client } = sites[1]!;
    await siteSecret(client, woodgrove.interface.sharedSecret.reveal());
    await gateway.connected('IfCe1', 'IfWe1');
    assert.deepEqual(await ifIds(), [`IfCe1 ${CONTOSO.ifId}`, `IfWe1 ${WOODGROVE.ifId}`]);
  });

  it('rekeying IKE and child, by either end, changes nothing that an operator sees', async () => {
    gateway.seen.length = 0;
    const before = await sas(gateway.monitor.client());
    const uniqueIds = (list: typeof before) => list.map(({ sa }) => textOf(sa, 'uniqueid'));
    for (const [client, name] of [
      [gateway.monitor.client(), 'IfCe1'],
      [sites[1]!.client, 'gw'],
    ] as const) {
      await client.call('rekey', message({ child: name }));
      await client.call('rekey', message({ ike: name }));
    }
    await until('new IKE_SAs', async () => {
      const now = uniqueIds(await sas(gateway.monitor.client()));
      return now.length === 2 && !now.some((id) => uniqueIds(before).includes(id));
    });
    await gateway.connected('IfCe1', 'IfWe1');
    assert.deepEqual(gateway.seen, []);
  });

  it('a site that ends its tunnel goes down alone, and is dialled again', async () => {
    gateway.seen.length = 0;
    await sites[1]!.client.call('terminate', message({ ike: 'gw', force: 'yes' }));
    await until('Woodgrove went down', () =>
      gateway.seen.some((s) => s.startsWith('IfWe1') && s !== 'IfWe1 Connected'),
    );
    await gateway.connected('IfWe1');
    assert.ok(!gateway.seen.some((s) => s.startsWith('IfCe1')));
  });

  it('a new gateway process adopts what runs and dials nothing', async () => {
    const ids = async () => (await sas(gateway.monitor.client())).map(({ sa }) => textOf(sa, 'uniqueid')).sort();
    const before = await ids();
    await gateway.monitor.stop();
    gateway = new Gateway(gw.socket);
    await until('charonBack', () => gateway.seen.includes('charonBack'));
    await gateway.apply(both);
    await gateway.connected('IfCe1', 'IfWe1');
    assert.deepEqual(await ids(), before);
    assert.deepEqual(
      gateway.seen.filter((s) => s.endsWith('Connecting')),
      [],
    );
  });

  it('a changed connection ends the tunnel of the former one and is dialled at once; the other tenant is not disturbed', async () => {
    const before = await sas(gateway.monitor.client());
    gateway.seen.length = 0;
    const changed = {
      ...contoso,
      interface: { ...contoso.interface, saLifeTimeSeconds: 7200, retryIntervalSeconds: 600 },
    };
    await gateway.apply([changed, woodgrove]);
    const ids = (list: typeof before, name: string) =>
      list.filter((s) => s.name === name).map(({ sa }) => textOf(sa, 'uniqueid'));
    await until('a new SA', async () => {
      const now = ids(await sas(gateway.monitor.client()), 'IfCe1');
      return now.length === 1 && now[0] !== ids(before, 'IfCe1')[0] && gateway.state('IfCe1') === 'Connected';
    });
    assert.deepEqual(ids(await sas(gateway.monitor.client()), 'IfWe1'), ids(before, 'IfWe1'));
    assert.ok(!gateway.seen.some((s) => s.startsWith('IfWe1')));
    await gateway.apply(both);
    await gateway.connected('IfCe1', 'IfWe1');
  });

  it('taking an interface out ends its tunnel and nothing else; the site is then refused', async () => {
    gateway.seen.length = 0;
    await gateway.apply([contoso]);
    await until('one SA left', async () => (await sas(gateway.monitor.client())).length === 1);
    const dial = sites[1]!.client.initiate({ ike: 'gw', child: 'gw', timeoutMs: 3000 });
    await assert.rejects(dial);
    assert.deepEqual(await ifIds(), [`IfCe1 ${CONTOSO.ifId}`]);
    assert.ok(!gateway.seen.some((s) => s.startsWith('IfCe1')));
    await gateway.apply(both);
    await gateway.connected('IfWe1');
  });

  it('charon killed: lost, back empty, loaded again, dialled again', async () => {
    gateway.seen.length = 0;
    await gw.end('SIGKILL');
    await until('charonLost', () => gateway.seen.includes('charonLost'));
    assert.equal(gateway.state('IfCe1'), 'Connected', 'the kernel still has its SAs');
    await until(
      'unreachable',
      () => gateway.state('IfCe1') === 'Unreachable' && gateway.state('IfWe1') === 'Unreachable',
    );
    assert.deepEqual(gateway.monitor.states().get('IfCe1')?.unReachabilityReasons, ['ServicePaused']);
    await assert.rejects(gateway.hand.observe('all'), /does not answer/);
    gw.start();
    await until('charonBack', () => gateway.seen.includes('charonBack'));
    assert.deepEqual(await gateway.hand.observe('all'), []);
    assert.equal(gateway.state('IfCe1'), 'Unreachable', 'nothing is dialled before it is loaded');
    await gateway.apply(both);
    await gateway.connected('IfCe1', 'IfWe1');
    assert.deepEqual(await ifIds(), [`IfCe1 ${CONTOSO.ifId}`, `IfWe1 ${WOODGROVE.ifId}`]);
  });

  it('a site that vanishes counts as dead within NetworkOutageTimeSeconds, and comes back', async () => {
    gateway.seen.length = 0;
    ip('-n', gw.netns, 'link', 'set', 's0', 'down');
    await until(
      'Contoso went down',
      () => gateway.state('IfCe1') !== 'Connected',
      () => gateway.seen,
      20_000, // the retransmissions' 12 s, and what a busy machine adds
    );
    assert.ok(!gateway.seen.some((s) => s.startsWith('IfWe1')));
    ip('-n', gw.netns, 'link', 'set', 's0', 'up');
    await gateway.connected('IfCe1', 'IfWe1');
  });

  it('a site that does not answer: the dial ends in time and leaves no half-open SA; the other tenant goes on', async () => {
    await gateway.monitor.stop();
    gateway = new Gateway(gw.socket, 500);
    await until('charonBack', () => gateway.seen.includes('charonBack'));
    await sites[1]!.charon.end('SIGKILL');
    const silent = { ...woodgrove, interface: { ...woodgrove.interface, retryIntervalSeconds: 60 } };
    await gateway.apply([contoso]);
    // The site's host is there and its charon is not, and a firewall in front of it swallows everything.
    ip('-n', gw.netns, 'link', 'set', 's1', 'down');
    ip(
      '-n',
      gw.netns,
      'neigh',
      'replace',
      '131.107.10.30',
      'lladdr',
      '02:00:00:00:00:30',
      'dev',
      'internet',
      'nud',
      'permanent',
    );
    await gateway.apply([contoso, silent]);
    await until('the dial failed', () => gateway.state('IfWe1') === 'Unreachable');
    assert.match(gateway.monitor.states().get('IfWe1')!.lastError, /not established after 500ms/);
    assert.deepEqual(
      (await sas(gateway.monitor.client())).map(({ name }) => name),
      ['IfCe1'],
    );
    assert.equal(gateway.state('IfCe1'), 'Connected');
  });
});
