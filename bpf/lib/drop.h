/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* No packet is dropped without a reason that is counted for its tenant. */
#pragma once
#include <linux/pkt_cls.h>
#include "../reason.h"
#include "maps.h"

static __noinline int drop(struct __sk_buff *skb, __u32 rdid, __u32 reason)
{
	struct hnv_drop_key key = { .rdid = rdid, .reason = reason };
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
	return TC_ACT_SHOT;
}
