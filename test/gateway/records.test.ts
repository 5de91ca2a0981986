/** Records at run time on the gateway: one record is its own entries, two tenants with the same addresses, failures put back. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import type { Compartment, GatewayConfig, LookupRecord, RoutingDomainId } from '../../compartments/compartment.ts';
import { EMPTY_SLOTS, slotOf } from '../../compartments/slots.ts';
import { RecordFiles } from '../../control/io/record-files.ts';
import { gatewayDomains, overlayResources } from '../../encap/overlay.ts';
import { type Machine, recordOps } from '../../encap/record-ops.ts';
import type { RecordChange } from '../../encap/records.ts';
import { Gateway, type Parts } from '../../gateway/gateway.ts';
import type { Running } from '../../gateway/running.ts';
import type { Address, Mac } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';
import { ok } from '../../lib/result.ts';
import { gateway, MapHand, tenant } from './world.ts';

const PEER = '192.168.4.11' as Address;
const record = (vsid: number, n: number, providerAddress = PEER): LookupRecord => ({
  customerAddress: `10.0.0.${n}` as Address,
  mac: `02:00:00:00:00:${n.toString(16).padStart(2, '0')}` as Mac,
  vsid,
  providerAddress,
  rule: 'TranslationMethodEncap',
  type: 'Static',
});
const domain = (name: string, vsid: number): Compartment => {
  const base = tenant(name, `If${name[0]}i1`, []);
  return {
    ...base,
    internalInterfaces: base.internalInterfaces.map((i) => ({ ...i, vsid: vsid + 1 })),
    customerRoutes: [{ vsid, destinationPrefix: '10.0.0.0/24' as Prefix, metric: 256 }],
    lookupRecords: [record(vsid, 10)],
  };
};
const OTHERS = 300;
const config = (): GatewayConfig => ({
  ...gateway(
    domain('Contoso', 5001),
    domain('Woodgrove', 6001),
    ...Array.from({ length: OTHERS }, (_, i) => domain(`Tenant${i}`, 10_001 + 10 * i)),
  ),
  netAdapters: [{ interfaceAlias: 'NIC1', device: 'eth1', role: 'Provider' }],
  providerAddresses: [{ interfaceAlias: 'NIC1', providerAddress: '192.168.4.33' as Address, prefixLength: 24 }],
});
const machine = ({ netAdapters, providerAddresses, providerRoutes }: GatewayConfig): Machine => ({
  netAdapters,
  providerAddresses,
  providerRoutes,
  tags: {},
  link: (device) => (device === 'eth1' ? { index: 20, mtu: 1600, peer: false } : undefined),
});
const domainsOf = ({ config: c, table }: Running, only?: readonly RoutingDomainId[]) =>
  gatewayDomains({ ...c, compartments: c.compartments.filter((x) => !only || only.includes(x.routingDomainId)) }, (x) =>
    slotOf(table, x.routingDomainId),
  );

const recordsOf = ({ records }: Running, id: RoutingDomainId) => records.networks.get(id)!.kept['lookup-record'];

describe('records of the gateway', () => {
  let state: string;
  beforeEach(() => {
    state = fs.mkdtempSync(path.join(os.tmpdir(), 'hnv-records-'));
  });
  afterEach(() => fs.rmSync(state, { recursive: true }));

  async function started(hand = new MapHand(), file: GatewayConfig = config(), configured = true) {
    const looked = { networks: 0 };
    const later: unknown[] = [];
    const parts: Parts = {
      hands: () => [hand],
      log: pino({ level: 'silent' }),
      tunnels: { expect: () => undefined, loaded: () => undefined, dialFrom: () => undefined, up: () => new Set() },
      store: {
        slots: EMPTY_SLOTS,
        saveSlots: () => undefined,
        saveRunning: () => undefined,
        records: new RecordFiles(state),
      },
      usableAddresses: () => new Set(),
      load: ({ text }) => ok(text === '' ? file : (JSON.parse(text) as GatewayConfig)),
      desired: (running, _up, scope) =>
        overlayResources({ ...machine(running.config), domains: domainsOf(running) }).filter(
          (r) => scope === 'all' || r.slot === scope,
        ),
      recordOps: (before, after, networks) => {
        looked.networks += networks.size;
        const changes = [...networks].map(([id, touched]) => ({
          before: { ...domainsOf(before, [id])[0]!, records: recordsOf(before, id) },
          after: { ...domainsOf(after, [id])[0]!, records: recordsOf(after, id) },
          touched,
        }));
        return recordOps(machine(after.config), changes, after.records);
      },
      statusChanged: () => undefined,
      later: (event) => later.push(event),
    };
    const g = new Gateway(parts);
    if (configured) assert.ok((await g.start({ file: '/etc/gateway.yaml', text: '' })).ok);
    hand.log.length = 0;
    return { g, hand, looked, later };
  }
  const change = (g: Gateway, ...changes: RecordChange[]) => g.changeRecords(() => ok(changes));
  const add = (r: LookupRecord): RecordChange => ({ verb: 'new', kind: 'lookup-record', origin: 'Runtime', record: r });
  const set = (key: string, patch: Partial<LookupRecord>): RecordChange => ({
    verb: 'set',
    kind: 'lookup-record',
    origin: 'Runtime',
    key,
    patch,
  });
  const remove = (key: string): RecordChange => ({ verb: 'remove', kind: 'lookup-record', origin: 'Runtime', key });

  it('one record is one entry of each map that knows it, among three hundred tenants', async () => {
    const { g, hand, looked } = await started();
    hand.blind = true; // nothing is read back either
    assert.ok((await change(g, add(record(5001, 11)))).ok);
    assert.deepEqual(
      hand.log.map((l) => l.replace(/ [0-9a-f]+$/, '')),
      ['create entry records', 'create entry macs'],
    );
    hand.log.length = 0;
    assert.ok((await change(g, set('5001 10.0.0.11', { mac: '02:00:00:00:00:99' as Mac }))).ok);
    assert.deepEqual(
      hand.log.map((l) => l.replace(/ [0-9a-f]+$/, '')),
      ['delete entry macs', 'update entry records', 'create entry macs'],
    );
    assert.equal(looked.networks, 2);
  });

  it('is what a full look would have made: nothing to do afterwards', async () => {
    const { g, hand } = await started();
    await change(
      g,
      add(record(5001, 11)),
      add(record(6001, 11)),
      set('6001 10.0.0.11', { providerAddress: '192.168.4.44' as Address }),
    );
    await change(g, remove('5001 10.0.0.11'));
    const plan = await g.plan({ file: '/etc/gateway.yaml', text: '' });
    assert.deepEqual(plan, { ok: true, value: { ops: [], notes: [] } });
    assert.ok(hand.log.length > 0);
    assert.equal(g.records?.networks.get('{contoso}')?.lookupRecords.length, 1);
    assert.equal(g.records?.networks.get('{woodgrove}')?.lookupRecords.length, 2);
  });

  it('a refused list changes nothing; what the kernel refuses is put back', async () => {
    const { g, hand } = await started();
    const before = [...hand.state.keys()].sort();
    const bad = await change(g, add(record(5001, 11)), remove('5001 10.0.0.10'));
    assert.ok(!bad.ok && bad.error.code === 'RECORD');
    assert.deepEqual(
      bad.error.errors.map((e) => e.code),
      ['FILE_RECORD'],
    );
    assert.deepEqual(hand.log, []);
    hand.fails = (op) => op.verb === 'create' && op.resource.key.startsWith('macs');
    const failed = await change(g, add(record(5001, 11)));
    assert.ok(!failed.ok && failed.error.code === 'FAILED');
    assert.deepEqual([...hand.state.keys()].sort(), before);
    assert.equal(g.records?.networks.get('{contoso}')?.lookupRecords.length, 1);
    assert.deepEqual(new RecordFiles(state).read(), []);
  });

  it('records of run time outlive the process, and an apply of the file', async () => {
    const { g, hand } = await started();
    await change(g, add(record(5001, 11)));
    assert.deepEqual(fs.readdirSync(path.join(state, 'records')), ['contoso.json']);
    const again = await started(hand);
    assert.deepEqual(again.hand.log, []);
    assert.equal(again.g.records?.networks.get('{contoso}')?.lookupRecords.length, 2);
    assert.ok((await again.g.apply({ file: '/etc/gateway.yaml', text: '' })).ok);
    assert.equal(again.g.records?.networks.get('{contoso}')?.lookupRecords.length, 2);
    assert.ok((await change(again.g, remove('5001 10.0.0.11'))).ok);
    assert.deepEqual(fs.readdirSync(path.join(state, 'records')), []);
  });

  it('where a new file says otherwise, the file wins', async () => {
    const { g } = await started();
    await change(g, add(record(5001, 11)), add(record(5001, 12)));
    const [contoso, ...others] = config().compartments as [Compartment, ...Compartment[]];
    const file = {
      ...config(),
      compartments: [
        { ...contoso, lookupRecords: [...contoso.lookupRecords, record(5001, 11, '192.168.4.77' as Address)] },
        ...others,
      ],
    };
    assert.ok((await g.apply({ file: '/etc/new.yaml', text: JSON.stringify(file) })).ok);
    const kept = g.records?.networks.get('{contoso}')?.kept['lookup-record'];
    assert.deepEqual(
      [...(kept ?? [])].map(([key, { origin, record: r }]) => [key, origin, r.providerAddress]),
      [
        ['5001 10.0.0.10', 'File', PEER],
        ['5001 10.0.0.11', 'File', '192.168.4.77'],
        ['5001 10.0.0.12', 'Runtime', PEER],
      ],
    );
  });

  it('provider addresses lie under everything and are compared with everything', async () => {
    const { g, hand } = await started();
    const record = { interfaceAlias: 'NIC1', providerAddress: '172.16.0.2' as Address, prefixLength: 16 };
    const added = await change(g, { verb: 'new', kind: 'provider-address', origin: 'Runtime', record });
    assert.ok(added.ok);
    // Ours, and one more address of ours that each peer may send to, in each virtual subnet.
    const count = (map: string) => hand.log.filter((l) => l.startsWith(`create entry ${map} `)).length;
    assert.deepEqual([count('providers'), count('tunnels')], [1, 2 * (OTHERS + 2)]);
    assert.deepEqual(fs.readdirSync(path.join(state, 'records')), ['machine.json']);
  });

  it('without a configuration says so', async () => {
    const { g } = await started(new MapHand(), undefined, false);
    const answer = await change(g, add(record(5001, 11)));
    assert.ok(!answer.ok && answer.error.code === 'NOT_CONFIGURED');
  });
});
