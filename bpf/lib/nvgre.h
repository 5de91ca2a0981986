/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* NVGRE (RFC 7637) over IPv4: putting the outer header on and taking it off. */
#pragma once
#include "drop.h"
#include "packet.h"

#define AF_INET 2
#define OUTER_TTL 64
#define DONT_FRAGMENT 0x4000
#define EALREADY 114

#define ENCAP_FLAGS                                                                                       \
	(BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_GRE |          \
	 BPF_F_ADJ_ROOM_ENCAP_L2(sizeof(struct ethhdr)) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH)

/*
 * FlowID of RFC 7637 §3.2: entropy of the flow for the provider network's multipath. Fragments hash without ports, so that all
 * fragments of a datagram stay together. `l4` = ports when they can be read.
 */
static __always_inline __u8 flow_id(const struct iphdr *ip, __u32 l4)
{
	__u32 h = ip->saddr * 0x9e3779b1 ^ ip->daddr;

	h = (h ^ l4 ^ ip->protocol) * 0x85ebca6b;
	return (h ^ h >> 16) >> 8;
}

/* Largest IP packet that this frame becomes on the wire, GSO segments counted singly. */
static __always_inline __u32 segment_length(struct __sk_buff *skb, const struct iphdr *ip, __u8 tcp_words)
{
	if (!skb->gso_size)
		return skb->len - sizeof(struct ethhdr);
	return ip->ihl * 4 + (ip->protocol == IPPROTO_TCP ? tcp_words * 4 : 8) + skb->gso_size;
}

/* RFC 1071 over the twenty bytes of a header whose checksum field is zero. */
static __always_inline __sum16 header_checksum(const struct iphdr *ip)
{
	const __u32 *word = (const __u32 *)ip;
	__u64 sum = (__u64)word[0] + word[1] + word[2] + word[3] + word[4];

	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/*
 * Puts the outer header before the tenant's IP packet, and gives it to the provider NIC. The kernel's neighbour table resolves
 * the next hop. DSCP and ECN are copied (RFC 2983 uniform, RFC 6040 normal mode), the TTL is our own (R-ENC-11).
 */
static __always_inline int encapsulate(struct __sk_buff *skb, const struct hnv_location *location, const __u8 *source_mac,
				       __u8 tos, __u8 flow)
{
	__u32 length = skb->len - sizeof(struct ethhdr) + sizeof(struct nvgre_outer);
	struct bpf_redir_neigh hop = { .nh_family = AF_INET, .ipv4_nh = location->next_hop.word[3] };
	struct nvgre_outer outer = {
		.ip = {
			.version = 4,
			.ihl = 5,
			.tos = tos,
			/* GSO: the segments get their own length; 0 says that the whole does not fit 16 bits. */
			.tot_len = length > 0xffff ? 0 : bpf_htons(length),
			.frag_off = bpf_htons(DONT_FRAGMENT),
			.ttl = OUTER_TTL,
			.protocol = IPPROTO_GRE,
			.saddr = location->source.word[3],
			.daddr = location->destination.word[3],
		},
		.gre = {
			.flags_protocol = bpf_htonl(NVGRE_FLAGS_PROTOCOL),
			.key = bpf_htonl(location->vsid << 8 | flow),
		},
		.inner = { .h_proto = bpf_htons(ETH_P_IP) },
	};
	void *start;
	long failed;

	__builtin_memcpy(outer.inner.h_dest, location->mac, 6);
	__builtin_memcpy(outer.inner.h_source, source_mac, 6);
	outer.ip.check = header_checksum(&outer.ip);

	failed = bpf_skb_adjust_room(skb, sizeof(outer), BPF_ADJ_ROOM_MAC, ENCAP_FLAGS);
	/*
	 * A packet that was decapsulated on this machine still counts as encapsulated, with its inner header offsets and its
	 * GSO type in place: what the flags would set is set already.
	 */
	if (failed == -EALREADY)
		failed = bpf_skb_adjust_room(skb, sizeof(outer), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
	start = PACKET_START(skb);
	if (failed || start + sizeof(struct ethhdr) + sizeof(outer) > PACKET_END(skb))
		return drop(skb, location->rdid, HNV_ADJUST_FAILED);
	__builtin_memcpy(start + sizeof(struct ethhdr), &outer, sizeof(outer));
	return bpf_redirect_neigh(location->uplink, &hop, sizeof(hop), 0);
}

/* RFC 6040 §4.2: what the inner ECN field becomes; false = the packet must be dropped. */
static __always_inline bool merge_congestion(struct iphdr *inner, __u8 outer_tos)
{
	__u8 in = inner->tos & ECN_MASK, out = outer_tos & ECN_MASK;

	if (out == ECN_CE && in == 0)
		return false;
	if ((out == ECN_CE && in != ECN_CE) || (out == ECN_ECT1 && in == ECN_ECT0))
		set_tos(inner, (inner->tos & ~ECN_MASK) | out);
	return true;
}

/* Takes the outer header off and leaves `inner` as the frame's Ethernet header. Packet pointers end here. */
static __always_inline bool decapsulate(struct __sk_buff *skb, const struct ethhdr *inner)
{
	void *start;

	if (bpf_skb_adjust_room(skb, -(__s32)sizeof(struct nvgre_outer), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
		return false;
	start = PACKET_START(skb);
	if (start + sizeof(*inner) > PACKET_END(skb))
		return false;
	__builtin_memcpy(start, inner, sizeof(*inner));
	return true;
}
