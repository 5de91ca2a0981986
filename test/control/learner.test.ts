/** From the data plane's events to records in force and notices, against a plane in memory. */
import assert from 'node:assert/strict';
import type { RoutingDomainId } from '../../compartments/compartment.ts';
import { changeInForce } from '../../control/change.ts';
import { EventHub, type Notice } from '../../control/hub.ts';
import { Learner } from '../../control/learner.ts';
import type { RecordPlane } from '../../control/plane.ts';
import { rowsOf } from '../../control/request.ts';
import { type LearnedEvent, NO_ADDRESS } from '../../encap/abi.ts';
import { getRecords, recordStore } from '../../encap/records.ts';
import type { Address, Mac } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';

const [PA, PEER] = ['192.168.4.11', '192.168.4.22'] as [Address, Address];

function bench() {
  let store = recordStore({
    netAdapters: [{ interfaceAlias: 'NIC1', device: 'eth1', role: 'Provider' }],
    providerAddresses: [{ interfaceAlias: 'NIC1', providerAddress: PA, prefixLength: 24 }],
    providerRoutes: [],
    networks: (
      [
        [2, 5001],
        [3, 6001],
      ] as const
    ).map(([slot, vsid]) => ({
      routingDomain: `tenant${slot}`,
      routingDomainId: `{${slot}}` as RoutingDomainId,
      customerRoutes: [{ vsid, destinationPrefix: '10.0.0.0/24' as Prefix, metric: 256 }],
      lookupRecords: [],
      virtualSubnets: [{ vsid, dynamicLearning: true, ageingTimeSeconds: 300 }],
    })),
  });
  const told: Notice[] = [];
  const events = new EventHub();
  events.subscribe((n) => told.push(n));
  const changes: number[] = [];
  const plane: RecordPlane = {
    events,
    records: () => store,
    changeRecords: (ask) =>
      changeInForce(store, ask, {
        put: async (_from, to) => {
          store = to;
          return { done: [], failures: [], settled: true };
        },
        failures: () => [],
        save: () => changes.push(1),
      }),
  };
  const learner = new Learner({ plane, routingDomainId: (slot) => `{${slot}}` as RoutingDomainId });
  return {
    learner,
    told,
    changes,
    store: () => store,
    keys: () =>
      getRecords(store, 'lookup-record').map((r) => `${r.network?.routingDomain} ${r.key} ${r.record.providerAddress}`),
  };
}
const event = (over: Partial<LearnedEvent> = {}): LearnedEvent => ({
  type: 'LEARNED',
  rdid: 2,
  vsid: 5001,
  port: 0,
  address: '10.0.0.20' as Address,
  provider: PEER,
  mac: '02:00:00:00:00:20' as Mac,
  ...over,
});

describe('control/learner', () => {
  it('what frames tell is in force and told, for each tenant by itself', async () => {
    const b = bench();
    await b.learner.take([event(), event({ rdid: 3, vsid: 6001, provider: NO_ADDRESS, port: 7 })], 0);
    assert.deepEqual(b.keys().sort(), ['tenant2 5001 10.0.0.20 192.168.4.22', 'tenant3 6001 10.0.0.20 192.168.4.11']);
    assert.equal(b.changes.length, 1);
    assert.deepEqual(b.told[0], {
      type: 'learned',
      Change: 'Added',
      RoutingDomain: 'tenant2',
      RoutingDomainID: '{2}',
      CustomerAddress: '10.0.0.20',
      MACAddress: '02:00:00:00:00:20',
      VirtualSubnetID: 5001,
      ProviderAddress: PEER,
    });
    await b.learner.take([event()], 1000);
    assert.equal(b.changes.length, 1, 'hearing again changes nothing');
    await b.learner.age(299_000);
    assert.equal(b.keys().length, 2);
    await b.learner.age(300_000);
    assert.deepEqual(b.keys(), ['tenant2 5001 10.0.0.20 192.168.4.22']);
    assert.deepEqual(
      b.told.map((n) => n.type === 'learned' && n.Change),
      ['Added', 'Added', 'Aged'],
    );
  });

  it('tells how long nothing was heard of what it learned', async () => {
    const b = bench();
    await b.learner.take([event()], 1000);
    await b.learner.take([event()], 4000);
    assert.equal(b.learner.heardAt('{2}' as RoutingDomainId, '5001 10.0.0.20'), 4000);
    assert.equal(b.learner.heardAt('{3}' as RoutingDomainId, '5001 10.0.0.20'), undefined);
    const rows = rowsOf(b.store(), 'lookup-record', {}, (id, key) => {
      const heard = b.learner.heardAt(id, key);
      return heard === undefined ? undefined : (9500 - heard) / 1000;
    });
    assert.deepEqual(
      rows.map((r) => [r.CustomerAddress, r.Type, r.Origin, r.AgeSeconds]),
      [['10.0.0.20', 'Dynamic', 'Learned', '5']],
    );
  });

  it('one that the policy refuses does not cost the others', async () => {
    const b = bench();
    // The .1 belongs to the distributed router.
    await b.learner.take([event({ address: '10.0.0.1' as Address }), event({ mac: '02:00:00:00:00:21' as Mac })], 0);
    assert.deepEqual(b.keys(), ['tenant2 5001 10.0.0.20 192.168.4.22']);
  });
});
