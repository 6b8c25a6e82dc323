// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * The `sock` programs (cgroup hooks): the type of address that a socket asks for (RFC 8653), from
 * the option to the source that its packets get. Only sockets of the daemon's network namespace
 * ever have something of ours with them; the others are left in the first lines of each program.
 */
#include "datapath/sock_kernel.h"

#define FM_LEAVE 1 /* as the kernel does it */
#define FM_REFUSE 0
/* getsockopt() of a socket that set nothing: PUBTMP_DEFAULT and HOME. */
#define FM_KERNEL_DEFAULTS (IPV6_PREFER_SRC_PUBTMP_DEFAULT | IPV6_PREFER_SRC_HOME)
#define FM_KERNEL_BUFFER 4096u

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef SOL_SOCKET
#define SOL_SOCKET 1
#define SO_MARK 36
#endif

/* Of options longer than that the kernel shows us only the start: 0 says it was not touched. */
static __always_inline int leave_option(struct bpf_sockopt *c)
{
	if (c->optlen > (int)FM_KERNEL_BUFFER)
		c->optlen = 0;
	return FM_LEAVE;
}

static __always_inline bool is_ours(const struct fm_sock_settings *now, __u64 netns)
{
	return now && now->netns == netns;
}

static __always_inline bool is_bound(const struct bpf_sock *sk)
{
	if (sk->family == AF_INET)
		return sk->src_ip4 != 0;
	return sk->src_ip6[0] | sk->src_ip6[1] | sk->src_ip6[2] | sk->src_ip6[3];
}

/* D36: has it an address, or a peer? Then the type comes too late. */
static __always_inline bool is_settled(const struct bpf_sock *sk)
{
	return sk->state != BPF_TCP_CLOSE || is_bound(sk);
}

/* Whose connect and sendto pass the hooks. */
static __always_inline bool is_served(const struct bpf_sock *sk)
{
	__u32 p = sk->protocol;

	return (sk->family == AF_INET || sk->family == AF_INET6) &&
	       (p == IPPROTO_TCP || p == IPPROTO_UDP || p == IPPROTO_UDPLITE || p == IPPROTO_MPTCP);
}

/* RFC 5014 §6: the kernel answers these with EINVAL. */
static __always_inline bool is_contradictory(__u32 flags)
{
	const __u32 lasting = IPV6_PREFER_SRC_PUBLIC | IPV6_PREFER_SRC_TMP |
			      IPV6_PREFER_SRC_PUBTMP_DEFAULT,
		    home = IPV6_PREFER_SRC_HOME | IPV6_PREFER_SRC_COA,
		    cga = IPV6_PREFER_SRC_CGA | IPV6_PREFER_SRC_NONCGA;

	return (flags & lasting & ((flags & lasting) - 1)) || (flags & home) == home ||
	       (flags & cga) == cga;
}

/* Has it a mark that we gave it? */
static __always_inline bool is_marked(const struct bpf_sock *sk)
{
	return sk->mark && (sk->mark & ~0xffu) == FM_SOCK_MARK;
}

/* Is its mark no program's? */
static __always_inline bool takes_mark(const struct bpf_sock *sk)
{
	return !sk->mark || is_marked(sk);
}

static __always_inline int set_mark(void *c, __u32 m)
{
	return bpf_setsockopt(c, SOL_SOCKET, SO_MARK, &m, sizeof(m)) ? -EADDRNOTAVAIL : 0;
}

/* What a value and its long form ask for. */
struct asked {
	__u32 value, lifetime_s;
	__u64 lifetime_bytes;
	__u8 type;
	bool is_own, is_long;
};

/* The kernel's buffer is larger than a short option: @optlen is what the program gave. */
static __always_inline bool read_asked(const struct bpf_sockopt *c, struct asked *a)
{
	const struct fm_sc_option *o = c->optval;
	const __u32 *value = c->optval;

	if (c->optlen < (int)sizeof(*value) || (void *)(value + 1) > c->optval_end)
		return false;
	a->value = *value;
	a->type = IPV6_PREFER_SRC_TYPE_OF(a->value);
	if (c->optlen >= (int)sizeof(*o) && (void *)(o + 1) <= c->optval_end) {
		a->is_long = true;
		a->lifetime_s = o->lifetime_s;
		a->lifetime_bytes = o->lifetime_bytes;
	}
	a->is_own = a->value & IPV6_REQUIRE_SRC_ON_NET || a->lifetime_s || a->lifetime_bytes;
	return true;
}

