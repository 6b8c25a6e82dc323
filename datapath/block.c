/*
 * Loads the `block` programs, and turns a policy into a set: written while the other one is in
 * force, with the classes of all cgroups there are; then one word says that it holds.
 */
#include "datapath/block.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath/block.skel.h"
#include "datapath/dp.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define MAP_PREFIX "fm_block_"
#define LINK_PREFIX "block_link_"
#define DESCRIPTORS 4096

/* Maps of others, which are read here. */
static const char *const foreign[] = { "fm_sock_settings_v1", "fm_sock_whos_v2",
				       "fm_sock_events_v1",   "fm_sock_sender_v1",
				       "fm_domains_v1",	      "fm_flows_v3" };

/**
 * struct fm_block - one loader's side
 * @settings, @sets: the maps themselves
 * @is_put: a policy of ours is in force
 */
struct fm_block {
	char pin_dir[192], mount[192];
	int cgroup;
	struct fm_block_bpf *skel;
	struct fm_block_settings *settings;
	struct fm_block_set *sets;
	struct fm_forwarding rules;
	bool is_put;
};

static void pin_path(const struct fm_block *b, const char *prefix, const char *name, char out[256])
{
	(void)snprintf(out, 256, "%s/%s%s", b->pin_dir, prefix, name);
}

static bool is_own(const struct bpf_map *m)
{
	return strncmp(bpf_map__name(m), MAP_PREFIX, strlen(MAP_PREFIX)) == 0;
}

static bool is_foreign(const struct bpf_map *m)
{
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		if (strcmp(bpf_map__name(m), foreign[i]) == 0)
			return true;
	}
	return false;
}

static int set_own(struct fm_block *b, struct bpf_map *m)
{
	char path[256];

	pin_path(b, "", bpf_map__name(m), path);
	if (!fm_pin_fits(path, m))
		(void)unlink(path);
	return bpf_map__set_pin_path(m, path);
}

/* The running one's, or what an earlier run left; an empty one of our own where there is none. */
static int set_foreign(const struct fm_block *b, const struct fm_block_conf *conf,
		       struct bpf_map *m)
{
	char path[256];
	int fd = conf->map_of ? conf->map_of(conf->ctx, bpf_map__name(m)) : -1, err = 0;

	if (fd >= 0)
		return bpf_map__reuse_fd(m, fd);
	pin_path(b, "", bpf_map__name(m), path); /* another layout would have another name */
	fd = bpf_obj_get(path);
	if (fd < 0)
		return 0;
	err = bpf_map__reuse_fd(m, fd);
	close(fd);
	return err;
}

static int set_maps(struct fm_block *b, const struct fm_block_conf *conf)
{
	struct bpf_map *m;
	int err = 0;

	bpf_object__for_each_map(m, b->skel->obj)
	{
		if (err < 0 || bpf_map__is_internal(m))
			continue;
		if (is_own(m))
			err = set_own(b, m);
		else if (is_foreign(m))
			err = set_foreign(b, conf, m);
		else
			err = bpf_map__set_autocreate(m, false); /* the data path's, not used */
	}
	return err;
}

static int load(struct fm_block *b, const struct fm_block_conf *conf)
{
	int err;

	fm_dp_keep_warnings();
	b->skel = fm_block_bpf__open();
	if (!b->skel)
		return fm_dp_fail(-errno, "block: cannot read the programs");
	err = set_maps(b, conf);
	if (err == 0)
		err = fm_block_bpf__load(b->skel);
	return err < 0 ? fm_dp_fail_load(b->pin_dir, err) : 0;
}

static void *map_in(const struct bpf_map *m, size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(m), 0);

	return at == MAP_FAILED ? NULL : at;
}

/* Whose packets are judged. */
static int settle(struct fm_block *b)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	int err = 0;

	b->settings = map_in(b->skel->maps.fm_block_settings_v1, sizeof(*b->settings));
	b->sets = map_in(b->skel->maps.fm_block_sets_v2, 2 * sizeof(*b->sets));
	if (!b->settings || !b->sets)
		err = fm_dp_fail(-ENOMEM, "block: cannot map what the programs read");
	else if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0)
		err = fm_dp_fail(-errno, "block: the kernel does not name its network namespace");
	else
		__atomic_store_n(&b->settings->netns, cookie, __ATOMIC_RELEASE);
	if (fd >= 0)
		close(fd);
	return err;
}

