/**
 * What a capture holds, by tshark's reading and not by ours: the outer header of an NVGRE frame (RFC 7637), and the tenant's
 * Ethernet, ARP, IPv4 and ICMP headers. A frame with a wrong IPv4 checksum, or of another kind, stays visible as such.
 */
import { execFileSync } from 'node:child_process';

export interface Ends {
  readonly source: string;
  readonly destination: string;
}

export interface Ipv4 extends Ends {
  readonly ttl: number;
  readonly length: number; // bytes, from the header on
}

export interface Outer {
  readonly mac: Ends;
  readonly ip: Ipv4;
  readonly dontFragment: boolean;
  readonly gre: string; // flags and version, protocol: `0x2000 0x6558`
  readonly vsid: number;
  readonly flowId: number;
}

export interface Arp {
  readonly operation: 'request' | 'reply';
  readonly sender: string;
  readonly senderMac: string;
  readonly target: string;
  readonly targetMac: string;
}

export interface Icmp {
  readonly type: number;
  readonly sequence: number;
}

export interface Frame {
  readonly outer?: Outer;
  readonly mac: Ends;
  readonly ip?: Ipv4;
  readonly arp?: Arp;
  readonly icmp?: Icmp;
  /** tshark's protocols, for what is none of the above: `eth:ethertype:ipv6:icmpv6`. */
  readonly protocols: string;
  readonly checksums: 'good' | 'bad';
}

const FIELDS = [
  ...[
    'frame.protocols',
    'eth.src',
    'eth.dst',
    'ip.src',
    'ip.dst',
    'ip.ttl',
    'ip.len',
    'ip.flags.df',
    'ip.checksum.status',
  ],
  ...['gre.flags_and_version', 'gre.proto', 'gre.key', 'icmp.type', 'icmp.seq'],
  ...['arp.opcode', 'arp.src.proto_ipv4', 'arp.src.hw_mac', 'arp.dst.proto_ipv4', 'arp.dst.hw_mac'],
] as const;
type Row = Readonly<Record<(typeof FIELDS)[number], readonly string[]>>;

const GOOD = ['1', 'Good'];

function ipv4(row: Row, layer: number): Ipv4 | undefined {
  const source = row['ip.src'][layer];
  if (source === undefined) return undefined;
  const destination = row['ip.dst'][layer]!;
  return { source, destination, ttl: Number(row['ip.ttl'][layer]), length: Number(row['ip.len'][layer]) };
}

const ends = (row: Row, layer: number): Ends => ({
  source: row['eth.src'][layer] ?? '',
  destination: row['eth.dst'][layer] ?? '',
});

function outer(row: Row): Outer | undefined {
  const key = row['gre.key'][0];
  const ip = ipv4(row, 0);
  if (key === undefined || !ip) return undefined;
  return {
    mac: ends(row, 0),
    ip,
    dontFragment: ['1', 'True'].includes(row['ip.flags.df'][0]!),
    gre: `${row['gre.flags_and_version'][0]} ${row['gre.proto'][0]}`,
    vsid: Number(key) >>> 8,
    flowId: Number(key) & 0xff,
  };
}

function arp(row: Row): Arp | undefined {
  const operation = row['arp.opcode'][0];
  if (operation === undefined) return undefined;
  return {
    operation: operation === '1' ? 'request' : 'reply',
    sender: row['arp.src.proto_ipv4'][0]!,
    senderMac: row['arp.src.hw_mac'][0]!,
    target: row['arp.dst.proto_ipv4'][0]!,
    targetMac: row['arp.dst.hw_mac'][0]!,
  };
}

function frame(line: string): Frame {
  const cells = line.split('\t').map((c) => (c === '' ? [] : c.split(',')));
  const row = Object.fromEntries(FIELDS.map((f, i) => [f, cells[i] ?? []])) as unknown as Row;
  const around = outer(row);
  const layer = around ? 1 : 0;
  const found = { outer: around, ip: ipv4(row, layer), arp: arp(row) };
  const type = row['icmp.type'][0];
  return {
    ...Object.fromEntries(Object.entries(found).filter(([, part]) => part)),
    ...(type !== undefined && { icmp: { type: Number(type), sequence: Number(row['icmp.seq'][0]) } }),
    mac: ends(row, layer),
    protocols: row['frame.protocols'].join(','),
    checksums: row['ip.checksum.status'].every((c) => GOOD.includes(c)) ? 'good' : 'bad',
  };
}

const END_MAC = '01:80:c2:00:00:0e'; // IEEE 802.1Q: no bridge forwards it
/** Sent from a device that is captured: once it stands in the file, everything before it does too. */
export const END_OF_CAPTURE = Buffer.concat([
  Buffer.from(`${END_MAC.replaceAll(':', '')}02000000000088b5`, 'hex'),
  Buffer.from('end of capture'.padEnd(46)),
]);

/** All frames of a pcap file in their order, without END_OF_CAPTURE. Throws with tshark's error text. */
export function framesOf(file: string): readonly Frame[] {
  const argv = ['-r', file, '-o', 'ip.check_checksum:TRUE', '-T', 'fields', '-E', 'occurrence=a', '-E', 'aggregator=,'];
  const text = execFileSync('tshark', [...argv, ...FIELDS.flatMap((f) => ['-e', f])], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return text
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map(frame)
    .filter((f) => f.mac.destination !== END_MAC);
}
