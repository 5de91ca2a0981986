/** libbpf.so.1 through koffi. The log of a failed load (with the verifier's text) becomes part of the error. */
import koffi from 'koffi';
import { errnoName } from '../sys.ts';

const library = koffi.load('libbpf.so.1');

export const libbpf = {
  openFile: library.func('void *bpf_object__open_file(const char *path, void *options)'),
  load: library.func('int bpf_object__load(void *object)'),
  close: library.func('void bpf_object__close(void *object)'),
  findMap: library.func('void *bpf_object__find_map_by_name(void *object, const char *name)'),
  mapFd: library.func('int bpf_map__fd(void *map)'),
  setPinPath: library.func('int bpf_map__set_pin_path(void *map, const char *path)'),
  nextProgram: library.func('void *bpf_object__next_program(void *object, void *previous)'),
  findProgram: library.func('void *bpf_object__find_program_by_name(void *object, const char *name)'),
  programName: library.func('const char *bpf_program__name(void *program)'),
  programFd: library.func('int bpf_program__fd(void *program)'),
  programFdById: library.func('int bpf_prog_get_fd_by_id(uint32_t id)'),
  info: library.func('int bpf_obj_get_info_by_fd(int fd, void *info, _Inout_ uint32_t *length)'),
  getPinned: library.func('int bpf_obj_get(const char *path)'),
  update: library.func('int bpf_map_update_elem(int fd, const void *key, const void *value, uint64_t flags)'),
  lookup: library.func('int bpf_map_lookup_elem(int fd, const void *key, void *value)'),
  delete: library.func('int bpf_map_delete_elem(int fd, const void *key)'),
  lookupBatch: library.func(
    'int bpf_map_lookup_batch(int fd, void *from, void *next, void *keys, void *values, _Inout_ uint32_t *count, void *options)',
  ),
  updateBatch: library.func(
    'int bpf_map_update_batch(int fd, const void *keys, const void *values, _Inout_ uint32_t *count, void *options)',
  ),
  deleteBatch: library.func(
    'int bpf_map_delete_batch(int fd, const void *keys, _Inout_ uint32_t *count, void *options)',
  ),
  attach: library.func('int bpf_prog_attach(int fd, int target, int type, uint32_t flags)'),
  attachWith: library.func('int bpf_prog_attach_opts(int fd, int target, int type, uint64_t options)'),
  detach: library.func('int bpf_prog_detach2(int fd, int target, int type)'),
  query: library.func(
    'int bpf_prog_query(int target, int type, uint32_t flags, void *attach_flags, void *ids, _Inout_ uint32_t *count)',
  ),
  testRun: library.func('int bpf_prog_test_run_opts(int fd, void *options)'),
  setPrint: library.func('void *libbpf_set_print(void *print)'),
};

const LIBBPF_INFO = 1;
const vsnprintf = koffi
  .load('libc.so.6')
  .func('int vsnprintf(void *buffer, size_t size, const char *format, void *list)');
const line = Buffer.alloc(1 << 16);
let log = '';

libbpf.setPrint(
  koffi.as(
    koffi.register(
      (level: number, format: string, list: unknown) => {
        const length: number = vsnprintf(line, line.length, format, list);
        if (level <= LIBBPF_INFO) log += line.toString('utf8', 0, Math.min(length, line.length - 1));
        return length;
      },
      koffi.pointer(koffi.proto('int libbpf_print_fn(int level, const char *format, void *list)')),
    ),
    'void *',
  ),
);

/** Forgets what libbpf printed so far, so that an error shows only its own. */
export const clearLog = (): void => {
  log = '';
};

export class BpfError extends Error {
  readonly code: string;
  /** `result`: what libbpf returned, a negative errno. */
  constructor(what: string, result: number) {
    super(`${what}: ${errnoName(-result)}${log && `\n${log}`}`);
    this.code = errnoName(-result);
    clearLog();
  }
}

export function check(what: string, result: number): number {
  if (result < 0) throw new BpfError(what, result);
  return result;
}

/** The address of a buffer, for structs that carry pointers. The buffer must stay referenced until the call is over. */
export const pointerTo = (b: Uint8Array): bigint => koffi.address(b);
export const lastErrno = (): number => koffi.errno();
