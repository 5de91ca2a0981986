/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The overlay (encap core), the same on a host and on the gateway: a virtual switch and a distributed router per VM network,
 * NVGRE or VXLAN between machines. Standards: RFC 7637 (NVGRE), RFC 2890 (GRE key), RFC 7348 (VXLAN), RFC 6040 (ECN), RFC 826
 * (ARP), RFC 4861 (neighbour discovery), RFC 792 and RFC 4443 (errors).
 *
 * Broadcast and multicast are carried by unicast copies in the virtual subnets that say so; else they are dropped with their
 * reason. Outer IP options are refused.
 *
 * overlay_port: tcx ingress of a port's machine side, what a VM or a compartment sends. Never passes a frame to the stack.
 * overlay_wire: tcx ingress of a provider NIC. Passes what is not the overlay's for one of our provider addresses, or is of another
 * VLAN.
 * overlay_tag: tcx egress of a provider NIC that has addresses in a VLAN.
 *
 * The plain case – IPv4 in NVGRE over IPv4 – is written out here; everything else is a function call away from it.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include "lib/arp.h"
#include "lib/deliver.h"
#include "lib/drop.h"
#include "lib/error.h"
#include "lib/ipv6.h"
#include "lib/maps.h"
#include "lib/packet.h"
#include "lib/ping.h"
#include "lib/receive.h"
#include "lib/replica.h"
#include "lib/route.h"
#include "lib/vlan.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* All headers of an NVGRE frame, up to the end of the tenant's IP header. */
#define WHOLE_LENGTH (sizeof(struct ethhdr) + OVERHEAD + sizeof(struct iphdr))

/* The tenant's own tunnel, aimed at the provider network (only asked of GRE and of VXLAN's port). */
static __noinline bool nested(struct __sk_buff *skb, __be32 destination)
{
	struct hnv_address address = mapped(destination);

	(void)skb;
	return provider_flags(&address) != 0;
}

SEC("tc")
int overlay_port(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex, reason = HNV_NO_RECORD, l4 = 0, rdid;
	struct hnv_port *port = bpf_map_lookup_elem(&ports, &ifindex);
	struct hnv_address source, destination;
	struct hnv_location *location;
	__u8 tcp_words = 5;
	struct ethhdr *eth;
	struct iphdr *ip;
	bool routed;

	if (!port)
		return drop_sent(skb, HNV_RDID_NONE, HNV_UNKNOWN_PORT);
	rdid = port->rdid;
	if (unlikely((skb->mark & HNV_MARK_MASK) == HNV_MARK_REPLICA || (skb->mark & HNV_MARK_MASK) == HNV_MARK_WRITTEN))
		return send_replica(skb, port);
	if (skb->vlan_present)
		return drop_sent(skb, rdid, HNV_INNER_VLAN);
	if (!have(skb, sizeof(*eth)))
		return drop_sent(skb, rdid, HNV_TRUNCATED);
	eth = PACKET_START(skb);
	if ((void *)(eth + 1) > PACKET_END(skb))
		return drop_sent(skb, rdid, HNV_TRUNCATED);
	if (is_vlan(eth->h_proto))
		return drop_sent(skb, rdid, HNV_INNER_VLAN);
	if (!same_mac(eth->h_source, port->mac))
		return drop_sent(skb, rdid, HNV_SPOOFED_MAC);
	if (eth->h_proto == bpf_htons(ETH_P_ARP))
		return answer_arp(skb, port);
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		return send_ipv6(skb, port);
	if (is_group_mac(eth->h_dest))
		return send_group(skb, port);
	if (eth->h_proto != bpf_htons(ETH_P_IP))
		return drop_sent(skb, rdid, HNV_ETHERTYPE);

	if (!have(skb, sizeof(*eth) + sizeof(*ip)))
		return drop_sent(skb, rdid, HNV_TRUNCATED);
	eth = PACKET_START(skb);
	ip = (void *)(eth + 1);
	if ((void *)(ip + 1) > PACKET_END(skb) ||
	    !sound_ipv4(ip, skb->len - sizeof(*eth), skb->gso_size != 0))
		return drop_sent(skb, rdid, HNV_TRUNCATED);
	source = mapped(ip->saddr);
	if (!(port->flags & HNV_PORT_GATEWAY) && !owns_address(port, &source, ifindex))
		return drop_sent(skb, rdid, HNV_SPOOFED_CA);
	if (bpf_ntohl(ip->daddr) >= 0xe0000000)
		return drop_sent(skb, rdid, HNV_MULTICAST);

	if (!(ip->frag_off & bpf_htons(FRAGMENT_MASK))) {
		/* Only headers without options carry the ports where they are looked for; others hash without. */
		__be32 *words = (void *)(ip + 1);

		if (ip->ihl == 5 && (void *)(words + 4) <= PACKET_END(skb)) {
			if (ip->protocol == IPPROTO_TCP || ip->protocol == IPPROTO_UDP)
				l4 = words[0];
			tcp_words = ((__u8 *)words)[12] >> 4;
		}
		if ((ip->protocol == IPPROTO_GRE ||
		     (ip->protocol == IPPROTO_UDP && l4 >> 16 == bpf_htons(VXLAN_PORT))) &&
		    nested(skb, ip->daddr))
			return drop_sent(skb, rdid, HNV_NESTED);
		if (unlikely(l4 == DHCP_PORTS(DHCP_SERVER, DHCP_CLIENT)))
			overhear(skb, port);
	}

	routed = is_router_mac(eth->h_dest);
	destination = mapped(ip->daddr);
	location = routed ? route_packet(rdid, &destination, &reason) : find_mac(rdid, port->vsid, eth->h_dest);
	/* Back to where it came from: a switch never does that, and a router would only turn in a circle. */
	if (location && location->port == ifindex) {
		location = 0;
		reason = routed ? HNV_NO_ROUTE : HNV_NO_RECORD;
	}
	if (!location)
		return routed ? error_ipv4(skb, port, reason, 0) : drop_sent(skb, rdid, reason);
	if (location->flags & HNV_LOCATION_ROUTER)
		return answer_ping(skb, port);
	if (segment_length(skb, ip, tcp_words) > location->mtu)
		return error_ipv4(skb, port, HNV_TOO_BIG, location->mtu);
	if (routed) {
		if (ip->ttl <= 1)
			return error_ipv4(skb, port, HNV_TTL_EXCEEDED, 0);
		__be16 *ttl = (__be16 *)&ip->ttl, old = *ttl;

		ip->ttl--;
		adjust_checksum(ip, old, *ttl);
		set_router_mac(eth->h_source);
		copy_mac(eth->h_dest, location->mac);
	}
	if (location->port)
		return deliver(skb, location);

	struct inner inner = { .eth = load_ethernet(eth), .flow = flow_of(ip, l4), .tos = ip->tos };

	return encapsulate(skb, location, &inner);
}

