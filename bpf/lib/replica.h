/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The copies that replicate() has made, on their way to one machine each. */
#pragma once
#include "deliver.h"

static __noinline int send_replica(struct __sk_buff *skb, struct hnv_port *port)
{
	struct hnv_replica_key key = { .index = skb->mark & ~HNV_MARK_MASK };
	bool written = (skb->mark & HNV_MARK_MASK) == HNV_MARK_WRITTEN;
	struct bpf_redir_neigh hop = {};
	struct hnv_location *location;
	struct inner inner = {};
	__u8 no_mac[6] = {};

	if (!port)
		return TC_ACT_SHOT;
	key.vsid = port->vsid;
	location = bpf_map_lookup_elem(&replicas, &key);
	if (!location || location->port)
		return drop_sent(skb, port->rdid, HNV_NO_RECORD);
	if (written) {
		skb->mark = 0;
		hop.nh_family = location->flags & HNV_LOCATION_IPV6 ? AF_INET6 : AF_INET;
		if (location->flags & HNV_LOCATION_IPV6)
			__builtin_memcpy(hop.ipv6_nh, &location->next_hop, sizeof(hop.ipv6_nh));
		else
			hop.ipv4_nh = location->next_hop.word[3];
		return bpf_redirect_neigh(location->uplink, &hop, sizeof(hop), 0);
	}
	if (skb->len - sizeof(struct ethhdr) > location->mtu)
		return drop_sent(skb, port->rdid, HNV_TOO_BIG);
	if (bpf_skb_load_bytes(skb, 0, &inner.eth, sizeof(struct ethhdr)))
		return drop_sent(skb, port->rdid, HNV_TRUNCATED);
	skb->mark = 0;
	if (inner.eth.type == bpf_htons(ETH_P_ARP))
		/* The kernel makes room in IP packets alone. */
		inner.mark = HNV_MARK_WRITTEN | key.index;
	else if (bpf_skb_store_bytes(skb, 0, no_mac, sizeof(no_mac), 0))
		/* The header that stays in front is the next hop's to write, which the kernel does not do over a group's. */
		return drop_sent(skb, port->rdid, HNV_ADJUST_FAILED);
	return location->flags & HNV_LOCATION_IPV6 ? encapsulate_ipv6(skb, location, &inner) :
						     encapsulate_ipv4(skb, location, &inner);
}