/* A type in the short form goes with what was remembered for it. */
static __always_inline void recall(const struct fm_sock_want *w, struct asked *a)
{
	if (!w || a->is_long)
		return;
	if (w->type == 0) {
		a->lifetime_s = w->lifetime_s;
		a->lifetime_bytes = w->lifetime_bytes;
	}
	a->is_own = a->is_own || w->next_is_own || a->lifetime_s || a->lifetime_bytes;
}

/* Nothing new in it. An own address that was refused is asked for anew. */
static __always_inline bool is_same(const struct fm_sock_want *w, const struct asked *a)
{
	if (w->type != a->type || w->next_is_own)
		return false;
	if (!a->is_own)
		return true;
	return w->is_own && w->lifetime_s == a->lifetime_s &&
	       w->lifetime_bytes == a->lifetime_bytes &&
	       FM_SOCK_WORD_STATE(fm_request_word(w->request)) != FM_SOCK_FAILED;
}

static __always_inline void tell_gone(__u64 id)
{
	struct fm_sock_event *e = fm_event(FM_SOCK_EVENT_GONE);

	if (!e)
		return;
	e->id = id;
	bpf_ringbuf_submit(e, 0);
}

/* The socket's own request is over. */
static __always_inline void end_request(struct fm_sock_want *w)
{
	__u64 id = w->request;

	w->request = 0;
	(void)bpf_map_delete_elem(&fm_sock_requests_v1, &id);
	tell_gone(id);
}

static __always_inline void give_back(struct fm_sock_want *w)
{
	fm_unpin(w, 0);
	fm_unpin(w, 1);
	if (w->is_own && w->request)
		end_request(w);
}

/* Nothing is asked for; a child no longer shows what its listener had. */
static __always_inline void start_over(struct bpf_sock *sk, struct fm_sock_want *w)
{
	const __u64 owner = (__u64)sk;

	if (is_marked(sk))
		(void)set_mark(sk, 0);
	if (w->owner == owner)
		give_back(w);
	__builtin_memset(w, 0, sizeof(*w));
	w->owner = owner;
}

static __always_inline int begin_request(struct fm_sock_want *w)
{
	struct fm_sock_request r = { .id = w->id, .word = FM_SOCK_PENDING };

	if (bpf_map_update_elem(&fm_sock_requests_v1, &w->id, &r, BPF_NOEXIST))
		return -ENOBUFS;
	w->request = w->id;
	return 0;
}

static __always_inline __u64 next_id(void)
{
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&fm_sock_ids_v1, &zero);

	return n ? __sync_fetch_and_add(n, 1) + 1 : 0;
}

/* A type for a socket that had none, or another. */
static __always_inline int choose(struct bpf_sock *sk, struct fm_sock_want *w,
				  const struct asked *a)
{
	start_over(sk, w);
	w->id = next_id();
	w->is_own = a->is_own;
	w->request_is_v4 = sk->family == AF_INET;
	w->lifetime_s = a->lifetime_s;
	w->lifetime_bytes = a->lifetime_bytes;
	if (a->is_own && begin_request(w))
		return -ENOBUFS;
	w->type = a->type;
	return 0;
}

static __always_inline int set_type(struct bpf_sock *sk, struct fm_sock_want *w, struct asked *a)
{
	int err;

	if (a->type >= FM_SOCK_TYPES)
		return -EINVAL;
	recall(w, a);
	if (is_settled(sk))
		return w && is_same(w, a) ? 0 : -EINVAL;
	if (!w)
		w = fm_want(sk, true, false);
	if (!w)
		return -ENOMEM;
	if (w->owner != (__u64)sk || !is_same(w, a)) {
		err = choose(sk, w, a);
		if (err)
			return err;
	}
	w->is_default = 0;
	(void)fm_resolve(w, (__u64)sk, sk->family == AF_INET, true);
	return 0;
}

