// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * The `block` programs: what a rule with on-none = block claims never leaves outside the tunnel,
 * whether a daemon runs or not. They judge what sockets of one network namespace send; what only
 * the daemon knows counts as if the rule fitted while it is dead. What goes into the tunnel the
 * data path judges, but for that.
 */
#include "datapath/block_maps.h"
#include "datapath/rules.h"
#include "datapath/sender.h"

#include <bpf/bpf_core_read.h>

#define FM_PASS 1
#define FM_STOP 0
#define FM_LOOPBACK 1u /* the number of lo in every network namespace */
#define FM_DEPTH_MAX 32
#define FM_V2_HIERARCHY 0

FM_PAGE_MAP(fm_block_settings_v1, struct fm_block_settings, 1);
FM_PAGE_MAP(fm_block_sets_v2, struct fm_block_set, 2);
FM_MAP(fm_block_users_v1, BPF_MAP_TYPE_HASH, __u32, struct fm_block_classes, FM_BLOCK_USERS);
FM_MAP(fm_block_drops_v1, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct fm_dp_counter, 1);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FM_BLOCK_CGROUPS);
	__type(key, __u64);
	__type(value, struct fm_block_classes);
} fm_block_cgroups_v1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct fm_block_note);
} fm_block_notes_v1 SEC(".maps");

struct fm_block_name {
	char text[FM_BLOCK_PATH];
	__u32 len, last; /* where its last name begins */
};
FM_MAP(fm_block_names, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct fm_block_name, 2);

/* Of the kernel's structs, what is read. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct net {
	__u64 net_cookie;
};
typedef struct {
	struct net *net;
} possible_net_t;
struct sock_common {
	possible_net_t skc_net;
};
struct sock {
	struct sock_common __sk_common;
};
struct kernfs_node {
	const char *name;
	__u64 id;
};
struct cgroup_root {
	int hierarchy_id;
};
struct cgroup {
	struct kernfs_node *kn;
	struct cgroup_root *root;
};
#pragma clang attribute pop

static __always_inline struct fm_block_settings *settings(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&fm_block_settings_v1, &zero);
}

static __always_inline bool is_alive(const struct fm_block_settings *now)
{
	return now->beat_ns && bpf_ktime_get_ns() - now->beat_ns < FM_BLOCK_SILENCE_NS;
}

static __always_inline int stop(const struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct fm_dp_counter *c = bpf_map_lookup_elem(&fm_block_drops_v1, &zero);

	if (c) {
		c->packets++;
		c->bytes += skb->len;
	}
	return FM_STOP;
}

/* The namespace's cookie; a program of this kind has no helper for it before 6.15. */
static __always_inline __u64 netns_of(struct fm_block_note *note, struct bpf_sock *sk)
{
	const struct sock *self;
	struct net *net;

	if (note->netns)
		return note->netns;
	note->self = (__u64)sk; /* read back it is a number, from which we may reckon */
	self = (const struct sock *)*(volatile __u64 *)&note->self;
	net = BPF_CORE_READ(self, __sk_common.skc_net.net);
	note->netns = BPF_CORE_READ(net, net_cookie);
	return note->netns;
}

/* Not for us: of another namespace, or the daemon's own. What cannot be told is for us. */
static __always_inline bool is_left(const struct fm_block_settings *now, struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct fm_block_note *note;

	if (!sk)
		return false;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return false;
	note = bpf_sk_storage_get(&fm_block_notes_v1, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!note)
		return false;
	return netns_of(note, sk) != now->netns || note->is_daemons;
}

static __always_inline bool is_flowmobs(const struct fm_block_settings *now, __u32 device)
{
	return device == now->devices[0] || device == now->devices[1] || device == now->devices[2];
}

/* What stays on its link: else no access would ever come up. */
static __always_inline bool is_near(const struct fm_packet *p)
{
	const __u8 *a = p->dst.b;

	if (p->family == 4)
		return (a[12] & 0xf0) == 224 || (a[12] == 169 && a[13] == 254) ||
		       p->dst.w[3] == 0xffffffff;
	if (a[0] == 0xff || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80))
		return true;
	/* RFC 4861 §4: router and neighbour discovery */
	return p->ip_proto == IPPROTO_ICMPV6 && p->icmp_type >= 133 && p->icmp_type <= 137;
}

