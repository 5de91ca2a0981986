/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whatever comes over the provider network and is not the plain case of overlay_wire: other encapsulations and families, and
 * all that is refused. Another machine's packets, and protocols that are not the overlay's, are the stack's affair.
 */
#pragma once
#include "deliver.h"
#include "route.h"

/* What the outer headers say. */
struct outer {
	struct hnv_tunnel_key tunnel;
	__u32 bytes; /* before the inner Ethernet header */
	__u32 ip_bytes; /* the outer IP packet, as its header says */
	__u32 flag;  /* HNV_TUNNEL_ of its encapsulation */
	__u8 tos;
};

/* The reason why no tunnel entry admits a frame. The tenant is the one whose VSID the sender names, when there is one. */
static __noinline int refuse(struct __sk_buff *skb, struct outer *outer)
{
	__u32 vsid, *rdid, tenant;

	if (!outer)
		return TC_ACT_SHOT;
	vsid = outer->tunnel.vsid;
	rdid = bpf_map_lookup_elem(&vsids, &vsid);
	tenant = rdid ? *rdid : HNV_RDID_NONE;
	if (!(provider_flags(&outer->tunnel.source) & HNV_PROVIDER_PEER))
		return drop_received(skb, tenant, HNV_UNKNOWN_PA);
	if (!rdid)
		return drop_received(skb, tenant, HNV_UNKNOWN_VSID);
	return drop_received(skb, tenant, HNV_FOREIGN_PA);
}

/* The tenant's frame inside headers that were found to be right. */
static __noinline int receive_inner(struct __sk_buff *skb, struct outer *outer, __u32 rdid)
{
	__u32 bytes, length;
	struct hnv_address destination;
	struct hnv_location *location;
	struct ethernet inner;
	struct ipv6hdr *ip6;
	struct ethhdr *eth;
	struct iphdr *ip;
	__u64 family = 0;
	bool ipv6;

	if (!outer)
		return TC_ACT_SHOT;
	bytes = outer->bytes;
	if (bytes > 70 || outer->ip_bytes > skb->len - sizeof(*eth) ||
	    !have(skb, bytes + sizeof(*eth) + sizeof(*ip)))
		return drop_received(skb, rdid, HNV_TRUNCATED);
	eth = PACKET_START(skb) + bytes;
	if ((void *)(eth + 1) > PACKET_END(skb))
		return drop_received(skb, rdid, HNV_TRUNCATED);
	if (is_vlan(eth->h_proto))
		return drop_received(skb, rdid, HNV_INNER_VLAN);
	if (is_group_mac(eth->h_dest))
		return drop_received(skb, rdid, HNV_MULTICAST);
	ipv6 = eth->h_proto == bpf_htons(ETH_P_IPV6);
	if (!ipv6 && eth->h_proto != bpf_htons(ETH_P_IP))
		return drop_received(skb, rdid, HNV_ETHERTYPE);
	if (ipv6 && !have(skb, bytes + sizeof(*eth) + sizeof(*ip6)))
		return drop_received(skb, rdid, HNV_TRUNCATED);
	eth = PACKET_START(skb) + bytes;
	ip = (void *)(eth + 1);
	ip6 = (void *)(eth + 1);
	if ((void *)(ip + 1) > PACKET_END(skb))
		return drop_received(skb, rdid, HNV_TRUNCATED);
	length = skb->len - bytes - sizeof(*eth);

	location = find_mac(rdid, outer->tunnel.vsid, eth->h_dest);
	if (ipv6) {
		if ((void *)(ip6 + 1) > PACKET_END(skb) || !sound_ipv6(ip6, length, skb->gso_size != 0))
			return drop_received(skb, rdid, HNV_TRUNCATED);
		destination = address_at(&ip6->daddr);
		if (ip6->nexthdr == IPPROTO_GRE && provider_flags(&destination))
			return drop_received(skb, rdid, HNV_NESTED);
		if (!location || !location->port)
			return drop_received(skb, rdid, HNV_NOT_LOCAL);
		if (!merge_congestion_ipv6(ip6, outer->tos))
			return drop_received(skb, rdid, HNV_CONGESTION);
	} else {
		if (!sound_ipv4(ip, length, skb->gso_size != 0))
			return drop_received(skb, rdid, HNV_TRUNCATED);
		destination = mapped(ip->daddr);
		if (ip->protocol == IPPROTO_GRE && provider_flags(&destination))
			return drop_received(skb, rdid, HNV_NESTED);
		if (!location || !location->port)
			return drop_received(skb, rdid, HNV_NOT_LOCAL);
		if (!merge_congestion(ip, outer->tos))
			return drop_received(skb, rdid, HNV_CONGESTION);
	}
	inner = load_ethernet(eth);
	if (ipv6 != (skb->protocol == bpf_htons(ETH_P_IPV6)))
		family = ipv6 ? ADJ_ROOM_DECAP_L3_IPV6 : ADJ_ROOM_DECAP_L3_IPV4;
	if (!decapsulate(skb, &inner, bytes, family))
		return drop_received(skb, rdid, HNV_ADJUST_FAILED);
	return deliver(skb, location);
}

