/** LastError of a dial: what an operator can act on, read from charon's log of that dial (control-log events). Pure. */
import { type Message, textOf } from '../vici/codec.ts';

/** What charon says in its log when a dial fails (error notifications of RFC 7296 §3.10.1 by name), the most telling first. */
const CAUSES: readonly (readonly [RegExp, string])[] = [
  [/but MAC mismatched|no shared key found/, "the peer's identity or secret is not the one of this interface"],
  [/received AUTHENTICATION_FAILED/, 'AUTHENTICATION_FAILED: the peer refuses our identity or secret'],
  [/received NO_PROPOSAL_CHOSEN|no acceptable proposal found/, 'NO_PROPOSAL_CHOSEN: no algorithms in common'],
  [/received TS_UNACCEPTABLE/, 'TS_UNACCEPTABLE: the peer accepts none of our traffic selectors'],
  [/received ([A-Z_]+) (?:error )?notify/, '$1: the peer refuses'],
  [/giving up after \d+ retransmits|peer not responding/, 'no answer from the peer'],
  [/error writing to socket: (.+)/, 'the peer cannot be reached from the gateway: $1'],
];

/** `errmsg` = charon's answer to initiate, `log` = its control-log messages. */
export function dialFailure(errmsg: string, log: readonly Message[]): string {
  const lines = log.map((m) => textOf(m, 'msg') ?? '');
  for (const [pattern, cause] of CAUSES)
    for (const line of lines) {
      const found = pattern.exec(line);
      if (found) return cause.replace('$1', () => found[1] ?? '');
    }
  return errmsg;
}
