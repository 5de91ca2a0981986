/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Token buckets: what may happen `rate` times a second, and `burst` times at once. */
#pragma once
#include <stdbool.h>
#include "maps.h"

#define SECOND 1000000000ULL

/* Two CPUs may take the same token; a limit need not be exact. */
static __always_inline bool take_token(struct hnv_bucket *bucket, __u32 rate, __u32 burst)
{
	__u64 now = bpf_ktime_get_ns(), earned = (now - bucket->filled) / (SECOND / rate);

	if (earned) {
		bucket->tokens = bucket->tokens + earned > burst ? burst : bucket->tokens + earned;
		bucket->filled = now;
	}
	if (!bucket->tokens)
		return false;
	bucket->tokens--;
	return true;
}

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
