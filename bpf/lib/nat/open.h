/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * New sessions. The questions from inside, in this order: is the destination one machine; which rule of the policy; can the
 * protocol be translated; does the packet open a session; may the host and the tenant have one more; which external endpoint; for
 * whom is a destination that is an external address of ours (hairpin). The first that fails gives the reason, and nothing of the
 * packet leaves. From outside: for whom is it; does it open a session; may this sender; may the tenant have one more.
 */
#pragma once
#include "target.h"

/* Fills `a`, and `rule` with the number of the rule whose pools serve it; 0 or the reason. */
__noinline __u32 find_source(struct nat_scratch *s)
{
	struct hnv_nat_flow_key *key;
	struct hnv_nat_policy *policy;
	struct hnv_nat_static_key inside = {};
	struct hnv_nat_host_key host;
	struct hnv_nat_one_to_one *one;
	struct hnv_nat_static *found;
	__u32 rdid;

	if (!s)
		return HNV_NAT_POLICY;
	key = &s->packet.key;
	rdid = key->rdid;
	__builtin_memset(&s->a, 0, sizeof(s->a));
	s->a.rdid = rdid;
	s->a.address = key->source;
	s->a.port = key->source_port;
	s->a.protocol = key->protocol;
	policy = bpf_map_lookup_elem(&policies, &rdid);
	if (!policy)
		return HNV_NAT_POLICY;
	host.rdid = rdid;
	host.address = key->source;
	for (__u32 i = 0; i < HNV_NAT_RULES; i++) {
		struct hnv_nat_rule *rule = &policy->rule[i];

		if (i >= policy->rules)
			break;
		if ((key->destination & rule->mask) != rule->network)
			continue;
		if (rule->action == HNV_NAT_RULE_ONE_TO_ONE) {
			one = bpf_map_lookup_elem(&one_to_one, &host);
			if (!one)
				continue;
			s->a.external = one->address;
			s->a.external_port = key->source_port;
			s->a.pool = one->pool;
			return 0;
		}
		if (rule->action != HNV_NAT_RULE_POOL)
			return HNV_NAT_POLICY;
		if (!has_ports(key->protocol) && key->protocol != IPPROTO_ICMP)
			return HNV_NAT_PROTOCOL;
		inside.rdid = rdid;
		inside.address = key->source;
		inside.port = key->source_port;
		inside.protocol = key->protocol;
		found = bpf_map_lookup_elem(&statics, &inside);
		if (found) {
			s->a.kind = HNV_NAT_STATIC;
			s->a.external = found->address;
			s->a.external_port = found->port;
			s->a.pool = found->pool;
		} else {
			s->a.kind = HNV_NAT_MAPPED;
			s->a.set = rule->set;
			s->rule = i;
		}
		return 0;
	}
	return HNV_NAT_POLICY;
}

static __always_inline __u8 filtering_of(struct nat_side *side)
{
	struct hnv_nat_tenant *tenant = tenant_at(side->rdid);

	if (!tenant || !has_ports(side->protocol))
		return HNV_NAT_PORT_DEPENDENT;
	return side->protocol == IPPROTO_TCP ? tenant->tcp_filtering : tenant->udp_filtering;
}

