/**
 * Connections that change while their peers dial in without pause, with two real charons: the gateway's, and one for the sites
 * of both tenants. Nobody is ever established on the other tenant's connection, and a gateway that dies at any step leaves no
 * tunnel that the former secret authenticated.
 */
import assert from 'node:assert/strict';
import { type Outcome, reconcile } from '../../compartments/reconcile.ts';
import { CharonHand } from '../../vpn/io/charon-hand.ts';
import { connectionResource } from '../../vpn/s2s/connection.ts';
import type { WatchedInterface } from '../../vpn/s2s/tunnels.ts';
import { listOf, message, sectionsOf, textOf } from '../../vpn/vici/codec.ts';
import type { ViciClient } from '../../vpn/vici/io/client.ts';
import { ViciError } from '../../vpn/vici/io/connection.ts';
import { address, CONTOSO, s2s, WOODGROVE } from '../vpn/fixtures.ts';
import { Charon, charonMissing, ip, until } from './vici-charon.ts';

const missing = charonMissing();
const userspace = (conf: string) => conf.replace(' kernel-netlink', ' kernel-libipsec kernel-netlink');
const GATEWAY = '131.107.10.10';
const SITE = { IfCe1: '131.107.10.20', IfWe1: '131.107.10.30' } as const;
type Name = keyof typeof SITE;
const NAMES: readonly Name[] = ['IfCe1', 'IfWe1'];
const SECRET = { IfCe1: "Contoso's secret", IfWe1: "Woodgrove's secret" } as const;

const watched = (name: Name, destination: string = SITE[name], secret: string = SECRET[name]): WatchedInterface => ({
  ...(name === 'IfCe1' ? CONTOSO : WOODGROVE),
  interface: s2s({ name, destination: address(destination), sharedSecret: { reveal: () => secret } }),
});
const normal = NAMES.map((n) => watched(n));
const swapped = [watched('IfCe1', SITE.IfWe1), watched('IfWe1', SITE.IfCe1)];
/** Of which Contoso's site does not know. */
const newSecret = [watched('IfCe1', SITE.IfCe1, 'a new secret'), watched('IfWe1')];

const slots = new Map<string, number>([CONTOSO, WOODGROVE].map((w, n) => [NAMES[n]!, w.slot]));
const apply = (client: ViciClient, interfaces: readonly WatchedInterface[]): Promise<Outcome> =>
  reconcile([new CharonHand({ client: () => client, slots: () => slots })], 'all', () =>
    interfaces.map(({ interface: i, slot, ifId }) =>
      connectionResource(i, { slot, ifId, localAddress: address(GATEWAY) }, Buffer.alloc(32)),
    ),
  );

/** A client that does something before every command. */
function paced(client: ViciClient, first: () => Promise<void>): ViciClient {
  const behind =
    <A extends unknown[], R>(f: (...a: A) => Promise<R>) =>
    async (...a: A): Promise<R> => {
      await first();
      return f(...a);
    };
  const commands = { call: behind(client.call.bind(client)), stream: behind(client.stream.bind(client)) };
  return Object.assign(Object.create(client) as ViciClient, commands);
}

/** As a client of a process that dies after `commands` commands; `died` tells whether it came to that. */
function mortal(client: ViciClient, commands: number): { client: ViciClient; died: () => boolean } {
  let left = commands;
  const dying = async () => {
    if (left-- <= 0) throw new ViciError('CLOSED', 'the gateway died');
  };
  return { client: paced(client, dying), died: () => left < 0 };
}

