import assert from 'node:assert/strict';
import type { Compartment, RoutingDomainId, S2sInterface } from '../../compartments/compartment.ts';
import { compartmentResources, GUARD_METRIC } from '../../compartments/desired.ts';
import { plan } from '../../compartments/plan.ts';
import type { AnyResource, Resource } from '../../compartments/resource.ts';
import type { Address, Mac } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';

const s2s = (name: string, prefix: string, metric: number): S2sInterface => ({
  name,
  adminStatus: true,
  destination: '59.10.10.10' as Address,
  authenticationMethod: 'PSKOnly',
  sharedSecret: { reveal: () => 'never in a resource' },
  subnets: [{ prefix: prefix as Prefix, metric }],
  persistent: false,
  retryIntervalSeconds: 60,
  numberOfTries: 3,
  networkOutageTimeSeconds: 15,
  saLifeTimeSeconds: 3600,
  mmSaLifeTimeSeconds: 28800,
});
const tenant: Compartment = {
  routingDomain: 'Woodgrove',
  routingDomainId: '{2}' as RoutingDomainId,
  internalInterfaces: [
    {
      name: 'IfWi1',
      vsid: 6002,
      addresses: [{ address: '10.0.254.2' as Address, prefixLength: 24 }],
      mac: '02:48:4e:00:17:72' as Mac,
    },
  ],
  routes: [
    {
      destinationPrefix: '10.0.0.0/24' as Prefix,
      nextHop: '10.0.254.1' as Address,
      interfaceAlias: 'IfWi1',
      metric: 100,
    },
    { destinationPrefix: '10.9.0.0/16' as Prefix, interfaceAlias: 'IfWe2', metric: 10 },
  ],
  s2sInterfaces: [s2s('IfWe1', '10.1.0.0/24', 100), s2s('IfWe2', '10.1.0.0/24', 200)],
  customerRoutes: [],
  lookupRecords: [],
};
const resources = (...up: string[]) =>
  compartmentResources(tenant, { slot: 3, up: new Set(up), ifId: (n) => (n === 'IfWe1' ? 101 : 102), innerMtu: 1500 });
const routes = (rs: readonly AnyResource[]) =>
  rs
    .filter((r): r is Resource<'route'> => r.kind === 'route')
    .map(({ spec: r }) => `${r.type} ${r.prefix} ${r.device ?? '-'} ${r.metric}`)
    .sort();

describe('desired resources of a compartment', () => {
  it('without a tunnel: interfaces stand, tunnel routes do not, guards end every path', () => {
    const rs = resources();
    assert.deepEqual(routes(rs), [
      `throw 0.0.0.0/0 - ${GUARD_METRIC}`,
      `throw 10.1.0.0/24 - ${GUARD_METRIC}`,
      `throw ::/0 - ${GUARD_METRIC}`,
      'unicast 10.0.0.0/24 IfWi1 100',
    ]);
    assert.deepEqual(
      rs.filter((r): r is Resource<'xfrm'> => r.kind === 'xfrm').map((r) => [r.key, r.spec.up, r.spec.ifId]),
      [
        ['IfWe1', false, 101],
        ['IfWe2', false, 102],
      ],
    );
  });

  it('a tunnel that comes up touches its own interface and routes alone', () => {
    assert.deepEqual(
      plan(resources('IfWe2'), resources()).map((o) => `${o.verb} ${o.resource.kind} ${o.resource.key}`),
      ['update xfrm IfWe2', 'create route c3 10.9.0.0/16 10', 'create route c3 10.1.0.0/24 200'],
    );
    assert.deepEqual(
      plan(resources('IfWe1'), resources('IfWe1', 'IfWe2')).map(
        (o) => `${o.verb} ${o.resource.kind} ${o.resource.key}`,
      ),
      ['delete route c3 10.9.0.0/16 10', 'delete route c3 10.1.0.0/24 200', 'update xfrm IfWe2'],
    );
  });

  it('holds no secret', () => {
    assert.ok(!JSON.stringify(resources('IfWe1')).includes('never in a resource'));
  });
});