static int find_place(struct fm_block *b, const struct fm_block_conf *conf)
{
	if (strlen(conf->pin_dir) >= sizeof(b->pin_dir) || strlen(conf->mount) >= sizeof(b->mount))
		return fm_dp_fail(-ENAMETOOLONG, "block: pin directory: name too long");
	(void)snprintf(b->pin_dir, sizeof(b->pin_dir), "%s", conf->pin_dir);
	(void)snprintf(b->mount, sizeof(b->mount), "%s", conf->mount);
	b->cgroup = open(conf->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->cgroup < 0)
		return fm_dp_fail(-errno, "block: cannot open the cgroup %s: %s", conf->cgroup,
				  strerror(errno));
	return 0;
}

int fm_block_open(const struct fm_block_conf *conf, struct fm_block **out)
{
	struct fm_block *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return fm_dp_fail(-ENOMEM, "block: out of memory");
	b->cgroup = -1;
	err = find_place(b, conf);
	if (err == 0)
		err = fm_dp_make_pin_dir(b->pin_dir);
	if (err == 0)
		err = load(b, conf);
	if (err == 0)
		err = settle(b);
	if (err < 0) {
		fm_block_close(b);
		return err;
	}
	*out = b;
	return 0;
}

void fm_block_close(struct fm_block *b)
{
	if (b->settings)
		(void)munmap(b->settings, sizeof(*b->settings));
	if (b->sets)
		(void)munmap(b->sets, 2 * sizeof(*b->sets));
	fm_block_bpf__destroy(b->skel);
	if (b->cgroup >= 0)
		close(b->cgroup);
	free(b);
}

/* Links first, then maps. */
void fm_block_remove(const char *pin_dir)
{
	static const char *const prefixes[] = { LINK_PREFIX, MAP_PREFIX };
	char path[512];

	for (int i = 0; i < 2; i++) {
		DIR *dir = opendir(pin_dir);
		const struct dirent *e;

		while (dir && (e = readdir(dir))) {
			if (strncmp(e->d_name, prefixes[i], strlen(prefixes[i])) != 0)
				continue;
			(void)snprintf(path, sizeof(path), "%s/%s", pin_dir, e->d_name);
			if (i == 0)
				fm_pin_detach(path);
			else
				(void)unlink(path);
		}
		if (dir)
			(void)closedir(dir);
	}
}

/* Of the set that is written. A change by the tracepoint meanwhile is to another entry. */
static int put_classes(const struct bpf_map *m, const void *key, uint32_t which, uint32_t classes)
{
	struct fm_block_classes c = { { 0 } };
	int fd = bpf_map__fd(m);
	bool is_there = bpf_map_lookup_elem(fd, key, &c) == 0;

	if (!is_there && !classes)
		return 0;
	c.of[which] = classes;
	if (bpf_map_update_elem(fd, key, &c, BPF_ANY) < 0)
		return -errno;
	return 0;
}

static int put_cgroups(struct fm_block *b, const struct fm_block_policy *p, uint32_t which)
{
	char *const roots[] = { b->mount, NULL };
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	bool is_full = false;
	FTSENT *e;

	if (!tree)
		return fm_dp_fail(-errno, "block: cannot read %s: %s", b->mount, strerror(errno));
	while ((e = fts_read(tree))) {
		uint64_t id;

		if (e->fts_info != FTS_D)
			continue;
		id = e->fts_statp->st_ino;
		if (put_classes(b->skel->maps.fm_block_cgroups_v1, &id, which,
				p->classes_of(p->ctx, e->fts_path)) < 0)
			is_full = true;
	}
	(void)fts_close(tree);
	b->settings->is_full = is_full;
	return 0;
}

static int put_users(struct fm_block *b, const struct fm_block_policy *p, uint32_t which)
{
	const struct bpf_map *m = b->skel->maps.fm_block_users_v1;
	uint32_t uid, *before = NULL;
	int err = 0;

	for (; bpf_map_get_next_key(bpf_map__fd(m), before, &uid) == 0; before = &uid)
		err |= put_classes(m, &uid, which, 0);
	for (uint32_t i = 0; i < p->n_users && err == 0; i++) {
		uint32_t classes = 0;

		for (uint32_t k = 0; k < p->n_users; k++)
			classes |= p->users[k].uid == p->users[i].uid ? p->users[k].classes : 0;
		err = put_classes(m, &p->users[i].uid, which, classes);
	}
	return err ? fm_dp_fail(-ENOSPC, "block: cannot write the users of its rules") : 0;
}

static void put_set(struct fm_block *b, const struct fm_block_policy *p, uint32_t which)
{
	struct fm_block_set *set = &b->sets[which];

	b->rules.n_rules = (uint8_t)p->n_rules;
	memcpy(b->rules.rules, p->rules, sizeof(p->rules));
	fm_rules_columns(&set->rules, &b->rules);
	set->rules.head.need = 0; /* compared by the program, once it knows who sends */
	set->cannot = p->cannot;
	set->resting = set->shut = set->blocks = 0;
	for (uint32_t i = 0; i < p->n_rules; i++)
		set->blocks |= (uint64_t)p->rules[i].is_block << i;
	set->by_cgroup = 0;
	memcpy(set->patterns, p->patterns, sizeof(set->patterns));
	for (uint32_t i = 0; i < p->n_patterns; i++)
		set->by_cgroup |= p->patterns[i].class;
}

