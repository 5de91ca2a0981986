/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "../abi.h"

/* Memory is taken as entries come, so the limits may be far above what a machine serves. */
#define HNV_HASH(name, key_type, value_type, limit)                \
	struct {                                                   \
		__uint(type, BPF_MAP_TYPE_HASH);                   \
		__uint(map_flags, BPF_F_NO_PREALLOC);              \
		__uint(max_entries, limit);                        \
		__type(key, key_type);                             \
		__type(value, value_type);                         \
	} name SEC(".maps")

HNV_HASH(ports, __u32, struct hnv_port, 1 << 14);
HNV_HASH(records, struct hnv_record_key, struct hnv_location, 1 << 20);
HNV_HASH(macs, struct hnv_mac_key, struct hnv_location, 1 << 20);
HNV_HASH(tunnels, struct hnv_tunnel_key, struct hnv_tunnel, 1 << 18);
HNV_HASH(vsids, __u32, struct hnv_vsid, 1 << 16);
HNV_HASH(providers, struct hnv_address, __u32, 1 << 14);

HNV_HASH(replicas, struct hnv_replica_key, struct hnv_location, 1 << 18);

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 18);
	__type(key, struct hnv_route_key);
	__type(value, struct hnv_route);
} routes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, struct hnv_drop_key);
	__type(value, struct hnv_drops);
} drops SEC(".maps");

/* Written by the data plane alone; a port that goes leaves its bucket to the map's own eviction. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 15);
	__type(key, struct hnv_bucket_key);
	__type(value, struct hnv_bucket);
} buckets SEC(".maps");

/* How many drops become events. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hnv_bucket);
} samples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");
