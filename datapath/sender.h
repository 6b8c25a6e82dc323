/*
 * Kernel side only: who sends. A socket carries the key of its program (struct fm_sock_who), and
 * the verdict on that program tells its classes: one that comes later, or changes, holds for
 * sockets that are open. The maps here are both the `sock` programs' and the data path's.
 */
#ifndef FM_DATAPATH_SENDER_H
#define FM_DATAPATH_SENDER_H

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "datapath/ctx.h"
#include "datapath/sock_maps.h"

FM_PAGE_MAP(fm_sock_settings_v1, struct fm_sock_settings, 1);

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FM_SOCK_WHOS);
	__type(key, struct fm_sock_who);
	__type(value, struct fm_sock_verdict);
} fm_sock_whos_v2 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, FM_SOCK_EVENTS_BYTES);
} fm_sock_events_v1 SEC(".maps");

/* Cloned: accepted children are of their listener's program. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct fm_sock_sender);
} fm_sock_sender_v1 SEC(".maps");

static __always_inline const struct fm_sock_settings *fm_sock_now(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&fm_sock_settings_v1, &zero);
}

/* A verdict, and what is wanted of it; @stale: the first one of an earlier policy. */
struct fm_search {
	struct fm_sock_verdict *stale;
	__u32 policy;
	bool for_classes;
};

static __always_inline struct fm_sock_verdict *fm_try_verdict(struct fm_search *s,
							      const struct fm_sock_who *key)
{
	struct fm_sock_verdict *v = bpf_map_lookup_elem(&fm_sock_whos_v2, key);

	if (!v || (s->for_classes && !v->is_classed))
		return NULL;
	if (v->policy == s->policy)
		return v;
	if (!s->stale)
		s->stale = v;
	return NULL;
}

/* Where policy knows users and groups only: of this user in this group, of one of them, or of all.
 */
static __always_inline struct fm_sock_verdict *fm_people_verdict(struct fm_search *s,
								 const struct fm_sock_who *who)
{
	struct fm_sock_who key = { .uid = who->uid, .gid = who->gid };
	struct fm_sock_verdict *v = fm_try_verdict(s, &key);

	if (v)
		return v;
	key.gid = FM_SOCK_ANY;
	v = fm_try_verdict(s, &key);
	if (v)
		return v;
	key.uid = FM_SOCK_ANY;
	key.gid = who->gid;
	v = fm_try_verdict(s, &key);
	if (v)
		return v;
	key.gid = FM_SOCK_ANY;
	return fm_try_verdict(s, &key);
}

/* Of exactly @who, else of all in its cgroup. */
static __always_inline struct fm_sock_verdict *fm_own_verdict(struct fm_search *s,
							      const struct fm_sock_who *who)
{
	struct fm_sock_who all = { .cgroup = who->cgroup, .uid = FM_SOCK_ANY, .gid = FM_SOCK_ANY };
	struct fm_sock_verdict *v = fm_try_verdict(s, who);

	return v ? v : fm_try_verdict(s, &all);
}

/*
 * What policy says of @who: of exactly this one, else of its cgroup, else of this user's program in
 * any cgroup, or of people. The first one of the policy in force; where there is none, the first of
 * an earlier one. NULL: nothing yet. @for_classes: of those that say what its classes are.
 */
static __always_inline struct fm_sock_verdict *fm_find_verdict(const struct fm_sock_settings *now,
							       const struct fm_sock_who *who,
							       const bool for_classes)
{
	struct fm_search s = { .policy = now->policy, .for_classes = for_classes };
	struct fm_sock_who all = *who;
	struct fm_sock_verdict *v = NULL;

	if (!now->by_people || now->has_trees)
		v = fm_own_verdict(&s, who);
	if (v)
		return v;
	all.cgroup = 0;
	v = now->by_people ? fm_people_verdict(&s, who) : fm_try_verdict(&s, &all);
	return v ? v : s.stale;
}

/* Of exactly this one, or of its own cgroup; of the policy in force. */
static __always_inline struct fm_sock_verdict *fm_near_verdict(const struct fm_sock_settings *now,
							       const struct fm_sock_who *who)
{
	struct fm_search s = { .policy = now->policy };

	return fm_own_verdict(&s, who);
}

/* Its classes, as far as they are known; what is not, the daemon is asked for once a policy. */
static __always_inline __u32 fm_classes_of(const struct fm_sock_settings *now,
					   struct fm_sock_sender *s)
{
	struct fm_sock_who who = s->who; /* no keys in the memory of another map: 6.1 */
	struct fm_sock_verdict *v = fm_find_verdict(now, &who, true);
	struct fm_sock_event *e;

	if (v && v->policy == now->policy)
		return v->classes;
	if (s->asked != now->policy) {
		e = bpf_ringbuf_reserve(&fm_sock_events_v1, sizeof(*e), 0);
		if (e) {
			s->asked = now->policy;
			__builtin_memset(e, 0, sizeof(*e));
			e->kind = FM_SOCK_EVENT_WHO;
			e->pid = s->pid;
			e->who = who;
			bpf_ringbuf_submit(e, 0);
		}
	}
	return v ? v->classes : 0; /* the numbers of classes stay: see fm_host_policy_classes() */
}

/*
 * Of a socket that was open before anybody asked: by its cgroup and its user alone. NULL: the
 * packet has no socket, or one that is not its sender's (the daemon sends what it held anew).
 */
static __always_inline struct fm_sock_sender *fm_sender_of(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct fm_sock_sender *s;

	if (!sk)
		return NULL;
	sk = bpf_sk_fullsock(sk);
	if (!sk || (sk->family != AF_INET && sk->family != AF_INET6))
		return NULL;
	s = bpf_sk_storage_get(&fm_sock_sender_v1, sk, NULL, 0);
	if (s)
		return s;
	s = bpf_sk_storage_get(&fm_sock_sender_v1, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!s)
		return NULL;
	s->who.cgroup = bpf_skb_cgroup_id(skb);
	s->who.uid = bpf_get_socket_uid(skb);
	s->who.gid = FM_SOCK_ANY;
	s->who.exe_dev = FM_SOCK_ANY;
	return s;
}

/**
 * fm_sender_classes() - classes of the program that sends, bits as fm_host_policy_classes() gave
 * @kept: what was found for this flow before, or NULL: it holds for packets that do not show their
 *        sender, and is written when one does
 * For egress tc programs; once per flow and generation, not per packet. A flow that was asked for
 * before the verdict came gets another generation with it. Return: 0: of no class, or not known.
 */
static __always_inline __u32 fm_sender_classes(struct __sk_buff *skb, __u32 *kept)
{
	const struct fm_sock_settings *now = fm_sock_now();
	struct fm_sock_sender *s;
	__u32 classes;

	if (!now || !now->has_senders)
		return 0;
	s = fm_sender_of(skb);
	if (!s)
		return kept ? *kept : 0;
	classes = fm_classes_of(now, s);
	if (kept)
		*kept = classes;
	return classes;
}

#endif