/* The one of before stays until the new one runs. */
static int trace(struct fm_block *b, const struct bpf_program *program, const char *point)
{
	char path[256];
	int link = bpf_raw_tracepoint_open(point, bpf_program__fd(program)), err = 0;

	if (link < 0)
		return fm_dp_fail(-errno, "block: no tracepoint %s: %s", point, strerror(errno));
	pin_path(b, LINK_PREFIX, bpf_program__name(program), path);
	(void)unlink(path);
	if (bpf_obj_pin(link, path) < 0)
		err = fm_dp_fail(-errno, "block: cannot pin %s: %s", path, strerror(errno));
	close(link);
	return err;
}

static int watch(struct fm_block *b)
{
	int err = trace(b, b->skel->progs.fm_block_mkdir, "cgroup_mkdir");

	return err < 0 ? err : trace(b, b->skel->progs.fm_block_release, "cgroup_release");
}

static int attach(struct fm_block *b)
{
	char path[256];
	int err;

	pin_path(b, LINK_PREFIX, "fm_block_create", path);
	err = fm_pin_cgroup_link(path, b->skel->progs.fm_block_create, b->cgroup,
				 BPF_CGROUP_INET_SOCK_CREATE);
	if (err < 0)
		return err;
	pin_path(b, LINK_PREFIX, "fm_block_out", path);
	return fm_pin_cgroup_link(path, b->skel->progs.fm_block_out, b->cgroup,
				  BPF_CGROUP_INET_EGRESS);
}

int fm_block_put(struct fm_block *b, const struct fm_block_policy *p)
{
	uint32_t which = ~b->settings->now & 1;
	int err = 0;

	fm_dp_wait_for_readers(); /* of what stood there */
	put_set(b, p, which);
	if (!b->is_put)
		err = watch(b); /* what is made from here on it sees */
	if (err == 0)
		err = put_cgroups(b, p, which);
	if (err == 0)
		err = put_users(b, p, which);
	if (err < 0)
		return err;
	__atomic_store_n(&b->settings->now, which, __ATOMIC_RELEASE);
	if (!b->is_put)
		err = attach(b);
	b->is_put = err == 0;
	return err;
}

/* Sockets that were open before. What is no socket takes no note. */
static void note_sockets(struct fm_block *b)
{
	const struct fm_block_note note = { .is_daemons = 1 };

	for (int fd = 0; fd < DESCRIPTORS; fd++)
		(void)bpf_map_update_elem(bpf_map__fd(b->skel->maps.fm_block_notes_v1), &fd, &note,
					  BPF_ANY);
}

static uint32_t own_pid(const struct fm_block *b)
{
	LIBBPF_OPTS(bpf_test_run_opts, o);
	int err = bpf_prog_test_run_opts(bpf_program__fd(b->skel->progs.fm_block_self), &o);

	return err < 0 ? (uint32_t)getpid() : o.retval;
}

void fm_block_serve(struct fm_block *b, const uint32_t devices[FM_BLOCK_DEVICES])
{
	memcpy(b->settings->devices, devices, sizeof(b->settings->devices));
	__atomic_store_n(&b->settings->pid, own_pid(b), __ATOMIC_RELEASE);
	note_sockets(b);
}

void fm_block_beat(struct fm_block *b, uint64_t resting, uint64_t shut)
{
	struct fm_block_set *set = &b->sets[b->settings->now & 1];
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	__atomic_store_n(&set->resting, resting, __ATOMIC_RELAXED);
	__atomic_store_n(&set->shut, shut, __ATOMIC_RELAXED);
	__atomic_store_n(&b->settings->beat_ns,
			 (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec, __ATOMIC_RELEASE);
}

uint64_t fm_block_drops(const struct fm_block *b)
{
	int cpus = libbpf_num_possible_cpus();
	struct fm_dp_counter *each = cpus > 0 ? calloc((size_t)cpus, sizeof(*each)) : NULL;
	uint32_t zero = 0;
	uint64_t n = 0;

	if (each &&
	    bpf_map_lookup_elem(bpf_map__fd(b->skel->maps.fm_block_drops_v1), &zero, each) == 0) {
		for (int i = 0; i < cpus; i++)
			n += each[i].packets;
	}
	free(each);
	return n;
}
