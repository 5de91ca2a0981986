/** The NAT's data plane beside its reference model, a short run; `npm run fuzz:nat` is the long one. */
import assert from 'node:assert/strict';
import { cannotMakeNamespaces } from '../netns/world.ts';
import { fuzzNat } from './nat-differential.ts';

describe('nat.bpf.c beside its model', function () {
  this.timeout(180_000);

  before(function () {
    if (cannotMakeNamespaces()) this.skip();
  });

  it('agrees on random packets and time, and on what it keeps: sessions, mappings, blocks, counts', async () => {
    const seed = Date.now() % 0x7fffffff;
    console.log(`      seed ${seed}: again with \`npm run fuzz:nat -- --frames 6000 --seed ${seed}\``);
    const { verdicts, sweeps } = await fuzzNat(6000, seed);
    const seen = verdicts.map(([verdict]) => verdict);
    const every = [
      'out: to outside',
      'out: to inside',
      'in: to inside',
      'in: pass',
      'in: error to inside',
      'out: error to outside',
    ];
    const dropped = ['NAT_PORTS, answered', 'NAT_POLICY, answered', 'NAT_NO_MAPPING', 'NAT_NO_SESSION'].map(
      (r) => `out: drop ${r}`,
    );
    for (const verdict of [...every, ...dropped]) assert.ok(seen.includes(verdict), `${verdict} among ${seen}`);
    assert.ok(sweeps > 0);
  });
});
