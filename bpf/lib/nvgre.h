/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* NVGRE (RFC 7637) over IPv4, the fast path: putting the outer header on. */
#pragma once
#include "drop.h"
#include "outer.h"
#include "packet.h"

#define ENCAP_FLAGS                                                                                       \
	(BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_GRE |          \
	 BPF_F_ADJ_ROOM_ENCAP_L2(sizeof(struct ethhdr)) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH)

/*
 * Puts the outer header before the tenant's IP packet, and gives it to the provider NIC. The kernel's neighbour table resolves
 * the next hop. DSCP and ECN are copied (RFC 2983 uniform, RFC 6040 normal mode), the TTL is our own (R-ENC-11).
 */
static __always_inline int encapsulate_nvgre(struct __sk_buff *skb, const struct hnv_location *location,
					     const struct inner *inner)
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
	word[0] = bpf_htonl(0x45000000 | (__u32)inner->tos << 16 | (length > 0xffff ? 0 : length));
	word[1] = bpf_htonl(DONT_FRAGMENT);
	word[2] = bpf_htonl(OUTER_TTL << 24 | IPPROTO_GRE << 16);
	word[3] = location->source.word[3];
	word[4] = location->destination.word[3];
	((struct iphdr *)word)->check = header_checksum(word);
	gre = (void *)(word + 5);
	gre->flags_protocol = bpf_htonl(NVGRE_FLAGS_PROTOCOL);
	gre->key = bpf_htonl(location->vsid << 8 | inner->flow >> 24);
	store_ethernet(gre + 1, &inner->eth);
	return bpf_redirect_neigh(location->uplink, &hop, sizeof(hop), 0);
}
