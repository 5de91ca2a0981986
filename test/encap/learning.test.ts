/** Events and time to records: followed, aged, limited, never over what somebody else said (R-ENC-8). */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { LookupRecord, RoutingDomainId } from '../../compartments/compartment.ts';
import { ROUTER_MAC } from '../../compartments/policy.ts';
import {
  age,
  type Learned,
  type LearningState,
  learn,
  NOTHING_LEARNED,
  resumed,
  type Sighting,
} from '../../encap/learning.ts';
import { changeRecords, findRecord, getRecords, type RecordStore, recordStore } from '../../encap/records.ts';
import type { Address, Mac } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';

const A = '{a}' as RoutingDomainId;
const B = '{b}' as RoutingDomainId;
const [PA, HOST1, HOST2] = ['192.168.4.33', '192.168.4.11', '192.168.4.22'] as [Address, Address, Address];
const mac = (n: number): Mac => `02:00:00:00:00:${n.toString(16).padStart(2, '0')}` as Mac;
const address = (n: number): Address => `10.0.0.${n}` as Address;

const record = (vsid: number, n: number, over: Partial<LookupRecord> = {}): LookupRecord => ({
  customerAddress: address(n),
  mac: mac(n),
  vsid,
  providerAddress: HOST1,
  rule: 'TranslationMethodEncap',
  type: 'Static',
  ...over,
});
const place = (vsid: number, n: number): LookupRecord =>
  record(vsid, n, { type: 'L2Only', customerAddress: '0.0.0.0' as Address });
const BASE: RecordStore = recordStore({
  netAdapters: [{ interfaceAlias: 'NIC1', device: 'eth1', role: 'Provider' }],
  providerAddresses: [{ interfaceAlias: 'NIC1', providerAddress: PA, prefixLength: 24 }],
  providerRoutes: [],
  networks: (
    [
      [A, 'Contoso', 5001],
      [B, 'Woodgrove', 6001],
    ] as const
  ).map(([routingDomainId, routingDomain, vsid]) => ({
    routingDomainId,
    routingDomain,
    ports: [{ name: 'vm', device: 'vm0', vsid, mac: mac(5), addresses: [address(5)] }],
    customerRoutes: [
      { vsid, destinationPrefix: '10.0.0.0/24' as Prefix, metric: 256 },
      { vsid: vsid + 2, destinationPrefix: '10.0.2.0/24' as Prefix, metric: 256 },
    ],
    lookupRecords: [record(vsid, 10), place(vsid, 20), place(vsid, 21)],
    virtualSubnets: [
      { vsid, dynamicLearning: true, ageingTimeSeconds: 300 },
      { vsid: vsid + 2, dynamicLearning: false, ageingTimeSeconds: 300 },
    ],
    maximumLearnedRecords: 3,
  })),
});
const seen = (n: number, over: Partial<Sighting> = {}): Sighting => ({
  routingDomainId: A,
  vsid: 5001,
  address: address(n),
  mac: mac(n),
  providerAddress: HOST1,
  ...over,
});

/** A store, what is known of times, and what was told. */
class Bench {
  store = BASE;
  state: LearningState = NOTHING_LEARNED;
  hear(now: number, ...sightings: Sighting[]): readonly string[] {
    return this.#take(learn(this.state, this.store, sightings, now));
  }
  age(now: number): readonly string[] {
    return this.#take(age(this.state, this.store, now));
  }
  #take({ state, changes, lessons }: Learned): readonly string[] {
    if (changes.length) {
      const result = changeRecords(this.store, changes);
      assert.ok(result.ok, JSON.stringify(result));
      this.store = result.value.store;
    }
    this.state = state;
    return lessons.map((l) =>
      [l.change, l.record.customerAddress, l.record.providerAddress, l.reason].filter(Boolean).join(' '),
    );
  }
  learned(): readonly string[] {
    return getRecords(this.store, 'lookup-record')
      .filter((r) => r.origin === 'Learned')
      .map((r) => `${r.network?.routingDomain} ${r.key} ${r.record.type} ${r.record.providerAddress}`);
  }
}

