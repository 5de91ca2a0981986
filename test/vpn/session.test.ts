/** One vici connection as bytes: queue, streams, interleaved events, any fragmentation. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodePacket, encodePacket, MAX_SEGMENT, message, type Packet } from '../../vpn/vici/codec.ts';
import { type Received, segment, ViciSession } from '../../vpn/vici/session.ts';

const wire = (...packets: Packet[]): Buffer =>
  Buffer.concat(
    packets.map((p) => {
      const b = encodePacket(p);
      assert.ok(b.ok);
      return segment(b.value);
    }),
  );
const read = (b: Uint8Array): Packet => {
  const p = decodePacket(b.subarray(4));
  assert.ok(p.ok);
  return p.value;
};
const submit = (s: ViciSession, ...[job]: Parameters<ViciSession['submit']>) => {
  const r = s.submit(job);
  assert.ok(r.ok);
  return { id: r.value.id, write: r.value.write.map(read) };
};
const receive = (s: ViciSession, b: Uint8Array): Received => {
  const r = s.receive(b);
  assert.ok(r.ok, JSON.stringify(r));
  return r.value;
};
const command = (name: string) => ({ kind: 'command' as const, command: name, message: message() });
const response = (v: string): Packet => ({ type: 'response', message: message({ v }) });
const event = (name: string, v: string): Packet => ({ type: 'event', name, message: message({ v }) });

describe('vici session', () => {
  it('keeps one request outstanding and answers in order', () => {
    const s = new ViciSession();
    const a = submit(s, command('a'));
    const b = submit(s, command('b'));
    assert.deepEqual(a.write, [{ type: 'request', name: 'a', message: message() }]);
    assert.deepEqual(b.write, []);
    const r = receive(s, wire(response('1')));
    assert.deepEqual(r.write.map(read), [{ type: 'request', name: 'b', message: message() }]);
    assert.deepEqual(r.finished, [
      { id: a.id, outcome: { kind: 'response', message: message({ v: '1' }), items: [] } },
    ]);
    assert.equal(receive(s, wire({ type: 'unknown-command' })).finished[0]?.outcome.kind, 'unknown-command');
  });

  it('lets events come between a request and its answer, and before the confirmation of a registration', () => {
    const s = new ViciSession();
    const reg = submit(s, { kind: 'register', event: 'e' });
    const r = receive(s, wire(event('e', '1'), { type: 'confirm' }, event('e', '2')));
    assert.deepEqual(r.finished, [{ id: reg.id, outcome: { kind: 'confirmed' } }]);
    assert.deepEqual(
      r.events.map((e) => e.message.get('v')),
      ['1', '2'],
    );
    const c = submit(s, command('c'));
    const r2 = receive(s, wire(event('e', '3'), response('x')));
    assert.equal(r2.finished[0]?.id, c.id);
    assert.equal(r2.events.length, 1);
  });

  it('streams: registers, collects its own events only, unregisters, and then goes on', () => {
    const s = new ViciSession();
    const st = submit(s, { kind: 'stream', command: 'list-sas', event: 'list-sa', message: message() });
    submit(s, command('next'));
    assert.deepEqual(st.write, [{ type: 'register', name: 'list-sa' }]);
    assert.deepEqual(receive(s, wire({ type: 'confirm' })).write.map(read), [
      { type: 'request', name: 'list-sas', message: message() },
    ]);
    const r = receive(s, wire(event('list-sa', '1'), event('other', 'o'), event('list-sa', '2'), response('end')));
    assert.deepEqual(r.write.map(read), [{ type: 'unregister', name: 'list-sa' }]);
    assert.deepEqual(r.finished, []);
    assert.deepEqual(
      r.events.map((e) => e.name),
      ['other'],
    );
    const last = receive(s, wire({ type: 'confirm' }));
    assert.deepEqual(last.finished, [
      {
        id: st.id,
        outcome: {
          kind: 'response',
          message: message({ v: 'end' }),
          items: [message({ v: '1' }), message({ v: '2' })],
        },
      },
    ]);
    assert.deepEqual(last.write.map(read), [{ type: 'request', name: 'next', message: message() }]);
  });

  it('a stream of an unknown event or command ends cleanly', () => {
    const s = new ViciSession();
    submit(s, { kind: 'stream', command: 'c', event: 'no', message: message() });
    assert.deepEqual(receive(s, wire({ type: 'unknown-event' })).finished[0]?.outcome, {
      kind: 'unknown-event',
      event: 'no',
    });
    submit(s, { kind: 'stream', command: 'no', event: 'e', message: message() });
    receive(s, wire({ type: 'confirm' }));
    receive(s, wire({ type: 'unknown-command' }));
    const r = receive(s, wire({ type: 'confirm' }));
    assert.deepEqual(r.finished[0]?.outcome, { kind: 'unknown-command', command: 'no' });
  });

  it('reads the same from any fragmentation', () => {
    const all = wire(event('e', 'a'.repeat(300)), response('1'), event('e', 'b'), event('f', 'c'));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), (sizes) => {
        const s = new ViciSession();
        submit(s, command('c'));
        const events: string[] = [];
        const finished: number[] = [];
        for (let at = 0, i = 0; at < all.length; i++) {
          const end = at + sizes[i % sizes.length]!;
          const r = receive(s, all.subarray(at, end));
          events.push(...r.events.map((e) => e.name));
          finished.push(...r.finished.map((f) => f.id));
          at = end;
        }
        assert.deepEqual([events, finished], [['e', 'e', 'f'], [1]]);
      }),
    );
  });

  it('refuses answers nobody asked for, bad packets and oversized segments', () => {
    const wrong = (b: Uint8Array, ...jobs: Parameters<ViciSession['submit']>[0][]) => {
      const s = new ViciSession();
      for (const j of jobs) submit(s, j);
      const r = s.receive(b);
      assert.ok(!r.ok);
      return r.error;
    };
    assert.deepEqual(wrong(wire(response('1'))), { kind: 'unexpected', packet: 'response' });
    assert.deepEqual(wrong(wire({ type: 'confirm' }), command('c')), { kind: 'unexpected', packet: 'confirm' });
    const register = { kind: 'register' as const, event: 'e' };
    assert.deepEqual(wrong(wire(response('1')), register), { kind: 'unexpected', packet: 'response' });
    assert.deepEqual(wrong(wire({ type: 'request', name: 'x', message: message() }), command('c')), {
      kind: 'unexpected',
      packet: 'request',
    });
    const huge = Buffer.alloc(4);
    huge.writeUInt32BE(MAX_SEGMENT + 1);
    assert.deepEqual(wrong(huge), { kind: 'codec', error: 'segment length' });
    assert.deepEqual(wrong(Buffer.from([0, 0, 0, 0])), { kind: 'codec', error: 'truncated' });
    assert.deepEqual(wrong(Buffer.from([0, 0, 0, 1, 9])), { kind: 'codec', error: 'packet type' });
  });

  it('refuses a job that cannot be encoded, and stays usable', () => {
    const s = new ViciSession();
    const r = s.submit({ kind: 'command', command: 'c', message: message({ v: 'v'.repeat(70000) }) });
    assert.deepEqual(r, { ok: false, error: 'value length' });
    assert.deepEqual(submit(s, command('ok')).write.length, 1);
  });
});
