/** When changes of the network wake a compartment: soon, seldom, and never never. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { GAP_MS, SETTLE_MS, Wakes } from '../../gateway/wake.ts';

/** A clock with timers that the test moves. */
function bench() {
  let now = 0;
  let timers: { at: number; callback: () => void }[] = [];
  const woken: { at: number; slot: number }[] = [];
  const wakes = new Wakes({
    now: () => now,
    after: (ms, callback) => timers.push({ at: now + ms, callback }),
    wake: (slot) => woken.push({ at: now, slot }),
  });
  const pass = (ms: number) => {
    const end = now + ms;
    for (;;) {
      const next = timers.filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      timers = timers.filter((t) => t !== next);
      now = next.at;
      next.callback();
    }
    now = end;
  };
  return { wakes, pass, woken };
}

describe('waking by changes of the network', () => {
  it('a burst is one look, and of its own compartment', () => {
    const { wakes, pass, woken } = bench();
    for (let i = 0; i < 1000; i++) wakes.event(2);
    pass(10_000);
    assert.deepEqual(woken, [{ at: SETTLE_MS, slot: 2 }]);
    wakes.event(3);
    wakes.event(2);
    pass(10_000);
    assert.deepEqual(woken.slice(1), [
      { at: 10_000 + SETTLE_MS, slot: 3 },
      { at: 10_000 + SETTLE_MS, slot: 2 },
    ]);
  });

  it('an echo of every look becomes rarer, up to once a minute; another compartment is not slowed down', () => {
    const { wakes, pass, woken } = bench();
    wakes.event(2);
    for (let second = 0; second < 600; second++) {
      pass(1000);
      wakes.event(2); // as if each look were answered by somebody's change
    }
    const looks = woken.map((w) => w.at);
    assert.ok(looks.length < 20, `${looks.length} looks in ten minutes`);
    const last = looks.at(-1)! - looks.at(-2)!;
    assert.ok(last >= GAP_MS.most && last <= GAP_MS.most + 1000, `${last} ms`);
    wakes.event(3);
    pass(SETTLE_MS);
    assert.equal(woken.at(-1)?.slot, 3);
    pass(1_000_000);
    woken.length = 0;
    wakes.event(2);
    pass(SETTLE_MS);
    assert.equal(woken.length, 1, 'after a quiet time at once again');
  });

  it('every event is followed by a look, and two looks are never closer than the first gap', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(5000), fc.integer({ min: 1, max: 3 })), { maxLength: 100 }), (steps) => {
        const { wakes, pass, woken } = bench();
        const events: { at: number; slot: number }[] = [];
        let now = 0;
        for (const [pause, slot] of steps) {
          pass(pause);
          now += pause;
          wakes.event(slot);
          events.push({ at: now, slot });
        }
        pass(GAP_MS.most + SETTLE_MS);
        for (const e of events)
          assert.ok(woken.some((w) => w.slot === e.slot && w.at > e.at && w.at <= e.at + GAP_MS.most + SETTLE_MS));
        for (const slot of [1, 2, 3]) {
          const at = woken.filter((w) => w.slot === slot).map((w) => w.at);
          for (let i = 1; i < at.length; i++) assert.ok(at[i]! - at[i - 1]! >= GAP_MS.first);
        }
      }),
    );
  });
});
