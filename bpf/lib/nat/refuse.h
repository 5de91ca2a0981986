/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a compartment sends and the NAT does not translate is dropped with its reason, and the sender is told: administratively
 * prohibited (RFC 5508 REQ-8, RFC 6888 REQ-4 with RFC 1812 §5.2.7.1), so many times a second and tenant. What comes from outside
 * gets no answer (RFC 5382 REQ-4).
 */
#pragma once
#include "../drop.h"
#include "../icmp.h"
#include "egress.h"

#define REFUSALS 100 /* a second */
#define UNREACHABLE 3
#define PROHIBITED 13
#define REFUSAL_TTL 64

/* From whom: the first external address that the policy gives the tenant, or the destination itself. */
__noinline __be32 refusing_address(__u32 rdid, __be32 destination)
{
	struct hnv_nat_policy *policy = bpf_map_lookup_elem(&policies, &rdid);
	struct hnv_nat_pool *pool;

	if (!policy)
		return destination;
	for (__u32 i = 0; i < HNV_NAT_RULES; i++) {
		if (i >= policy->rules)
			break;
		if (policy->rule[i].action != HNV_NAT_RULE_POOL)
			continue;
		pool = pool_at(policy->rule[i].pool[0]);
		return pool && pool->device ? pool->address : destination;
	}
	return destination;
}

__noinline int answer(struct __sk_buff *skb, __u32 rdid)
{
	struct error_ipv4 out = {};
	struct iphdr *in = (void *)out.icmp.quote;
	struct hnv_nat_usage *u = bpf_map_lookup_elem(&usage, &rdid);
	__u32 quoted = skb->len - sizeof(struct ethhdr);

	if (quoted > ERROR_QUOTE)
		quoted = ERROR_QUOTE;
	if (!u || quoted < sizeof(*in) || bpf_skb_load_bytes(skb, IP_AT, in, quoted))
		return TC_ACT_SHOT;
	if (!may_answer_ipv4(skb, in) || !take_rate(&u->errors, REFUSALS, clock_ns()))
		return TC_ACT_SHOT;
	out.type = bpf_htons(ETH_P_IP);
	out.ip.version = 4;
	out.ip.ihl = 5;
	out.ip.tos = ERROR_TOS;
	out.ip.tot_len = bpf_htons(sizeof(out.ip) + 8 + quoted);
	out.ip.frag_off = bpf_htons(0x4000);
	out.ip.ttl = REFUSAL_TTL;
	out.ip.protocol = IPPROTO_ICMP;
	out.ip.saddr = refusing_address(rdid, in->daddr);
	out.ip.daddr = in->saddr;
	out.ip.check = folded(bpf_csum_diff(0, 0, (void *)&out.ip, sizeof(out.ip), 0));
	out.icmp.type = UNREACHABLE;
	out.icmp.code = PROHIBITED;
	out.icmp.checksum = folded(bpf_csum_diff(0, 0, (void *)&out.icmp, sizeof(out.icmp), 0));
	if (!emptied(skb, sizeof(struct ethhdr) + sizeof(out.ip) + 8 + quoted) ||
	    bpf_skb_store_bytes(skb, 0, out.destination, sizeof(struct ethhdr) + sizeof(out.ip) + 8 + quoted, 0))
		return TC_ACT_SHOT;
	return to_inside(skb, rdid, skb->ifindex);
}

/* Silent reasons: a hairpin that finds nobody looks like the internet does, and what opens nothing is late. */
static __always_inline bool is_told(__u32 reason)
{
	return reason == HNV_NAT_PORTS || reason == HNV_NAT_HOST_PORTS || reason == HNV_NAT_SESSIONS ||
	       reason == HNV_NAT_RATE || reason == HNV_NAT_TABLE || reason == HNV_NAT_POLICY || reason == HNV_NAT_PROTOCOL;
}

/* Counts the packet as dropped, then answers: two calls, because their stacks together are too deep. */
static __always_inline int refuse(struct __sk_buff *skb, __u32 rdid, __u32 reason)
{
	drop_sent(skb, rdid, reason);
	return is_told(reason) ? answer(skb, rdid) : TC_ACT_SHOT;
}
