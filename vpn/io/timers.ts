/** The clock as the monitor takes it, so that tests bring their own. */
export interface Timers {
  /** Milliseconds. */
  now(): number;
  /** Calls back once; the result cancels. */
  after(ms: number, callback: () => void): () => void;
}

export const systemTimers: Timers = {
  now: () => Date.now(),
  after: (ms, callback) => {
    const t = setTimeout(callback, ms);
    return () => clearTimeout(t);
  },
};
