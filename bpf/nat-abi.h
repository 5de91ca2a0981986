/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between the NAT data plane and nat/abi.ts: map keys and values. Integers are in the machine's byte order unless
 * they are __be. Ports of an ICMP query: the identifier stands for the inside (or external) port, 0 for the other side's. No
 * struct has hidden padding. Times are seconds (u32) of the monotonic clock, or of the `clock` map while that is not 0.
 *
 * A change of any layout is a new HNV_NAT_ABI number: maps are pinned in a directory of that number.
 */
#pragma once
#include <linux/types.h>

#define HNV_NAT_ABI 1

/* Slots 2 … below this may have NAT. */
#define HNV_NAT_TENANTS 8192
#define HNV_NAT_POOLS 1024
#define HNV_NAT_BLOCKS 16384
#define HNV_NAT_TENANT_BLOCKS 128 /* what one tenant can own at most */
#define HNV_NAT_RULES 16
#define HNV_NAT_RULE_POOLS 8
#define HNV_NAT_SETS 8
#define HNV_NAT_SERVICES 1024
#define HNV_NAT_MAGLEV 2039 /* prime */
#define HNV_NAT_WORDS 16 /* of 64 ports in a block */

/* The first four bytes of nat0's MAC; the other two are the slot. Frames of a compartment are known by it and by their device. */
#define HNV_NAT_MAC_HIGH 0x02484e41 /* 02:48:4e:41:<slot> */

/* Which bitmap of a block, and which time-out. */
#define HNV_NAT_TCP 0
#define HNV_NAT_UDP 1
#define HNV_NAT_ICMP 2

/* settings[0], of the control plane */
struct hnv_nat_settings {
	__u32 seed;    /* of the choice of ports */
	__u32 waiting; /* ifindex of natw0, where fragments wait for their first one; 0 = those are dropped */
};

/* clock[0]: __u64 ns that stand still; 0 = the kernel's monotonic clock. Only tests set it. */

/* tenants[slot], of the control plane; device 0 = no NAT */
#define HNV_NAT_ENDPOINT_INDEPENDENT 0 /* filtering, RFC 4787 §5 */
#define HNV_NAT_ADDRESS_DEPENDENT 1
#define HNV_NAT_PORT_DEPENDENT 2

#define HNV_NAT_INBOUND_REFRESH 1 /* UdpInboundRefresh */

struct hnv_nat_tenant {
	__u32 device;		   /* n<slot> in the default compartment */
	__u32 flags;
	__u8 tcp_filtering;
	__u8 udp_filtering;
	__u16 zero;
	__u32 tcp_transient;	   /* s without packets */
	__u32 tcp_established;
	__u32 udp_idle;
	__u32 icmp_query;
	__u32 quarantine;	   /* s that a port rests after its last session */
	__u32 max_blocks;	   /* 1 … HNV_NAT_TENANT_BLOCKS, over all pools */
	__u32 max_sessions;	   /* of the tenant; here and below 0 = no limit */
	__u32 max_host_sessions;   /* of one inside address */
	__u32 max_host_ports;	   /* mappings of one inside address */
	__u32 session_rate;	   /* new sessions a second of the tenant; also the burst */
	__u32 host_session_rate;
};

/* policies: rdid -> struct hnv_nat_policy, of the control plane. The first rule that covers the destination decides. */
#define HNV_NAT_RULE_DROP 0
#define HNV_NAT_RULE_POOL 1
#define HNV_NAT_RULE_ONE_TO_ONE 2 /* decides only for hosts that have one; others go on to the next rule */

struct hnv_nat_rule {
	__be32 network;
	__be32 mask;
	__u8 action;
	__u8 set;   /* < HNV_NAT_SETS: rules of the same pools have the same; a host keeps one mapping per set */
	__u8 pools; /* how many of `pool` */
	__u8 zero;
	__u16 pool[HNV_NAT_RULE_POOLS];
};

struct hnv_nat_policy {
	__u32 rules;
	struct hnv_nat_rule rule[HNV_NAT_RULES];
};

