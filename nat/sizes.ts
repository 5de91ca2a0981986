/**
 * How many entries the state maps have, by the memory of the machine: those of `flows` are taken at once, and every map takes its
 * hash table. Pure.
 */

/** What the sessions themselves may take. */
const SHARE = 1 / 16;
/** Of one entry of `flows`, of which a session has two. */
const FLOW_BYTES = 128;
const LEAST = 2 ** 15;
const MOST = 2 ** 20;

/** Maps whose entries are in proportion to sessions. */
const SIZED = ['flows', 'mappings', 'externals', 'contacts', 'hosts'] as const;

/** @param memory of the machine, bytes */
export function natSizes(memory: number): Readonly<Record<(typeof SIZED)[number], number>> {
  const entries = 2 ** Math.floor(Math.log2((memory * SHARE) / FLOW_BYTES));
  const size = Math.min(MOST, Math.max(LEAST, entries || 0));
  return { flows: size, mappings: size, externals: size, contacts: size, hosts: size };
}

/** Sessions that a map of so many flows holds. */
export const sessionsOf = (flows: number): number => flows / 2;
