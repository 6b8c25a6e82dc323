/*
 * Kernel side of the `sock` programs: their maps, who asks, what a type has come to, and pinning an
 * address to a socket. Everything here runs under that socket's lock, but for its release, when
 * nobody else has it any more.
 */
#ifndef FM_DATAPATH_SOCK_KERNEL_H
#define FM_DATAPATH_SOCK_KERNEL_H

#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/in.h>
#include <linux/in6.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "datapath/sender.h"
#include "flowmob/preferences.h"

FM_PAGE_MAP(fm_sock_types_v1, __u64, FM_SOCK_FAMILIES *FM_SOCK_TYPES);
FM_PAGE_MAP(fm_sock_slots_v1, struct fm_sock_slot, FM_SOCK_SLOTS);
FM_PAGE_MAP(fm_sock_refs_v1, struct fm_sock_refs, FM_SOCK_SLOTS);
FM_PAGE_MAP(fm_sock_ids_v1, __u64, 1);
FM_PAGE_MAP(fm_sock_refused_v1, __u64, FM_SOCK_TYPES);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FM_SOCK_REQUESTS);
	__type(key, __u64);
	__type(value, struct fm_sock_request);
} fm_sock_requests_v1 SEC(".maps");

/* Cloned: accepted children show what their listener asked for. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct fm_sock_want);
} fm_sock_want_v1 SEC(".maps");

/* Set by the loader: the kernel has MPTCP. */
const volatile bool fm_has_mptcp;

/* Of the kernel's structs, what is read. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct super_block {
	__u32 s_dev;
};
struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
};
struct file {
	struct inode *f_inode;
};
struct mm_struct {
	struct file *exe_file;
};
struct task_struct {
	struct mm_struct *mm;
};
#pragma clang attribute pop

/*
 * The socket that the program has, as a number: of MPTCP it has the parent, while the hooks see the
 * subflows that the kernel connects for it (@may_be_subflow).
 */
static __always_inline __u64 fm_self(struct bpf_sock *sk, const bool may_be_subflow)
{
	if (may_be_subflow && fm_has_mptcp && sk->protocol == IPPROTO_TCP) {
		struct mptcp_sock *parent = bpf_skc_to_mptcp_sock(sk);

		if (parent)
			return (__u64)parent;
	}
	return (__u64)sk;
}

/* What is kept with that socket; @make: if there is nothing yet. */
static __always_inline struct fm_sock_want *fm_want(struct bpf_sock *sk, const bool make,
						    const bool may_be_subflow)
{
	const __u64 flags = make ? BPF_SK_STORAGE_GET_F_CREATE : 0;

	if (may_be_subflow && fm_has_mptcp && sk->protocol == IPPROTO_TCP) {
		struct mptcp_sock *parent = bpf_skc_to_mptcp_sock(sk);

		if (parent)
			return bpf_sk_storage_get(&fm_sock_want_v1, parent, NULL, flags);
	}
	return bpf_sk_storage_get(&fm_sock_want_v1, sk, NULL, flags);
}

static __always_inline void fm_who(struct fm_sock_who *w)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct inode *inode = BPF_CORE_READ(task, mm, exe_file, f_inode);
	__u64 id = bpf_get_current_uid_gid();

	w->cgroup = bpf_get_current_cgroup_id();
	w->exe_ino = BPF_CORE_READ(inode, i_ino);
	w->exe_dev = BPF_CORE_READ(inode, i_sb, s_dev);
	w->uid = (__u32)id;
	w->gid = (__u32)(id >> 32);
	w->pad = 0;
}

/*
 * The socket is its program's, where rules ask whose; @is_new: of the one that runs, else it stays
 * of whom it was. The first one tells the daemon.
 */
static __always_inline void fm_note_sender(struct bpf_sock *sk, const bool is_new)
{
	const struct fm_sock_settings *now = fm_sock_now();
	struct fm_sock_sender *s;
	struct fm_sock_who who;

	if (!now || !now->has_senders)
		return;
	s = bpf_sk_storage_get(&fm_sock_sender_v1, sk, NULL, 0);
	if (s && !is_new)
		return;
	if (!s)
		s = bpf_sk_storage_get(&fm_sock_sender_v1, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!s)
		return;
	fm_who(&who);
	if (s->pid && who.cgroup == s->who.cgroup && who.exe_ino == s->who.exe_ino &&
	    who.exe_dev == s->who.exe_dev && who.uid == s->who.uid && who.gid == s->who.gid)
		return;
	s->who = who;
	s->pid = (__u32)(bpf_get_current_pid_tgid() >> 32);
	s->asked = 0;
	(void)fm_classes_of(now, s);
}

