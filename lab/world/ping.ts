/** Reads what iputils' ping printed, packet by packet, so that an interrupted ping is judged as exactly as a finished one. */

export interface PingResult {
  readonly sent: number;
  readonly received: number;
  /** Requests without an answer, those aside that were still on their way when ping was interrupted. */
  readonly lost: number;
  readonly errors: number; // ICMP errors that came back
}

/** Requests that an interrupted ping may leave unanswered at its end: at 10 ms half a second's worth. */
const IN_FLIGHT = 50;

/** `interrupted`: ping was ended by a signal and not by its own count. */
export function readPing(text: string, interrupted: boolean): PingResult {
  const answered = new Set<number>();
  for (const m of text.matchAll(/bytes from [^\n]*icmp_seq=(\d+) [^\n]*time=/g)) answered.add(Number(m[1]));
  const sent = Number(/(\d+) packets transmitted/.exec(text)?.[1] ?? 0);
  const last = Math.max(0, ...answered);
  const due = interrupted && last > 0 && sent - last < IN_FLIGHT ? last : sent;
  const errors = [...text.matchAll(/^From [^\n]*icmp_seq=/gm)].length;
  return { sent, received: answered.size, lost: due - answered.size, errors };
}
