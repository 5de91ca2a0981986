import assert from 'node:assert/strict';
import { natSizes, sessionsOf } from '../../nat/sizes.ts';

describe('sizes of the NAT’s maps', () => {
  it('follow the memory, within bounds', () => {
    const MiB = 2 ** 20;
    for (const [memory, sessions] of [
      [0, 16_384],
      [128, 32_768],
      [750, 131_072],
      [2048, 524_288],
      [65_536, 524_288],
    ] as const)
      assert.equal(sessionsOf(natSizes(memory * MiB).flows), sessions, `${memory} MiB`);
  });
});
