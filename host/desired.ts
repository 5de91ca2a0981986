/** What a host needs beside the overlay's own resources, so that its own network stack never answers a VM. Pure. */
import type { HostConfig } from '../compartments/host.ts';
import type { AnyResource, Resource } from '../compartments/resource.ts';
import { PROGRAMS } from '../encap/abi.ts';

/**
 * Settings for the moment before a device has its program: ARP is answered only for the addresses of the device that is asked,
 * and a port has none; no IPv6 on ports. By name, as in sysctl.d(5).
 */
export function hostSettings(config: HostConfig): ReadonlyMap<string, string> {
  const devices = config.routingDomains.flatMap((d) => d.ports.map((p) => p.device));
  return new Map([
    ['net.ipv4.conf.all.arp_ignore', '1'],
    ...devices.map((device): [string, string] => [`net.ipv6.conf.${device.replaceAll('.', '/')}.disable_ipv6`, '1']),
  ]);
}

/** Those of them that exist: a device may be away, a kernel may be without IPv6. */
export const settingResources = (
  settings: ReadonlyMap<string, string>,
  actual: readonly AnyResource[],
): readonly Resource<'sysctl'>[] =>
  actual.flatMap((r) => {
    const value = r.kind === 'sysctl' ? settings.get(r.spec.name) : undefined;
    return r.kind === 'sysctl' && value !== undefined ? [{ ...r, spec: { ...r.spec, value } }] : [];
  });

/**
 * A device that was a port keeps the program until it goes: the VM that was taken out of the file may still be there, and the
 * program drops what it sends (UNKNOWN_PORT). `tag` = of the program that is loaded now.
 */
export function formerPorts(
  wanted: readonly AnyResource[],
  actual: readonly AnyResource[],
  tag: string,
): readonly Resource<'filter'>[] {
  const keys = new Set(wanted.filter((r) => r.kind === 'filter').map((r) => r.key));
  return actual.flatMap((r) =>
    r.kind === 'filter' && r.spec.program === PROGRAMS.port && !keys.has(r.key)
      ? [{ ...r, spec: { ...r.spec, tag }, label: `${PROGRAMS.port} on former port ${r.spec.device}` }]
      : [],
  );
}
