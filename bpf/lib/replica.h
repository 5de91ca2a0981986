/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One frame for many places (R-ENC-12): broadcast and multicast, and the questions of virtual subnets that learn (R-ENC-8). The
 * provider network carries no group traffic; each machine of the subnet gets a copy by unicast, and never passes it on.
 */
#pragma once
#include "deliver.h"
#include "dhcp.h"
#include "port-bucket.h"

/*
 * Sends a frame to the subnet's other ports and machines, or to those only that are asked for neighbours; one for a single MAC
 * only to where that is. A copy for a machine comes back to the port, marked, and is encapsulated there: only a whole run of the
 * program can resolve the next hop.
 */
__noinline int replicate(struct __sk_buff *skb, __u32 rdid, __u32 vsid, bool question)
{
	struct hnv_replica_key key = { .vsid = vsid };
	struct hnv_location *location, *only = 0;
	__u8 mac[8] __attribute__((aligned(8)));

	if (bpf_skb_load_bytes(skb, 0, mac, 6))
		return TC_ACT_SHOT;
	if (!port_may(skb->ifindex, HNV_BUCKET_REPLICATE, REPLICATE_RATE, REPLICATE_BURST))
		return drop_sent(skb, rdid, HNV_RATE_LIMITED);
	if (!is_group_mac(mac)) {
		only = find_mac(rdid, vsid, mac);
		if (!only || only->port == skb->ifindex)
			return drop_sent(skb, rdid, HNV_NO_RECORD);
		if (only->port)
			return bpf_redirect(only->port, 0);
	}
	for (__u32 i = 0; i < HNV_REPLICAS; i++) {
		key.index = i;
		location = find_replica(rdid, &key);
		if (!location)
			break;
		if (location->port) {
			if (!only && location->port != skb->ifindex)
				bpf_clone_redirect(skb, location->port, 0);
		} else if (only ? same_address(&only->destination, &location->destination) :
				  !question || location->flags & HNV_LOCATION_LEARN) {
			skb->mark = HNV_MARK_REPLICA | i;
			bpf_clone_redirect(skb, skb->ifindex, BPF_F_INGRESS);
			skb->mark = 0;
		}
	}
	return TC_ACT_STOLEN;
}

/* The copies that replicate() has made, on their way to one machine each. */
static __noinline int send_replica(struct __sk_buff *skb, struct hnv_port *port)
{
	struct hnv_replica_key key = { .index = skb->mark & ~HNV_MARK_MASK };
	bool written = (skb->mark & HNV_MARK_MASK) == HNV_MARK_WRITTEN;
	struct hnv_location *location;
	struct inner inner = {};
	__u32 longest;
	__u8 no_mac[6] = {};
	__be16 class;

	if (!port)
		return TC_ACT_SHOT;
	key.vsid = port->vsid;
	location = find_replica(port->rdid, &key);
	if (!location || location->port)
		return drop_sent(skb, port->rdid, HNV_NO_RECORD);
	if (written) {
		skb->mark = 0;
		return send_to_next_hop(location);
	}
	if (bpf_skb_load_bytes(skb, 0, &inner.eth, sizeof(struct ethhdr)) ||
	    bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &class, sizeof(class)))
		return drop_sent(skb, port->rdid, HNV_TRUNCATED);
	/* Only UDP is segmented on its way to many places. */
	longest = skb->gso_size ? skb->gso_size + sizeof(struct ipv6hdr) + 8 : skb->len - sizeof(struct ethhdr);
	if (longest > location->mtu)
		return drop_sent(skb, port->rdid, HNV_TOO_BIG);
	skb->mark = 0;
	if (inner.eth.type == bpf_htons(ETH_P_ARP)) {
		/* The kernel makes room in IP packets alone. */
		inner.mark = HNV_MARK_WRITTEN | key.index;
	} else {
		inner.tos = inner.eth.type == bpf_htons(ETH_P_IPV6) ? bpf_ntohs(class) >> 4 : bpf_ntohs(class);
		/* The header that stays in front is the next hop's to write, which the kernel does not do over a group's. */
		if (bpf_skb_store_bytes(skb, 0, no_mac, sizeof(no_mac), 0))
			return drop_sent(skb, port->rdid, HNV_ADJUST_FAILED);
	}
	return location->flags & HNV_LOCATION_IPV6 ? encapsulate_ipv6(skb, location, &inner) :
						     encapsulate_ipv4(skb, location, &inner);
}

/* A port's IPv4 frame for a group of the subnet. */
static __noinline int send_group(struct __sk_buff *skb, struct hnv_port *port)
{
	struct hnv_address source, destination;
	struct ethhdr *eth;
	struct iphdr *ip;
	__u32 flags;
	bool dhcp, gre;

	if (!port)
		return TC_ACT_SHOT;
	flags = subnet_flags(port->vsid);
	if (!flags)
		return drop_sent(skb, port->rdid, HNV_MULTICAST);
	if (!have(skb, sizeof(*eth) + sizeof(*ip)))
		return drop_sent(skb, port->rdid, HNV_TRUNCATED);
	eth = PACKET_START(skb);
	ip = (void *)(eth + 1);
	if ((void *)(ip + 1) > PACKET_END(skb))
		return drop_sent(skb, port->rdid, HNV_TRUNCATED);
	if (eth->h_proto != bpf_htons(ETH_P_IP))
		return drop_sent(skb, port->rdid, HNV_ETHERTYPE);
	if (!sound_ipv4(ip, skb->len - sizeof(*eth), skb->gso_size != 0))
		return drop_sent(skb, port->rdid, HNV_TRUNCATED);
	source = mapped(ip->saddr);
	destination = mapped(ip->daddr);
	gre = ip->protocol == IPPROTO_GRE;
	dhcp = is_dhcp(skb, sizeof(*eth));
	if (!(flags & HNV_VSID_REPLICATE) && !dhcp)
		return drop_sent(skb, port->rdid, HNV_MULTICAST);
	/* A client that has no address yet asks from none. */
	if (!(dhcp && !source.word[3]) && !(port->flags & HNV_PORT_GATEWAY) &&
	    !owns_address(port, &source, skb->ifindex))
		return drop_sent(skb, port->rdid, HNV_SPOOFED_CA);
	if (gre && provider_flags(&destination))
		return drop_sent(skb, port->rdid, HNV_NESTED);
	if (dhcp)
		overhear(skb, port);
	return replicate(skb, port->rdid, port->vsid, false);
}

/* A frame from another machine, without its outer header, to the subnet's ports here. */
__noinline int deliver_group(struct __sk_buff *skb, __u32 rdid, __u32 vsid)
{
	struct hnv_replica_key key = { .vsid = vsid };
	struct hnv_location *location;

	for (__u32 i = 0; i < HNV_REPLICAS; i++) {
		key.index = i;
		location = find_replica(rdid, &key);
		if (!location)
			break;
		if (location->port)
			bpf_clone_redirect(skb, location->port, 0);
	}
	return TC_ACT_STOLEN;
}
