/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DHCP for IPv4 (RFC 2131) in virtual subnets that learn: a client without an address may ask, and what a server acknowledges
 * is learned (R-ENC-8). A server is believed when a record that was not learned places its address where the packet came from,
 * and about MACs alone that the subnet knows.
 */
#pragma once
#include "learn.h"

#define DHCP_SERVER 67
#define DHCP_CLIENT 68
#define DHCP_REPLY 2
#define DHCP_COOKIE 0x63825363
#define DHCP_OPTION_PAD 0
#define DHCP_OPTION_TYPE 53
#define DHCP_OPTION_END 255
#define DHCP_ACK 5
/* Options that are looked at for the message type; every known server writes it first. */
#define DHCP_OPTIONS 8

/* Both ports of UDP as they stand in the packet. */
#define DHCP_PORTS(from, to) ((__u32)bpf_htons(from) | (__u32)bpf_htons(to) << 16)

struct dhcp_head {
	struct iphdr ip;
	__be32 ports;
	__be16 udp_length;
	__sum16 udp_checksum;
	__u8 operation;
	__u8 hardware;
	__u8 hardware_length;
	__u8 hops;
	__be32 transaction;
	__be32 seconds_flags;
	__be32 client;
	__be32 yours;
	__be32 server;
	__be32 relay;
	__u8 mac[16];
};

#define DHCP_COOKIE_AT (sizeof(struct iphdr) + 8 + 236)

/* True for IPv4 at `at` that is DHCP in either direction, whole enough to see it. */
__noinline bool is_dhcp(struct __sk_buff *skb, __u32 at)
{
	struct {
		struct iphdr ip;
		__be32 ports;
	} head;

	return !bpf_skb_load_bytes(skb, at, &head, sizeof(head)) && head.ip.ihl == 5 && head.ip.protocol == IPPROTO_UDP &&
	       !(head.ip.frag_off & bpf_htons(FRAGMENT_MASK)) &&
	       (head.ports == DHCP_PORTS(DHCP_CLIENT, DHCP_SERVER) || head.ports == DHCP_PORTS(DHCP_SERVER, DHCP_CLIENT));
}

/* The option that tells the message type (RFC 2132 §9.6); 0 when it is not found. */
__noinline __u8 dhcp_type(struct __sk_buff *skb, __u32 at)
{
	__u8 option[3];

	at += DHCP_COOKIE_AT + 4;
	for (int i = 0; i < DHCP_OPTIONS; i++) {
		if (bpf_skb_load_bytes(skb, at, option, sizeof(option)) || option[0] == DHCP_OPTION_END)
			return 0;
		if (option[0] == DHCP_OPTION_TYPE)
			return option[1] == 1 ? option[2] : 0;
		at += option[0] == DHCP_OPTION_PAD ? 1 : 2 + option[1];
	}
	return 0;
}

/* Learns from an acknowledgement at `at`. `claim` says whose packet it is and where it came from, and becomes the client's. */
static __noinline void hear_dhcp(struct __sk_buff *skb, __u32 at, struct claim *claim)
{
	struct hnv_location *location;
	struct dhcp_head head;
	struct hnv_address server;
	__be32 cookie;

	if (!claim || bpf_skb_load_bytes(skb, at, &head, sizeof(head)) ||
	    bpf_skb_load_bytes(skb, at + DHCP_COOKIE_AT, &cookie, sizeof(cookie)))
		return;
	if (head.ip.ihl != 5 || head.ports != DHCP_PORTS(DHCP_SERVER, DHCP_CLIENT) || head.operation != DHCP_REPLY ||
	    head.hardware != 1 || head.hardware_length != 6 || !head.yours || cookie != bpf_htonl(DHCP_COOKIE) ||
	    dhcp_type(skb, at) != DHCP_ACK)
		return;
	server = mapped(head.ip.saddr);
	location = find_record(claim->rdid, &server);
	if (!location || location->flags & HNV_LOCATION_DYNAMIC || location->vsid != claim->vsid ||
	    !is_at(location, claim))
		return;
	location = find_mac(claim->rdid, claim->vsid, head.mac);
	if (!location)
		return;
	claim->port = location->port;
	claim->provider = location->destination;
	claim->address = mapped(head.yours);
	__builtin_memcpy(claim->mac, head.mac, 6);
	teach(claim);
}

/* A port's packet that may be a server's answer. */
static __noinline void overhear(struct __sk_buff *skb, struct hnv_port *port)
{
	struct claim claim = {};

	if (!port || !learns(port->vsid))
		return;
	claim.rdid = port->rdid;
	claim.vsid = port->vsid;
	claim.port = skb->ifindex;
	hear_dhcp(skb, sizeof(struct ethhdr), &claim);
}
