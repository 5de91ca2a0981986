/** A file replaced as a whole and on disk when this returns, so that a crash leaves the old or the new. */
import fs from 'node:fs';
import path from 'node:path';

/** Mode 0600; the data as a whole or in pieces. Throws what the file system says. */
export function replaceFile(file: string, data: string | Uint8Array | Iterable<string>): void {
  const temporary = `${file}.new`;
  const fd = fs.openSync(temporary, 'w', 0o600);
  try {
    if (typeof data === 'string' || data instanceof Uint8Array) fs.writeFileSync(fd, data);
    else for (const piece of data) fs.writeFileSync(fd, piece);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  fs.renameSync(temporary, file);
  syncDirectory(file);
}

/** Gone, and gone after a crash; nothing happens when it is not there. */
export function removeFile(file: string): void {
  if (!fs.existsSync(file)) return;
  fs.rmSync(file);
  syncDirectory(file);
}

function syncDirectory(file: string): void {
  const directory = fs.openSync(path.dirname(file), 'r');
  try {
    fs.fsyncSync(directory);
  } finally {
    fs.closeSync(directory);
  }
}