/* NULL: the daemon has not read for long. */
static __always_inline struct fm_sock_event *fm_event(__u8 kind)
{
	struct fm_sock_event *e =
		bpf_ringbuf_reserve(&fm_sock_events_v1, sizeof(struct fm_sock_event), 0);

	if (!e)
		return NULL;
	__builtin_memset(e, 0, sizeof(*e));
	e->kind = kind;
	e->pid = (__u32)(bpf_get_current_pid_tgid() >> 32);
	fm_who(&e->who);
	return e;
}

static __always_inline void fm_fill(struct fm_sock_event *e, const struct fm_sock_want *w,
				    __u32 is_v4)
{
	e->type = w->type;
	e->is_v4 = (__u8)is_v4;
	e->id = w->request;
	e->lifetime_s = w->lifetime_s;
	e->lifetime_bytes = w->lifetime_bytes;
}

static __always_inline bool fm_slot_lives(__u32 slot, __u32 generation)
{
	struct fm_sock_slot *s = bpf_map_lookup_elem(&fm_sock_slots_v1, &slot);

	return s && generation && FM_READ_ONCE(s->generation) == generation;
}

static __always_inline bool fm_slot_is_routed(__u32 slot)
{
	struct fm_sock_slot *s = bpf_map_lookup_elem(&fm_sock_slots_v1, &slot);

	return s && FM_READ_ONCE(s->is_routed);
}

/* A forgotten slot counts no more: it may have another address by now. */
static __always_inline void fm_release_slot(__u32 slot, __u32 generation)
{
	struct fm_sock_refs *refs;

	if (!slot || !fm_slot_lives(slot, generation))
		return;
	refs = bpf_map_lookup_elem(&fm_sock_refs_v1, &slot);
	if (refs)
		__sync_fetch_and_add(&refs->sockets, -1);
}

static __always_inline void fm_unpin(struct fm_sock_want *w, __u32 is_v4)
{
	struct fm_sock_pin *p = &w->pins[is_v4 & 1];

	fm_release_slot(p->slot, p->generation);
	p->slot = 0;
}

/*
 * Counts the socket and gives it the address. The daemon waits for a grace period between taking a
 * word back and reading the count: it sees this one. Return: 0; -errno.
 */
static __always_inline int fm_pin(struct fm_sock_want *w, __u32 is_v4, __u64 word)
{
	__u32 slot = FM_SOCK_WORD_SLOT(word), generation = FM_SOCK_WORD_GENERATION(word);
	struct fm_sock_slot *s = bpf_map_lookup_elem(&fm_sock_slots_v1, &slot);
	struct fm_sock_refs *refs = bpf_map_lookup_elem(&fm_sock_refs_v1, &slot);
	struct fm_sock_pin *p = &w->pins[is_v4 & 1];

	if (!slot || !s || !refs || FM_READ_ONCE(s->generation) != generation)
		return -EADDRNOTAVAIL;
	__sync_fetch_and_add(&refs->sockets, 1);
	p->slot = slot;
	p->generation = generation;
	__builtin_memcpy(p->ip, s->ip, 16);
	return 0;
}

/* Has it a request of its own, or of its verdict, for an address of that family? */
static __always_inline bool fm_by_request(const struct fm_sock_want *w, __u32 is_v4)
{
	return w->request && w->request_is_v4 == is_v4;
}

static __always_inline __u64 fm_request_word(__u64 id)
{
	struct fm_sock_request *r = bpf_map_lookup_elem(&fm_sock_requests_v1, &id);

	if (!r || FM_READ_ONCE(r->id) != id)
		return FM_SOCK_WORD(FM_SOCK_PENDING, 0, 0, 0);
	__u64 word = FM_READ_ONCE(r->word);
	return FM_READ_ONCE(r->id) == id ? word : FM_SOCK_WORD(FM_SOCK_PENDING, 0, 0, 0);
}

