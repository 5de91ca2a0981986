/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Memory is taken as entries come, so the limits may be far above what a machine serves. */
#define HNV_HASH(name, key_type, value_type, limit)                \
	struct {                                                   \
		__uint(type, BPF_MAP_TYPE_HASH);                   \
		__uint(map_flags, BPF_F_NO_PREALLOC);              \
		__uint(max_entries, limit);                        \
		__type(key, key_type);                             \
		__type(value, value_type);                         \
	} name SEC(".maps")
