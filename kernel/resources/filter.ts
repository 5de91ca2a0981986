/**
 * Resource `filter`: one of our eBPF programs on a device of the default compartment. The filter's name `hnv-gateway/<program>`
 * is its mark. The clsact qdisc is shared and stays when our filter goes.
 *
 * A port of ours is up only while its ingress program is attached, because without it the default compartment's own stack would
 * answer the tenant. So the filter sets the port up and down, and a port that is down counts as one without filter.
 */
import { DEFAULT_SLOT, type Slot, slotOfPort } from '../../compartments/numbers.ts';
import { MARK, type Resource, type Specs } from '../../compartments/resource.ts';
import { BpfError } from '../bpf/libbpf.ts';
import { programInfoById } from '../bpf/program.ts';
import type { Namespaces } from '../namespaces.ts';
import type { LoadedProgram } from '../pinned.ts';
import {
  createClsact,
  createFilter,
  type Direction,
  deleteFilter,
  dumpFilters,
  type Filter,
  parseFilter,
  RTM_GETTFILTER,
} from '../rtnl/filter.ts';
import { type Link, setLink } from '../rtnl/link.ts';
import { Batch, NLM_F } from '../rtnl/message.ts';
import { isNetlinkError } from '../rtnl/socket.ts';

export type Programs = Readonly<Record<string, LoadedProgram>>;

const NAME_PREFIX = `${MARK}/`;

function attached(namespaces: Namespaces, index: number, direction: Direction): Filter | undefined {
  const filters = namespaces.netlink('').dump(RTM_GETTFILTER, { header: dumpFilters(index, direction) }, parseFilter);
  return filters.find((f) => f !== undefined);
}
const isOurs = (filter: Filter): boolean => filter.name.startsWith(NAME_PREFIX);

/**
 * The tag covers the instructions only. A program with the same instructions that works on other maps (the pin directory was
 * removed, say) must not pass for ours.
 */
function tagOf(filter: Filter, program: LoadedProgram | undefined): string {
  if (!program || program.tag !== filter.tag) return filter.tag;
  try {
    const maps = new Set(programInfoById(filter.programId).mapIds);
    return program.maps.every((id) => maps.has(id)) ? filter.tag : `${filter.tag} on other maps`;
  } catch (e) {
    if (e instanceof BpfError && e.code === 'ENOENT') return 'gone';
    throw e;
  }
}

/** Ports belong to their tenant, every other device to the default compartment. */
export const slotOfDevice = (link: Link): Slot =>
  (link.alias === MARK ? slotOfPort(link.name) : undefined) ?? DEFAULT_SLOT;

const holdsPort = (link: Link, direction: Direction): boolean =>
  direction === 'ingress' && slotOfDevice(link) !== DEFAULT_SLOT;

export const readFilters = (namespaces: Namespaces, programs: Programs, link: Link): Resource<'filter'>[] =>
  (['ingress', 'egress'] as const).flatMap((direction): Resource<'filter'>[] => {
    const filter = attached(namespaces, link.index, direction);
    if (!filter || !isOurs(filter) || (holdsPort(link, direction) && !link.up)) return [];
    const program = filter.name.slice(NAME_PREFIX.length);
    const spec = { device: link.name, direction, program, tag: tagOf(filter, programs[program]) };
    return [{ kind: 'filter', key: `${link.name} ${direction}`, slot: slotOfDevice(link), spec }];
  });

export function ensureFilter(namespaces: Namespaces, programs: Programs, spec: Specs['filter']): void {
  const program = programs[spec.program];
  if (!program) throw new Error(`ENOENT: program ${spec.program} is not loaded`);
  if (program.tag !== spec.tag) throw new Error(`ESTALE: program ${spec.program} is loaded with tag ${program.tag}`);
  const netlink = namespaces.netlink('');
  const link = namespaces.existing('', spec.device);
  const at = { index: link.index, direction: spec.direction };
  const named = { fd: program.fd, name: `${NAME_PREFIX}${spec.program}` };
  netlink.run(createClsact(new Batch(), at.index));
  try {
    netlink.run(createFilter(new Batch(), at, named, NLM_F.EXCL));
  } catch (e) {
    if (!isNetlinkError(e, 'EEXIST')) throw e;
    const filter = attached(namespaces, at.index, at.direction);
    if (filter && !isOurs(filter)) throw new Error(`EEXIST: filter ${filter.name} is in our place (pref 1 handle 1)`);
    netlink.run(createFilter(new Batch(), at, named, NLM_F.REPLACE));
  }
  if (holdsPort(link, spec.direction)) netlink.run(setLink(new Batch(), link.index, { up: true }));
}

export function removeFilter(namespaces: Namespaces, { device, direction }: Specs['filter']): void {
  const link = namespaces.link('', device);
  const filter = link && attached(namespaces, link.index, direction);
  if (!filter || !isOurs(filter)) return;
  const batch = new Batch();
  if (holdsPort(link, direction)) setLink(batch, link.index, { up: false });
  namespaces.netlink('').run(deleteFilter(batch, link.index, direction));
}
