/** LastError of a dial: what an operator can act on, read from charon's log of that dial (control-log events). Pure. */
import { type Message, textOf } from '../vici/codec.ts';

/** Error notifications of RFC 7296 §3.10.1 and charon's own words for what it gives up on, the most telling first. */
const CAUSES: readonly (readonly [RegExp, string])[] = [
  [/AUTHENTICATION_FAILED|AUTH_FAILED/, 'AUTHENTICATION_FAILED: the peer refuses our identity or secret'],
  [
    /authentication of '.*' with .* failed|MAC mismatched|no shared key found/,
    "authentication failed: the peer's identity or secret is not ours",
  ],
  [/NO_PROPOSAL_CHOSEN|NO_PROP/, 'NO_PROPOSAL_CHOSEN: no algorithms in common'],
  [/TS_UNACCEPTABLE/, 'TS_UNACCEPTABLE: the peer accepts none of our traffic selectors'],
  [/INVALID_KE_PAYLOAD|INVAL_KE/, 'INVALID_KE_PAYLOAD: no key exchange group in common'],
  [/received (\S+) notify error/, 'the peer refuses'],
  [/giving up after \d+ retransmits|peer not responding/, 'no answer from the peer'],
  [/error writing to socket|network (is )?unreachable/i, 'the peer cannot be reached from the gateway'],
];

/** `errmsg` = charon's answer to initiate, `log` = its control-log messages. */
export function dialFailure(errmsg: string, log: readonly Message[]): string {
  const lines = log.map((m) => textOf(m, 'msg') ?? '');
  for (const [pattern, cause] of CAUSES) if (lines.some((l) => pattern.test(l))) return cause;
  return errmsg;
}
