/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "../../nat-abi.h"
#include "../hash.h"

#define NAT_ARRAY(name, value_type, length)              \
	struct {                                         \
		__uint(type, BPF_MAP_TYPE_ARRAY);        \
		__uint(max_entries, length);             \
		__type(key, __u32);                      \
		__type(value, value_type);               \
	} name SEC(".maps")

/* The control plane's. */
NAT_ARRAY(settings, struct hnv_nat_settings, 1);
NAT_ARRAY(tenants, struct hnv_nat_tenant, HNV_NAT_TENANTS);
NAT_ARRAY(pools, struct hnv_nat_pool, HNV_NAT_POOLS);
NAT_ARRAY(reserved, struct hnv_nat_reserved, HNV_NAT_BLOCKS);
NAT_ARRAY(maglev, struct hnv_nat_maglev, HNV_NAT_SERVICES);
HNV_HASH(policies, __u32, struct hnv_nat_policy, HNV_NAT_TENANTS);
HNV_HASH(addresses, __be32, __u32, HNV_NAT_POOLS);
HNV_HASH(statics, struct hnv_nat_static_key, struct hnv_nat_static, 1 << 17);
HNV_HASH(dips, struct hnv_nat_dip_key, struct hnv_nat_dip, 1 << 16);
HNV_HASH(one_to_one, struct hnv_nat_host_key, struct hnv_nat_one_to_one, 1 << 16);

/* The data plane's. */
/*
 * Half a million sessions, 128 bytes an entry. All memory is taken at once: new sessions are a fifth faster than with memory taken
 * as they come. Whoever loads the object may choose another size.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 20);
	__type(key, struct hnv_nat_flow_key);
	__type(value, struct hnv_nat_flow);
} flows SEC(".maps");

HNV_HASH(mappings, struct hnv_nat_mapping_key, struct hnv_nat_mapping, 1 << 20);
HNV_HASH(externals, struct hnv_nat_endpoint, struct hnv_nat_inside, 1 << 20);
HNV_HASH(contacts, struct hnv_nat_contact_key, struct hnv_nat_contact, 1 << 20);
HNV_HASH(hosts, struct hnv_nat_host_key, struct hnv_nat_host, 1 << 20);
NAT_ARRAY(usage, struct hnv_nat_usage, HNV_NAT_TENANTS);
NAT_ARRAY(blocks, struct hnv_nat_block, HNV_NAT_BLOCKS);
NAT_ARRAY(clock, __u64, 1);

/* Identifications of fragmented packets that leave, by where they go: unique for as long as they can be. */
#define IDENTIFICATIONS 2048
NAT_ARRAY(identifications, __u32, IDENTIFICATIONS);

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 14);
	__type(key, struct hnv_nat_fragment_key);
	__type(value, struct hnv_nat_fragment);
} fragments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} nat_events SEC(".maps");
