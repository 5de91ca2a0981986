/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between the data plane and encap/abi.ts: map keys and values. Integers are in the machine's byte order unless
 * they are __be; addresses are 16 bytes in network order, IPv4 as ::ffff:a.b.c.d. Every key names its tenant: by routing
 * domain (rdid, the slot), or by virtual subnet (vsid), which belongs to one routing domain. No struct has hidden padding.
 *
 * A change of any layout is a new HNV_ABI number: maps are pinned in a directory of that number.
 */
#pragma once
#include <linux/types.h>

#define HNV_ABI 3

/* Drops that belong to no known tenant. */
#define HNV_RDID_NONE 0

/* MACDFGW: the distributed router, the same on every host and in every virtual subnet (R-ENC-4). */
#define HNV_ROUTER_MAC_HIGH 0x02484e56 /* 02:48:4e:56:00:01 */
#define HNV_ROUTER_MAC_LOW 0x0001

struct hnv_address {
	__be32 word[4];
};

/* ports: ifindex -> struct hnv_port */
#define HNV_PORT_GATEWAY 1 /* a compartment: it forwards, so it may send from any address */

struct hnv_port {
	__u32 rdid;
	__u32 vsid;
	__u32 flags;
	__u16 mtu;
	__u8 mac[6];
	struct hnv_address address; /* the one most packets come from; others are looked up in records */
};

/* Where a frame for a MAC or an address goes; complete, so that one lookup decides. */
#define HNV_LOCATION_ROUTED 1 /* a customer route covers it: the distributed router may send there */
#define HNV_LOCATION_PEER 2   /* the local port is a veth whose other end is in another namespace */
#define HNV_LOCATION_ROUTER 4 /* the distributed router itself */
#define HNV_LOCATION_VXLAN 8  /* RFC 7348 instead of NVGRE */
#define HNV_LOCATION_IPV6 16  /* the provider addresses are IPv6 */
#define HNV_LOCATION_LEARN 32 /* an L2Only record: addresses there are learned */
#define HNV_LOCATION_DYNAMIC 64 /* a Dynamic record: it was learned, and may be learned anew elsewhere */
#define HNV_LOCATION_PLAIN 128 /* TranslationMethodNone: packets leave as they are, `destination` is a router or their end */
#define HNV_LOCATION_DSCP 256 /* the outer DSCP is that of bits 16 to 21, and not the tenant's */
#define HNV_LOCATION_DSCP_SHIFT 16

/* Those that are not NVGRE over IPv4 with the tenant's DSCP. */
#define HNV_LOCATION_SPECIAL (HNV_LOCATION_VXLAN | HNV_LOCATION_IPV6 | HNV_LOCATION_PLAIN | HNV_LOCATION_DSCP)

struct hnv_location {
	__u32 rdid;
	__u32 vsid;
	__u32 port;   /* ifindex of the local port; 0 = behind the provider network */
	__u32 uplink; /* ifindex of the provider NIC; 0 = local */
	__u32 flags;
	__u16 mtu; /* the largest IP packet of the tenant that fits */
	__u8 mac[6];
	struct hnv_address destination; /* provider addresses of the outer header */
	struct hnv_address source;
	struct hnv_address next_hop; /* on the provider network */
};

/* records: struct hnv_record_key -> struct hnv_location */
struct hnv_record_key {
	__u32 rdid;
	struct hnv_address address;
};

/* macs: struct hnv_mac_key -> struct hnv_location */
struct hnv_mac_key {
	__u32 vsid;
	__u8 mac[6];
	__u16 zero;
};

/* routes: struct hnv_route_key (LPM) -> struct hnv_route */
#define HNV_ROUTE_VIA 1 /* through `via`; else on-link in `vsid` */

struct hnv_route_key {
	__u32 prefixlen; /* 32 bits of rdid + 96 + the IPv4 prefix length, or + the IPv6 prefix length */
	__u32 rdid;
	struct hnv_address address;
};

struct hnv_route {
	__u32 flags;
	__u32 vsid;
	struct hnv_address router; /* the .1 of the subnet */
	struct hnv_location via;
};

/* tunnels: who may send frames of a virtual subnet to which of our provider addresses; struct hnv_tunnel_key -> struct hnv_tunnel */
#define HNV_TUNNEL_NVGRE 1 /* the encapsulations that we take off */
#define HNV_TUNNEL_VXLAN 2
#define HNV_TUNNEL_UNIFORM 4 /* the outer DSCP goes into the tenant's packet (RFC 2983) */
#define HNV_TUNNEL_CHECK 8   /* no sender may have an address that a record places elsewhere */
#define HNV_TUNNEL_PLAIN 16  /* of a key with VSID 0: packets that `source` sends without encapsulation are the tenant's */

