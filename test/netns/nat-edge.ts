/**
 * The NAT's edge by itself, without the gateway process: two compartments whose VMs have the same addresses, the external NIC, an
 * internet router, and behind it the book's two servers.
 *
 * ```
 *   v2 10.0.0.10 ── c2 ─nat0═n2─┐                                    65.10.10.100
 *                               gw ─nic 131.107.10.10 ── isp ────── server
 *   v3 10.0.0.10 ── c3 ─nat0═n3─┘           131.107.10.1  (1400)     65.10.10.10
 * ```
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { RoutingDomainId } from '../../compartments/compartment.ts';
import type { NetNat } from '../../compartments/nat.ts';
import { decodeDropKey, decodeDrops } from '../../encap/abi.ts';
import { programInfo, runSyscall } from '../../kernel/bpf/program.ts';
import { type BpfMap, BpfObject } from '../../kernel/bpf.ts';
import type { Address } from '../../lib/address.ts';
import type { Prefix } from '../../lib/prefix.ts';
import { reasonName } from '../../lib/reason.ts';
import { NAT, NAT_ENTRY_MAPS, NAT_PROGRAMS, natMac } from '../../nat/abi.ts';
import { natEntries } from '../../nat/entries.ts';
import type { World } from './world.ts';

const root = path.resolve(import.meta.dirname, '../..');

export const SLOTS = [2, 3] as const;
export const VM = '10.0.0.10';
export const EXTERNAL = '131.107.10.10';
export const SERVERS = ['65.10.10.100', '65.10.10.10'] as const;
/** Of the link from the internet router to the servers. */
export const FAR_MTU = 1400;
export const idOf = (slot: number): RoutingDomainId =>
  `{11111111-2222-3333-4444-00000000000${slot}}` as RoutingDomainId;

export const NETNAT: NetNat = {
  name: 'AllTenants',
  externalIpInterfaceAddressPrefix: '131.107.10.0/24' as Prefix,
  icmpQueryTimeout: 30,
  tcpEstablishedConnectionTimeout: 1800,
  tcpTransientConnectionTimeout: 120,
  udpIdleSessionTimeout: 120,
  tcpFilteringBehavior: 'AddressDependentFiltering',
  udpFilteringBehavior: 'AddressDependentFiltering',
  udpInboundRefresh: false,
  portBlockSize: 256,
  portQuarantineSeconds: 120,
  externalAddresses: [{ ipAddress: EXTERNAL as Address, portStart: 9000, portEnd: 49151, routingDomainIds: [] }],
  staticMappings: [],
  oneToOneMappings: [],
  policy: [],
  quotas: [],
  loadBalancingRules: [],
};

export interface Edge {
  readonly ns: Readonly<Record<'gw' | 'isp' | 'server' | 'c2' | 'c3' | 'v2' | 'v3', string>>;
  map(name: string): BpfMap;
  /** How many packets were dropped for a reason, by all tenants or one. */
  drops(reason: string, slot?: number): number;
  sweep(): void;
  /** Tenant and internal and external endpoint of each mapping. */
  mappings(): readonly string[];
  /** Fills the maps anew from other settings; what the data plane keeps stays. */
  configure(nat: NetNat): void;
}

