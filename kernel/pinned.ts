/**
 * An eBPF object whose maps outlive the process: pinned under a directory of a BPF file system (bpf(2), BPF_OBJ_PIN), so that
 * the data plane goes on with the same entries while the process is away.
 *
 * The directory's name carries the schema number of the map layout (`/sys/fs/bpf/hnv-gateway/<schema>`). A new layout is a new
 * directory: its maps are filled before the new programs are attached over the old ones, and then the old directory goes.
 */
import fs from 'node:fs';
import { BpfError } from './bpf/libbpf.ts';
import { BpfMap } from './bpf/map.ts';
import { BpfObject } from './bpf/object.ts';
import { programInfo } from './bpf/program.ts';
import { sys } from './sys.ts';

const BPFFS = '/sys/fs/bpf';
const BPF_FS_MAGIC = 0xcafe4a11;

export interface LoadedProgram {
  readonly fd: number;
  /** The kernel's digest over the instructions, 16 hex digits. */
  readonly tag: string;
  /** Kernel ids of the pinned maps that the program uses. */
  readonly maps: readonly number[];
}

export interface Pinned {
  readonly programs: Readonly<Record<string, LoadedProgram>>;
  readonly maps: ReadonlyMap<string, BpfMap>;
  /** Closes the descriptors of programs and maps; what is pinned or attached lives on. */
  close(): void;
}

const isBpffs = (path: string): boolean => fs.statfsSync(path).type === BPF_FS_MAGIC;

/** Bare containers and virtual machines come without it. */
function mountBpffs(): void {
  if (!isBpffs(BPFFS)) sys.mount('bpf', BPFFS, 'bpf', 0, null);
}

/**
 * Loads the object; maps that are pinned in `pinDir` already are used as they are. Throws BpfError with the verifier's text,
 * and EINVAL with a hint when a pinned map has another shape.
 * @param sizes maps with another number of entries than the object's; a map that is pinned already keeps its own.
 */
export function openPinned(
  objectPath: string,
  pinDir: string,
  mapNames: readonly string[],
  sizes: Readonly<Record<string, number>> = {},
): Pinned {
  if (pinDir.startsWith(`${BPFFS}/`)) mountBpffs();
  fs.mkdirSync(pinDir, { recursive: true, mode: 0o700 });
  if (!isBpffs(pinDir)) throw new Error(`${pinDir} is not on a BPF file system`);
  const asked = Object.entries(sizes).map(([name, size]) => [name, pinnedSize(`${pinDir}/${name}`) ?? size] as const);
  const object = load(objectPath, pinDir, mapNames, Object.fromEntries(asked));
  try {
    const maps = new Map(mapNames.map((name) => [name, object.map(name)]));
    const pinnedIds = new Set([...maps.values()].map((m) => m.id));
    const programs = object.programNames().map((name): [string, LoadedProgram] => {
      const fd = object.progFd(name);
      const { tag, mapIds } = programInfo(fd);
      return [name, { fd, tag, maps: mapIds.filter((id) => pinnedIds.has(id)) }];
    });
    return { programs: Object.fromEntries(programs), maps, close: () => object.close() };
  } catch (e) {
    object.close();
    throw e;
  }
}

/** Entries of a map that is pinned; undefined when there is none. */
function pinnedSize(file: string): number | undefined {
  if (!fs.existsSync(file)) return undefined;
  const map = BpfMap.pinned(file);
  fs.closeSync(map.fd);
  return map.maxEntries;
}

function load(
  objectPath: string,
  pinDir: string,
  mapNames: readonly string[],
  sizes: Readonly<Record<string, number>>,
): BpfObject {
  try {
    return new BpfObject(objectPath, pinDir, mapNames, sizes);
  } catch (e) {
    if (e instanceof BpfError && e.message.includes('parameter mismatch'))
      e.message += `\nThe maps in ${pinDir} are of another layout: a new layout needs a new schema number.`;
    throw e;
  }
}

/** Takes the maps of a schema away that is no longer in use. */
export const removePinned = (pinDir: string): void => fs.rmSync(pinDir, { recursive: true, force: true });

/** The same for every schema but `keep`; `directory` holds one directory per schema number. Once no program uses them any more. */
export function removeOtherPinned(directory: string, keep: number): void {
  for (const name of fs.readdirSync(directory))
    if (/^\d+$/.test(name) && name !== String(keep)) removePinned(`${directory}/${name}`);
}