/* The long form without a type: it asks for nothing any more; what stands there is remembered. */
static __always_inline int set_all(struct bpf_sock *sk, struct fm_sock_want *w,
				   const struct asked *a)
{
	if (w && w->type && is_settled(sk))
		return -EINVAL; /* it has its address, and keeps it */
	if (w)
		start_over(sk, w);
	if (!a->is_own)
		return 0;
	if (!w)
		w = fm_want(sk, true, false);
	if (!w)
		return -ENOMEM;
	w->next_is_own = !!(a->value & IPV6_REQUIRE_SRC_ON_NET);
	w->lifetime_s = a->lifetime_s;
	w->lifetime_bytes = a->lifetime_bytes;
	return 0;
}

static __always_inline int remember_own(struct bpf_sock *sk, struct fm_sock_want *w)
{
	if (!w)
		w = fm_want(sk, true, false);
	if (!w)
		return -ENOMEM;
	w->next_is_own = 1;
	return 0;
}

static __always_inline int set(struct bpf_sock *sk, struct fm_sock_want *w, struct asked *a)
{
	if (!(a->value & FM_SC_BITS) && !a->is_long)
		return 0;
	if (!is_served(sk))
		return -EOPNOTSUPP;
	if (a->type)
		return set_type(sk, w, a);
	if (a->is_long)
		return set_all(sk, w, a);
	return a->value & IPV6_REQUIRE_SRC_ON_NET ? remember_own(sk, w) : 0;
}

/*
 * The flags of RFC 5014 go on to the kernel, without our bits; those of a socket that has a type
 * (RFC 8653 §4.4) only where the kernel takes them. @is_done: all of it was for us.
 */
static __always_inline int pass_flags(struct bpf_sockopt *c, const struct bpf_sock *sk, __u32 flags,
				      bool has_type, bool is_done)
{
	__u32 *value = c->optval;
	bool is_for_kernel =
		!is_contradictory(flags) && sk->family == AF_INET6 && sk->protocol != IPPROTO_MPTCP;

	if (is_done || (has_type && !is_for_kernel)) {
		c->optlen = -1; /* the kernel does not see it */
		return FM_LEAVE;
	}
	if ((void *)(value + 1) > c->optval_end)
		return FM_LEAVE;
	*value = flags;
	c->optlen = sizeof(*value);
	return FM_LEAVE;
}

/* Will it have something with it in any case? Then there is no need to look first. */
static __always_inline bool makes_want(const struct bpf_sock *sk, const struct asked *a)
{
	return a->type && a->type < FM_SOCK_TYPES && is_served(sk) && !is_settled(sk);
}

SEC("cgroup/setsockopt")
int fm_sock_set(struct bpf_sockopt *c)
{
	struct asked a = { 0 };
	struct bpf_sock *sk = c->sk;
	struct fm_sock_want *w;
	__u32 flags;
	int err;

	if (c->level != IPPROTO_IPV6 || c->optname != IPV6_ADDR_PREFERENCES)
		return leave_option(c);
	if (!sk || !is_ours(fm_sock_now(), bpf_get_netns_cookie(c)) || !read_asked(c, &a))
		return leave_option(c);
	w = fm_want(sk, makes_want(sk, &a), false);
	if (!w && !(a.value & FM_SC_BITS) && !a.is_long)
		return leave_option(c);
	flags = a.value & ~FM_SC_BITS;
	err = set(sk, w, &a);
	if (err) {
		bpf_set_retval(err);
		return FM_REFUSE;
	}
	return pass_flags(c, sk, flags, a.type || (w && w->type),
			  !flags && (a.is_long || a.value & FM_SC_BITS));
}

/* What reading the option shows of the type. */
static __always_inline __u32 bits_of(const struct fm_sock_want *w, __u64 word)
{
	__u32 state = FM_SOCK_WORD_STATE(word);

	return IPV6_PREFER_SRC_TYPE(w->type) |
	       (w->is_own || w->next_is_own ? IPV6_REQUIRE_SRC_ON_NET : 0) |
	       (state == FM_SOCK_READY ? IPV6_SRC_TYPE_READY : 0) |
	       (state == FM_SOCK_FAILED ? IPV6_SRC_TYPE_FAILED : 0);
}

