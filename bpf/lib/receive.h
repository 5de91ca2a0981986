/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whatever comes over the provider network and is not the plain case of overlay_wire: other encapsulations and families, and
 * all that is refused. Another machine's packets, and protocols that are not the overlay's, are the stack's affair.
 */
#pragma once
#include "deliver.h"
#include "learn.h"
#include "neighbour.h"
#include "plain.h"
#include "replica.h"
#include "route.h"
#include "vlan.h"

#define SHORTEST_FRAME 60

/* What the outer headers say. */
struct outer {
	struct hnv_tunnel_key tunnel;
	__u32 bytes; /* before the inner Ethernet header */
	__u32 ip_bytes; /* the outer IP packet, as its header says */
	__u32 flag;  /* HNV_TUNNEL_ of its encapsulation */
	__u32 special; /* HNV_TUNNEL_SPECIAL of the tunnel */
	__u32 vlan;
	__u8 tos;
};

/* The reason why no tunnel entry admits a frame. The tenant is the one whose VSID the sender names, when there is one. */
static __noinline int refuse(struct __sk_buff *skb, struct outer *outer)
{
	struct hnv_vsid *subnet;
	__u32 vsid, tenant;

	if (!outer)
		return TC_ACT_SHOT;
	vsid = outer->tunnel.vsid;
	subnet = bpf_map_lookup_elem(&vsids, &vsid);
	tenant = subnet ? subnet->rdid : HNV_RDID_NONE;
	if (!(provider_flags(&outer->tunnel.source) & HNV_PROVIDER_PEER))
		return drop_received(skb, tenant, HNV_UNKNOWN_PA);
	if (!subnet)
		return drop_received(skb, tenant, HNV_UNKNOWN_VSID);
	return drop_received(skb, tenant, HNV_FOREIGN_PA);
}

/* ARP, or a neighbour solicitation or advertisement, at `bytes`. */
static __noinline bool is_neighbour_frame(struct __sk_buff *skb, __u32 bytes)
{
	__u8 next, type;
	__be16 protocol;

	if (bpf_skb_load_bytes(skb, bytes + 12, &protocol, 2))
		return false;
	if (protocol == bpf_htons(ETH_P_ARP))
		return true;
	return protocol == bpf_htons(ETH_P_IPV6) && !bpf_skb_load_bytes(skb, bytes + sizeof(struct ethhdr) + 6, &next, 1) &&
	       next == IPPROTO_ICMPV6 &&
	       !bpf_skb_load_bytes(skb, bytes + sizeof(struct ethhdr) + sizeof(struct ipv6hdr), &type, 1) &&
	       (type == NEIGHBOUR_SOLICITATION || type == NEIGHBOUR_ADVERTISEMENT);
}

/* The neighbour frame at `bytes`: its claim is filled in, or the reason is returned why it is not sound. */
static __noinline __u32 read_neighbour(struct __sk_buff *skb, __u32 bytes, struct claim *claim)
{
	struct {
		struct ipv6hdr ip;
		struct solicitation ask;
	} six = {};
	struct arp_ipv4 arp = {};
	struct ethernet eth = {};

	if (!claim || bpf_skb_load_bytes(skb, bytes, &eth, sizeof(struct ethhdr)))
		return HNV_TRUNCATED;
	__builtin_memcpy(claim->mac, (__u8 *)&eth + 6, 6);
	if (eth.type == bpf_htons(ETH_P_ARP)) {
		if (bpf_skb_load_bytes(skb, bytes + sizeof(struct ethhdr), &arp, sizeof(arp)))
			return HNV_TRUNCATED;
		if (!sound_arp(&arp) && !(arp.operation == bpf_htons(ARP_REPLY) && ethernet_arp(&arp)))
			return HNV_ETHERTYPE;
		if (!same_mac(arp.sender_mac, claim->mac))
			return HNV_SPOOFED_MAC;
		claim->any = arp.sender != 0;
		claim->address = mapped(arp.sender);
		return 0;
	}
	if (bpf_skb_load_bytes(skb, bytes + sizeof(struct ethhdr), &six, sizeof(six)))
		return HNV_TRUNCATED;
	if (six.ip.version != 6 || six.ip.hop_limit != NEIGHBOUR_HOP_LIMIT || six.ask.code != 0)
		return HNV_NEIGHBOUR;
	claim->address = six.ask.type == NEIGHBOUR_ADVERTISEMENT ? six.ask.target : address_at(&six.ip.saddr);
	claim->any = !is_unspecified(&claim->address) && !is_link_local(&claim->address);
	return 0;
}

