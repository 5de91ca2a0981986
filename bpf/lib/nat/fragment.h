/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragments (RFC 4787 REQ-14), both directions, in any order, without putting them together: the first one is translated like
 * a whole packet and remembered, the others go its way. One that comes before its first goes round a pair of devices, whose
 * queue limits how many do and how often, until the first one has come or its time is up.
 *
 * What leaves gets a new identification: two inside addresses may use the same one to the same destination (RFC 6864 §5.3).
 */
#pragma once
#include "egress.h"

#define WAIT_MS 250
#define REMEMBERED_S 2
/* skb->mark of a waiting fragment: slot << 19 | ms when it came */
#define WAIT_SHIFT 19
#define WAIT_MASK ((1U << WAIT_SHIFT) - 1)

static __always_inline struct hnv_nat_fragment_key fragment_key(const struct nat_packet *p)
{
	return (struct hnv_nat_fragment_key){ .rdid = p->key.rdid, .source = p->key.source,
					      .destination = p->key.destination, .id = p->id,
					      .protocol = p->key.protocol };
}

/* Remembers what became of a first fragment. The identification that it and the others get. */
__noinline __be16 remember(struct nat_packet *p, struct hnv_nat_flow *to, __u8 flags)
{
	struct hnv_nat_fragment_key key;
	struct hnv_nat_fragment f = {};
	__u32 place, *last;

	if (!p || !to)
		return 0;
	key = fragment_key(p);
	f.id = p->id;
	if (p->key.rdid) {
		place = mix(to->destination, to->source) % IDENTIFICATIONS;
		last = bpf_map_lookup_elem(&identifications, &place);
		if (last)
			f.id = bpf_htons(__sync_fetch_and_add(last, 1));
	}
	f.source = to->source;
	f.destination = to->destination;
	f.egress = to->egress;
	f.flags = flags;
	f.seen = clock_s();
	bpf_map_update_elem(&fragments, &key, &f, BPF_ANY);
	return f.id;
}

/* `since` = ms when it came. */
__noinline int wait(struct __sk_buff *skb, __u32 rdid, __u32 since)
{
	__u32 zero = 0, now = clock_ns() / NS_PER_MS;
	struct hnv_nat_settings *s = bpf_map_lookup_elem(&settings, &zero);

	if (!s || !s->waiting || ((now - since) & WAIT_MASK) > WAIT_MS)
		return rdid ? drop_sent(skb, rdid, HNV_NAT_FRAGMENT) :
			      drop_received(skb, HNV_RDID_NONE, HNV_NAT_FRAGMENT);
	skb->mark = rdid << WAIT_SHIFT | (since & WAIT_MASK);
	return bpf_redirect(s->waiting, 0);
}

/* The stack gets the packet as if it had not waited. */
static __always_inline int pass(struct __sk_buff *skb, bool waited)
{
	if (waited) {
		skb->mark = 0;
		bpf_skb_change_type(skb, PACKET_HOST);
	}
	return TC_ACT_OK;
}

/* A fragment that is not the first. */
__noinline int follow(struct __sk_buff *skb, struct nat_packet *p, bool waited)
{
	struct hnv_nat_fragment_key key;
	struct hnv_nat_fragment *f;
	struct hnv_nat_flow to = {};
	__u32 now = clock_ns() / NS_PER_MS;

	if (!p)
		return TC_ACT_SHOT;
	key = fragment_key(p);
	f = bpf_map_lookup_elem(&fragments, &key);
	if (!f || clock_s() - f->seen > REMEMBERED_S)
		return wait(skb, p->key.rdid, waited ? skb->mark & WAIT_MASK : now);
	if (f->flags & HNV_NAT_OWN)
		return pass(skb, waited);
	to.source = f->source;
	to.destination = f->destination;
	if (!rewrite_packet(skb, p, &to, f->id))
		return drop(skb, p->key.rdid, HNV_ADJUST_FAILED, p->key.rdid ? HNV_FROM_PORT : HNV_FROM_WIRE);
	return send_on(skb, f->egress, f->flags, to.destination);
}

/* A packet whose way is known. */
__noinline int forward(struct __sk_buff *skb, struct nat_packet *p, struct hnv_nat_flow *to)
{
	__be32 destination;
	__u32 egress, flags;
	__be16 id;

	if (!p || !to)
		return TC_ACT_SHOT;
	destination = to->destination;
	egress = to->egress;
	flags = to->flags;
	id = p->fragment == FIRST_FRAGMENT ? remember(p, to, flags & HNV_NAT_TO_INSIDE) : p->id;
	if (!rewrite_packet(skb, p, to, id))
		return drop(skb, p->key.rdid, HNV_ADJUST_FAILED, p->key.rdid ? HNV_FROM_PORT : HNV_FROM_WIRE);
	return send_on(skb, egress, flags, destination);
}