static __always_inline void fill_long(struct fm_sc_option *o, const struct fm_sock_want *w,
				      __u32 is_v4, __u64 word)
{
	bool is_ready = FM_SOCK_WORD_STATE(word) == FM_SOCK_READY;

	__builtin_memset(o, 0, sizeof(*o));
	if (FM_SOCK_WORD_STATE(word) == FM_SOCK_FAILED)
		o->error = (__s32)FM_SOCK_WORD_ERROR(word);
	if (is_ready)
		__builtin_memcpy(o->address, w->pins[is_v4 & 1].ip, 16);
	o->id = w->id;
	o->lifetime_s = w->lifetime_s;
	o->lifetime_bytes = w->lifetime_bytes;
}

/* A socket that asked for nothing: the long form says so, which no stack without flowmob does. */
static __always_inline int show_nothing(struct bpf_sockopt *c, const struct bpf_sock *sk,
					const struct fm_sock_want *w)
{
	struct fm_sc_option *o = c->optval;
	__u32 flags = 0;

	if ((void *)(o + 1) > c->optval_end || !is_served(sk) ||
	    !is_ours(fm_sock_now(), bpf_get_netns_cookie(c)))
		return leave_option(c);
	if (c->retval == 0)
		flags = o->value;
	__builtin_memset(o, 0, sizeof(*o));
	o->value = flags;
	if (w) {
		o->value |= w->next_is_own ? IPV6_REQUIRE_SRC_ON_NET : 0;
		o->lifetime_s = w->lifetime_s;
		o->lifetime_bytes = w->lifetime_bytes;
	}
	FM_CTX_SET(c->optlen, sizeof(*o));
	FM_CTX_SET(c->retval, 0);
	return FM_LEAVE;
}

SEC("cgroup/getsockopt")
int fm_sock_get(struct bpf_sockopt *c)
{
	struct fm_sc_option *o = c->optval;
	__u32 *value = c->optval, flags = 0, is_v4;
	struct bpf_sock *sk = c->sk;
	struct fm_sock_want *w;
	__u64 word = FM_SOCK_NONE;

	if (c->level != IPPROTO_IPV6 || c->optname != IPV6_ADDR_PREFERENCES)
		return leave_option(c);
	if (!sk || (void *)(value + 1) > c->optval_end)
		return leave_option(c);
	w = fm_want(sk, false, false);
	if (!w || !w->type)
		return show_nothing(c, sk, w);
	if (c->retval == 0)
		flags = *value & ~FM_KERNEL_DEFAULTS;
	is_v4 = sk->family == AF_INET;
	if (w->pins[is_v4 & 1].slot || !is_settled(sk))
		word = fm_resolve(w, (__u64)sk, is_v4, false);
	c->optlen = sizeof(*value);
	if ((void *)(o + 1) <= c->optval_end) {
		fill_long(o, w, is_v4, word);
		c->optlen = sizeof(*o);
	}
	*value = flags | bits_of(w, word);
	c->retval = 0; /* of an IPv4 socket the kernel knows no such option */
	return FM_LEAVE;
}

/*
 * Destinations that no address of ours is for: this host, this link, and every group: multicast
 * leaves by an access, where no router takes it from a source that is not of there.
 */
static __always_inline bool is_near4(__be32 to)
{
	__u32 ip = bpf_ntohl(to);

	return ip >> 24 == 0 || ip >> 24 == 127 || ip >> 16 == 0xa9fe || ip >> 28 == 0xe ||
	       ip == 0xffffffff;
}

static __always_inline bool is_near6(const __u32 to[4])
{
	__u32 first = bpf_ntohl(to[0]) >> 16;

	if (!to[0] && !to[1] && !to[2] && bpf_ntohl(to[3]) <= 1)
		return true; /* :: and ::1 */
	return (first & 0xffc0) == 0xfe80 || (first & 0xff00) == 0xff00;
}

static __always_inline bool is_mapped(const __u32 ip[4])
{
	return !ip[0] && !ip[1] && ip[2] == bpf_htonl(0xffff);
}

/* One connect or sendto. @source: of the call; all zero where it names none. */
struct call {
	__u32 is_v4;
	bool is_near;
	__u32 source[4];
};

static __always_inline bool has_source(const struct call *k)
{
	return k->source[0] | k->source[1] | k->source[2] | k->source[3];
}

