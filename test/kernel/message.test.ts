/** The netlink codec: round trips, and no input that makes it throw. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type Attribute,
  Batch,
  encodeAttributes,
  NLM_F,
  NLMSG_ERROR,
  nested,
  parseAttributes,
  parseError,
  parseMessages,
  readString,
  readU32,
} from '../../kernel/rtnl/message.ts';

const value = <T>(r: { ok: true; value: T } | { ok: false; error: string }): T => {
  assert.ok(r.ok, r.ok ? '' : r.error);
  return r.value;
};

const attribute: fc.Arbitrary<Attribute> = fc.tuple(
  fc.integer({ min: 1, max: 0x3fff }),
  fc.oneof(fc.nat(0xffffffff), fc.uint8Array({ maxLength: 40 }), fc.stringMatching(/^[a-z0-9.]{0,20}$/)),
);

describe('netlink attributes', () => {
  it('come back as they went', () => {
    fc.assert(
      fc.property(fc.uniqueArray(attribute, { selector: ([type]) => type }), (list) => {
        const parsed = value(parseAttributes(encodeAttributes(list)));
        assert.equal(parsed.size, list.length);
        for (const [type, v] of list)
          if (typeof v === 'number') assert.equal(readU32(parsed, type), v);
          else if (typeof v === 'string') assert.equal(readString(parsed, type), v);
          else assert.deepEqual(new Uint8Array(parsed.get(type)!), v);
      }),
    );
  });

  it('nest', () => {
    const parsed = value(
      parseAttributes(
        encodeAttributes([
          [
            18,
            [
              [1, 'veth'],
              [2, [[7, 5]]],
            ],
          ],
        ]),
      ),
    );
    const info = nested(parsed, 18);
    assert.equal(readString(info, 1), 'veth');
    assert.equal(readU32(nested(info, 2), 7), 5);
  });

  it('have the bytes that rtnetlink(7) asks for', () => {
    assert.equal(encodeAttributes([[3, 'lo']]).toString('hex'), '07000300' + '6c6f0000');
    assert.equal(encodeAttributes([[18, [[1, 1]]]]).toString('hex'), '0c001280' + '08000100' + '01000000');
  });

  it('are refused, never overrun, when cut anywhere', () => {
    fc.assert(
      fc.property(fc.array(attribute, { minLength: 1 }), fc.nat(), (list, at) => {
        const whole = encodeAttributes(list);
        const cut = whole.subarray(0, at % whole.length);
        const parsed = parseAttributes(Buffer.from(cut));
        if (parsed.ok) assert.ok([...parsed.value.values()].every((b) => b.length <= cut.length));
      }),
    );
  });

  it('of any bytes give a result', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (b) => void parseAttributes(Buffer.from(b))));
  });
});

describe('netlink messages', () => {
  it('of a batch are numbered, and only the last asks for an ACK', () => {
    const batch = new Batch();
    for (let i = 0; i < 3; i++) batch.add(16 + i, NLM_F.CREATE, Buffer.alloc(16), [[3, `eth${i}`]]);
    const messages = value(parseMessages(batch.encode(7)));
    assert.deepEqual(
      messages.map((m) => [m.type, m.sequence, m.flags & NLM_F.ACK]),
      [
        [16, 7, 0],
        [17, 8, 0],
        [18, 9, NLM_F.ACK],
      ],
    );
    assert.ok(messages.every((m) => (m.flags & NLM_F.REQUEST) !== 0));
  });

  it('of any bytes, and of a batch cut anywhere, give a result', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (b) => void parseMessages(Buffer.from(b))));
    const whole = new Batch()
      .add(16, 0, Buffer.alloc(16), [[3, 'eth0']])
      .add(24, 0, Buffer.alloc(12))
      .encode(1);
    for (let n = 0; n < whole.length; n++) {
      const parsed = parseMessages(Buffer.from(whole.subarray(0, n)));
      assert.ok(!parsed.ok || parsed.value.length < 2);
    }
  });

  it('of errors give errno and the text of the kernel, cut or not', () => {
    const body = Buffer.concat([Buffer.alloc(20), encodeAttributes([[1, 'Nexthop has invalid gateway']])]);
    body.writeInt32LE(-101);
    const message = (payload: Buffer) => ({
      type: NLMSG_ERROR,
      flags: NLM_F.CAPPED | NLM_F.ACK_TLVS,
      sequence: 1,
      sender: 0,
      payload,
    });
    assert.deepEqual(value(parseError(message(body))), { errno: 101, text: 'Nexthop has invalid gateway' });
    for (let n = 0; n < body.length; n++) {
      const parsed = parseError(message(body.subarray(0, n)));
      assert.equal(parsed.ok, n >= 4);
      if (parsed.ok) assert.equal(parsed.value.errno, 101);
    }
  });
});
