/** vici's bytes: examples from the README, round trips, and no input that throws. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  decodeMessage,
  decodePacket,
  type Element,
  encodeMessage,
  encodePacket,
  listOf,
  type Message,
  message,
  type Packet,
  sectionsOf,
  textOf,
  type Value,
} from '../../vpn/vici/codec.ts';

const hex = (b: Uint8Array) => Buffer.from(b).toString('hex');

const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
/** Bytes that are valid UTF-8 come back as text, so only others are generated as bytes. */
const bytes = fc.uint8Array({ maxLength: 40 }).map((b) => Uint8Array.of(0xff, ...b));
const value: fc.Arbitrary<Value> = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 50 }), bytes);
const { tree } = fc.letrec<{ tree: Message; element: Element }>((tie) => ({
  element: fc.oneof({ depthSize: 'small' }, value, fc.array(value, { maxLength: 4 }), tie('tree')),
  tree: fc
    .uniqueArray(fc.tuple(name, tie('element')), { selector: ([n]) => n, maxLength: 5 })
    .map((entries) => new Map(entries)),
}));
const packet: fc.Arbitrary<Packet> = fc.oneof(
  fc.record(
    { type: fc.constantFrom('request' as const, 'event' as const), name, message: tree },
    { noNullPrototype: true },
  ),
  fc.record({ type: fc.constant('response' as const), message: tree }, { noNullPrototype: true }),
  fc.record({ type: fc.constantFrom('register' as const, 'unregister' as const), name }, { noNullPrototype: true }),
  fc.record(
    { type: fc.constantFrom('unknown-command' as const, 'confirm' as const, 'unknown-event' as const) },
    { noNullPrototype: true },
  ),
);

describe('vici codec', () => {
  it("encodes the README's example", () => {
    const m = message({ key1: 'value1', section1: { 'sub-section': { key2: 'value2' }, list1: ['item1', 'item2'] } });
    const b = encodeMessage(m);
    assert.ok(b.ok);
    assert.equal(
      Buffer.from(b.value).toString('latin1'),
      '\x03\x04key1\x00\x06value1\x01\x08section1\x01\x0bsub-section\x03\x04key2\x00\x06value2\x02' +
        '\x04\x05list1\x05\x00\x05item1\x05\x00\x05item2\x06\x02',
    );
  });

  it('numbers the packet types as the README does', () => {
    const types: [Packet, string][] = [
      [{ type: 'request', name: 'ab', message: message() }, '00026162'],
      [{ type: 'response', message: message() }, '01'],
      [{ type: 'unknown-command' }, '02'],
      [{ type: 'register', name: 'ab' }, '03026162'],
      [{ type: 'unregister', name: 'ab' }, '04026162'],
      [{ type: 'confirm' }, '05'],
      [{ type: 'unknown-event' }, '06'],
      [{ type: 'event', name: 'ab', message: message() }, '07026162'],
    ];
    for (const [p, expected] of types) {
      const b = encodePacket(p);
      assert.ok(b.ok);
      assert.equal(hex(b.value), expected);
    }
  });

  it('brings every packet back as it was, order included', () => {
    fc.assert(
      fc.property(packet, (p) => {
        const b = encodePacket(p);
        assert.ok(b.ok);
        const back = decodePacket(b.value);
        assert.deepEqual(back, { ok: true, value: p });
        assert.ok(back.ok);
        const again = encodePacket(back.value);
        assert.ok(again.ok && hex(again.value) === hex(b.value));
      }),
    );
  });

  it('refuses every truncation that cuts an element', () => {
    fc.assert(
      fc.property(tree, fc.nat(), (m, cut) => {
        const b = encodeMessage(m);
        assert.ok(b.ok);
        const short = b.value.subarray(0, b.value.length ? cut % b.value.length : 0);
        const back = decodeMessage(short);
        if (back.ok) {
          // Cut between two elements of the root: what is there is whole.
          const e = encodeMessage(back.value);
          assert.ok(e.ok);
          assert.equal(hex(e.value), hex(short));
        }
      }),
    );
  });

  it('never throws, and accepts only what it would write itself', () => {
    fc.assert(
      fc.property(packet, fc.array(fc.tuple(fc.nat(), fc.nat(7)), { minLength: 1, maxLength: 4 }), (p, flips) => {
        const b = encodePacket(p);
        assert.ok(b.ok);
        const bad = Uint8Array.from(b.value);
        for (const [at, bit] of flips) bad[at % bad.length]! ^= 1 << bit;
        const back = decodePacket(bad);
        if (!back.ok) return;
        const e = encodePacket(back.value);
        assert.ok(e.ok);
        assert.equal(hex(e.value), hex(bad));
      }),
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (b) => typeof decodePacket(b).ok === 'boolean'));
  });

  it('refuses, with the reason', () => {
    const cases: [string, string][] = [
      ['', 'truncated'],
      ['08', 'packet type'],
      ['0500', 'trailing bytes'],
      ['0102', 'nesting'],
      ['0106', 'nesting'],
      ['0105000161', 'nesting'],
      ['0107', 'element type'],
      ['01010161', 'truncated'],
      ['01040161', 'truncated'],
      ['01040161010162', 'nesting'],
      ['0103016100016103016100016103', 'duplicate name'],
      ['010301ff0000', 'name encoding'],
      [`01${'010161'.repeat(40)}`, 'nesting'],
    ];
    for (const [b, error] of cases) assert.deepEqual(decodePacket(Buffer.from(b, 'hex')), { ok: false, error }, b);
    assert.deepEqual(encodeMessage(message({ ['n'.repeat(256)]: '' })), { ok: false, error: 'name length' });
    assert.deepEqual(encodeMessage(message({ v: 'v'.repeat(65536) })), { ok: false, error: 'value length' });
    assert.deepEqual(encodeMessage(message({ '\ud800': '' })), { ok: false, error: 'name encoding' });
    const big = message(Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`v${i}`, 'v'.repeat(65000)])));
    assert.deepEqual(encodePacket({ type: 'response', message: big }), { ok: false, error: 'segment length' });
  });

  it('reads values by what they are', () => {
    const m = message({ text: 'a', list: ['b', 'c'], section: { x: { y: 'z' } }, der: Uint8Array.of(0xff) });
    assert.equal(textOf(m, 'text'), 'a');
    for (const n of ['list', 'section', 'der', 'absent']) assert.equal(textOf(m, n), undefined);
    assert.deepEqual(listOf(m, 'list'), ['b', 'c']);
    assert.deepEqual(listOf(m, 'text'), []);
    assert.deepEqual(sectionsOf(m), [['section', message({ x: { y: 'z' } })]]);
    assert.deepEqual(sectionsOf(m, 'section'), [['x', message({ y: 'z' })]]);
    assert.deepEqual(sectionsOf(m, 'text'), []);
  });
});
