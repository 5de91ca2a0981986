/** Records of run time on disk: what was acknowledged is there after a crash at any byte, and nothing else. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { LookupRecord, RoutingDomainId } from '../../compartments/compartment.ts';
import { RecordFiles } from '../../control/io/record-files.ts';
import { mergeRecords } from '../../control/merge.ts';
import { changeLine, readJournal, wholeLines } from '../../control/record-journal.ts';
import { type Changed, changeRecords, type RecordChange, type RecordStore, recordStore } from '../../encap/records.ts';
import type { Address, Mac } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';

const CONTOSO = '{contoso}' as RoutingDomainId;
const WOODGROVE = '{woodgrove}' as RoutingDomainId;
const record = (vsid: number, n: number): LookupRecord => ({
  customerAddress: `10.0.0.${100 + n}` as Address,
  mac: `02:00:00:00:00:${n.toString(16).padStart(2, '0')}` as Mac,
  vsid,
  providerAddress: '192.168.4.22' as Address,
  rule: 'TranslationMethodEncap',
  type: 'Static',
});
const route = (vsid: number) => ({ vsid, destinationPrefix: '10.0.0.0/24' as Prefix, metric: 0 });
const network = (routingDomainId: RoutingDomainId, vsid: number) => ({
  routingDomain: routingDomainId,
  routingDomainId,
  customerRoutes: [route(vsid)],
  lookupRecords: [record(vsid, 100)],
});
// Two tenants with the same addresses.
const FILE = recordStore({
  netAdapters: [{ interfaceAlias: 'NIC1', device: 'eth1', role: 'Provider' }],
  providerAddresses: [{ interfaceAlias: 'NIC1', providerAddress: '192.168.4.11' as Address, prefixLength: 24 }],
  providerRoutes: [],
  networks: [network(CONTOSO, 5001), network(WOODGROVE, 6001)],
});
const add = (vsid: number, n: number): RecordChange => ({
  verb: 'new',
  kind: 'lookup-record',
  origin: 'Runtime',
  record: record(vsid, n),
});
const to = (vsid: number, n: number, host: number): RecordChange => ({
  ...{ verb: 'set', kind: 'lookup-record', origin: 'Runtime', key: `${vsid} 10.0.0.${100 + n}` },
  patch: { providerAddress: `192.168.4.${host}` as Address },
});
const remove = (vsid: number, n: number): RecordChange => ({
  ...{ verb: 'remove', kind: 'lookup-record', origin: 'Runtime', key: `${vsid} 10.0.0.${100 + n}` },
});

function change(from: RecordStore, ...changes: RecordChange[]): Changed {
  const changed = changeRecords(from, changes);
  assert.ok(changed.ok, JSON.stringify(changed));
  return changed.value;
}
/** Records by address with where they lead, of each tenant. */
const seen = (store: RecordStore) =>
  [CONTOSO, WOODGROVE].map((id) =>
    Object.fromEntries(store.networks.get(id)!.lookupRecords.map((r) => [r.customerAddress, r.providerAddress])),
  );
const restarted = (directory: string) => {
  const { store, dropped } = mergeRecords(FILE, new RecordFiles(directory).read());
  assert.deepEqual(dropped, []);
  return seen(store);
};