describe('encap/learning', () => {
  it('learns an address once, for its own tenant alone', () => {
    const b = new Bench();
    assert.deepEqual(b.hear(0, seen(20)), ['Added 10.0.0.20 192.168.4.11']);
    assert.deepEqual(b.hear(1000, seen(20)), []);
    assert.deepEqual(b.learned(), ['Contoso 5001 10.0.0.20 Dynamic 192.168.4.11']);
    assert.deepEqual(b.hear(1000, seen(20, { routingDomainId: B, vsid: 6001 })), ['Added 10.0.0.20 192.168.4.11']);
    assert.equal(b.learned().length, 2);
  });

  it('forgets what is not heard of for the ageing time, and only that', () => {
    const b = new Bench();
    b.hear(0, seen(20), seen(21));
    b.hear(200_000, seen(21));
    assert.deepEqual(b.age(299_999), []);
    assert.deepEqual(b.age(300_000), ['Aged 10.0.0.20 192.168.4.11']);
    assert.deepEqual(b.learned(), ['Contoso 5001 10.0.0.21 Dynamic 192.168.4.11']);
    assert.deepEqual(b.age(500_000), ['Aged 10.0.0.21 192.168.4.11']);
    assert.equal(b.state.size, 0);
    assert.ok(findRecord(b.store, 'lookup-record', `5001 ${mac(20)}`), 'the place stays');
  });

  it('after a restart everything learned has its whole time again', () => {
    const b = new Bench();
    b.hear(0, seen(20));
    b.state = resumed(b.store, 1_000_000);
    assert.deepEqual(b.age(1_299_999), []);
    assert.deepEqual(b.age(1_300_000), ['Aged 10.0.0.20 192.168.4.11']);
  });

  it('follows a VM that moved, with all its addresses', () => {
    const b = new Bench();
    b.hear(0, seen(20), seen(120, { mac: mac(20) }));
    assert.deepEqual(b.hear(1, seen(20, { providerAddress: HOST2 })), [
      'Moved 10.0.0.20 192.168.4.22',
      'Moved 10.0.0.120 192.168.4.22',
    ]);
    assert.deepEqual(
      b.learned().map((l) => l.split(' ').at(-1)),
      [HOST2, HOST2],
    );
    assert.deepEqual(b.hear(2, seen(20, { providerAddress: HOST1 }), seen(20, { providerAddress: HOST2 })), []);
  });

  it('refuses what belongs to somebody else', () => {
    const b = new Bench();
    b.hear(0, seen(20));
    for (const [what, sighting] of [
      ['a static record', seen(10, { mac: mac(20) })],
      ['the MAC of a static record elsewhere', seen(30, { mac: mac(10), providerAddress: HOST2 })],
      ['a learned address under another MAC', seen(20, { mac: mac(21) })],
      ['a learned MAC in another virtual subnet', seen(31, { mac: mac(20), vsid: 5005 })],
      ['an address of a port', seen(5, { mac: mac(21) })],
      ['the MAC of a port', seen(32, { mac: mac(5), vsid: 5005 })],
    ] as const) {
      const known = { ...b, store: b.store };
      const said = b.hear(1, sighting);
      if (sighting.vsid === 5005) assert.deepEqual(said, [], `${what}: the virtual subnet is nobody's`);
      else assert.match(said.join(), /^Refused .* LEARN_OWNED$/, what);
      assert.equal(b.store, known.store, what);
    }
  });

  it('does not hear nonsense, foreign virtual subnets, or those that do not learn', () => {
    const b = new Bench();
    const nothing = [
      seen(40, { vsid: 6001 }),
      seen(40, { vsid: 5003 }),
      seen(40, { vsid: 9999 }),
      seen(40, { routingDomainId: '{nobody}' as RoutingDomainId }),
      seen(40, { mac: ROUTER_MAC }),
      seen(40, { mac: '01:00:5e:00:00:01' as Mac }),
      seen(40, { mac: '00:00:00:00:00:00' as Mac }),
      ...['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255', '::', 'ff02::1'].map((a) =>
        seen(40, { address: a as Address }),
      ),
    ];
    assert.deepEqual(b.hear(0, ...nothing), []);
    assert.equal(b.store, BASE);
  });

  it('a VM that claims addresses fills its own VM network at most', () => {
    const b = new Bench();
    const claims = Array.from({ length: 10 }, (_, i) => seen(100 + i, { mac: mac(20) }));
    const said = b.hear(0, ...claims);
    assert.equal(said.filter((s) => s.startsWith('Added')).length, 3);
    assert.equal(said.filter((s) => s.endsWith('LEARN_QUOTA')).length, 7);
    assert.deepEqual(b.hear(1, seen(100, { mac: mac(20) })), []);
    assert.match(b.hear(1, seen(21)).join(), /LEARN_QUOTA/);
    assert.deepEqual(b.hear(1, seen(20, { routingDomainId: B, vsid: 6001 })), ['Added 10.0.0.20 192.168.4.11']);
  });

  it('gives way to the operator', () => {
    const b = new Bench();
    b.hear(0, seen(20));
    const over = changeRecords(b.store, [
      { verb: 'new', kind: 'lookup-record', origin: 'Runtime', record: record(5001, 20) },
    ]);
    assert.ok(over.ok);
    b.store = over.value.store;
    assert.deepEqual(b.age(1_000_000), []);
    assert.equal(findRecord(b.store, 'lookup-record', '5001 10.0.0.20')?.origin, 'Runtime');
    assert.equal(b.state.size, 0);
  });

  it('says nothing of what a record says already', () => {
    const b = new Bench();
    assert.deepEqual(b.hear(0, seen(10)), []);
    assert.equal(b.store, BASE);
  });

  it('what the policy store learned elsewhere does not age here, and is followed when the VM moves', () => {
    const b = new Bench();
    const brought = changeRecords(b.store, [
      { verb: 'new', kind: 'lookup-record', origin: 'Runtime', record: record(5001, 20, { type: 'Dynamic' }) },
      { verb: 'new', kind: 'lookup-record', origin: 'Runtime', record: record(5001, 21) },
    ]);
    assert.ok(brought.ok);
    b.store = brought.value.store;
    assert.deepEqual(b.hear(0, seen(20)), []);
    assert.deepEqual(b.age(1_000_000), []);
    assert.deepEqual(b.learned(), [], 'still of the policy store');
    assert.deepEqual(
      b.hear(1_000_000, seen(20, { providerAddress: HOST2 }), seen(120, { mac: mac(20), providerAddress: HOST2 })),
      ['Moved 10.0.0.20 192.168.4.22', 'Added 10.0.0.120 192.168.4.22'],
    );
    assert.deepEqual(b.learned().length, 2);
    assert.match(b.hear(1_000_001, seen(21, { providerAddress: HOST2 })).join(), /LEARN_OWNED/, 'a static one stays');
    assert.equal(b.age(1_300_000).length, 2);
  });

  it('whatever is heard, the records of the file stay and the policy takes every change', () => {
    const sighting = fc
      .record({
        n: fc.integer({ min: 1, max: 25 }),
        m: fc.integer({ min: 1, max: 25 }),
        vsid: fc.constantFrom(5001, 5003, 6001),
        routingDomainId: fc.constantFrom(A, B),
        providerAddress: fc.constantFrom(HOST1, HOST2, PA),
      })
      .map(({ n, m, ...rest }) => seen(n, { mac: mac(m), ...rest }));
    fc.assert(
      fc.property(fc.array(fc.array(sighting, { maxLength: 5 }), { maxLength: 12 }), (turns) => {
        const b = new Bench();
        let now = 0;
        for (const heard of turns) {
          now += 60_000;
          // The product takes one at a time when the policy refuses several together.
          for (const one of heard) {
            const told = learn(b.state, b.store, [one], now);
            const result = changeRecords(b.store, told.changes);
            if (!result.ok) continue;
            b.store = result.value.store;
            b.state = told.state;
          }
          b.age(now);
        }
        const file = (s: RecordStore) =>
          getRecords(s, 'lookup-record')
            .filter((r) => r.origin === 'File')
            .map((r) => r.record);
        assert.deepEqual(file(b.store), file(BASE));
        assert.equal(b.state.size, b.learned().length);
      }),
      { numRuns: 100 },
    );
  });
});
