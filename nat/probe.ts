/**
 * The health of a DIP as its probes tell it (R-NAT-6): a state machine without clock or socket. A DIP that nobody has asked yet
 * counts as healthy, so that a restart of the gateway interrupts no service; its first answer decides at once, later ones only
 * after `numberOfProbes` in a row.
 */
import type { LoadBalancerProbe } from '../compartments/nat.ts';

export interface Health {
  readonly healthy: boolean;
  /** False until the first answer. */
  readonly known: boolean;
  /** Answers in a row that contradict `healthy`. */
  readonly against: number;
}

export const UNKNOWN_HEALTH: Health = { healthy: true, known: false, against: 0 };

export function probed(health: Health, success: boolean, numberOfProbes: number): Health {
  if (!health.known) return { healthy: success, known: true, against: 0 };
  if (success === health.healthy) return health.against ? { ...health, against: 0 } : health;
  const against = health.against + 1;
  return against >= numberOfProbes ? { healthy: success, known: true, against: 0 } : { ...health, against };
}

/** What an HTTP probe sends (RFC 9112): HTTP/1.1 with a host, and no connection kept. */
export const probeRequest = (p: LoadBalancerProbe, host: string): string =>
  `GET ${p.requestPath} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: hnv-gateway\r\nConnection: close\r\n\r\n`;

/** Bytes of an answer that are read at most: a status line is shorter. */
export const PROBE_ANSWER = 256;

/** True for status 200; undefined while the status line is not whole. */
export function probeAnswer(start: Uint8Array): boolean | undefined {
  const text = Buffer.from(start.buffer, start.byteOffset, Math.min(start.length, PROBE_ANSWER)).toString('latin1');
  const line = /^HTTP\/1\.[01] (\d{3})(?: [^\r\n]*)?\r?\n/.exec(text);
  if (line) return line[1] === '200';
  return text.includes('\n') || start.length >= PROBE_ANSWER ? false : undefined;
}
