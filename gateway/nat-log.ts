/** Fits what the data plane says of blocks into the block log. Pure. */
import { type BlockRecord, utc } from '../nat/log.ts';

/** Of two readings of the clock: each start of the process tells anew when the kernel's clock was 0. */
const SLACK_MS = 2000;

const same = (a: BlockRecord, b: BlockRecord): boolean =>
  a.slot === b.slot &&
  a.address === b.address &&
  a.portStart === b.portStart &&
  Math.abs(Date.parse(a.taken) - Date.parse(b.taken)) <= SLACK_MS;

/**
 * The line to write for a record; undefined when the log has it. An end is told in the words of its beginning, so that the two
 * belong together and the tenant has its name though it may be gone.
 * @param open holdings that go on, as the log has them
 */
export function fitting(open: readonly BlockRecord[], record: BlockRecord): BlockRecord | undefined {
  const begun = open.find((o) => same(o, record));
  if (record.event === 'taken') return begun ? undefined : record;
  return begun && { ...begun, event: 'returned', returned: record.returned! };
}

/**
 * When the process begins: the lines that the log lacks of what the blocks say, and the end of what it has as going on and no
 * block says: the kernel's memory was lost with a restart of the machine, or the pool is gone. Without a process nothing sweeps,
 * so no holding can have begun and ended unseen.
 * @param boot when the machine began, ms since 1970
 * @param now the same for this moment
 */
export function catchUp(
  open: readonly BlockRecord[],
  actual: readonly BlockRecord[],
  boot: number,
  now: number,
): readonly BlockRecord[] {
  const over = actual.filter((r) => r.event === 'returned');
  const told = actual.filter((r) => r.event === 'returned' || !over.some((o) => same(o, r)));
  const lost = open
    .filter((o) => !actual.some((r) => same(o, r)))
    .map((o): BlockRecord => ({ ...o, event: 'returned', returned: utc(Date.parse(o.taken) < boot ? boot : now) }));
  return [...lost, ...told.flatMap((r) => fitting(open, r) ?? [])];
}