/* Writes both entries of the session from `a` (0 = it came from outside) to `b` (0 = it goes outside). */
static __always_inline void describe(struct nat_scratch *s, bool from_inside, bool to_inside)
{
	struct hnv_nat_flow_key *key = &s->packet.key;
	struct hnv_nat_flow *out = &s->out, *back = &s->back;

	__builtin_memset(out, 0, sizeof(*out));
	__builtin_memset(back, 0, sizeof(*back));
	out->source = from_inside ? s->a.external : key->source;
	out->source_port = from_inside ? s->a.external_port : key->source_port;
	out->destination = to_inside ? s->b.address : key->destination;
	out->destination_port = to_inside ? s->b.port : key->destination_port;
	back->source = key->destination;
	back->source_port = key->destination_port;
	back->destination = key->source;
	back->destination_port = key->source_port;
	out->rdid = back->rdid = from_inside ? s->a.rdid : s->b.rdid;
	out->egress = to_inside ? s->b.rdid : s->a.pool;
	back->egress = from_inside ? s->a.rdid : s->b.pool;
	out->kind = from_inside ? s->a.kind : s->b.kind;
	out->set = from_inside ? s->a.set : s->b.set;
	back->kind = to_inside ? s->b.kind : s->a.kind;
	back->set = to_inside ? s->b.set : s->a.set;
	out->flags = HNV_NAT_OPENER | (to_inside ? HNV_NAT_TO_INSIDE : 0) |
		     (from_inside && s->a.contact ? HNV_NAT_CONTACT : 0);
	back->flags = (from_inside ? HNV_NAT_TO_INSIDE : 0) | (to_inside && s->b.contact ? HNV_NAT_CONTACT : 0) |
		      (to_inside && s->b.kind == HNV_NAT_VIP ? HNV_NAT_FROM_VIP : 0);
	out->dip = back->dip = to_inside ? s->b.dip : 0;
	out->seen = back->seen = out->opened = back->opened = clock_s();
	if (key->protocol == IPPROTO_TCP) {
		out->tcp_flags = HNV_NAT_SYN;
		out->next = s->packet.sequence + 1;
		out->window = s->packet.window >> (s->packet.scale & 15);
		out->scale = s->packet.scale;
	}
	s->twin = twin_key(out, key->protocol);
}

/* Enters the session; 0, a reason, or NOT_OURS when another CPU has entered it first. */
__noinline __u32 enter_session(struct nat_scratch *s, bool from_inside, bool to_inside)
{
	struct hnv_nat_flow_key *key;
	struct hnv_nat_contact_key contact;
	long failed;

	if (!s)
		return HNV_NAT_TABLE;
	key = &s->packet.key;
	describe(s, from_inside, to_inside);
	if (s->out.flags & HNV_NAT_CONTACT) {
		contact = contact_key(key, &s->out);
		join_contact(&contact, s->a.rdid);
	}
	if (s->back.flags & HNV_NAT_CONTACT) {
		contact = contact_key(&s->twin, &s->back);
		join_contact(&contact, s->b.rdid);
	}
	failed = bpf_map_update_elem(&flows, key, &s->out, BPF_NOEXIST);
	if (!failed) {
		failed = bpf_map_update_elem(&flows, &s->twin, &s->back, BPF_NOEXIST);
		if (!failed)
			return 0;
		bpf_map_delete_elem(&flows, key);
		failed = failed == -EEXIST ? HNV_NAT_COLLISION : HNV_NAT_TABLE;
	} else {
		failed = failed == -EEXIST ? NOT_OURS : HNV_NAT_TABLE;
	}
	if (s->out.flags & HNV_NAT_CONTACT) {
		contact = contact_key(key, &s->out);
		leave_contact(&contact);
	}
	if (s->back.flags & HNV_NAT_CONTACT) {
		contact = contact_key(&s->twin, &s->back);
		leave_contact(&contact);
	}
	return failed;
}

/*
 * Counts the session, joins the mappings of both ends and enters it; 0 or the reason, with nothing left behind. `hairpin`: the
 * destination is an external address of ours, seen from the sender's external endpoint (RFC 4787 REQ-9).
 */
