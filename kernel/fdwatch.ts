import { koffi, raw } from './sys.ts';

type Poll = { stop(): void; close(): void; ref(): void; unref(): void };
const poll = koffi.node.poll as unknown as (fd: number, o: { readable: boolean }, cb: (status: number) => void) => Poll; // the shipped .d.ts has the callback wrong
const live = new Set<FdWatcher>(); // a collected PollHandle stops silently
/** Calls fn (from setImmediate, so exceptions and promises behave) while fd is readable. fn must read until EAGAIN or a budget. */
export class FdWatcher {
  #h: Poll;
  #closed = false;
  #queued = false;
  readonly fd: number;
  readonly #own: boolean;
  constructor(fd: number, fn: (error: boolean) => void, own = true) {
    this.fd = fd;
    this.#own = own;
    let bad = false;
    const run = () => {
      this.#queued = false;
      if (!this.#closed) fn(bad);
    };
    this.#h = poll(fd, { readable: true }, (status) => {
      if (status < 0) {
        bad = true;
        this.#h.stop();
      } // POLLERR: libuv has stopped it; fn's next read tells the errno
      if (!this.#queued) {
        this.#queued = true;
        setImmediate(run);
      }
    });
    live.add(this);
  }
  ref(): this {
    if (!this.#closed) this.#h.ref();
    return this;
  }
  unref(): this {
    if (!this.#closed) this.#h.unref();
    return this;
  }
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    live.delete(this);
    this.#h.close();
    if (this.#own) setImmediate(() => raw.close(this.fd));
  }
}
