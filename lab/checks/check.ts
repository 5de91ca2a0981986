/** A named check: what it shows, how it is run, and the evidence on which it says that it holds. */
import type { Appliance } from '../appliance.ts';
import type { World } from '../world/world.ts';

export interface Scene {
  readonly gateway: Appliance;
  readonly world: World;
}

export interface Verdict {
  readonly held: boolean;
  readonly evidence: readonly string[]; // what was seen; when not held, what was missing
}

export interface Check {
  /** `<point of the list>-<name>`; the point is the one of the lab's list, 1 … 7. */
  readonly id: string;
  readonly title: string;
  run(scene: Scene): Promise<Verdict>;
}

export type Finding = readonly [ok: boolean, text: string];

/** Holds when every finding is true; the evidence is then all of them, else only those that are not. */
export function verdict(findings: readonly Finding[]): Verdict {
  const missing = findings.filter(([ok]) => !ok);
  return {
    held: findings.length > 0 && missing.length === 0,
    evidence: (missing.length ? missing : findings).map(([, text]) => text),
  };
}

/** Runs a check; an exception is a check that does not hold. */
export async function judge(check: Check, scene: Scene): Promise<Verdict> {
  try {
    return await check.run(scene);
  } catch (e) {
    return { held: false, evidence: [(e as Error).message] };
  }
}

/** What several checks judge together, done at the first one that asks. */
export function once<T>(work: (scene: Scene) => Promise<T>): (scene: Scene) => Promise<T> {
  const done = new WeakMap<Scene, Promise<T>>();
  return (scene) => {
    const result = done.get(scene) ?? work(scene);
    done.set(scene, result);
    return result;
  };
}
