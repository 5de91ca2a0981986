/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Endpoint-independent mappings (RFC 4787 REQ-1, REQ-2, REQ-4; RFC 5382 REQ-1; RFC 5508 REQ-1): one external endpoint for an
 * inside one, for as long as it has sessions and the quarantine after them.
 */
#pragma once
#include <bpf/bpf_endian.h>
#include "../../reason.h"
#include "block.h"
#include "quota.h"

/* One end of a session that lies in a tenant's network. */
struct nat_side {
	__u32 rdid;
	__be32 address; /* inside */
	__be16 port;
	__u8 protocol;
	__u8 kind; /* HNV_NAT_MAPPED …; 0 = one-to-one */
	__be32 external;
	__be16 external_port;
	__u16 pool;
	__u8 set;
	__u8 contact; /* counted in `contacts` */
	__u8 fresh;   /* the mapping was made for this session */
	__u8 zero;
	__u16 dip;
};

static __always_inline struct hnv_nat_mapping_key mapping_key(const struct nat_side *side)
{
	return (struct hnv_nat_mapping_key){ .rdid = side->rdid, .address = side->address, .port = side->port,
					     .protocol = side->protocol, .set = side->set };
}

/* Takes a place in the pool for a host's next mapping; false when the host is bound to another one. */
static __always_inline bool pair(__u32 *place, __u32 pool)
{
	for (int i = 0; i < CONTENTION; i++) {
		__u32 was = *(volatile __u32 *)place;

		if (was & 0xffff && was >> 16 != pool + 1)
			return false;
		if (__sync_val_compare_and_swap(place, was, was & 0xffff ? was + 1 : (pool + 1) << 16 | 1) == was)
			return true;
	}
	return false;
}

/*
 * A free port for a new mapping in one of the rule's pools. Paired pooling: the pool where the host has mappings already, or, if
 * it has none, those of the rule in an order that its address gives.
 */
static __always_inline bool claim_for(struct nat_side *side, struct hnv_nat_host *host, struct hnv_nat_rule *rule,
				 struct nat_claim *c)
{
	__u32 count, start, *place;

	if (!side || !host || !rule || !c)
		return false;
	place = &host->set[side->set & (HNV_NAT_SETS - 1)];
	count = rule->pools;
	if (!count || count > HNV_NAT_RULE_POOLS)
		return false;
	c->rdid = side->rdid;
	c->protocol = bitmap_of(side->protocol);
	c->hash = mix(side->address ^ side->rdid, (__u32)side->port << 8 | side->protocol);
	c->parity = side->protocol != IPPROTO_ICMP;
	c->odd = bpf_ntohs(side->port) & 1;
	start = mix(side->address, side->rdid);
	for (__u32 i = 0; i < HNV_NAT_RULE_POOLS; i++) {
		__u32 pool;

		if (i >= count)
			break;
		pool = rule->pool[(start + i) % count & (HNV_NAT_RULE_POOLS - 1)];
		if (!pair(place, pool))
			continue;
		c->pool = pool;
		if (claim_port(c))
			return true;
		__sync_fetch_and_sub(place, 1);
	}
	return false;
}

