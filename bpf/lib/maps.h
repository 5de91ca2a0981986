/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "../abi.h"
#include "hash.h"

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

/* Written by the data plane alone; a port that goes leaves its bucket to the map's own eviction. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 15);
	__type(key, struct hnv_bucket_key);
	__type(value, struct hnv_bucket);
} buckets SEC(".maps");