/* What was asked of a daemon that died is asked again. */
static __always_inline __u64 fm_ask_own(struct fm_sock_want *w, __u32 is_v4, __u64 word)
{
	const struct fm_sock_settings *now = fm_sock_now();
	struct fm_sock_event *e;

	if (FM_SOCK_WORD_STATE(word) != FM_SOCK_PENDING || w->request & FM_SOCK_REQUEST_DAEMON ||
	    !now || w->asked_run == now->run)
		return word;
	e = fm_event(FM_SOCK_EVENT_OWN);
	if (e) {
		w->asked_run = now->run;
		fm_fill(e, w, is_v4);
		bpf_ringbuf_submit(e, 0);
	}
	return word;
}

/* The first one tells the daemon, and only if it is told is the word PENDING for all. */
static __always_inline __u64 fm_ask_type(const struct fm_sock_want *w, __u32 is_v4, bool again)
{
	const __u64 pending = FM_SOCK_WORD(FM_SOCK_PENDING, 0, 0, 0);
	__u32 index = FM_SOCK_TYPE_INDEX(w->type, is_v4);
	__u64 *at = bpf_map_lookup_elem(&fm_sock_types_v1, &index);
	struct fm_sock_event *e;

	if (!at)
		return FM_SOCK_WORD(FM_SOCK_FAILED, 0, EINVAL, 0);
	__u64 word = FM_READ_ONCE(*at);
	__u32 state = FM_SOCK_WORD_STATE(word);

	if (state != FM_SOCK_NONE && !(state == FM_SOCK_FAILED && again))
		return word;
	e = fm_event(FM_SOCK_EVENT_WANT);
	if (!e)
		return pending;
	fm_fill(e, w, is_v4);
	if (__sync_val_compare_and_swap(at, word, pending) == word)
		bpf_ringbuf_submit(e, 0);
	else
		bpf_ringbuf_discard(e, 0);
	return pending;
}

static __always_inline __u64 fm_word(struct fm_sock_want *w, __u32 is_v4, bool again)
{
	if (fm_by_request(w, is_v4))
		return fm_ask_own(w, is_v4, fm_request_word(w->request));
	return fm_ask_type(w, is_v4, again);
}

#define FM_CGROUPS_DEEP 16 /* levels; verdicts for trees below that are not found */

/* Of a cgroup around that of the task that runs, the nearest one that has a verdict for all below.
 */
static __always_inline struct fm_sock_verdict *fm_tree_verdict(const struct fm_sock_settings *now)
{
	struct fm_sock_who key = { .uid = FM_SOCK_ANY, .gid = FM_SOCK_ANY };
	struct fm_sock_verdict *found = NULL, *v;

	if (!now->has_trees)
		return NULL;
	for (int level = 1; level < FM_CGROUPS_DEEP; level++) {
		key.cgroup = bpf_get_current_ancestor_cgroup_id(level);
		if (key.cgroup == 0)
			break;
		v = bpf_map_lookup_elem(&fm_sock_whos_v2, &key);
		if (v && v->is_tree && v->policy == now->policy)
			found = v;
	}
	return found;
}

/*
 * What policy says of the task that runs; NULL: nothing yet. The daemon is told where there is
 * nothing of the one in force.
 */
static __always_inline struct fm_sock_verdict *fm_verdict(const struct fm_sock_settings *now)
{
	struct fm_sock_verdict *v;
	struct fm_sock_who who;

	fm_who(&who);
	v = now->has_trees ? fm_near_verdict(now, &who) : NULL;
	if (!v)
		v = fm_tree_verdict(now);
	if (!v)
		v = fm_find_verdict(now, &who, false);
	if (v && v->policy == now->policy)
		return v;
	struct fm_sock_event *e = fm_event(FM_SOCK_EVENT_WHO);
	if (e)
		bpf_ringbuf_submit(e, 0);
	return v;
}

/* Where a verdict is many programs': one for this one alone, that remembers what is told of it. */
static __always_inline struct fm_sock_verdict *fm_told(const struct fm_sock_settings *now,
						       const struct fm_sock_verdict *v)
{
	struct fm_sock_verdict *own, copy = *v;
	struct fm_sock_who who;

	fm_who(&who);
	own = bpf_map_lookup_elem(&fm_sock_whos_v2, &who);
	if (own && own->policy == now->policy)
		return own;
	copy.told = 0;
	(void)bpf_map_update_elem(&fm_sock_whos_v2, &who, &copy, BPF_ANY);
	return bpf_map_lookup_elem(&fm_sock_whos_v2, &who);
}