/* Gives the side a new mapping with one session; 0 or the reason. */
__noinline __u32 open_mapping(struct nat_side *side, __u32 rule)
{
	struct nat_claim claim = {};
	struct hnv_nat_mapping m = { .sessions = 1 };
	struct hnv_nat_inside inside = {};
	struct hnv_nat_endpoint endpoint = {};
	struct hnv_nat_mapping_key key;
	struct hnv_nat_host_key host_key;
	struct hnv_nat_tenant *tenant;
	struct hnv_nat_policy *policy;
	struct hnv_nat_usage *u;
	struct hnv_nat_host *host;
	struct hnv_nat_pool *pool;
	__u32 had;

	if (!side || rule >= HNV_NAT_RULES)
		return HNV_NAT_TABLE;
	host_key.rdid = side->rdid;
	host_key.address = side->address;
	tenant = tenant_at(side->rdid);
	u = bpf_map_lookup_elem(&usage, &side->rdid);
	host = bpf_map_lookup_elem(&hosts, &host_key);
	policy = bpf_map_lookup_elem(&policies, &side->rdid);
	if (!tenant || !u || !host || !policy)
		return HNV_NAT_TABLE;
	had = __sync_fetch_and_add(&host->ports, 1);
	if (tenant->max_host_ports && had >= tenant->max_host_ports) {
		__sync_fetch_and_sub(&host->ports, 1);
		return HNV_NAT_HOST_PORTS;
	}
	if (!claim_for(side, host, &policy->rule[rule], &claim)) {
		__sync_fetch_and_sub(&host->ports, 1);
		return HNV_NAT_PORTS;
	}
	pool = pool_at(claim.pool);
	if (!pool)
		return HNV_NAT_TABLE;
	__sync_fetch_and_add(&u->ports, 1);
	m.address = pool->address;
	m.port = bpf_htons(claim.found);
	m.pool = claim.pool;
	m.block = claim.block;
	m.opened = clock_s();
	side->external = m.address;
	side->external_port = m.port;
	side->pool = m.pool;
	endpoint.address = m.address;
	endpoint.port = m.port;
	endpoint.protocol = side->protocol;
	inside.rdid = side->rdid;
	inside.address = side->address;
	inside.port = side->port;
	inside.set = side->set;
	key = mapping_key(side);
	if (!bpf_map_update_elem(&externals, &endpoint, &inside, BPF_ANY)) {
		if (!bpf_map_update_elem(&mappings, &key, &m, BPF_NOEXIST)) {
			side->fresh = 1;
			return 0;
		}
		bpf_map_delete_elem(&externals, &endpoint);
	}
	__sync_fetch_and_sub(&u->ports, 1);
	__sync_fetch_and_sub(&host->ports, 1);
	__sync_fetch_and_sub(&host->set[side->set & (HNV_NAT_SETS - 1)], 1);
	release_port(&m, side->protocol, side->rdid);
	return HNV_NAT_TABLE;
}

/* One more session of the side's mapping; `may_open`: or a new one, out of the pools of the tenant's `rule`. 0 or the reason. */
static __always_inline __u32 join_mapping(struct nat_side *side, bool may_open, __u32 rule)
{
	struct hnv_nat_mapping_key key;
	struct hnv_nat_mapping *m;
	__u32 had;

	if (!side)
		return HNV_NAT_TABLE;
	key = mapping_key(side);
	m = bpf_map_lookup_elem(&mappings, &key);
	if (!m)
		return may_open ? open_mapping(side, rule) : HNV_NAT_NO_MAPPING;
	had = __sync_fetch_and_add(&m->sessions, 1);
	if (had & HNV_NAT_ENDED || (!had && !may_open)) {
		__sync_fetch_and_sub(&m->sessions, 1);
		return may_open ? HNV_NAT_TABLE : HNV_NAT_NO_MAPPING;
	}
	side->external = m->address;
	side->external_port = m->port;
	side->pool = m->pool;
	return 0;
}

__noinline int leave_mapping(struct hnv_nat_mapping_key *key, __u32 now)
{
	struct hnv_nat_mapping *m;

	if (!key)
		return 0;
	m = bpf_map_lookup_elem(&mappings, key);
	if (!m)
		return 0;
	m->released = now;
	__sync_fetch_and_sub(&m->sessions, 1);
	return 0;
}

/* Ends a mapping without sessions; false when it has got one meanwhile. Its block stays the tenant's until a sweep. */
__noinline bool close_mapping(struct hnv_nat_mapping_key *key)
{
	struct hnv_nat_endpoint endpoint = {};
	struct hnv_nat_host_key host_key;
	struct hnv_nat_mapping *m;
	struct hnv_nat_usage *u;
	struct hnv_nat_host *host;

	if (!key)
		return false;
	m = bpf_map_lookup_elem(&mappings, key);
	if (!m || __sync_val_compare_and_swap(&m->sessions, 0, HNV_NAT_ENDED))
		return false;
	endpoint.address = m->address;
	endpoint.port = m->port;
	endpoint.protocol = key->protocol;
	bpf_map_delete_elem(&externals, &endpoint);
	host_key.rdid = key->rdid;
	host_key.address = key->address;
	host = bpf_map_lookup_elem(&hosts, &host_key);
	if (host) {
		__sync_fetch_and_sub(&host->ports, 1);
		__sync_fetch_and_sub(&host->set[key->set & (HNV_NAT_SETS - 1)], 1);
	}
	release_port(m, key->protocol, key->rdid);
	u = bpf_map_lookup_elem(&usage, &key->rdid);
	if (u)
		__sync_fetch_and_sub(&u->ports, 1);
	bpf_map_delete_elem(&mappings, key);
	return true;
}
