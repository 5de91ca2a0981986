/**
 * A machine with everything that the data path tells apart: ports of two tenants with the same addresses, a compartment's
 * port, two subnets, records behind the provider wire near and far, a router address that answers ping.
 */
import type { CustomerRoute, LookupRecord } from '../../compartments/compartment.ts';
import { ROUTER_MAC } from '../../compartments/policy.ts';
import type { Link, OverlayDomain, OverlayInput, OverlayPort } from '../../encap/overlay.ts';
import type { Address, Mac } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';

export const LINKS: Readonly<Record<string, Link>> = {
  'c-a': { index: 11, mtu: 1500, peer: true },
  'c-b': { index: 12, mtu: 1400, peer: false },
  'w-a': { index: 13, mtu: 1500, peer: true },
  gw: { index: 14, mtu: 1500, peer: true },
  nic: { index: 20, mtu: 1542, peer: false },
};
/** A device that is no port. */
export const STRAY = 15;
export const PA = '192.168.4.11' as Address;
export const PEER = '192.168.4.22' as Address;
export const GATEWAY = '192.168.4.33' as Address;
export const FAR = '172.16.0.5' as Address;
export const STRANGER = '192.168.4.99' as Address;

const record = (ca: string, mac: string, vsid: number, pa: Address): LookupRecord => ({
  customerAddress: ca as Address,
  mac: mac as Mac,
  vsid,
  providerAddress: pa,
  rule: 'TranslationMethodEncap',
  type: 'Static',
});
const route = (vsid: number, prefix: string, nextHop?: string): CustomerRoute => ({
  vsid,
  destinationPrefix: prefix as Prefix,
  metric: 0,
  ...(nextHop && { nextHop: nextHop as Address }),
});
const port = (device: string, vsid: number, mac: string, addresses: string, gateway = false): OverlayPort => ({
  name: device,
  device,
  vsid,
  mac: mac as Mac,
  addresses: addresses.split(' ') as Address[],
  gateway,
});

export const CONTOSO: OverlayDomain = {
  name: 'Contoso',
  slot: 2,
  ports: [
    port('c-a', 5001, '10:10:10:10:00:0a', '10.0.0.10 fd00:0:0:1::10'),
    port('c-b', 5003, '10:10:10:10:01:0a', '10.0.1.10 fd00:0:0:3::10'),
  ],
  customerRoutes: [
    route(5001, '10.0.0.0/24'),
    route(5003, '10.0.1.0/24'),
    route(5002, '10.0.254.0/24'),
    route(5002, '0.0.0.0/0', '10.0.254.2'),
    route(5002, '10.5.0.0/16', '10.0.254.77'),
    route(5001, 'fd00:0:0:1::/64'),
    route(5003, 'fd00:0:0:3::/64'),
    route(5002, 'fd00:0:0:fe::/64'),
    route(5002, '2001:db8::/32', 'fd00:0:0:fe::2'),
  ],
  lookupRecords: [
    record('10.0.0.10', '10:10:10:10:00:0a', 5001, PA),
    record('10.0.0.20', '10:10:10:10:00:0a', 5001, PA), // a second address of the port
    record('10.0.0.11', '10:10:10:10:00:0b', 5001, PEER),
    record('10.0.1.11', '10:10:10:10:01:0b', 5003, PEER),
    record('10.9.9.9', '10:10:10:10:09:09', 5003, PEER), // in no subnet
    record('10.0.0.30', '10:10:10:10:00:1e', 5001, FAR),
    record('10.0.254.2', '02:48:4e:00:13:8a', 5002, GATEWAY),
    record('10.0.0.1', ROUTER_MAC, 5001, PA),
    record('fd00:0:0:1::11', '10:10:10:10:00:0b', 5001, PEER),
    record('fd00:0:0:3::11', '10:10:10:10:01:0b', 5003, PEER),
    record('fd00:0:0:1::30', '10:10:10:10:00:1e', 5001, FAR),
    record('fd00:0:0:fe::2', '02:48:4e:00:13:8a', 5002, GATEWAY),
    record('fd00:0:0:1::1', ROUTER_MAC, 5001, PA),
  ],
};

export const WOODGROVE: OverlayDomain = {
  name: 'Woodgrove',
  slot: 3,
  ports: [
    port('w-a', 6001, '20:20:20:20:00:0a', '10.0.0.10 fd00:0:0:1::10'),
    port('gw', 6002, '02:48:4e:00:17:72', '10.0.254.2 fd00:0:0:fe::2', true),
  ],
  customerRoutes: [
    route(6001, '10.0.0.0/24'),
    route(6002, '10.0.254.0/24'),
    route(6002, '0.0.0.0/0', '10.0.254.2'),
    route(6001, 'fd00:0:0:1::/64'),
    route(6002, 'fd00:0:0:fe::/64'),
    route(6002, '::/0', 'fd00:0:0:fe::2'),
  ],
  lookupRecords: [
    record('10.0.0.10', '20:20:20:20:00:0a', 6001, PA),
    record('10.0.0.11', '20:20:20:20:00:0b', 6001, GATEWAY),
    record('fd00:0:0:1::11', '20:20:20:20:00:0b', 6001, GATEWAY),
  ],
};

