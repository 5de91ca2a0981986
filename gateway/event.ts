/** Concept 4: something that happened outside. An event only says where to look; the loop reads the truth itself. */
import type { Slot } from '../compartments/numbers.ts';

export type Event =
  | { readonly type: 'tunnels-changed'; readonly interfaces: readonly string[] }
  /** charon is back with nothing loaded. */
  | { readonly type: 'charon-back' }
  /** Nothing can be done about it; only what is told of the gateway changes. */
  | { readonly type: 'charon-lost' }
  /** A slot's last reconcile failed; look again. */
  | { readonly type: 'retry'; readonly slot: Slot }
  /** Somebody else changed a link, an address or a route where the slot's are. */
  | { readonly type: 'network-changed'; readonly slot: Slot }
  /** The regular full look, which also finds what somebody else changed. */
  | { readonly type: 'resync' };
