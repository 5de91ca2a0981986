/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where a translated packet goes: into a compartment, or to the next hop of a pool's external NIC. */
#pragma once
#include "../drop.h"
#include "block.h"
#include "packet.h"

#define AF_INET 2

static __always_inline int to_inside(struct __sk_buff *skb, __u32 slot, __u32 device)
{
	struct ethhdr *eth = PACKET_START(skb);

	if ((void *)(eth + 1) > PACKET_END(skb))
		return TC_ACT_SHOT;
	*(__u32 *)eth->h_dest = bpf_htonl(HNV_NAT_MAC_HIGH);
	*(__u16 *)(eth->h_dest + 4) = bpf_htons(slot);
	/* The packet enters the other namespace as if nat0 had received it, so it must count as addressed to it. */
	if (skb->pkt_type != PACKET_HOST)
		bpf_skb_change_type(skb, PACKET_HOST);
	return bpf_redirect_peer(device, 0);
}

static __always_inline int to_outside(const struct hnv_nat_pool *pool, __be32 destination)
{
	struct bpf_redir_neigh hop = { .nh_family = AF_INET };

	hop.ipv4_nh = (destination & pool->mask) == pool->network ? destination : pool->gateway;
	return bpf_redirect_neigh(pool->device, &hop, sizeof(hop), 0);
}

/* After the rewrite; the packet's pointers are taken anew. */
static __always_inline int send_on(struct __sk_buff *skb, __u32 egress, __u32 flags, __be32 destination)
{
	if (flags & HNV_NAT_TO_INSIDE) {
		struct hnv_nat_tenant *tenant = tenant_at(egress);

		if (tenant && tenant->device)
			return to_inside(skb, egress, tenant->device);
		return drop_received(skb, egress, HNV_UNKNOWN_PORT);
	}
	struct hnv_nat_pool *pool = pool_at(egress);

	if (pool && pool->device)
		return to_outside(pool, destination);
	return drop_sent(skb, HNV_RDID_NONE, HNV_UNKNOWN_PORT);
}
