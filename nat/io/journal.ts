/**
 * The block log on disk: JSON lines, each on disk when `write` returns. A file that is full is put aside under the time at which
 * it ended; the new one begins with all holdings that go on, so that the file in use alone says who has what.
 */
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import type { Address } from '../../lib/address.ts';
import { type BlockRecord, formatRecord, parseRecord } from '../log.ts';

const NAME = 'nat-blocks';
const CURRENT = `${NAME}.jsonl`;
const FORMER = new RegExp(`^${NAME}-\\d{8}T\\d{6}\\d{3}Z\\.jsonl$`);

export interface JournalLimits {
  /** Bytes of one file. */
  readonly file: number;
  /** Files put aside; the oldest go. */
  readonly files: number;
}
/** About four million records. */
export const JOURNAL_LIMITS: JournalLimits = { file: 16 << 20, files: 64 };

const holding = (r: BlockRecord): string => `${r.slot} ${r.address} ${r.portStart} ${r.taken}`;

export class BlockJournal {
  readonly #directory: string;
  readonly #limits: JournalLimits;
  readonly #now: () => number;
  readonly #open = new Map<string, BlockRecord>();
  #fd: number;
  #size: number;

  /** Throws when the directory cannot be written. Lines that a crash cut off are passed over. @param now ms since 1970 */
  constructor(directory: string, now: () => number, limits: JournalLimits = JOURNAL_LIMITS) {
    this.#directory = directory;
    this.#limits = limits;
    this.#now = now;
    const file = path.join(directory, CURRENT);
    const text = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
    for (const line of text.split('\n')) {
      const record = parseRecord(line);
      if (record.ok) this.#note(record.value);
    }
    this.#fd = fs.openSync(file, 'a', 0o600);
    this.#size = Buffer.byteLength(text);
    if (text !== '' && !text.endsWith('\n')) this.#append('\n');
  }

  /** Holdings that are not over yet, as far as the log knows. */
  get open(): readonly BlockRecord[] {
    return [...this.#open.values()];
  }

  write(records: readonly BlockRecord[]): void {
    if (records.length === 0) return;
    for (const r of records) this.#note(r);
    this.#append(records.map((r) => `${formatRecord(r)}\n`).join(''));
    if (this.#size > this.#limits.file) this.#turn();
  }

  /** Records of an address in the order of the files; a file at a time, in the background. */
  async *about(address: Address): AsyncGenerator<BlockRecord> {
    const wanted = `"${address}"`;
    for (const name of [...this.#former(), CURRENT]) {
      const input = fs.createReadStream(path.join(this.#directory, name));
      try {
        for await (const line of readline.createInterface({ input })) {
          if (!line.includes(wanted)) continue;
          const record = parseRecord(line);
          if (record.ok && record.value.address === address) yield record.value;
        }
      } catch (e) {
        if ((e as NodeJS.ErrnoException).code !== 'ENOENT') throw e; // put aside, or gone, meanwhile
      }
    }
  }

  #note(r: BlockRecord): void {
    if (r.event === 'taken') this.#open.set(holding(r), r);
    else this.#open.delete(holding(r));
  }

  #append(text: string): void {
    fs.writeSync(this.#fd, text);
    fs.fdatasyncSync(this.#fd);
    this.#size += Buffer.byteLength(text);
  }

  #former(): readonly string[] {
    return fs
      .readdirSync(this.#directory)
      .filter((name) => FORMER.test(name))
      .sort();
  }

  #turn(): void {
    const time = new Date(this.#now()).toISOString().replace(/[-:.]/g, '');
    const current = path.join(this.#directory, CURRENT);
    fs.closeSync(this.#fd);
    fs.renameSync(current, path.join(this.#directory, `${NAME}-${time}.jsonl`));
    this.#fd = fs.openSync(current, 'a', 0o600);
    this.#size = 0;
    this.#append(this.open.map((r) => `${formatRecord(r)}\n`).join(''));
    for (const name of this.#former().slice(0, -this.#limits.files)) fs.rmSync(path.join(this.#directory, name));
  }
}
