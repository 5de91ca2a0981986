/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Dynamic learning, the data path's half (R-ENC-8): what a frame says about addresses is told to the control plane, which makes
 * the records; questions that no record answers, and the answers, go to every machine with an L2Only record in the subnet.
 */
#pragma once
#include "bucket.h"
#include "drop.h"
#include "route.h"

#define LEARN_RATE 200
#define LEARN_BURST 200
#define REPLICATE_RATE 100
#define REPLICATE_BURST 200

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

static __noinline bool learns(__u32 vsid)
{
	struct hnv_vsid *subnet = bpf_map_lookup_elem(&vsids, &vsid);

	return subnet && subnet->flags & HNV_VSID_LEARN;
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
static __noinline bool teach(struct __sk_buff *skb, struct claim *claim)
{
	struct hnv_location *location;
	struct hnv_event *event;
	struct hnv_route *route;
	bool same;

	if (!claim)
		return false;
	location = find_record(claim->rdid, &claim->address);
	if (location) {
		same = location->vsid == claim->vsid && same_mac(location->mac, claim->mac) &&
		       (claim->port ? location->port == claim->port :
				      same_address(&location->destination, &claim->provider));
		if (!(location->flags & HNV_LOCATION_DYNAMIC))
			return same;
	}
	route = find_route(claim->rdid, &claim->address);
	if (!route || route->flags & HNV_ROUTE_VIA || route->vsid != claim->vsid ||
	    same_address(&route->router, &claim->address))
		return false;
	if (!port_may(skb->ifindex, HNV_BUCKET_LEARN, LEARN_RATE, LEARN_BURST))
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
	return teach(skb, &claim);
}

/*
 * Sends a frame to the subnet's other ports and to its learning machines; one for a single MAC only to where that is. A copy
 * for a machine comes back to the port, marked, and is encapsulated there: only a whole run of the program can resolve the
 * next hop.
 */
static __noinline int replicate(struct __sk_buff *skb, struct hnv_port *port)
{
	struct hnv_replica_key key = {};
	struct hnv_location *location, *only = 0;
	__u8 mac[8] __attribute__((aligned(8)));

	if (!port || bpf_skb_load_bytes(skb, 0, mac, 6))
		return TC_ACT_SHOT;
	if (!port_may(skb->ifindex, HNV_BUCKET_REPLICATE, REPLICATE_RATE, REPLICATE_BURST))
		return drop_sent(skb, port->rdid, HNV_RATE_LIMITED);
	if (!is_group_mac(mac)) {
		only = find_mac(port->rdid, port->vsid, mac);
		if (!only)
			return drop_sent(skb, port->rdid, HNV_NO_RECORD);
		if (only->port)
			return bpf_redirect(only->port, 0);
	}
	key.vsid = port->vsid;
	for (__u32 i = 0; i < HNV_REPLICAS; i++) {
		key.index = i;
		location = bpf_map_lookup_elem(&replicas, &key);
		if (!location)
			break;
		if (location->port) {
			if (!only && location->port != skb->ifindex)
				bpf_clone_redirect(skb, location->port, 0);
		} else if (!only || same_address(&only->destination, &location->destination)) {
			skb->mark = HNV_MARK_REPLICA | i;
			bpf_clone_redirect(skb, skb->ifindex, BPF_F_INGRESS);
			skb->mark = 0;
		}
	}
	return TC_ACT_STOLEN;
}