describe('control/record-files', () => {
  let directory: string;
  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'hnv-records-'));
  });
  afterEach(() => fs.rmSync(directory, { recursive: true }));
  const file = () => path.join(directory, 'records', 'contoso.json');

  const STEPS = [[add(5001, 1), add(6001, 1)], [add(5001, 2)], [to(5001, 1, 33)], [remove(5001, 2), add(5001, 3)]];

  it('every change is there after a restart, of its tenant alone; the file goes with the last record', () => {
    const files = new RecordFiles(directory);
    let store = FILE;
    for (const step of STEPS) {
      const changed = change(store, ...step);
      store = changed.store;
      files.save(changed);
      assert.deepEqual(restarted(directory), seen(store));
    }
    const gone = change(store, remove(5001, 1), remove(5001, 3));
    files.save(gone);
    assert.deepEqual(fs.readdirSync(path.join(directory, 'records')), ['woodgrove.json']);
    assert.deepEqual(restarted(directory), seen(gone.store));
  });

  it('a crash at any byte of a change leaves what was acknowledged before, and the next change follows that', () => {
    const files = new RecordFiles(directory);
    const states: { readonly store: RecordStore; readonly size: number }[] = [];
    let store = FILE;
    for (const step of STEPS) {
      const changed = change(store, ...step);
      store = changed.store;
      files.save(changed);
      states.push({ store, size: fs.statSync(file()).size });
    }
    const whole = fs.readFileSync(file());
    assert.equal(whole.length, states.at(-1)!.size);
    for (let size = states[0]!.size; size <= whole.length; size++)
      for (const tail of [Buffer.alloc(0), Buffer.alloc(7), Buffer.from('{"set":[\0\0\0]}\n')]) {
        const there = states.findLast((s) => s.size <= size)!;
        fs.writeFileSync(file(), Buffer.concat([whole.subarray(0, size), tail]));
        assert.deepEqual(restarted(directory), seen(there.store), `${size} bytes`);
        if (size !== there.size && size !== there.size + 1 && size % 16) continue; // what syncs is slow
        const next = change(there.store, add(5001, 7));
        new RecordFiles(directory).save(next);
        assert.deepEqual(restarted(directory), seen(next.store), `${size} bytes, and a change`);
      }
  });

  it('damage before the last line is told, and nothing is guessed', () => {
    const files = new RecordFiles(directory);
    let store = FILE;
    for (const step of STEPS) {
      const changed = change(store, ...step);
      store = changed.store;
      files.save(changed);
    }
    const lines = fs.readFileSync(file(), 'utf8').split('\n');
    fs.writeFileSync(file(), lines.with(2, lines[2]!.slice(1)).join('\n'));
    assert.throws(() => new RecordFiles(directory).read(), /contoso\.json: line 3 is damaged/);
    fs.writeFileSync(file(), lines.with(0, '{"version":9,"records":[]}').join('\n'));
    assert.throws(() => new RecordFiles(directory).read(), /version 9/);
    fs.writeFileSync(file(), '');
    assert.throws(() => new RecordFiles(directory).read(), /it is empty/);
  });

  it('a file of one line, as it was before there were journals, is read and goes on', () => {
    const before = change(FILE, add(5001, 1));
    fs.mkdirSync(path.dirname(file()));
    const own = { ...add(5001, 1), routingDomainId: CONTOSO };
    fs.writeFileSync(file(), `${JSON.stringify({ version: 1, records: [own] })}\n`);
    assert.deepEqual(restarted(directory), seen(before.store));
    const after = change(before.store, to(5001, 1, 33));
    new RecordFiles(directory).save(after);
    assert.deepEqual(restarted(directory), seen(after.store));
  });

  it('a change costs what it changes, and changes without end do not grow the file without end', () => {
    const files = new RecordFiles(directory);
    const first = change(FILE, ...Array.from({ length: 90 }, (_, n) => add(5001, n + 1)));
    files.save(first);
    let [store, written, largest] = [first.store, 0, 0];
    const whole = fs.statSync(file()).size;
    for (let n = 0; n < 400; n++) {
      const changed = change(store, to(5001, 1 + (n % 90), 30 + (n % 3)));
      store = changed.store;
      files.save(changed);
      const { size } = fs.statSync(file());
      if (n === 0) written = size - whole;
      largest = Math.max(largest, size);
    }
    assert.ok(written > 0 && written < 400, `${written} bytes for one record`);
    assert.ok(largest < 100_000, `${largest} bytes`);
    assert.deepEqual(restarted(directory), seen(store));
  });

  it('lines of many records are read as they were written', () => {
    const own = Array.from({ length: 2500 }, (_, n) => ({
      ...add(5001, 1),
      routingDomainId: CONTOSO,
      record: { ...record(5001, 1), customerAddress: `10.1.${n >> 8}.${n & 255}` as Address },
    })) as Parameters<typeof wholeLines>[0];
    const text = [...wholeLines(own)];
    assert.equal(text.length, 4);
    const read = readJournal(Buffer.from(text.join('')));
    assert.ok(read.ok);
    assert.deepEqual(read.value.records, own);
    const { store, networks } = change(FILE, add(5001, 1));
    assert.match(changeLine(store.networks.get(CONTOSO)!, networks.get(CONTOSO)!), /^\{"set":\[.*\]\}\n$/);
  });
});