static __noinline int receive_neighbour(struct __sk_buff *skb, struct outer *outer, __u32 rdid)
{
	struct hnv_location *location;
	struct claim claim = {};
	struct ethernet inner;
	__u32 bytes, reason;
	__u64 family = 0;
	__u8 mac[8] __attribute__((aligned(8)));

	if (!outer)
		return TC_ACT_SHOT;
	bytes = outer->bytes;
	claim.rdid = rdid;
	claim.vsid = outer->tunnel.vsid;
	claim.provider = outer->tunnel.source;
	reason = read_neighbour(skb, bytes, &claim);
	if (reason)
		return drop_received(skb, rdid, reason);
	location = find_mac(rdid, claim.vsid, claim.mac);
	/* A machine speaks for what is there, and for what is not bound to another place. */
	if (location && !same_address(&location->destination, &claim.provider) &&
	    !(location->flags & (HNV_LOCATION_LEARN | HNV_LOCATION_DYNAMIC)))
		return drop_received(skb, rdid, HNV_SPOOFED_MAC);
	if (claim.any && !teach(&claim))
		return drop_received(skb, rdid, HNV_SPOOFED_CA);
	if (bpf_skb_load_bytes(skb, bytes, &inner, sizeof(struct ethhdr)))
		return drop_received(skb, rdid, HNV_TRUNCATED);
	if (inner.type == bpf_htons(ETH_P_IPV6) && skb->protocol == bpf_htons(ETH_P_IP))
		family = ADJ_ROOM_DECAP_L3_IPV6;
	/* The kernel leaves no less than an outer header's length; the rest is the padding of Ethernet's shortest frame. */
	if ((skb->len < bytes + SHORTEST_FRAME && bpf_skb_change_tail(skb, bytes + SHORTEST_FRAME, 0)) ||
	    !decapsulate(skb, &inner, bytes, family))
		return drop_received(skb, rdid, HNV_ADJUST_FAILED);
	if (!(inner.word[0] & 1)) {
		__builtin_memcpy(mac, &inner, 6);
		location = find_mac(rdid, claim.vsid, mac);
		/* Not by the peer's way, which would take ARP for the IP packet that it came in. */
		return location && location->port ? bpf_redirect(location->port, 0) :
						    drop_received(skb, rdid, HNV_NOT_LOCAL);
	}
	return deliver_group(skb, rdid, claim.vsid);
}

/* True when a record places an address that a machine sends from elsewhere. */
static __always_inline bool foreign(__u32 rdid, const struct hnv_address *source, const struct hnv_address *provider)
{
	struct hnv_location *location = find_record(rdid, source);

	return location && !same_address(&location->destination, provider);
}

static __noinline bool foreign_ipv4(__u32 rdid, __be32 ipv4, const struct hnv_address *provider)
{
	struct hnv_address source = mapped(ipv4);

	return provider && foreign(rdid, &source, provider);
}

static __noinline bool misplaced(struct outer *outer, __u32 rdid, struct hnv_address *source)
{
	return outer && source && outer->special & HNV_TUNNEL_CHECK && foreign(rdid, source, &outer->tunnel.source);
}

/* DHCP for a group in a learning subnet is carried and heard. */
static __noinline bool carry_dhcp(struct __sk_buff *skb, struct outer *outer, __u32 rdid)
{
	struct claim claim = { .rdid = rdid };

	if (!outer || !is_dhcp(skb, outer->bytes + sizeof(struct ethhdr)))
		return false;
	claim.vsid = outer->tunnel.vsid;
	claim.provider = outer->tunnel.source;
	hear_dhcp(skb, outer->bytes + sizeof(struct ethhdr), &claim);
	return true;
}

