/** What happens, told to whoever listens: dropped frames and changes of what is learned. Pure but for its listeners. */
import type { Address, Mac } from '../lib/address.ts';

/** A sampled drop, in the words of `show drops`. */
export interface DropNotice {
  readonly type: 'dropped';
  readonly RoutingDomain: string; // '' = of no known tenant
  readonly Reason: string;
  readonly Number: number;
  readonly Direction: 'port' | 'wire';
  readonly Port: string;
  readonly Length: number;
  readonly Frame: string; // summary of the headers
}

/** How much of the drops a stream shows; all of them are counted. */
export interface SamplingNotice {
  readonly type: 'sampling';
  readonly PerSecondAndCPU: number;
  readonly Burst: number;
}

/** A change of what is learned, for the policy store (R-ENC-8). */
export interface LearnNotice {
  readonly type: 'learned';
  readonly Change: 'Added' | 'Moved' | 'Aged' | 'Refused';
  readonly RoutingDomain: string;
  readonly RoutingDomainID: string;
  readonly CustomerAddress: Address;
  readonly MACAddress: Mac;
  readonly VirtualSubnetID: number;
  readonly ProviderAddress: Address;
  readonly Reason?: string;
}

export type Notice = DropNotice | LearnNotice;
export type NoticeType = Notice['type'];
export const NOTICE_TYPES: readonly NoticeType[] = ['dropped', 'learned'];

export class EventHub {
  readonly #listeners = new Set<(notice: Notice) => void>();

  /** Returns what ends it. */
  subscribe(listener: (notice: Notice) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Nobody listens: notices need not be made. */
  get idle(): boolean {
    return this.#listeners.size === 0;
  }

  tell(notice: Notice): void {
    for (const listener of this.#listeners) listener(notice);
  }
}
