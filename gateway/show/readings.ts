/** What `show` needs read from the system; rows are then made from it by pure functions. */

import type { Slot } from '../../compartments/numbers.ts';
import type { Netns } from '../../compartments/resource.ts';
import type { Address, Mac } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';

export interface LinkReading {
  readonly name: string;
  readonly mac: Mac | undefined;
  readonly mtu: number;
  readonly up: boolean;
  readonly rxPackets: number;
  readonly rxBytes: number;
  readonly txPackets: number;
  readonly txBytes: number;
}
export interface AddressReading {
  readonly device: string;
  readonly address: Address;
  readonly prefixLength: number;
}
export interface RouteReading {
  readonly prefix: Prefix;
  readonly metric: number;
  readonly type: string; // unicast, unreachable, …
  readonly protocol: number; // rtm_protocol
  readonly device: string | undefined;
  readonly nextHop: Address | undefined;
}
export interface NeighbourReading {
  readonly device: string;
  readonly address: Address;
  readonly mac: Mac | undefined;
  readonly state: string; // REACHABLE, STALE, …
}
export interface DropReading {
  readonly slot: Slot; // 0 = of no known routing domain
  readonly reason: number;
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
  links(netns: Netns): readonly LinkReading[];
  addresses(netns: Netns): readonly AddressReading[];
  routes(netns: Netns): readonly RouteReading[];
  neighbours(netns: Netns): readonly NeighbourReading[];
  drops(): readonly DropReading[];
  tunnel(name: string): TunnelReading | undefined;
}
