/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TranslationMethodNone: what a machine of the provider network sends under its own address to a VM, without encapsulation. The
 * record of that address says whose VM network it belongs to; the distributed router takes the packet in. Everything else that
 * is not the overlay's is the stack's affair.
 */
#pragma once
#include "deliver.h"
#include "route.h"

/* The port that a machine's packet is for; NULL when the machine or the address is no tenant's. */
static __noinline struct hnv_location *plain_location(struct hnv_address *source, struct hnv_address *destination,
						     __u32 vlan)
{
	struct hnv_tunnel_key key = {};
	struct hnv_location *location;
	struct hnv_tunnel *tunnel;

	/* A tenant may have an address that is ours as well, but not what is sent to us. */
	if (!source || !destination || provider_flags(destination) & HNV_PROVIDER_LOCAL)
		return 0;
	key.source = *source;
	tunnel = bpf_map_lookup_elem(&tunnels, &key);
	if (!tunnel || (tunnel->flags & HNV_VLAN_MASK) != vlan << HNV_VLAN_SHIFT)
		return 0;
	location = find_record(tunnel->rdid, destination);
	return location && location->port && location->flags & HNV_LOCATION_ROUTED ? location : 0;
}

static __always_inline int deliver_plain(struct __sk_buff *skb, const struct hnv_location *location, struct ethhdr *eth)
{
	set_router_mac(eth->h_source);
	copy_mac(eth->h_dest, location->mac);
	return deliver(skb, location);
}

static __noinline int receive_plain_ipv4(struct __sk_buff *skb, __u32 vlan)
{
	struct hnv_address source, destination;
	struct hnv_location *location;
	struct ethhdr *eth;
	struct iphdr *ip;
	__be16 *ttl, old;

	if (skb->pkt_type != PACKET_HOST || !have(skb, sizeof(*eth) + sizeof(*ip)))
		return TC_ACT_OK;
	eth = PACKET_START(skb);
	ip = (void *)(eth + 1);
	if ((void *)(ip + 1) > PACKET_END(skb))
		return TC_ACT_OK;
	source = mapped(ip->saddr);
	destination = mapped(ip->daddr);
	location = plain_location(&source, &destination, vlan);
	if (!location)
		return TC_ACT_OK;
	if (!sound_ipv4(ip, skb->len - sizeof(*eth), skb->gso_size != 0))
		return drop_received(skb, location->rdid, HNV_TRUNCATED);
	if (!skb->gso_size && skb->len - sizeof(*eth) > location->mtu)
		return drop_received(skb, location->rdid, HNV_TOO_BIG);
	if (ip->ttl <= 1)
		return drop_received(skb, location->rdid, HNV_TTL_EXCEEDED);
	ttl = (__be16 *)&ip->ttl;
	old = *ttl;
	ip->ttl--;
	adjust_checksum(ip, old, *ttl);
	return deliver_plain(skb, location, eth);
}

static __noinline int receive_plain_ipv6(struct __sk_buff *skb, __u32 vlan)
{
	struct hnv_address source, destination;
	struct hnv_location *location;
	struct ethhdr *eth;
	struct ipv6hdr *ip;

	if (skb->pkt_type != PACKET_HOST || !have(skb, sizeof(*eth) + sizeof(*ip)))
		return TC_ACT_OK;
	eth = PACKET_START(skb);
	ip = (void *)(eth + 1);
	if ((void *)(ip + 1) > PACKET_END(skb))
		return TC_ACT_OK;
	source = address_at(&ip->saddr);
	destination = address_at(&ip->daddr);
	location = plain_location(&source, &destination, vlan);
	if (!location)
		return TC_ACT_OK;
	if (!sound_ipv6(ip, skb->len - sizeof(*eth), skb->gso_size != 0))
		return drop_received(skb, location->rdid, HNV_TRUNCATED);
	if (!skb->gso_size && skb->len - sizeof(*eth) > location->mtu)
		return drop_received(skb, location->rdid, HNV_TOO_BIG);
	if (ip->hop_limit <= 1)
		return drop_received(skb, location->rdid, HNV_TTL_EXCEEDED);
	ip->hop_limit--;
	return deliver_plain(skb, location, eth);
}