export const INPUT: OverlayInput = {
  netAdapters: [{ interfaceAlias: 'NIC1', device: 'nic', role: 'Provider' }],
  providerAddresses: [{ interfaceAlias: 'NIC1', providerAddress: PA, prefixLength: 24 }],
  providerRoutes: [
    {
      destinationPrefix: '172.16.0.0/16' as Prefix,
      interfaceAlias: 'NIC1',
      nextHop: '192.168.4.1' as Address,
      metric: 0,
    },
  ],
  domains: [CONTOSO, WOODGROVE],
  tags: { overlay_port: '0123456789abcdef', overlay_wire: 'fedcba9876543210' },
  link: (device) => LINKS[device],
};

export const PA6 = 'fd99::11' as Address;
export const PEER6 = 'fd99::22' as Address;
export const STRANGER6 = 'fd99::99' as Address;

/** The same with a second family on the provider network: VMs of both families behind a peer that has only IPv6. */
export const MIXED: OverlayInput = {
  ...INPUT,
  providerAddresses: [...INPUT.providerAddresses, { interfaceAlias: 'NIC1', providerAddress: PA6, prefixLength: 64 }],
  domains: [
    {
      ...CONTOSO,
      lookupRecords: [
        ...CONTOSO.lookupRecords,
        record('10.0.0.60', '10:10:10:10:00:3c', 5001, PEER6),
        record('fd00:0:0:1::60', '10:10:10:10:00:3c', 5001, PEER6),
        record('fd00:0:0:3::60', '10:10:10:10:01:3c', 5003, PEER6),
      ],
    },
    WOODGROVE,
  ],
};

const OUTSIDE = '172.16.0.80' as Address;
const OUTSIDE6 = 'fd99::80' as Address;
const learned = (ca: string, mac: string, vsid: number, pa: Address): LookupRecord => ({
  ...record(ca, mac, vsid, pa),
  type: 'Dynamic',
});
const l2Only = (mac: string, vsid: number, pa: Address): LookupRecord => ({
  ...record('0.0.0.0', mac, vsid, pa),
  type: 'L2Only',
});
const plain = (ca: Address, mac: string, vsid: number, pa: Address): LookupRecord => ({
  ...record(ca, mac, vsid, pa),
  rule: 'TranslationMethodNone',
});

/**
 * The same with virtual subnets that learn and replicate, each in its way, learned records, a VM that moved, DSCP of all kinds,
 * senders checked in one VM network, and machines of the provider network that stand in the other without encapsulation.
 */
export const LEARNING: OverlayInput = {
  ...MIXED,
  domains: [
    {
      ...CONTOSO,
      lookupRecords: [
        ...MIXED.domains[0]!.lookupRecords,
        l2Only('10:10:10:10:00:44', 5001, PEER),
        l2Only('10:10:10:10:00:45', 5001, PEER),
        learned('10.0.0.45', '10:10:10:10:00:45', 5001, GATEWAY),
        learned('10.0.0.46', '10:10:10:10:00:0a', 5001, PA),
        learned('10.0.0.47', '10:10:10:10:00:47', 5001, PEER),
        learned('fd00:0:0:1::47', '10:10:10:10:00:47', 5001, PEER),
        l2Only('10:10:10:10:01:44', 5003, PEER6),
      ],
      virtualSubnets: [
        { vsid: 5001, dynamicLearning: true, ageingTimeSeconds: 300, dscp: 46 },
        { vsid: 5003, dynamicLearning: true, ageingTimeSeconds: 300, replication: true, dscp: 'Uniform' },
      ],
    },
    {
      ...WOODGROVE,
      customerRoutes: [
        ...WOODGROVE.customerRoutes,
        { vsid: 6001, destinationPrefix: '172.16.0.0/24' as Prefix, metric: 0 },
        { vsid: 6001, destinationPrefix: 'fd99::/64' as Prefix, metric: 0 },
      ],
      lookupRecords: [
        ...WOODGROVE.lookupRecords,
        plain(OUTSIDE, '20:20:20:20:00:50', 6001, OUTSIDE),
        plain(OUTSIDE6, '20:20:20:20:00:50', 6001, OUTSIDE6),
      ],
      virtualSubnets: [{ vsid: 6001, dynamicLearning: false, ageingTimeSeconds: 300, replication: true, dscp: 'Copy' }],
      sourceCheck: true,
    },
  ],
};
