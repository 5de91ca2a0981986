/** Health of DIPs: when it changes and when not (R-NAT-6). */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PROBE_ANSWER, probeAnswer, probed, probeRequest, UNKNOWN_HEALTH } from '../../nat/probe.ts';

describe('health of a DIP', () => {
  it('the first answer decides, later ones after enough in a row, over any sequence', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 40 }), fc.integer({ min: 1, max: 4 }), (answers, enough) => {
        let health = UNKNOWN_HEALTH;
        for (const [i, answer] of answers.entries()) {
          const before = health.healthy;
          health = probed(health, answer, enough);
          const last = answers.slice(Math.max(0, i + 1 - enough), i + 1);
          if (i === 0) assert.equal(health.healthy, answer);
          else if (health.healthy !== before) assert.ok(last.length === enough && last.every((a) => a !== before));
          // Enough equal answers in a row decide, whatever was before.
          if (i >= enough && last.every((a) => a === answer)) assert.equal(health.healthy, answer);
        }
      }),
    );
  });

  it('nobody asked yet: healthy', () => assert.equal(UNKNOWN_HEALTH.healthy, true));

  it('HTTP: status 200 and no other; a status line that is not whole yet is waited for', () => {
    const answer = (text: string) => probeAnswer(Buffer.from(text, 'latin1'));
    assert.equal(answer('HTTP/1.1 200 OK\r\n'), true);
    assert.equal(answer('HTTP/1.0 200\n'), true);
    for (const bad of ['HTTP/1.1 503 Busy\r\n', 'HTTP/1.1 2000\r\n', 'SSH-2.0-x\r\n', '\n'])
      assert.equal(answer(bad), false);
    for (const part of ['', 'HTTP/1.1 20', 'HTTP/1.1 200 OK']) assert.equal(answer(part), undefined);
    assert.equal(answer('x'.repeat(PROBE_ANSWER)), false);
  });

  it('HTTP: the request', () => {
    const probe = {
      protocol: 'HTTP',
      port: 80,
      requestPath: '/health',
      intervalSeconds: 5,
      numberOfProbes: 2,
    } as const;
    assert.match(
      probeRequest(probe, '10.0.0.10:80'),
      /^GET \/health HTTP\/1\.1\r\nHost: 10\.0\.0\.10:80\r\n.*\r\n\r\n$/s,
    );
  });
});
