/** `hnvhost show`: what the pinned maps hold, whether or not the agent runs. */
import type { Slot } from '../compartments/numbers.ts';
import { dropRows, type Entries, type Names, portRows, recordRows } from '../encap/show.ts';
import { BpfMap } from '../kernel/bpf.ts';
import { inspectNetns } from '../kernel/inspect.ts';
import type { Row } from '../lib/table.ts';
import { pinDirectory } from './agent.ts';
import { HostState } from './state.ts';

const NOUNS: Readonly<Record<string, { map: string; rows: (entries: Entries, names: Names) => readonly Row[] }>> = {
  records: { map: 'records', rows: recordRows },
  ports: { map: 'ports', rows: portRows },
  drops: { map: 'drops', rows: dropRows },
};
export const HOST_NOUNS: readonly string[] = Object.keys(NOUNS);

/** Rows of a noun; throws when there are no maps (the agent never ran) or the noun is unknown. */
export function show(noun: string, options: { readonly pin: string; readonly state: string }): readonly Row[] {
  const chosen = Object.hasOwn(NOUNS, noun) ? NOUNS[noun] : undefined;
  if (!chosen) throw new RangeError(`no noun ${noun}`);
  const state = new HostState(options.state);
  const devices = new Map(inspectNetns('').links.map((l) => [l.index, l.name]));
  const map = BpfMap.pinned(`${pinDirectory(options.pin)}/${chosen.map}`);
  try {
    return chosen.rows([...map.batches()].flat(), {
      routingDomain: (slot: Slot) => state.nameOf(slot),
      device: (index) => devices.get(index) ?? `index ${index}`,
    });
  } finally {
    map.close();
  }
}
