/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * No packet is dropped without a reason that is counted for its tenant and direction; a sample of them is told of.
 *
 * drop() and other functions of many callers are not static: the verifier looks at a global function once, at a static one anew
 * for every call, which took more than half of the time that loading takes.
 */
#pragma once
#include <linux/pkt_cls.h>
#include "../reason.h"
#include "bucket.h"
#include "drop-maps.h"

/* Events of drops per second and CPU, and at once: enough to see every kind, too few to keep a reader busy. */
#define SAMPLE_RATE 200
#define SAMPLE_BURST 64

static __noinline void describe_drop(struct hnv_event *event, struct __sk_buff *skb, struct hnv_drop_key *drop)
{
	__u32 captured = skb->len < HNV_EVENT_FRAME ? skb->len : HNV_EVENT_FRAME;

	if (!event || !drop)
		return;
	__builtin_memset(event, 0, sizeof(*event));
	event->type = HNV_EVENT_DROPPED;
	event->rdid = drop->rdid;
	event->port = skb->ifindex;
	event->reason = drop->reason;
	event->direction = drop->direction;
	event->length = skb->len;
	if (captured && !bpf_skb_load_bytes(skb, 0, event->frame, captured))
		event->captured = captured;
}

static __noinline void sample(struct __sk_buff *skb, struct hnv_drop_key *drop)
{
	__u32 zero = 0;
	struct hnv_bucket *bucket = bpf_map_lookup_elem(&samples, &zero);
	struct hnv_event *event;

	if (!bucket || !take_token(bucket, SAMPLE_RATE, SAMPLE_BURST))
		return;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event)
		return;
	describe_drop(event, skb, drop);
	bpf_ringbuf_submit(event, 0);
}

__noinline int drop(struct __sk_buff *skb, __u32 rdid, __u16 reason, __u16 direction)
{
	struct hnv_drop_key key = { .rdid = rdid, .reason = reason, .direction = direction };
	struct hnv_drops *count = bpf_map_lookup_elem(&drops, &key);

	if (!count) {
		struct hnv_drops zero = {};

		bpf_map_update_elem(&drops, &key, &zero, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&drops, &key);
	}
	if (count) {
		count->packets++;
		count->bytes += skb->len;
	}
	sample(skb, &key);
	return TC_ACT_SHOT;
}

static __always_inline int drop_sent(struct __sk_buff *skb, __u32 rdid, __u16 reason)
{
	return drop(skb, rdid, reason, HNV_FROM_PORT);
}

static __always_inline int drop_received(struct __sk_buff *skb, __u32 rdid, __u16 reason)
{
	return drop(skb, rdid, reason, HNV_FROM_WIRE);
}
