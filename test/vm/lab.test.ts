/** The lab's checks, one test each: the appliance from its image beside the Fabrikam world (docs/lab.md). */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { judge } from '../../lab/checks/check.ts';
import { CHECKS } from '../../lab/checks/table.ts';
import { type Lab, startLab } from '../../lab/lab.ts';

const root = path.resolve(import.meta.dirname, '../..');
const START_MS = 15 * 60_000;
const CHECK_MS = 10 * 60_000;

/** Why the guests cannot run here, if they cannot. */
function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  const missing = ['qemu-system-x86_64', 'qemu-img', 'mmdebstrap'].filter((program) =>
    (process.env.PATH ?? '').split(':').every((directory) => {
      try {
        accessSync(path.join(directory, program), constants.X_OK);
        return false;
      } catch {
        return true;
      }
    }),
  );
  return missing.length ? `needs ${missing.join(', ')}` : undefined;
}

const reason = obstacle();

describe(`lab: Contoso and Woodgrove${reason ? ` (skipped: ${reason})` : ''}`, function () {
  this.timeout(CHECK_MS);
  let lab: Lab | undefined;

  before(async function () {
    if (reason) this.skip();
    this.timeout(START_MS);
    execFileSync(process.execPath, [path.join(root, 'bin/build.ts')], { stdio: 'inherit' });
    lab = await startLab((line) => process.stderr.write(`      ${line}\n`));
  });

  after(() => lab?.stop());

  for (const check of CHECKS)
    it(`${check.id}: ${check.title}`, async () => {
      const { held, evidence } = await judge(check, lab!);
      assert.ok(held, evidence.join('\n'));
    });
});