SEC("tc")
int overlay_wire(struct __sk_buff *skb)
{
	struct hnv_tunnel_key key = {};
	struct hnv_location *location;
	struct hnv_tunnel *tunnel;
	struct nvgre_outer *outer;
	struct ethhdr *eth;
	struct ethernet inner;
	struct iphdr *ip;
	__u32 vlan = 0;

	if (skb->vlan_present) {
		vlan = untag(skb);
		if (vlan == OTHER_VLAN)
			return TC_ACT_OK;
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return receive_ipv6(skb, vlan);
	if (skb->protocol != bpf_htons(ETH_P_IP))
		return vlan ? TC_ACT_OK : receive_untagged(skb);
	if (!have(skb, WHOLE_LENGTH))
		return receive_ipv4(skb, vlan);
	outer = PACKET_START(skb) + sizeof(*eth);
	eth = (void *)(outer + 1);
	ip = (void *)(eth + 1);
	if ((void *)(ip + 1) > PACKET_END(skb))
		return TC_ACT_OK;
	if (outer->ip.protocol != IPPROTO_GRE || outer->ip.ihl != 5 || outer->ip.frag_off & bpf_htons(FRAGMENT_MASK) ||
	    outer->gre.flags_protocol != bpf_htonl(NVGRE_FLAGS_PROTOCOL) || is_group_mac(eth->h_dest) ||
	    eth->h_proto != bpf_htons(ETH_P_IP) ||
	    !sound_ipv4(&outer->ip, skb->len - sizeof(*eth), skb->gso_size != 0) ||
	    !sound_ipv4(ip, skb->len - sizeof(*eth) - OVERHEAD, skb->gso_size != 0) || ip->protocol == IPPROTO_GRE)
		return receive_ipv4(skb, vlan);

	key.vsid = bpf_ntohl(outer->gre.key) >> 8;
	key.source = mapped(outer->ip.saddr);
	key.destination = mapped(outer->ip.daddr);
	tunnel = bpf_map_lookup_elem(&tunnels, &key);
	if (!tunnel || (tunnel->flags & HNV_TUNNEL_PLAIN_CASE) != (HNV_TUNNEL_NVGRE | vlan << HNV_VLAN_SHIFT))
		return receive_ipv4(skb, vlan);
	location = find_mac(tunnel->rdid, key.vsid, eth->h_dest);
	if (!location || !location->port)
		return drop_received(skb, tunnel->rdid, HNV_NOT_LOCAL);
	if (tunnel->flags & HNV_TUNNEL_CHECK && foreign_ipv4(tunnel->rdid, ip->saddr, &key.source))
		return drop_received(skb, tunnel->rdid, HNV_FOREIGN_CA);
	if (!merge_congestion(ip, outer->ip.tos))
		return drop_received(skb, tunnel->rdid, HNV_CONGESTION);
	inner = load_ethernet(eth);
	if (!decapsulate(skb, &inner, OVERHEAD, 0))
		return drop_received(skb, tunnel->rdid, HNV_ADJUST_FAILED);
	return deliver(skb, location);
}

SEC("tc")
int overlay_tag(struct __sk_buff *skb)
{
	__u32 vlan = skb->vlan_present ? 0 : vlan_of(skb, true, false);

	if (vlan && bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), vlan))
		return drop_sent(skb, HNV_RDID_NONE, HNV_ADJUST_FAILED);
	return TC_ACT_UNSPEC;
}
