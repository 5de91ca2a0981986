/** The vici client against a server that misbehaves in every way a socket allows. */
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { type Message, message, type Packet } from '../../vpn/vici/codec.ts';
import { connectWhenReady, ViciClient } from '../../vpn/vici/io/client.ts';
import { ViciError, type ViciErrorCode } from '../../vpn/vici/io/connection.ts';
import { type Behaviour, FakeCharon, obedient } from './fake-charon.ts';

const ok: Packet = { type: 'response', message: message({ success: 'yes' }) };
const event = (name: string, v: string): Packet => ({ type: 'event', name, message: message({ v }) });
const code = (expected: ViciErrorCode) => (e: unknown) => e instanceof ViciError && e.code === expected;

describe('vici client', () => {
  let server: FakeCharon | undefined;
  let client: ViciClient | undefined;
  const against = async (behaviour: Behaviour): Promise<ViciClient> => {
    server = new FakeCharon(behaviour);
    await server.listen();
    client = await ViciClient.connect(server.path);
    return client;
  };
  afterEach(async () => {
    client?.close();
    await server?.remove();
    client = server = undefined;
  });

  it('gets the answer although an event comes first', async () => {
    const c = await against(obedient((name) => (name === 'version' ? [event('e', '1'), ok] : undefined)));
    assert.deepEqual(await c.call('version'), ok.message);
  });

  it('delivers events in order, from before the confirmation on', async () => {
    const c = await against((p, send) => {
      if (p.type === 'register') send(event(p.name, '1'), { type: 'confirm' }, event(p.name, '2'));
    });
    const got: string[] = [];
    const all = new Promise<void>((resolve) => {
      c.on((name, m) => {
        got.push(`${name} ${m.get('v')}`);
        if (got.length === 4) resolve();
      });
    });
    await c.subscribe(['a', 'b']);
    await all;
    assert.deepEqual(got, ['a 1', 'a 2', 'b 1', 'b 2']);
  });

  it('says UNKNOWN for a command or event that charon does not have', async () => {
    const c = await against((p, send) =>
      send(p.type === 'request' ? { type: 'unknown-command' } : { type: 'unknown-event' }),
    );
    await assert.rejects(c.call('no-such'), code('UNKNOWN'));
    await assert.rejects(c.stream('list-sas', 'no-such'), code('UNKNOWN'));
    await assert.rejects(c.subscribe(['no-such']), code('UNKNOWN'));
  });

  it("says REFUSED with charon's reason, and goes on", async () => {
    const refusal: Packet = { type: 'response', message: message({ success: 'no', errmsg: 'unknown option: foo' }) };
    const c = await against(obedient((name) => [name === 'load-conn' ? refusal : ok]));
    await assert.rejects(c.call('load-conn'), (e) => code('REFUSED')(e) && /unknown option: foo/.test(String(e)));
    await c.call('version');
  });

  it('gives up after the time limit; the connection is lost with it, since the late answer would be taken for the next', async () => {
    const c = await against(obedient(() => undefined));
    await assert.rejects(c.call('version', message(), 50), code('TIMEOUT'));
    assert.equal((await c.closed).code, 'TIMEOUT');
    await assert.rejects(c.call('version'), code('TIMEOUT'));
  });

  it('ends every waiting call when charon dies', async () => {
    const c = await against((p, _send, socket) => {
      if (p.type === 'request') socket.destroy();
    });
    const calls = [c.call('a'), c.call('b'), c.stream('c', 'd')];
    for (const r of await Promise.allSettled(calls)) assert.ok(r.status === 'rejected' && code('CLOSED')(r.reason));
    assert.equal((await c.closed).code, 'CLOSED');
  });

  for (const [what, garbage] of [
    ['an oversized segment', Buffer.from('00080001', 'hex')],
    ['a packet of an unknown type', Buffer.from('0000000109', 'hex')],
    ['an answer that nobody asked for', Buffer.from('0000000105', 'hex')],
  ] as const)
    it(`gives ${what} up as PROTOCOL`, async () => {
      const c = await against((_p, _send, socket) => void socket.write(garbage));
      await assert.rejects(c.call('version'), code('PROTOCOL'));
      assert.equal((await c.closed).code, 'PROTOCOL');
    });

  it('dials on a connection of its own, while quick commands go on', async () => {
    let finish: (...p: Packet[]) => void = () => undefined;
    const c = await against((p, send) => {
      if (p.type === 'register' || p.type === 'unregister') send({ type: 'confirm' });
      else if (p.type === 'request' && p.name === 'initiate') finish = send;
      else send(ok);
    });
    let done = false;
    const dial = c.initiate({ ike: 'IfCe1', child: 'IfCe1', timeoutMs: 1000 }).then(() => {
      done = true;
    });
    while (!server?.received.some((p) => p.type === 'request' && p.name === 'initiate')) await c.call('version');
    assert.ok(!done);
    finish(event('control-log', 'initiating'), ok);
    await dial;
    assert.ok(done);
    const request = server.received.find((p) => p.type === 'request' && p.name === 'initiate');
    assert.equal((request as { message: Message }).message.get('timeout'), '1000');
  });

  it("a failed dial gives charon's log of it", async () => {
    const no: Packet = { type: 'response', message: message({ success: 'no', errmsg: 'failed' }) };
    const c = await against(obedient(() => [event('control-log', 'one'), event('control-log', 'two'), no]));
    const e = await c.initiate({ ike: 'a', child: 'a', timeoutMs: 1000 }).catch((x: unknown) => x);
    assert.ok(e instanceof ViciError && e.code === 'REFUSED');
    assert.deepEqual(
      e.items.map((m) => m.get('v')),
      ['one', 'two'],
    );
  });

  it('no error repeats what was sent', async () => {
    const secret = 'tell-nobody';
    const c = await against(obedient(() => undefined));
    const m = message({ data: secret });
    const tooBig = c.call('load-shared', message({ data: secret.repeat(10_000) })).catch((e: unknown) => e);
    const late = c.call('load-shared', m, 30).catch((e: unknown) => e);
    for (const e of await Promise.all([tooBig, late])) {
      assert.ok(e instanceof ViciError);
      assert.ok(!inspect(e, { depth: 9 }).includes(secret));
    }
  });

  it('waits until charon answers, not until the file is there', async () => {
    server = new FakeCharon(obedient(() => [ok]));
    await server.listen();
    await server.crash();
    await assert.rejects(ViciClient.connect(server.path), code('CLOSED'));
    await assert.rejects(connectWhenReady(server.path, 100), code('CLOSED'));
    const stopped = AbortSignal.abort();
    await assert.rejects(connectWhenReady(server.path, 60_000, stopped));
  });

  it('is not content with a connection that is accepted and not answered', async () => {
    let answers = false;
    server = new FakeCharon((_p, send) => {
      if (answers) send(ok);
      answers = true;
    });
    await server.listen();
    await assert.rejects(connectWhenReady(server.path, 100), code('TIMEOUT'));
    client = await connectWhenReady(server.path, 5000);
  });
});
