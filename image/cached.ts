/**
 * Builds a file only when its inputs differ from those it was last built from: the digest of the inputs stands in
 * `<file>.inputs`, written after the file itself.
 */
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** SHA-256 over names, modes and contents of files and trees (sorted), and over plain words. Missing paths count as absent. */
export function digestOf(paths: readonly string[], words: readonly string[] = []): string {
  const hash = createHash('sha256');
  const add = (path: string, name: string): void => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    hash.update(`${name}\0${stat ? stat.mode.toString(8) : 'absent'}\0`);
    if (!stat) return;
    if (stat.isSymbolicLink()) hash.update(readlinkSync(path));
    else if (stat.isDirectory())
      for (const child of readdirSync(path).sort()) add(join(path, child), `${name}/${child}`);
    else hash.update(readFileSync(path));
    hash.update('\0');
  };
  for (const [i, path] of paths.entries()) add(path, String(i));
  for (const word of words) hash.update(`${word}\0`);
  return hash.digest('hex');
}

/** Calls `make` unless every file exists and the first was made from inputs of this digest. Says whether it was called. */
export async function cached(files: readonly string[], digest: string, make: () => Promise<void>): Promise<boolean> {
  const stamp = `${files[0]}.inputs`;
  const before = existsSync(stamp) ? readFileSync(stamp, 'utf8') : '';
  if (before === digest && files.every((f) => existsSync(f))) return false;
  await make();
  writeFileSync(stamp, digest);
  return true;
}
