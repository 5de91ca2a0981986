/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Lookups in the policy, and the distributed router's decision (R-ENC-4, R-ENC-9). */
#pragma once
#include "../reason.h"
#include "maps.h"
#include "packet.h"

/* The tenant is decided by the port or the tunnel alone: an entry that contradicts it never leads into another's network. */
static __always_inline struct hnv_location *of_tenant(__u32 rdid, struct hnv_location *location)
{
	return location && location->rdid == rdid ? location : 0;
}

static __always_inline struct hnv_location *find_record(__u32 rdid, const struct hnv_address *address)
{
	struct hnv_record_key key = { .rdid = rdid, .address = *address };

	return of_tenant(rdid, bpf_map_lookup_elem(&records, &key));
}

static __always_inline struct hnv_location *find_mac(__u32 rdid, __u32 vsid, const __u8 *mac)
{
	struct hnv_mac_key key = { .vsid = vsid };

	copy_mac(key.mac, mac);
	return of_tenant(rdid, bpf_map_lookup_elem(&macs, &key));
}

static __always_inline struct hnv_route *find_route(__u32 rdid, const struct hnv_address *address)
{
	struct hnv_route_key key = { .prefixlen = 32 + 128, .rdid = rdid, .address = *address };

	return bpf_map_lookup_elem(&routes, &key);
}

static __always_inline __u32 provider_flags(const struct hnv_address *address)
{
	__u32 *flags = bpf_map_lookup_elem(&providers, address);

	return flags ? *flags : 0;
}

/*
 * The MAC inside a link-local address that was made from one (modified EUI-64, RFC 4291 appendix A). Such addresses need no
 * lookup record: they exist in every virtual subnet anew.
 */
static __always_inline bool mac_of_link_local(const struct hnv_address *address, __u8 *mac)
{
	const __u8 *id = (const __u8 *)address + 8;

	if (!is_link_local(address) || id[3] != 0xff || id[4] != 0xfe)
		return false;
	mac[0] = id[0] ^ 2;
	mac[1] = id[1];
	mac[2] = id[2];
	mac[3] = id[5];
	mac[4] = id[6];
	mac[5] = id[7];
	return true;
}

/* True when packets from `address` may come from this port, by its own address or by the records. */
static __always_inline bool owns_address(struct hnv_port *port, const struct hnv_address *address, __u32 ifindex)
{
	struct hnv_location *location;

	if (same_address(&port->address, address))
		return true;
	location = find_record(port->rdid, address);
	return location && location->port == ifindex && location->vsid == port->vsid;
}

static __noinline bool owns_ipv6(struct hnv_port *port, struct hnv_address *address, __u32 ifindex)
{
	__u8 mac[8] __attribute__((aligned(8)));

	if (!port || !address)
		return false;
	return (mac_of_link_local(address, mac) && same_mac(mac, port->mac)) || owns_address(port, address, ifindex);
}

/* Where the distributed router sends a packet; NULL with the reason why it does not. */
static __always_inline struct hnv_location *route_packet(__u32 rdid, const struct hnv_address *address, __u32 *reason)
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
	return route->flags & HNV_ROUTE_VIA ? of_tenant(rdid, &route->via) : 0;
}

/* The address of the distributed router on the port's subnet that holds `address`. */
static __noinline bool router_address(struct hnv_port *port, struct hnv_address *address, struct hnv_address *router)
{
	struct hnv_route *route;

	if (!port || !address || !router)
		return false;
	route = find_route(port->rdid, address);
	if (!route || route->flags & HNV_ROUTE_VIA || route->vsid != port->vsid)
		return false;
	*router = route->router;
	return true;
}
