/**
 * A topology as one shell script: everything that iproute2 can do in a batch is done in a batch, because a process costs more
 * than a message to the kernel, above all in an emulated machine. `prefix` keeps several worlds apart on one machine; a NIC of
 * a guest (`nic`) is moved when there is no prefix and left out otherwise.
 */
import type { End, Netns, Topology, Wire } from './topology.ts';

const batch = (args: string, lines: readonly string[]): string[] =>
  lines.length ? [`ip ${args}-batch - <<'END'`, ...lines, 'END'] : [];

const addressLines = (end: End, mtu: number): string[] => [
  `link set dev ${end.device}${end.mac ? ` address ${end.mac}` : ''} mtu ${mtu}${end.bridge ? ` master ${end.bridge}` : ''}`,
  ...(end.address ? [`address add ${end.address} dev ${end.device}`] : []),
  `link set dev ${end.device} up`,
];

function netnsLines(n: Netns, wires: readonly Wire[]): string[] {
  const ends = wires.flatMap((w) => [w.a, ...(w.b ? [w.b] : [])].map((end) => ({ end, mtu: w.mtu })));
  return [
    'link set dev lo up',
    ...(n.bridges ?? []).flatMap((b) => [
      `link add name ${b.name} mtu ${b.mtu} type bridge`,
      ...(b.address ? [`address add ${b.address} dev ${b.name}`] : []),
      `link set dev ${b.name} up`,
    ]),
    ...ends.filter(({ end }) => end.netns === n.name).flatMap(({ end, mtu }) => addressLines(end, mtu)),
    ...(n.routes ?? []).map((r) => `route add ${r.prefix}${r.via ? ` via ${r.via}` : ''}`),
    // Larger numbers are weaker: the policies of an SA (strongSwan's are below 400,000) win over the block.
    ...(n.protect ?? []).map((p) => `xfrm policy add src ${p.from} dst ${p.to} dir out action block priority 900000`),
  ];
}

export function bringUp(t: Topology, prefix = ''): string {
  const wires = t.wires.filter((w) => !(w.nic && prefix));
  const lines = [
    'set -eu',
    ...batch(
      '',
      t.netns.map((n) => `netns add ${prefix}${n.name}`),
    ),
  ];
  for (const n of t.netns.filter(({ forward }) => forward))
    lines.push(`nsenter --net=/run/netns/${prefix}${n.name} sysctl -qw net.ipv4.ip_forward=1`);
  lines.push(
    ...batch(
      '',
      wires.map((w) =>
        w.b
          ? `link add name ${w.a.device} netns ${prefix}${w.a.netns} type veth peer name ${w.b.device} netns ${prefix}${w.b.netns}`
          : `link set dev ${w.nic} netns ${prefix}${w.a.netns}`,
      ),
    ),
  );
  for (const n of t.netns) lines.push(...batch(`-n ${prefix}${n.name} `, netnsLines(n, wires)));
  return `${lines.join('\n')}\n`;
}

/** Removes what `bringUp` made; what is already gone is no error. */
export const tearDown = (t: Topology, prefix: string): string =>
  `${t.netns.map((n) => `ip netns del ${prefix}${n.name} 2>/dev/null || true`).join('\n')}\n`;
