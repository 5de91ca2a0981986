/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors towards a port, from the distributed router (R-ENC-4, R-ENC-11; RFC 792, RFC 1191, RFC 1812 §4.3.2, RFC 4443).
 *
 * The packet is counted as dropped, and its frame is made into the answer. The answer quotes at most 96 bytes: more than the
 * 64 bits of RFC 792 that every sender can work with, fewer than RFC 1812 and RFC 4443 would like.
 *
 * A packet without DF that does not fit is answered in the same way: RFC 7637 §4 leaves fragments before encapsulation to the
 * sender, a program here cannot make them, and a sender that hears of the MTU makes its own.
 */
#pragma once
#include "drop.h"
#include "icmp.h"
#include "maps.h"
#include "packet.h"
#include "port-bucket.h"
#include "route.h"

#define ERROR_RATE 1000
#define ERROR_BURST 50
#define ROUTER_TTL 64

struct error_ipv6 {
	__u16 align;
	__u16 destination[3];
	__u16 source[3];
	__be16 type;
	struct ipv6hdr ip;
	struct icmp_error icmp;
};

static __noinline int send_error_ipv4(struct __sk_buff *skb, struct hnv_port *port, __u32 reason, __u32 mtu)
{
	struct error_ipv4 out = {};
	struct iphdr *in = (void *)out.icmp.quote;
	__u32 quoted = skb->len - sizeof(struct ethhdr);
	struct hnv_address source, from;

	if (!port)
		return TC_ACT_SHOT;
	if (quoted > ERROR_QUOTE)
		quoted = ERROR_QUOTE;
	if (quoted < sizeof(*in) || bpf_skb_load_bytes(skb, sizeof(struct ethhdr), in, quoted))
		return TC_ACT_SHOT;
	if (!may_answer_ipv4(skb, in))
		return TC_ACT_SHOT;

	source = mapped(in->saddr);
	from = mapped(in->daddr);
	if (!router_address(port, &source, &from))
		router_address(port, &port->address, &from);
	out.type = bpf_htons(ETH_P_IP);
	put_mac(out.destination, port->mac);
	put_router_mac(out.source);
	out.ip.version = 4;
	out.ip.ihl = 5;
	out.ip.tos = ERROR_TOS;
	out.ip.tot_len = bpf_htons(sizeof(out.ip) + 8 + quoted);
	out.ip.frag_off = bpf_htons(0x4000);
	out.ip.ttl = ROUTER_TTL;
	out.ip.protocol = IPPROTO_ICMP;
	out.ip.saddr = from.word[3];
	out.ip.daddr = in->saddr;
	out.ip.check = folded(bpf_csum_diff(0, 0, (void *)&out.ip, sizeof(out.ip), 0));
	out.icmp.type = reason == HNV_TTL_EXCEEDED ? 11 : 3;
	out.icmp.code = reason == HNV_TOO_BIG ? 4 : reason == HNV_NO_RECORD ? 1 : 0;
	out.icmp.info = bpf_htonl(mtu);
	out.icmp.checksum = folded(bpf_csum_diff(0, 0, (void *)&out.icmp, sizeof(out.icmp), 0));

	if (!emptied(skb, sizeof(struct ethhdr) + sizeof(out.ip) + 8 + quoted) ||
	    bpf_skb_store_bytes(skb, 0, out.destination, sizeof(struct ethhdr) + sizeof(out.ip) + 8 + quoted, 0))
		return TC_ACT_SHOT;
	return bpf_redirect(skb->ifindex, 0);
}

/* RFC 4443 §2.4 (e); behind extension headers an error cannot be told, so those get no answer. */
static __always_inline bool may_answer_ipv6(struct __sk_buff *skb, const struct ipv6hdr *ip, const struct hnv_address *source)
{
	__u8 type;

	if (is_unspecified(source) || is_multicast_ipv6(source))
		return false;
	if (ip->nexthdr != IPPROTO_ICMPV6)
		return ip->nexthdr == IPPROTO_TCP || ip->nexthdr == IPPROTO_UDP || ip->nexthdr == IPPROTO_ESP ||
		       ip->nexthdr == IPPROTO_SCTP;
	return !bpf_skb_load_bytes(skb, sizeof(struct ethhdr) + sizeof(*ip), &type, 1) && type >= 128;
}

