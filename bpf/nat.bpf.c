/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * NAT44 and load balancing keyed by tenant, at the edge between the compartments and the outside (R-NAT-1 … 6). Standards:
 * RFC 4787 (UDP), RFC 5382 (TCP), RFC 5508 (ICMP), RFC 6888 (many subscribers on one address), RFC 7857 (updates), RFC 3022.
 *
 * nat_out: tc ingress of n<slot>, what a compartment sends by its default route. Never passes a packet to the stack.
 * nat_in: tc ingress of an external NIC. Passes what is for no tenant: the gateway's own IKE, ESP and API.
 * nat_wait: tc ingress of natw1, where fragments come back that wait for their first one.
 * nat_sweep, nat_purge: run by the control plane (BPF_PROG_RUN), end what is over.
 *
 * An established packet of TCP or UDP costs one hash look-up, written out here; everything else is a function call away from it.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include "lib/nat/error.h"
#include "lib/nat/fragment.h"
#include "lib/nat/open.h"
#include "lib/nat/purge.h"
#include "lib/nat/refuse.h"
#include "lib/nat/sweep.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* How far a packet has been looked at. */
#define UNSEEN 0
#define MISSED 1 /* it has no flow */
#define WAITED 2 /* it was a fragment without its first one */

static __always_inline struct hnv_nat_flow *find_flow(struct nat_packet *p, __u32 seen)
{
	return seen == MISSED ? 0 : bpf_map_lookup_elem(&flows, &p->key);
}

/* What a compartment sends and the plain case does not cover. */
__noinline int send_other(struct __sk_buff *skb, __u32 slot, __u32 seen)
{
	struct nat_scratch *s = scratch_here();
	struct hnv_nat_flow *flow;
	struct nat_packet *p;
	__u32 reason;

	if (!s)
		return TC_ACT_SHOT;
	p = &s->packet;
	reason = read_packet(skb, p, slot);
	if (reason)
		return drop_sent(skb, slot, reason);
	if (p->fragment == LATER_FRAGMENT)
		return follow(skb, p, seen == WAITED);
	if (p->query == ICMP_ERROR) {
		int action = forward_error(skb, p, &reason);

		return reason ? drop_sent(skb, slot, reason) : action;
	}
	flow = find_flow(p, seen);
	if (!flow) {
		if (p->tcp_flags & HNV_NAT_SYN)
			p->scale = window_scale(skb, p);
		reason = open_from_inside(s);
		if (!reason)
			return forward(skb, p, &s->out);
		if (reason == STATELESS)
			return forward(skb, p, &s->once);
		if (reason != NOT_OURS)
			return refuse(skb, slot, reason);
		flow = bpf_map_lookup_elem(&flows, &p->key);
		if (!flow)
			return drop_sent(skb, slot, HNV_NAT_TABLE);
	}
	note_packet(skb, p, flow);
	return forward(skb, p, flow);
}

/* What comes from outside and the plain case does not cover. */
__noinline int receive_other(struct __sk_buff *skb, __u32 seen)
{
	struct nat_scratch *s = scratch_here();
	bool waited = seen == WAITED;
	struct hnv_nat_flow *flow;
	struct nat_packet *p;
	__u32 reason;

	if (!s)
		return TC_ACT_SHOT;
	p = &s->packet;
	/* What cannot be read is for the stack to judge. */
	if (read_packet(skb, p, 0))
		return pass(skb, waited);
	if (p->fragment == LATER_FRAGMENT) {
		if (!bpf_map_lookup_elem(&addresses, &p->key.destination))
			return pass(skb, waited);
		return follow(skb, p, waited);
	}
	if (p->query == ICMP_ERROR) {
		int action = forward_error(skb, p, &reason);

		if (!reason)
			return action;
		return reason == HNV_NAT_ERROR ? TC_ACT_OK : drop_received(skb, HNV_RDID_NONE, reason);
	}
	flow = find_flow(p, seen);
	if (!flow) {
		if (p->tcp_flags & HNV_NAT_SYN)
			p->scale = window_scale(skb, p);
		reason = open_from_outside(s);
		if (!reason)
			return forward(skb, p, &s->out);
		if (reason == STATELESS)
			return forward(skb, p, &s->once);
		if (reason != NOT_OURS)
			return drop_received(skb, s->b.rdid, reason);
		/* Another CPU's session, or the gateway's own. */
		flow = bpf_map_lookup_elem(&flows, &p->key);
		if (!flow) {
			__builtin_memset(&s->once, 0, sizeof(s->once));
			if (p->fragment == FIRST_FRAGMENT)
				remember(p, &s->once, HNV_NAT_OWN);
			return pass(skb, waited);
		}
	}
	note_packet(skb, p, flow);
	return forward(skb, p, flow);
}