/* GRE or UDP of an outer packet whose addresses are known; `plain` = no fragment, no options. */
static __noinline int receive_tunnel(struct __sk_buff *skb, struct outer *outer, __u32 protocol, bool plain)
{
	struct hnv_tunnel *tunnel;
	__u32 bytes, local;
	bool bad;

	if (!outer)
		return TC_ACT_SHOT;
	bytes = outer->bytes;
	if (bytes > sizeof(struct ethhdr) + sizeof(struct ipv6hdr))
		return TC_ACT_OK;
	local = provider_flags(&outer->tunnel.destination);
	if (!(local & HNV_PROVIDER_LOCAL))
		return TC_ACT_OK;
	if (protocol == IPPROTO_UDP) {
		struct vxlan_header *vxlan;

		if (!(local & HNV_PROVIDER_VXLAN) || !have(skb, bytes + 4))
			return TC_ACT_OK;
		vxlan = PACKET_START(skb) + bytes;
		if ((void *)vxlan + 4 > PACKET_END(skb) || vxlan->destination != bpf_htons(VXLAN_PORT))
			return TC_ACT_OK;
		if (!plain)
			return drop_received(skb, HNV_RDID_NONE, HNV_FRAGMENTED_OUTER);
		if (!have(skb, bytes + VXLAN_BYTES))
			return drop_received(skb, HNV_RDID_NONE, HNV_TRUNCATED);
		vxlan = PACKET_START(skb) + bytes;
		if ((void *)(vxlan + 1) > PACKET_END(skb))
			return drop_received(skb, HNV_RDID_NONE, HNV_TRUNCATED);
		/* Reserved bits are ignored on receipt, RFC 7348 §5. */
		bad = !(vxlan->flags & bpf_htonl(VXLAN_FLAGS));
		outer->tunnel.vsid = bpf_ntohl(vxlan->key) >> 8;
		outer->flag = HNV_TUNNEL_VXLAN;
		outer->bytes = bytes + VXLAN_BYTES;
	} else {
		struct nvgre_header *gre;

		if (!plain)
			return drop_received(skb, HNV_RDID_NONE, HNV_FRAGMENTED_OUTER);
		if (!have(skb, bytes + NVGRE_BYTES))
			return drop_received(skb, HNV_RDID_NONE, HNV_TRUNCATED);
		gre = PACKET_START(skb) + bytes;
		if ((void *)(gre + 1) > PACKET_END(skb))
			return drop_received(skb, HNV_RDID_NONE, HNV_TRUNCATED);
		bad = gre->flags_protocol != bpf_htonl(NVGRE_FLAGS_PROTOCOL);
		outer->tunnel.vsid = bpf_ntohl(gre->key) >> 8;
		outer->flag = HNV_TUNNEL_NVGRE;
		outer->bytes = bytes + NVGRE_BYTES;
	}
	if (bad)
		return drop_received(skb, HNV_RDID_NONE, protocol == IPPROTO_UDP ? HNV_BAD_VXLAN : HNV_BAD_GRE);
	tunnel = bpf_map_lookup_elem(&tunnels, &outer->tunnel);
	if (!tunnel)
		return refuse(skb, outer);
	if (!(tunnel->flags & outer->flag))
		return drop_received(skb, tunnel->rdid, HNV_ENCAPSULATION);
	return receive_inner(skb, outer, tunnel->rdid);
}

static __noinline int receive_ipv4(struct __sk_buff *skb)
{
	struct outer outer = {};
	struct iphdr *ip;

	if (!have(skb, sizeof(struct ethhdr) + sizeof(*ip)))
		return TC_ACT_OK;
	ip = PACKET_START(skb) + sizeof(struct ethhdr);
	if ((void *)(ip + 1) > PACKET_END(skb))
		return TC_ACT_OK;
	if (ip->version != 4 || (ip->protocol != IPPROTO_GRE && ip->protocol != IPPROTO_UDP))
		return TC_ACT_OK;
	/* Only the first fragment of UDP shows its port; the stack has no socket for the others. */
	if (ip->protocol == IPPROTO_UDP && ip->frag_off & bpf_htons(0x1fff))
		return TC_ACT_OK;
	outer.tunnel.source = mapped(ip->saddr);
	outer.tunnel.destination = mapped(ip->daddr);
	outer.tos = ip->tos;
	outer.bytes = sizeof(struct ethhdr) + sizeof(*ip);
	outer.ip_bytes = skb->gso_size ? 0 : bpf_ntohs(ip->tot_len);
	if (!skb->gso_size && outer.ip_bytes < sizeof(*ip))
		outer.ip_bytes = ~0U;
	if (ip->ihl != 5) {
		if (ip->protocol == IPPROTO_GRE && provider_flags(&outer.tunnel.destination) & HNV_PROVIDER_LOCAL)
			return drop_received(skb, HNV_RDID_NONE, HNV_BAD_GRE);
		return TC_ACT_OK;
	}
	return receive_tunnel(skb, &outer, ip->protocol, !(ip->frag_off & bpf_htons(FRAGMENT_MASK)));
}

static __noinline int receive_ipv6(struct __sk_buff *skb)
{
	struct outer outer = {};
	struct ipv6hdr *ip;

	if (!have(skb, sizeof(struct ethhdr) + sizeof(*ip)))
		return TC_ACT_OK;
	ip = PACKET_START(skb) + sizeof(struct ethhdr);
	if ((void *)(ip + 1) > PACKET_END(skb))
		return TC_ACT_OK;
	if (ip->version != 6 || (ip->nexthdr != IPPROTO_GRE && ip->nexthdr != IPPROTO_UDP))
		return TC_ACT_OK;
	outer.tunnel.source = address_at(&ip->saddr);
	outer.tunnel.destination = address_at(&ip->daddr);
	outer.tos = traffic_class(ip);
	outer.bytes = sizeof(struct ethhdr) + sizeof(*ip);
	outer.ip_bytes = skb->gso_size ? 0 : bpf_ntohs(ip->payload_len) + sizeof(*ip);
	return receive_tunnel(skb, &outer, ip->nexthdr, true);
}
