/**
 * What the gateway keeps on disk under its state directory: slot numbers, the configuration in force, records of run
 * time, and the key of the digests by which loaded connections are compared. Every file but the records (`control/io/record-files.ts`)
 * is replaced as a whole, so a crash leaves the old or the new.
 */
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { EMPTY_SLOTS, type SlotTable } from '../../compartments/slots.ts';
import { RecordFiles } from '../../control/io/record-files.ts';
import { replaceFile } from '../../control/io/replace-file.ts';
import type { Store } from '../gateway.ts';
import type { Source } from '../running.ts';

const readIfThere = (file: string): string | undefined => {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw e;
  }
};

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** `bootHash`: of the boot file that was there when this configuration was applied. */
interface Saved {
  readonly source: Source;
  readonly bootHash: string;
}

export class FileStore implements Store {
  readonly #directory: string;
  readonly #bootFile: string;
  readonly slots: SlotTable;
  /** 32 bytes; kept, so that digests are comparable over restarts. */
  readonly digestKey: Uint8Array;
  readonly records: RecordFiles;

  /** Throws when the directory cannot be used or the slot table is damaged: numbers must not be guessed. */
  constructor(directory: string, bootFile: string) {
    this.#directory = directory;
    this.#bootFile = bootFile;
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.records = new RecordFiles(directory);
    const slots = readIfThere(path.join(directory, 'slots.json'));
    this.slots = slots === undefined ? EMPTY_SLOTS : (JSON.parse(slots) as SlotTable);
    const keyFile = path.join(directory, 'digest.key');
    if (!fs.existsSync(keyFile)) replaceFile(keyFile, randomBytes(32));
    this.digestKey = fs.readFileSync(keyFile);
  }

  saveSlots(table: SlotTable): void {
    replaceFile(path.join(this.#directory, 'slots.json'), `${JSON.stringify(table, undefined, 1)}\n`);
  }

  /** Makes this the configuration to start with from now on. */
  saveRunning(source: Source): void {
    const saved: Saved = { source, bootHash: hashOf(readIfThere(this.#bootFile) ?? '') };
    const text = `${JSON.stringify(saved)}\n`;
    const file = path.join(this.#directory, 'running.json');
    if (readIfThere(file) !== text) replaceFile(file, text);
  }

  /**
   * The configurations to start with, the first that loads: the last one that was in force, unless the boot file was changed
   * since; then the boot file is the operator's newer word, and the last one what there is when that word is wrong.
   */
  bootSources(): readonly Source[] {
    const boot = readIfThere(this.#bootFile);
    const text = readIfThere(path.join(this.#directory, 'running.json'));
    const saved = text === undefined ? undefined : (JSON.parse(text) as Saved);
    const file = boot === undefined ? [] : [{ file: path.resolve(this.#bootFile), text: boot }];
    if (!saved) return file;
    return saved.bootHash === hashOf(boot ?? '') ? [saved.source] : [...file, saved.source];
  }
}