#define ELSEWHERE -2 /* not the plain case */
#define NO_FLOW -3

/* An established TCP or UDP packet without IP options, whole, that neither opens nor resets. */
static __always_inline int plain(struct __sk_buff *skb, __u32 rdid)
{
	struct hnv_nat_flow_key key = { .rdid = rdid };
	struct hnv_nat_flow *flow;
	struct iphdr *ip;
	struct tcphdr *tcp;
	__u32 addresses_diff, ports_diff, new_ports, egress, flags, sum_at;
	__be32 source, destination;
	bool is_tcp;

	if (!have(skb, IP_AT + sizeof(*ip) + 8))
		return ELSEWHERE;
	ip = PACKET_START(skb) + IP_AT;
	if ((void *)(ip + 1) + 8 > PACKET_END(skb))
		return ELSEWHERE;
	is_tcp = ip->protocol == IPPROTO_TCP;
	if ((!is_tcp && ip->protocol != IPPROTO_UDP) || ip->ihl != 5 || ip->frag_off & bpf_htons(FRAGMENT_MASK) ||
	    !sound_ipv4(ip, skb->len - IP_AT, skb->gso_size != 0))
		return ELSEWHERE;
	key.source = ip->saddr;
	key.destination = ip->daddr;
	key.protocol = ip->protocol;
	*(__u32 *)&key.source_port = *(__u32 *)(ip + 1);
	if (is_tcp) {
		if (!have(skb, IP_AT + sizeof(*ip) + sizeof(*tcp)))
			return ELSEWHERE;
		tcp = PACKET_START(skb) + IP_AT + sizeof(*ip);
		if ((void *)(tcp + 1) > PACKET_END(skb) || ((__u8 *)tcp)[13] & (HNV_NAT_SYN | HNV_NAT_RST))
			return ELSEWHERE;
	}
	flow = bpf_map_lookup_elem(&flows, &key);
	if (!flow)
		return NO_FLOW;
	if (is_tcp) {
		tcp = PACKET_START(skb) + IP_AT + sizeof(*ip);
		if ((void *)(tcp + 1) > PACKET_END(skb))
			return ELSEWHERE;
		note_tcp(flow, ((__u8 *)tcp)[13], bpf_ntohl(tcp->ack_seq), bpf_ntohs(tcp->window));
	}
	note_seen(flow, clock_s());

	source = flow->source;
	destination = flow->destination;
	new_ports = *(__u32 *)&flow->source_port;
	egress = flow->egress;
	flags = flow->flags;
	addresses_diff = difference(key.source, source, key.destination, destination);
	ports_diff = difference(*(__u32 *)&key.source_port, new_ports, 0, 0);
	sum_at = IP_AT + sizeof(*ip) + (is_tcp ? 16 : 6);
	if (bpf_l4_csum_replace(skb, sum_at, 0, addresses_diff, BPF_F_PSEUDO_HDR | (is_tcp ? 0 : BPF_F_MARK_MANGLED_0)) ||
	    bpf_l4_csum_replace(skb, sum_at, 0, ports_diff, is_tcp ? 0 : BPF_F_MARK_MANGLED_0))
		return drop(skb, rdid, HNV_ADJUST_FAILED, rdid ? HNV_FROM_PORT : HNV_FROM_WIRE);
	ip = PACKET_START(skb) + IP_AT;
	if ((void *)(ip + 1) + 4 > PACKET_END(skb))
		return TC_ACT_SHOT;
	ip->saddr = source;
	ip->daddr = destination;
	adjust_ip(ip, addresses_diff);
	*(__u32 *)(ip + 1) = new_ports;
	return send_on(skb, egress, flags, destination);
}

