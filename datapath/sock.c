/*
 * Loads the `sock` programs over new or adopted maps, attaches them by links that outlive us, and
 * turns what the daemon decided into slots, words and verdicts. What programs read all the time is
 * mapped: a word is one store. When an address is taken or given back is for the daemon to say.
 */
#include "datapath/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath/dp.h"
#include "datapath/sock.skel.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define LINK_PREFIX "sock_link_"

static const struct {
	const char *program;
	enum bpf_attach_type at;
} hooks[] = {
	{ "fm_sock_set", BPF_CGROUP_SETSOCKOPT },
	{ "fm_sock_get", BPF_CGROUP_GETSOCKOPT },
	{ "fm_sock_connect4", BPF_CGROUP_INET4_CONNECT },
	{ "fm_sock_connect6", BPF_CGROUP_INET6_CONNECT },
	{ "fm_sock_sendmsg4", BPF_CGROUP_UDP4_SENDMSG },
	{ "fm_sock_sendmsg6", BPF_CGROUP_UDP6_SENDMSG },
	{ "fm_sock_release", BPF_CGROUP_INET_SOCK_RELEASE },
	{ "fm_sock_create", BPF_CGROUP_INET_SOCK_CREATE },
};

#define N_HOOKS (sizeof(hooks) / sizeof(hooks[0]))
#define N_ALWAYS (N_HOOKS - 1) /* the last one costs each socket of the machine something */

/**
 * struct fm_sock - one daemon's side
 * @settings, @types, @slots, @refs: the maps themselves
 * @generation: of the slot that was filled last
 * @cgroup: its directory
 * @is_resting: by slot: forgotten, and perhaps still read by a program
 * @each, @ctx: of the fm_sock_read() that runs
 */
struct fm_sock {
	char pin_dir[192];
	int cgroup;
	struct fm_sock_bpf *skel;
	struct ring_buffer *events;
	struct fm_sock_settings *settings;
	uint64_t *types;
	struct fm_sock_slot *slots;
	struct fm_sock_refs *refs;
	uint32_t generation;
	bool is_resting[FM_SOCK_SLOTS];
	void (*each)(void *ctx, const struct fm_sock_event *e);
	void *ctx;
	uint32_t n_read; /* at once */
};

#define READ_MOST 256u /* so many at once: whoever opens sockets in a row stops nobody else */

static void pin_path(const struct fm_sock *s, const char *prefix, const char *name, char out[256])
{
	(void)snprintf(out, 256, "%s/%s%s", s->pin_dir, prefix, name);
}

/* All but that of the constants. */
static bool is_pinned_map(const struct bpf_map *m)
{
	return !bpf_map__is_internal(m);
}

/* Maps that the data path has too (datapath/sender.h): who comes first makes them. */
static bool is_shared(const struct fm_sock *s, const struct bpf_map *m)
{
	return m == s->skel->maps.fm_sock_settings_v1 || m == s->skel->maps.fm_sock_whos_v2 ||
	       m == s->skel->maps.fm_sock_events_v1 || m == s->skel->maps.fm_sock_sender_v1;
}

/* All or nothing: one map that does not fit makes a fresh start, but for shared ones that do. */
static int set_pins(struct fm_sock *s)
{
	struct bpf_map *m;
	char path[256];
	bool fit = true;
	int err = 0;

	bpf_object__for_each_map(m, s->skel->obj)
	{
		pin_path(s, "", bpf_map__name(m), path);
		if (is_pinned_map(m) && !fm_pin_fits(path, m))
			fit = false;
	}
	bpf_object__for_each_map(m, s->skel->obj)
	{
		if (!is_pinned_map(m))
			continue;
		pin_path(s, "", bpf_map__name(m), path);
		if (!fit && !(is_shared(s, m) && fm_pin_fits(path, m)))
			(void)unlink(path);
		if (err == 0)
			err = bpf_map__set_pin_path(m, path);
	}
	return err;
}

static int load(struct fm_sock *s)
{
	fm_dp_keep_warnings();
	s->skel = fm_sock_bpf__open();
	if (!s->skel)
		return fm_dp_fail(-errno, "sockets: cannot read the programs");
	s->skel->rodata->fm_has_mptcp =
		libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_skc_to_mptcp_sock,
					NULL) == 1;
	int err = set_pins(s);

	if (err == 0)
		err = fm_sock_bpf__load(s->skel);
	return err < 0 ? fm_dp_fail_load(s->pin_dir, err) : 0;
}

static void *map_in(const struct bpf_map *m)
{
	size_t size = bpf_map__max_entries(m) * ((bpf_map__value_size(m) + 7u) & ~(size_t)7);
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(m), 0);

	return at == MAP_FAILED ? NULL : at;
}