describe(`changed connections under dialling peers, with real charons${missing ? ` (skipped: ${missing})` : ''}`, function () {
  this.timeout(240_000);
  let gateway: Charon;
  let sites: Charon;
  let client: ViciClient;
  let site: ViciClient;
  /** `<connection> <peer>` of every IKE_SA that the gateway ever established. */
  const established: string[] = [];
  /** Dials that were answered. */
  const answered = { IfCe1: 0, IfWe1: 0 };
  let dialling = true;
  /** Sites take their tunnels down as soon as they are up, to dial again. */
  let restless = false;
  const dialled: Promise<void>[] = [];

  const sas = async (c: ViciClient, name?: Name) =>
    (await c.stream('list-sas', 'list-sa'))
      .flatMap((m) => sectionsOf(m))
      .filter(([n, sa]) => textOf(sa, 'state') === 'ESTABLISHED' && (name === undefined || n === name))
      .map(([n, sa]) => ({ name: n, peer: textOf(sa, 'remote-host'), id: textOf(sa, 'uniqueid') }));
  const both = () =>
    until('both established', async () => {
      const names = new Set((await sas(client)).map((s) => s.name));
      return NAMES.every((n) => names.has(n));
    });

  /** Brings its tunnel up whenever it has none, without pause. */
  async function dialOn(name: Name): Promise<void> {
    while (dialling) {
      if ((await sas(site, name)).length === 0) {
        await site.initiate({ ike: name, child: name, timeoutMs: 1000 }).catch(() => undefined);
        answered[name]++;
      } else if (restless) await site.call('terminate', message({ ike: name, force: 'yes' })).catch(() => undefined);
      else await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  /** The first answer may be to a dial that began before. */
  const everybodyDialled = async () => {
    const from = { ...answered };
    await until('two dials each', () => NAMES.every((n) => answered[n] >= from[n] + 2));
  };

  before(async function () {
    if (missing) this.skip();
    gateway = new Charon({ edit: userspace });
    sites = new Charon({ edit: userspace });
    ip('link', 'add', 'wire', 'netns', gateway.netns, 'type', 'veth', 'peer', 'name', 'wire', 'netns', sites.netns);
    for (const [netns, ...addresses] of [
      [gateway.netns, GATEWAY],
      [sites.netns, ...Object.values(SITE)],
    ] as const) {
      for (const a of addresses) ip('-n', netns, 'addr', 'add', `${a}/24`, 'dev', 'wire');
      ip('-n', netns, 'link', 'set', 'wire', 'up');
    }
    gateway.start();
    sites.start();
    [client, site] = await Promise.all([gateway.connect(), sites.connect()]);
    await client.subscribe(['ike-updown']);
    client.on((_, m) => {
      if (m.has('up')) for (const [n, sa] of sectionsOf(m)) established.push(`${n} ${textOf(sa, 'remote-host')}`);
    });
    for (const name of NAMES) {
      const local = SITE[name];
      const child = { local_ts: ['10.1.0.0/24'], remote_ts: ['10.0.0.0/24'], esp_proposals: ['aes256gcm16-ecp384'] };
      const connection = {
        version: '2',
        local_addrs: [local],
        remote_addrs: [GATEWAY],
        mobike: 'no',
        proposals: ['aes256-sha384-ecp384'],
        local: { auth: 'psk', id: local },
        remote: { auth: 'psk', id: GATEWAY },
        children: { [name]: child },
      };
      await site.call('load-conn', message({ [name]: connection }));
      const shared = { id: name, type: 'IKE', data: SECRET[name], owners: [local, GATEWAY] };
      await site.call('load-shared', message(shared));
    }
    for (const name of NAMES) dialled.push(dialOn(name));
  });
  after(async () => {
    dialling = false;
    await Promise.allSettled(dialled);
    client?.close();
    site?.close();
    await sites?.remove();
    await gateway?.remove();
  });

  it("swapped Destinations: no site is ever established on the other tenant's connection", async () => {
    assert.ok((await apply(client, normal)).settled);
    await both();
    assert.ok((await apply(client, swapped)).settled);
    assert.deepEqual(await sas(client), [], 'what was established with the former Destination is gone');
    await everybodyDialled();
    assert.deepEqual(await sas(client), []);
    assert.ok((await apply(client, normal)).settled);
    await both();
    // Now both dial between any two steps of the gateway.
    restless = true;
    const slow = paced(client, everybodyDialled);
    for (const interfaces of [swapped, normal]) assert.ok((await apply(slow, interfaces)).settled);
    restless = false;
    await both();
    assert.deepEqual([...new Set(established)].sort(), [`IfCe1 ${SITE.IfCe1}`, `IfWe1 ${SITE.IfWe1}`]);
  });

  it('a gateway that dies at any step of a changed secret leaves no tunnel that the former one authenticated', async () => {
    let died = true;
    let steps = 0;
    for (; died; steps++) {
      assert.ok((await apply(client, normal)).settled);
      await both();
      const before = await sas(client, 'IfWe1');
      const doomed = mortal(client, steps);
      await apply(doomed.client, newSecret).catch(() => undefined);
      died = doomed.died();
      const outcome = await apply(client, newSecret);
      assert.ok(outcome.settled);
      assert.deepEqual(await sas(client, 'IfCe1'), [], `died after ${steps} commands`);
      assert.deepEqual(await sas(client, 'IfWe1'), before, 'the other tenant is not disturbed');
      assert.equal(listOf(await client.call('get-shared'), 'keys').length, 2);
    }
    assert.ok(steps > 10, `${steps} steps`);
  });

  it('a gateway that dies and starts with the former secret again is left with what that one authenticated, or dials anew', async () => {
    for (const steps of [3, 4, 5, 6, 7, 8, 9]) {
      assert.ok((await apply(client, normal)).settled);
      await both();
      await apply(mortal(client, steps).client, newSecret).catch(() => undefined);
      assert.ok((await apply(client, normal)).settled);
      await both();
      const again = await apply(client, normal);
      assert.deepEqual(again.done, [], 'adopting touches nothing');
    }
  });
});
