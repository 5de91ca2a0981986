/** The data plane's events as they come: the ring buffer `events`, of which there is one reader in one process. */
import { type DroppedEvent, decodeEvent, type LearnedEvent } from '../../encap/abi.ts';
import { RingBuf } from '../../kernel/bpf/ringbuf.ts';
import type { BpfMap } from '../../kernel/bpf.ts';
import { FdWatcher } from '../../kernel/fdwatch.ts';

export type DataPlaneEvent = LearnedEvent | DroppedEvent;

/** Hands over what came since the last wake-up, in order; the map stays the caller's. */
export function watchEvents(map: BpfMap, handler: (events: readonly DataPlaneEvent[]) => void): { close(): void } {
  const ring = new RingBuf(map);
  const drain = () => {
    const events: DataPlaneEvent[] = [];
    ring.drain((buffer, offset, length) => {
      const event = decodeEvent(buffer.subarray(offset, offset + length));
      if (event) events.push(event);
    });
    if (events.length) handler(events);
  };
  return new FdWatcher(map.fd, drain, false).unref();
}
