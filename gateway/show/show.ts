/**
 * `show NOUN`: every object of the gateway as rows whose columns are the cmdlets' property names (R-OPS-3). Pure over the
 * configuration in force and the readings; the CLI prints them as a table or as JSON.
 */
import type { Compartment } from '../../compartments/compartment.ts';
import { GUARD_METRIC } from '../../compartments/desired.ts';
import { DEFAULT_SLOT, FIRST_SLOT, netnsOf, type Slot } from '../../compartments/numbers.ts';
import { type Netns, PROTOCOL } from '../../compartments/resource.ts';
import { slotOf } from '../../compartments/slots.ts';
import { dropRows, type Names, recordRows } from '../../encap/show.ts';
import type { NetnsView } from '../../kernel/inspect.ts';
import { prefixFamily } from '../../lib/prefix.ts';
import { PACKET_REASONS } from '../../lib/reason.ts';
import type { Row } from '../../lib/table.ts';
import { namesOf, type Running } from '../running.ts';
import type { Readings } from './readings.ts';

interface Place {
  readonly routingDomain: string; // '' = the default compartment
  readonly slot: Slot;
  readonly netns: Netns;
  readonly compartment?: Compartment;
}

const DEFAULT_PLACE: Place = { routingDomain: '', slot: DEFAULT_SLOT, netns: '' };

function places(running: Running): readonly Place[] {
  const tenants = running.config.compartments.map((compartment): Place => {
    const slot = slotOf(running.table, compartment.routingDomainId);
    return { routingDomain: compartment.routingDomain, slot, netns: netnsOf(slot), compartment };
  });
  return [DEFAULT_PLACE, ...tenants.sort((a, b) => a.slot - b.slot)];
}

const compartments = (place: Place, _running: Running, read: Readings): readonly Row[] => [
  {
    CompartmentId: place.slot,
    CompartmentDescription: place.compartment?.routingDomain ?? 'Default Compartment',
    CompartmentGuid: place.compartment?.routingDomainId ?? '',
    Namespace: place.netns,
    Status: read.netns(place.netns) ? 'Available' : 'Missing',
  },
];

function interfaces(place: Place, running: Running, read: Readings): readonly Row[] {
  const c = place.compartment;
  const ours = c
    ? [
        ...c.internalInterfaces.map((i) => ({ alias: i.name, device: i.name, type: 'Internal', id: String(i.vsid) })),
        ...c.s2sInterfaces.map((i) => ({ alias: i.name, device: i.name, type: 'S2S', id: i.destination as string })),
      ]
    : running.config.netAdapters.map((n) => ({
        alias: n.interfaceAlias,
        device: n.device,
        type: n.role,
        id: n.device,
      }));
  const view = read.netns(place.netns);
  const links = new Map((view?.links ?? []).map((l) => [l.name, l]));
  const addresses = view?.addresses ?? [];
  return ours.map(({ alias, device, type, id }) => {
    const link = links.get(device);
    return {
      RoutingDomain: place.routingDomain,
      InterfaceAlias: alias,
      Type: type,
      IPAddress: addresses
        .filter((a) => a.device === device && !a.address.startsWith('fe80:'))
        .map((a) => `${a.address}/${a.prefixLength}`),
      Status: link ? (link.up ? 'Up' : 'Down') : 'Missing',
      // The virtual subnet, the tunnel's destination or the kernel's device.
      Endpoint: id,
      MacAddress: link?.mac ?? '',
      NlMtu: link?.mtu ?? 0,
      RxBytes: Number(link?.counters?.rxBytes ?? 0),
      TxBytes: Number(link?.counters?.txBytes ?? 0),
    };
  });
}

/** The kernel's own protocol number for routes that come with an address. */
const RTPROT_KERNEL = 2;

const protocolName = (r: NetnsView['routes'][number]): string =>
  r.protocol === RTPROT_KERNEL
    ? 'Local'
    : r.protocol === PROTOCOL
      ? r.metric === GUARD_METRIC
        ? 'Guard'
        : 'NetMgmt'
      : String(r.protocol);

const routes = (place: Place, _running: Running, read: Readings): readonly Row[] =>
  (read.netns(place.netns)?.routes ?? []).map((r) => ({
    RoutingDomain: place.routingDomain,
    DestinationPrefix: r.prefix,
    NextHop: r.nextHop ?? (prefixFamily(r.prefix) === 4 ? '0.0.0.0' : '::'),
    InterfaceAlias: r.device ?? '',
    RouteMetric: r.metric,
    Type: r.type,
    Protocol: protocolName(r),
  }));

