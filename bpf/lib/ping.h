/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The distributed router's own address answers ping when the policy has a record for it (R-ENC-4; RFC 792). */
#pragma once
#include "drop.h"
#include "packet.h"

#define ICMP_ECHO_REPLY 0
#define ICMP_ECHO_REQUEST 8
#define ROUTER_TTL 64

struct icmp_head {
	__u8 type;
	__u8 code;
	__sum16 checksum;
};

static __noinline int answer_ping(struct __sk_buff *skb, struct hnv_port *port)
{
	struct icmp_head *icmp;
	struct ethhdr *eth;
	struct iphdr *ip;
	__be16 *word, old;
	__be32 asked;
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
	if (ip->ihl != 5 || ip->protocol != IPPROTO_ICMP || ip->frag_off & bpf_htons(FRAGMENT_MASK) ||
	    icmp->type != ICMP_ECHO_REQUEST || icmp->code != 0)
		return drop_sent(skb, port->rdid, HNV_NO_ROUTE);

	icmp->type = ICMP_ECHO_REPLY;
	/* RFC 1624: the sum loses the type, the high byte of the first word. */
	sum = (__u16)~icmp->checksum + (__u16)~bpf_htons(ICMP_ECHO_REQUEST << 8);
	sum = (sum & 0xffff) + (sum >> 16);
	icmp->checksum = ~((sum & 0xffff) + (sum >> 16));

	asked = ip->daddr;
	ip->daddr = ip->saddr;
	ip->saddr = asked;
	word = (__be16 *)&ip->ttl;
	old = *word;
	ip->ttl = ROUTER_TTL;
	adjust_checksum(ip, old, *word);
	copy_mac(eth->h_dest, port->mac);
	set_router_mac(eth->h_source);
	return bpf_redirect(skb->ifindex, 0);
}
