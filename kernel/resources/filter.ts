/**
 * Resource `filter`: one of our eBPF programs on a device of the default compartment, before all others on that hook. Its name is
 * its mark: a program is ours when it has the name of one that we have loaded.
 *
 * A port of ours is up only while its ingress program is attached, because without it the default compartment's own stack would
 * answer the tenant. So the filter sets the port up and down, and a port that is down counts as one without filter.
 */
import { DEFAULT_SLOT, type Slot, slotOfPort } from '../../compartments/numbers.ts';
import { MARK, type Resource, type Specs } from '../../compartments/resource.ts';
import type { ProgramInfo } from '../bpf/program.ts';
import { attached, attachFirst, type Direction, detach, exchange, type Hook } from '../bpf/tcx.ts';
import type { Namespaces } from '../namespaces.ts';
import type { LoadedProgram } from '../pinned.ts';
import { type Link, setLink } from '../rtnl/link.ts';
import { Batch } from '../rtnl/message.ts';

export type Programs = Readonly<Record<string, LoadedProgram>>;

const ours = (programs: Programs, hook: Hook): readonly ProgramInfo[] =>
  attached(hook).filter(({ name }) => Object.hasOwn(programs, name));

/**
 * The tag covers the instructions only. A program with the same instructions that works on other maps (the pin directory was
 * removed, say) must not pass for ours.
 */
function tagOf({ tag, mapIds }: ProgramInfo, program: LoadedProgram): string {
  if (program.tag !== tag) return tag;
  const maps = new Set(mapIds);
  return program.maps.every((id) => maps.has(id)) ? tag : `${tag} on other maps`;
}

/** Ports belong to their tenant, every other device to the default compartment. */
export const slotOfDevice = (link: Link): Slot =>
  (link.alias === MARK ? slotOfPort(link.name) : undefined) ?? DEFAULT_SLOT;

const holdsPort = (link: Link, direction: Direction): boolean =>
  direction === 'ingress' && slotOfDevice(link) !== DEFAULT_SLOT;

export function readFilters(namespaces: Namespaces, programs: Programs, link: Link): Resource<'filter'>[] {
  const read = (direction: Direction): Resource<'filter'>[] => {
    const [first] = ours(programs, { index: link.index, direction });
    if (!first || (holdsPort(link, direction) && !link.up)) return [];
    const spec = { device: link.name, direction, program: first.name, tag: tagOf(first, programs[first.name]!) };
    return [{ kind: 'filter', key: `${link.name} ${direction}`, slot: slotOfDevice(link), spec }];
  };
  return namespaces.visit('', () => [...read('ingress'), ...read('egress')]);
}

export function ensureFilter(namespaces: Namespaces, programs: Programs, spec: Specs['filter']): void {
  const program = programs[spec.program];
  if (!program) throw new Error(`ENOENT: program ${spec.program} is not loaded`);
  if (program.tag !== spec.tag) throw new Error(`ESTALE: program ${spec.program} is loaded with tag ${program.tag}`);
  const link = namespaces.existing('', spec.device);
  const hook = { index: link.index, direction: spec.direction };
  namespaces.visit('', () => {
    const [first, ...others] = ours(programs, hook);
    if (!first) attachFirst(program.fd, hook);
    else if (first.name !== spec.program || tagOf(first, program) !== spec.tag) exchange(first.id, program.fd, hook);
    for (const other of others) detach(other.id, hook);
  });
  if (holdsPort(link, spec.direction)) namespaces.netlink('').run(setLink(new Batch(), link.index, { up: true }));
}

export function removeFilter(namespaces: Namespaces, programs: Programs, { device, direction }: Specs['filter']): void {
  const link = namespaces.link('', device);
  if (!link) return;
  const hook = { index: link.index, direction };
  namespaces.visit('', () => {
    const found = ours(programs, hook);
    if (found.length > 0 && holdsPort(link, direction))
      namespaces.netlink('').run(setLink(new Batch(), link.index, { up: false }));
    for (const { id } of found) detach(id, hook);
  });
}