__noinline __u32 establish(struct nat_scratch *s, bool from_inside, bool hairpin)
{
	struct hnv_nat_mapping_key mapping;
	struct hnv_nat_host_key host;
	bool sent = false, received = false;
	__u32 reason;

	if (!s)
		return HNV_NAT_TABLE;
	host.rdid = from_inside ? s->a.rdid : s->b.rdid;
	host.address = from_inside ? s->a.address : s->b.address;
	reason = admit_session(&host);
	if (reason)
		return reason;
	if (from_inside && s->a.kind == HNV_NAT_MAPPED) {
		s->a.contact = filtering_of(&s->a) == HNV_NAT_ADDRESS_DEPENDENT;
		reason = join_mapping(&s->a, true, s->rule);
		sent = !reason;
	}
	if (!reason && hairpin) {
		reason = find_target(s, s->a.external, s->a.external_port);
		if (reason == NOT_OURS)
			reason = HNV_NAT_NO_MAPPING;
		if (!reason && !opens(&s->packet))
			reason = HNV_NAT_NO_SESSION;
	}
	if (!reason && (hairpin || !from_inside) && s->b.kind == HNV_NAT_MAPPED) {
		reason = join_mapping(&s->b, false, 0);
		received = !reason;
	}
	if (!reason)
		reason = enter_session(s, from_inside, hairpin || !from_inside);
	if (!reason)
		return 0;
	if (received) {
		mapping = mapping_key(&s->b);
		leave_mapping(&mapping, clock_s());
	}
	if (sent) {
		mapping = mapping_key(&s->a);
		leave_mapping(&mapping, clock_s());
		/* Nobody outside has seen the port. */
		if (s->a.fresh)
			close_mapping(&mapping);
	}
	dismiss_session(&host);
	return reason;
}

/* RFC 1112, RFC 1122 §3.2.1.3: what is no single machine elsewhere. */
static __always_inline bool is_machine(__be32 address)
{
	__u8 first = bpf_ntohl(address) >> 24;

	return first && first != 127 && first < 224;
}

/* `once` for a packet whose source or destination has an external address of its own. */
static __always_inline void translate_once(struct nat_scratch *s, bool from_inside)
{
	struct hnv_nat_flow *once = &s->once;
	struct hnv_nat_flow_key *key = &s->packet.key;

	__builtin_memset(once, 0, sizeof(*once));
	once->source = from_inside ? s->a.external : key->source;
	once->destination = from_inside ? key->destination : s->b.address;
	once->source_port = key->source_port;
	once->destination_port = key->destination_port;
	once->egress = from_inside ? s->a.pool : s->b.rdid;
	once->flags = from_inside ? 0 : HNV_NAT_TO_INSIDE;
}

/* The checksums of UDP-Lite and DCCP and the whole of AH cover the addresses, and are not corrected. */
static __always_inline bool is_bound_to_addresses(__u8 protocol)
{
	return protocol == 33 || protocol == 51 || protocol == 136;
}

/* From a compartment. 0 = the session is there now, STATELESS, NOT_OURS = look again, or the reason. */
static __always_inline __u32 open_from_inside(struct nat_scratch *s)
{
	__u32 reason;

	if (!s)
		return HNV_NAT_TABLE;
	if (!is_machine(s->packet.key.destination) || !is_machine(s->packet.key.source))
		return HNV_MULTICAST;
	reason = find_source(s);
	if (reason)
		return reason;
	if (s->a.kind && !opens(&s->packet))
		return HNV_NAT_NO_SESSION;
	if (is_bound_to_addresses(s->packet.key.protocol))
		return HNV_NAT_PROTOCOL;
	if (!bpf_map_lookup_elem(&addresses, &s->packet.key.destination)) {
		if (!s->a.kind) {
			translate_once(s, true);
			return STATELESS;
		}
		return establish(s, true, false);
	}
	return establish(s, true, true);
}

/* From outside. 0, STATELESS, NOT_OURS = the gateway's own, or the reason. */
static __always_inline __u32 open_from_outside(struct nat_scratch *s)
{
	__u32 reason;

	if (!s)
		return NOT_OURS;
	reason = find_target(s, s->packet.key.source, s->packet.key.source_port);
	if (reason)
		return reason;
	if (!s->b.kind) {
		if (is_bound_to_addresses(s->packet.key.protocol))
			return HNV_NAT_PROTOCOL;
		translate_once(s, false);
		return STATELESS;
	}
	return establish(s, false, false);
}
