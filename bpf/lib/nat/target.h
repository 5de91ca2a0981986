/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What an external endpoint of ours stands for, for a sender that has no session yet: a static mapping, a virtual IP address, a
 * one-to-one mapping, or the mapping of an inside endpoint, in this order. Everything else is the gateway's own.
 */
#pragma once
#include "session.h"

/* Besides reasons: */
#define NOT_OURS 0xffff	  /* nothing of a tenant's */
#define STATELESS 0xfffe  /* `once` says what becomes of the packet */

#define POOL_CHAIN 16 /* pools of one address */

/* What is worked with while a session is opened; too much for the stack. */
struct nat_scratch {
	struct nat_packet packet;
	struct nat_side a; /* the inside endpoint that sent the packet */
	struct nat_side b; /* the one that gets it */
	struct hnv_nat_flow_key twin;
	struct hnv_nat_flow out;
	struct hnv_nat_flow back;
	struct hnv_nat_flow once;
	__u32 rule; /* of the policy, that serves `a` */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct nat_scratch);
} scratch SEC(".maps");

static __always_inline struct nat_scratch *scratch_here(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

/* RFC 5382 REQ-4, RFC 793: what opens a connection. */
static __always_inline bool opens(const struct nat_packet *p)
{
	if (p->key.protocol == IPPROTO_TCP)
		return (p->tcp_flags & (HNV_NAT_SYN | HNV_NAT_ACK | HNV_NAT_RST | HNV_NAT_FIN)) == HNV_NAT_SYN;
	return p->key.protocol == IPPROTO_UDP || is_request(p->query);
}

/* The consistent choice of a DIP (Maglev): of the flow, or of its source address alone. */
__noinline __u32 choose_dip(struct nat_side *b, struct hnv_nat_static *vip, __be32 remote, __be16 remote_port)
{
	struct hnv_nat_dip_key key = {};
	struct hnv_nat_maglev *table;
	struct hnv_nat_dip *dip;
	__u32 service, hash, slot;

	if (!b || !vip)
		return HNV_NAT_NO_DIP;
	service = vip->service;
	table = bpf_map_lookup_elem(&maglev, &service);
	if (!table)
		return HNV_NAT_NO_DIP;
	hash = mix(remote, vip->flags & HNV_NAT_SOURCE_AFFINITY ? service : (__u32)remote_port << 16 | service);
	key.service = service;
	slot = hash % HNV_NAT_MAGLEV;
	barrier_var(slot); /* or the compiler leaves out what the verifier must see */
	if (slot >= HNV_NAT_MAGLEV)
		return HNV_NAT_NO_DIP;
	key.dip = table->dip[slot] - 1;
	dip = bpf_map_lookup_elem(&dips, &key);
	if (!dip)
		return HNV_NAT_NO_DIP;
	b->address = dip->address;
	b->port = dip->port;
	b->dip = key.dip;
	return 0;
}

__noinline __u32 find_static(struct nat_scratch *s, struct hnv_nat_static *found, __be32 remote, __be16 remote_port)
{
	if (!s || !found)
		return HNV_NAT_NO_MAPPING;
	s->b.rdid = found->rdid;
	s->b.kind = found->kind;
	s->b.pool = found->pool;
	if (!opens(&s->packet))
		return HNV_NAT_NO_SESSION;
	if ((remote & found->remote_mask) != found->remote)
		return HNV_NAT_FILTERED;
	if (found->kind == HNV_NAT_VIP)
		return choose_dip(&s->b, found, remote, remote_port);
	s->b.address = found->address;
	s->b.port = found->port;
	return 0;
}

/* The block of the address that holds the port, if a tenant has it and the port is not kept from it; else 0xffffffff. */
__noinline __u32 block_of(__u32 first, __u16 port, __u8 protocol, struct nat_side *b)
{
	__u32 index = first, map = bitmap_of(protocol);

	if (!b)
		return ~0U;
	for (int i = 0; i < POOL_CHAIN; i++) {
		struct hnv_nat_pool *pool = pool_at(index);
		__u32 offset, number, bit;
		struct hnv_nat_reserved *taken;
		struct hnv_nat_block *block;

		if (!pool)
			return ~0U;
		offset = (__u32)port - pool->port_start;
		if (pool->block_ports && offset < pool->blocks * pool->block_ports) {
			number = pool->first_block + offset / pool->block_ports;
			bit = offset % pool->block_ports;
			taken = bpf_map_lookup_elem(&reserved, &number);
			block = bpf_map_lookup_elem(&blocks, &number);
			if (!taken || !block || map > HNV_NAT_ICMP || bit >= HNV_NAT_WORDS * 64)
				return ~0U;
			if (taken->of[map].word[bit / 64] >> (bit & 63) & 1)
				return ~0U;
			if (!block->owner || block->owner == HNV_NAT_CLOSING)
				return ~0U;
			b->pool = index;
			b->rdid = block->owner;
			return number;
		}
		if (!pool->next)
			return ~0U;
		index = pool->next - 1;
	}
	return ~0U;
}

__noinline __u32 find_mapped(struct nat_scratch *s, __u32 first, __be32 remote)
{
	struct hnv_nat_endpoint endpoint = {};
	struct hnv_nat_contact_key contact = {};
	struct hnv_nat_inside *inside;
	struct hnv_nat_tenant *tenant;
	struct nat_side *b;
	__u8 filtering;

	if (!s)
		return NOT_OURS;
	b = &s->b;
	if (!has_ports(b->protocol) || block_of(first, bpf_ntohs(b->external_port), b->protocol, b) == ~0U)
		return NOT_OURS;
	endpoint.address = b->external;
	endpoint.port = b->external_port;
	endpoint.protocol = b->protocol;
	inside = bpf_map_lookup_elem(&externals, &endpoint);
	if (!inside)
		return HNV_NAT_NO_MAPPING;
	b->rdid = inside->rdid;
	b->address = inside->address;
	b->port = inside->port;
	b->set = inside->set;
	b->kind = HNV_NAT_MAPPED;
	tenant = tenant_at(b->rdid);
	if (!tenant)
		return HNV_NAT_NO_MAPPING;
	if (!opens(&s->packet))
		return HNV_NAT_NO_SESSION;
	filtering = b->protocol == IPPROTO_TCP ? tenant->tcp_filtering : tenant->udp_filtering;
	if (filtering == HNV_NAT_ENDPOINT_INDEPENDENT)
		return 0;
	if (filtering != HNV_NAT_ADDRESS_DEPENDENT)
		return HNV_NAT_FILTERED;
	contact.address = b->external;
	contact.remote = remote;
	contact.port = b->external_port;
	contact.protocol = b->protocol;
	b->contact = 1;
	return bpf_map_lookup_elem(&contacts, &contact) ? 0 : HNV_NAT_FILTERED;
}

/*
 * Finds `b` for the packet, which `remote` sends: 0, NOT_OURS, or the reason why it must not arrive. b->rdid is right with every
 * reason.
 */
__noinline __u32 find_target(struct nat_scratch *s, __be32 remote, __be16 remote_port)
{
	struct hnv_nat_static_key key = {};
	struct hnv_nat_host_key host = {};
	struct hnv_nat_one_to_one *one;
	struct hnv_nat_static *found;
	__u32 *first;

	if (!s)
		return NOT_OURS;
	__builtin_memset(&s->b, 0, sizeof(s->b));
	s->b.protocol = s->packet.key.protocol;
	s->b.external = s->packet.key.destination;
	s->b.external_port = s->packet.key.destination_port;
	first = bpf_map_lookup_elem(&addresses, &s->b.external);
	if (!first)
		return NOT_OURS;
	key.address = s->b.external;
	key.port = s->b.external_port;
	key.protocol = s->b.protocol;
	found = has_ports(key.protocol) ? bpf_map_lookup_elem(&statics, &key) : 0;
	if (found)
		return find_static(s, found, remote, remote_port);
	host.address = s->b.external;
	one = bpf_map_lookup_elem(&one_to_one, &host);
	if (one) {
		s->b.rdid = one->rdid;
		s->b.address = one->address;
		s->b.port = s->b.external_port;
		s->b.pool = one->pool;
		return 0;
	}
	return find_mapped(s, *first, remote);
}
