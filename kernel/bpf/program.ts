/** Loaded eBPF programs: what the kernel says about them, and single runs without a device (BPF_PROG_TEST_RUN). */
import { check, libbpf, pointerTo } from './libbpf.ts';

const PROGRAM_INFO = 232; // struct bpf_prog_info
const MAX_MAPS = 64;
const TEST_RUN_OPTIONS = 88; // struct bpf_test_run_opts

export interface ProgramInfo {
  readonly id: number;
  /** At most 15 characters. */
  readonly name: string;
  /** Digest over the instructions, 16 hex digits; says nothing about which maps they use. */
  readonly tag: string;
  readonly mapIds: readonly number[];
}

export function programInfo(fd: number): ProgramInfo {
  const info = Buffer.alloc(PROGRAM_INFO);
  const ids = Buffer.alloc(4 * MAX_MAPS);
  info.writeUInt32LE(MAX_MAPS, 52);
  info.writeBigUInt64LE(pointerTo(ids), 56);
  check('program info', libbpf.info(fd, info, [info.length]));
  const count = Math.min(info.readUInt32LE(52), MAX_MAPS);
  return {
    id: info.readUInt32LE(4),
    name: info.toString('latin1', 64, info.indexOf(0, 64)),
    tag: info.toString('hex', 8, 16),
    mapIds: Array.from({ length: count }, (_, i) => ids.readUInt32LE(4 * i)),
  };
}

export interface TestRun {
  readonly ret: number; // TC_ACT_* or whatever the program returns
  readonly ns: number; // per run
  readonly data: Buffer; // the packet afterwards
}

/**
 * Runs a program on a packet. `ctx`: a 192-byte __sk_buff (mark at 8, cb[] at 48, …), changed in place. Helpers with side
 * effects run for real.
 */
export function testRun(programFd: number, packet: Uint8Array, ctx?: Uint8Array, repeat = 1): TestRun {
  const out = Buffer.alloc(packet.length + 512);
  const options = Buffer.alloc(TEST_RUN_OPTIONS);
  options.writeBigUInt64LE(BigInt(TEST_RUN_OPTIONS), 0);
  options.writeBigUInt64LE(pointerTo(packet), 8);
  options.writeBigUInt64LE(pointerTo(out), 16);
  options.writeUInt32LE(packet.length, 24);
  options.writeUInt32LE(out.length, 28);
  if (ctx) {
    options.writeBigUInt64LE(pointerTo(ctx), 32);
    options.writeBigUInt64LE(pointerTo(ctx), 40);
    options.writeUInt32LE(ctx.length, 48);
    options.writeUInt32LE(ctx.length, 52);
  }
  options.writeInt32LE(repeat, 60);
  check('test_run', libbpf.testRun(programFd, options));
  return {
    ret: options.readInt32LE(56),
    ns: options.readUInt32LE(64),
    data: out.subarray(0, options.readUInt32LE(28)),
  };
}
