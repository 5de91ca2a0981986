/** The boot script that mounts the configuration drive, with commands of our own in place of the machine's. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const script = path.resolve(import.meta.dirname, '../../image/root/usr/lib/hnv-gateway/config-drive');
/** Every command writes itself into the log; the disk is there from the asking on whose number is AT. */
const COMMANDS: Readonly<Record<string, string>> = {
  blkid: '[ "$(grep -c ^blkid "$LOG")" -ge "$AT" ] && echo /dev/vdb',
  udevadm: 'exit 1', // as when five seconds were not enough
  mkdir: '',
  mount: '',
};

describe('configuration drive', () => {
  let directory: string;
  before(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'hnv-drive-'));
    for (const [name, body] of Object.entries(COMMANDS))
      fs.writeFileSync(path.join(directory, name), `#!/bin/sh\necho ${name} "$@" >>"$LOG"\n${body}\n`, { mode: 0o755 });
  });
  after(() => fs.rmSync(directory, { recursive: true, force: true }));

  /** What the script runs when the disk can be found at the given asking. */
  const boot = (at: number): readonly string[] => {
    const log = path.join(directory, 'log');
    fs.writeFileSync(log, '');
    const env = { ...process.env, PATH: `${directory}:${process.env.PATH}`, LOG: log, AT: String(at) };
    const { status, stderr } = spawnSync('sh', [script], { env });
    assert.equal(status, 0, stderr.toString());
    return fs
      .readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.replace(/ .*\/dev\/vdb/, ' /dev/vdb'));
  };

  it('is mounted without waiting when the disk is there', () => {
    assert.deepEqual(boot(1), [
      'blkid -L HNV-CONFIG',
      'mkdir -p -m 0700 /media/hnv-config',
      'mount /dev/vdb /media/hnv-config',
    ]);
  });

  it('is asked for once more when the devices of the start have been handled', () => {
    const ran = boot(2);
    assert.match(ran[1]!, /^udevadm settle --timeout=5 /);
    assert.equal(ran.at(-1), 'mount /dev/vdb /media/hnv-config');
  });

  it('is no error when there is none', () => {
    const ran = boot(3);
    assert.deepEqual(
      ran.map((line) => line.split(' ')[0]),
      ['blkid', 'udevadm', 'blkid'],
    );
  });
});