/* pools[index], of the control plane: an external address with a port range, or with blocks 0 for what else it serves */
struct hnv_nat_pool {
	__be32 address;
	__u32 device;	   /* the external NIC; 0 = no pool */
	__be32 network;	   /* on-link prefix; other destinations go to the gateway */
	__be32 mask;
	__be32 gateway;
	__u32 first_block;
	__u32 blocks;
	__u16 port_start;  /* of the first block */
	__u16 block_ports; /* a multiple of 64 up to 1024 */
	__u16 next;	   /* 1 + the next pool of the same address; 0 = none */
	__u16 zero;
};

/* addresses: __be32 of an external address -> __u32, its first pool; of the control plane */

/* reserved[block], of the control plane: ports that are never given (the gateway's own, static mappings, beyond PortEnd) */
struct hnv_nat_ports {
	__u64 word[HNV_NAT_WORDS];
};

struct hnv_nat_reserved {
	struct hnv_nat_ports of[3]; /* by HNV_NAT_TCP … */
};

/* blocks[block], of the data plane */
#define HNV_NAT_CLOSING 0xffffffff /* owner while it is being given back */

struct hnv_nat_block {
	__u32 owner; /* rdid; 0 = nobody */
	__u32 taken; /* s */
	__u32 former; /* who had it before, from when until when */
	__u32 former_taken;
	__u32 former_released;
	__u32 used[3];
	struct hnv_nat_ports of[3];
};

/* flows: what a packet of an established session becomes; two entries a session, each found from its own side */
#define HNV_NAT_MAPPED 1
#define HNV_NAT_STATIC 2
#define HNV_NAT_VIP 3

#define HNV_NAT_OPENER 1     /* of the two entries, the side that sent first: the session is counted by it */
#define HNV_NAT_TO_INSIDE 2  /* egress is a slot, else a pool */
#define HNV_NAT_CONTACT 4    /* counted in `contacts` */
#define HNV_NAT_FROM_VIP 8   /* of the entry whose packets come from a DIP */

#define HNV_NAT_FIN 1 /* as in the TCP header */
#define HNV_NAT_SYN 2
#define HNV_NAT_RST 4
#define HNV_NAT_ACK 16

struct hnv_nat_flow_key {
	__u32 rdid; /* the tenant that sent it; 0 = it came from outside */
	__be32 source;
	__be32 destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 zero[3];
};

struct hnv_nat_flow {
	__be32 source; /* what the packet's become */
	__be32 destination;
	__be16 source_port;
	__be16 destination_port;
	__u32 rdid;	 /* the tenant that the session is counted for */
	__u16 egress;
	__u8 kind;	 /* HNV_NAT_MAPPED …: of the mapping at this side, when this side is inside */
	__u8 set;	 /* of that mapping */
	__u32 seen;	 /* s, the last packet of this direction */
	__u32 opened;	 /* s */
	__u32 ack;	 /* TCP: what this direction acknowledged last, */
	__u32 next;	 /* where its SYN leaves the sequence, */
	__u16 window;	 /* the window it offered, */
	__u8 scale;	 /* and the shift of it */
	__u8 tcp_flags;	 /* all seen of this direction */
	__u8 flags;
	__u8 zero;
	__u16 dip;	 /* VIP: which DIP of the service */
};

/* mappings: an inside endpoint -> its external one (endpoint-independent, RFC 4787 REQ-1); of the data plane */
#define HNV_NAT_ENDED 0x80000000 /* in a count of users: the entry is being taken away */

struct hnv_nat_mapping_key {
	__u32 rdid;
	__be32 address;
	__be16 port;
	__u8 protocol;
	__u8 set;
};

struct hnv_nat_mapping {
	__be32 address;
	__be16 port;
	__u16 pool;
	__u32 block;
	__u32 sessions;
	__u32 opened;	/* s */
	__u32 released; /* s, when the last session ended; meaningful while sessions is 0 */
};

/* externals: an external endpoint -> the inside one of its mapping; of the data plane */
struct hnv_nat_endpoint {
	__be32 address;
	__be16 port;
	__u8 protocol;
	__u8 zero;
};

struct hnv_nat_inside {
	__u32 rdid;
	__be32 address;
	__be16 port;
	__u8 set;
	__u8 zero;
};

/* contacts: to whom a mapping has sent, for address-dependent filtering; of the data plane */
struct hnv_nat_contact_key {
	__be32 address; /* external */
	__be32 remote;
	__be16 port; /* external */
	__u8 protocol;
	__u8 zero;
};

struct hnv_nat_contact {
	__u32 rdid;
	__u32 sessions;
};

