/** What the data plane holds, as rows for `show`: property names of the NetVirtualization cmdlets. Pure: entries in, rows out. */
import type { Slot } from '../compartments/numbers.ts';
import { PACKET_REASONS, reasonName } from '../lib/reason.ts';
import type { Row } from '../lib/table.ts';
import {
  decodeDropKey,
  decodeDrops,
  decodeLocation,
  decodePort,
  decodeRecordKey,
  decodeU32,
  LOCATION_DYNAMIC,
  LOCATION_ROUTED,
  LOCATION_ROUTER,
  NO_ADDRESS,
  PORT_GATEWAY,
} from './abi.ts';

export type Entries = Iterable<readonly [key: Uint8Array, value: Uint8Array]>;

/** Names of what the maps know by number. */
export interface Names {
  /** '' for what belongs to no known routing domain. */
  routingDomain(slot: Slot): string;
  device(index: number): string;
}

const sorted = <T>(items: readonly T[], key: (t: T) => string | number): readonly T[] =>
  items.toSorted((a, b) => {
    const [x, y] = [key(a), key(b)];
    return x < y ? -1 : x > y ? 1 : 0;
  });

/** Entries of `records`. */
export function recordRows(entries: Entries, names: Names): readonly Row[] {
  const rows = [...entries].map(([key, value]) => {
    const { rdid, address } = decodeRecordKey(key);
    const l = decodeLocation(value);
    return {
      RoutingDomain: names.routingDomain(rdid),
      CustomerAddress: address,
      MACAddress: l.mac,
      VirtualSubnetID: l.vsid,
      ProviderAddress: l.destination === NO_ADDRESS ? '' : l.destination,
      Type: l.flags & LOCATION_DYNAMIC ? 'Dynamic' : 'Static',
      Port: l.port ? names.device(l.port) : '',
      Uplink: l.uplink ? names.device(l.uplink) : '',
      Mtu: l.mtu,
      Routed: (l.flags & LOCATION_ROUTED) !== 0,
      Router: (l.flags & LOCATION_ROUTER) !== 0,
    };
  });
  return sorted(rows, (r) => `${r.RoutingDomain} ${r.CustomerAddress}`);
}

/** Entries of `ports`. */
export function portRows(entries: Entries, names: Names): readonly Row[] {
  const rows = [...entries].map(([key, value]) => {
    const p = decodePort(value);
    const index = decodeU32(key);
    return {
      RoutingDomain: names.routingDomain(p.rdid),
      Port: names.device(index),
      InterfaceIndex: index,
      VirtualSubnetID: p.vsid,
      MACAddress: p.mac,
      IPAddress: p.address === NO_ADDRESS ? '' : p.address,
      Mtu: p.mtu,
      Gateway: (p.flags & PORT_GATEWAY) !== 0,
    };
  });
  return sorted(rows, (r) => `${r.RoutingDomain} ${r.Port}`);
}

/** Entries of `drops`, values of all CPUs. */
export function dropRows(entries: Entries, names: Names): readonly Row[] {
  const rows = [...entries].map(([key, value]) => {
    const { rdid, reason, direction } = decodeDropKey(key);
    const { packets, bytes } = decodeDrops(value);
    return {
      RoutingDomain: names.routingDomain(rdid),
      Number: reason,
      Reason: reasonName(reason),
      Direction: direction,
      Packets: packets,
      Bytes: bytes,
      Meaning: PACKET_REASONS.find((r) => r.number === reason)?.meaning ?? '',
    };
  });
  return sorted(rows, (r) => `${r.RoutingDomain} ${String(r.Number).padStart(3)}`);
}
