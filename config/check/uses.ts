/** Walking what could be read of a file, and finding what is there twice. */
import type { ConfigErrorCode, Path, Problem } from '../error.ts';

/** Line of the node at a path, for messages that name another place of the file. */
export type LineOf = (path: Path) => number;

/** The readable items of a list with their paths. */
export function items<T>(list: readonly (T | undefined)[] | undefined, path: Path): readonly (readonly [T, Path])[] {
  return (list ?? []).flatMap((item, i) => (item === undefined ? [] : [[item, [...path, i]] as const]));
}

/** Something that is used under a key; `key` undefined = it could not be read. */
export interface Use {
  readonly key: string | number | undefined;
  readonly path: Path;
}

/** Every use of a key after its first, with the first. */
export function repeated<U extends Use>(uses: readonly U[]): readonly { readonly use: U; readonly first: U }[] {
  const firsts = new Map<string | number, U>();
  return uses.flatMap((use) => {
    if (use.key === undefined) return [];
    const first = firsts.get(use.key);
    if (!first) firsts.set(use.key, use);
    return first ? [{ use, first }] : [];
  });
}

/** A DUPLICATE problem for every repeated use: `<what> <key> is already there in line <n>`. */
export function duplicates(
  what: string,
  uses: readonly Use[],
  lineOf: LineOf,
  cure: string,
  code: ConfigErrorCode = 'DUPLICATE',
): readonly Problem[] {
  return repeated(uses).map(({ use, first }) => ({
    code,
    path: use.path,
    problem: `${what} ${use.key} is already there in line ${lineOf(first.path)}`,
    cure,
  }));
}
