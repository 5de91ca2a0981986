/**
 * What the NAT needs of the kernel (R-NAT-1): for each tenant that has NAT the pair nat0/n<slot> with the default route through
 * it, the programs at both of its edges, and the external addresses on their NIC. The map entries are `nat/entries.ts`'s. Pure.
 */
import type { Compartment, GatewayConfig } from '../compartments/compartment.ts';
import { addressResource, GUARD_METRIC, routeResource } from '../compartments/desired.ts';
import { type NetNat, netNatOf } from '../compartments/nat.ts';
import {
  DEFAULT_SLOT,
  NAT_DEVICE,
  natPortOf,
  netnsOf,
  type Slot,
  WAIT_DEVICE,
  WAIT_RETURN_DEVICE,
} from '../compartments/numbers.ts';
import type { AnyResource } from '../compartments/resource.ts';
import { slotOf } from '../compartments/slots.ts';
import type { Address } from '../lib/address.ts';
import { lengthOf, type Prefix } from '../lib/prefix.ts';
import { NAT_PROGRAMS, natMac } from '../nat/abi.ts';
import { rangesOf } from '../nat/blocks.ts';
import { adapterOf } from '../nat/entries.ts';
import type { Running } from './running.ts';

/** Any other default route wins. */
const NAT_METRIC = GUARD_METRIC - 1;
/** Stands for the NAT in the default route: the dummy address of RFC 7600, which is nobody's. */
const NAT_NEXT_HOP = '192.0.0.8' as Address;
const ANYWHERE = '0.0.0.0/0' as Prefix;
const ETHERNET_MTU = 1500;
/**
 * How fragments go round that wait: 8,333 times a second all together however short they are, so that a flood of them costs
 * a few per cent of a CPU, and half a megabyte of them at a time.
 */
const WAITING = { rate: 12_500_000, burst: 12_000, limit: 500_000, leastPacket: 1500 };
/** Of the longest fragment that waits: of a NIC with jumbo frames. */
const WAIT_MTU = 9000;

export const netNatsOf = (config: GatewayConfig | undefined): readonly NetNat[] => config?.netNats ?? [];

export const hasNat = (config: GatewayConfig, c: Compartment): boolean =>
  netNatOf(netNatsOf(config), c.routingDomainId) !== undefined;

/** What the tenant itself sends everywhere else: then nothing of it may leave by the NAT while that way is down. */
const goesElsewhere = (c: Compartment): boolean =>
  [...c.routes.map((r) => r.destinationPrefix), ...c.s2sInterfaces.flatMap((i) => i.subnets.map((s) => s.prefix))].some(
    (p) => lengthOf(p) === 0 && p === ANYWHERE,
  );

const filter = (device: string, program: string, tags: Readonly<Record<string, string>>, slot: Slot): AnyResource => ({
  kind: 'filter',
  key: `${device} ingress`,
  slot,
  spec: { device, direction: 'ingress', program, tag: tags[program]! },
  label: `filter ${program} on ${device}`,
});

/** Of one tenant. @param tags of the loaded programs, by name. */
export function natTenantResources(
  c: Compartment,
  slot: Slot,
  mtu: number,
  tags: Readonly<Record<string, string>>,
): readonly AnyResource[] {
  const [netns, port] = [netnsOf(slot), natPortOf(slot)];
  return [
    {
      kind: 'veth',
      key: port,
      slot,
      spec: { netns, port, name: NAT_DEVICE, mac: natMac(slot), mtu, plain: true },
      label: `NAT interface of ${c.routingDomain}`,
    },
    filter(port, NAT_PROGRAMS.out, tags, slot),
    ...(goesElsewhere(c)
      ? []
      : [
          routeResource(slot, {
            netns,
            prefix: ANYWHERE,
            metric: NAT_METRIC,
            type: 'unicast',
            device: NAT_DEVICE,
            nextHop: NAT_NEXT_HOP,
            onLink: true,
          }),
        ]),
  ];
}

const instancesWithAdapter = (config: GatewayConfig) =>
  netNatsOf(config).flatMap((n) => {
    const adapter = adapterOf(n, config.netAdapters);
    return adapter ? [{ n, adapter }] : [];
  });

/** Every external address of an instance once. */
const addressesOf = (n: NetNat): readonly Address[] => [...new Set(rangesOf([n]).map((r) => r.address))];

/** The pair through which fragments go that come before the first one of their packet. */
const waitResources = (tags: Readonly<Record<string, string>>): readonly AnyResource[] => [
  {
    kind: 'veth',
    key: WAIT_DEVICE,
    slot: DEFAULT_SLOT,
    spec: {
      netns: '',
      port: WAIT_DEVICE,
      name: WAIT_RETURN_DEVICE,
      mac: natMac(DEFAULT_SLOT),
      mtu: WAIT_MTU,
      plain: true,
    },
    label: 'interface for fragments that wait',
  },
  { kind: 'qdisc', key: WAIT_DEVICE, slot: DEFAULT_SLOT, spec: { device: WAIT_DEVICE, ...WAITING } },
  filter(WAIT_RETURN_DEVICE, NAT_PROGRAMS.wait, tags, DEFAULT_SLOT),
];

/** Of the gateway itself: the program on each external NIC that an instance uses, and the addresses that the NIC has not got. */
export function natEdgeResources(
  config: GatewayConfig,
  exists: (device: string) => boolean,
  tags: Readonly<Record<string, string>>,
): readonly AnyResource[] {
  const used = instancesWithAdapter(config);
  const devices = new Set(used.map(({ adapter }) => adapter.device));
  const own = new Set(config.netAdapters.map((a) => a.address?.address));
  const addresses = new Map(
    used.flatMap(({ n, adapter }) =>
      addressesOf(n)
        .filter((a) => !own.has(a))
        .map((address) => [address, adapter.device] as const),
    ),
  );
  return [
    ...waitResources(tags),
    ...[...devices].filter(exists).map((device) => filter(device, NAT_PROGRAMS.in, tags, DEFAULT_SLOT)),
    ...[...addresses].map(([address, device]) =>
      addressResource(DEFAULT_SLOT, { netns: '', device, address, prefixLength: 32 }),
    ),
  ];
}

/** The MTU of nat0: of the narrowest external NIC, as it is wanted or else as it is; at most Ethernet's. */
export const natMtuOf = (config: GatewayConfig, mtuOf: (device: string) => number | undefined): number =>
  Math.min(
    ETHERNET_MTU,
    ...instancesWithAdapter(config).map(({ adapter }) => adapter.mtu ?? mtuOf(adapter.device) ?? ETHERNET_MTU),
  );

/** Slots that have NAT. */
export const natSlots = ({ config, table }: Running): ReadonlySet<Slot> =>
  new Set(config.compartments.filter((c) => hasNat(config, c)).map((c) => slotOf(table, c.routingDomainId)));
