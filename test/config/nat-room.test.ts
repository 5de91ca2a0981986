/** What the data plane has no room for is an error of the file, never found out while it is carried out. */
import assert from 'node:assert/strict';
import { NAT_ROOM } from '../../compartments/nat.ts';
import { natProblems } from '../../config/check/nat.ts';

type Doc = Parameters<typeof natProblems>[0];

/** Only what does not fit: the items are empty, and what they lack is told elsewhere. */
const tooLarge = (doc: unknown): readonly string[] =>
  natProblems(doc as Doc, () => 1)
    .filter((p) => p.code === 'TOO_LARGE')
    .map((p) => `${p.path.join('.')}: ${p.problem}: ${p.cure}`);
const empty = (length: number) => Array.from({ length }, () => ({}));
const one = (what: object) => ({ NetNat: [{ Name: 'N', ...what }] });

describe('room for NAT', () => {
  it('DIPs', () => {
    const doc = (n: number) => one({ LoadBalancingRule: [{ Name: 'a', DIP: empty(n) }] });
    assert.deepEqual(tooLarge(doc(NAT_ROOM.dips)), []);
    assert.deepEqual(tooLarge(doc(NAT_ROOM.dips + 1)), [
      'NetNat: 65537 DIPs are more than 65536: spread the tenants over more gateways',
    ]);
  });

  it('static mappings and load-balancing rules together', () => {
    const doc = (n: number, rules: number) => one({ NetNatStaticMapping: empty(n), LoadBalancingRule: empty(rules) });
    assert.deepEqual(tooLarge(doc(65_536, 0)), []);
    assert.match(
      tooLarge(doc(65_536, 1)).join(),
      /^NetNat: 131073 endpoints of .* are more than 131072: use one-to-one/,
    );
  });

  it('tenants', () => {
    const doc = (n: number) => ({
      ...one({}),
      RoutingDomain: Array.from({ length: n }, (_, i) => ({ Name: `t${i}`, RoutingDomainID: `{${i}}` })),
    });
    assert.deepEqual(tooLarge(doc(NAT_ROOM.tenants)), []);
    assert.deepEqual(tooLarge(doc(NAT_ROOM.tenants + 1)), [
      'NetNat: 8191 tenants are more than 8190: spread the tenants over more gateways',
    ]);
  });
});
