/**
 * Consistent hashing of flows to DIPs (Eisenbud et al., "Maglev", NSDI 2016, §3.4): a look-up table in which every DIP has its
 * share of slots, and which changes little where a DIP comes or goes, so flows that are new at another gateway or after a restart
 * find the DIP that they had. Weights as turns: a DIP of twice the weight has twice as many. Pure.
 */

export interface Candidate {
  /** What it is known by on every gateway: address and port. */
  readonly name: string;
  /** What stands in the table for it. */
  readonly value: number;
  readonly weight: number; // 1 …
}

/** FNV-1a with the finalizer of MurmurHash3: 32 bits of which all depend on all characters. */
function hash(text: string, seed: number): number {
  let h = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** The value of the DIP of each slot; undefined when there is no candidate. @param size a prime. */
export function maglevTable(candidates: readonly Candidate[], size: number): readonly number[] | undefined {
  if (!candidates.length) return undefined;
  // Not the order of the file: the same table on every gateway.
  const members = candidates
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((c) => ({
      ...c,
      offset: hash(c.name, 1) % size,
      skip: (hash(c.name, 2) % (size - 1)) + 1,
      next: 0,
      turns: 0,
    }));
  const heaviest = Math.max(...members.map((m) => m.weight));
  const table = new Array<number>(size).fill(-1);
  for (let filled = 0; filled < size; )
    for (const m of members) {
      m.turns += m.weight;
      if (m.turns < heaviest) continue;
      m.turns -= heaviest;
      let slot: number;
      do slot = (m.offset + m.next++ * m.skip) % size;
      while (table[slot] !== -1);
      table[slot] = m.value;
      if (++filled === size) break;
    }
  return table;
}
