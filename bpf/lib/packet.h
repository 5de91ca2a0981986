/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Headers and the small questions asked of them. */
#pragma once
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "../abi.h"

#define PACKET_START(skb) ((void *)(long)(skb)->data)
#define PACKET_END(skb) ((void *)(long)(skb)->data_end)

#define VXLAN_PORT 4789
#define VLAN_ID_MASK 0x0fff
#define FRAGMENT_MASK 0x3fff /* more fragments, offset */
#define ECN_MASK 3
#define ECN_ECT1 1
#define ECN_ECT0 2
#define ECN_CE 3

/* RFC 7637 §3.2, RFC 2890: only K set, version 0, Ethernet inside. */
#define NVGRE_FLAGS_PROTOCOL 0x20006558
#define GRE_FLAG_KEY 0x2000

struct nvgre_header {
	__be32 flags_protocol;
	__be32 key; /* VSID << 8 | FlowID */
};

/* Outer IP and GRE header; the inner Ethernet header follows. */
struct nvgre_outer {
	struct iphdr ip;
	struct nvgre_header gre;
};

/* RFC 7348 §5: flags with the I bit, VNI << 8. */
#define VXLAN_FLAGS 0x08000000

struct vxlan_header {
	__be16 source;
	__be16 destination;
	__be16 length;
	__sum16 checksum;
	__be32 flags;
	__be32 key;
};

/* What encapsulation adds to a frame: the outer IP header, this, and the Ethernet header that becomes the inner one. */
#define NVGRE_BYTES sizeof(struct nvgre_header)
#define VXLAN_BYTES sizeof(struct vxlan_header)
#define OVERHEAD (sizeof(struct nvgre_outer) + sizeof(struct ethhdr))
_Static_assert(OVERHEAD == 42, "the overhead that MTUs are computed with");

/* An Ethernet header in words: struct ethhdr is packed, and the compiler would move it byte by byte. */
struct ethernet {
	__u32 word[3];
	__u16 type;
};

static __always_inline struct ethernet load_ethernet(const void *at)
{
	const __u32 *word = at;

	return (struct ethernet){ { word[0], word[1], word[2] }, *(__u16 *)(word + 3) };
}

static __always_inline void store_ethernet(void *at, const struct ethernet *eth)
{
	__u32 *word = at;

	word[0] = eth->word[0];
	word[1] = eth->word[1];
	word[2] = eth->word[2];
	*(__u16 *)(word + 3) = eth->type;
}

static __always_inline void copy_mac(void *to, const void *from)
{
	*(__u32 *)to = *(const __u32 *)from;
	*(__u16 *)(to + 4) = *(const __u16 *)(from + 4);
}

/* The same to a place on the stack, where only aligned words may be written. */
static __always_inline void put_mac(__u16 *to, const void *from)
{
	const __u16 *half = from;

	to[0] = half[0];
	to[1] = half[1];
	to[2] = half[2];
}

static __always_inline void put_router_mac(__u16 *to)
{
	to[0] = bpf_htons(HNV_ROUTER_MAC_HIGH >> 16);
	to[1] = bpf_htons(HNV_ROUTER_MAC_HIGH & 0xffff);
	to[2] = bpf_htons(HNV_ROUTER_MAC_LOW);
}

/* True when the first `bytes` can be read and written directly; GSO frames may keep them outside the linear part. */
static __always_inline bool have(struct __sk_buff *skb, __u32 bytes)
{
	if (PACKET_START(skb) + bytes <= PACKET_END(skb))
		return true;
	return skb->len >= bytes && bpf_skb_pull_data(skb, bytes) == 0 && PACKET_START(skb) + bytes <= PACKET_END(skb);
}

static __always_inline struct hnv_address mapped(__be32 ipv4)
{
	return (struct hnv_address){ { 0, 0, bpf_htonl(0xffff), ipv4 } };
}

static __always_inline bool is_mapped(const struct hnv_address *a)
{
	return !a->word[0] && !a->word[1] && a->word[2] == bpf_htonl(0xffff);
}

static __always_inline bool same_address(const struct hnv_address *a, const struct hnv_address *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] && a->word[3] == b->word[3];
}

static __always_inline struct hnv_address address_at(const void *at)
{
	const __be32 *word = at;

	return (struct hnv_address){ { word[0], word[1], word[2], word[3] } };
}

static __always_inline bool is_unspecified(const struct hnv_address *a)
{
	return !(a->word[0] | a->word[1] | a->word[2] | a->word[3]);
}

/* fe80::/64, the only link-local prefix in use (RFC 4291 §2.5.6). */
static __always_inline bool is_link_local(const struct hnv_address *a)
{
	return a->word[0] == bpf_htonl(0xfe800000) && !a->word[1];
}

static __always_inline bool is_multicast_ipv6(const struct hnv_address *a)
{
	return *(const __u8 *)a == 0xff;
}

static __always_inline bool same_mac(const __u8 *a, const __u8 *b)
{
	return *(__u32 *)a == *(__u32 *)b && *(__u16 *)(a + 4) == *(__u16 *)(b + 4);
}

static __always_inline bool is_router_mac(const __u8 *mac)
{
	return *(__u32 *)mac == bpf_htonl(HNV_ROUTER_MAC_HIGH) && *(__u16 *)(mac + 4) == bpf_htons(HNV_ROUTER_MAC_LOW);
}

static __always_inline void set_router_mac(__u8 *mac)
{
	*(__u32 *)mac = bpf_htonl(HNV_ROUTER_MAC_HIGH);
	*(__u16 *)(mac + 4) = bpf_htons(HNV_ROUTER_MAC_LOW);
}

static __always_inline bool is_group_mac(const __u8 *mac)
{
	return mac[0] & 1;
}

static __always_inline bool is_vlan(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

/* RFC 1624: one 16-bit word of the IPv4 header changes from `old` to `new`. */
static __always_inline void adjust_checksum(struct iphdr *ip, __be16 old, __be16 new)
{
	__u32 sum = (__u16)~ip->check + (__u16)~old + new;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = ~sum;
}

static __always_inline void set_tos(struct iphdr *ip, __u8 tos)
{
	__be16 *word = (__be16 *)ip;
	__be16 old = *word;

	ip->tos = tos;
	adjust_checksum(ip, old, *word);
}

/* A whole IPv4 header of a packet that is all there. `length` = bytes from the IP header on; 0 in tot_len is BIG TCP's. */
static __always_inline bool sound_ipv4(const struct iphdr *ip, __u32 length, bool gso)
{
	__u16 total = bpf_ntohs(ip->tot_len);

	if (ip->version != 4 || ip->ihl < 5)
		return false;
	return gso ? total == 0 || total >= ip->ihl * 4 : total >= ip->ihl * 4 && total <= length;
}

/* The same of IPv6: a length of 0 is BIG TCP's (RFC 2675). */
static __always_inline bool sound_ipv6(const struct ipv6hdr *ip, __u32 length, bool gso)
{
	return ip->version == 6 && (gso || bpf_ntohs(ip->payload_len) + sizeof(*ip) <= length);
}

static __always_inline __u8 traffic_class(const struct ipv6hdr *ip)
{
	return bpf_ntohl(*(const __be32 *)ip) >> 20;
}

static __always_inline void set_traffic_class(struct ipv6hdr *ip, __u8 tos)
{
	__be32 *word = (__be32 *)ip;

	*word = (*word & bpf_htonl(0xf00fffff)) | bpf_htonl((__u32)tos << 20);
}

/* Folds a sum of 16-bit words that bpf_csum_diff has made, and complements it (RFC 1071). */
static __always_inline __sum16 folded(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}
