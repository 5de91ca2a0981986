/** What a host keeps on disk: the slot and the name of each routing domain, so that numbers in the maps outlive the process. */
import fs from 'node:fs';
import path from 'node:path';
import type { HostConfig } from '../compartments/host.ts';
import type { Slot } from '../compartments/numbers.ts';
import { assignSlots, EMPTY_SLOTS, type SlotTable } from '../compartments/slots.ts';

interface Saved {
  readonly table: SlotTable;
  readonly names: Readonly<Record<Slot, string>>;
}

export class HostState {
  readonly #file: string;
  #saved: Saved = { table: EMPTY_SLOTS, names: {} };

  /** Throws when the file is there and damaged: numbers must not be guessed. */
  constructor(directory: string) {
    this.#file = path.join(directory, 'domains.json');
    if (fs.existsSync(this.#file)) this.#saved = JSON.parse(fs.readFileSync(this.#file, 'utf8')) as Saved;
  }

  get table(): SlotTable {
    return this.#saved.table;
  }

  nameOf(slot: Slot): string {
    return this.#saved.names[slot] ?? '';
  }

  /** Numbers every routing domain; on disk before anybody uses a number. */
  assign(config: HostConfig): SlotTable {
    const table = assignSlots(
      this.#saved.table,
      config.routingDomains.map((d) => ({ routingDomainId: d.routingDomainId, s2sInterfaces: [] })),
    );
    const names = { ...this.#saved.names };
    for (const d of config.routingDomains) names[table.domains[d.routingDomainId]!.slot] = d.routingDomain;
    const next = { table, names };
    if (JSON.stringify(next) !== JSON.stringify(this.#saved)) {
      fs.mkdirSync(path.dirname(this.#file), { recursive: true, mode: 0o700 });
      const temporary = `${this.#file}.new`;
      fs.writeFileSync(temporary, `${JSON.stringify(next, undefined, 1)}\n`, { mode: 0o600, flush: true });
      fs.renameSync(temporary, this.#file);
      this.#saved = next;
    }
    return table;
  }
}
