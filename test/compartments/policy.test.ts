import assert from 'node:assert/strict';
import type { CustomerRoute, LookupRecord, RoutingDomainId } from '../../compartments/compartment.ts';
import { type PolicyDomain, policyProblems, ROUTER_MAC } from '../../compartments/policy.ts';
import type { Address, Mac } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';

const record = (ca: string, mac: string, vsid = 5001, pa = '192.168.4.11'): LookupRecord => ({
  customerAddress: ca as Address,
  mac: mac as Mac,
  vsid,
  providerAddress: pa as Address,
  rule: 'TranslationMethodEncap',
  type: 'Static',
});
const route = (prefix: string, vsid: number, nextHop?: string): CustomerRoute => ({
  destinationPrefix: prefix as Prefix,
  vsid,
  metric: 0,
  ...(nextHop && { nextHop: nextHop as Address }),
});
const domain = (over: Partial<PolicyDomain> = {}): PolicyDomain => ({
  routingDomain: 'Contoso',
  routingDomainId: '{11111111-2222-3333-4444-000000000001}' as RoutingDomainId,
  internalInterfaces: [
    {
      name: 'IfCi1',
      vsid: 5002,
      mac: '02:48:4e:00:13:8a' as Mac,
      addresses: [{ address: '10.0.254.2' as Address, prefixLength: 24 }],
    },
  ],
  customerRoutes: [route('10.0.0.0/24', 5001), route('10.0.254.0/24', 5002), route('0.0.0.0/0', 5002, '10.0.254.2')],
  lookupRecords: [record('10.0.0.10', '10:10:10:10:11:05')],
  ...over,
});
const shown = (domains: readonly PolicyDomain[]) =>
  policyProblems(domains).map((p) => `${p.path.join('.')}: ${p.problem}`);

describe('policyProblems', () => {
  it('has nothing to say about two tenants with the same addresses', () => {
    const woodgrove = domain({
      routingDomain: 'Woodgrove',
      internalInterfaces: [{ ...domain().internalInterfaces![0]!, name: 'IfWi1', vsid: 6002 }],
      customerRoutes: domain().customerRoutes.map((r) => ({ ...r, vsid: r.vsid + 1000 })),
      lookupRecords: [record('10.0.0.10', '10:10:10:10:11:05', 6001)],
    });
    assert.deepEqual(shown([domain(), woodgrove]), []);
  });

  it('lets an adapter have several addresses, and a local port have its own record', () => {
    const port = {
      name: 'vm',
      device: 'tap0',
      vsid: 5001,
      mac: '10:10:10:10:11:05' as Mac,
      addresses: ['10.0.0.10' as Address],
    };
    const d = domain({ ports: [port], lookupRecords: [record('10.0.0.10', port.mac), record('10.0.0.11', port.mac)] });
    assert.deepEqual(shown([d]), []);
  });

  it('finds each rule broken, at the offending entry', () => {
    const cases: readonly [string, readonly PolicyDomain[], readonly string[]][] = [
      [
        'address twice',
        [
          domain({
            lookupRecords: [record('10.0.0.10', '10:10:10:10:11:05'), record('10.0.0.10', '10:10:10:10:11:06')],
          }),
        ],
        ['0.lookupRecords.1.customerAddress: 10.0.0.10 is already held by lookup record 10.0.0.10 in this VM network'],
      ],
      [
        'MAC twice',
        [
          domain({
            lookupRecords: [
              record('10.0.0.10', '10:10:10:10:11:05'),
              record('10.0.0.11', '10:10:10:10:11:05', 5001, '192.168.4.22'),
            ],
          }),
        ],
        ['0.lookupRecords.1.mac: MAC 10:10:10:10:11:05 is already used by lookup record 10.0.0.10 in this VM network'],
      ],
      [
        'router address',
        [domain({ lookupRecords: [record('10.0.0.1', '10:10:10:10:11:05')] })],
        ['0.lookupRecords.0.customerAddress: 10.0.0.1 is reserved for the distributed router of 10.0.0.0/24'],
      ],
      [
        'router MAC',
        [domain({ lookupRecords: [record('10.0.0.9', ROUTER_MAC)] })],
        [`0.lookupRecords.0.customerAddress: MAC ${ROUTER_MAC} belongs to the distributed router, 10.0.0.9 does not`],
      ],
      [
        'group MAC',
        [domain({ lookupRecords: [record('10.0.0.9', '01:00:5e:00:00:01')] })],
        ['0.lookupRecords.0.mac: MAC 01:00:5e:00:00:01 is reserved, zero or a group address'],
      ],
      [
        'gateway not alone',
        [domain({ lookupRecords: [record('10.0.254.9', '10:10:10:10:11:05', 5002)] })],
        ["0.lookupRecords.0.vsid: virtual subnet 5002 belongs to the gateway's IfCi1 alone"],
      ],
      [
        'route twice',
        [domain({ customerRoutes: [route('10.0.0.0/24', 5001), route('10.0.0.0/24', 5003)] })],
        ['0.customerRoutes.1.destinationPrefix: customer route 10.0.0.0/24 is already there with metric 0'],
      ],
      [
        'VSID of another tenant',
        [
          domain(),
          domain({
            routingDomain: 'Woodgrove',
            internalInterfaces: [],
            customerRoutes: [],
            lookupRecords: [record('10.0.0.10', '10:10:10:10:11:05')],
          }),
        ],
        ['1.lookupRecords.0.vsid: virtual subnet 5001 already belongs to routing domain Contoso'],
      ],
    ];
    for (const [name, domains, expected] of cases) assert.deepEqual(shown(domains), expected, name);
  });

  it('accepts the record by which the router address answers ping', () => {
    const customerRoutes = [route('10.0.0.0/24', 5001), route('10.0.1.0/24', 5003)];
    const lookupRecords = [record('10.0.0.1', ROUTER_MAC), record('10.0.1.1', ROUTER_MAC, 5003)];
    assert.deepEqual(shown([domain({ customerRoutes, lookupRecords })]), []);
  });
});
