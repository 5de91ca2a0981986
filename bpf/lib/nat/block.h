/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ports in blocks (RFC 6888 REQ-14, RFC 7422): a tenant takes blocks of a pool, and its mappings take ports of its blocks. Exact:
 * while a tenant has a free port or may have another free block, a port is found. Nothing is locked; whoever sets a bit or an
 * owner first has it.
 *
 * Deterministic for a given state: where a search begins is a hash of what is asked for (RFC 6056 §3.3.3), never chance.
 */
#pragma once
#include <linux/in.h>
#include "clock.h"
#include "maps.h"

#define CONTENTION 4 /* times that others may take a bit of the same word first */

static __always_inline __u32 mix(__u32 a, __u32 b)
{
	__u32 zero = 0, h;
	struct hnv_nat_settings *s = bpf_map_lookup_elem(&settings, &zero);

	h = (a ^ (s ? s->seed : 0)) * 0x9e3779b1;
	h ^= h >> 15;
	h = (h ^ b) * 0x85ebca6b;
	return h ^ h >> 13;
}

static __always_inline struct hnv_nat_pool *pool_at(__u32 index)
{
	return bpf_map_lookup_elem(&pools, &index);
}

static __always_inline struct hnv_nat_tenant *tenant_at(__u32 rdid)
{
	return bpf_map_lookup_elem(&tenants, &rdid);
}

static __always_inline __u32 bitmap_of(__u8 protocol)
{
	return protocol == IPPROTO_TCP ? HNV_NAT_TCP : protocol == IPPROTO_UDP ? HNV_NAT_UDP : HNV_NAT_ICMP;
}

