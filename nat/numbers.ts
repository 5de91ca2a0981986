/**
 * Numbers that the data plane keeps in flows and mappings (pools, blocks, services, DIPs): whoever has one keeps it while the
 * configuration changes around it. What is placed already is read back from the maps. Pure.
 */

/** A number for each key: the former one, else the lowest that nobody has or had. Undefined when they do not fit. */
export function numbered<K>(
  keys: readonly K[],
  former: ReadonlyMap<K, number>,
  limit: number,
): ReadonlyMap<K, number> | undefined {
  const numbers = new Map<K, number>();
  const taken = new Set<number>();
  for (const key of keys) {
    const number = former.get(key);
    if (number === undefined || number >= limit || taken.has(number) || numbers.has(key)) continue;
    numbers.set(key, number);
    taken.add(number);
  }
  // A number that just became free may still stand in flows of whoever had it, so it is the last to be given again.
  const before = new Set(former.values());
  const fresh = lowest(limit, (n) => !taken.has(n) && !before.has(n));
  const again = lowest(limit, (n) => !taken.has(n) && before.has(n));
  for (const key of keys) {
    if (numbers.has(key)) continue;
    const number = fresh.next().value ?? again.next().value;
    if (number === undefined) return undefined;
    numbers.set(key, number);
  }
  return numbers;
}

function* lowest(limit: number, free: (n: number) => boolean): Generator<number, undefined> {
  for (let n = 0; n < limit; n++) if (free(n)) yield n;
  return undefined;
}
