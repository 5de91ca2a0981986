/**
 * Programs on a device's tcx hooks (linux/bpf.h, since Linux 6.6; same program type and verdicts as tc-bpf(8)). The kernel calls
 * them straight from its receive path; a clsact filter costs a qdisc, a filter chain and a classifier more with every packet.
 *
 * They stay attached without a process or a pin, until the device goes. A device may have several, called in order; any verdict
 * but TC_ACT_UNSPEC ends the row, and tc filters come after it. Devices are looked up in the calling thread's network namespace.
 */
import { raw } from '../sys.ts';
import { BpfError, check, libbpf, pointerTo } from './libbpf.ts';
import { type ProgramInfo, programInfo } from './program.ts';

const ATTACH_TYPE = { ingress: 46, egress: 47 } as const;
export type Direction = keyof typeof ATTACH_TYPE;

const BPF_F_REPLACE = 4;
const BPF_F_BEFORE = 8; // of all, when no other program is named
const ATTACH_OPTIONS = 16; // struct bpf_prog_attach_opts
const MAX_PROGRAMS = 64; // the kernel's own limit, BPF_MPROG_MAX

export interface Hook {
  readonly index: number;
  readonly direction: Direction;
}

/** Works on a program that is attached somewhere; undefined when it is gone meanwhile. */
function withProgram<T>(id: number, work: (fd: number) => T): T | undefined {
  let fd: number;
  try {
    fd = check(`program ${id}`, libbpf.programFdById(id));
  } catch (e) {
    if (e instanceof BpfError && e.code === 'ENOENT') return undefined;
    throw e;
  }
  try {
    return work(fd);
  } finally {
    raw.close(fd);
  }
}

/** In the order in which they are called. */
export function attached({ index, direction }: Hook): readonly ProgramInfo[] {
  const ids = Buffer.alloc(4 * MAX_PROGRAMS);
  const count: [number] = [MAX_PROGRAMS];
  const result: number = libbpf.query(index, ATTACH_TYPE[direction], 0, null, ids, count);
  if (result < 0) {
    const error = new BpfError(`programs of device ${index}`, result);
    if (error.code === 'ENODEV' || error.code === 'ENOENT') return [];
    throw error;
  }
  return Array.from({ length: count[0] }, (_, i) => withProgram(ids.readUInt32LE(4 * i), programInfo)).filter(
    (info) => info !== undefined,
  );
}

/** Before all others. */
export function attachFirst(fd: number, { index, direction }: Hook): void {
  check(`attach to device ${index}`, libbpf.attach(fd, index, ATTACH_TYPE[direction], BPF_F_BEFORE));
}

/** Swaps a program in its place: no packet meets neither. Throws BpfError ENOENT when `id` is not there any more. */
export function exchange(id: number, fd: number, { index, direction }: Hook): void {
  const options = Buffer.alloc(ATTACH_OPTIONS);
  options.writeBigUInt64LE(BigInt(ATTACH_OPTIONS), 0);
  options.writeUInt32LE(BPF_F_REPLACE, 8);
  const former = check(`program ${id}`, libbpf.programFdById(id));
  try {
    options.writeInt32LE(former, 12);
    check(`exchange on device ${index}`, libbpf.attachWith(fd, index, ATTACH_TYPE[direction], pointerTo(options)));
  } finally {
    raw.close(former);
  }
}

export function detach(id: number, { index, direction }: Hook): void {
  withProgram(id, (fd) => check(`detach from device ${index}`, libbpf.detach(fd, index, ATTACH_TYPE[direction])));
}
