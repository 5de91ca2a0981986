/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The overlay (encap core), the same on a host and on the gateway: a virtual switch and a distributed router per VM network,
 * NVGRE between machines. Standards: RFC 7637 (NVGRE), RFC 2890 (GRE key), RFC 6040 (ECN), RFC 826 (ARP).
 *
 * Not carried yet: IPv6, broadcast and multicast; they are dropped with their reason. Outer IP options are refused.
 *
 * overlay_port: tc ingress of a port's machine side, what a VM or a compartment sends. Never passes a frame to the stack.
 * overlay_wire: tc ingress of a provider NIC. Passes what is not GRE for one of our provider addresses.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include "lib/arp.h"
#include "lib/drop.h"
#include "lib/maps.h"
#include "lib/nvgre.h"
#include "lib/packet.h"
#include "lib/ping.h"
#include "lib/route.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* All headers of an NVGRE frame, up to the end of the tenant's IP header. */
#define WHOLE_LENGTH (sizeof(struct ethhdr) + OVERHEAD + sizeof(struct iphdr))

static __always_inline int deliver(struct __sk_buff *skb, const struct hnv_location *location)
{
	if (!(location->flags & HNV_LOCATION_PEER))
		return bpf_redirect(location->port, 0);
	/* The frame enters the other namespace as if its NIC had received it, so it must count as addressed to it. */
	if (skb->pkt_type != PACKET_HOST)
		bpf_skb_change_type(skb, PACKET_HOST);
	return bpf_redirect_peer(location->port, 0);
}

/* The tenant's own tunnel, aimed at the provider network (only asked of GRE and of VXLAN's port). */
static __noinline bool nested(struct __sk_buff *skb, __be32 destination)
{
	(void)skb;
	return provider_flags(destination) != 0;
}

SEC("tc")
int overlay_port(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex, reason = HNV_NO_RECORD, l4 = 0, rdid;
	struct hnv_port *port = bpf_map_lookup_elem(&ports, &ifindex);
	struct hnv_location *location;
	__u8 tcp_words = 5;
	struct ethhdr *eth;
	struct iphdr *ip;
	bool routed;

	if (!port)
		return drop_sent(skb, HNV_RDID_NONE, HNV_UNKNOWN_PORT);
	rdid = port->rdid;
	if (skb->vlan_present)
		return drop_sent(skb, rdid, HNV_INNER_VLAN);
	if (!have(skb, sizeof(*eth)))
		return drop_sent(skb, rdid, HNV_TRUNCATED);
	eth = PACKET_START(skb);
	if ((void *)(eth + 1) > PACKET_END(skb))
		return drop_sent(skb, rdid, HNV_TRUNCATED);
	if (is_vlan(eth->h_proto))
		return drop_sent(skb, rdid, HNV_INNER_VLAN);
	if (!same_mac(eth->h_source, port->mac))
		return drop_sent(skb, rdid, HNV_SPOOFED_MAC);
	if (eth->h_proto == bpf_htons(ETH_P_ARP))
		return answer_arp(skb, port);
	if (is_group_mac(eth->h_dest))
		return drop_sent(skb, rdid, HNV_MULTICAST);
	if (eth->h_proto != bpf_htons(ETH_P_IP))
		return drop_sent(skb, rdid, HNV_ETHERTYPE);

	if (!have(skb, sizeof(*eth) + sizeof(*ip)))
		return drop_sent(skb, rdid, HNV_TRUNCATED);
	eth = PACKET_START(skb);
	ip = (void *)(eth + 1);
	if ((void *)(ip + 1) > PACKET_END(skb) ||
	    !sound_ipv4(ip, skb->len - sizeof(*eth), skb->gso_size != 0))
		return drop_sent(skb, rdid, HNV_TRUNCATED);
	if (!(port->flags & HNV_PORT_GATEWAY) && !owns_address(port, ip->saddr, ifindex))
		return drop_sent(skb, rdid, HNV_SPOOFED_CA);
	if (bpf_ntohl(ip->daddr) >= 0xe0000000)
		return drop_sent(skb, rdid, HNV_MULTICAST);

	if (!(ip->frag_off & bpf_htons(FRAGMENT_MASK))) {
		/* Only headers without options carry the ports where they are looked for; others hash without. */
		__be32 *words = (void *)(ip + 1);

		if (ip->ihl == 5 && (void *)(words + 4) <= PACKET_END(skb)) {
			if (ip->protocol == IPPROTO_TCP || ip->protocol == IPPROTO_UDP)
				l4 = words[0];
			tcp_words = ((__u8 *)words)[12] >> 4;
		}
		if ((ip->protocol == IPPROTO_GRE ||
		     (ip->protocol == IPPROTO_UDP && l4 >> 16 == bpf_htons(VXLAN_PORT))) &&
		    nested(skb, ip->daddr))
			return drop_sent(skb, rdid, HNV_NESTED);
	}

	routed = is_router_mac(eth->h_dest);
	location = routed ? route_packet(rdid, ip->daddr, &reason) : find_mac(port->vsid, eth->h_dest);
	if (!location)
		return drop_sent(skb, rdid, reason);
	/* Back to where it came from: a switch never does that, and a router would only turn in a circle. */
	if (location->port == ifindex)
		return drop_sent(skb, rdid, routed ? HNV_NO_ROUTE : HNV_NO_RECORD);
	if (location->flags & HNV_LOCATION_ROUTER)
		return answer_ping(skb, port);
	if (segment_length(skb, ip, tcp_words) > location->mtu)
		return drop_sent(skb, rdid, HNV_TOO_BIG);
	if (routed) {
		if (ip->ttl <= 1)
			return drop_sent(skb, rdid, HNV_TTL_EXCEEDED);
		__be16 *ttl = (__be16 *)&ip->ttl, old = *ttl;

		ip->ttl--;
		adjust_checksum(ip, old, *ttl);
		set_router_mac(eth->h_source);
		copy_mac(eth->h_dest, location->mac);
	}
	if (location->port)
		return deliver(skb, location);

	struct ethernet inner = load_ethernet(eth);

	return encapsulate(skb, location, &inner, ip->tos, flow_id(ip, l4));
}

