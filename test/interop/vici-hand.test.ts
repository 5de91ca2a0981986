/** The charon hand against a real charon: what it loads reads back equal, and nothing else is touched. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { DEFAULT_SLOT } from '../../compartments/numbers.ts';
import type { AnyResource, Op, Verb } from '../../compartments/resource.ts';
import { CharonHand } from '../../vpn/io/charon-hand.ts';
import { connectionResource, loadShared } from '../../vpn/s2s/connection.ts';
import type { WatchedInterface } from '../../vpn/s2s/tunnels.ts';
import { listOf, type Message, message } from '../../vpn/vici/codec.ts';
import type { ViciClient } from '../../vpn/vici/io/client.ts';
import { address, CONTOSO, s2s, WOODGROVE } from '../vpn/fixtures.ts';
import { Charon, CONF, charonMissing } from './vici-charon.ts';

const missing = charonMissing();
const key = Buffer.alloc(32, 1);
const desired = ({ interface: i, slot, ifId }: WatchedInterface) =>
  connectionResource(i, { slot, ifId, localAddress: address('127.0.0.1') }, key);
const op = (verb: Verb, resource: AnyResource): Op => ({ verb, resource, impact: 'session' });
const told = (resources: readonly AnyResource[]) =>
  resources.map((r) => `${r.slot} ${r.key} ${'digest' in r.spec ? r.spec.digest : ''}`).sort();

describe(`charon hand, with a real charon${missing ? ` (skipped: ${missing})` : ''}`, () => {
  let charon: Charon;
  let client: ViciClient;
  let slots = new Map<string, number>();
  let hand: CharonHand;
  const keys = async () => [...listOf(await client.call('get-shared'), 'keys')].sort();

  before(async function () {
    if (missing) this.skip();
    charon = new Charon();
    charon.start();
    client = await charon.connect();
    hand = new CharonHand({ client: () => client, slots: () => slots });
  });
  after(async () => {
    client?.close();
    await charon?.remove();
  });
  beforeEach(async () => {
    slots = new Map([CONTOSO, WOODGROVE].map((w) => [w.interface.name, w.slot]));
    for (const name of listOf(await client.call('get-conns'), 'conns'))
      await client.call('unload-conn', message({ name }));
    for (const id of await keys()) await client.call('unload-shared', message({ id }));
  });

  it('sees nothing in an empty charon, and deletes what is absent without complaint', async () => {
    assert.deepEqual(await hand.observe('all'), []);
    await hand.execute(op('delete', desired(CONTOSO)));
  });

  it("reads back what it loaded, each tenant's in its slot; loading again changes nothing", async () => {
    const wanted = [desired(CONTOSO), desired(WOODGROVE)];
    for (const verb of ['create', 'create', 'update'] as const) {
      for (const r of wanted) await hand.execute(op(verb, r));
      assert.deepEqual(told(await hand.observe('all')), told(wanted));
      assert.equal((await keys()).length, 2);
    }
    assert.deepEqual(told(await hand.observe(CONTOSO.slot)), told([wanted[0]!]));
    assert.deepEqual(told(await hand.observe(9)), []);
  });

  it('a changed secret reads differently until it is loaded, and leaves no old secret behind', async () => {
    await hand.execute(op('create', desired(CONTOSO)));
    const changed = desired({ ...CONTOSO, interface: s2s({ sharedSecret: { reveal: () => 'another secret' } }) });
    assert.notDeepEqual(told(await hand.observe('all')), told([changed]));
    await hand.execute(op('update', changed));
    assert.deepEqual(told(await hand.observe('all')), told([changed]));
    assert.deepEqual(await keys(), [changed.payload.sharedId]);
  });

  it('what was loaded by half reads as different from what is wanted', async () => {
    const wanted = desired(CONTOSO);
    const different = async () => assert.notDeepEqual(told(await hand.observe('all')), told([wanted]));
    await client.call('load-conn', wanted.payload.connection);
    assert.equal((await hand.observe('all')).length, 1);
    await different();
    await client.call('load-shared', loadShared(wanted.payload));
    assert.deepEqual(told(await hand.observe('all')), told([wanted]));
    const old = desired({ ...CONTOSO, interface: s2s({ sharedSecret: { reveal: () => 'old' } }) });
    await client.call('load-shared', loadShared(old.payload));
    await different();
    await hand.execute(op('update', wanted));
    assert.deepEqual(told(await hand.observe('all')), told([wanted]));
    await client.call('unload-conn', message({ name: wanted.key }));
    assert.equal((await hand.observe('all')).length, 1);
    await different();
  });

  it('what is ours but unknown gets the default slot, and is deleted without a trace', async () => {
    const wanted = desired(CONTOSO);
    await hand.execute(op('create', wanted));
    await hand.execute(op('create', desired(WOODGROVE)));
    slots.delete(wanted.key);
    const [stray] = await hand.observe(DEFAULT_SLOT);
    assert.equal(stray?.key, wanted.key);
    await hand.execute(op('delete', stray!));
    assert.deepEqual(told(await hand.observe('all')), told([desired(WOODGROVE)]));
    assert.deepEqual(await keys(), [desired(WOODGROVE).payload.sharedId]);
    assert.deepEqual(listOf(await client.call('get-conns'), 'conns'), ['IfWe1']);
  });

  it("does not see or touch an operator's own connections and secrets", async () => {
    await client.call(
      'load-conn',
      message({ mine: { version: '2', local: { auth: 'psk' }, remote: { auth: 'psk' } } }),
    );
    await client.call('load-shared', message({ id: 'mine', type: 'IKE', data: 'x', owners: ['192.0.2.1'] }));
    assert.deepEqual(await hand.observe('all'), []);
    await hand.execute(op('create', desired(CONTOSO)));
    await hand.execute(op('delete', desired(CONTOSO)));
    assert.deepEqual(await keys(), ['mine']);
    assert.deepEqual(listOf(await client.call('get-conns'), 'conns'), ['mine']);
  });

  it("never shows a secret in charon's log", async () => {
    await hand.execute(op('create', desired(CONTOSO)));
    const log = charon.log();
    assert.ok(log.includes(desired(CONTOSO).payload.sharedId), 'the log is the one we mean');
    assert.ok(!log.includes(CONTOSO.interface.sharedSecret.reveal()));
    assert.ok(!log.includes(Buffer.from(CONTOSO.interface.sharedSecret.reveal()).toString('hex')));
  });

  it('charon has loaded every plugin of its list, and they give every algorithm that we propose', async () => {
    const wanted = /^\s*load = (.*)$/m.exec(fs.readFileSync(CONF, 'utf8'))?.[1];
    assert.equal(/loaded plugins: charon-systemd (.*)/.exec(charon.log())?.[1]?.trim(), wanted);
    const algorithms = await client.call('get-algorithms');
    const named = (kind: string) => [...(algorithms.get(kind) as Message).keys()];
    for (const [kind, names] of [
      ['encryption', ['AES_CBC']],
      ['aead', ['AES_GCM_16']],
      ['integrity', ['HMAC_SHA2_384_192']],
      ['prf', ['PRF_HMAC_SHA2_384']],
      ['dh', ['ECP_384', 'CURVE_25519']],
    ] as const)
      for (const name of names) assert.ok(named(kind).includes(name), `${name} of ${named(kind)}`);
  });

  it("every plugin of the list is in the image's packages or in what those need", () => {
    const list = fs.readFileSync(path.resolve(path.dirname(CONF), '../packages.list'), 'utf8').split('\n');
    const run = (...argv: [string, ...string[]]) => execFileSync(argv[0], argv.slice(1), { encoding: 'utf8' });
    const ours = list.filter((p) => /^(charon|lib)?strongswan|^charon/.test(p));
    assert.ok(ours.length >= 3, String(ours));
    const needed = run('dpkg-query', '-W', '-f', `\${Depends}, `, ...ours).split(/[,|]/);
    const names = new Set([...ours, ...needed.map((d) => d.trim().split(' ')[0]!)]);
    const files = run('dpkg', '-L', ...[...names].filter((n) => n.includes('strongswan') || n.startsWith('charon')));
    for (const plugin of /^\s*load = (.*)$/m.exec(fs.readFileSync(CONF, 'utf8'))![1]!.split(' '))
      assert.ok(files.includes(`/libstrongswan-${plugin}.so`), plugin);
  });

  it('throws while charon is lost, instead of seeing nothing', async () => {
    const lost = new CharonHand({
      client: () => {
        throw new Error('charon does not answer');
      },
      slots: () => slots,
    });
    await assert.rejects(lost.observe('all'), /does not answer/);
  });
});
