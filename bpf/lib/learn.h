/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Dynamic learning, the data path's half (R-ENC-8): what a frame says about addresses is told to the control plane, which makes
 * the records; questions that no record answers, and the answers, go to every machine with an L2Only record in the subnet.
 */
#pragma once
#include "drop.h"
#include "port-bucket.h"
#include "route.h"

#define LEARN_RATE 200
#define LEARN_BURST 200
#define REPLICATE_RATE 100
/* To as many places as there can be: what the backlog of a CPU holds. */
#define REPLICATE_BURST 15

/* Somebody says that an address is at a port or at a provider address. */
struct claim {
	__u32 rdid;
	__u32 vsid;
	__u32 port;
	__u32 any; /* false = the frame says nothing */
	struct hnv_address address;
	struct hnv_address provider;
	__u8 mac[8];
};

__noinline __u32 subnet_flags(__u32 vsid)
{
	struct hnv_vsid *subnet = bpf_map_lookup_elem(&vsids, &vsid);

	return subnet ? subnet->flags : 0;
}

static __always_inline bool learns(__u32 vsid)
{
	return subnet_flags(vsid) & HNV_VSID_LEARN;
}

static __always_inline struct hnv_location *find_replica(__u32 rdid, const struct hnv_replica_key *key)
{
	return of_tenant(rdid, bpf_map_lookup_elem(&replicas, key));
}

/* True when the location is where the claim comes from. */
static __always_inline bool is_at(const struct hnv_location *location, const struct claim *claim)
{
	return claim->port ? location->port == claim->port :
			     !location->port && same_address(&location->destination, &claim->provider);
}

static __noinline void describe_claim(struct hnv_event *event, struct claim *claim)
{
	if (!event || !claim)
		return;
	__builtin_memset(event, 0, sizeof(*event));
	event->type = HNV_EVENT_LEARNED;
	event->rdid = claim->rdid;
	event->vsid = claim->vsid;
	event->port = claim->port;
	event->address = claim->address;
	event->provider = claim->provider;
	__builtin_memcpy(event->mac, claim->mac, 6);
}

/*
 * False when the claim may not be made: a record that was not learned says otherwise, or the address is none of the subnet's or
 * its router's. A claim that only repeats what was learned is told again, because learned records age.
 */
static __noinline bool teach(struct claim *claim)
{
	struct hnv_location *location;
	struct hnv_event *event;
	struct hnv_route *route;
	bool same;

	if (!claim)
		return false;
	location = find_record(claim->rdid, &claim->address);
	if (location) {
		same = location->vsid == claim->vsid && same_mac(location->mac, claim->mac) && is_at(location, claim);
		if (!(location->flags & HNV_LOCATION_DYNAMIC))
			return same;
	}
	route = find_route(claim->rdid, &claim->address);
	if (!route || route->flags & HNV_ROUTE_VIA || route->vsid != claim->vsid ||
	    same_address(&route->router, &claim->address))
		return false;
	if (!port_may(claim->port ? claim->port : claim->vsid, claim->port ? HNV_BUCKET_LEARN : HNV_BUCKET_HEAR, LEARN_RATE,
		      LEARN_BURST))
		return true;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (event) {
		describe_claim(event, claim);
		bpf_ringbuf_submit(event, 0);
	}
	return true;
}

/* What a port says of itself. */
static __noinline bool teach_from(struct __sk_buff *skb, struct hnv_port *port, struct hnv_address *address)
{
	struct claim claim = {};

	if (!port || !address)
		return false;
	if (same_address(&port->address, address))
		return true;
	claim.rdid = port->rdid;
	claim.vsid = port->vsid;
	claim.port = skb->ifindex;
	claim.address = *address;
	__builtin_memcpy(claim.mac, port->mac, 6);
	return teach(&claim);
}
