/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Lookups in the policy, and the distributed router's decision (R-ENC-4, R-ENC-9). */
#pragma once
#include "../reason.h"
#include "maps.h"
#include "packet.h"

static __always_inline struct hnv_location *find_record(__u32 rdid, __be32 address)
{
	struct hnv_record_key key = { .rdid = rdid, .address = mapped(address) };

	return bpf_map_lookup_elem(&records, &key);
}

static __always_inline struct hnv_location *find_mac(__u32 vsid, const __u8 *mac)
{
	struct hnv_mac_key key = { .vsid = vsid };

	copy_mac(key.mac, mac);
	return bpf_map_lookup_elem(&macs, &key);
}

static __always_inline struct hnv_route *find_route(__u32 rdid, __be32 address)
{
	struct hnv_route_key key = { .prefixlen = 32 + 128, .rdid = rdid, .address = mapped(address) };

	return bpf_map_lookup_elem(&routes, &key);
}

static __always_inline __u32 provider_flags(__be32 address)
{
	struct hnv_address key = mapped(address);
	__u32 *flags = bpf_map_lookup_elem(&providers, &key);

	return flags ? *flags : 0;
}

/* True when packets from `address` may come from this port, by its own address or by the records. */
static __always_inline bool owns_address(struct hnv_port *port, __be32 address, __u32 ifindex)
{
	struct hnv_location *location;

	if (port->address.word[3] == address && port->address.word[2] == bpf_htonl(0xffff) &&
	    !port->address.word[1] && !port->address.word[0])
		return true;
	location = find_record(port->rdid, address);
	return location && location->port == ifindex && location->vsid == port->vsid;
}

/* Where the distributed router sends a packet; NULL with the reason why it does not. */
static __always_inline struct hnv_location *route_packet(__u32 rdid, __be32 address, __u32 *reason)
{
	struct hnv_location *location = find_record(rdid, address);
	struct hnv_route *route;

	*reason = HNV_NO_ROUTE;
	if (location)
		return location->flags & HNV_LOCATION_ROUTED ? location : 0;
	route = find_route(rdid, address);
	if (!route)
		return 0;
	*reason = HNV_NO_RECORD;
	return route->flags & HNV_ROUTE_VIA && route->via.rdid ? &route->via : 0;
}
