/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Giving a frame to a local port or to another machine. */
#pragma once
#include "nvgre.h"
#include "outer.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

static __always_inline int deliver(struct __sk_buff *skb, const struct hnv_location *location)
{
	if (!(location->flags & HNV_LOCATION_PEER))
		return bpf_redirect(location->port, 0);
	/* The frame enters the other namespace as if its NIC had received it, so it must count as addressed to it. */
	if (skb->pkt_type != PACKET_HOST)
		bpf_skb_change_type(skb, PACKET_HOST);
	return bpf_redirect_peer(location->port, 0);
}

/* The kernel's neighbour table resolves the next hop. */
static __noinline int send_to_next_hop(const struct hnv_location *location)
{
	struct bpf_redir_neigh hop = {};

	if (!location)
		return TC_ACT_SHOT;
	hop.nh_family = location->flags & HNV_LOCATION_IPV6 ? AF_INET6 : AF_INET;
	if (location->flags & HNV_LOCATION_IPV6)
		__builtin_memcpy(hop.ipv6_nh, &location->next_hop, sizeof(hop.ipv6_nh));
	else
		hop.ipv4_nh = location->next_hop.word[3];
	return bpf_redirect_neigh(location->uplink, &hop, sizeof(hop), 0);
}

static __always_inline int encapsulate(struct __sk_buff *skb, const struct hnv_location *location,
				       const struct inner *inner)
{
	if (likely(!(location->flags & HNV_LOCATION_SPECIAL)))
		return encapsulate_nvgre(skb, location, inner);
	if (location->flags & HNV_LOCATION_PLAIN)
		return send_to_next_hop(location);
	return location->flags & HNV_LOCATION_IPV6 ? encapsulate_ipv6(skb, location, inner) :
						     encapsulate_ipv4(skb, location, inner);
}