/* Each socket counts once, of each program one is told. */
static __always_inline void fm_refuse(const struct fm_sock_settings *now, struct fm_sock_want *w,
				      struct fm_sock_verdict *v)
{
	__u32 type = w->type & 7;
	__u64 *n = bpf_map_lookup_elem(&fm_sock_refused_v1, &type);
	struct fm_sock_event *e;

	if (w->is_refused || !n)
		return;
	w->is_refused = 1;
	__sync_fetch_and_add(n, 1);
	if (now->by_people)
		v = fm_told(now, v);
	if (!v || v->told >> type & 1)
		return;
	e = fm_event(FM_SOCK_EVENT_REFUSED);
	if (!e)
		return;
	v->told |= (__u16)(1u << type);
	e->type = (__u8)type;
	bpf_ringbuf_submit(e, 0);
}

/* May the task that runs have that type? READY: yes; PENDING: not known yet; FAILED: no. */
static __always_inline __u64 fm_permission(struct fm_sock_want *w)
{
	const struct fm_sock_settings *now = fm_sock_now();
	struct fm_sock_verdict *v;

	if (!now || !(now->closed >> (w->type & 7) & 1))
		return FM_SOCK_READY;
	v = fm_verdict(now);
	if (!v || v->policy != now->policy)
		return FM_SOCK_PENDING;
	if (v->allowed >> (w->type & 7) & 1)
		return FM_SOCK_READY;
	fm_refuse(now, w, v);
	return FM_SOCK_WORD(FM_SOCK_FAILED, 0, EACCES, 0);
}

/*
 * Waiting has an end also when no daemon runs. The daemon's own deadline is the same, but it cannot
 * tell when it is gone. Asking anew (@again) begins anew.
 */
static __always_inline __u64 fm_wait(struct fm_sock_want *w, __u32 is_v4, __u64 word, bool again)
{
	const struct fm_sock_settings *now = fm_sock_now();
	__u32 *since = &w->asked_ms[is_v4 & 1], ms;

	if (FM_SOCK_WORD_STATE(word) != FM_SOCK_PENDING) {
		*since = 0;
		return word;
	}
	ms = (__u32)(bpf_ktime_get_ns() / 1000000) | 1;
	if (again || *since == 0)
		*since = ms;
	if (!now || now->deadline_ms == 0 || ms - *since <= now->deadline_ms)
		return word;
	return FM_SOCK_WORD(FM_SOCK_FAILED, 0, ETIMEDOUT, 0);
}

/*
 * What the socket's type has come to for it; READY: the address is pinned. @again: somebody asks
 * anew: what failed, or the address that is no more, is no answer. An accepted child (@self is not
 * the owner) has what its listener had, and gets nothing by that.
 */
static __always_inline __u64 fm_resolve(struct fm_sock_want *w, __u64 self, __u32 is_v4, bool again)
{
	__u64 word = FM_SOCK_READY;

	is_v4 &= 1;
	if (w->pins[is_v4].slot) {
		if (fm_slot_lives(w->pins[is_v4].slot, w->pins[is_v4].generation))
			return word;
		if (w->owner != self || !(again || w->is_default))
			return FM_SOCK_WORD(FM_SOCK_FAILED, 0, ENETRESET, 0);
		fm_unpin(w, is_v4);
	}
	if (w->owner != self)
		return FM_SOCK_WORD(FM_SOCK_FAILED, 0, EADDRNOTAVAIL, 0);
	if (!w->is_default)
		word = fm_permission(w);
	if (FM_SOCK_WORD_STATE(word) == FM_SOCK_READY)
		word = fm_word(w, is_v4, again);
	word = fm_wait(w, is_v4, word, again);
	if (FM_SOCK_WORD_STATE(word) != FM_SOCK_READY)
		return word;
	int err = fm_pin(w, is_v4, word);
	return err ? FM_SOCK_WORD(FM_SOCK_FAILED, 0, -err, 0) : word;
}

#endif
