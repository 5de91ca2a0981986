/** Whose dial is next: tenants take turns, each tenant's interfaces in their order. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { DialQueue } from '../../vpn/s2s/dial-queue.ts';

const drain = (q: DialQueue): string[] => {
  const out: string[] = [];
  for (let name = q.next(); name !== undefined; name = q.next()) out.push(name);
  return out;
};

describe('dial queue', () => {
  it('takes turns', () => {
    const q = new DialQueue();
    assert.equal(q.next(), undefined);
    for (const name of ['2a', '2b', '2c', '3a', '4a', '4b']) q.push(Number(name[0]), name);
    assert.deepEqual(drain(q), ['2a', '3a', '4a', '2b', '4b', '2c']);
  });

  it('gives everything once, in the order of each tenant, and nobody two turns while another waits', () => {
    const step = fc.oneof(fc.integer({ min: 2, max: 5 }), fc.constant('next' as const));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const q = new DialQueue();
        const waiting = new Map<number, string[]>();
        const turnsSince = new Map<number, number>();
        steps.forEach((s, n) => {
          if (s !== 'next') {
            q.push(s, `${s}-${n}`);
            if (!waiting.get(s)?.length) turnsSince.set(s, 0);
            waiting.set(s, [...(waiting.get(s) ?? []), `${s}-${n}`]);
            return;
          }
          const name = q.next();
          const slot = Number(name?.split('-')[0]);
          assert.equal(name, waiting.get(slot)?.shift());
          if (name === undefined) assert.ok([...waiting.values()].every((names) => names.length === 0));
          for (const [other, names] of waiting)
            if (other !== slot && names.length > 0) {
              turnsSince.set(other, turnsSince.get(other)! + 1);
              assert.ok(turnsSince.get(other)! <= 3, 'every other tenant once, then this one');
            }
          turnsSince.set(slot, 0);
        });
      }),
    );
  });
});
