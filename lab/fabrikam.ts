/**
 * The worked example as data (REQUIREMENTS I): provider Fabrikam, tenants Contoso and Woodgrove with the same addresses. Names,
 * addresses, records and the checks' expectations all come from here, so the gateway's YAML, the hosts' YAML, the sites'
 * IPsec configuration and the verdicts cannot disagree.
 */

export interface Vm {
  readonly netns: string;
  readonly host: 'host1' | 'host2';
  readonly device: string; // its port in the host's namespace
  readonly address: string;
  readonly mac: string;
}

export interface Site {
  readonly netns: string;
  readonly city: string;
  readonly interfaceAlias: string; // VpnS2SInterface
  readonly destination: string; // the site's public address
  readonly router: string; // the internet router next to it
  readonly lan: string;
  readonly lanRouter: string;
  readonly server: string;
  readonly persistent: boolean; // true: the gateway dials; false: the site dials
}

export interface Tenant {
  readonly name: string;
  readonly routingDomainId: string;
  readonly vsid: number;
  readonly gatewayVsid: number;
  readonly internalInterface: string;
  readonly gatewayMac: string;
  /** What the VMs reach through the gateway: everything, or only these prefixes (R-ENC-9, R-CMP-3). */
  readonly behindGateway: readonly string[];
  readonly vms: readonly Vm[];
  readonly sites: readonly Site[];
}

export const GATEWAY = {
  name: 'GW-VM',
  publicAddress: '131.107.10.10',
  router: '131.107.10.1',
  providerAddress: '192.168.4.33',
  internalAddress: '10.0.254.2',
} as const;

export const HOSTS = { host1: '192.168.4.11', host2: '192.168.4.22' } as const;

/** A machine on the provider wire that no record names. */
export const ROGUE = { netns: 'rogue', address: '192.168.4.99', mac: '02:00:5e:10:00:99' } as const;

export const CLOUD_SUBNET = '10.0.0.0/24';
export const CLOUD_ROUTER = '10.0.0.1';
export const GATEWAY_SUBNET = '10.0.254.0/24';
export const GATEWAY_SUBNET_ROUTER = '10.0.254.1';
/** MAC of the distributed default gateway. */
export const MACDFGW = '02:48:4e:56:00:01';
export const PROVIDER_MTU = 1600;

const NY = { city: 'New York', router: '59.10.10.1', lan: '10.1.0.0/24', lanRouter: '10.1.0.1', server: '10.1.0.10' };

export const TENANTS: readonly Tenant[] = [
  {
    name: 'Contoso',
    routingDomainId: '{11111111-2222-3333-4444-000000000001}',
    vsid: 5001,
    gatewayVsid: 5002,
    internalInterface: 'IfCi1',
    gatewayMac: '02:48:4e:00:13:8a',
    behindGateway: [NY.lan],
    vms: [
      { netns: 'contoso-vm', host: 'host1', device: 'contoso0', address: '10.0.0.10', mac: '10:10:10:10:11:05' },
      { netns: 'contoso-vm2', host: 'host2', device: 'contoso0', address: '10.0.0.11', mac: '10:10:10:10:11:06' },
    ],
    sites: [{ netns: 'contoso-ny', interfaceAlias: 'IfCe1', destination: '59.10.10.10', persistent: false, ...NY }],
  },
  {
    name: 'Woodgrove',
    routingDomainId: '{11111111-2222-3333-4444-000000000002}',
    vsid: 6001,
    gatewayVsid: 6002,
    internalInterface: 'IfWi1',
    gatewayMac: '02:48:4e:00:17:72',
    behindGateway: ['0.0.0.0/0'],
    vms: [
      { netns: 'woodgrove-vm', host: 'host1', device: 'woodgrove0', address: '10.0.0.10', mac: '20:20:20:20:22:05' },
      { netns: 'woodgrove-vm2', host: 'host2', device: 'woodgrove0', address: '10.0.0.11', mac: '20:20:20:20:22:06' },
    ],
    sites: [
      { netns: 'woodgrove-ny', interfaceAlias: 'IfWe1', destination: '59.10.10.100', persistent: false, ...NY },
      {
        netns: 'woodgrove-sfo',
        city: 'San Francisco',
        interfaceAlias: 'IfWe2',
        destination: '60.10.10.100',
        router: '60.10.10.1',
        lan: '10.2.0.0/24',
        lanRouter: '10.2.0.1',
        server: '10.2.0.10',
        persistent: true,
      },
    ],
  },
];

/** Comes and goes while the others talk (check 7): the same addresses once more, and a site that never answers. */
export const THIRD_TENANT: Tenant = {
  name: 'Northwind',
  routingDomainId: '{11111111-2222-3333-4444-000000000003}',
  vsid: 7001,
  gatewayVsid: 7002,
  internalInterface: 'IfNi1',
  gatewayMac: '02:48:4e:00:1b:5a',
  behindGateway: ['0.0.0.0/0'],
  vms: [{ netns: 'northwind-vm', host: 'host1', device: 'northwind0', address: '10.0.0.10', mac: '30:30:30:30:33:05' }],
  sites: [{ netns: 'northwind-ny', interfaceAlias: 'IfNe1', destination: '59.10.10.200', persistent: false, ...NY }],
};

export const [CONTOSO, WOODGROVE] = TENANTS as readonly [Tenant, Tenant];
export const SITES: readonly Site[] = TENANTS.flatMap((t) => t.sites);
export const VMS: readonly Vm[] = TENANTS.flatMap((t) => t.vms);

/** The namespace with the LAN server of a site. */
export const serverOf = (site: Site): string => `${site.netns}-srv`;
export const tenantOfSite = (site: Site): Tenant => TENANTS.find((t) => t.sites.includes(site))!;
