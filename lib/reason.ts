/**
 * Concept 5, the closed list of reasons. Numbers are an interface: they appear in eBPF maps, metrics, JSON and documents, so a
 * number is never reused or moved. `bpf/reason.h` and `docs/reasons.md` are generated from this file (`npm run docs`).
 */
export type ReasonArea = 'packet' | 'config' | 'record' | 'op' | 'ike';

export interface Reason {
  readonly number: number;
  readonly name: string; // SCREAMING_SNAKE in C as HNV_<name>, the same text in metrics and JSON
  readonly area: ReasonArea;
  readonly meaning: string;
  readonly cure: string; // what the operator can do
}

const reason = (number: number, area: ReasonArea, name: string, meaning: string, cure: string): Reason => ({
  number,
  name,
  area,
  meaning,
  cure,
});

/** Packet drops: 1 … 255, counted by the data plane per routing domain. */
export const PACKET_REASONS: readonly Reason[] = [
  reason(
    1,
    'packet',
    'TRUNCATED',
    'The frame ends before its headers do.',
    'Look for a broken sender; capture on the port or the provider wire.',
  ),
  reason(
    2,
    'packet',
    'UNKNOWN_PORT',
    'A frame came from a port that has no virtual subnet.',
    'Map the port to a virtual subnet, or detach it.',
  ),
  reason(
    3,
    'packet',
    'SPOOFED_MAC',
    'The source MAC is not the one of the port.',
    'The VM uses a foreign MAC; correct the port or the VM.',
  ),
  reason(
    4,
    'packet',
    'SPOOFED_CA',
    'The source address is not one of the port, by the lookup records.',
    'Add a lookup record for the address, or correct the VM.',
  ),
  reason(
    5,
    'packet',
    'INNER_VLAN',
    'The tenant frame carries an 802.1Q tag (RFC 7637 §3.3).',
    'Remove the VLAN inside the VM.',
  ),
  reason(
    6,
    'packet',
    'NESTED',
    'A tenant sends NVGRE or VXLAN of its own towards the provider, or a decapsulated frame holds another.',
    'Tenants cannot nest the overlay.',
  ),
  reason(
    7,
    'packet',
    'NO_RECORD',
    'No lookup record for the destination customer address.',
    'Add NetVirtualizationLookupRecord for it.',
  ),
  reason(
    8,
    'packet',
    'NO_ROUTE',
    'No customer route of the VM network covers the destination.',
    'Add NetVirtualizationCustomerRoute.',
  ),
  reason(9, 'packet', 'TTL_EXCEEDED', 'The TTL ended at the distributed router.', 'Look for a routing loop.'),
  reason(10, 'packet', 'ETHERTYPE', 'The overlay does not carry this EtherType.', 'Use IPv4 or IPv6.'),
  reason(11, 'packet', 'MULTICAST', 'Broadcast or multicast that the overlay does not carry.', 'Use unicast.'),
  reason(
    12,
    'packet',
    'UNKNOWN_PA',
    'An overlay frame from a provider address that no lookup record names.',
    'If it is a host of yours, add its lookup records; else find out who sends.',
  ),
  reason(
    13,
    'packet',
    'FOREIGN_PA',
    'An overlay frame from a known provider address that has no record in the VM network of this VSID.',
    'The sender claims a VSID that is not its own.',
  ),
  reason(
    14,
    'packet',
    'UNKNOWN_VSID',
    'The VSID is in no VM network here, or reserved.',
    'Add the virtual subnet, or correct the sender.',
  ),
  reason(
    15,
    'packet',
    'BAD_GRE',
    'GRE that is not NVGRE: flags, version or protocol are wrong (RFC 7637 §3.2).',
    'Only NVGRE is accepted on the provider wire.',
  ),
  reason(
    16,
    'packet',
    'NOT_LOCAL',
    'A decapsulated frame is for no port of this machine.',
    'The sender holds an old lookup record; check the record of the destination.',
  ),
  reason(
    17,
    'packet',
    'FRAGMENTED_OUTER',
    'The outer packet is a fragment.',
    "Raise the MTU of the provider network by 42 or lower the VMs' (RFC 7637 §4).",
  ),
  reason(
    18,
    'packet',
    'TOO_BIG',
    'The frame does not fit the provider path after encapsulation.',
    'Raise the MTU of the provider network.',
  ),
  reason(
    19,
    'packet',
    'ADJUST_FAILED',
    'The kernel could not make or remove room for the outer header.',
    'Memory pressure; look at the kernel log.',
  ),
  reason(
    20,
    'packet',
    'CONGESTION',
    'The provider network marked congestion on a packet whose sender cannot be told (RFC 6040 §4.2).',
    'Relieve the provider network, or use ECN in the VMs.',
  ),
  reason(
    21,
    'packet',
    'NEIGHBOUR',
    'A router or neighbour advertisement, a redirect, or one that could hide behind extension headers, sent by a port.',
    'Only the distributed router speaks of routers and neighbours; look for a rogue router in the VM.',
  ),
  reason(
    22,
    'packet',
    'BAD_VXLAN',
    'VXLAN without a valid network identifier (RFC 7348 §5).',
    'Look for a broken sender on the provider wire.',
  ),
  reason(
    23,
    'packet',
    'ENCAPSULATION',
    'A provider address of the VM network uses an encapsulation that this machine is not told to take.',
    'Let both machines use the same encapsulation, or let this one take both.',
  ),
  reason(
    24,
    'packet',
    'RATE_LIMITED',
    'A port sends more frames for many places than a virtual subnet has to bear.',
    'Look for a loop or a scan in the VM.',
  ),
  reason(
    25,
    'packet',
    'FOREIGN_CA',
    'A known provider address sends from a customer address that a lookup record places elsewhere.',
    'If the VM moved, correct its lookup record; else find out what the other host sends.',
  ),
  reason(
    26,
    'packet',
    'FOREIGN_VLAN',
    'An overlay frame, or a question for a neighbour, came without the tag of the provider address it is for.',
    'Correct the VLAN of the provider address, here or at the sender, or the port of the physical switch.',
  ),
  reason(
    32,
    'packet',
    'NAT_PORTS',
    'No port is free for a new mapping: the pool is used up, or the tenant has all the blocks that it may have.',
    'Give the tenant more blocks, or the pool more addresses; see `hnvgw nat pressure`.',
  ),
  reason(
    33,
    'packet',
    'NAT_HOST_PORTS',
    'An inside address has all the external ports that it may have.',
    'Look for a scan or a leak on the host, or raise its limit.',
  ),
  reason(
    34,
    'packet',
    'NAT_SESSIONS',
    'The tenant, or one of its inside addresses, has all the sessions that it may have.',
    'Look for a flood, or raise the limit; see `hnvgw nat pressure`.',
  ),
  reason(
    35,
    'packet',
    'NAT_RATE',
    'The tenant, or one of its inside addresses, opens more sessions a second than it may.',
    'Look for a flood, or raise the limit.',
  ),
  reason(
    36,
    'packet',
    'NAT_TABLE',
    'A table of the NAT is full.',
    'The gateway serves more sessions than it is built for; spread the tenants over more gateways.',
  ),
  reason(
    37,
    'packet',
    'NAT_POLICY',
    'No rule of the NAT policy lets the destination be translated.',
    'Add a rule that covers it.',
  ),
  reason(
    38,
    'packet',
    'NAT_PROTOCOL',
    'Only TCP, UDP and ICMP can be translated with ports; another protocol needs a one-to-one mapping.',
    'Use a tunnel over UDP, or a one-to-one mapping.',
  ),
  reason(39, 'packet', 'NAT_IPV6', 'IPv6 reached the NAT, which translates IPv4 only.', 'Route IPv6 without NAT.'),
  reason(
    40,
    'packet',
    'NAT_NO_SESSION',
    'A TCP segment or an ICMP message belongs to no session and cannot open one.',
    'The session has ended, or never began; look for idle time-outs.',
  ),
  reason(
    41,
    'packet',
    'NAT_NO_MAPPING',
    'A packet from outside is for a port of a tenant that has no mapping there.',
    'Usually scans; add a static mapping when the service is meant to be reached.',
  ),
  reason(
    42,
    'packet',
    'NAT_FILTERED',
    'A packet from outside is for a mapping that this sender may not use (RFC 4787 §5).',
    'Usually scans; choose another filtering behaviour when it is meant to pass.',
  ),
  reason(
    43,
    'packet',
    'NAT_ERROR',
    'An ICMP error is about no session of the NAT, or quotes too little to tell.',
    'Usually forged or late.',
  ),
  reason(
    44,
    'packet',
    'NAT_FRAGMENT',
    'A fragment whose first one has not been seen, or that cannot be put together.',
    'Look for loss on the path of the fragments.',
  ),
  reason(
    45,
    'packet',
    'NAT_NO_DIP',
    'The virtual IP address has no DIP that can take the connection.',
    'Look at the health of its DIPs: `hnvgw nat vips`.',
  ),
  reason(
    46,
    'packet',
    'NAT_COLLISION',
    'Two sessions would look the same to an inside address, or one to itself.',
    'Reach a service by one external address and port only, or from another port.',
  ),
];

export const reasonName = (number: number): string =>
  PACKET_REASONS.find((r) => r.number === number)?.name ?? `REASON_${number}`;
