import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { catchUp, fitting } from '../../gateway/nat-log.ts';
import type { Address } from '../../lib/address.ts';
import { BlockJournal } from '../../nat/io/journal.ts';
import { type BlockRecord, formatRecord } from '../../nat/log.ts';

const taken = (slot: number, portStart: number, at: string): BlockRecord => ({
  event: 'taken',
  routingDomain: slot === 2 ? 'Contoso' : 'Woodgrove',
  routingDomainId: '',
  slot,
  address: '131.107.10.10' as Address,
  portStart,
  portEnd: portStart + 511,
  taken: at,
});
const returned = (r: BlockRecord, at: string): BlockRecord => ({ ...r, event: 'returned', returned: at });
const boot = Date.parse('2026-11-22T10:00:00Z');
const now = Date.parse('2026-11-22T12:00:00Z');
const first = taken(2, 9000, '2026-11-22T10:30:00Z');

describe('what is written into the block log', () => {
  it('is a beginning once, though the clock was read a second apart', () => {
    assert.deepEqual(fitting([], first), first);
    assert.equal(fitting([first], { ...first, taken: '2026-11-22T10:30:01Z' }), undefined);
    const other = taken(3, 9000, '2026-11-22T10:30:00Z');
    assert.deepEqual(fitting([first], other), other);
  });

  it('is an end in the words of its beginning, and none without one', () => {
    const end = returned({ ...first, routingDomain: '', taken: '2026-11-22T10:30:01Z' }, '2026-11-22T11:00:00Z');
    assert.deepEqual(fitting([first], end), returned(first, '2026-11-22T11:00:00Z'));
    assert.equal(fitting([], end), undefined);
  });

  it('is, after an absence, what blocks say and the log does not, and the end of what no block knows', () => {
    const second = taken(3, 9512, '2026-11-22T10:40:00Z');
    const lost = taken(2, 10024, '2026-11-22T10:50:00Z');
    const before = taken(2, 10536, '2026-11-22T09:00:00Z');
    const end = returned(first, '2026-11-22T11:00:00Z');
    const again = taken(3, 9000, '2026-11-22T11:00:05Z');
    assert.deepEqual(catchUp([first, lost, before], [first, end, again, second], boot, now), [
      returned(lost, '2026-11-22T12:00:00Z'),
      returned(before, '2026-11-22T10:00:00Z'),
      end,
      again,
      second,
    ]);
    assert.deepEqual(catchUp([again, second], [again, second], boot, now), []);
  });
});

describe('the block journal', () => {
  let directory: string;
  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'hnv-journal-'));
  });
  afterEach(() => fs.rmSync(directory, { recursive: true }));
  const all = async (journal: BlockJournal) => {
    const found: BlockRecord[] = [];
    for await (const r of journal.about('131.107.10.10' as Address)) found.push(r);
    return found;
  };

  it('knows after a restart what goes on, whatever a crash cut off', async () => {
    const second = taken(3, 9512, '2026-11-22T10:40:00Z');
    new BlockJournal(directory, () => now).write([first, second, returned(first, '2026-11-22T11:00:00Z')]);
    fs.appendFileSync(path.join(directory, 'nat-blocks.jsonl'), '{"event":"tak');
    const journal = new BlockJournal(directory, () => now);
    assert.deepEqual(journal.open, [second]);
    journal.write([first]);
    assert.deepEqual((await all(journal)).slice(-1), [first]);
    assert.equal((await all(journal)).length, 4);
  });

  it('begins a new file with what goes on, and keeps as many as it is told', async () => {
    const size = formatRecord(first).length;
    let time = now;
    const journal = new BlockJournal(directory, () => (time += 1000), { file: 3 * size, files: 2 });
    journal.write([first]);
    for (let i = 1; i < 30; i++) {
      const r = taken(3, 9000 + 512 * i, '2026-11-22T10:40:00Z');
      journal.write([r, returned(r, '2026-11-22T11:00:00Z')]);
    }
    assert.equal(fs.readdirSync(directory).length, 3);
    const current = fs.readFileSync(path.join(directory, 'nat-blocks.jsonl'), 'utf8');
    assert.equal(current.split('\n')[0], formatRecord(first));
    assert.deepEqual(new BlockJournal(directory, () => now).open, [first]);
  });
});