/* The tenant's frame inside headers that were found to be right. */
static __noinline int receive_inner(struct __sk_buff *skb, struct outer *outer, __u32 rdid)
{
	__u32 bytes, length, subnet;
	struct hnv_address source, destination;
	struct hnv_location *location;
	struct ethernet inner;
	struct ipv6hdr *ip6;
	struct ethhdr *eth;
	struct iphdr *ip;
	__u64 family = 0;
	bool ipv6, group;

	if (!outer)
		return TC_ACT_SHOT;
	bytes = outer->bytes;
	if (bytes > 70 || outer->ip_bytes > skb->len - sizeof(*eth) ||
	    !have(skb, bytes + sizeof(*eth) + sizeof(*ip)))
		return drop_received(skb, rdid, HNV_TRUNCATED);
	eth = PACKET_START(skb) + bytes;
	if ((void *)(eth + 1) > PACKET_END(skb))
		return drop_received(skb, rdid, HNV_TRUNCATED);
	if (is_vlan(eth->h_proto))
		return drop_received(skb, rdid, HNV_INNER_VLAN);
	subnet = subnet_flags(outer->tunnel.vsid);
	if (subnet & HNV_VSID_LEARN && is_neighbour_frame(skb, bytes))
		return receive_neighbour(skb, outer, rdid);
	group = is_group_mac(eth->h_dest);
	if (group && !subnet)
		return drop_received(skb, rdid, HNV_MULTICAST);
	ipv6 = eth->h_proto == bpf_htons(ETH_P_IPV6);
	if (!ipv6 && eth->h_proto != bpf_htons(ETH_P_IP))
		return drop_received(skb, rdid, HNV_ETHERTYPE);
	if (ipv6 && !have(skb, bytes + sizeof(*eth) + sizeof(*ip6)))
		return drop_received(skb, rdid, HNV_TRUNCATED);
	eth = PACKET_START(skb) + bytes;
	ip = (void *)(eth + 1);
	ip6 = (void *)(eth + 1);
	if ((void *)(ip + 1) > PACKET_END(skb))
		return drop_received(skb, rdid, HNV_TRUNCATED);
	length = skb->len - bytes - sizeof(*eth);

	location = find_mac(rdid, outer->tunnel.vsid, eth->h_dest);
	if (ipv6) {
		if ((void *)(ip6 + 1) > PACKET_END(skb) || !sound_ipv6(ip6, length, skb->gso_size != 0))
			return drop_received(skb, rdid, HNV_TRUNCATED);
		source = address_at(&ip6->saddr);
		destination = address_at(&ip6->daddr);
		if (group && !(subnet & HNV_VSID_REPLICATE))
			return drop_received(skb, rdid, HNV_MULTICAST);
		if (ip6->nexthdr == IPPROTO_GRE && provider_flags(&destination))
			return drop_received(skb, rdid, HNV_NESTED);
		if (!group && (!location || !location->port))
			return drop_received(skb, rdid, HNV_NOT_LOCAL);
		if (misplaced(outer, rdid, &source))
			return drop_received(skb, rdid, HNV_FOREIGN_CA);
		if (!merge_congestion_ipv6(ip6, outer->tos))
			return drop_received(skb, rdid, HNV_CONGESTION);
		if (outer->special & HNV_TUNNEL_UNIFORM)
			take_dscp_ipv6(ip6, outer->tos);
	} else {
		if (!sound_ipv4(ip, length, skb->gso_size != 0))
			return drop_received(skb, rdid, HNV_TRUNCATED);
		source = mapped(ip->saddr);
		destination = mapped(ip->daddr);
		if (group && !(subnet & HNV_VSID_LEARN && carry_dhcp(skb, outer, rdid)) && !(subnet & HNV_VSID_REPLICATE))
			return drop_received(skb, rdid, HNV_MULTICAST);
		if (ip->protocol == IPPROTO_GRE && provider_flags(&destination))
			return drop_received(skb, rdid, HNV_NESTED);
		if (!group && (!location || !location->port))
			return drop_received(skb, rdid, HNV_NOT_LOCAL);
		if (misplaced(outer, rdid, &source))
			return drop_received(skb, rdid, HNV_FOREIGN_CA);
		if (!merge_congestion(ip, outer->tos))
			return drop_received(skb, rdid, HNV_CONGESTION);
		if (outer->special & HNV_TUNNEL_UNIFORM)
			take_dscp(ip, outer->tos);
	}
	inner = load_ethernet(eth);
	if (ipv6 != (skb->protocol == bpf_htons(ETH_P_IPV6)))
		family = ipv6 ? ADJ_ROOM_DECAP_L3_IPV6 : ADJ_ROOM_DECAP_L3_IPV4;
	if (!decapsulate(skb, &inner, bytes, family))
		return drop_received(skb, rdid, HNV_ADJUST_FAILED);
	if (group)
		return deliver_group(skb, rdid, outer->tunnel.vsid);
	return location ? deliver(skb, location) : TC_ACT_SHOT;
}