/* Number of the lowest bit that is set; without branches, which the verifier would have to follow one by one. */
static __always_inline __u32 first_bit(__u64 word)
{
	__u64 below = (word & -word) - 1;

	below -= below >> 1 & 0x5555555555555555ULL;
	below = (below & 0x3333333333333333ULL) + (below >> 2 & 0x3333333333333333ULL);
	below = (below + (below >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return below * 0x0101010101010101ULL >> 56;
}

/* A search for a port; `found` is a port, 0 = none. */
struct nat_claim {
	__u32 rdid;
	__u32 pool;
	__u32 protocol; /* bitmap */
	__u32 hash;
	__u32 parity;	/* 1 = even or odd as `odd` */
	__u32 odd;
	__u32 block;	/* that was claimed */
	__u32 index;	/* of the block in the tenant's list */
	__u32 found;
};

/* A bit of one word that `wanted` allows; 64 = none. */
__noinline __u32 claim_in_word(struct hnv_nat_ports *ports, struct hnv_nat_ports *taken, __u32 at, __u64 wanted)
{
	__u64 free;

	if (!ports || !taken || at >= HNV_NAT_WORDS)
		return 64;
	free = ~(ports->word[at] | taken->word[at]) & wanted;
	for (int i = 0; i < CONTENTION && free; i++) {
		__u32 bit = first_bit(free) & 63;
		__u64 one = 1ULL << bit;

		if (!(__sync_fetch_and_or(&ports->word[at], one) & one))
			return bit;
		free &= ~one;
	}
	return 64;
}

static __always_inline __u32 claim_bit(struct hnv_nat_ports *ports, struct hnv_nat_ports *taken, __u32 hash, __u32 words,
				       __u64 wanted)
{
	__u32 start, at;

	if (!words || words > HNV_NAT_WORDS)
		return 1024;
	start = hash % (words * 64);
	at = start / 64;
	for (__u32 i = 0; i <= HNV_NAT_WORDS; i++) {
		__u64 mask = i ? wanted : wanted & ~0ULL << (start & 63);
		__u32 bit;

		if (i > words)
			break;
		at &= HNV_NAT_WORDS - 1;
		bit = claim_in_word(ports, taken, at, mask);
		if (bit < 64)
			return at * 64 + bit;
		at = at + 1 < words ? at + 1 : 0;
	}
	return 1024;
}

static __always_inline void release_bit(struct hnv_nat_ports *ports, __u32 bit)
{
	if (bit < HNV_NAT_WORDS * 64)
		__sync_fetch_and_and(&ports->word[bit / 64], ~(1ULL << (bit & 63)));
}

/* A port in a block of the tenant's: of the inside port's parity if there is one (RFC 4787 REQ-4), or any. */
__noinline bool claim_in_block(struct nat_claim *c, __u32 number)
{
	struct hnv_nat_block *block = bpf_map_lookup_elem(&blocks, &number);
	struct hnv_nat_reserved *taken = bpf_map_lookup_elem(&reserved, &number);
	struct hnv_nat_pool *pool;
	__u32 bit = 1024, first, map;
	__u64 odd, wanted = ~0ULL;

	if (!c || !block || !taken)
		return false;
	pool = pool_at(c->pool);
	map = c->protocol;
	if (!pool || map > HNV_NAT_ICMP || number - pool->first_block >= pool->blocks || block->owner != c->rdid ||
	    block->used[map] >= pool->block_ports)
		return false;
	first = pool->port_start + (number - pool->first_block) * pool->block_ports;
	odd = first & 1 ? 0x5555555555555555ULL : 0xaaaaaaaaaaaaaaaaULL;
	if (c->parity)
		wanted = c->odd ? odd : ~odd;
	for (int i = 0; i < 2 && bit >= 1024; i++) {
		bit = claim_bit(&block->of[map], &taken->of[map], c->hash, pool->block_ports / 64, wanted);
		wanted = ~wanted;
	}
	if (bit >= 1024)
		return false;
	/* The block may have been given back between the look at its owner and the claim. */
	if (*(volatile __u32 *)&block->owner != c->rdid) {
		release_bit(&block->of[map], bit);
		return false;
	}
	__sync_fetch_and_add(&block->used[map], 1);
	c->block = number;
	c->found = first + bit;
	return true;
}

static long claim_owned(__u32 i, struct nat_claim *c)
{
	struct hnv_nat_usage *u = bpf_map_lookup_elem(&usage, &c->rdid);
	__u32 index, number;

	if (!u)
		return 1;
	index = (c->index + i) % HNV_NAT_TENANT_BLOCKS;
	number = u->block[index];
	if (!number || !claim_in_block(c, number - 1))
		return 0;
	u->current = index;
	return 1;
}

__noinline int tell_block(struct hnv_nat_event *event)
{
	return event ? bpf_ringbuf_output(&nat_events, event, sizeof(*event), 0) : 0;
}

static long take_block(__u32 i, struct nat_claim *c)
{
	struct hnv_nat_pool *pool = pool_at(c->pool);
	struct hnv_nat_block *block;
	__u32 number;

	if (!pool || !pool->blocks)
		return 1;
	number = pool->first_block + (mix(c->rdid, c->pool) + i) % pool->blocks;
	block = bpf_map_lookup_elem(&blocks, &number);
	if (!block || block->owner || __sync_val_compare_and_swap(&block->owner, 0, c->rdid))
		return 0;
	block->taken = clock_s();
	c->block = number;
	c->found = 1;
	return 1;
}

static long list_block(__u32 i, struct nat_claim *c)
{
	struct hnv_nat_usage *u = bpf_map_lookup_elem(&usage, &c->rdid);

	if (!u || i >= HNV_NAT_TENANT_BLOCKS)
		return 1;
	if (u->block[i] || __sync_val_compare_and_swap(&u->block[i], 0, c->block + 1))
		return 0;
	c->index = i;
	return 1;
}

/* Another block for the tenant, in the pool; false when it may have no more, or all are taken. */
static __always_inline bool grow(struct nat_claim *c)
{
	struct hnv_nat_usage *u;
	struct hnv_nat_event event = { .type = HNV_NAT_BLOCK_TAKEN };
	struct hnv_nat_tenant *tenant;
	struct hnv_nat_pool *pool;

	u = bpf_map_lookup_elem(&usage, &c->rdid);
	tenant = tenant_at(c->rdid);
	pool = pool_at(c->pool);
	if (!u || !tenant || !pool)
		return false;
	if (__sync_fetch_and_add(&u->blocks, 1) >= tenant->max_blocks) {
		__sync_fetch_and_sub(&u->blocks, 1);
		return false;
	}
	c->found = 0;
	bpf_loop(pool->blocks, take_block, c, 0);
	if (!c->found) {
		__sync_fetch_and_sub(&u->blocks, 1);
		return false;
	}
	c->found = 0;
	bpf_loop(HNV_NAT_TENANT_BLOCKS, list_block, c, 0);
	c->found = 0;
	event.rdid = c->rdid;
	event.block = c->block;
	event.taken = clock_s();
	tell_block(&event);
	return true;
}

/* A port for the tenant in the pool: of the block where one was found last, of its other blocks, of a new one. */
__noinline bool claim_port(struct nat_claim *asked)
{
	struct nat_claim c;
	struct hnv_nat_usage *u;
	__u32 number;

	if (!asked)
		return false;
	c = *asked; /* bpf_loop takes nothing but what lies on the stack of its caller */
	u = bpf_map_lookup_elem(&usage, &c.rdid);
	if (!u)
		return false;
	c.found = 0;
	c.index = u->current % HNV_NAT_TENANT_BLOCKS;
	number = u->block[c.index];
	if (!number || !claim_in_block(&c, number - 1)) {
		if (u->blocks)
			bpf_loop(HNV_NAT_TENANT_BLOCKS, claim_owned, &c, 0);
		/* A block whose ports are all reserved is of no use; the next one may be. */
		for (int i = 0; i < CONTENTION && !c.found; i++) {
			if (!grow(&c))
				return false;
			number = c.block;
			if (claim_in_block(&c, number))
				u->current = c.index;
		}
	}
	*asked = c;
	return c.found;
}

/* The block goes back if it is empty. Claims that come in between find the owner changed, or are found here. */
__noinline bool return_block(struct hnv_nat_usage *u, __u32 rdid, __u32 number, __u32 now)
{
	struct hnv_nat_block *block = bpf_map_lookup_elem(&blocks, &number);
	struct hnv_nat_event event = { .type = HNV_NAT_BLOCK_RETURNED };
	__u64 any = 0;
	__u32 taken;

	if (!u || !block || __sync_val_compare_and_swap(&block->owner, rdid, HNV_NAT_CLOSING) != rdid)
		return false;
	for (__u32 i = 0; i < HNV_NAT_WORDS; i++)
		any |= block->of[0].word[i] | block->of[1].word[i] | block->of[2].word[i];
	if (any) {
		block->owner = rdid;
		return false;
	}
	for (__u32 i = 0; i < HNV_NAT_TENANT_BLOCKS; i++)
		if (u->block[i] == number + 1)
			u->block[i] = 0;
	__sync_fetch_and_sub(&u->blocks, 1);
	taken = block->taken;
	block->former = rdid;
	block->former_taken = taken;
	block->former_released = now;
	__sync_val_compare_and_swap(&block->owner, HNV_NAT_CLOSING, 0);
	event.rdid = rdid;
	event.block = number;
	event.taken = taken;
	event.released = now;
	tell_block(&event);
	return true;
}

/* The port may be given again. */
__noinline int release_port(struct hnv_nat_mapping *m, __u8 protocol, __u32 rdid)
{
	struct hnv_nat_block *block;
	struct hnv_nat_pool *pool;
	__u32 map = bitmap_of(protocol), number, first, bit;

	if (!m)
		return 0;
	number = m->block;
	block = bpf_map_lookup_elem(&blocks, &number);
	pool = pool_at(m->pool);
	if (!block || !pool || block->owner != rdid || map > HNV_NAT_ICMP)
		return 0;
	first = pool->port_start + (number - pool->first_block) * pool->block_ports;
	bit = (__u16)(m->port << 8 | m->port >> 8) - first;
	if (bit >= HNV_NAT_WORDS * 64)
		return 0;
	release_bit(&block->of[map], bit);
	__sync_fetch_and_sub(&block->used[map], 1);
	return 0;
}
