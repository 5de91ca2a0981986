/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP errors, both directions (RFC 5508 §4, RFC 4787 REQ-12, RFC 5382 REQ-10). The packet that is quoted tells the session: the
 * error goes where that packet came from, and quotes it as it was there. An error never makes, refreshes or ends a session, and
 * one that comes out of a compartment bears the session's external address, whoever inside has sent it.
 */
#pragma once
#include "egress.h"
#include "target.h"

struct quoted {
	struct iphdr ip;
	__be32 l4[5]; /* the first words of the transport header: two of them, or all of TCP's five */
};

/* RFC 792: destination unreachable, time exceeded, parameter problem. The others are requests in disguise, or obsolete. */
static __always_inline bool is_error(__u8 type)
{
	return type == 3 || type == 11 || type == 12;
}

static __always_inline __sum16 corrected(__sum16 check, __u32 diff)
{
	__u32 sum = (__u16)~check + (diff & 0xffff) + (diff >> 16);

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Where the quoted packet came from: its session, or the one-to-one mapping of its sender. */
__noinline bool find_origin(struct hnv_nat_flow_key *key, struct hnv_nat_flow *to)
{
	struct hnv_nat_host_key host;
	struct hnv_nat_one_to_one *one;
	struct hnv_nat_flow *f;

	if (!key || !to)
		return false;
	f = bpf_map_lookup_elem(&flows, key);
	if (f) {
		*to = *f;
		return true;
	}
	host.rdid = key->rdid;
	host.address = key->rdid ? key->source : key->destination;
	one = bpf_map_lookup_elem(&one_to_one, &host);
	if (!one)
		return false;
	__builtin_memset(to, 0, sizeof(*to));
	to->source = key->rdid ? one->address : key->source;
	to->destination = key->rdid ? key->destination : one->address;
	to->source_port = key->source_port;
	to->destination_port = key->destination_port;
	to->egress = key->rdid ? one->pool : one->rdid;
	to->flags = key->rdid ? 0 : HNV_NAT_TO_INSIDE;
	return true;
}

/* Rewrites what is quoted; `diff` = what it does to the sum of the message. */
static __always_inline void rewrite_quoted(struct quoted *q, struct hnv_nat_flow *to, __u32 words)
{
	__u32 addresses = difference(q->ip.saddr, to->destination, q->ip.daddr, to->source);
	__u32 ports;

	adjust_ip(&q->ip, addresses);
	q->ip.saddr = to->destination;
	q->ip.daddr = to->source;
	if (has_ports(q->ip.protocol)) {
		ports = ports_of(to->destination_port, to->source_port);
		__u32 diff = difference(q->l4[0], ports, 0, 0);
		__u64 both = (__u64)diff + addresses;

		both = (both & 0xffffffff) + (both >> 32);
		q->l4[0] = ports;
		if (q->ip.protocol == IPPROTO_TCP && words == 5) {
			__sum16 *check = (__sum16 *)&q->l4[4];

			*check = corrected(*check, (both & 0xffffffff) + (both >> 32));
		} else if (q->ip.protocol == IPPROTO_UDP) {
			__sum16 *check = (__sum16 *)&q->l4[1] + 1;

			if (*check)
				*check = corrected(*check, (both & 0xffffffff) + (both >> 32));
		}
	} else if (q->ip.protocol == IPPROTO_ICMP) {
		__be16 id = is_request(*(__u8 *)q->l4) ? to->destination_port : to->source_port;
		__be16 *old = (__be16 *)&q->l4[1];
		__sum16 *check = (__sum16 *)&q->l4[0] + 1;

		*check = corrected(*check, difference(*old, id, 0, 0));
		*old = id;
	}
}

/* 0 = not an error about a session. `reason` is given for what must be dropped. */
__noinline int forward_error(struct __sk_buff *skb, struct nat_packet *p, __u32 *reason)
{
	struct quoted old = {}, new;
	struct hnv_nat_flow_key key = {};
	struct hnv_nat_flow to = {};
	__u32 at, l4, words, diff, outer;
	__be32 source;
	__u8 type;

	if (!p || !reason)
		return TC_ACT_SHOT;
	*reason = HNV_NAT_ERROR;
	at = p->l4 + ICMP_BYTES;
	if (bpf_skb_load_bytes(skb, p->l4, &type, 1) || !is_error(type) ||
	    bpf_skb_load_bytes(skb, at, &old.ip, sizeof(old.ip)) || old.ip.version != 4 || old.ip.ihl < 5 ||
	    old.ip.frag_off & bpf_htons(OFFSET_MASK))
		return TC_ACT_SHOT;
	l4 = at + old.ip.ihl * 4;
	words = 5;
	if (old.ip.protocol != IPPROTO_TCP || bpf_skb_load_bytes(skb, l4, old.l4, 20)) {
		words = 2;
		if (bpf_skb_load_bytes(skb, l4, old.l4, 8))
			return TC_ACT_SHOT;
	}
	key.rdid = p->key.rdid;
	key.source = old.ip.daddr;
	key.destination = old.ip.saddr;
	key.protocol = old.ip.protocol;
	if (has_ports(key.protocol)) {
		key.source_port = old.l4[0] >> 16;
		key.destination_port = old.l4[0];
	} else if (key.protocol == IPPROTO_ICMP) {
		type = *(__u8 *)old.l4;
		if (is_request(type))
			key.destination_port = *(__be16 *)&old.l4[1];
		else if (is_reply(type))
			key.source_port = *(__be16 *)&old.l4[1];
		else
			return TC_ACT_SHOT;
	}
	/* Only to where the quoted packet came from; a sender inside may be any router there. */
	if (p->key.destination != old.ip.saddr || !find_origin(&key, &to))
		return TC_ACT_SHOT;
	*reason = HNV_ADJUST_FAILED;
	new = old;
	rewrite_quoted(&new, &to, words);
	diff = bpf_csum_diff((void *)&old, sizeof(old), (void *)&new, sizeof(new), 0);
	source = p->key.rdid ? to.source : p->key.source;
	outer = difference(p->key.source, source, p->key.destination, to.destination);
	if (bpf_l4_csum_replace(skb, p->l4 + 2, 0, diff, 0) || bpf_skb_store_bytes(skb, at, &new.ip, sizeof(new.ip), 0) ||
	    bpf_skb_store_bytes(skb, l4, new.l4, 8, 0))
		return TC_ACT_SHOT;
	if (words == 5 && bpf_skb_store_bytes(skb, l4 + 16, &new.l4[4], 4, 0))
		return TC_ACT_SHOT;
	if (!have(skb, IP_AT + sizeof(struct iphdr)) || !write_addresses(skb, source, to.destination, outer))
		return TC_ACT_SHOT;
	*reason = 0;
	return send_on(skb, to.egress, to.flags, to.destination);
}
