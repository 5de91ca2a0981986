/**
 * The loop of both composition roots (gateway and host agent): read back, compare, carry out, until nothing differs. It does no
 * I/O of its own; the hands do. One compartment's failure stops that compartment's ops and nobody else's (R-CMP-6).
 */
import type { Slot } from './numbers.ts';
import { plan } from './plan.ts';
import type { AnyResource, Hand, Op } from './resource.ts';

export type Scope = Slot | 'all';

export interface Failure {
  readonly op: Op;
  readonly error: Error;
}

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

async function carryOut(hands: readonly Hand[], ops: readonly Op[]): Promise<{ done: Op[]; failures: Failure[] }> {
  const done: Op[] = [];
  const failures: Failure[] = [];
  const stopped = new Set<Slot>();
  for (const op of ops) {
    if (stopped.has(op.resource.slot)) continue;
    const hand = hands.find((h) => h.kinds.includes(op.resource.kind));
    try {
      if (!hand) throw new Error(`no hand for resources of kind ${op.resource.kind}`);
      await hand.execute(op);
      done.push(op);
    } catch (e) {
      stopped.add(op.resource.slot);
      failures.push({ op, error: e instanceof Error ? e : new Error(String(e)) });
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
    done.push(...result.done);
    if (result.done.length === 0) break;
  }
  return { done, failures, settled: false };
}