export function natEdge(world: World, nat: NetNat = NETNAT): Edge {
  execFileSync(path.join(root, 'bin/bpf.sh'), { stdio: 'pipe' });
  const names = ['gw', 'isp', 'server', 'c2', 'c3', 'v2', 'v3'] as const;
  const ns = Object.fromEntries(names.map((n) => [n, world.ns(n)])) as Edge['ns'];
  const off = 'for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done';

  world.wire(ns.gw, 'nic', ns.isp, 'near');
  world.wire(ns.isp, 'far', ns.server, 'eth0', { mtu: FAR_MTU });
  world.sh(ns.gw, `ip addr add ${EXTERNAL}/24 dev nic; ip route add default via 131.107.10.1`);
  world.sh(
    ns.isp,
    'ip addr add 131.107.10.1/24 dev near; ip addr add 65.10.10.1/24 dev far; echo 1 > /proc/sys/net/ipv4/ip_forward',
  );
  world.sh(
    ns.server,
    `${SERVERS.map((s) => `ip addr add ${s}/24 dev eth0`).join('\n')}\nip route add default via 65.10.10.1`,
  );
  world.wire(ns.gw, 'natw0', ns.gw, 'natw1');
  world.sh(ns.gw, `tc qdisc add dev natw0 root tbf rate 100mbit burst 3000 limit 500000; ${off}`);
  for (const slot of SLOTS) {
    const [c, v] = [ns[`c${slot}`], ns[`v${slot}`]];
    world.wire(ns.gw, `n${slot}`, c, 'nat0', { macB: natMac(slot) });
    world.wire(c, 'in0', v, 'eth0');
    const port = linkOf(world, ns.gw, `n${slot}`);
    world.sh(
      c,
      `ip addr add 10.0.0.1/24 dev in0; ip route add default via 169.254.0.1 dev nat0 onlink metric 4096
      ip neigh add 169.254.0.1 lladdr ${port.address} dev nat0 nud permanent
      echo 1 > /proc/sys/net/ipv4/ip_forward; ${off}`,
    );
    world.sh(v, `ip addr add ${VM}/24 dev eth0; ip addr add 10.0.0.11/24 dev eth0; ip route add default via 10.0.0.1`);
  }

  const object = new BpfObject(path.join(root, 'dist/bpf/nat.bpf.o'));
  world.onClose(() => object.close());
  const maps = new Map<string, BpfMap>();
  const map = (name: string): BpfMap => {
    const found = maps.get(name) ?? object.map(name);
    maps.set(name, found);
    return found;
  };
  attach(world, ns.gw, object, NAT_PROGRAMS.in, ['nic']);
  attach(world, ns.gw, object, NAT_PROGRAMS.wait, ['natw1']);
  attach(
    world,
    ns.gw,
    object,
    NAT_PROGRAMS.out,
    SLOTS.map((s) => `n${s}`),
  );

  const written = new Map<string, { map: string; key: Buffer }>();
  const configure = (netNat: NetNat): void => {
    const made = natEntries({
      netNats: [netNat],
      netAdapters: [
        {
          interfaceAlias: 'If2',
          device: 'nic',
          role: 'External',
          address: { address: EXTERNAL as Address, prefixLength: 24 },
          defaultGateway: '131.107.10.1' as Address,
        },
      ],
      tenants: SLOTS.map((slot) => ({
        routingDomainId: idOf(slot),
        slot,
        device: linkOf(world, ns.gw, `n${slot}`).ifindex,
      })),
      seed: 1,
      waiting: linkOf(world, ns.gw, 'natw0').ifindex,
      former: { pools: [], services: new Map(), dips: new Map() },
      index: (device) => linkOf(world, ns.gw, device).ifindex,
      healthy: () => true,
    });
    if (!made.ok) throw new Error(made.error);
    const stale = new Map(written);
    for (const { key: name, spec } of made.value.resources) {
      const key = Buffer.from(spec.key, 'hex');
      map(spec.map).set(key, Buffer.from(spec.value, 'hex'));
      written.set(name, { map: spec.map, key });
      stale.delete(name);
    }
    for (const [name, { map: of, key }] of stale) {
      if (map(of).isArray) map(of).set(key, Buffer.alloc(map(of).valueSize));
      else map(of).delete(key);
      written.delete(name);
    }
  };
  for (const name of NAT_ENTRY_MAPS) map(name);
  configure(nat);
  return {
    ns,
    map,
    configure,
    drops: (reason, slot) =>
      [...map('drops').batches()]
        .flat()
        .map(([key, value]) => [decodeDropKey(key), decodeDrops(value)] as const)
        .filter(([k]) => reasonName(k.reason) === reason && (slot === undefined || k.rdid === slot))
        .reduce((sum, [, d]) => sum + d.packets, 0),
    sweep: () => {
      runSyscall(object.progFd(NAT_PROGRAMS.sweep), Buffer.alloc(NAT.sweep.size));
    },
    mappings: () =>
      [...map('mappings').batches()]
        .flat()
        .map(([k, v]) => [NAT.mappingKey.decode(k), NAT.mapping.decode(v)] as const)
        .map(([k, m]) => `${k.rdid} ${k.protocol} ${k.address}:${k.port} ${m.address}:${m.port}`),
  };
}

const linkOf = (world: World, ns: string, device: string): { readonly ifindex: number; readonly address: string } =>
  JSON.parse(world.exec('', ['ip', '-n', ns, '-j', 'link', 'show', 'dev', device]).stdout)[0];

/** Through a pin, because tc(8) takes programs by their path; the attachment keeps the program afterwards. */
function attach(world: World, ns: string, object: BpfObject, program: string, devices: readonly string[]): void {
  const pin = `/sys/fs/bpf/${world.prefix}-${program}`;
  world.sh('', `bpftool prog pin id ${programInfo(object.progFd(program)).id} ${pin}`);
  try {
    for (const device of devices)
      world.sh(
        ns,
        `tc qdisc add dev ${device} clsact; tc filter add dev ${device} ingress bpf direct-action object-pinned ${pin}`,
      );
  } finally {
    fs.rmSync(pin);
  }
}
