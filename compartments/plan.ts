/**
 * Concept 3: `plan(desired, actual)` is the list of ops that makes actual the same as desired. Pure; `plan(x, x)` is empty.
 * Ops come in the order in which they must run: deletes first (they free names, addresses and metrics), from the tunnels down
 * to the namespaces, then the rest from the namespaces up.
 */
import { isDeepStrictEqual } from 'node:util';
import { KINDS, type KindRule } from './kinds.ts';
import { FEW, packedOps } from './packed.ts';

export { FEW } from './packed.ts';

import type { AnyResource, Impact, Op, Verb } from './resource.ts';

const identity = (r: AnyResource): string => `${r.kind} ${r.key}`;
const rule = (r: AnyResource): KindRule => KINDS[r.kind] as KindRule;
const rankOf = ({ verb, resource }: Op): number => {
  const { rank, updateRank } = rule(resource);
  return verb === 'update' ? (updateRank ?? rank) : rank;
};

const op = (verb: Verb, resource: AnyResource, from?: AnyResource): Op => ({
  verb,
  resource,
  impact: rule(resource).impact[verb],
  ...(from && { from }),
});

/** Update when only fields differ that the kind can change in place, else replace; a kind may ask for a delete and a create. */
function change(want: AnyResource, have: AnyResource): readonly Op[] {
  const a = want.spec as Record<string, unknown>;
  const b = have.spec as Record<string, unknown>;
  const differing = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter(
    (field) => !isDeepStrictEqual(a[field], b[field]),
  );
  if (differing.length === 0) return [];
  const mutable = rule(want).mutable as readonly string[];
  if (differing.every((field) => mutable.includes(field))) return [op('update', want, have)];
  return rule(want).apart ? [op('delete', have), op('create', want)] : [op('replace', want, have)];
}

/** Resources by kind and key, without a joined text for each: a policy of a million records has millions of them. */
class Inventory {
  readonly #byKind = new Map<string, Map<string, AnyResource>>();

  get({ kind, key }: AnyResource): AnyResource | undefined {
    return this.#byKind.get(kind)?.get(key);
  }

  put(r: AnyResource): void {
    let byKey = this.#byKind.get(r.kind);
    if (!byKey) {
      byKey = new Map();
      this.#byKind.set(r.kind, byKey);
    }
    byKey.set(r.key, r);
  }
}

/**
 * Packed entries of a map are compared with packed ones: desired and actual must both have the map packed, or both not. Throws
 * when two desired resources share an identity: that is a fault of this program, never of the operator.
 */
export function plan(desired: readonly AnyResource[], actual: readonly AnyResource[]): readonly Op[] {
  const wanted = new Inventory();
  for (const r of desired) {
    if (wanted.get(r)) throw new Error(`two desired resources are ${identity(r)}`);
    wanted.put(r);
  }
  const present = new Inventory();
  for (const r of actual) present.put(r);

  const gone = actual.filter((r) => r.kind !== 'entries' && !wanted.get(r));
  const dying = new Set(gone.filter((r) => r.kind === 'netns').map((r) => r.key));
  const changes: Op[] = packedOps(desired, actual).map(({ verb, resource, from }) => op(verb, resource, from));
  for (const want of desired) {
    if (want.kind === 'entries') continue;
    const have = present.get(want);
    if (have) changes.push(...change(want, have));
    else changes.push(op('create', want));
  }
  const deletes = gone
    .filter((r) => !(rule(r).insideNetns && dying.has((r.spec as { netns?: string }).netns ?? '')))
    .map((r) => op('delete', r))
    .concat(changes.filter((o) => o.verb === 'delete'))
    .sort((a, b) => rule(b.resource).rank - rule(a.resource).rank);
  const makes = changes.filter((o) => o.verb !== 'delete').sort((a, b) => rankOf(a) - rankOf(b));
  return [...deletes, ...makes];
}

const GRAVITY: readonly Impact[] = ['none', 'flow', 'session'];

/** The gravest impact among the ops. */
export const worstImpact = (ops: readonly Op[]): Impact =>
  ops.reduce<Impact>((worst, o) => (GRAVITY.indexOf(o.impact) > GRAVITY.indexOf(worst) ? o.impact : worst), 'none');

/** One line for people: `update route c2 10.1.0.0/24 100 (flow)`. */
export const describeOp = (o: Op): string => {
  const { resource: r } = o;
  const what = r.kind === 'entries' ? `${r.spec.table.count} entries of ${r.key}` : (r.label ?? identity(r));
  return `${o.verb} ${what}${o.impact === 'none' ? '' : ` (${o.impact})`}`;
};

/** A line for each of a few ops, a line for each sort of many. */
export function describeOps(ops: readonly Op[]): readonly string[] {
  if (ops.length <= FEW) return ops.map(describeOp);
  const counts = new Map<string, number>();
  for (const { verb, resource: r } of ops) {
    const of =
      r.kind === 'entry'
        ? `entries of ${r.spec.map}`
        : r.kind === 'entries'
          ? `entries of ${r.key}`
          : `of kind ${r.kind}`;
    const sort = `${verb} ${of}`;
    counts.set(sort, (counts.get(sort) ?? 0) + (r.kind === 'entries' ? r.spec.table.count : 1));
  }
  return [...counts].map(([sort, n]) => `${sort}: ${n}`);
}