/* By its user and by the cgroups that it is in: what the kernel can tell alone. */
static __always_inline __u32 classes_seen(const struct fm_block_settings *now,
					  const struct fm_block_set *set, struct __sk_buff *skb)
{
	__u32 uid = bpf_get_socket_uid(skb), which = now->now & 1;
	const struct fm_block_classes *c = bpf_map_lookup_elem(&fm_block_users_v1, &uid);
	__u32 classes = c ? c->of[which] : 0;

	if (now->is_full)
		classes |= set->by_cgroup;
	for (int level = 1; level <= FM_DEPTH_MAX; level++) {
		__u64 id = bpf_skb_ancestor_cgroup_id(skb, level);

		if (!id)
			break;
		c = bpf_map_lookup_elem(&fm_block_cgroups_v1, &id);
		classes |= c ? c->of[which] : 0;
	}
	return classes;
}

/* As the daemon judged its program; false: not yet, and from now on it is asked. */
static __always_inline bool find_judged(struct __sk_buff *skb, __u64 *classes)
{
	const struct fm_sock_settings *now = fm_sock_now();
	struct fm_sock_verdict *v;
	struct fm_sock_sender *s;
	struct fm_sock_who who;

	if (!now || !now->has_senders)
		return false;
	s = fm_sender_of(skb);
	if (!s)
		return false;
	who = s->who;
	v = fm_find_verdict(now, &who, true);
	if (!v || v->policy != now->policy) {
		(void)fm_classes_of(now, s);
		return false;
	}
	*classes = v->classes;
	return true;
}

static __always_inline __u64 classes_of_destination(const struct fm_packet *p)
{
	union fm_addr key;

	fm_addr_move(&key, &p->dst);
	const __u32 *classes = bpf_map_lookup_elem(&fm_domains_v1, &key);

	return classes ? (__u64)*classes << 32 : 0;
}

/* What is @is_judged, the daemon has told; else all that it alone knows counts as had. */
static __always_inline __u64 classes_of(const struct fm_block_settings *now, struct __sk_buff *skb,
					const struct fm_packet *p, bool is_judged, __u64 classes)
{
	__u32 which = now->now & 1;
	const struct fm_block_set *set = bpf_map_lookup_elem(&fm_block_sets_v2, &which);

	if (!set)
		return ~0ull;
	if (!is_judged)
		classes = classes_seen(now, set, skb) | (__u32)set->cannot;
	return classes | (is_alive(now) ? classes_of_destination(p) : set->cannot >> 32 << 32);
}

/* A selector of the host's own rules has the host as its source. */
static __always_inline void match_of(struct fm_match *m, const struct fm_packet *p)
{
	for (int i = 0; i < 2; i++) {
		m->src[i] = bpf_be64_to_cpu(p->src.d[i]);
		m->dst[i] = bpf_be64_to_cpu(p->dst.d[i]);
	}
	m->classes = ~0ull;
	m->sport = bpf_ntohs(p->sport);
	m->dport = bpf_ntohs(p->dport);
	m->spi = p->spi;
	m->label = p->label;
	m->tc = p->tc & 0xfc; /* RFC 6088 §3.1: ECN never counts */
	m->ip_proto = p->ip_proto;
	m->family = p->family;
	m->has = p->has | FM_DP_HAS_SRC | FM_DP_HAS_DST | FM_DP_HAS_TC | FM_DP_HAS_PROTO;
}

/* Rules that fit by what the packet shows. */
static __always_inline __u64 shown(const struct fm_block_settings *now,
				   const struct fm_block_set *set, const struct fm_packet *p)
{
	struct fm_match m = {};
	__u64 fits;

	match_of(&m, p);
	fits = fm_many_fit(&set->rules, &m);
	return is_alive(now) ? fits & ~set->resting : fits;
}

