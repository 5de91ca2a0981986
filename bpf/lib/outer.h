/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Outer headers: NVGRE (RFC 7637) and VXLAN (RFC 7348), over IPv4 and IPv6. ECN is copied (RFC 6040 normal mode), and DSCP
 * unless the virtual subnet has one for all (RFC 2983, pipe model); the TTL is our own (R-ENC-11).
 *
 * The UDP checksum of VXLAN is zero, over IPv6 as well (RFC 6935 allows it for tunnels; RFC 6936 says when it is safe: the
 * tenant's packet has checksums of its own, and a frame of a wrong VNI meets the tunnels map).
 */
#pragma once
#include "drop.h"
#include "packet.h"

#define AF_INET 2
#define AF_INET6 10
#define OUTER_TTL 64
#define DONT_FRAGMENT 0x4000
#define EALREADY 114
#define VXLAN_FIRST_SOURCE 49152

/* linux/bpf.h of 6.3; the compiler's headers may be older than the kernels we run on. */
#define ADJ_ROOM_DECAP_L3_IPV4 (1ULL << 7)
#define ADJ_ROOM_DECAP_L3_IPV6 (1ULL << 8)

/* What encapsulation must know of the tenant's packet. */
struct inner {
	struct ethernet eth;
	__u32 flow;
	__u32 mark; /* of a frame that is no IP packet: with it, it comes back once its outer header is written */
	__u8 tos;
};

/*
 * Entropy of the flow for the provider network's multipath: the FlowID (RFC 7637 §3.2) is its first byte, the source port of
 * VXLAN (RFC 7348 §5) its first fourteen bits. Fragments hash without ports, so that all fragments of a datagram stay together.
 * `l4` = ports when they can be read.
 */
static __always_inline __u32 flow_of(const struct iphdr *ip, __u32 l4)
{
	__u32 h = ip->saddr * 0x9e3779b1 ^ ip->daddr;

	h = (h ^ l4 ^ ip->protocol) * 0x85ebca6b;
	return (h ^ h >> 16) << 16;
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

static __always_inline __u32 flow_of_ipv6(const struct ipv6hdr *ip, __u32 l4)
{
	const __be32 *a = (const void *)&ip->saddr;
	__u32 h = (a[0] ^ a[1] ^ a[2] ^ a[3]) * 0x9e3779b1 ^ a[4] ^ a[5] ^ a[6] ^ a[7];

	h = (h ^ l4 ^ ip->nexthdr) * 0x85ebca6b;
	return (h ^ h >> 16) << 16;
}

/* The outer header and the inner Ethernet header, as they are written into the room that was made. */
struct outer_ipv4 {
	struct iphdr ip;
	union {
		struct {
			struct nvgre_header gre;
			struct ethernet eth;
		} nvgre;
		struct {
			struct vxlan_header udp;
			struct ethernet eth;
		} vxlan;
	};
};

struct outer_ipv6 {
	struct ipv6hdr ip;
	union {
		struct {
			struct nvgre_header gre;
			struct ethernet eth;
		} nvgre;
		struct {
			struct vxlan_header udp;
			struct ethernet eth;
		} vxlan;
	};
};

static __always_inline void write_vxlan(struct vxlan_header *to, const struct hnv_location *location,
					const struct inner *inner, __u32 length)
{
	to->source = bpf_htons(VXLAN_FIRST_SOURCE + (inner->flow >> 18));
	to->destination = bpf_htons(VXLAN_PORT);
	to->length = length > 0xffff ? 0 : bpf_htons(length);
	to->flags = bpf_htonl(VXLAN_FLAGS);
	to->key = bpf_htonl(location->vsid << 8);
}

static __always_inline void write_nvgre(struct nvgre_header *to, const struct hnv_location *location,
					const struct inner *inner)
{
	to->flags_protocol = bpf_htonl(NVGRE_FLAGS_PROTOCOL);
	to->key = bpf_htonl(location->vsid << 8 | inner->flow >> 24);
}

/*
 * Makes room for `bytes` of headers. A packet that was decapsulated on this machine still counts as encapsulated, with its
 * inner header offsets and its GSO type in place: what the flags would set is set already, except for the protocol when the
 * outer family is not the inner one, which only taking bytes away can set.
 */
static __always_inline bool make_room(struct __sk_buff *skb, __u32 bytes, __u64 flags, bool outer_ipv6)
{
	long failed = bpf_skb_adjust_room(skb, bytes, BPF_ADJ_ROOM_MAC, flags);

	if (failed != -EALREADY)
		return !failed;
	if (skb->protocol == (outer_ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP)))
		return !bpf_skb_adjust_room(skb, bytes, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
	return !bpf_skb_adjust_room(skb, bytes + 4, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO) &&
	       !bpf_skb_adjust_room(skb, -4, BPF_ADJ_ROOM_MAC,
				    BPF_F_ADJ_ROOM_FIXED_GSO |
					    (outer_ipv6 ? ADJ_ROOM_DECAP_L3_IPV6 : ADJ_ROOM_DECAP_L3_IPV4));
}

/* The tenant's traffic class, or the DSCP that the virtual subnet has for all; ECN is copied always. */
static __always_inline __u8 outer_tos(const struct hnv_location *location, const struct inner *inner)
{
	if (!(location->flags & HNV_LOCATION_DSCP))
		return inner->tos;
	return location->flags >> HNV_LOCATION_DSCP_SHIFT << 2 | (inner->tos & ECN_MASK);
}

/* Puts `bytes` less the inner Ethernet header, which is there already, before a frame that is no IP packet. */
static __always_inline int prepend(struct __sk_buff *skb, const struct hnv_location *location, const struct inner *inner,
				   const void *outer, __u32 bytes, __be16 type)
{
	__be16 eth[7] = { [6] = type };

	if (bpf_skb_change_head(skb, bytes, 0) || bpf_skb_store_bytes(skb, 0, eth, sizeof(eth), 0) ||
	    bpf_skb_store_bytes(skb, sizeof(eth), outer, bytes - sizeof(struct ethhdr), 0))
		return drop_sent(skb, location->rdid, HNV_ADJUST_FAILED);
	skb->mark = inner->mark;
	return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

#define ROOM_FLAGS                                                                      \
	(BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L2(sizeof(struct ethhdr)) | \
	 BPF_F_ADJ_ROOM_ENCAP_L2_ETH)

static __noinline int encapsulate_ipv4(struct __sk_buff *skb, const struct hnv_location *location,
				       const struct inner *inner)
{
	struct outer_ipv4 out = {};
	struct bpf_redir_neigh hop = { .nh_family = AF_INET };
	__u32 length;
	bool vxlan;

	if (!location || !inner)
		return TC_ACT_SHOT;
	vxlan = location->flags & HNV_LOCATION_VXLAN;
	hop.ipv4_nh = location->next_hop.word[3];
	length = skb->len + sizeof(out.ip) + (vxlan ? VXLAN_BYTES : NVGRE_BYTES);
	out.ip.version = 4;
	out.ip.ihl = 5;
	out.ip.tos = outer_tos(location, inner);
	/* A length of 0: a GSO packet beyond 16 bits, its segments get their own. */
	out.ip.tot_len = length > 0xffff ? 0 : bpf_htons(length);
	out.ip.frag_off = bpf_htons(DONT_FRAGMENT);
	out.ip.ttl = OUTER_TTL;
	out.ip.protocol = vxlan ? IPPROTO_UDP : IPPROTO_GRE;
	out.ip.saddr = location->source.word[3];
	out.ip.daddr = location->destination.word[3];
	out.ip.check = header_checksum((void *)&out.ip);
	if (vxlan) {
		write_vxlan(&out.vxlan.udp, location, inner, length - sizeof(out.ip));
		store_ethernet(&out.vxlan.eth, &inner->eth);
		if (inner->mark)
			return prepend(skb, location, inner, &out, sizeof(out.ip) + VXLAN_BYTES + sizeof(struct ethhdr),
				       bpf_htons(ETH_P_IP));
		if (make_room(skb, sizeof(out.ip) + VXLAN_BYTES + sizeof(struct ethhdr),
			      ROOM_FLAGS | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP, false) &&
		    !bpf_skb_store_bytes(skb, sizeof(struct ethhdr), &out,
					 sizeof(out.ip) + VXLAN_BYTES + sizeof(struct ethhdr), 0))
			return bpf_redirect_neigh(location->uplink, &hop, sizeof(hop), 0);
	} else {
		write_nvgre(&out.nvgre.gre, location, inner);
		store_ethernet(&out.nvgre.eth, &inner->eth);
		if (inner->mark)
			return prepend(skb, location, inner, &out, sizeof(out.ip) + NVGRE_BYTES + sizeof(struct ethhdr),
				       bpf_htons(ETH_P_IP));
		if (make_room(skb, OVERHEAD, ROOM_FLAGS | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_GRE,
			      false) &&
		    !bpf_skb_store_bytes(skb, sizeof(struct ethhdr), &out, OVERHEAD, 0))
			return bpf_redirect_neigh(location->uplink, &hop, sizeof(hop), 0);
	}
	return drop_sent(skb, location->rdid, HNV_ADJUST_FAILED);
}

static __noinline int encapsulate_ipv6(struct __sk_buff *skb, const struct hnv_location *location,
				       const struct inner *inner)
{
	struct outer_ipv6 out = {};
	struct bpf_redir_neigh hop = { .nh_family = AF_INET6 };
	__u32 length;
	bool vxlan;

	if (!location || !inner)
		return TC_ACT_SHOT;
	vxlan = location->flags & HNV_LOCATION_VXLAN;
	__builtin_memcpy(hop.ipv6_nh, &location->next_hop, sizeof(hop.ipv6_nh));
	length = skb->len + (vxlan ? VXLAN_BYTES : NVGRE_BYTES);
	/* RFC 6438: the flow label carries the same entropy for networks that look no further. */
	*(__be32 *)&out.ip = bpf_htonl(0x60000000 | (__u32)outer_tos(location, inner) << 20 | inner->flow >> 16);
	out.ip.payload_len = length > 0xffff ? 0 : bpf_htons(length);
	out.ip.nexthdr = vxlan ? IPPROTO_UDP : IPPROTO_GRE;
	out.ip.hop_limit = OUTER_TTL;
	__builtin_memcpy(&out.ip.saddr, &location->source, sizeof(location->source));
	__builtin_memcpy(&out.ip.daddr, &location->destination, sizeof(location->destination));
	if (vxlan) {
		write_vxlan(&out.vxlan.udp, location, inner, length);
		store_ethernet(&out.vxlan.eth, &inner->eth);
		if (inner->mark)
			return prepend(skb, location, inner, &out, sizeof(out.ip) + VXLAN_BYTES + sizeof(struct ethhdr),
				       bpf_htons(ETH_P_IPV6));
		if (make_room(skb, sizeof(out.ip) + VXLAN_BYTES + sizeof(struct ethhdr),
			      ROOM_FLAGS | BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP, true) &&
		    !bpf_skb_store_bytes(skb, sizeof(struct ethhdr), &out,
					 sizeof(out.ip) + VXLAN_BYTES + sizeof(struct ethhdr), 0))
			return bpf_redirect_neigh(location->uplink, &hop, sizeof(hop), 0);
	} else {
		write_nvgre(&out.nvgre.gre, location, inner);
		store_ethernet(&out.nvgre.eth, &inner->eth);
		if (inner->mark)
			return prepend(skb, location, inner, &out, sizeof(out.ip) + NVGRE_BYTES + sizeof(struct ethhdr),
				       bpf_htons(ETH_P_IPV6));
		if (make_room(skb, sizeof(out.ip) + NVGRE_BYTES + sizeof(struct ethhdr),
			      ROOM_FLAGS | BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 | BPF_F_ADJ_ROOM_ENCAP_L4_GRE, true) &&
		    !bpf_skb_store_bytes(skb, sizeof(struct ethhdr), &out,
					 sizeof(out.ip) + NVGRE_BYTES + sizeof(struct ethhdr), 0))
			return bpf_redirect_neigh(location->uplink, &hop, sizeof(hop), 0);
	}
	return drop_sent(skb, location->rdid, HNV_ADJUST_FAILED);
}

/* RFC 6040 §4.2: what the inner ECN field becomes; negative = the packet must be dropped. */
static __always_inline int merged_congestion(__u8 inner_tos, __u8 outer_tos)
{
	__u8 in = inner_tos & ECN_MASK, out = outer_tos & ECN_MASK;

	if (out == ECN_CE && in == 0)
		return -1;
	if (out == ECN_CE || (out == ECN_ECT1 && in == ECN_ECT0))
		return out;
	return in;
}

static __always_inline bool merge_congestion(struct iphdr *inner, __u8 outer_tos)
{
	int ecn = merged_congestion(inner->tos, outer_tos);

	if (ecn >= 0 && ecn != (inner->tos & ECN_MASK))
		set_tos(inner, (inner->tos & ~ECN_MASK) | ecn);
	return ecn >= 0;
}

/* RFC 2983 §3.1, the uniform model: the inner packet takes the outer one's DSCP. */
static __always_inline void take_dscp(struct iphdr *inner, __u8 outer_tos)
{
	set_tos(inner, (outer_tos & ~ECN_MASK) | (inner->tos & ECN_MASK));
}

static __always_inline void take_dscp_ipv6(struct ipv6hdr *inner, __u8 outer_tos)
{
	set_traffic_class(inner, (outer_tos & ~ECN_MASK) | (traffic_class(inner) & ECN_MASK));
}

static __always_inline bool merge_congestion_ipv6(struct ipv6hdr *inner, __u8 outer_tos)
{
	__u8 tos = traffic_class(inner);
	int ecn = merged_congestion(tos, outer_tos);

	if (ecn >= 0)
		set_traffic_class(inner, (tos & ~ECN_MASK) | ecn);
	return ecn >= 0;
}

/*
 * Takes `bytes` of outer header off and leaves `inner` as the frame's Ethernet header. `family` = ADJ_ROOM_DECAP_L3_ of the
 * tenant's packet when it is not the outer one's, else 0. Packet pointers end here.
 */
static __always_inline bool decapsulate(struct __sk_buff *skb, const struct ethernet *inner, __u32 bytes, __u64 family)
{
	void *start;

	if (bpf_skb_adjust_room(skb, -(__s32)bytes, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO | family))
		return false;
	start = PACKET_START(skb);
	if (start + sizeof(struct ethhdr) > PACKET_END(skb))
		return false;
	store_ethernet(start, inner);
	return true;
}
