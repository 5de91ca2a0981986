/** Everything that must exist for a configuration: each feature's resources, put together. Pure. */
import type { Compartment, GatewayConfig, S2sInterface } from '../compartments/compartment.ts';
import { compartmentResources } from '../compartments/desired.ts';
import { DEFAULT_SLOT } from '../compartments/numbers.ts';
import type { Scope } from '../compartments/reconcile.ts';
import type { AnyResource } from '../compartments/resource.ts';
import { ifIdOfInterface, slotOf } from '../compartments/slots.ts';
import { type Address, familyOf } from '../lib/address.ts';
import { connectionResource } from '../vpn/s2s/connection.ts';
import { gatewayResources, innerMtuOf } from './adapters.ts';
import type { Running } from './running.ts';

/** The overlay's share. */
export interface Overlay {
  /** Of one compartment, of the gateway itself, or of all. */
  resources(running: Running, scope: Scope): readonly AnyResource[];
  /** MTU of a device that exists, bytes. */
  mtu(device: string): number | undefined;
}

/** The NAT's share. */
export interface Nat {
  resources(running: Running, scope: Scope): readonly AnyResource[];
}

/** The external address that IKE uses towards a destination. */
export function externalAddress(config: GatewayConfig, towards: Address): Address | undefined {
  return config.netAdapters.find(
    (n) => n.role === 'External' && n.address && familyOf(n.address.address) === familyOf(towards),
  )?.address?.address;
}

function connection(running: Running, c: Compartment, i: S2sInterface, digestKey: Uint8Array): readonly AnyResource[] {
  const localAddress = i.sourceIpAddress ?? externalAddress(running.config, i.destination);
  if (!i.adminStatus || !localAddress) return [];
  const place = {
    slot: slotOf(running.table, c.routingDomainId),
    ifId: ifIdOfInterface(running.table, c.routingDomainId, i.name),
    localAddress,
  };
  return [connectionResource(i, place, digestKey)];
}

export function desiredResources(
  running: Running,
  up: ReadonlySet<string>,
  scope: Scope,
  overlay: Overlay,
  nat: Nat,
  digestKey: Uint8Array,
): readonly AnyResource[] {
  const { config, table } = running;
  const innerMtu = innerMtuOf(config, (device) => overlay.mtu(device));
  const chosen = config.compartments.filter((c) => scope === 'all' || slotOf(table, c.routingDomainId) === scope);
  return [
    ...(scope === 'all' || scope === DEFAULT_SLOT ? gatewayResources(config) : []),
    ...chosen.flatMap((c) => [
      ...compartmentResources(c, {
        slot: slotOf(table, c.routingDomainId),
        up,
        ifId: (name) => ifIdOfInterface(table, c.routingDomainId, name),
        innerMtu,
      }),
      ...c.s2sInterfaces.flatMap((i) => connection(running, c, i, digestKey)),
    ]),
    ...overlay.resources(running, scope),
    ...nat.resources(running, scope),
  ];
}
