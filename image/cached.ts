/**
 * Builds a file only when its inputs differ from those it was last built from: the digest of the inputs stands in
 * `<file>.inputs`, written after the file itself.
 */
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

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

/**
 * Calls `make` with temporary names for the files, unless all files exist and were made from inputs of this digest. They take
 * their real names when all are made: a guest that runs from the old ones keeps them. Says whether it was called.
 */
export async function cached<F extends readonly string[]>(
  files: F,
  digest: string,
  make: (...temporary: { [K in keyof F]: string }) => Promise<void>,
): Promise<boolean> {
  const stamp = `${files[0]}.inputs`;
  const before = existsSync(stamp) ? readFileSync(stamp, 'utf8') : '';
  if (before === digest && files.every((f) => existsSync(f))) return false;
  const temporary = files.map((f) => `${f}.new`) as { [K in keyof F]: string };
  await make(...temporary);
  rmSync(stamp, { force: true });
  for (const [i, file] of files.entries()) renameSync(temporary[i]!, file);
  writeFileSync(stamp, digest);
  return true;
}

/** Runs `work` while no other process does so under the same lock file; one that a crash left behind does not count. */
export async function alone<T>(lock: string, waiting: () => void, work: () => Promise<T>): Promise<T> {
  for (let told = false; ; ) {
    const holder = existsSync(lock) ? readFileSync(lock, 'utf8') : '';
    if (holder !== '' && !existsSync(`/proc/${holder}`)) rmSync(lock, { force: true });
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    if (!told) waiting();
    told = true;
    await delay(200);
  }
  try {
    return await work();
  } finally {
    rmSync(lock, { force: true });
  }
}
