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

/* RFC 1071 over a header whose checksum field is zero. */
static __always_inline __u16 header_checksum(const __be32 *word)
{
	__u64 sum = (__u64)word[0] + word[1] + word[2] + word[3] + word[4];

	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/*
 * Puts the outer header before the tenant's IP packet, and gives it to the provider NIC. The kernel's neighbour table resolves
 * the next hop. DSCP and ECN are copied (RFC 2983 uniform, RFC 6040 normal mode), the TTL is our own (R-ENC-11). `eth` = the
 * frame's Ethernet header, which becomes the inner one.
 */
static __always_inline int encapsulate(struct __sk_buff *skb, const struct hnv_location *location,
				       const struct ethernet *eth, __u8 tos, __u8 flow)
{
	__u32 length = skb->len - sizeof(struct ethhdr) + OVERHEAD;
	struct bpf_redir_neigh hop = { .nh_family = AF_INET, .ipv4_nh = location->next_hop.word[3] };
	struct nvgre_header *gre;
	__be32 *word;
	void *start;
	long failed;

	failed = bpf_skb_adjust_room(skb, OVERHEAD, BPF_ADJ_ROOM_MAC, ENCAP_FLAGS);
	/*
	 * A packet that was decapsulated on this machine still counts as encapsulated, with its inner header offsets and its
	 * GSO type in place: what the flags would set is set already.
	 */
	if (failed == -EALREADY)
		failed = bpf_skb_adjust_room(skb, OVERHEAD, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
	start = PACKET_START(skb);
	if (failed || start + sizeof(struct ethhdr) + OVERHEAD > PACKET_END(skb))
		return drop_sent(skb, location->rdid, HNV_ADJUST_FAILED);

	/* RFC 791: version, length, TOS, total length; no identification; DF; TTL, protocol; addresses. */
	word = start + sizeof(struct ethhdr);
	/* A length of 0: a GSO packet beyond 16 bits, its segments get their own. */
	word[0] = bpf_htonl(0x45000000 | (__u32)tos << 16 | (length > 0xffff ? 0 : length));
	word[1] = bpf_htonl(DONT_FRAGMENT);
	word[2] = bpf_htonl(OUTER_TTL << 24 | IPPROTO_GRE << 16);
	word[3] = location->source.word[3];
	word[4] = location->destination.word[3];
	((struct iphdr *)word)->check = header_checksum(word);
	gre = (void *)(word + 5);
	gre->flags_protocol = bpf_htonl(NVGRE_FLAGS_PROTOCOL);
	gre->key = bpf_htonl(location->vsid << 8 | flow);
	store_ethernet(gre + 1, eth);
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
static __always_inline bool decapsulate(struct __sk_buff *skb, const struct ethernet *inner)
{
	void *start;

	if (bpf_skb_adjust_room(skb, -(__s32)OVERHEAD, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO))
		return false;
	start = PACKET_START(skb);
	if (start + sizeof(struct ethhdr) > PACKET_END(skb))
		return false;
	store_ethernet(start, inner);
	return true;
}