/* GRE or UDP of an outer packet whose addresses are known; `plain` = no fragment, no options. */
static __noinline int receive_tunnel(struct __sk_buff *skb, struct outer *outer, __u32 protocol, bool plain)
{
	struct hnv_tunnel *tunnel;
	__u32 bytes, local;
	bool bad;

	if (!outer)
		return TC_ACT_SHOT;
	bytes = outer->bytes;
	if (bytes > sizeof(struct ethhdr) + sizeof(struct ipv6hdr))
		return TC_ACT_OK;
	local = provider_flags(&outer->tunnel.destination);
	if (!(local & HNV_PROVIDER_LOCAL))
		return is_mapped(&outer->tunnel.destination) ? receive_plain_ipv4(skb, outer->vlan) :
							       receive_plain_ipv6(skb, outer->vlan);
	if (protocol == IPPROTO_UDP) {
		struct vxlan_header *vxlan;

		if (!(local & HNV_PROVIDER_VXLAN) || !have(skb, bytes + 4))
			return TC_ACT_OK;
		vxlan = PACKET_START(skb) + bytes;
		if ((void *)vxlan + 4 > PACKET_END(skb) || vxlan->destination != bpf_htons(VXLAN_PORT))
			return TC_ACT_OK;
		if (!plain)
			return drop_received(skb, HNV_RDID_NONE, HNV_FRAGMENTED_OUTER);
		if (!have(skb, bytes + VXLAN_BYTES))
			return drop_received(skb, HNV_RDID_NONE, HNV_TRUNCATED);
		vxlan = PACKET_START(skb) + bytes;
		if ((void *)(vxlan + 1) > PACKET_END(skb))
			return drop_received(skb, HNV_RDID_NONE, HNV_TRUNCATED);
		/* Reserved bits are ignored on receipt, RFC 7348 §5. */
		bad = !(vxlan->flags & bpf_htonl(VXLAN_FLAGS));
		outer->tunnel.vsid = bpf_ntohl(vxlan->key) >> 8;
		outer->flag = HNV_TUNNEL_VXLAN;
		outer->bytes = bytes + VXLAN_BYTES;
	} else {
		struct nvgre_header *gre;

		if (!plain)
			return drop_received(skb, HNV_RDID_NONE, HNV_FRAGMENTED_OUTER);
		if (!have(skb, bytes + NVGRE_BYTES))
			return drop_received(skb, HNV_RDID_NONE, HNV_TRUNCATED);
		gre = PACKET_START(skb) + bytes;
		if ((void *)(gre + 1) > PACKET_END(skb))
			return drop_received(skb, HNV_RDID_NONE, HNV_TRUNCATED);
		bad = gre->flags_protocol != bpf_htonl(NVGRE_FLAGS_PROTOCOL);
		outer->tunnel.vsid = bpf_ntohl(gre->key) >> 8;
		outer->flag = HNV_TUNNEL_NVGRE;
		outer->bytes = bytes + NVGRE_BYTES;
	}
	if (bad)
		return drop_received(skb, HNV_RDID_NONE, protocol == IPPROTO_UDP ? HNV_BAD_VXLAN : HNV_BAD_GRE);
	if ((local & HNV_VLAN_MASK) != outer->vlan << HNV_VLAN_SHIFT)
		return drop_received(skb, HNV_RDID_NONE, HNV_FOREIGN_VLAN);
	tunnel = bpf_map_lookup_elem(&tunnels, &outer->tunnel);
	if (!tunnel)
		return refuse(skb, outer);
	if (!(tunnel->flags & outer->flag))
		return drop_received(skb, tunnel->rdid, HNV_ENCAPSULATION);
	outer->special = tunnel->flags & HNV_TUNNEL_SPECIAL;
	return receive_inner(skb, outer, tunnel->rdid);
}

