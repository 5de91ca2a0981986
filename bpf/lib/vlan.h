/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Provider addresses in a VLAN (IEEE 802.1Q, R-ENC-10) without a device for it: the kernel's neighbour table resolves next hops on
 * the NIC itself, and whatever leaves or comes for such an address carries its tag, the questions for neighbours as well.
 */
#pragma once
#include "arp.h"
#include "drop.h"
#include "neighbour.h"
#include "packet.h"
#include "route.h"

/* A frame of a VLAN that is none of ours. */
#define OTHER_VLAN 0xffffffff

/* The addresses of a frame on the provider NIC, from this machine's side. */
struct ends {
	struct hnv_address ours;
	struct hnv_address theirs;
	struct hnv_address target; /* of neighbour discovery; else :: */
	__u32 neighbour; /* ARP or neighbour discovery */
};

static __noinline void turn(struct ends *ends)
{
	struct hnv_address ours;

	if (!ends)
		return;
	ours = ends->ours;
	ends->ours = ends->theirs;
	ends->theirs = ours;
}

/* As a sender sees it. */
static __noinline bool read_ends(struct __sk_buff *skb, struct ends *ends)
{
	struct arp_ipv4 arp = {};
	__u8 next = 0, type = 0;
	__be32 pair[2] = {};

	if (!ends)
		return false;
	switch (skb->protocol) {
	case bpf_htons(ETH_P_IP):
		if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr) + __builtin_offsetof(struct iphdr, saddr), pair, sizeof(pair)))
			return false;
		ends->ours = mapped(pair[0]);
		ends->theirs = mapped(pair[1]);
		return true;
	case bpf_htons(ETH_P_ARP):
		if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &arp, sizeof(arp)))
			return false;
		ends->ours = mapped(arp.sender);
		ends->theirs = mapped(arp.target);
		ends->neighbour = true;
		return true;
	case bpf_htons(ETH_P_IPV6):
		if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr) + __builtin_offsetof(struct ipv6hdr, nexthdr), &next, 1) ||
		    bpf_skb_load_bytes(skb, sizeof(struct ethhdr) + __builtin_offsetof(struct ipv6hdr, saddr), &ends->ours,
				       2 * sizeof(ends->ours)))
			return false;
		if (next != IPPROTO_ICMPV6 ||
		    bpf_skb_load_bytes(skb, sizeof(struct ethhdr) + sizeof(struct ipv6hdr), &type, 1) ||
		    (type != NEIGHBOUR_SOLICITATION && type != NEIGHBOUR_ADVERTISEMENT))
			return true;
		ends->neighbour = true;
		return !bpf_skb_load_bytes(skb, sizeof(struct ethhdr) + sizeof(struct ipv6hdr) + 8, &ends->target,
					   sizeof(ends->target));
	}
	return false;
}

/* Of a machine that is reached without encapsulation, 0 = none. */
static __noinline __u32 vlan_of_plain(struct hnv_address *machine)
{
	struct hnv_tunnel_key key = {};
	struct hnv_tunnel *tunnel;

	if (!machine)
		return 0;
	key.source = *machine;
	tunnel = bpf_map_lookup_elem(&tunnels, &key);
	return tunnel ? tunnel->flags >> HNV_VLAN_SHIFT & VLAN_ID_MASK : 0;
}

/*
 * The VLAN that a frame belongs to by its addresses, 0 = none. A question for a neighbour may bear another address of ours than
 * the one it is asked for, and a group's address on the other side.
 */
static __noinline __u32 vlan_of(struct __sk_buff *skb, bool sending, bool neighbours)
{
	struct ends ends = {};
	__u32 flags;

	if (!read_ends(skb, &ends) || (neighbours && !ends.neighbour))
		return 0;
	if (!sending)
		turn(&ends);
	flags = provider_flags(&ends.ours);
	if (!(flags & HNV_PROVIDER_LOCAL)) {
		if (!ends.neighbour)
			return vlan_of_plain(&ends.theirs);
		flags = provider_flags(&ends.theirs);
		if (!flags)
			flags = provider_flags(&ends.target);
	}
	return flags >> HNV_VLAN_SHIFT & VLAN_ID_MASK;
}

/*
 * Takes the tag off that a provider address has, and a priority tag (VLAN 0), which is of this NIC and ends here. Any other VLAN
 * has its own device, or none.
 */
static __noinline __u32 untag(struct __sk_buff *skb)
{
	__u32 vlan = skb->vlan_tci & VLAN_ID_MASK;

	if (vlan && (skb->vlan_proto != bpf_htons(ETH_P_8021Q) || vlan_of(skb, false, false) != vlan))
		return OTHER_VLAN;
	return bpf_skb_vlan_pop(skb) ? OTHER_VLAN : vlan;
}

/* Neighbours without the tag of their VLAN are of another network: they would tell the kernel where ours are. */
static __noinline int receive_untagged(struct __sk_buff *skb)
{
	return vlan_of(skb, false, true) ? drop_received(skb, HNV_RDID_NONE, HNV_FOREIGN_VLAN) : TC_ACT_OK;
}
