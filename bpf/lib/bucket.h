/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Token buckets: what may happen `rate` times a second, and `burst` times at once. */
#pragma once
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "../abi.h"

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