static __always_inline bool is_source(const struct call *k, const struct fm_sock_pin *p)
{
	const __u32 *ip = (const __u32 *)p->ip;

	return p->slot && k->source[0] == ip[0] && k->source[1] == ip[1] && k->source[2] == ip[2] &&
	       k->source[3] == ip[3];
}

/*
 * Policy names a type for a program that asks for nothing. Where it is not strict (program blocks),
 * sockets are left alone while there is no address of that family: the kernel may choose one of
 * another type, as it does where there is no policy. Where it is strict (`flowmob run`), those fail
 * that no address is there for. NULL: nothing for this one.
 */
static __always_inline struct fm_sock_want *
choose_default(struct bpf_sock_addr *c, struct bpf_sock *sk, const struct call *k)
{
	const struct fm_sock_settings *now = fm_sock_now();
	struct fm_sock_want w = { .is_default = 1 }, *kept;
	const struct fm_sock_verdict *v = NULL;
	bool is_strict = false;

	if (!now || !(now->has_defaults || now->default_type) ||
	    now->netns != bpf_get_netns_cookie(c) || k->is_near || has_source(k) ||
	    sk->bound_dev_if)
		return NULL;
	w.type = now->default_type;
	if (now->has_defaults)
		v = fm_verdict(now);
	if (v) {
		w.type = v->default_type;
		w.request = v->default_request;
		is_strict = v->is_strict;
	}
	if (w.type == 0 || w.type >= FM_SOCK_TYPES)
		return NULL;
	if (!is_strict && FM_SOCK_WORD_STATE(fm_word(&w, k->is_v4, false)) != FM_SOCK_READY)
		return NULL;
	kept = fm_want(sk, true, true);
	if (!kept)
		return NULL;
	kept->owner = fm_self(sk, true);
	kept->is_default = 1;
	kept->request = w.request;
	kept->type = w.type;
	return kept;
}

/* Is it held to a device (SO_BINDTODEVICE) that no route of ours can lead it away from? */
static __always_inline bool is_held(const struct bpf_sock *sk)
{
	const struct fm_sock_settings *now = fm_sock_now();

	return sk->bound_dev_if && !(now && sk->bound_dev_if == now->home_ifindex);
}

/*
 * A socket that is held to an access: an address of that access is the kernel's choice there, a
 * home address would leave by it as it is.
 */
static __always_inline int held_answer(const struct fm_sock_want *w)
{
	return w->is_default || w->type == FM_SOCK_NONPERSISTENT ? 0 : -EADDRNOTAVAIL;
}

/*
 * The address that the call must have as its source, or 0 in @err: none of ours, or a negative
 * errno: it fails.
 */
static __always_inline struct fm_sock_pin *source_for(struct bpf_sock_addr *c, struct bpf_sock *sk,
						      struct fm_sock_want *w, const struct call *k,
						      int *err)
{
	__u32 is_v4 = k->is_v4 & 1;

	if (!w || !w->type)
		w = choose_default(c, sk, k);
	if (!w || k->is_near)
		return NULL;
	if (has_source(k)) {
		if (is_source(k, &w->pins[is_v4]) &&
		    !fm_slot_lives(w->pins[is_v4].slot, w->pins[is_v4].generation))
			*err = -ENETRESET;
		return NULL;
	}
	if (is_held(sk)) {
		*err = held_answer(w);
		return NULL;
	}
	__u64 word = fm_resolve(w, fm_self(sk, true), is_v4, false);
	__u32 state = FM_SOCK_WORD_STATE(word);

	if (state == FM_SOCK_READY)
		return &w->pins[is_v4];
	*err = state != FM_SOCK_FAILED		       ? -EAGAIN
	       : FM_SOCK_WORD_ERROR(word) == ENETRESET ? -ENETRESET
						       : -EADDRNOTAVAIL;
	return NULL;
}

static __always_inline int answer(int err)
{
	if (!err)
		return FM_LEAVE;
	bpf_set_retval(err);
	return FM_REFUSE;
}

/*
 * Routes prefer the slot's address, by a mark. With a mark of the program's own there is no way to
 * it, and another address would be a wrong one.
 */