/* Outside the tunnel: the daemon's word on a program holds while it lives. */
static __always_inline bool is_claimed(const struct fm_block_settings *now, struct __sk_buff *skb,
				       const struct fm_packet *p)
{
	__u32 which = now->now & 1;
	const struct fm_block_set *set = bpf_map_lookup_elem(&fm_block_sets_v2, &which);
	__u64 fits, classes = 0;
	bool is_judged;

	if (!set)
		return false;
	fits = shown(now, set, p) & set->blocks;
	if (!fits)
		return false;
	is_judged = is_alive(now) && find_judged(skb, &classes);
	classes = classes_of(now, skb, p, is_judged, classes);
	return fits & ~fm_lacking(set->rules.need, FM_DP_RULES, classes);
}

/* The data path has chosen for it, by what was known then. */
static __always_inline bool has_flow(const struct fm_packet *p)
{
	struct fm_dp_tuple t = { .local_port = p->sport,
				 .remote_port = p->dport,
				 .ip_proto = p->ip_proto };

	fm_addr_move(t.local, &p->src);
	fm_addr_move(t.remote, &p->dst);
	return bpf_map_lookup_elem(&fm_flows_v3, &t);
}

/* Rules that may stop what goes into the tunnel: while the daemon lives, where its accesses are
 * down. */
static __always_inline __u64 closed_inside(const struct fm_block_settings *now)
{
	__u32 which = now->now & 1;
	const struct fm_block_set *set = bpf_map_lookup_elem(&fm_block_sets_v2, &which);

	if (!set)
		return 0;
	return is_alive(now) ? set->blocks & set->shut : set->blocks;
}

/*
 * Into the tunnel: the data path judges by what it knows. What it does not, of a program that was
 * not judged yet, or of names while the daemon is dead, would pass it as if a rule did not fit. The
 * first rule that fits decides here, too.
 */
static __always_inline bool is_unknown(const struct fm_block_settings *now, struct __sk_buff *skb,
				       const struct fm_packet *p)
{
	__u32 which = now->now & 1;
	const struct fm_block_set *set = bpf_map_lookup_elem(&fm_block_sets_v2, &which);
	__u64 fits, closed = closed_inside(now), unsure, sure, classes = 0;
	bool is_judged;

	if (!set)
		return false;
	fits = shown(now, set, p);
	if (!(fits & closed) || has_flow(p))
		return false;
	is_judged = find_judged(skb, &classes);
	unsure = (is_judged ? 0 : (__u32)~0) | (is_alive(now) ? 0 : ~0ull << 32);
	unsure = fm_lacking(set->rules.need, FM_DP_RULES, ~unsure);
	classes = classes_of(now, skb, p, is_judged, classes);
	fits &= ~fm_lacking(set->rules.need, FM_DP_RULES, classes);
	sure = fits & ~unsure;
	if (sure)
		fits &= (sure & -sure) - 1;
	return fits & closed & unsure;
}

SEC("cgroup_skb/egress")
int fm_block_out(struct __sk_buff *skb)
{
	const struct fm_block_settings *now = settings();
	struct fm_packet p = {};
	bool is_inside;

	if (!now || skb->ifindex == FM_LOOPBACK || is_left(now, skb))
		return FM_PASS;
	is_inside = is_flowmobs(now, skb->ifindex);
	if (is_inside && !closed_inside(now))
		return FM_PASS;
	if (!fm_read_skb(skb, 0, &p)) /* nobody knows what it is */
		return is_inside ? FM_PASS : stop(skb);
	if (is_near(&p))
		return FM_PASS;
	if (is_inside ? is_unknown(now, skb, &p) : is_claimed(now, skb, &p))
		return stop(skb);
	return FM_PASS;
}

