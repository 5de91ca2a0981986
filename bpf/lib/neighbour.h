/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Neighbour discovery is answered at the port from the policy and never reaches the wire (R-ENC-4, R-ENC-7; RFC 4861,
 * RFC 4862 §5.4). A probe for the port's own address gets silence, for another's the answer that says so. There is no router
 * advertisement: the subnet's first address and the router's link-local address are configured in the VM or by DHCPv6.
 */
#pragma once
#include "arp.h"
#include "error.h"

#define NEIGHBOUR_HOP_LIMIT 255
#define ROUTER_SOLICITATION 133
#define NEIGHBOUR_SOLICITATION 135
#define REDIRECT 137
#define NEIGHBOUR_ADVERTISEMENT 136
#define TARGET_LINK_LAYER_ADDRESS 2
#define ADVERTISE_ROUTER 0x80
#define ADVERTISE_SOLICITED 0x40
#define ADVERTISE_OVERRIDE 0x20

struct solicitation {
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be32 reserved;
	struct hnv_address target;
};

struct advertisement {
	__u16 align;
	__u16 destination[3];
	__u16 source[3];
	__be16 type;
	struct ipv6hdr ip;
	struct {
		__u8 type;
		__u8 code;
		__sum16 checksum;
		__u8 flags;
		__u8 reserved[3];
		struct hnv_address target;
		__u8 option;
		__u8 eights;
		__u16 mac[3];
	} icmp;
};

#define ADVERTISEMENT_BYTES (sizeof(struct advertisement) - 2)
_Static_assert(ADVERTISEMENT_BYTES == 86, "Ethernet, IPv6, neighbour advertisement with one option");

/* The MAC of `target` on the port's virtual subnet: by the records, or from a link-local address that names it. */
static __noinline bool known_neighbour(struct hnv_port *port, struct hnv_address *target, __u8 *mac)
{
	__u8 named[8] __attribute__((aligned(8)));

	if (!port || !target || !mac)
		return false;
	if (known_mac(port, target, mac))
		return true;
	if (!mac_of_link_local(target, named) || (!is_router_mac(named) && !find_mac(port->rdid, port->vsid, named)))
		return false;
	copy_mac(mac, named);
	return true;
}

/* The answer to `source`, or to all nodes when the asker has no address yet (RFC 4861 §7.2.4). */
static __noinline int advertise(struct __sk_buff *skb, struct hnv_port *port, struct hnv_address *target,
				struct hnv_address *source, __u8 *mac)
{
	struct advertisement out = {};
	bool probe;

	if (!port || !target || !source || !mac)
		return TC_ACT_SHOT;
	probe = is_unspecified(source);
	out.type = bpf_htons(ETH_P_IPV6);
	put_mac(out.destination, port->mac);
	if (probe) {
		out.destination[0] = bpf_htons(0x3333);
		out.destination[1] = 0;
		out.destination[2] = bpf_htons(1);
		source->word[0] = bpf_htonl(0xff020000);
		source->word[3] = bpf_htonl(1);
	}
	put_mac(out.source, mac);
	out.ip.version = 6;
	out.ip.payload_len = bpf_htons(sizeof(out.icmp));
	out.ip.nexthdr = IPPROTO_ICMPV6;
	out.ip.hop_limit = NEIGHBOUR_HOP_LIMIT;
	__builtin_memcpy(&out.ip.saddr, target, sizeof(*target));
	__builtin_memcpy(&out.ip.daddr, source, sizeof(*source));
	out.icmp.type = NEIGHBOUR_ADVERTISEMENT;
	out.icmp.flags = ADVERTISE_OVERRIDE | (probe ? 0 : ADVERTISE_SOLICITED) |
			 (is_router_mac(mac) ? ADVERTISE_ROUTER : 0);
	out.icmp.target = *target;
	out.icmp.option = TARGET_LINK_LAYER_ADDRESS;
	out.icmp.eights = 1;
	put_mac(out.icmp.mac, mac);
	out.icmp.checksum = checksum_icmpv6(&out.ip, &out.icmp, sizeof(out.icmp), sizeof(out.icmp));
	if (!emptied(skb, ADVERTISEMENT_BYTES) ||
	    bpf_skb_store_bytes(skb, 0, out.destination, ADVERTISEMENT_BYTES, 0))
		return drop_sent(skb, port->rdid, HNV_ADJUST_FAILED);
	return bpf_redirect(skb->ifindex, 0);
}

static __noinline int answer_neighbour(struct __sk_buff *skb, struct hnv_port *port)
{
	struct hnv_address source, target, claimed;
	struct solicitation *ask;
	struct ipv6hdr *ip;
	bool probe, learning, told;
	__u8 mac[8] __attribute__((aligned(8)));

	if (!port)
		return TC_ACT_SHOT;
	if (!have(skb, sizeof(struct ethhdr) + sizeof(*ip) + sizeof(*ask)))
		return drop_sent(skb, port->rdid, HNV_TRUNCATED);
	ip = PACKET_START(skb) + sizeof(struct ethhdr);
	ask = (void *)(ip + 1);
	if ((void *)(ask + 1) > PACKET_END(skb))
		return drop_sent(skb, port->rdid, HNV_TRUNCATED);
	learning = learns(port->vsid);
	told = ask->type == NEIGHBOUR_ADVERTISEMENT;
	if (ask->code != 0 || ip->hop_limit != NEIGHBOUR_HOP_LIMIT)
		return drop_sent(skb, port->rdid, HNV_NEIGHBOUR);
	source = address_at(&ip->saddr);
	target = address_at(&ask->target);
	probe = is_unspecified(&source);
	if (told && (!learning || probe))
		return drop_sent(skb, port->rdid, HNV_NEIGHBOUR);
	claimed = told ? target : source;
	if (!probe && !(learning && !is_link_local(&claimed) ? teach_from(skb, port, &claimed) :
							      owns_ipv6(port, &claimed, skb->ifindex)))
		return drop_sent(skb, port->rdid, HNV_SPOOFED_CA);
	if (told)
		return replicate(skb, port->rdid, port->vsid, false);
	if (owns_ipv6(port, &target, skb->ifindex))
		return drop_sent(skb, port->rdid, HNV_MULTICAST);
	if (!known_neighbour(port, &target, mac))
		return learning ? replicate(skb, port->rdid, port->vsid, true) : drop_sent(skb, port->rdid, HNV_NO_RECORD);

	return advertise(skb, port, &target, &source, mac);
}
