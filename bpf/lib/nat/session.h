/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sessions: two entries in `flows`, one for each direction, each with all that a packet needs. TCP state is not kept but judged
 * from what both have seen, when it matters (RFC 5382 REQ-5, RFC 7857 §2).
 */
#pragma once
#include "mapping.h"
#include "packet.h"

#define EEXIST 17

/* The other entry of a session: what answers to the rewritten packet. */
static __always_inline struct hnv_nat_flow_key twin_key(const struct hnv_nat_flow *f, __u8 protocol)
{
	return (struct hnv_nat_flow_key){
		.rdid = f->flags & HNV_NAT_TO_INSIDE ? f->egress : 0,
		.source = f->destination,
		.destination = f->source,
		.source_port = f->destination_port,
		.destination_port = f->source_port,
		.protocol = protocol,
	};
}

/* The mapping whose endpoint sends by this entry; false when it is none that is counted. */
static __always_inline bool mapping_of(const struct hnv_nat_flow_key *key, const struct hnv_nat_flow *f,
				       struct hnv_nat_mapping_key *mapping)
{
	if (!key->rdid || f->kind != HNV_NAT_MAPPED)
		return false;
	mapping->rdid = key->rdid;
	mapping->address = key->source;
	/* Of a query the identifier. */
	mapping->port = key->source_port;
	mapping->protocol = key->protocol;
	mapping->set = f->set;
	return true;
}

static __always_inline struct hnv_nat_contact_key contact_key(const struct hnv_nat_flow_key *key,
							       const struct hnv_nat_flow *f)
{
	return (struct hnv_nat_contact_key){ .address = f->source, .remote = key->destination, .port = f->source_port,
					     .protocol = key->protocol };
}

__noinline int join_contact(struct hnv_nat_contact_key *key, __u32 rdid)
{
	struct hnv_nat_contact fresh = { .rdid = rdid }, *contact;

	if (!key)
		return 0;
	contact = bpf_map_lookup_elem(&contacts, key);
	if (!contact) {
		bpf_map_update_elem(&contacts, key, &fresh, BPF_NOEXIST);
		contact = bpf_map_lookup_elem(&contacts, key);
	}
	if (contact)
		__sync_fetch_and_add(&contact->sessions, 1);
	return 0;
}

__noinline int leave_contact(struct hnv_nat_contact_key *key)
{
	struct hnv_nat_contact *contact;

	if (!key)
		return 0;
	contact = bpf_map_lookup_elem(&contacts, key);
	if (contact && __sync_fetch_and_sub(&contact->sessions, 1) == 1)
		bpf_map_delete_elem(&contacts, key);
	return 0;
}

/* What an entry of an ended session has held. */
__noinline int leave(struct hnv_nat_flow_key *key, struct hnv_nat_flow *f, __u32 now)
{
	struct hnv_nat_mapping_key mapping;

	if (!key || !f)
		return 0;
	if (mapping_of(key, f, &mapping))
		leave_mapping(&mapping, now);
	if (f->flags & HNV_NAT_CONTACT) {
		struct hnv_nat_contact_key contact = contact_key(key, f);

		leave_contact(&contact);
	}
	return 0;
}

/* Whose session it is: the inside address that opened it, or to which it was opened from outside. */
static __always_inline struct hnv_nat_host_key counted_for(const struct hnv_nat_flow_key *opener,
							    const struct hnv_nat_flow *f)
{
	return (struct hnv_nat_host_key){ .rdid = f->rdid, .address = opener->rdid ? opener->source : f->destination };
}

/* Ends the session of which `key` and `f` are the opener's entry. The values are read before they go. */
__noinline int end_session(struct hnv_nat_flow_key *key, struct hnv_nat_flow *f, __u32 now)
{
	struct hnv_nat_flow_key twin;
	struct hnv_nat_host_key host;
	struct hnv_nat_flow *back;

	if (!key || !f)
		return 0;
	twin = twin_key(f, key->protocol);
	host = counted_for(key, f);
	dismiss_session(&host);
	leave(key, f, now);
	back = bpf_map_lookup_elem(&flows, &twin);
	if (back) {
		leave(&twin, back, now);
		bpf_map_delete_elem(&flows, &twin);
	}
	bpf_map_delete_elem(&flows, key);
	return 0;
}

static __always_inline bool after(__u32 a, __u32 b)
{
	return (__s32)(a - b) > 0;
}

/*
 * True when the receiver would take this RST (RFC 5961 §3.2, RFC 7857 §2.2): its sequence lies in the window that the other
 * side offered last, or, before that side has sent anything, it acknowledges its SYN.
 */