static void map_out(const struct bpf_map *m, void *at)
{
	if (at)
		(void)munmap(at, bpf_map__max_entries(m) *
					 ((bpf_map__value_size(m) + 7u) & ~(size_t)7));
}

static int hear(void *ctx, void *data, size_t size)
{
	struct fm_sock *s = ctx;

	if (size >= sizeof(struct fm_sock_event))
		s->each(s->ctx, data);
	return ++s->n_read < READ_MOST ? 0 : -EAGAIN; /* the descriptor stays readable */
}

static int map_all(struct fm_sock *s)
{
	s->settings = map_in(s->skel->maps.fm_sock_settings_v1);
	s->types = map_in(s->skel->maps.fm_sock_types_v1);
	s->slots = map_in(s->skel->maps.fm_sock_slots_v1);
	s->refs = map_in(s->skel->maps.fm_sock_refs_v1);
	s->events = ring_buffer__new(bpf_map__fd(s->skel->maps.fm_sock_events_v1), hear, s, NULL);
	if (s->settings && s->types && s->slots && s->refs && s->events)
		return 0;
	return fm_dp_fail(-ENOMEM, "sockets: cannot map what the programs read");
}

/* A pending word has nobody left who works on it: the next who asks is told of. */
static void adopt(struct fm_sock *s)
{
	for (uint32_t i = 0; i < FM_SOCK_SLOTS; i++) {
		if (s->slots[i].generation > s->generation)
			s->generation = s->slots[i].generation;
		s->is_resting[i] = s->slots[i].generation == 0;
	}
	for (uint32_t i = 0; i < FM_SOCK_FAMILIES * FM_SOCK_TYPES; i++) {
		if (FM_SOCK_WORD_STATE(s->types[i]) == FM_SOCK_PENDING)
			__atomic_store_n(&s->types[i], FM_SOCK_NONE, __ATOMIC_RELEASE);
	}
}

/* The last thing before the hooks: from here on sockets of this namespace are served. */
static int settle(struct fm_sock *s)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0) {
		int err = -errno;

		if (fd >= 0)
			close(fd);
		return fm_dp_fail(err, "sockets: the kernel does not name its network namespace");
	}
	close(fd);
	adopt(s);
	s->settings->run++;
	__atomic_store_n(&s->settings->netns, cookie, __ATOMIC_RELEASE);
	return 0;
}

static int attach_hook(struct fm_sock *s, size_t i)
{
	char path[256];

	pin_path(s, LINK_PREFIX, hooks[i].program, path);
	return fm_pin_cgroup_link(path,
				  bpf_object__find_program_by_name(s->skel->obj, hooks[i].program),
				  s->cgroup, hooks[i].at);
}

static void detach_hook(const struct fm_sock *s, size_t i)
{
	char path[256];

	pin_path(s, LINK_PREFIX, hooks[i].program, path);
	fm_pin_detach(path);
}

