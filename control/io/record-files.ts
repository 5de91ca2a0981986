/**
 * Policy records that are not the configuration file's, on disk: a file for each VM network and one for the machine. A change
 * appends what it changed to its VM network's (`control/record-journal.ts`); when the changes outgrow the records, the file is
 * written anew. A damaged file throws: records must not be guessed.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { RoutingDomainId } from '../../compartments/compartment.ts';
import type { Changed, RecordChange, RecordStore } from '../../encap/records.ts';
import { hasOwn, type Own, ownOfMachine, ownOfNetwork } from '../merge.ts';
import { changeLine, type Journal, readJournal, wholeLines } from '../record-journal.ts';
import { removeFile, replaceFile } from './replace-file.ts';

const MACHINE = 'machine.json';
/** Bytes of changes below which writing a file anew is not worth it. */
const FEW_CHANGES = 65_536;

const fileOf = (id: RoutingDomainId): string => `${id.replace(/[{}]/g, '')}.json`;

/** Bytes of a file: those that were written as a whole, and all that count. */
interface Extent {
  readonly whole: number;
  readonly length: number;
}

export class RecordFiles {
  readonly #directory: string;
  readonly #extents = new Map<string, Extent>();

  constructor(stateDirectory: string) {
    this.#directory = path.join(stateDirectory, 'records');
  }

  /** Every record that is on disk, as changes of a store that has only the file's. */
  read(): readonly RecordChange[] {
    if (!fs.existsSync(this.#directory)) return [];
    return fs
      .readdirSync(this.#directory)
      .filter((name) => name.endsWith('.json'))
      .flatMap((name) => this.#journal(name).records);
  }

  /** Writes what a change touched; on disk when it returns. */
  save({ store, networks, machine }: Changed): void {
    for (const [id, touched] of networks) {
      const name = fileOf(id);
      const network = store.networks.get(id);
      if (!network || !hasOwn(network)) this.#remove(name);
      else if (!fs.existsSync(this.#pathOf(name))) this.#write(name, ownOfNetwork(network));
      else {
        this.#append(name, changeLine(network, touched));
        const { whole, length } = this.#extentOf(name);
        if (length - whole > Math.max(FEW_CHANGES, whole)) this.#write(name, ownOfNetwork(network));
      }
    }
    if (machine) this.#write(MACHINE, ownOfMachine(store));
  }

  /** Writes everything anew, and forgets VM networks that are no more. */
  saveAll(store: RecordStore): void {
    const networks = [...store.networks.entries()].map(([id]) => id as RoutingDomainId);
    const keep = new Set([MACHINE, ...networks.map(fileOf)]);
    if (fs.existsSync(this.#directory))
      for (const name of fs.readdirSync(this.#directory))
        if (name.endsWith('.json') && !keep.has(name)) this.#remove(name);
    for (const id of networks) this.#write(fileOf(id), ownOfNetwork(store.networks.get(id)));
    this.#write(MACHINE, ownOfMachine(store));
  }

  #pathOf(name: string): string {
    return path.join(this.#directory, name);
  }

  #journal(name: string): Journal {
    const journal = readJournal(fs.readFileSync(this.#pathOf(name)));
    if (!journal.ok) throw new Error(`${name}: ${journal.error}`);
    const { length } = journal.value;
    this.#extents.set(name, { whole: 0, length });
    return journal.value;
  }

  #extentOf(name: string): Extent {
    if (!this.#extents.has(name)) this.#journal(name);
    return this.#extents.get(name)!;
  }

  /** After the last line that counts: a torn one, of a crash or of a disk that was full, goes first. */
  #append(name: string, line: string): void {
    const { whole, length } = this.#extentOf(name);
    const bytes = Buffer.from(line);
    const fd = fs.openSync(this.#pathOf(name), 'r+');
    try {
      if (fs.fstatSync(fd).size !== length) fs.ftruncateSync(fd, length);
      for (let at = 0; at < bytes.length; ) at += fs.writeSync(fd, bytes, at, bytes.length - at, length + at);
      fs.fdatasyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    this.#extents.set(name, { whole, length: length + bytes.length });
  }

  #write(name: string, own: readonly Own[]): void {
    if (own.length === 0) {
      this.#remove(name);
      return;
    }
    fs.mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    replaceFile(this.#pathOf(name), wholeLines(own));
    const { size } = fs.statSync(this.#pathOf(name));
    this.#extents.set(name, { whole: size, length: size });
  }

  #remove(name: string): void {
    this.#extents.delete(name);
    removeFile(this.#pathOf(name));
  }
}