/* GRE that no tunnel entry admits. Another machine's GRE is the stack's affair; ours is dropped with the reason. */
static __noinline int refuse(struct __sk_buff *skb)
{
	struct ethhdr *eth;
	struct nvgre_outer *outer;
	__u32 vsid, *rdid;

	if (!have(skb, sizeof(*eth) + sizeof(struct iphdr)))
		return TC_ACT_OK;
	eth = PACKET_START(skb);
	outer = (void *)(eth + 1);
	if ((void *)(&outer->ip + 1) > PACKET_END(skb) || !(provider_flags(outer->ip.daddr) & HNV_PROVIDER_LOCAL))
		return TC_ACT_OK;
	if (outer->ip.frag_off & bpf_htons(FRAGMENT_MASK))
		return drop_received(skb, HNV_RDID_NONE, HNV_FRAGMENTED_OUTER);
	if (!have(skb, sizeof(*eth) + sizeof(*outer)))
		return drop_received(skb, HNV_RDID_NONE, HNV_TRUNCATED);
	eth = PACKET_START(skb);
	outer = (void *)(eth + 1);
	if ((void *)(&outer->gre + 1) > PACKET_END(skb))
		return drop_received(skb, HNV_RDID_NONE, HNV_TRUNCATED);
	if (outer->ip.ihl != 5 || outer->gre.flags_protocol != bpf_htonl(NVGRE_FLAGS_PROTOCOL))
		return drop_received(skb, HNV_RDID_NONE, HNV_BAD_GRE);

	vsid = bpf_ntohl(outer->gre.key) >> 8;
	rdid = bpf_map_lookup_elem(&vsids, &vsid);
	if (!(provider_flags(outer->ip.saddr) & HNV_PROVIDER_PEER))
		return drop_received(skb, rdid ? *rdid : HNV_RDID_NONE, HNV_UNKNOWN_PA);
	if (!rdid)
		return drop_received(skb, HNV_RDID_NONE, HNV_UNKNOWN_VSID);
	if (skb->len < WHOLE_LENGTH)
		return drop_received(skb, *rdid, HNV_TRUNCATED);
	return drop_received(skb, *rdid, HNV_FOREIGN_PA);
}

SEC("tc")
int overlay_wire(struct __sk_buff *skb)
{
	struct hnv_tunnel_key tunnel = {};
	struct hnv_location *location;
	struct nvgre_outer *outer;
	struct ethhdr *eth, *inner_eth;
	struct ethernet inner;
	struct iphdr *ip;
	__u32 *rdid;

	if (skb->protocol != bpf_htons(ETH_P_IP) || !have(skb, sizeof(*eth) + sizeof(*ip)))
		return TC_ACT_OK;
	eth = PACKET_START(skb);
	ip = (void *)(eth + 1);
	if ((void *)(ip + 1) > PACKET_END(skb) || ip->protocol != IPPROTO_GRE)
		return TC_ACT_OK;

	if (!have(skb, WHOLE_LENGTH))
		return refuse(skb);
	eth = PACKET_START(skb);
	outer = (void *)(eth + 1);
	inner_eth = (void *)(outer + 1);
	ip = (void *)(inner_eth + 1);
	if ((void *)(ip + 1) > PACKET_END(skb))
		return refuse(skb);
	if (outer->ip.ihl != 5 || outer->ip.frag_off & bpf_htons(FRAGMENT_MASK) ||
	    outer->gre.flags_protocol != bpf_htonl(NVGRE_FLAGS_PROTOCOL))
		return refuse(skb);

	tunnel.vsid = bpf_ntohl(outer->gre.key) >> 8;
	tunnel.source = mapped(outer->ip.saddr);
	tunnel.destination = mapped(outer->ip.daddr);
	rdid = bpf_map_lookup_elem(&tunnels, &tunnel);
	if (!rdid)
		return refuse(skb);

	if (is_vlan(inner_eth->h_proto))
		return drop_received(skb, *rdid, HNV_INNER_VLAN);
	if (is_group_mac(inner_eth->h_dest))
		return drop_received(skb, *rdid, HNV_MULTICAST);
	if (inner_eth->h_proto != bpf_htons(ETH_P_IP))
		return drop_received(skb, *rdid, HNV_ETHERTYPE);
	if (!sound_ipv4(&outer->ip, skb->len - sizeof(*eth), skb->gso_size != 0) ||
	    !sound_ipv4(ip, skb->len - sizeof(*eth) - OVERHEAD, skb->gso_size != 0))
		return drop_received(skb, *rdid, HNV_TRUNCATED);
	if (ip->protocol == IPPROTO_GRE && nested(skb, ip->daddr))
		return drop_received(skb, *rdid, HNV_NESTED);

	location = find_mac(tunnel.vsid, inner_eth->h_dest);
	if (!location || !location->port)
		return drop_received(skb, *rdid, HNV_NOT_LOCAL);
	if (!merge_congestion(ip, outer->ip.tos))
		return drop_received(skb, *rdid, HNV_CONGESTION);
	inner = load_ethernet(inner_eth);
	if (!decapsulate(skb, &inner))
		return drop_received(skb, *rdid, HNV_ADJUST_FAILED);
	return deliver(skb, location);
}
