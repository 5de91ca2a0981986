/** Small configurations and hands over maps, for tests of what the gateway decides. */
import type { Compartment, GatewayConfig, RoutingDomainId, S2sInterface } from '../../compartments/compartment.ts';
import { KINDS } from '../../compartments/kinds.ts';
import type { AnyResource, Hand, Kind, Op } from '../../compartments/resource.ts';
import { ownRecords } from '../../control/merge.ts';
import type { Changed, RecordChange, RecordStore } from '../../encap/records.ts';
import type { Address, Mac } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';

export const s2s = (name: string, destination: string, prefix: string, secret = 'a secret of ours'): S2sInterface => ({
  name,
  adminStatus: true,
  destination: destination as Address,
  authenticationMethod: 'PSKOnly',
  sharedSecret: { reveal: () => secret },
  subnets: [{ prefix: prefix as Prefix, metric: 100 }],
  persistent: false,
  retryIntervalSeconds: 60,
  numberOfTries: 3,
  networkOutageTimeSeconds: 15,
  saLifeTimeSeconds: 3600,
  mmSaLifeTimeSeconds: 28800,
});

/** A tenant with the addresses that every tenant of the tests has. */
export const tenant = (name: string, internal: string, tunnels: readonly S2sInterface[]): Compartment => ({
  routingDomain: name,
  routingDomainId: `{${name.toLowerCase()}}` as RoutingDomainId,
  internalInterfaces: [
    {
      name: internal,
      vsid: 5002,
      addresses: [{ address: '10.0.254.2' as Address, prefixLength: 24 }],
      mac: '02:48:4e:00:13:8a' as Mac,
    },
  ],
  routes: [],
  s2sInterfaces: tunnels,
  customerRoutes: [],
  lookupRecords: [],
});

export const gateway = (...compartments: readonly Compartment[]): GatewayConfig => ({
  gateway: 'GW-VM',
  netAdapters: [],
  providerAddresses: [],
  providerRoutes: [],
  compartments,
});

/** All kinds over one map. */
export class MapHand implements Hand {
  readonly kinds = Object.keys(KINDS) as Kind[];
  readonly state = new Map<string, AnyResource>();
  readonly log: string[] = [];
  fails: (op: Op) => boolean = () => false;

  blind = false;
  onBlind: () => void = () => undefined;

  async observe(slot: number | 'all'): Promise<readonly AnyResource[]> {
    if (this.blind) {
      this.onBlind();
      throw new Error('the hand is blind');
    }
    return [...this.state.values()].filter((r) => slot === 'all' || r.slot === slot);
  }
  async execute(op: Op): Promise<void> {
    const id = `${op.resource.kind} ${op.resource.key}`;
    if (this.fails(op)) throw new Error(`the kernel refuses ${id}`);
    this.log.push(`${op.verb} ${id}`);
    if (op.verb === 'delete') this.state.delete(id);
    else this.state.set(id, op.resource);
  }
}

/** Records of run time in memory, where the product has files. */
export class MemoryRecords {
  saved: readonly RecordChange[] = [];
  read(): readonly RecordChange[] {
    return this.saved;
  }
  save({ store }: Changed): void {
    this.saveAll(store);
  }
  saveAll(store: RecordStore): void {
    this.saved = ownRecords(store);
  }
}
