/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ARP is answered at the port from the policy and never reaches the wire (R-ENC-4, R-ENC-7; RFC 826, RFC 5227 probes).
 */
#pragma once
#include "drop.h"
#include "learn.h"
#include "packet.h"
#include "replica.h"
#include "route.h"

#define ARP_ETHERNET 1
#define ARP_REQUEST 1
#define ARP_REPLY 2

struct arp_ipv4 {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	__u8 sender_mac[6];
	__be32 sender;
	__u8 target_mac[6];
	__be32 target;
} __attribute__((packed));

static __always_inline bool ethernet_arp(const struct arp_ipv4 *arp)
{
	return arp->hardware == bpf_htons(ARP_ETHERNET) && arp->protocol == bpf_htons(ETH_P_IP) &&
	       arp->hardware_length == 6 && arp->protocol_length == 4;
}

static __always_inline bool sound_arp(const struct arp_ipv4 *arp)
{
	return ethernet_arp(arp) && arp->operation == bpf_htons(ARP_REQUEST);
}

/* The MAC that the policy knows for `target` on the port's virtual subnet. */
static __always_inline bool known_mac(struct hnv_port *port, struct hnv_address *target, __u8 *mac)
{
	struct hnv_location *location = find_record(port->rdid, target);
	struct hnv_address router;

	if (location && location->vsid == port->vsid) {
		copy_mac(mac, location->mac);
		return true;
	}
	if (router_address(port, target, &router) && same_address(&router, target)) {
		set_router_mac(mac);
		return true;
	}
	return false;
}

static __noinline int answer_arp(struct __sk_buff *skb, struct hnv_port *port)
{
	struct ethhdr *eth;
	struct arp_ipv4 *arp;
	struct hnv_address sender, target;
	__u8 mac[8] __attribute__((aligned(8)));
	bool learning, reply;

	if (!port)
		return TC_ACT_SHOT;
	if (!have(skb, sizeof(*eth) + sizeof(*arp)))
		return drop_sent(skb, port->rdid, HNV_TRUNCATED);
	eth = PACKET_START(skb);
	arp = (void *)(eth + 1);
	if ((void *)(arp + 1) > PACKET_END(skb))
		return drop_sent(skb, port->rdid, HNV_TRUNCATED);

	learning = learns(port->vsid);
	reply = learning && ethernet_arp(arp) && arp->operation == bpf_htons(ARP_REPLY);
	if (!sound_arp(arp) && !reply)
		return drop_sent(skb, port->rdid, HNV_ETHERTYPE);
	if (!same_mac(arp->sender_mac, port->mac))
		return drop_sent(skb, port->rdid, HNV_SPOOFED_MAC);
	sender = mapped(arp->sender);
	target = mapped(arp->target);
	if (arp->sender && !(learning ? teach_from(skb, port, &sender) : owns_address(port, &sender, skb->ifindex)))
		return drop_sent(skb, port->rdid, HNV_SPOOFED_CA);
	if (reply || (learning && same_address(&sender, &target)))
		return replicate(skb, port->rdid, port->vsid, false);
	/* An announcement, or a probe for an address that is the port's own: silence says that nobody else has it. */
	if (owns_address(port, &target, skb->ifindex))
		return drop_sent(skb, port->rdid, HNV_MULTICAST);
	if (!known_mac(port, &target, mac))
		return learning ? replicate(skb, port->rdid, port->vsid, true) : drop_sent(skb, port->rdid, HNV_NO_RECORD);

	arp->operation = bpf_htons(ARP_REPLY);
	__be32 asked = arp->target;
	copy_mac(arp->target_mac, port->mac);
	arp->target = arp->sender;
	copy_mac(arp->sender_mac, mac);
	arp->sender = asked;
	copy_mac(eth->h_dest, port->mac);
	copy_mac(eth->h_source, mac);
	return bpf_redirect(skb->ifindex, 0);
}