/* The checksum of an ICMPv6 message over its pseudo header (RFC 4443 §2.3); `size` is a multiple of 4, zeros after `length`. */
static __always_inline __sum16 checksum_icmpv6(struct ipv6hdr *ip, void *message, __u32 size, __u32 length)
{
	__u32 sum = bpf_csum_diff(0, 0, (void *)&ip->saddr, 32, bpf_htonl(length));

	sum = bpf_csum_diff(0, 0, message, size, sum);
	return folded((sum & 0xffff) + (sum >> 16) + bpf_htons(IPPROTO_ICMPV6));
}

static __noinline int send_error_ipv6(struct __sk_buff *skb, struct hnv_port *port, __u32 reason, __u32 mtu)
{
	struct error_ipv6 out = {};
	struct ipv6hdr *in = (void *)out.icmp.quote;
	__u32 quoted = skb->len - sizeof(struct ethhdr);
	struct hnv_address source, from;

	if (!port)
		return TC_ACT_SHOT;
	if (quoted > ERROR_QUOTE)
		quoted = ERROR_QUOTE;
	if (quoted < sizeof(*in) || bpf_skb_load_bytes(skb, sizeof(struct ethhdr), in, quoted))
		return TC_ACT_SHOT;
	source = address_at(&in->saddr);
	if (!may_answer_ipv6(skb, in, &source))
		return TC_ACT_SHOT;

	from = address_at(&in->daddr);
	router_address(port, &source, &from);
	out.type = bpf_htons(ETH_P_IPV6);
	put_mac(out.destination, port->mac);
	put_router_mac(out.source);
	out.ip.version = 6;
	out.ip.payload_len = bpf_htons(8 + quoted);
	out.ip.nexthdr = IPPROTO_ICMPV6;
	out.ip.hop_limit = ROUTER_TTL;
	__builtin_memcpy(&out.ip.saddr, &from, sizeof(from));
	__builtin_memcpy(&out.ip.daddr, &source, sizeof(source));
	out.icmp.type = reason == HNV_TOO_BIG ? 2 : reason == HNV_TTL_EXCEEDED ? 3 : 1;
	out.icmp.code = reason == HNV_NO_RECORD ? 3 : 0;
	out.icmp.info = bpf_htonl(mtu);
	out.icmp.checksum = checksum_icmpv6(&out.ip, &out.icmp, sizeof(out.icmp), 8 + quoted);

	if (!emptied(skb, sizeof(struct ethhdr) + sizeof(out.ip) + 8 + quoted) ||
	    bpf_skb_store_bytes(skb, 0, out.destination, sizeof(struct ethhdr) + sizeof(out.ip) + 8 + quoted, 0))
		return TC_ACT_SHOT;
	return bpf_redirect(skb->ifindex, 0);
}

/* Counts the packet as dropped, then answers: calls one after the other, because their stacks together are too deep. */
static __always_inline int error_ipv4(struct __sk_buff *skb, struct hnv_port *port, __u32 reason, __u32 mtu)
{
	drop_sent(skb, port->rdid, reason);
	if (!port_may(skb->ifindex, HNV_BUCKET_ERROR, ERROR_RATE, ERROR_BURST))
		return TC_ACT_SHOT;
	return send_error_ipv4(skb, port, reason, mtu);
}

static __always_inline int error_ipv6(struct __sk_buff *skb, struct hnv_port *port, __u32 reason, __u32 mtu)
{
	drop_sent(skb, port->rdid, reason);
	if (!port_may(skb->ifindex, HNV_BUCKET_ERROR, ERROR_RATE, ERROR_BURST))
		return TC_ACT_SHOT;
	return send_error_ipv6(skb, port, reason, mtu);
}
