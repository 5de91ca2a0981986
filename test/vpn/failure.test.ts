/** LastError: charon's log of a failed dial, in the operator's terms. */
import assert from 'node:assert/strict';
import { dialFailure } from '../../vpn/s2s/failure.ts';
import { message } from '../../vpn/vici/codec.ts';

const cases: readonly (readonly [string, string, readonly string[]])[] = [
  [
    'the peer refuses our secret',
    'AUTHENTICATION_FAILED',
    ['parsed IKE_AUTH response 1 [ N(AUTH_FAILED) ]', 'received AUTHENTICATION_FAILED notify error'],
  ],
  [
    "the peer's secret is wrong (we refuse it)",
    'not the one of this interface',
    [
      "tried 1 shared key for '131.107.10.10' - '59.10.10.10', but MAC mismatched",
      'generating INFORMATIONAL request 2 [ N(AUTH_FAILED) ]',
    ],
  ],
  ['no common algorithms', 'NO_PROPOSAL_CHOSEN', ['received NO_PROPOSAL_CHOSEN notify error']],
  ['selectors', 'TS_UNACCEPTABLE', ['received TS_UNACCEPTABLE notify, no CHILD_SA built']],
  ['another notification, by its name', 'INTERNAL_ADDRESS_FAILURE', ['received INTERNAL_ADDRESS_FAILURE notify error']],
  ['silence', 'no answer', ['retransmit 3 of request with message ID 0', 'giving up after 3 retransmits']],
  ['no route', 'Network is unreachable', ['error writing to socket: Network is unreachable']],
];

describe('reason of a failed dial', () => {
  for (const [title, expected, log] of cases)
    it(title, () => {
      const reason = dialFailure(
        "establishing CHILD_SA 'IfCe1' failed",
        log.map((msg) => message({ msg })),
      );
      assert.ok(reason.includes(expected), reason);
    });

  it("charon's own words where the log tells nothing", () => {
    assert.equal(
      dialFailure('CHILD_SA not established after 20000ms', [message({ msg: 'initiating' })]),
      'CHILD_SA not established after 20000ms',
    );
  });
});
