/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a port of the overlay may cause in a second. */
#pragma once
#include "bucket.h"
#include "maps.h"

/* True when the port may cause one more of `kind`. A bucket begins full. */
__noinline bool port_may(__u32 port, __u32 kind, __u32 rate, __u32 burst)
{
	struct hnv_bucket_key key = { .port = port, .kind = kind };
	struct hnv_bucket *bucket = bpf_map_lookup_elem(&buckets, &key);

	if (!bucket) {
		struct hnv_bucket full = { .filled = bpf_ktime_get_ns(), .tokens = burst - 1 };

		bpf_map_update_elem(&buckets, &key, &full, BPF_ANY);
		return true;
	}
	return take_token(bucket, rate, burst);
}
