/*
 * The eBPF programs of a role, each verified when it is first wanted and then pinned: verifying is
 * nearly all of a cold start, and a daemon that comes back takes what its earlier run left. A pin's
 * name carries a hash of the compiled object, so that another version never takes it.
 */
#include "datapath/dp.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath/path.skel.h"

#define FM_PIN_PREFIX "prog_" /* a dot is not allowed in a bpffs */

/* Fowler, Noll, Vo: FNV-1a, 64 bits, taken eight octets at a time. */
static uint64_t hash_object(void)
{
	uint64_t hash = 0xcbf29ce484222325u, word = 0;
	size_t len;
	const char *p = fm_path_bpf__elf_bytes(&len);

	for (size_t i = 0; i < len; i += sizeof(word)) {
		memcpy(&word, p + i, len - i < sizeof(word) ? len - i : sizeof(word));
		hash = (hash ^ word) * 0x100000001b3u;
		hash ^= hash >> 32;
	}
	return hash;
}

static void pin_path(const struct fm_dp *dp, const char *name, char out[256])
{
	(void)snprintf(out, 256, "%s/" FM_PIN_PREFIX "%s_%016llx", dp->pin_dir, name,
		       (unsigned long long)dp->programs.hash);
}

static void remove_pins(const struct fm_dp *dp, const char *but)
{
	DIR *dir = opendir(dp->pin_dir);

	for (struct dirent *e; dir && (e = readdir(dir));) {
		size_t len = strlen(e->d_name);

		if (strncmp(e->d_name, FM_PIN_PREFIX, strlen(FM_PIN_PREFIX)) != 0 ||
		    (but && len > strlen(but) && strcmp(e->d_name + len - strlen(but), but) == 0))
			continue;
		(void)unlinkat(dirfd(dir), e->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

void fm_programs_init(struct fm_dp *dp)
{
	char ours[17];

	dp->programs.hash = hash_object();
	(void)snprintf(ours, sizeof(ours), "%016llx", (unsigned long long)dp->programs.hash);
	remove_pins(dp, ours);
}

void fm_programs_clear(const struct fm_dp *dp)
{
	remove_pins(dp, NULL);
}

void fm_programs_free(struct fm_dp *dp)
{
	for (uint32_t i = 0; i < dp->programs.n; i++)
		close(dp->programs.loaded[i].fd);
	dp->programs.n = 0;
}

/* The object once more, with this one program, over the maps that are there. */
static int load_alone(struct fm_dp *dp, struct fm_path_bpf *skel, const char *name)
{
	struct bpf_program *p;
	struct bpf_map *m;

	bpf_object__for_each_map(m, skel->obj)
	{
		int err = bpf_map__reuse_fd(m, fm_dp_map_fd(dp, bpf_map__name(m)));

		if (err < 0)
			return err;
	}
	bpf_object__for_each_program(p, skel->obj)
		bpf_program__set_autoload(p, strcmp(bpf_program__name(p), name) == 0);
	return fm_path_bpf__load(skel);
}

static int load(struct fm_dp *dp, const char *name)
{
	struct fm_path_bpf *skel = fm_path_bpf__open();
	char path[256];
	int ret;

	if (!skel)
		return fm_dp_fail(-errno, "data path: cannot read the programs");
	ret = load_alone(dp, skel, name);
	if (ret < 0) {
		(void)fm_dp_fail_load(dp->pin_dir, ret);
	} else {
		int fd = bpf_program__fd(bpf_object__find_program_by_name(skel->obj, name));

		ret = dup(fd);
		pin_path(dp, name, path);
		(void)bpf_obj_pin(fd, path); /* without it, the next start takes longer */
	}
	fm_path_bpf__destroy(skel);
	return ret;
}

int fm_dp_program_fd(struct fm_dp *dp, const char *name)
{
	struct bpf_program *p = bpf_object__find_program_by_name(dp->skel->obj, name);
	struct fm_programs *all = &dp->programs;
	char path[256];
	int fd;

	if (!p)
		return -ENOENT;
	name = bpf_program__name(p); /* lives as long as we do */
	for (uint32_t i = 0; i < all->n; i++) {
		if (all->loaded[i].name == name)
			return all->loaded[i].fd;
	}
	if (all->n == FM_PROGRAMS)
		return -ENOSPC;
	pin_path(dp, name, path);
	fd = bpf_obj_get(path);
	if (fd < 0)
		fd = load(dp, name);
	if (fd >= 0)
		all->loaded[all->n++] = (struct fm_program){ .name = name, .fd = fd };
	return fd;
}
