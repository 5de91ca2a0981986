/**
 * Resource `sysctl`: a network setting of one namespace. Names are written as sysctl.d(5) does: dots separate, and a slash
 * stands for a dot inside a name (`net.ipv4.conf.eth0/100.rp_filter` is the setting of the device eth0.100).
 */
import fs from 'node:fs';
import type { Slot } from '../../compartments/numbers.ts';
import type { Netns, Resource, Specs } from '../../compartments/resource.ts';
import type { Namespaces } from '../namespaces.ts';

/** Path below /proc/sys of a name in dots. */
export const sysctlPath = (name: string): string =>
  `/proc/sys/${name.replace(/[./]/g, (c) => (c === '.' ? '/' : '.'))}`;

const normal = (value: string): string => value.trim().replace(/\s+/g, ' ');

/** A setting that does not exist (its device is not there yet) is not reported. */
export function readSysctls(
  namespaces: Namespaces,
  netns: Netns,
  slot: Slot,
  names: readonly string[],
): Resource<'sysctl'>[] {
  const values = namespaces.visit(netns, () =>
    names.map((name) => {
      try {
        return normal(fs.readFileSync(sysctlPath(name), 'utf8'));
      } catch (e) {
        if ((e as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw e;
      }
    }),
  );
  return names.flatMap((name, i): Resource<'sysctl'>[] => {
    const value = values[i];
    return value === undefined ? [] : [{ kind: 'sysctl', key: `${netns} ${name}`, slot, spec: { netns, name, value } }];
  });
}

export function ensureSysctl(namespaces: Namespaces, spec: Specs['sysctl']): void {
  const path = sysctlPath(spec.name);
  // A device may have any name without white space.
  if (!/^net\.\S+$/.test(spec.name) || path.split('/').includes('..'))
    throw new Error(`${spec.name} is not the name of a network setting`);
  namespaces.visit(spec.netns, () => fs.writeFileSync(path, `${spec.value}\n`));
}
