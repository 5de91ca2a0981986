/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a tenant and each of its inside addresses may have (RFC 6888 REQ-4, REQ-5; RFC 7857 §9): a limit ends only new sessions
 * of the one who meets it.
 */
#pragma once
#include "../../reason.h"
#include "clock.h"
#include "maps.h"

/* The entry of an inside address; a new one when there is none. NULL when the table is full. */
static __noinline struct hnv_nat_host *host_at(struct hnv_nat_host_key *key)
{
	struct hnv_nat_host fresh = {}, *host;

	if (!key)
		return 0;
	host = bpf_map_lookup_elem(&hosts, key);
	if (host)
		return host;
	bpf_map_update_elem(&hosts, key, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&hosts, key);
}

/* Counts one more session; 0, or the reason why there must not be one. */
__noinline __u32 admit_session(struct hnv_nat_host_key *key)
{
	struct hnv_nat_tenant *tenant;
	struct hnv_nat_usage *u;
	struct hnv_nat_host *host;
	__u64 now = clock_ns();
	__u32 had;

	if (!key)
		return HNV_NAT_TABLE;
	tenant = bpf_map_lookup_elem(&tenants, &key->rdid);
	u = bpf_map_lookup_elem(&usage, &key->rdid);
	host = host_at(key);
	if (!tenant || !u || !host)
		return HNV_NAT_TABLE;
	if (!take_rate(&host->rate, tenant->host_session_rate, now) || !take_rate(&u->rate, tenant->session_rate, now))
		return HNV_NAT_RATE;
	had = __sync_fetch_and_add(&u->sessions, 1);
	if (tenant->max_sessions && had >= tenant->max_sessions) {
		__sync_fetch_and_sub(&u->sessions, 1);
		return HNV_NAT_SESSIONS;
	}
	had = __sync_fetch_and_add(&host->sessions, 1);
	if (had & HNV_NAT_ENDED || (tenant->max_host_sessions && had >= tenant->max_host_sessions)) {
		__sync_fetch_and_sub(&host->sessions, 1);
		__sync_fetch_and_sub(&u->sessions, 1);
		return had & HNV_NAT_ENDED ? HNV_NAT_TABLE : HNV_NAT_SESSIONS;
	}
	return 0;
}

__noinline int dismiss_session(struct hnv_nat_host_key *key)
{
	struct hnv_nat_usage *u;
	struct hnv_nat_host *host;

	if (!key)
		return 0;
	u = bpf_map_lookup_elem(&usage, &key->rdid);
	host = bpf_map_lookup_elem(&hosts, key);
	if (u)
		__sync_fetch_and_sub(&u->sessions, 1);
	if (host)
		__sync_fetch_and_sub(&host->sessions, 1);
	return 0;
}
