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

#define HNV_ABI 1

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

/* tunnels: who may send NVGRE of a virtual subnet to which of our provider addresses; struct hnv_tunnel_key -> rdid */
struct hnv_tunnel_key {
	__u32 vsid;
	struct hnv_address source;
	struct hnv_address destination;
};

/* vsids: vsid -> rdid */

/* providers: struct hnv_address -> flags */
#define HNV_PROVIDER_LOCAL 1 /* an address of this machine */
#define HNV_PROVIDER_PEER 2  /* named by a lookup record of some tenant */

/* drops: struct hnv_drop_key -> struct hnv_drops, one per CPU */
struct hnv_drop_key {
	__u32 rdid;
	__u32 reason;
};

struct hnv_drops {
	__u64 packets;
	__u64 bytes;
};
