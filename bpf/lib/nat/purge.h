/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The end of a tenant, of one of its inside addresses, or of a pool: everything that it has, and nothing of another's. The control
 * plane takes the tenant or the pool out of the policy first, so that nothing new comes.
 */
#pragma once
#include "sweep.h"

static __always_inline bool purges(const struct hnv_nat_purge *p, __u32 rdid, __be32 address)
{
	return (!p->rdid || p->rdid == rdid) && (!p->address || p->address == address);
}

/* The pool that serves the inside end of an entry; ~0 = none. */
static __always_inline __u32 pool_of(const struct hnv_nat_flow_key *key, const struct hnv_nat_flow *f)
{
	struct hnv_nat_mapping_key mapping;
	struct hnv_nat_mapping *m;

	if (!(f->flags & HNV_NAT_TO_INSIDE))
		return f->egress;
	if (!mapping_of(key, f, &mapping))
		return ~0U;
	m = bpf_map_lookup_elem(&mappings, &mapping);
	return m ? m->pool : ~0U;
}

static __always_inline bool purges_entry(const struct hnv_nat_purge *p, const struct hnv_nat_flow_key *key,
					 const struct hnv_nat_flow *f)
{
	return key->rdid && purges(p, key->rdid, key->source) && (p->pool == ~0U || pool_of(key, f) == p->pool);
}

static long purge_flow(void *map, struct hnv_nat_flow_key *key, struct hnv_nat_flow *f, struct hnv_nat_purge *p)
{
	struct hnv_nat_flow_key own, twin;
	struct hnv_nat_flow *back, copy;

	(void)map;
	if (!(f->flags & HNV_NAT_OPENER))
		return 0;
	own = *key;
	copy = *f;
	twin = twin_key(&copy, own.protocol);
	back = bpf_map_lookup_elem(&flows, &twin);
	if (!purges_entry(p, &own, &copy) && !(back && purges_entry(p, &twin, back)))
		return 0;
	end_session(&own, &copy, sweep_s());
	p->ended++;
	return 0;
}

static long purge_mapping(void *map, struct hnv_nat_mapping_key *key, struct hnv_nat_mapping *m, struct hnv_nat_purge *p)
{
	struct hnv_nat_mapping_key own = *key;

	(void)map;
	if (purges(p, own.rdid, own.address) && (p->pool == ~0U || m->pool == p->pool))
		close_mapping(&own);
	return 0;
}

static long purge_contact(void *map, struct hnv_nat_contact_key *key, struct hnv_nat_contact *contact,
			  struct hnv_nat_purge *p)
{
	struct hnv_nat_contact_key own = *key;

	(void)map;
	if (contact->rdid == p->rdid)
		bpf_map_delete_elem(&contacts, &own);
	return 0;
}

static long purge_host(void *map, struct hnv_nat_host_key *key, struct hnv_nat_host *host, struct hnv_nat_purge *p)
{
	struct hnv_nat_host_key own = *key;

	(void)map;
	(void)host;
	if (own.rdid == p->rdid)
		bpf_map_delete_elem(&hosts, &own);
	return 0;
}

static long purge_fragment(void *map, struct hnv_nat_fragment_key *key, struct hnv_nat_fragment *f, struct hnv_nat_purge *p)
{
	struct hnv_nat_fragment_key own = *key;
	__u32 rdid = p->rdid;

	(void)map;
	if (own.rdid == rdid || (f->flags & HNV_NAT_TO_INSIDE && f->egress == rdid))
		bpf_map_delete_elem(&fragments, &own);
	return 0;
}

/* Blocks that hold no port any more: the last one of the tenant, or one of the pool. */
static long purge_block(void *map, __u32 *number, struct hnv_nat_block *block, struct hnv_nat_purge *p)
{
	__u32 at = *number, owner = block->owner;
	struct hnv_nat_usage *u;
	struct hnv_nat_pool *pool;

	(void)map;
	if (!owner || owner == HNV_NAT_CLOSING || (p->rdid && p->rdid != owner))
		return 0;
	if (p->pool != ~0U) {
		pool = pool_at(p->pool);
		if (!pool || at - pool->first_block >= pool->blocks)
			return 0;
	}
	u = bpf_map_lookup_elem(&usage, &owner);
	if (u)
		return_block(u, owner, at, sweep_s());
	return 0;
}
