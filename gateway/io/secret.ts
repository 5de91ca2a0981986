/** Secrets from files, as they stand; relative paths from the configuration file's folder. */
import fs from 'node:fs';
import path from 'node:path';
import { err, ok, type Result } from '../../lib/result.ts';

const MAX_BYTES = 4096;

export function secretReader(folder: string): (file: string) => Result<string, string> {
  return (file) => {
    try {
      const full = path.resolve(folder, file);
      if (fs.statSync(full).size > MAX_BYTES) return err(`is larger than ${MAX_BYTES} bytes`);
      return ok(fs.readFileSync(full, 'utf8'));
    } catch (e) {
      return err((e as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : (e as Error).message);
    }
  };
}