SEC("tc")
int nat_out(struct __sk_buff *skb)
{
	struct hnv_nat_tenant *tenant;
	struct ethhdr *eth;
	__u32 slot;
	int action;

	if (!have(skb, sizeof(*eth) + sizeof(struct iphdr)))
		return drop_sent(skb, HNV_RDID_NONE, HNV_TRUNCATED);
	eth = PACKET_START(skb);
	if ((void *)(eth + 1) > PACKET_END(skb))
		return drop_sent(skb, HNV_RDID_NONE, HNV_TRUNCATED);
	slot = bpf_ntohs(*(__be16 *)(eth->h_source + 4));
	tenant = tenant_at(slot);
	if (!tenant || tenant->device != skb->ifindex || *(__be32 *)eth->h_source != bpf_htonl(HNV_NAT_MAC_HIGH))
		return drop_sent(skb, HNV_RDID_NONE, HNV_UNKNOWN_PORT);
	if (eth->h_proto != bpf_htons(ETH_P_IP))
		return drop_sent(skb, slot, eth->h_proto == bpf_htons(ETH_P_IPV6) ? HNV_NAT_IPV6 : HNV_ETHERTYPE);
	action = plain(skb, slot);
	return action == ELSEWHERE || action == NO_FLOW ? send_other(skb, slot, action == NO_FLOW ? MISSED : UNSEEN) : action;
}

SEC("tc")
int nat_in(struct __sk_buff *skb)
{
	int action;

	if (skb->protocol != bpf_htons(ETH_P_IP) || skb->vlan_present)
		return TC_ACT_OK;
	action = plain(skb, 0);
	return action == ELSEWHERE || action == NO_FLOW ? receive_other(skb, action == NO_FLOW ? MISSED : UNSEEN) : action;
}

SEC("tc")
int nat_wait(struct __sk_buff *skb)
{
	__u32 slot = skb->mark >> WAIT_SHIFT;

	return slot ? send_other(skb, slot, WAITED) : receive_other(skb, WAITED);
}

SEC("syscall")
int nat_sweep(struct hnv_nat_sweep *told)
{
	struct sweep c = { .now = sweep_s() };

	bpf_for_each_map_elem(&flows, sweep_flow, &c, 0);
	bpf_for_each_map_elem(&mappings, sweep_mapping, &c, 0);
	bpf_for_each_map_elem(&hosts, sweep_host, &c, 0);
	bpf_for_each_map_elem(&blocks, sweep_block, &c, 0);
	*told = c.told;
	return 0;
}

SEC("syscall")
int nat_purge(struct hnv_nat_purge *asked)
{
	struct hnv_nat_purge p = *asked;

	if (!p.rdid && p.pool == ~0U)
		return 1;
	bpf_for_each_map_elem(&flows, purge_flow, &p, 0);
	if (!p.address) {
		bpf_for_each_map_elem(&mappings, purge_mapping, &p, 0);
		bpf_for_each_map_elem(&blocks, purge_block, &p, 0);
		if (p.pool == ~0U) {
			bpf_for_each_map_elem(&contacts, purge_contact, &p, 0);
			bpf_for_each_map_elem(&hosts, purge_host, &p, 0);
			bpf_for_each_map_elem(&fragments, purge_fragment, &p, 0);
		}
	}
	asked->ended = p.ended;
	return 0;
}