static __always_inline int mark(struct bpf_sock_addr *c, const struct bpf_sock *sk, __u32 slot)
{
	if (sk->mark == (FM_SOCK_MARK | slot))
		return 0;
	return takes_mark(sk) ? set_mark(c, FM_SOCK_MARK | slot) : -EADDRNOTAVAIL;
}

/*
 * A socket that has its port already takes no address from us. UDP need not: what is bound stays
 * when it is disconnected, and does not fit where it connects to then.
 */
static __always_inline bool is_by_route(const struct bpf_sock *sk, __u32 slot)
{
	bool is_udp = sk->protocol == IPPROTO_UDP || sk->protocol == IPPROTO_UDPLITE;

	return sk->src_port || (is_udp && takes_mark(sk) && fm_slot_is_routed(slot));
}

/* For a call that needs no address of ours, and names none: the kernel's own choice. */
static __always_inline void unmark(struct bpf_sock_addr *c, const struct bpf_sock *sk,
				   const struct call *k)
{
	if (is_marked(sk) && (k->is_near || !has_source(k)))
		(void)set_mark(c, 0);
}

static __always_inline int bind_to(struct bpf_sock_addr *c, const struct bpf_sock *sk,
				   const struct fm_sock_pin *p)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in a4 = { .sin_family = AF_INET };

	if (sk->family == AF_INET) {
		__builtin_memcpy(&a4.sin_addr, p->ip + 12, 4);
		return bpf_bind(c, (struct sockaddr *)&a4, sizeof(a4));
	}
	__builtin_memcpy(&a6.sin6_addr, p->ip, 16);
	return bpf_bind(c, (struct sockaddr *)&a6, sizeof(a6));
}

static __always_inline int connect(struct bpf_sock_addr *c, struct bpf_sock *sk,
				   struct fm_sock_want *w, const struct call *k)
{
	int err = 0;
	struct fm_sock_pin *p = source_for(c, sk, w, k, &err);

	if (!p) {
		unmark(c, sk, k);
		return answer(err);
	}
	if (is_by_route(sk, p->slot))
		return answer(mark(c, sk, p->slot));
	err = bind_to(c, sk, p);
	if (err == -EINVAL && k->is_v4)
		return FM_LEAVE; /* IPV6_V6ONLY: the kernel says so itself */
	return answer(err ? -EADDRNOTAVAIL : 0);
}

/* The address that the socket is bound to, as the source of a connect. */
static __always_inline void take_source(const struct bpf_sock *sk, struct call *k)
{
	if (sk->family == AF_INET && sk->src_ip4) {
		k->source[2] = bpf_htonl(0xffff);
		k->source[3] = sk->src_ip4;
	} else if (sk->family == AF_INET6) {
		k->source[0] = sk->src_ip6[0];
		k->source[1] = sk->src_ip6[1];
		k->source[2] = sk->src_ip6[2];
		k->source[3] = sk->src_ip6[3];
	}
}

/* Is nothing given by policy to those that ask for nothing? */
static __always_inline bool gives_nothing(void)
{
	const struct fm_sock_settings *now = fm_sock_now();

	return now && !now->has_defaults && !now->default_type;
}

static __always_inline void note(struct bpf_sock_addr *c, struct bpf_sock *sk, const bool is_new)
{
	const struct fm_sock_settings *now = fm_sock_now();

	if (now && now->has_senders && is_ours(now, bpf_get_netns_cookie(c)))
		fm_note_sender(sk, is_new);
}

SEC("cgroup/connect6")
int fm_sock_connect6(struct bpf_sock_addr *c)
{
	struct bpf_sock *sk = c->sk;
	struct fm_sock_want *w;
	struct call k = { 0 };

	if (!sk)
		return FM_LEAVE;
	note(c, sk, true);
	w = fm_want(sk, false, true);
	if (!w && gives_nothing())
		return FM_LEAVE;
	__u32 to[4] = { c->user_ip6[0], c->user_ip6[1], c->user_ip6[2], c->user_ip6[3] };

	k.is_v4 = is_mapped(to);
	k.is_near = k.is_v4 ? is_near4(to[3]) : is_near6(to);
	take_source(sk, &k);
	return connect(c, sk, w, &k);
}

