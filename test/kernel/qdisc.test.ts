/** Token bucket filters as bytes: what goes out can be read back, and nothing makes the parser throw. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Batch, parseMessages } from '../../kernel/rtnl/message.ts';
import { parseQdisc, setTokenBucket } from '../../kernel/rtnl/qdisc.ts';

const payloadOf = (batch: Batch): Buffer => {
  const messages = parseMessages(batch.encode(1));
  assert.ok(messages.ok);
  return messages.value[0]!.payload;
};

describe('token bucket filter', () => {
  it('has rate, least packet and limit where struct tc_tbf_qopt has them', () => {
    const qdisc = parseQdisc(
      payloadOf(setTokenBucket(new Batch(), 7, { rate: 12_500_000, burst: 3000, limit: 9, leastPacket: 1500 })),
    );
    assert.ok(qdisc.ok);
    // The burst is a time in the kernel's answer only.
    assert.deepEqual(qdisc.value, {
      index: 7,
      root: true,
      kind: 'tbf',
      tokenBucket: { rate: 12_500_000, burst: 0, limit: 9, leastPacket: 1500 },
    });
  });

  it('is refused or read, never overrun, when cut or damaged anywhere', () => {
    const whole = payloadOf(setTokenBucket(new Batch(), 7, { rate: 1, burst: 2, limit: 3, leastPacket: 4 }));
    fc.assert(
      fc.property(fc.nat(whole.length), fc.nat(whole.length - 1), fc.nat(255), (length, at, byte) => {
        const damaged = Buffer.from(whole);
        damaged[at] = byte;
        parseQdisc(damaged.subarray(0, length));
      }),
    );
  });
});
