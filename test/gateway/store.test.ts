import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { FileStore } from '../../gateway/io/store.ts';

describe('what the gateway keeps on disk', () => {
  let folder: string;
  let boot: string;
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'hnv-store-'));
    boot = path.join(folder, 'gateway.yaml');
  });
  afterEach(() => fs.rmSync(folder, { recursive: true }));
  const open = () => new FileStore(path.join(folder, 'state'), boot);

  it('starts from the boot file, then from what was applied, and again from the boot file when that changes', () => {
    assert.deepEqual(open().bootSources(), []);
    fs.writeFileSync(boot, 'Gateway: one');
    assert.deepEqual(open().bootSources(), [{ file: boot, text: 'Gateway: one' }]);
    const applied = { file: '/root/new.yaml', text: 'Gateway: two' };
    open().saveRunning(applied);
    assert.deepEqual(open().bootSources(), [applied]);
    fs.writeFileSync(boot, 'Gateway: three');
    // The former one is what there is when the newer word is wrong.
    assert.deepEqual(open().bootSources(), [{ file: boot, text: 'Gateway: three' }, applied]);
    fs.rmSync(boot);
    assert.deepEqual(open().bootSources(), [applied]);
  });

  it('keeps slots and the digest key over restarts, readable by root alone', () => {
    const first = open();
    first.saveSlots({ nextSlot: 3, domains: {} });
    const second = open();
    assert.deepEqual(second.slots, { nextSlot: 3, domains: {} });
    assert.deepEqual(second.digestKey, first.digestKey);
    assert.equal(second.digestKey.length, 32);
    for (const f of fs.readdirSync(path.join(folder, 'state')))
      assert.equal(fs.statSync(path.join(folder, 'state', f)).mode & 0o077, 0, f);
  });

  it('refuses to guess numbers when the slot table is damaged', () => {
    open().saveSlots({ nextSlot: 3, domains: {} });
    fs.writeFileSync(path.join(folder, 'state/slots.json'), '{"nextSlot":');
    assert.throws(open, SyntaxError);
  });
});