/* statics: of the control plane. rdid 0: an external endpoint; a slot: the inside endpoint of a static mapping. */
struct hnv_nat_static_key {
	__u32 rdid;
	__be32 address;
	__be16 port;
	__u8 protocol;
	__u8 zero;
};

struct hnv_nat_static {
	__u32 rdid;	/* of the tenant, in both directions */
	__be32 address; /* the other side's; of a VIP 0 */
	__be16 port;
	__u16 pool;	/* that serves the external address */
	__u8 kind;	/* HNV_NAT_STATIC or HNV_NAT_VIP */
	__u8 flags;
	__u16 service;	/* VIP */
	__be32 remote;	/* who may use it: RemoteExternalIPAddressPrefix */
	__be32 remote_mask;
};

#define HNV_NAT_SOURCE_AFFINITY 1 /* one DIP for all flows of a source address */

/* maglev[service], of the control plane: 1 + the DIP of each slot; 0 = none */
struct hnv_nat_maglev {
	__u16 dip[HNV_NAT_MAGLEV];
	__u16 zero;
};

/* dips: of the control plane */
struct hnv_nat_dip_key {
	__u16 service;
	__u16 dip;
};

struct hnv_nat_dip {
	__be32 address;
	__be16 port;
	__u16 zero;
};

/* one_to_one: both directions, of the control plane; {0, external} -> inside, {rdid, inside} -> external */
struct hnv_nat_host_key {
	__u32 rdid;
	__be32 address;
};

struct hnv_nat_one_to_one {
	__u32 rdid; /* of the tenant, in both directions */
	__be32 address;
	__u32 pool;
};

struct hnv_nat_bucket {
	__u64 filled; /* ns: when `tokens` was right */
	__u64 tokens;
};

/* hosts: struct hnv_nat_host_key -> struct hnv_nat_host, of the data plane: what an inside address has */
struct hnv_nat_host {
	__u32 sessions;
	__u32 ports;
	struct hnv_nat_bucket rate;
	__u32 set[HNV_NAT_SETS]; /* paired pooling: 1 + its pool << 16 | its mappings there */
};

/* usage[slot], of the data plane: what a tenant has */
struct hnv_nat_usage {
	__u32 sessions;
	__u32 ports;
	__u32 blocks;
	__u32 current; /* index in `block` where a port was found last */
	struct hnv_nat_bucket rate;
	struct hnv_nat_bucket errors;
	__u32 block[HNV_NAT_TENANT_BLOCKS]; /* 1 + the number of a block; 0 = none */
};

/* fragments: struct hnv_nat_fragment_key -> struct hnv_nat_fragment, of the data plane: how the first fragment was translated */
struct hnv_nat_fragment_key {
	__u32 rdid;
	__be32 source;
	__be32 destination;
	__be16 id;
	__u8 protocol;
	__u8 zero;
};

#define HNV_NAT_OWN 128 /* the gateway's own: it goes to the stack as it is */

struct hnv_nat_fragment {
	__be32 source;
	__be32 destination;
	__u32 seen;
	__u16 egress;
	__be16 id; /* what the identification becomes (RFC 6864) */
	__u8 flags; /* HNV_NAT_TO_INSIDE, HNV_NAT_OWN */
	__u8 zero[3];
};

/* nat_events: ring buffer of struct hnv_nat_event */
#define HNV_NAT_BLOCK_TAKEN 1
#define HNV_NAT_BLOCK_RETURNED 2

struct hnv_nat_event {
	__u32 type;
	__u32 rdid;
	__u32 block;
	__u32 taken;	/* s */
	__u32 released; /* s; RETURNED */
};

/* What nat_sweep is given and gives back. */
struct hnv_nat_sweep {
	__u32 flows;	 /* seen */
	__u32 ended;	 /* sessions */
	__u32 mappings;	 /* seen */
	__u32 freed;	 /* mappings whose port may be given again */
	__u32 returned;	 /* blocks */
	__u32 hosts;	 /* seen */
};

/* What nat_purge ends: of a tenant, all or one inside address of it, or of a pool. 0 (address), ~0 (pool) = any. */
struct hnv_nat_purge {
	__u32 rdid; /* 0 = any; then a pool must be named */
	__be32 address;
	__u32 pool;
	__u32 ended; /* given back: sessions */
};
