/**
 * Readiness of descriptors that Node cannot poll itself (netlink, eBPF ring buffers), on koffi's libuv poll handle.
 *
 * Raw use of that handle is dangerous, and this wrapper is why it is safe: exceptions in its callback vanish (so the handler
 * runs from setImmediate), a collected handle stops silently (so it is kept in `live`), a call after close() crashes (guarded),
 * and an error stops it silently (the handler is called once more and its read tells the errno).
 */
import koffi from 'koffi';
import { raw } from './sys.ts';

interface PollHandle {
  stop(): void;
  close(): void;
  ref(): void;
  unref(): void;
}
// The shipped type has the callback's parameters wrong.
const poll = koffi.node.poll as unknown as (
  fd: number,
  what: { readable: boolean; writable: boolean },
  callback: (status: number) => void,
) => PollHandle;

const live = new Set<FdWatcher>();

/** Calls `handler` while the descriptor is readable (or writable); it must read until EAGAIN or a budget. */
export class FdWatcher {
  readonly fd: number;
  readonly #handle: PollHandle;
  readonly #owned: boolean;
  #closed = false;
  #queued = false;

  /** `owned`: close() closes the descriptor too. Only for sockets, pipes and eBPF maps; a regular file aborts the process. */
  constructor(fd: number, handler: (failed: boolean) => void, owned = true, direction: 'in' | 'out' = 'in') {
    this.fd = fd;
    this.#owned = owned;
    let failed = false;
    const run = () => {
      this.#queued = false;
      if (!this.#closed) handler(failed);
    };
    this.#handle = poll(fd, { readable: direction === 'in', writable: direction === 'out' }, (status) => {
      if (status < 0) {
        failed = true;
        this.#handle.stop();
      }
      if (this.#queued) return;
      this.#queued = true;
      setImmediate(run);
    });
    live.add(this);
  }

  /** Lets the process end while this waits. */
  unref(): this {
    if (!this.#closed) this.#handle.unref();
    return this;
  }

  /** Ends the watch; the descriptor stays open, whoever owns it. */
  release(): void {
    if (this.#closed) return;
    this.#closed = true;
    live.delete(this);
    this.#handle.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    live.delete(this);
    this.#handle.close();
    if (this.#owned) setImmediate(() => raw.close(this.fd));
  }
}
