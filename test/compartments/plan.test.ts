import assert from 'node:assert/strict';
import fc from 'fast-check';
import { KINDS } from '../../compartments/kinds.ts';
import { describeOp, plan, worstImpact } from '../../compartments/plan.ts';
import type { AnyResource, Op } from '../../compartments/resource.ts';
import type { Mac } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';

const entry = (key: string, value: string): AnyResource => ({
  kind: 'entry',
  key: `records ${key}`,
  slot: 2,
  spec: { map: 'records', key, value },
});
const route = (netns: string, prefix: string, device: string): AnyResource => ({
  kind: 'route',
  key: `${netns} ${prefix} 100`,
  slot: 2,
  spec: { netns, prefix: prefix as Prefix, metric: 100, type: 'unicast', device },
});
const netns = (name: string): AnyResource => ({ kind: 'netns', key: name, slot: 2, spec: {} });
const xfrm = (name: string, ifId: number, up: boolean): AnyResource => ({
  kind: 'xfrm',
  key: name,
  slot: 2,
  spec: { netns: 'c2', name, ifId, mtu: 1400, up },
});

const anyResource: fc.Arbitrary<AnyResource> = fc.oneof(
  fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('00', '01')).map(([k, v]) => entry(k, v)),
  fc
    .tuple(
      fc.constantFrom('c2', 'c3'),
      fc.constantFrom('10.1.0.0/24', '10.2.0.0/24'),
      fc.constantFrom('IfCe1', 'IfCi1'),
    )
    .map(([n, p, d]) => route(n, p, d)),
  fc.constantFrom('c2', 'c3').map(netns),
  fc
    .tuple(fc.constantFrom('IfCe1', 'IfCe2'), fc.integer({ min: 1, max: 2 }), fc.boolean())
    .map(([n, i, u]) => xfrm(n, i, u)),
);
const state = fc.uniqueArray(anyResource, { selector: (r) => `${r.kind} ${r.key}`, maxLength: 14 });

/** What hands do, on a map: a namespace takes what is inside with it. */
function carryOut(actual: readonly AnyResource[], ops: readonly Op[]): AnyResource[] {
  const id = (r: AnyResource) => `${r.kind} ${r.key}`;
  const now = new Map(actual.map((r) => [id(r), r]));
  for (const { verb, resource } of ops) {
    if (verb !== 'delete') now.set(id(resource), resource);
    else {
      now.delete(id(resource));
      if (resource.kind === 'netns')
        for (const r of now.values())
          if (KINDS[r.kind].insideNetns && (r.spec as { netns: string }).netns === resource.key) now.delete(id(r));
    }
  }
  return [...now.values()];
}
const sorted = (rs: readonly AnyResource[]) => rs.map((r) => JSON.stringify(r)).sort();

describe('plan', () => {
  it('is empty for equal states', () => {
    fc.assert(fc.property(state, (x) => assert.deepEqual(plan(x, structuredClone(x)), [])));
  });

  it('leads from any state to any other', () => {
    fc.assert(
      fc.property(state, state, (desired, actual) => {
        // A dying namespace that still holds desired resources is not a state the desired side can ask for.
        const kept = new Set(desired.filter((r) => r.kind === 'netns').map((r) => r.key));
        const sane = desired.filter((r) => r.kind !== 'route' || kept.has((r.spec as { netns: string }).netns));
        assert.deepEqual(sorted(carryOut(actual, plan(sane, actual))), sorted(sane));
      }),
    );
  });

  it('deletes before it makes, from the tunnels down and from the namespaces up', () => {
    fc.assert(
      fc.property(state, state, (desired, actual) => {
        const ops = plan(desired, actual);
        const order = ops.map((o) =>
          o.verb === 'delete' ? -KINDS[o.resource.kind].rank - 1 : KINDS[o.resource.kind].rank,
        );
        const deletes = order.filter((n) => n < 0);
        const makes = order.filter((n) => n >= 0);
        assert.deepEqual(order, [...deletes, ...makes]);
        assert.deepEqual(
          deletes,
          [...deletes].sort((a, b) => a - b),
        );
        assert.deepEqual(
          makes,
          [...makes].sort((a, b) => a - b),
        );
      }),
    );
  });

  it('updates what can change in place and replaces the rest', () => {
    assert.deepEqual(
      plan([xfrm('IfCe1', 1, true)], [xfrm('IfCe1', 1, false)]).map((o) => [o.verb, o.impact]),
      [['update', 'none']],
    );
    assert.deepEqual(
      plan([xfrm('IfCe1', 2, false)], [xfrm('IfCe1', 1, false)]).map((o) => [o.verb, o.impact]),
      [['replace', 'session']],
    );
  });

  it('replaces connections apart: over all compartments the old is gone before anything new is loaded', () => {
    const connection = (name: string, slot: number, digest: string): AnyResource => ({
      kind: 'connection',
      key: name,
      slot,
      spec: { digest },
    });
    const ops = plan(
      [connection('IfCe1', 2, 'b'), connection('IfWe1', 3, 'a')],
      [connection('IfCe1', 2, 'a'), connection('IfWe1', 3, 'b')],
    );
    assert.deepEqual(
      ops.map((o) => `${o.verb} ${o.resource.key} ${(o.resource.spec as { digest: string }).digest}`),
      ['delete IfCe1 a', 'delete IfWe1 b', 'create IfCe1 b', 'create IfWe1 a'],
    );
    assert.equal(worstImpact(ops), 'session');
  });

  it('sets a port up with its program before addresses and entries, and changes programs once the entries are there', () => {
    const filter = (tag: string): AnyResource => ({
      kind: 'filter',
      key: 'p2-0 ingress',
      slot: 2,
      spec: { device: 'p2-0', direction: 'ingress', program: 'overlay_port', tag },
    });
    const veth: AnyResource = {
      kind: 'veth',
      key: 'p2-0',
      slot: 2,
      spec: { netns: 'c2', port: 'p2-0', name: 'IfCi1', mac: '02:00:00:00:00:01' as Mac, mtu: 1458 },
    };
    const rest = [entry('a', '00'), route('c2', '10.1.0.0/24', 'IfCi1'), xfrm('IfCe1', 1, false)];
    const kinds = (ops: readonly Op[]) => ops.map((o) => o.resource.kind);
    assert.deepEqual(kinds(plan([...rest, filter('1'), veth, netns('c2')], [])), [
      'netns',
      'veth',
      'filter',
      'xfrm',
      'route',
      'entry',
    ]);
    assert.deepEqual(kinds(plan([filter('2'), ...rest], [filter('1')])), ['xfrm', 'route', 'entry', 'filter']);
    assert.deepEqual(kinds(plan([], [veth, filter('1'), entry('a', '00')])), ['entry', 'filter', 'veth']);
  });

  it('ignores label and payload', () => {
    assert.deepEqual(plan([{ ...netns('c2'), label: 'compartment 2 Contoso', payload: 1 }], [netns('c2')]), []);
  });

  it('refuses two desired resources of one identity', () => {
    assert.throws(() => plan([netns('c2'), netns('c2')], []), /two desired resources are netns c2/);
  });

  it('names the gravest impact and describes ops for people', () => {
    const ops = plan([], [entry('a', '00'), netns('c2')]);
    assert.equal(worstImpact(ops), 'session');
    assert.deepEqual(ops.map(describeOp), ['delete entry records a (flow)', 'delete netns c2 (session)']);
    assert.equal(worstImpact([]), 'none');
  });
});
