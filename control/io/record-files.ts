/**
 * Policy records that are not the configuration file's, on disk: a file for each VM network and one for the machine, so that a
 * change writes what its VM network has. A damaged file throws: records must not be guessed.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { RoutingDomainId } from '../../compartments/compartment.ts';
import type { Changed, RecordChange, RecordStore } from '../../encap/records.ts';
import { ownOfMachine, ownOfNetwork } from '../merge.ts';
import { removeFile, replaceFile } from './replace-file.ts';

const VERSION = 1;
const MACHINE = 'machine.json';

interface SavedFile {
  readonly version: number;
  readonly records: readonly RecordChange[];
}

const fileOf = (id: RoutingDomainId): string => `${id.replace(/[{}]/g, '')}.json`;

export class RecordFiles {
  readonly #directory: string;

  constructor(stateDirectory: string) {
    this.#directory = path.join(stateDirectory, 'records');
  }

  /** Every record that is on disk, as changes of a store that has only the file's. */
  read(): readonly RecordChange[] {
    if (!fs.existsSync(this.#directory)) return [];
    return fs
      .readdirSync(this.#directory)
      .filter((name) => name.endsWith('.json'))
      .flatMap((name) => {
        const file = JSON.parse(fs.readFileSync(path.join(this.#directory, name), 'utf8')) as SavedFile;
        if (file.version !== VERSION) throw new Error(`${name} has version ${file.version}, not ${VERSION}`);
        return file.records;
      });
  }

  /** Writes what a change touched. */
  save({ store, networks, machine }: Changed): void {
    for (const id of networks.keys()) this.#saveNetwork(store, id);
    if (machine) this.#write(MACHINE, ownOfMachine(store));
  }

  /** Writes everything anew, and forgets VM networks that are no more. */
  saveAll(store: RecordStore): void {
    const networks = [...store.networks.entries()].map(([id]) => id as RoutingDomainId);
    const keep = new Set([MACHINE, ...networks.map(fileOf)]);
    if (fs.existsSync(this.#directory))
      for (const name of fs.readdirSync(this.#directory))
        if (name.endsWith('.json') && !keep.has(name)) removeFile(path.join(this.#directory, name));
    for (const id of networks) this.#saveNetwork(store, id);
    this.#write(MACHINE, ownOfMachine(store));
  }

  #saveNetwork(store: RecordStore, id: RoutingDomainId): void {
    this.#write(fileOf(id), ownOfNetwork(store.networks.get(id)));
  }

  #write(name: string, own: readonly RecordChange[]): void {
    const file = path.join(this.#directory, name);
    if (own.length === 0) {
      removeFile(file);
      return;
    }
    fs.mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    replaceFile(file, `${JSON.stringify({ version: VERSION, records: own } satisfies SavedFile)}\n`);
  }
}
