/** eBPF for the rest of the project: objects, maps, single runs, ring buffers. */
export { BpfError } from './bpf/libbpf.ts';
export { BpfMap, possibleCpus } from './bpf/map.ts';
export { BpfObject } from './bpf/object.ts';
export { runSyscall, testRun } from './bpf/program.ts';
export { RingBuf } from './bpf/ringbuf.ts';