static int attach(struct fm_sock *s, const char *dir)
{
	struct statfs fs;
	int err = 0;

	s->cgroup = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->cgroup < 0)
		return fm_dp_fail(-errno, "sockets: cannot open the cgroup %s: %s", dir,
				  strerror(errno));
	if (fstatfs(s->cgroup, &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
		return fm_dp_fail(-EINVAL, "sockets: %s lies in no cgroup v2", dir);
	for (size_t i = 0; i < N_ALWAYS && err == 0; i++)
		err = attach_hook(s, i);
	return err;
}

int fm_sock_open(const struct fm_sock_conf *conf, struct fm_sock **out)
{
	struct fm_sock *s = calloc(1, sizeof(*s));
	int err = 0;

	if (!s)
		return fm_dp_fail(-ENOMEM, "sockets: out of memory");
	s->cgroup = -1;
	if (strlen(conf->pin_dir) >= sizeof(s->pin_dir))
		err = fm_dp_fail(-ENAMETOOLONG, "sockets: pin directory: name too long");
	else
		memcpy(s->pin_dir, conf->pin_dir, strlen(conf->pin_dir) + 1);
	if (err == 0)
		err = fm_dp_make_pin_dir(s->pin_dir);
	if (err == 0)
		err = load(s);
	if (err == 0)
		err = map_all(s);
	if (err == 0)
		err = settle(s);
	if (err == 0)
		err = attach(s, conf->cgroup);
	if (err < 0) {
		fm_sock_close(s);
		return err;
	}
	*out = s;
	return 0;
}

void fm_sock_close(struct fm_sock *s)
{
	ring_buffer__free(s->events);
	if (s->skel) {
		map_out(s->skel->maps.fm_sock_settings_v1, s->settings);
		map_out(s->skel->maps.fm_sock_types_v1, s->types);
		map_out(s->skel->maps.fm_sock_slots_v1, s->slots);
		map_out(s->skel->maps.fm_sock_refs_v1, s->refs);
	}
	fm_sock_bpf__destroy(s->skel);
	if (s->cgroup >= 0)
		close(s->cgroup);
	free(s);
}

void fm_sock_down(struct fm_sock *s)
{
	struct bpf_map *m;

	for (size_t i = 0; i < N_HOOKS; i++)
		detach_hook(s, i);
	bpf_object__for_each_map(m, s->skel->obj)
	{
		if (is_pinned_map(m))
			(void)bpf_map__unpin(m, NULL);
	}
	fm_pin_remove_directory(s->pin_dir); /* others' pins may be there: then it stays */
	fm_sock_close(s);
}

/* A free slot that no program can still read. Return: 0: all are in use. */
static uint32_t free_slot(struct fm_sock *s)
{
	uint32_t found = 0;

	for (uint32_t i = FM_SOCK_SLOTS - 1; i > 0; i--) {
		if (s->slots[i].generation == 0 && (!found || !s->is_resting[i]))
			found = i;
	}
	if (found && s->is_resting[found]) {
		fm_dp_wait_for_readers();
		memset(s->is_resting, 0, sizeof(s->is_resting));
	}
	return found;
}

int fm_sock_address(struct fm_sock *s, uint8_t type, const struct fm_ip *ip)
{
	for (uint32_t i = 1; i < FM_SOCK_SLOTS; i++) {
		if (s->slots[i].generation != 0 && memcmp(s->slots[i].ip, ip->b, 16) == 0)
			return (int)i;
	}
	uint32_t slot = free_slot(s);

	if (slot == 0)
		return fm_dp_fail(-ENOSPC, "sockets: no room for another address");
	if (++s->generation == 0)
		s->generation = 1;
	s->slots[slot].type = type;
	s->slots[slot].is_routed = 0;
	memcpy(s->slots[slot].ip, ip->b, 16);
	__atomic_store_n(&s->refs[slot].sockets, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&s->slots[slot].generation, s->generation, __ATOMIC_RELEASE);
	return (int)slot;
}

void fm_sock_routed(struct fm_sock *s, uint32_t slot, bool is_routed)
{
	if (slot < FM_SOCK_SLOTS)
		__atomic_store_n(&s->slots[slot].is_routed, is_routed, __ATOMIC_RELEASE);
}

void fm_sock_each(struct fm_sock *s,
		  void (*each)(void *ctx, uint32_t slot, uint8_t type, const struct fm_ip *ip),
		  void *ctx)
{
	for (uint32_t i = 1; i < FM_SOCK_SLOTS; i++) {
		struct fm_ip ip;

		if (s->slots[i].generation == 0)
			continue;
		memcpy(ip.b, s->slots[i].ip, 16);
		each(ctx, i, s->slots[i].type, &ip);
	}
}

void fm_sock_forget(struct fm_sock *s, uint32_t slot)
{
	if (slot == 0 || slot >= FM_SOCK_SLOTS)
		return;
	__atomic_store_n(&s->slots[slot].generation, 0, __ATOMIC_RELEASE);
	s->is_resting[slot] = true;
}

int fm_sock_map(const struct fm_sock *s, const char *name)
{
	return bpf_object__find_map_fd_by_name(s->skel->obj, name);
}

int fm_sock_storage_fd(const struct fm_sock *s)
{
	return bpf_map__fd(s->skel->maps.fm_sock_want_v1);
}

uint32_t fm_sock_generation(const struct fm_sock *s, uint32_t slot)
{
	return slot < FM_SOCK_SLOTS ? s->slots[slot].generation : 0;
}

bool fm_sock_storage_has(const void *value, size_t len, uint32_t slot, uint32_t generation)
{
	struct fm_sock_want w;

	if (len < sizeof(w))
		return false;
	memcpy(&w, value, sizeof(w));
	for (unsigned i = 0; i < FM_SOCK_FAMILIES; i++) {
		if (w.pins[i].slot == slot && w.pins[i].generation == generation)
			return true;
	}
	return false;
}

uint64_t fm_sock_count(const struct fm_sock *s, uint32_t slot)
{
	return slot < FM_SOCK_SLOTS ? __atomic_load_n(&s->refs[slot].sockets, __ATOMIC_ACQUIRE) : 0;
}

/* The word for a state; -EINVAL: it is READY and names no slot in use. */
static int make_word(const struct fm_sock *s, uint32_t state, uint32_t slot, int error,
		     uint64_t *word)
{
	uint32_t generation = 0;

	if (state != FM_SOCK_READY)
		slot = 0;
	else if (slot == 0 || slot >= FM_SOCK_SLOTS || s->slots[slot].generation == 0)
		return -EINVAL;
	else
		generation = s->slots[slot].generation;
	*word = FM_SOCK_WORD(state, slot, error & 0xff, generation);
	return 0;
}

int fm_sock_type(struct fm_sock *s, uint8_t type, bool is_v4, uint32_t state, uint32_t slot,
		 int error)
{
	uint64_t word, before;

	if (type == 0 || type >= FM_SOCK_TYPES || make_word(s, state, slot, error, &word) < 0)
		return -EINVAL;
	before = __atomic_exchange_n(&s->types[FM_SOCK_TYPE_INDEX(type, is_v4)], word,
				     __ATOMIC_ACQ_REL);
	if (FM_SOCK_WORD_STATE(before) == FM_SOCK_READY && before != word)
		fm_dp_wait_for_readers();
	return 0;
}

int fm_sock_answer(struct fm_sock *s, uint64_t id, uint32_t state, uint32_t slot, int error)
{
	struct fm_sock_request before, r = { .id = id };
	int fd = bpf_map__fd(s->skel->maps.fm_sock_requests_v1);
	bool was_there = bpf_map_lookup_elem(fd, &id, &before) == 0;
	uint64_t word, flags = id & FM_SOCK_REQUEST_DAEMON ? BPF_ANY : BPF_EXIST;

	if (make_word(s, state, slot, error, &word) < 0)
		return -EINVAL;
	r.word = word;
	if (state == FM_SOCK_NONE && bpf_map_delete_elem(fd, &id) < 0)
		return -errno;
	if (state != FM_SOCK_NONE && bpf_map_update_elem(fd, &id, &r, flags) < 0)
		return errno == E2BIG || errno == ENOMEM ? -ENOSPC : -errno;
	if (was_there && FM_SOCK_WORD_STATE(before.word) == FM_SOCK_READY && before.word != word)
		fm_dp_wait_for_readers();
	return 0;
}

int fm_sock_policy(struct fm_sock *s, uint8_t closed, bool has_defaults, uint8_t default_type)
{
	if (default_type >= FM_SOCK_TYPES)
		return -EINVAL;
	s->settings->closed = closed;
	s->settings->has_defaults = has_defaults;
	s->settings->default_type = default_type;
	__atomic_store_n(&s->settings->policy, s->settings->policy + 1, __ATOMIC_RELEASE);
	return 0;
}

int fm_sock_verdict(struct fm_sock *s, const struct fm_sock_who *who,
		    const struct fm_sock_verdict *verdict)
{
	struct fm_sock_verdict v = *verdict;

	v.policy = s->settings->policy;
	if (bpf_map_update_elem(bpf_map__fd(s->skel->maps.fm_sock_whos_v2), who, &v, BPF_ANY) < 0)
		return fm_dp_fail(-errno, "sockets: cannot write a verdict");
	return 0;
}

void fm_sock_trees(struct fm_sock *s, bool are_there)
{
	__atomic_store_n(&s->settings->has_trees, are_there, __ATOMIC_RELEASE);
}

void fm_sock_people(struct fm_sock *s, bool are_all)
{
	__atomic_store_n(&s->settings->by_people, are_all, __ATOMIC_RELEASE);
}

uint64_t fm_sock_refused(const struct fm_sock *s, uint8_t type)
{
	uint32_t key = type;
	uint64_t n = 0;

	(void)bpf_map_lookup_elem(bpf_map__fd(s->skel->maps.fm_sock_refused_v1), &key, &n);
	return n;
}

int fm_sock_senders(struct fm_sock *s, bool is_wanted)
{
	__atomic_store_n(&s->settings->has_senders, is_wanted, __ATOMIC_RELEASE);
	if (is_wanted)
		return attach_hook(s, N_ALWAYS);
	detach_hook(s, N_ALWAYS);
	return 0;
}

uint32_t fm_sock_classes(const struct fm_sock *s, const struct fm_sock_who *who)
{
	struct fm_sock_verdict v;

	if (bpf_map_lookup_elem(bpf_map__fd(s->skel->maps.fm_sock_whos_v2), who, &v) < 0)
		return 0;
	return v.classes;
}

void fm_sock_home(struct fm_sock *s, uint32_t ifindex)
{
	__atomic_store_n(&s->settings->home_ifindex, ifindex, __ATOMIC_RELEASE);
}

void fm_sock_deadline(struct fm_sock *s, uint32_t ms)
{
	__atomic_store_n(&s->settings->deadline_ms, ms, __ATOMIC_RELEASE);
}

int fm_sock_fd(const struct fm_sock *s)
{
	return ring_buffer__epoll_fd(s->events);
}

int fm_sock_read(struct fm_sock *s, void (*each)(void *ctx, const struct fm_sock_event *e),
		 void *ctx)
{
	s->each = each;
	s->ctx = ctx;
	s->n_read = 0;
	int n = ring_buffer__consume(s->events);

	return n < 0 && n != -EAGAIN ? n : 0;
}
