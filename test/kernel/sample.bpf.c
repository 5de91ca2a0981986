// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Classifiers over four kinds of maps, for the tests of kernel/. RECORDS is the size of a map: another value, another shape. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#ifndef RECORDS
#define RECORDS 4096
#endif

struct lpm_key {
	__u32 bits;
	__u8 address[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RECORDS);
	__type(key, __u32);
	__type(value, __u64);
} records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lpm_key);
	__type(value, __u32);
} routes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

/* One record a packet, length and mark; mark 13 is thrown away. A full buffer gives 2. */
SEC("tc")
int sample_event(struct __sk_buff *skb)
{
	__u32 *record = bpf_ringbuf_reserve(&events, 12, 0);

	if (!record)
		return 2;
	record[0] = skb->len;
	record[1] = skb->mark;
	record[2] = 0x01020304;
	if (skb->mark == 13)
		bpf_ringbuf_discard(record, 0);
	else
		bpf_ringbuf_submit(record, 0);
	return 0;
}

SEC("tc")
int sample_count(struct __sk_buff *skb)
{
	__u32 key = 0;
	__u64 *seen = bpf_map_lookup_elem(&records, &key);

	if (seen)
		__sync_fetch_and_add(seen, 1);
	return -1;
}

SEC("tc")
int sample_pass(struct __sk_buff *skb)
{
	__u32 key = 1;
	struct lpm_key lpm = { .bits = 32 };

	bpf_map_lookup_elem(&routes, &lpm);
	return bpf_map_lookup_elem(&settings, &key) ? -1 : 0;
}

char _license[] SEC("license") = "GPL";