SEC("cgroup/sock_create")
int fm_block_create(struct bpf_sock *sk)
{
	const struct fm_block_settings *now = settings();
	struct fm_block_note *note;

	if (!now || now->pid != (__u32)(bpf_get_current_pid_tgid() >> 32) || !is_alive(now))
		return FM_PASS;
	note = bpf_sk_storage_get(&fm_block_notes_v1, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (note)
		note->is_daemons = 1;
	return FM_PASS;
}

/* Run once by the loader itself: its number as the kernel has it, in whatever pid namespace. */
SEC("raw_tp")
int fm_block_self(void *ctx)
{
	(void)ctx;
	return (int)(bpf_get_current_pid_tgid() >> 32);
}

/* Do the @len octets of the name from @at on say @text? */
FM_SUBPROGRAM int fm_says(const struct fm_block_name *name, __u32 at,
			  const struct fm_block_text *text, __u32 len)
{
	if (!name || !text)
		return 0;
	for (__u32 i = 0; i < FM_BLOCK_TEXT; i++) {
		if (i >= len)
			break;
		if (name->text[(at + i) & (FM_BLOCK_PATH - 1)] != text->at[i])
			return 0;
	}
	return 1;
}

/* As fnmatch() would say. */
FM_SUBPROGRAM int fm_fits(const struct fm_block_pattern *p, const struct fm_block_name *name)
{
	__u32 start, len;

	if (!p || !name)
		return 0;
	if (p->kind == FM_BLOCK_ANY)
		return 1;
	start = p->kind == FM_BLOCK_NAME ? name->last : 0;
	len = name->len - start;
	if (p->is_open ? len < (__u32)p->head_len + p->tail_len : len != p->head_len)
		return 0;
	if (p->is_open && start + p->head_len < name->last)
		return 0; /* it would stand for a slash, too */
	return fm_says(name, start, &p->head, p->head_len) &&
	       fm_says(name, name->len - p->tail_len, &p->tail, p->tail_len);
}

static __always_inline __u32 classes_of_name(__u32 which, const struct fm_block_name *name)
{
	const struct fm_block_set *set = bpf_map_lookup_elem(&fm_block_sets_v2, &which);
	__u32 classes = 0;

	if (!set)
		return 0;
	for (__u32 i = 0; i < FM_BLOCK_PATTERNS; i++) {
		const struct fm_block_pattern *p = &set->patterns[i];

		if (p->kind && fm_fits(p, name))
			classes |= p->class;
	}
	return classes;
}

/* Where its last name begins is where the kernel's own copy of that would. */
static __always_inline struct fm_block_name *name_of(struct cgroup *g, const char *path)
{
	__u32 zero = 0, one = 1;
	struct fm_block_name *name = bpf_map_lookup_elem(&fm_block_names, &zero);
	struct fm_block_name *last = bpf_map_lookup_elem(&fm_block_names, &one);
	long len, last_len;

	if (!name || !last)
		return NULL;
	len = bpf_probe_read_kernel_str(name->text, sizeof(name->text), path);
	last_len = bpf_probe_read_kernel_str(last->text, sizeof(last->text),
					     BPF_CORE_READ(g, kn, name));
	if (len <= 1 || last_len <= 1 || last_len > len)
		return NULL;
	name->len = len - 1;
	name->last = len - last_len;
	return name;
}

/* A new one, also while no daemon runs: what it is for every rule, before anybody is in it. */
SEC("raw_tracepoint/cgroup_mkdir")
int fm_block_mkdir(struct bpf_raw_tracepoint_args *c)
{
	struct cgroup *g = (struct cgroup *)c->args[0];
	__u64 id = BPF_CORE_READ(g, kn, id);
	struct fm_block_settings *now = settings();
	struct fm_block_classes classes = {};
	struct fm_block_name *name;

	if (!now || BPF_CORE_READ(g, root, hierarchy_id) != FM_V2_HIERARCHY)
		return 0;
	name = name_of(g, (const char *)c->args[1]);
	if (!name)
		return 0;
	classes.of[0] = classes_of_name(0, name);
	classes.of[1] = classes_of_name(1, name);
	if (!(classes.of[0] | classes.of[1]))
		return 0;
	if (bpf_map_update_elem(&fm_block_cgroups_v1, &id, &classes, BPF_ANY))
		now->is_full = 1;
	return 0;
}

/* The last of its sockets is gone, too. */
SEC("raw_tracepoint/cgroup_release")
int fm_block_release(struct bpf_raw_tracepoint_args *c)
{
	struct cgroup *g = (struct cgroup *)c->args[0];
	__u64 id = BPF_CORE_READ(g, kn, id);

	if (BPF_CORE_READ(g, root, hierarchy_id) == FM_V2_HIERARCHY)
		(void)bpf_map_delete_elem(&fm_block_cgroups_v1, &id);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
