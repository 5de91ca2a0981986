/** What `show` needs read from the system; rows are then made from it by pure functions. */
import type { Slot } from '../../compartments/numbers.ts';
import type { Netns } from '../../compartments/resource.ts';
import type { Direction } from '../../encap/abi.ts';
import type { NetnsView } from '../../kernel/inspect.ts';

export interface DropReading {
  readonly slot: Slot; // 0 = of no known routing domain
  readonly reason: number;
  readonly direction: Direction;
  readonly packets: number;
  readonly bytes: number;
}

/** An S2S interface as its life cycle sees it. */
export interface TunnelReading {
  readonly connectionState: string; // Unreachable, Disconnected, Connecting, Connected
  readonly lastError: string;
  readonly unreachabilityReasons: readonly string[];
}

export interface Readings {
  /** Undefined when the namespace is not there. */
  netns(netns: Netns): NetnsView | undefined;
  drops(): readonly DropReading[];
  tunnel(name: string): TunnelReading | undefined;
}
