/**
 * node bench/attach.ts host|gateway MTU CONFIGURATION
 *
 * Puts the overlay into the network namespace it is started in, as the host agent and the gateway do: the same resources, the
 * same comparison, the same hands. MTU is that of compartments' interfaces; CONFIGURATION is a HostConfig or GatewayConfig as
 * JSON. Ends once reality is as desired; what it has made stays.
 */
import path from 'node:path';
import type { GatewayConfig } from '../compartments/compartment.ts';
import { compartmentResources, sysctlResources } from '../compartments/desired.ts';
import type { HostConfig } from '../compartments/host.ts';
import { DEFAULT_SLOT, FIRST_SLOT } from '../compartments/numbers.ts';
import { reconcile } from '../compartments/reconcile.ts';
import type { AnyResource, Netns } from '../compartments/resource.ts';
import { ABI, ENTRY_MAPS, PINNED_MAPS, slotOfEntry } from '../encap/abi.ts';
import { gatewayDomains, hostDomains, type Link, overlayResources } from '../encap/overlay.ts';
import { EntryHand } from '../kernel/entries.ts';
import { KernelHand } from '../kernel/hand.ts';
import { inspectNetns } from '../kernel/inspect.ts';
import { openPinned } from '../kernel/pinned.ts';

const OBJECT = path.resolve(import.meta.dirname, '../dist/bpf/overlay.bpf.o');

interface Machine {
  readonly name: string;
  readonly network: Pick<GatewayConfig, 'netAdapters' | 'providerAddresses' | 'providerRoutes'>;
  readonly domains: ReturnType<typeof hostDomains>;
  /** Everything but the overlay: a gateway makes its compartments, a host finds its ports. */
  readonly links: readonly AnyResource[];
}

const slotAt = (index: number) => FIRST_SLOT + index;

function host(config: HostConfig): Machine {
  const domains = hostDomains(config, (d) => slotAt(config.routingDomains.indexOf(d)));
  return { name: config.host, network: config, domains, links: [] };
}

function gateway(config: GatewayConfig, innerMtu: number): Machine {
  const ifId = () => {
    throw new Error('no tunnels here');
  };
  const compartments = config.compartments.flatMap((c, i) =>
    compartmentResources(c, { slot: slotAt(i), up: new Set(), ifId, innerMtu }),
  );
  return {
    name: config.gateway,
    network: config,
    domains: gatewayDomains(config, (c) => slotAt(config.compartments.indexOf(c))),
    links: [...sysctlResources(DEFAULT_SLOT, ''), ...compartments],
  };
}

function linkOf(device: string): Link | undefined {
  const link = inspectNetns('').links.find((l) => l.name === device);
  return link && { index: link.index, mtu: link.mtu, peer: link.kind === 'veth' };
}

async function attach({ name, network, domains, links }: Machine): Promise<void> {
  const pinned = openPinned(OBJECT, `/sys/fs/bpf/${name}/${ABI}`, PINNED_MAPS);
  const settings = links.filter((r) => r.kind === 'sysctl').map((r) => r.spec);
  const kernel = new KernelHand({
    programs: pinned.programs,
    sysctls: (netns: Netns) => settings.filter((s) => s.netns === netns).map((s) => s.name),
    nics: () => [],
  });
  const entries = new EntryHand(new Map(ENTRY_MAPS.map((m) => [m, pinned.maps.get(m)!])), slotOfEntry);
  const tags = Object.fromEntries(Object.entries(pinned.programs).map(([program, { tag }]) => [program, tag]));
  const desired = () => [
    ...links,
    ...overlayResources({
      netAdapters: network.netAdapters.filter((a) => a.role === 'Provider'),
      providerAddresses: network.providerAddresses,
      providerRoutes: network.providerRoutes,
      domains,
      tags,
      link: linkOf,
    }),
  ];
  const outcome = await reconcile([kernel, entries], 'all', desired);
  kernel.close();
  pinned.close();
  if (!outcome.settled)
    throw new Error(outcome.failures.map((f) => f.error.message).join('\n') || 'reality does not settle');
}

const [role, mtu = '', text = ''] = process.argv.slice(2);
const config: unknown = JSON.parse(text);
await attach(role === 'gateway' ? gateway(config as GatewayConfig, Number(mtu)) : host(config as HostConfig));
