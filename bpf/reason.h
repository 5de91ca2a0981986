/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Generated from lib/reason.ts by bin/reasons.ts; do not edit. */
#pragma once

/* The frame ends before its headers do. */
#define HNV_TRUNCATED 1
/* A frame came from a port that has no virtual subnet. */
#define HNV_UNKNOWN_PORT 2
/* The source MAC is not the one of the port. */
#define HNV_SPOOFED_MAC 3
/* The source address is not one of the port, by the lookup records. */
#define HNV_SPOOFED_CA 4
/* The tenant frame carries an 802.1Q tag (RFC 7637 §3.3). */
#define HNV_INNER_VLAN 5
/* A tenant sends NVGRE or VXLAN of its own towards the provider, or a decapsulated frame holds another. */
#define HNV_NESTED 6
/* No lookup record for the destination customer address. */
#define HNV_NO_RECORD 7
/* No customer route of the VM network covers the destination. */
#define HNV_NO_ROUTE 8
/* The TTL ended at the distributed router. */
#define HNV_TTL_EXCEEDED 9
/* The overlay does not carry this EtherType. */
#define HNV_ETHERTYPE 10
/* Broadcast or multicast that the overlay does not carry. */
#define HNV_MULTICAST 11
/* An overlay frame from a provider address that no lookup record names. */
#define HNV_UNKNOWN_PA 12
/* An overlay frame from a known provider address that has no record in the VM network of this VSID. */
#define HNV_FOREIGN_PA 13
/* The VSID is in no VM network here, or reserved. */
#define HNV_UNKNOWN_VSID 14
/* GRE that is not NVGRE: flags, version or protocol are wrong (RFC 7637 §3.2). */
#define HNV_BAD_GRE 15
/* A decapsulated frame is for no port of this machine. */
#define HNV_NOT_LOCAL 16
/* The outer packet is a fragment. */
#define HNV_FRAGMENTED_OUTER 17
/* The frame does not fit the provider path after encapsulation. */
#define HNV_TOO_BIG 18
/* The kernel could not make or remove room for the outer header. */
#define HNV_ADJUST_FAILED 19
/* The provider network marked congestion on a packet whose sender cannot be told (RFC 6040 §4.2). */
#define HNV_CONGESTION 20
/* A router or neighbour advertisement, a redirect, or one that could hide behind extension headers, sent by a port. */
#define HNV_NEIGHBOUR 21
/* VXLAN without a valid network identifier (RFC 7348 §5). */
#define HNV_BAD_VXLAN 22
/* A provider address of the VM network uses an encapsulation that this machine is not told to take. */
#define HNV_ENCAPSULATION 23
/* A port sends more frames for many places than a virtual subnet has to bear. */
#define HNV_RATE_LIMITED 24
/* A known provider address sends from a customer address that a lookup record places elsewhere. */
#define HNV_FOREIGN_CA 25
/* An overlay frame, or a question for a neighbour, came without the tag of the provider address it is for. */
#define HNV_FOREIGN_VLAN 26
/* No port is free for a new mapping: the pool is used up, or the tenant has all the blocks that it may have. */
#define HNV_NAT_PORTS 32
/* An inside address has all the external ports that it may have. */
#define HNV_NAT_HOST_PORTS 33
/* The tenant, or one of its inside addresses, has all the sessions that it may have. */
#define HNV_NAT_SESSIONS 34
/* The tenant, or one of its inside addresses, opens more sessions a second than it may. */
#define HNV_NAT_RATE 35
/* A table of the NAT is full. */
#define HNV_NAT_TABLE 36
/* No rule of the NAT policy lets the destination be translated. */
#define HNV_NAT_POLICY 37
/* Only TCP, UDP and ICMP can be translated with ports; another protocol needs a one-to-one mapping. */
#define HNV_NAT_PROTOCOL 38
/* IPv6 reached the NAT, which translates IPv4 only. */
#define HNV_NAT_IPV6 39
/* A TCP segment or an ICMP message belongs to no session and cannot open one. */
#define HNV_NAT_NO_SESSION 40
/* A packet from outside is for a port of a tenant that has no mapping there. */
#define HNV_NAT_NO_MAPPING 41
/* A packet from outside is for a mapping that this sender may not use (RFC 4787 §5). */
#define HNV_NAT_FILTERED 42
/* An ICMP error is about no session of the NAT, or quotes too little to tell. */
#define HNV_NAT_ERROR 43
/* A fragment whose first one has not been seen, or that cannot be put together. */
#define HNV_NAT_FRAGMENT 44
/* The virtual IP address has no DIP that can take the connection. */
#define HNV_NAT_NO_DIP 45
/* Two sessions would look the same to an inside address, or one to itself. */
#define HNV_NAT_COLLISION 46
