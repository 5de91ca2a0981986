/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* ICMP errors made of the packets that they are about (RFC 792, RFC 1122 §3.2.2, RFC 1812 §4.3.2). */
#pragma once
#include "packet.h"

#define ERROR_QUOTE 96
#define ERROR_TOS 0xc0 /* internetwork control, RFC 1812 §4.3.2.5 */

struct icmp_error {
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be32 info; /* the MTU: 16 bits in ICMP, 32 in ICMPv6 */
	__u8 quote[ERROR_QUOTE];
};

struct error_ipv4 {
	__u16 align;
	__u16 destination[3];
	__u16 source[3];
	__be16 type;
	struct iphdr ip;
	struct icmp_error icmp;
};

/* Bytes that are taken off before an answer is written, in two steps: see emptied(). */
#define ASIDE 100
#define ASIDE_LAST 4

/*
 * Leaves a frame of `length` bytes that owes nothing to the packet it was. A sender may leave its checksum to the hardware, and
 * the place of that checksum must not end inside the answer: the kernel forgets it when bytes are taken from behind it, hence
 * the two steps. Segmentation ends with the change of length.
 */
static __always_inline bool emptied(struct __sk_buff *skb, __u32 length)
{
	return !bpf_skb_change_tail(skb, length + ASIDE + ASIDE_LAST, 0) &&
	       !bpf_skb_adjust_room(skb, -ASIDE, BPF_ADJ_ROOM_MAC, 0) &&
	       !bpf_skb_adjust_room(skb, -ASIDE_LAST, BPF_ADJ_ROOM_MAC, 0);
}

/* RFC 1122 §3.2.2: no error about an error, a later fragment, or a source that is not one machine. */
static __always_inline bool may_answer_ipv4(struct __sk_buff *skb, const struct iphdr *ip)
{
	__u8 first = bpf_ntohl(ip->saddr) >> 24, type;

	if (ip->frag_off & bpf_htons(0x1fff) || first == 0 || first == 127 || first >= 224)
		return false;
	if (ip->protocol != IPPROTO_ICMP)
		return true;
	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr) + ip->ihl * 4, &type, 1))
		return false;
	return type == 0 || type == 8 || (type >= 13 && type <= 18);
}