SEC("cgroup/connect4")
int fm_sock_connect4(struct bpf_sock_addr *c)
{
	struct bpf_sock *sk = c->sk;
	struct call k = { .is_v4 = 1 };
	struct fm_sock_want *w;

	if (!sk)
		return FM_LEAVE;
	note(c, sk, true);
	w = fm_want(sk, false, true);
	if (!w && gives_nothing())
		return FM_LEAVE;
	k.is_near = is_near4(c->user_ip4);
	take_source(sk, &k);
	return connect(c, sk, w, &k);
}

/* A mark of an earlier connect leads to its slot's device: not what goes elsewhere. */
static __always_inline void settle_mark(struct bpf_sock_addr *c, const struct bpf_sock *sk,
					const struct call *k, const struct fm_sock_pin *p)
{
	if (!p)
		unmark(c, sk, k);
	else if (is_marked(sk) && sk->mark != (FM_SOCK_MARK | p->slot))
		(void)set_mark(c, 0);
}

SEC("cgroup/sendmsg6")
int fm_sock_sendmsg6(struct bpf_sock_addr *c)
{
	struct bpf_sock *sk = c->sk;
	struct call k = { 0 };
	struct fm_sock_want *w;
	int err = 0;

	if (!sk)
		return FM_LEAVE;
	note(c, sk, false);
	w = fm_want(sk, false, true);
	if (!w && gives_nothing())
		return FM_LEAVE;
	__u32 to[4] = { c->user_ip6[0], c->user_ip6[1], c->user_ip6[2], c->user_ip6[3] };

	k.is_near = is_near6(to);
	k.source[0] = c->msg_src_ip6[0]; /* bound, or IPV6_PKTINFO: RFC 5014 §10 */
	k.source[1] = c->msg_src_ip6[1];
	k.source[2] = c->msg_src_ip6[2];
	k.source[3] = c->msg_src_ip6[3];
	struct fm_sock_pin *p = source_for(c, sk, w, &k, &err);

	if (p) {
		const __u32 *ip = (const __u32 *)p->ip;

		FM_CTX_SET(c->msg_src_ip6[0], ip[0]);
		FM_CTX_SET(c->msg_src_ip6[1], ip[1]);
		FM_CTX_SET(c->msg_src_ip6[2], ip[2]);
		FM_CTX_SET(c->msg_src_ip6[3], ip[3]);
	}
	settle_mark(c, sk, &k, p);
	return answer(err);
}

SEC("cgroup/sendmsg4")
int fm_sock_sendmsg4(struct bpf_sock_addr *c)
{
	struct bpf_sock *sk = c->sk;
	struct call k = { .is_v4 = 1 };
	struct fm_sock_want *w;
	int err = 0;

	if (!sk)
		return FM_LEAVE;
	note(c, sk, false);
	w = fm_want(sk, false, true);
	if (!w && gives_nothing())
		return FM_LEAVE;
	k.is_near = is_near4(c->user_ip4);
	k.source[3] = c->msg_src_ip4;
	if (k.source[3])
		k.source[2] = bpf_htonl(0xffff);
	struct fm_sock_pin *p = source_for(c, sk, w, &k, &err);

	if (p)
		FM_CTX_SET(c->msg_src_ip4, ((const __u32 *)p->ip)[3]);
	settle_mark(c, sk, &k, p);
	return answer(err);
}

/* Attached only while rules ask who sends. */
SEC("cgroup/sock_create")
int fm_sock_create(struct bpf_sock *sk)
{
	if (is_ours(fm_sock_now(), bpf_get_netns_cookie(sk)))
		fm_note_sender(sk, true);
	return FM_LEAVE;
}

SEC("cgroup/sock_release")
int fm_sock_release(struct bpf_sock *sk)
{
	struct fm_sock_want *w = bpf_sk_storage_get(&fm_sock_want_v1, sk, NULL, 0);

	if (!w || w->owner != (__u64)sk)
		return FM_LEAVE;
	give_back(w);
	if (!w->is_own && !w->is_default && (w->asked_ms[0] || w->asked_ms[1]))
		tell_gone(w->id); /* somebody may wait for it yet */
	return FM_LEAVE;
}

char _license[] SEC("license") = "Dual BSD/GPL";