/* The VLAN of our provider address, 0 = untagged: in the flags of its tunnels, of itself and of its neighbours. */
#define HNV_VLAN_SHIFT 16
#define HNV_VLAN_MASK (0xfffU << HNV_VLAN_SHIFT)

/* What is told of a tunnel beside its tenant. */
#define HNV_TUNNEL_SPECIAL (HNV_TUNNEL_UNIFORM | HNV_TUNNEL_CHECK)
/* The plain case knows one encapsulation, and the VLAN. */
#define HNV_TUNNEL_PLAIN_CASE (HNV_TUNNEL_NVGRE | HNV_TUNNEL_UNIFORM | HNV_VLAN_MASK)

struct hnv_tunnel_key {
	__u32 vsid;
	struct hnv_address source;
	struct hnv_address destination;
};

struct hnv_tunnel {
	__u32 rdid;
	__u32 flags;
};

/* vsids: vsid -> struct hnv_vsid */
#define HNV_VSID_LEARN 1     /* unknown neighbours are asked for, and what they say is learned (R-ENC-8) */
#define HNV_VSID_REPLICATE 2 /* broadcast and multicast reach every port (R-ENC-12) */

struct hnv_vsid {
	__u32 rdid;
	__u32 flags;
};

/*
 * replicas: struct hnv_replica_key -> struct hnv_location: the ports of a virtual subnet that learns or replicates, and one
 * location of each of its machines, from index 0 without gap. HNV_LOCATION_LEARN = the machine is asked for neighbours.
 *
 * The kernel limits the depth of redirects and not the number of copies that a program makes, but each copy for a machine waits
 * in the backlog of its CPU, which holds 1000 by default (net.core.netdev_max_backlog).
 */
#define HNV_REPLICAS 64

struct hnv_replica_key {
	__u32 vsid;
	__u32 index;
};

/*
 * A frame for several places comes back to its port once for each, marked with the index of the replica; and once more when
 * its outer header had to be written before the kernel could know it for an IP packet. No VM can set a mark.
 */
#define HNV_MARK_MASK 0xffffff00
#define HNV_MARK_REPLICA 0x484e5600
#define HNV_MARK_WRITTEN 0x484e5700

/* providers: struct hnv_address -> flags and VLAN; with the VLAN alone, a router of that VLAN */
#define HNV_PROVIDER_LOCAL 1 /* an address of this machine */
#define HNV_PROVIDER_PEER 2  /* named by a lookup record of some tenant */
#define HNV_PROVIDER_VXLAN 4 /* VXLAN for this address is ours and not the stack's */

/* drops: struct hnv_drop_key -> struct hnv_drops, one per CPU */
#define HNV_FROM_PORT 1 /* a VM or a compartment sent it */
#define HNV_FROM_WIRE 2 /* it came over the provider network */

struct hnv_drop_key {
	__u32 rdid;
	__u16 reason;
	__u16 direction;
};

struct hnv_drops {
	__u64 packets;
	__u64 bytes;
};

/* events: ring buffer of struct hnv_event, what the control plane wants to hear of at once */
#define HNV_EVENT_LEARNED 1 /* a frame told where an address is */
#define HNV_EVENT_DROPPED 2 /* a sample of the drops, one in every so many by a token bucket per CPU */

#define HNV_EVENT_FRAME 64

struct hnv_event {
	__u32 type;
	__u32 rdid;
	__u32 vsid;			/* LEARNED; 0 of a drop */
	__u32 port;			/* ifindex the frame came in by; 0 = LEARNED over the provider network */
	struct hnv_address address;	/* LEARNED: the customer address */
	struct hnv_address provider;	/* LEARNED: where it is; :: = at the port */
	__u8 mac[6];			/* LEARNED: whose address it is */
	__u16 reason;			/* DROPPED */
	__u16 direction;		/* DROPPED: HNV_FROM_ */
	__u16 captured;			/* DROPPED: bytes of `frame` that hold the frame's beginning */
	__u32 length;			/* DROPPED: bytes of the frame */
	__u8 frame[HNV_EVENT_FRAME];
};

/* buckets: struct hnv_bucket_key -> struct hnv_bucket, the data plane's own: what a port may cause per second */
#define HNV_BUCKET_ERROR 1     /* ICMP errors towards the port */
#define HNV_BUCKET_REPLICATE 2 /* frames sent to many places */
#define HNV_BUCKET_LEARN 3     /* LEARNED events of what the port says */
#define HNV_BUCKET_HEAR 4      /* LEARNED events of what a virtual subnet's other machines say; `port` is its VSID */

struct hnv_bucket_key {
	__u32 port;
	__u32 kind;
};

struct hnv_bucket {
	__u64 filled; /* ns of the monotonic clock: when `tokens` was right */
	__u64 tokens;
};