static __noinline int receive_ipv4(struct __sk_buff *skb, __u32 vlan)
{
	struct outer outer = { .vlan = vlan };
	struct iphdr *ip;

	if (!have(skb, sizeof(struct ethhdr) + sizeof(*ip)))
		return TC_ACT_OK;
	ip = PACKET_START(skb) + sizeof(struct ethhdr);
	if ((void *)(ip + 1) > PACKET_END(skb))
		return TC_ACT_OK;
	if (ip->version != 4)
		return TC_ACT_OK;
	/* Only the first fragment of UDP shows its port; the stack has no socket for the others. */
	if ((ip->protocol != IPPROTO_GRE && ip->protocol != IPPROTO_UDP) ||
	    (ip->protocol == IPPROTO_UDP && ip->frag_off & bpf_htons(0x1fff)))
		return receive_plain_ipv4(skb, vlan);
	outer.tunnel.source = mapped(ip->saddr);
	outer.tunnel.destination = mapped(ip->daddr);
	outer.tos = ip->tos;
	outer.bytes = sizeof(struct ethhdr) + sizeof(*ip);
	outer.ip_bytes = skb->gso_size ? 0 : bpf_ntohs(ip->tot_len);
	if (!skb->gso_size && outer.ip_bytes < sizeof(*ip))
		outer.ip_bytes = ~0U;
	if (ip->ihl != 5) {
		if (ip->protocol == IPPROTO_GRE && provider_flags(&outer.tunnel.destination) & HNV_PROVIDER_LOCAL)
			return drop_received(skb, HNV_RDID_NONE, HNV_BAD_GRE);
		return receive_plain_ipv4(skb, vlan);
	}
	return receive_tunnel(skb, &outer, ip->protocol, !(ip->frag_off & bpf_htons(FRAGMENT_MASK)));
}

static __noinline int receive_ipv6(struct __sk_buff *skb, __u32 vlan)
{
	struct outer outer = { .vlan = vlan };
	struct ipv6hdr *ip;

	if (!have(skb, sizeof(struct ethhdr) + sizeof(*ip)))
		return TC_ACT_OK;
	ip = PACKET_START(skb) + sizeof(struct ethhdr);
	if ((void *)(ip + 1) > PACKET_END(skb))
		return TC_ACT_OK;
	if (ip->version != 6)
		return TC_ACT_OK;
	if (!vlan && ip->nexthdr == IPPROTO_ICMPV6 && receive_untagged(skb) == TC_ACT_SHOT)
		return TC_ACT_SHOT;
	ip = PACKET_START(skb) + sizeof(struct ethhdr);
	if ((void *)(ip + 1) > PACKET_END(skb))
		return TC_ACT_OK;
	if (ip->nexthdr != IPPROTO_GRE && ip->nexthdr != IPPROTO_UDP)
		return receive_plain_ipv6(skb, vlan);
	outer.tunnel.source = address_at(&ip->saddr);
	outer.tunnel.destination = address_at(&ip->daddr);
	outer.tos = traffic_class(ip);
	outer.bytes = sizeof(struct ethhdr) + sizeof(*ip);
	outer.ip_bytes = skb->gso_size ? 0 : bpf_ntohs(ip->payload_len) + sizeof(*ip);
	return receive_tunnel(skb, &outer, ip->nexthdr, true);
}
