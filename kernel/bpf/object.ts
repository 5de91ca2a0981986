/** A compiled eBPF object file, loaded. */
import { BpfError, check, clearLog, lastErrno, libbpf } from './libbpf.ts';
import { BpfMap } from './map.ts';

export class BpfObject {
  #object: unknown;

  /**
   * Loads the file. The maps named are pinned under `pinDir`, and one that is pinned there already is used as it is, with its
   * entries; EINVAL when its shape differs. Throws BpfError with the verifier's text.
   * @param sizes maps with another number of entries than the object's.
   */
  constructor(
    path: string,
    pinDir?: string,
    maps: readonly string[] = [],
    sizes: Readonly<Record<string, number>> = {},
  ) {
    clearLog();
    this.#object = libbpf.openFile(path, null);
    if (!this.#object) throw new BpfError(`open ${path}`, -lastErrno());
    try {
      for (const name of maps) check('pin path', libbpf.setPinPath(this.#findMap(name), `${pinDir}/${name}`));
      for (const [name, size] of Object.entries(sizes))
        check('map size', libbpf.setMaxEntries(this.#findMap(name), size));
      check(`load ${path}`, libbpf.load(this.#object));
    } catch (e) {
      this.close();
      throw e;
    }
  }

  programNames(): string[] {
    const names: string[] = [];
    for (let p: unknown = null; ; ) {
      p = libbpf.nextProgram(this.#live(), p);
      if (!p) return names;
      names.push(libbpf.programName(p));
    }
  }

  /** Of the object: closed with it. */
  progFd(name: string): number {
    const program = libbpf.findProgram(this.#live(), name);
    if (!program) throw new Error(`no program ${name} in the object`);
    return check('program fd', libbpf.programFd(program));
  }

  /** Of the object: closed with it, so do not close or use it afterwards. */
  map(name: string): BpfMap {
    return new BpfMap(libbpf.mapFd(this.#findMap(name)));
  }

  #findMap(name: string): unknown {
    const map = libbpf.findMap(this.#live(), name);
    if (!map) throw new Error(`no map ${name} in the object`);
    return map;
  }

  #live(): unknown {
    if (!this.#object) throw new Error('object is closed');
    return this.#object;
  }

  close(): void {
    if (this.#object) libbpf.close(this.#object);
    this.#object = null;
  }
}
