/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The time, which tests can stop, and what may happen so many times a second. */
#pragma once
#include <stdbool.h>
#include "maps.h"

#define NS_PER_S 1000000000ULL
#define NS_PER_MS 1000000ULL

static __always_inline __u64 stopped_ns(void)
{
	__u32 zero = 0;
	__u64 *stopped = bpf_map_lookup_elem(&clock, &zero);

	return stopped ? *stopped : 0;
}

/* Of packets. */
static __always_inline __u64 clock_ns(void)
{
	__u64 stopped = stopped_ns();

	return stopped ? stopped : bpf_ktime_get_coarse_ns();
}

/* Of SEC("syscall"), which may not ask for the coarse clock. A few ms ahead of that. */
static __always_inline __u32 sweep_s(void)
{
	__u64 stopped = stopped_ns();

	return (stopped ? stopped : bpf_ktime_get_ns()) / NS_PER_S;
}

static __always_inline __u32 clock_s(void)
{
	return clock_ns() / NS_PER_S;
}

/*
 * One more in a second of `rate`; 0 = as many as there are. Two CPUs may take the same token: a rate need not be exact. A
 * bucket of zeros is full: the clock is far from 0 when anything happens.
 */
static __always_inline bool take_rate(struct hnv_nat_bucket *bucket, __u32 rate, __u64 now)
{
	__u64 elapsed = now - bucket->filled, earned;

	if (!rate)
		return true;
	if (elapsed >= NS_PER_S) {
		bucket->tokens = rate;
		bucket->filled = now;
	} else {
		earned = elapsed * rate / NS_PER_S;
		if (earned) {
			bucket->tokens = bucket->tokens + earned > rate ? rate : bucket->tokens + earned;
			bucket->filled += earned * NS_PER_S / rate;
		}
	}
	if (!bucket->tokens)
		return false;
	bucket->tokens--;
	return true;
}
