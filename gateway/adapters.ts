/** The resources of the default compartment: NICs, their addresses, provider addresses and routes (R-ENC-10). Pure. */
import type { GatewayConfig, NetAdapter } from '../compartments/compartment.ts';
import { addressResource, routeResource, sysctlResources } from '../compartments/desired.ts';
import { DEFAULT_SLOT } from '../compartments/numbers.ts';
import type { AnyResource } from '../compartments/resource.ts';
import { overhead } from '../encap/abi.ts';
import { familyOf } from '../lib/address.ts';
import type { Prefix } from '../lib/prefix.ts';
import { adapterAddresses, ownPorts, portList } from '../nat/own-ports.ts';

const ETHERNET_MTU = 1500;
/** Ports that the kernel does not choose by itself as the source of a connection. Wanted with NAT and without. */
export const RESERVED_PORTS_SETTING = 'net.ipv4.ip_local_reserved_ports';

export const deviceOf = (config: GatewayConfig, interfaceAlias: string): string | undefined =>
  config.netAdapters.find((n) => n.interfaceAlias === interfaceAlias)?.device;

/** The MTU of internal interfaces: what fits the narrowest provider NIC, as it is wanted or else as it is; at most Ethernet's. */
export function innerMtuOf(config: GatewayConfig, mtuOf: (device: string) => number | undefined): number {
  const provider = config.netAdapters
    .filter((n) => n.role === 'Provider')
    .map((n) => n.mtu ?? mtuOf(n.device) ?? ETHERNET_MTU);
  const families = config.providerAddresses.map((p) => familyOf(p.providerAddress));
  const header = overhead(config.encapsulation ?? 'NVGRE', families.includes(6) ? 6 : 4);
  return Math.min(ETHERNET_MTU, ...provider.map((mtu) => mtu - header));
}

function adapterResources(adapter: NetAdapter): readonly AnyResource[] {
  const { device, mtu, address, defaultGateway } = adapter;
  const resources: AnyResource[] = [
    {
      kind: 'nic',
      key: device,
      slot: DEFAULT_SLOT,
      spec: { device, up: true, ...(mtu !== undefined && { mtu }) },
      label: `NIC ${adapter.interfaceAlias} (${device})`,
    },
  ];
  if (address) resources.push(addressResource(DEFAULT_SLOT, { netns: '', device, ...address }));
  if (defaultGateway)
    resources.push(
      routeResource(DEFAULT_SLOT, {
        netns: '',
        prefix: (familyOf(defaultGateway) === 4 ? '0.0.0.0/0' : '::/0') as Prefix,
        metric: 256,
        type: 'unicast',
        device,
        nextHop: defaultGateway,
      }),
    );
  return resources;
}

function reservedPorts(config: GatewayConfig): AnyResource {
  const { reserved } = ownPorts(config.netNats ?? [], adapterAddresses(config.netAdapters));
  return {
    kind: 'sysctl',
    key: ` ${RESERVED_PORTS_SETTING}`,
    slot: DEFAULT_SLOT,
    spec: { netns: '', name: RESERVED_PORTS_SETTING, value: portList(reserved) },
  };
}

export function gatewayResources(config: GatewayConfig): readonly AnyResource[] {
  const resources = [
    ...sysctlResources(DEFAULT_SLOT, ''),
    reservedPorts(config),
    ...config.netAdapters.flatMap(adapterResources),
  ];
  for (const pa of config.providerAddresses) {
    const device = deviceOf(config, pa.interfaceAlias);
    if (device === undefined) continue;
    const resource = addressResource(DEFAULT_SLOT, {
      netns: '',
      device,
      address: pa.providerAddress,
      prefixLength: pa.prefixLength,
    });
    if (!resources.some((r) => r.kind === 'address' && r.key === resource.key)) resources.push(resource);
  }
  for (const r of config.providerRoutes) {
    const device = deviceOf(config, r.interfaceAlias);
    if (device === undefined) continue;
    resources.push(
      routeResource(DEFAULT_SLOT, {
        netns: '',
        prefix: r.destinationPrefix,
        metric: r.metric,
        type: 'unicast',
        device,
        nextHop: r.nextHop,
      }),
    );
  }
  return resources;
}
