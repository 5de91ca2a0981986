/** What `show` needs read from the system; rows are then made from it by pure functions. */
import type { Netns } from '../../compartments/resource.ts';
import type { Entries } from '../../encap/show.ts';
import type { WithoutRoute } from '../../kernel/counters.ts';
import type { NetnsView } from '../../kernel/inspect.ts';

/** An S2S interface as its life cycle sees it. */
export interface TunnelReading {
  readonly connectionState: string; // Unreachable, Disconnected, Connecting, Connected
  readonly lastError: string;
  readonly unreachabilityReasons: readonly string[];
}

export interface Readings {
  /** Undefined when the namespace is not there. */
  netns(netns: Netns): NetnsView | undefined;
  /** What a map of the data plane holds. */
  entries(map: 'records' | 'drops'): Entries;
  /** Name of a link of the default compartment. */
  device(index: number): string;
  /** Undefined when the namespace is not there. */
  withoutRoute(netns: Netns): WithoutRoute | undefined;
  tunnel(name: string): TunnelReading | undefined;
}
