/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the NAT reads of a packet, and how it writes it: RFC 1624 through the helpers, which know of checksums left to devices. */
#pragma once
#include <linux/tcp.h>
#include <linux/udp.h>
#include "../../reason.h"
#include "../packet.h"
#include "maps.h"

#define IP_AT sizeof(struct ethhdr)
#define MORE_FRAGMENTS 0x2000
#define OFFSET_MASK 0x1fff

#define WHOLE 0
#define FIRST_FRAGMENT 1
#define LATER_FRAGMENT 2

#define ICMP_BYTES 8 /* before what an error quotes, or the data of a query */
#define ICMP_ERROR 255 /* in nat_packet.query: about another packet */

struct nat_packet {
	struct hnv_nat_flow_key key;
	__u32 l4; /* offset of the transport header in the frame */
	__u32 sequence; /* TCP */
	__u32 ack;
	__u16 window;
	__u8 tcp_flags;
	__u8 data_offset;
	__be16 id;
	__u8 fragment;
	__u8 query; /* ICMP: the type of a query or its answer, or ICMP_ERROR */
	__u8 scale; /* of a SYN that opens a session */
};

static __always_inline bool has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

/* RFC 792, RFC 950: the types that are asked, and those that answer. */
static __always_inline bool is_request(__u8 type)
{
	return type == 8 || type == 13 || type == 15 || type == 17;
}

static __always_inline bool is_reply(__u8 type)
{
	return type == 0 || type == 14 || type == 16 || type == 18;
}

/*
 * Reads headers of any shape; 0, or the reason why the packet cannot be read. Later fragments have no ports. Protocols that
 * are not translated by ports have none either.
 */
__noinline __u32 read_packet(struct __sk_buff *skb, struct nat_packet *p, __u32 rdid)
{
	struct iphdr ip;
	struct tcphdr tcp;
	__u32 ports = 0;

	if (!p)
		return HNV_TRUNCATED;
	__builtin_memset(p, 0, sizeof(*p));
	if (bpf_skb_load_bytes(skb, IP_AT, &ip, sizeof(ip)) ||
	    !sound_ipv4(&ip, skb->len - IP_AT, skb->gso_size != 0))
		return HNV_TRUNCATED;
	p->key.rdid = rdid;
	p->key.source = ip.saddr;
	p->key.destination = ip.daddr;
	p->key.protocol = ip.protocol;
	p->l4 = IP_AT + ip.ihl * 4;
	p->id = ip.id;
	if (ip.frag_off & bpf_htons(OFFSET_MASK)) {
		p->fragment = LATER_FRAGMENT;
		return 0;
	}
	if (ip.frag_off & bpf_htons(MORE_FRAGMENTS))
		p->fragment = FIRST_FRAGMENT;
	if (ip.protocol == IPPROTO_TCP) {
		if (bpf_skb_load_bytes(skb, p->l4, &tcp, sizeof(tcp)))
			return HNV_TRUNCATED;
		p->key.source_port = tcp.source;
		p->key.destination_port = tcp.dest;
		p->sequence = bpf_ntohl(tcp.seq);
		p->ack = bpf_ntohl(tcp.ack_seq);
		p->window = bpf_ntohs(tcp.window);
		p->tcp_flags = ((__u8 *)&tcp)[13];
		p->data_offset = ((__u8 *)&tcp)[12] >> 4;
	} else if (ip.protocol == IPPROTO_UDP) {
		if (bpf_skb_load_bytes(skb, p->l4, &ports, 4) || p->l4 + 8 > skb->len)
			return HNV_TRUNCATED;
		p->key.source_port = ports;
		p->key.destination_port = ports >> 16;
	} else if (ip.protocol == IPPROTO_ICMP) {
		__u8 icmp[8];

		if (bpf_skb_load_bytes(skb, p->l4, icmp, sizeof(icmp)))
			return HNV_TRUNCATED;
		p->query = icmp[0];
		if (is_request(icmp[0]))
			p->key.source_port = *(__be16 *)(icmp + 4);
		else if (is_reply(icmp[0]))
			p->key.destination_port = *(__be16 *)(icmp + 4);
		else
			p->query = ICMP_ERROR;
	}
	return 0;
}

/* The difference that a change of words makes to a sum, as bpf_csum_diff gives it. */
static __always_inline __u32 difference(__u32 old, __u32 new, __u32 old_too, __u32 new_too)
{
	__u64 sum = (__u64)(__u32)~old + new + (__u32)~old_too + new_too;

	sum = (sum & 0xffffffff) + (sum >> 32);
	return (sum & 0xffffffff) + (sum >> 32);
}

static __always_inline __u32 ports_of(__be16 source, __be16 destination)
{
	return (__u32)destination << 16 | source;
}

static __always_inline void adjust_ip(struct iphdr *ip, __u32 diff)
{
	__u32 sum = (__u16)~ip->check + (diff & 0xffff) + (diff >> 16);

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = ~sum;
}

/* The IP header, directly. The packet's pointers end before, so they are taken anew. */
static __always_inline bool write_addresses(struct __sk_buff *skb, __be32 source, __be32 destination, __u32 diff)
{
	struct iphdr *ip = PACKET_START(skb) + IP_AT;

	if ((void *)(ip + 1) > PACKET_END(skb))
		return false;
	ip->saddr = source;
	ip->daddr = destination;
	adjust_ip(ip, diff);
	return true;
}

/* Where the checksum of a transport header stands; 0 = nobody knows of one. */
static __always_inline __u32 checksum_at(__u8 protocol)
{
	return protocol == IPPROTO_TCP ? 16 : protocol == IPPROTO_UDP ? 6 : protocol == IPPROTO_ICMP ? 2 : 0;
}

/* Packets of any shape; false when the kernel cannot make them writable. `id` as it shall be, when the packet is a fragment. */
__noinline bool rewrite_packet(struct __sk_buff *skb, struct nat_packet *p, struct hnv_nat_flow *to, __be16 id)
{
	__u32 addresses, ports, sum;
	struct iphdr *ip;

	if (!p || !to)
		return false;
	addresses = difference(p->key.source, to->source, p->key.destination, to->destination);
	ports = difference(ports_of(p->key.source_port, p->key.destination_port),
			   ports_of(to->source_port, to->destination_port), 0, 0);
	sum = checksum_at(p->key.protocol);
	if (p->fragment != LATER_FRAGMENT && sum) {
		__u64 zero = p->key.protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;

		sum += p->l4;
		if (p->key.protocol != IPPROTO_ICMP &&
		    bpf_l4_csum_replace(skb, sum, 0, addresses, BPF_F_PSEUDO_HDR | zero))
			return false;
		if (bpf_l4_csum_replace(skb, sum, 0, ports, zero))
			return false;
		if (p->key.protocol == IPPROTO_ICMP) {
			__be16 query = is_request(p->query) ? to->source_port : to->destination_port;

			if (bpf_skb_store_bytes(skb, p->l4 + 4, &query, 2, 0))
				return false;
		} else {
			__u32 both = ports_of(to->source_port, to->destination_port);

			if (bpf_skb_store_bytes(skb, p->l4, &both, 4, 0))
				return false;
		}
	}
	if (!have(skb, IP_AT + sizeof(*ip)) || !write_addresses(skb, to->source, to->destination, addresses))
		return false;
	if (p->fragment == WHOLE || id == p->id)
		return true;
	ip = PACKET_START(skb) + IP_AT;
	if ((void *)(ip + 1) > PACKET_END(skb))
		return false;
	ip->id = id;
	adjust_ip(ip, difference(p->id, id, 0, 0));
	return true;
}
