/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The end of things. Packets never end anything: a sweep does, from time to time, and so what is there at a time depends on the
 * packets and sweeps before it alone.
 *
 * Idle times: TCP by what both sides have seen (RFC 5382 REQ-5, RFC 7857 §2.2), UDP by what the inside has sent unless inbound
 * packets refresh too (RFC 4787 REQ-6), queries by either side (RFC 5508 REQ-2).
 */
#pragma once
#include "session.h"

/* Younger than this no time-out has passed; spares most sessions the look at their other half. */
static __always_inline __u32 idle_of(__u32 now, const struct hnv_nat_flow *f)
{
	__s32 idle = now - f->seen;

	return idle > 0 ? idle : 0;
}

static __always_inline bool is_established(const struct hnv_nat_flow *a, const struct hnv_nat_flow *b)
{
	__u8 both = a->tcp_flags & b->tcp_flags;

	return (both & (HNV_NAT_ACK | HNV_NAT_FIN | HNV_NAT_RST)) == HNV_NAT_ACK;
}

/* True when the session of the opener's entry `f` is over. `back` may be missing. */
static __always_inline bool is_over(const struct hnv_nat_flow_key *key, const struct hnv_nat_flow *f,
				    const struct hnv_nat_flow *back, const struct hnv_nat_tenant *tenant, __u32 now)
{
	__u32 mine = idle_of(now, f), other = back ? idle_of(now, back) : ~0U, idle = mine < other ? mine : other;

	if (!back)
		return true;
	if (key->protocol == IPPROTO_TCP)
		return idle >= (is_established(f, back) ? tenant->tcp_established : tenant->tcp_transient);
	if (key->protocol == IPPROTO_ICMP)
		return idle >= tenant->icmp_query;
	/* Of a mapping that the inside must keep alive: from outside, the second entry is the inside's. */
	if (!(tenant->flags & HNV_NAT_INBOUND_REFRESH) && f->kind == HNV_NAT_MAPPED) {
		if (!key->rdid)
			idle = other;
		else if (!(f->flags & HNV_NAT_TO_INSIDE))
			idle = mine;
	}
	return idle >= tenant->udp_idle;
}

static __always_inline __u32 shortest(const struct hnv_nat_tenant *tenant, __u8 protocol)
{
	return protocol == IPPROTO_TCP ? tenant->tcp_transient < tenant->tcp_established ? tenant->tcp_transient :
											  tenant->tcp_established :
	       protocol == IPPROTO_ICMP ? tenant->icmp_query : tenant->udp_idle;
}

struct sweep {
	struct hnv_nat_sweep told;
	__u32 now;
};

static long sweep_flow(void *map, struct hnv_nat_flow_key *key, struct hnv_nat_flow *f, struct sweep *c)
{
	struct hnv_nat_flow_key own, twin;
	struct hnv_nat_tenant *tenant;
	struct hnv_nat_flow *back, copy;

	(void)map;
	c->told.flows++;
	tenant = tenant_at(f->rdid);
	if (!tenant)
		return 0;
	/* Of a session from outside that only the inside keeps alive, this entry alone says nothing. */
	if (idle_of(c->now, f) < shortest(tenant, key->protocol) && (key->rdid || key->protocol != IPPROTO_UDP))
		return 0;
	own = *key;
	twin = twin_key(f, key->protocol);
	back = bpf_map_lookup_elem(&flows, &twin);
	if (!(f->flags & HNV_NAT_OPENER)) {
		/* Its opener's entry ends it; one without is left over from an end that was interrupted. */
		if (!back)
			bpf_map_delete_elem(&flows, &own);
		return 0;
	}
	if (!is_over(key, f, back, tenant, c->now))
		return 0;
	copy = *f;
	end_session(&own, &copy, c->now);
	c->told.ended++;
	return 0;
}

static long sweep_mapping(void *map, struct hnv_nat_mapping_key *key, struct hnv_nat_mapping *m, struct sweep *c)
{
	struct hnv_nat_mapping_key own = *key;
	struct hnv_nat_tenant *tenant;

	(void)map;
	c->told.mappings++;
	if (m->sessions)
		return 0;
	tenant = tenant_at(own.rdid);
	if (!tenant || c->now - m->released < tenant->quarantine)
		return 0;
	if (close_mapping(&own))
		c->told.freed++;
	return 0;
}

static __always_inline bool close_host(struct hnv_nat_host_key *key, struct hnv_nat_host *host)
{
	if (host->sessions || host->ports || __sync_val_compare_and_swap(&host->sessions, 0, HNV_NAT_ENDED))
		return false;
	if (host->ports) {
		__sync_fetch_and_sub(&host->sessions, HNV_NAT_ENDED);
		return false;
	}
	bpf_map_delete_elem(&hosts, key);
	return true;
}

static long sweep_host(void *map, struct hnv_nat_host_key *key, struct hnv_nat_host *host, struct sweep *c)
{
	struct hnv_nat_host_key own = *key;

	(void)map;
	c->told.hosts++;
	close_host(&own, host);
	return 0;
}

/* A block without ports goes back, unless it is the tenant's last: its next session would take one anyway. */
static long sweep_block(void *map, __u32 *number, struct hnv_nat_block *block, struct sweep *c)
{
	__u32 at = *number, owner = block->owner;
	struct hnv_nat_usage *u;

	(void)map;
	if (!owner || owner == HNV_NAT_CLOSING || block->used[0] || block->used[1] || block->used[2])
		return 0;
	u = bpf_map_lookup_elem(&usage, &owner);
	if (u && u->blocks > 1 && return_block(u, owner, at, c->now))
		c->told.returned++;
	return 0;
}
