/**
 * Network namespaces (network_namespaces(7)) in the form of `ip netns`: a bind mount under /run/netns, so that ip(8) sees them
 * and they outlive this process.
 *
 * Traps that are closed here: libuv makes its pool threads lazily and they inherit the namespace of the moment (warmThreadPool);
 * a thread that cannot go home must not go on (abort); /proc/self is the main thread's, not the caller's (thread-self).
 */
import fs from 'node:fs';
import { raw, SysError, sys } from './sys.ts';

const CLONE_NEWNET = 0x40000000;
const MS_BIND = 0x1000;
const MS_REC = 0x4000;
const MS_SHARED = 1 << 20;
const MNT_DETACH = 2;
const NSFS_MAGIC = 0x6e736673;
const THREAD_NETNS = '/proc/thread-self/ns/net';

export const NETNS_DIRECTORY = '/run/netns';

const home = fs.openSync(THREAD_NETNS, 'r');
let inside = false;

function goHome(): void {
  inside = false;
  if (raw.setns(home, CLONE_NEWNET) !== 0) process.abort();
}

/**
 * Call once at start, before the first inNetns: afterwards libuv's pool threads all live in the home namespace.
 */
export const warmThreadPool = (): Promise<unknown> =>
  Promise.all(Array.from({ length: Number(process.env.UV_THREADPOOL_SIZE ?? 4) }, () => fs.promises.stat('/')));

/**
 * Runs `visit` on this thread inside the namespace (about 5 µs). Only synchronous calls: no await, no net.connect(), no dns, no
 * fs promises; they would run in the home namespace or strand a pool thread here. Does not nest.
 */
export function inNetns<T>(netnsFd: number, visit: () => T): T {
  if (inside) throw new Error('inNetns does not nest');
  sys.setns(netnsFd, CLONE_NEWNET);
  inside = true;
  try {
    const result = visit();
    if (result !== null && typeof result === 'object' && 'then' in result)
      throw new TypeError('inNetns: the visit must be synchronous');
    return result;
  } finally {
    goHome();
  }
}

/** As ip(8) does: later mounts reach every mount namespace, and none ends up hidden below another mount of the directory. */
function shareDirectory(directory: string): void {
  fs.mkdirSync(directory, { recursive: true });
  if (raw.mount('', directory, 'none', MS_SHARED | MS_REC, null) === 0) return;
  sys.mount(directory, directory, 'none', MS_BIND | MS_REC, null);
  sys.mount('', directory, 'none', MS_SHARED | MS_REC, null);
}

/** Whether the name is a living namespace, not a file that a crash left. */
export function netnsExists(name: string, directory: string = NETNS_DIRECTORY): boolean {
  try {
    return fs.statfsSync(`${directory}/${name}`).type === NSFS_MAGIC;
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw e;
  }
}

/** Names of all living namespaces. */
export function netnsList(directory: string = NETNS_DIRECTORY): string[] {
  if (!fs.existsSync(directory)) return [];
  return fs.readdirSync(directory).filter((name) => netnsExists(name, directory));
}

/** A descriptor of the namespace; the caller closes it. Throws ENOENT, also for a dead file of that name. */
export function netnsOpen(name: string, directory: string = NETNS_DIRECTORY): number {
  if (!netnsExists(name, directory)) throw new SysError('open', 2, `no network namespace ${name}`);
  return fs.openSync(`${directory}/${name}`, 'r');
}

/**
 * Makes a namespace and returns a descriptor of it, which the caller closes. `prepare` runs inside before the name exists, so
 * that nobody sees it half made. Throws EEXIST.
 */
export function netnsAdd(name: string, directory: string = NETNS_DIRECTORY, prepare?: () => void): number {
  if (inside) throw new Error('netnsAdd does not nest');
  const path = `${directory}/${name}`;
  shareDirectory(directory);
  if (fs.existsSync(path) && !netnsExists(name, directory)) fs.unlinkSync(path);
  fs.closeSync(fs.openSync(path, 'wx', 0o444));
  try {
    sys.unshare(CLONE_NEWNET);
    inside = true;
    try {
      prepare?.();
      sys.mount(THREAD_NETNS, path, 'none', MS_BIND, null);
    } finally {
      goHome();
    }
    return fs.openSync(path, 'r');
  } catch (e) {
    fs.rmSync(path, { force: true });
    throw e;
  }
}

/**
 * Removes the name. The kernel frees the namespace and its links later, once nothing holds it: close sockets and descriptors
 * of it first. May block up to half a second.
 */
export function netnsDel(name: string, directory: string = NETNS_DIRECTORY): void {
  sys.umount2(`${directory}/${name}`, MNT_DETACH);
  fs.unlinkSync(`${directory}/${name}`);
}
