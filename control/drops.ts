/** A sampled drop in words: names in place of numbers, and the frame's headers. Pure. */
import type { Slot } from '../compartments/numbers.ts';
import type { DroppedEvent } from '../encap/abi.ts';
import { describeFrame } from '../encap/frame-summary.ts';
import { reasonName } from '../lib/reason.ts';
import type { DropNotice, SamplingNotice } from './hub.ts';

/** SAMPLE_RATE and SAMPLE_BURST of bpf/lib/drop.h: drops that each CPU tells of in a second, and at once. */
export const SAMPLING: SamplingNotice = { type: 'sampling', PerSecondAndCPU: 200, Burst: 64 };

export interface EventNames {
  /** '' for what belongs to no known routing domain. */
  routingDomain(slot: Slot): string;
  device(index: number): string;
}

export const dropNotice = (e: DroppedEvent, names: EventNames): DropNotice => ({
  type: 'dropped',
  RoutingDomain: names.routingDomain(e.rdid),
  Reason: reasonName(e.reason),
  Number: e.reason,
  Direction: e.direction,
  Port: names.device(e.port),
  Length: e.length,
  Frame: describeFrame(e.frame),
});
