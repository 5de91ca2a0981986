/** Reads what iputils' ping printed, packet by packet, so that an interrupted ping is judged as exactly as a finished one. */

export interface PingResult {
  readonly sent: number;
  readonly received: number;
  /** Requests without an answer, those aside that were still on their way when ping was interrupted. */
  readonly lost: number;
  /** When the lost ones were sent, by the clock of the machine that pings (seconds since 1970); known only with `ping -D`. */
  readonly lostAt: readonly number[];
  readonly errors: number; // ICMP errors that came back
}

/** Requests that an interrupted ping may leave unanswered at its end: at 10 ms half a second's worth. */
const IN_FLIGHT = 50;

const ANSWER = /^(?:\[(\d+\.\d+)\] )?\d+ bytes from [^\n]*icmp_seq=(\d+) [^\n]*time=/gm;

/** Sending is even, so that a request between two answered ones has its share of the time between them. */
function timesOf(lost: readonly number[], answered: ReadonlyMap<number, number>): number[] {
  const known = [...answered].filter(([, at]) => at > 0).sort(([a], [b]) => a - b);
  return lost.flatMap((seq) => {
    const before = known.findLast(([n]) => n < seq);
    const after = known.find(([n]) => n > seq);
    if (!before || !after) return before ? [before[1]] : after ? [after[1]] : [];
    return [before[1] + ((after[1] - before[1]) * (seq - before[0])) / (after[0] - before[0])];
  });
}

/** `interrupted`: ping was ended by a signal and not by its own count. */
export function readPing(text: string, interrupted: boolean): PingResult {
  const answered = new Map<number, number>(); // sequence number → time, 0 = not told
  for (const [, at, seq] of text.matchAll(ANSWER)) answered.set(Number(seq), Number(at ?? 0));
  const sent = Number(/(\d+) packets transmitted/.exec(text)?.[1] ?? 0);
  const last = Math.max(0, ...answered.keys());
  const due = interrupted && last > 0 && sent - last < IN_FLIGHT ? last : sent;
  const lost = Array.from({ length: due }, (_, i) => i + 1).filter((seq) => !answered.has(seq));
  const errors = [...text.matchAll(/^(?:\[\d+\.\d+\] )?From [^\n]*icmp_seq=/gm)].length;
  return { sent, received: answered.size, lost: lost.length, lostAt: timesOf(lost, answered), errors };
}