static __always_inline bool sound_reset(const struct nat_packet *p, const struct hnv_nat_flow *back)
{
	__u32 window = (__u32)back->window << (back->scale & 15);

	if (!(back->tcp_flags & HNV_NAT_ACK))
		return p->tcp_flags & HNV_NAT_ACK && back->tcp_flags & HNV_NAT_SYN && p->ack == back->next;
	return p->sequence - back->ack < (window ? window : 1);
}

struct tcp_options {
	__u8 byte[40];
	__u32 at;
	__u32 scale;
};

static long read_option(__u32 i, struct tcp_options *o)
{
	__u32 at = o->at;
	__u8 kind, size;

	(void)i;
	if (at > sizeof(o->byte) - 3)
		return 1;
	kind = o->byte[at];
	size = o->byte[at + 1];
	if (kind == 3 && size == 3)
		o->scale = o->byte[at + 2] > 14 ? 14 : o->byte[at + 2];
	o->at = at + (kind == 1 ? 1 : size < 2 ? 2 : size);
	return kind == 0 || o->scale;
}

/* The shift of a SYN's window (RFC 7323 §2.2); without the option 0. */
__noinline __u32 window_scale(struct __sk_buff *skb, struct nat_packet *p)
{
	struct tcp_options o = {};
	__u32 length;

	if (!p)
		return 0;
	length = p->data_offset * 4 - sizeof(struct tcphdr);
	if (length > sizeof(o.byte))
		return 0;
	/* Both comparisons in one would be made on a copy, and the verifier of 6.12 would know nothing of `length` itself. */
	barrier_var(length);
	if (!length || bpf_skb_load_bytes(skb, p->l4 + sizeof(struct tcphdr), o.byte, length))
		return 0;
	bpf_loop(sizeof(o.byte), read_option, &o, 0);
	return o.scale;
}

/* A SYN or RST of an established session. False when the packet must not refresh it. */
__noinline bool note_control(struct __sk_buff *skb, struct nat_packet *p, struct hnv_nat_flow *f)
{
	struct hnv_nat_flow_key twin;
	struct hnv_nat_flow *back;

	if (!p || !f)
		return false;
	twin = twin_key(f, IPPROTO_TCP);
	back = bpf_map_lookup_elem(&flows, &twin);
	if (!back)
		return false;
	if (p->tcp_flags & HNV_NAT_RST) {
		if (!sound_reset(p, back))
			return false;
		/* Both: whoever goes on has not been reset, and clears his own (RFC 6146 §3.5.2.2). */
		f->tcp_flags |= HNV_NAT_RST;
		back->tcp_flags |= HNV_NAT_RST;
		return true;
	}
	/* The same endpoints begin anew only after the former connection has ended. */
	if (!(p->tcp_flags & HNV_NAT_ACK) &&
	    f->tcp_flags & back->tcp_flags & (HNV_NAT_RST | HNV_NAT_FIN)) {
		f->tcp_flags = 0;
		back->tcp_flags = 0;
	}
	f->tcp_flags = (f->tcp_flags & ~HNV_NAT_RST) | (p->tcp_flags & (HNV_NAT_SYN | HNV_NAT_ACK));
	f->scale = window_scale(skb, p);
	f->next = p->sequence + 1;
	f->ack = p->ack;
	f->window = p->window >> f->scale;
	return true;
}

/* What a packet leaves in its entry. Words are written only when they change: two CPUs may hold them. */
static __always_inline void note_tcp(struct hnv_nat_flow *f, __u8 flags, __u32 ack, __u16 window)
{
	__u8 seen = (f->tcp_flags | (flags & (HNV_NAT_FIN | HNV_NAT_ACK))) & ~HNV_NAT_RST;

	if (f->tcp_flags != seen)
		f->tcp_flags = seen;
	if (f->ack != ack)
		f->ack = ack;
	if (f->window != window)
		f->window = window;
}

static __always_inline void note_seen(struct hnv_nat_flow *f, __u32 now)
{
	if (f->seen != now)
		f->seen = now;
}

/* Of packets of any shape. */
__noinline int note_packet(struct __sk_buff *skb, struct nat_packet *p, struct hnv_nat_flow *f)
{
	if (!p || !f)
		return 0;
	if (p->key.protocol == IPPROTO_TCP) {
		if (p->tcp_flags & (HNV_NAT_SYN | HNV_NAT_RST)) {
			if (!note_control(skb, p, f))
				return 0;
		} else {
			note_tcp(f, p->tcp_flags, p->ack, p->window);
		}
	}
	note_seen(f, clock_s());
	return 0;
}
