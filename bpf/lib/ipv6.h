/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a port sends as IPv6 (R-ENC-2, R-ENC-4): the same switch and router as for IPv4, RFC 8200 and RFC 4861 in its place. */
#pragma once
#include "deliver.h"
#include "error.h"
#include "neighbour.h"
#include "ping.h"

#define ICMPV6_ECHO_REQUEST 128
#define ICMPV6_ECHO_REPLY 129

static __noinline int answer_ping_ipv6(struct __sk_buff *skb, struct hnv_port *port)
{
	struct hnv_address asked, asker;
	struct icmp_head *icmp;
	struct ethhdr *eth;
	struct ipv6hdr *ip;
	__u32 sum;

	if (!port)
		return TC_ACT_SHOT;
	if (!have(skb, sizeof(*eth) + sizeof(*ip) + sizeof(*icmp)))
		return drop_sent(skb, port->rdid, HNV_TRUNCATED);
	eth = PACKET_START(skb);
	ip = (void *)(eth + 1);
	icmp = (void *)(ip + 1);
	if ((void *)(icmp + 1) > PACKET_END(skb))
		return drop_sent(skb, port->rdid, HNV_TRUNCATED);
	if (ip->nexthdr != IPPROTO_ICMPV6 || icmp->type != ICMPV6_ECHO_REQUEST || icmp->code != 0)
		return drop_sent(skb, port->rdid, HNV_NO_ROUTE);

	icmp->type = ICMPV6_ECHO_REPLY;
	/* RFC 1624: one more in the high byte of the first word; addresses that change places leave the sum as it is. */
	sum = (__u16)~icmp->checksum + bpf_htons(1 << 8);
	sum = (sum & 0xffff) + (sum >> 16);
	icmp->checksum = ~sum;
	asker = address_at(&ip->saddr);
	asked = address_at(&ip->daddr);
	__builtin_memcpy(&ip->saddr, &asked, sizeof(asked));
	__builtin_memcpy(&ip->daddr, &asker, sizeof(asker));
	ip->hop_limit = ROUTER_TTL;
	copy_mac(eth->h_dest, port->mac);
	set_router_mac(eth->h_source);
	return bpf_redirect(skb->ifindex, 0);
}

/* Extension headers in which neighbour discovery could hide from this program (RFC 7113, RFC 6980). */
static __always_inline bool is_extension(__u8 next)
{
	return next == 0 || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT || next == IPPROTO_DSTOPTS;
}

static __noinline int send_ipv6(struct __sk_buff *skb, struct hnv_port *port)
{
	__u32 reason = HNV_NO_RECORD, l4 = 0, rdid, longest;
	struct hnv_address source, destination;
	struct hnv_location *location;
	struct inner inner = {};
	__u8 tcp_words = 5, type = 0;
	struct ethhdr *eth;
	struct ipv6hdr *ip;
	__be32 *words;
	bool routed;

	if (!port)
		return TC_ACT_SHOT;
	rdid = port->rdid;
	if (!have(skb, sizeof(*eth) + sizeof(*ip)))
		return drop_sent(skb, rdid, HNV_TRUNCATED);
	eth = PACKET_START(skb);
	ip = (void *)(eth + 1);
	words = (void *)(ip + 1);
	if ((void *)words > PACKET_END(skb) || !sound_ipv6(ip, skb->len - sizeof(*eth), skb->gso_size != 0))
		return drop_sent(skb, rdid, HNV_TRUNCATED);
	if ((void *)(words + 4) <= PACKET_END(skb)) {
		type = *(__u8 *)words;
		if (ip->nexthdr == IPPROTO_TCP || ip->nexthdr == IPPROTO_UDP)
			l4 = words[0];
		tcp_words = ((__u8 *)words)[12] >> 4;
	} else if (ip->nexthdr == IPPROTO_ICMPV6 && (void *)(words + 1) <= PACKET_END(skb))
		type = *(__u8 *)words;
	source = address_at(&ip->saddr);
	destination = address_at(&ip->daddr);
	routed = is_router_mac(eth->h_dest);

	if (ip->nexthdr == IPPROTO_ICMPV6 && (type == NEIGHBOUR_SOLICITATION || type == NEIGHBOUR_ADVERTISEMENT))
		return answer_neighbour(skb, port);
	if (!(port->flags & HNV_PORT_GATEWAY) && !is_unspecified(&source) && !owns_ipv6(port, &source, skb->ifindex))
		return drop_sent(skb, rdid, HNV_SPOOFED_CA);
	if (ip->nexthdr == IPPROTO_ICMPV6 ? type >= ROUTER_SOLICITATION && type <= REDIRECT :
					    !routed && is_extension(ip->nexthdr) && ip->hop_limit == NEIGHBOUR_HOP_LIMIT)
		return drop_sent(skb, rdid, HNV_NEIGHBOUR);
	if (is_group_mac(eth->h_dest) || is_multicast_ipv6(&destination)) {
		if (!is_group_mac(eth->h_dest) || !(subnet_flags(port->vsid) & HNV_VSID_REPLICATE))
			return drop_sent(skb, rdid, HNV_MULTICAST);
		return is_unspecified(&source) ? drop_sent(skb, rdid, HNV_SPOOFED_CA) : replicate(skb, rdid, port->vsid, false);
	}
	if (is_unspecified(&source))
		return drop_sent(skb, rdid, HNV_SPOOFED_CA);
	if ((ip->nexthdr == IPPROTO_GRE || (ip->nexthdr == IPPROTO_UDP && l4 >> 16 == bpf_htons(VXLAN_PORT))) &&
	    provider_flags(&destination))
		return drop_sent(skb, rdid, HNV_NESTED);

	if (routed && is_link_local(&destination))
		return answer_ping_ipv6(skb, port);
	/* RFC 4291 §2.5.6: what comes from a link-local address stays on the link. */
	if (routed && is_link_local(&source))
		return drop_sent(skb, rdid, HNV_NO_ROUTE);
	location = routed ? route_packet(rdid, &destination, &reason) : find_mac(rdid, port->vsid, eth->h_dest);
	if (location && location->port == skb->ifindex) {
		location = 0;
		reason = routed ? HNV_NO_ROUTE : HNV_NO_RECORD;
	}
	if (!location)
		return routed ? error_ipv6(skb, port, reason, 0) : drop_sent(skb, rdid, reason);
	if (location->flags & HNV_LOCATION_ROUTER)
		return answer_ping_ipv6(skb, port);
	longest = !skb->gso_size ? skb->len - sizeof(*eth) :
				   sizeof(*ip) + (ip->nexthdr == IPPROTO_TCP ? tcp_words * 4 : 8) + skb->gso_size;
	if (longest > location->mtu)
		return error_ipv6(skb, port, HNV_TOO_BIG, location->mtu);
	if (routed) {
		if (ip->hop_limit <= 1)
			return error_ipv6(skb, port, HNV_TTL_EXCEEDED, 0);
		ip->hop_limit--;
		set_router_mac(eth->h_source);
		copy_mac(eth->h_dest, location->mac);
	}
	if (location->port)
		return deliver(skb, location);
	inner.eth = load_ethernet(eth);
	inner.tos = traffic_class(ip);
	inner.flow = flow_of_ipv6(ip, l4);
	return encapsulate(skb, location, &inner);
}
