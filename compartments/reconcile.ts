/**
 * The loop of both composition roots (gateway and host agent): read back, compare, carry out, until nothing differs. It does no
 * I/O of its own; the hands do. One compartment's failure stops that compartment's ops and nobody else's (R-CMP-6).
 */

import { KINDS } from './kinds.ts';
import type { Slot } from './numbers.ts';
import { plan } from './plan.ts';
import type { AnyResource, Executed, Failure, Hand, Kind, Op } from './resource.ts';

export type { Failure } from './resource.ts';

export type Scope = Slot | 'all';

export interface Outcome {
  /** Ops that were carried out, over all passes. */
  readonly done: readonly Op[];
  /** Failures of the last pass. */
  readonly failures: readonly Failure[];
  /** True when actual was seen to be the same as desired. */
  readonly settled: boolean;
}

/**
 * Some resources make others possible (a port has its ifindex only once it exists) or take others away (a link that goes down
 * loses its routes): each needs another look.
 */
const PASSES = 6;

/** Rejects when reality cannot be read in full: then nothing is changed. */
export async function observe(hands: readonly Hand[], scope: Scope): Promise<readonly AnyResource[]> {
  return (await Promise.all(hands.map((h) => h.observe(scope)))).flat();
}

async function carryOutOne(hand: Hand | undefined, op: Op): Promise<Executed> {
  try {
    if (!hand) throw new Error(`no hand for resources of kind ${op.resource.kind}`);
    await hand.execute(op);
    return { done: [op], failures: [] };
  } catch (e) {
    return { done: [], failures: [{ op, error: e instanceof Error ? e : new Error(String(e)) }] };
  }
}

/**
 * Carries ops out in their order; after a failure the rest of that compartment's are left. Ops that follow each other and belong
 * to a hand that takes many at once go to it together.
 */
export async function carryOut(
  hands: readonly Hand[],
  ops: readonly Op[],
): Promise<{ done: Op[]; failures: Failure[] }> {
  const done: Op[] = [];
  const failures: Failure[] = [];
  const stopped = new Set<Slot>();
  const standing = new Set<Kind>();
  const handOf = new Map(hands.flatMap((h) => h.kinds.map((kind) => [kind, h] as const)));
  for (let from = 0, to = 0; from < ops.length; from = to) {
    const hand = handOf.get(ops[from]!.resource.kind);
    to = from + 1;
    if (hand?.executeAll) while (to < ops.length && handOf.get(ops[to]!.resource.kind) === hand) to++;
    const run = ops
      .slice(from, to)
      .filter(
        ({ verb, resource: { kind, slot } }) =>
          (kind === 'entries' || !stopped.has(slot)) && !(verb === 'create' && standing.has(kind)),
      );
    if (run.length === 0) continue;
    const result = hand?.executeAll ? await hand.executeAll(run, stopped) : await carryOutOne(hand, run[0]!);
    for (const op of result.done) done.push(op);
    for (const failure of result.failures) {
      failures.push(failure);
      const { kind, slot } = failure.op.resource;
      stopped.add(slot);
      // Nothing new of such a kind while something old of it still stands, whoever's it is.
      if (failure.op.verb === 'delete' && KINDS[kind].apart) standing.add(kind);
    }
  }
  return { done, failures };
}

/** Desired resources; asked after each reading, because they may depend on what was read (interface indexes, links that are up). */
export type Desired = (actual: readonly AnyResource[]) => readonly AnyResource[];

/** Carries out the deletes alone: what must be gone everywhere before anything new is made. */
export async function withdraw(hands: readonly Hand[], scope: Scope, desired: Desired): Promise<Outcome> {
  const actual = await observe(hands, scope);
  const result = await carryOut(
    hands,
    plan(desired(actual), actual).filter((o) => o.verb === 'delete'),
  );
  return { ...result, settled: result.failures.length === 0 };
}

export async function reconcile(hands: readonly Hand[], scope: Scope, desired: Desired): Promise<Outcome> {
  const done: Op[] = [];
  let failures: Failure[] = [];
  for (let pass = 0; pass < PASSES; pass++) {
    const actual = await observe(hands, scope);
    const ops = plan(desired(actual), actual);
    if (ops.length === 0) return { done, failures: [], settled: true };
    const result = await carryOut(hands, ops);
    failures = result.failures;
    for (const op of result.done) done.push(op);
    if (result.done.length === 0) break;
  }
  return { done, failures, settled: false };
}