const neighbours = (place: Place, _running: Running, read: Readings): readonly Row[] =>
  (read.netns(place.netns)?.neighbours ?? [])
    .filter((n) => n.state !== 'NoArp')
    .map((n) => ({
      RoutingDomain: place.routingDomain,
      InterfaceAlias: n.device ?? '',
      IPAddress: n.address,
      LinkLayerAddress: n.mac ?? '',
      State: n.state,
    }));

const s2s = (place: Place, _running: Running, read: Readings): readonly Row[] =>
  (place.compartment?.s2sInterfaces ?? []).map((i) => {
    const tunnel = read.tunnel(i.name);
    const subnets = (family: 4 | 6) =>
      i.subnets.filter((s) => prefixFamily(s.prefix) === family).map((s) => `${s.prefix}:${s.metric}`);
    return {
      RoutingDomain: place.routingDomain,
      Name: i.name,
      Destination: i.destination,
      AdminStatus: i.adminStatus,
      ConnectionState: tunnel?.connectionState ?? 'Disconnected',
      IPv4Subnet: subnets(4),
      IPv6Subnet: subnets(6),
      Persistent: i.persistent,
      LastError: tunnel?.lastError ?? '',
      UnReachabilityReasons: tunnel?.unreachabilityReasons ?? [],
    };
  });

/** Rows of what the data plane holds of all tenants, which carry the routing domain's name. */
function dataPlane(noun: 'records' | 'drops', running: Running, read: Readings): readonly Row[] {
  const domains = namesOf(running);
  const names: Names = {
    routingDomain: (slot) => (slot < FIRST_SLOT ? '' : (domains.get(slot) ?? `compartment ${slot}`)),
    device: (index) => read.device(index),
  };
  return noun === 'records' ? recordRows(read.entries('records'), names) : dropRows(read.entries('drops'), names);
}

const NO_ROUTE = PACKET_REASONS.find((r) => r.name === 'NO_ROUTE')!;

/** Packets that died in the compartment's routing: `in` were to be forwarded, `out` are the compartment's own. */
const kernelDrops = (place: Place, _running: Running, read: Readings): readonly Row[] => {
  const counted = place.compartment && read.withoutRoute(place.netns);
  if (!counted) return [];
  return (['in', 'out'] as const).map((direction) => ({
    RoutingDomain: place.routingDomain,
    Number: NO_ROUTE.number,
    Reason: NO_ROUTE.name,
    Direction: direction,
    Packets: counted[direction],
    Bytes: null, // the kernel does not count them
    Meaning: 'No route of the compartment leads to the destination.',
  }));
};

/** Of the data plane and of the compartments' kernel, by tenant. */
function drops(chosen: readonly Place[], running: Running, read: Readings): readonly Row[] {
  return [...dataPlane('drops', running, read), ...chosen.flatMap((p) => kernelDrops(p, running, read))]
    .filter((r) => r.Packets !== 0)
    .toSorted((a, b) => compare(a.RoutingDomain, b.RoutingDomain) || Number(a.Number) - Number(b.Number));
}
const compare = (a: unknown, b: unknown): number => (String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0);

type PerPlace = (place: Place, running: Running, read: Readings) => readonly Row[];
const PER_PLACE: Readonly<Record<string, PerPlace>> = { compartments, interfaces, routes, neighbours, s2s };

export const NOUNS: readonly string[] = [...Object.keys(PER_PLACE), 'records', 'drops'];

/** Rows of a noun; `routingDomain` narrows to one tenant. undefined = no such routing domain. Throws on an unknown noun. */
export function show(
  noun: string,
  running: Running,
  read: Readings,
  routingDomain: string | undefined,
): readonly Row[] | undefined {
  const chosen = places(running).filter((p) => routingDomain === undefined || p.routingDomain === routingDomain);
  if (chosen.length === 0) return undefined;
  if (noun === 'records' || noun === 'drops')
    return (noun === 'drops' ? drops(chosen, running, read) : dataPlane(noun, running, read)).filter(
      (r) => routingDomain === undefined || r.RoutingDomain === routingDomain,
    );
  const rows = Object.hasOwn(PER_PLACE, noun) ? PER_PLACE[noun] : undefined;
  if (!rows) throw new RangeError(`no noun ${noun}`);
  return chosen.flatMap((p) => rows(p, running, read));
}
