/**
 * Drives that are given to a guest. A configuration drive holds gateway.yaml and the files it names; the appliance mounts it
 * read-only by its label. usage: node image/drive.ts DIRECTORY OUT
 */
import { makeExt4 } from './disk.ts';
import { run } from './run.ts';

/** Label by which the appliance finds its configuration drive. */
export const CONFIG_LABEL = 'HNV-CONFIG';

/** An ext4 image of 8 MiB with the directory's contents. Owners and modes are kept: make secrets 0600. */
export const makeConfigDrive = (directory: string, out: string): Promise<void> =>
  makeExt4(out, { tree: directory, label: CONFIG_LABEL, bytes: 8 << 20 });

/** A raw disk that holds a tar of the directory's contents; the world guest unpacks it over its root (boot/init). */
export async function makeTarDrive(directory: string, out: string): Promise<void> {
  await run('tar', [
    '-C',
    directory,
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--sort=name',
    '-b',
    '128',
    '-cf',
    out,
    '.',
  ]);
}

if (import.meta.main) {
  const [directory, out] = process.argv.slice(2);
  if (!directory || !out) throw new Error('usage: node image/drive.ts DIRECTORY OUT');
  await makeConfigDrive(directory, out);
}
