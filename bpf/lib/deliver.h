/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Giving a frame to a local port or to another machine. */
#pragma once
#include "nvgre.h"
#include "outer.h"

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

static __always_inline int encapsulate(struct __sk_buff *skb, const struct hnv_location *location,
				       const struct inner *inner)
{
	if (unlikely(location->flags & HNV_LOCATION_IPV6))
		return encapsulate_ipv6(skb, location, inner);
	if (unlikely(location->flags & HNV_LOCATION_VXLAN))
		return encapsulate_ipv4(skb, location, inner);
	return encapsulate_nvgre(skb, location, inner);
}
