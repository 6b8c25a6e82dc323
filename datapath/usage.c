/*
 * What counted subscribers used, as memory (usage.h). Where all maps are made anew, because more
 * bindings are to be held, what the old map counted goes over into the new one.
 */
#include "datapath/dp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath/path.skel.h"

#define BEFORE "fm_usage_before" /* the pin of the old map */

static size_t bytes_of(uint32_t entries)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (entries * sizeof(struct fm_dp_usage) + page - 1) / page * page;
}

static uint32_t entries_of(int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0 ||
	    info.value_size != sizeof(struct fm_dp_usage))
		return 0;
	return info.max_entries;
}

static struct fm_dp_usage *map(int fd, uint32_t entries)
{
	void *at = mmap(NULL, bytes_of(entries), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return at == MAP_FAILED ? NULL : at;
}

struct fm_dp_usage *fm_dp_usage(struct fm_dp *dp, uint32_t *n)
{
	const struct bpf_map *m = dp->skel->maps.fm_usage_v1;

	*n = bpf_map__max_entries(m) - 1;
	if (!dp->usage)
		dp->usage = map(bpf_map__fd(m), *n + 1);
	if (!dp->usage)
		(void)fm_dp_fail(-errno, "data path: cannot map what subscribers use");
	return dp->usage;
}

void fm_dp_usage_close(struct fm_dp *dp)
{
	if (dp->usage)
		(void)munmap(dp->usage, bytes_of(bpf_map__max_entries(dp->skel->maps.fm_usage_v1)));
	dp->usage = NULL;
}

static void before_path(const struct fm_dp *dp, char out[256])
{
	(void)snprintf(out, 256, "%s/" BEFORE, dp->pin_dir);
}

uint32_t fm_dp_usage_set_aside(const struct fm_dp *dp, const char *pin)
{
	char before[256];
	int fd = bpf_obj_get(pin);
	uint32_t entries = fd < 0 ? 0 : entries_of(fd);

	if (fd >= 0)
		close(fd);
	before_path(dp, before);
	return entries > 1 && rename(pin, before) == 0 ? entries : 0;
}

static void move_counts(struct fm_dp_usage *from, struct fm_dp_usage *to)
{
	struct fm_dp_used *a = &from->of[0][0][0], *b = &to->of[0][0][0];

	memcpy(to->owner, from->owner, sizeof(to->owner));
	for (size_t i = 0; i < sizeof(from->of) / sizeof(*a); i++) {
		uint64_t packets = __atomic_exchange_n(&a[i].packets, 0, __ATOMIC_RELAXED),
			 bytes = __atomic_exchange_n(&a[i].bytes, 0, __ATOMIC_RELAXED);

		(void)__atomic_fetch_add(&b[i].packets, packets, __ATOMIC_RELAXED);
		(void)__atomic_fetch_add(&b[i].bytes, bytes, __ATOMIC_RELAXED);
	}
}

static void carry(struct fm_dp_usage *from, uint32_t entries, struct fm_dp_usage *to, uint32_t n)
{
	static const struct fm_dp_usage none;

	if (memcmp(to, &none, sizeof(none)) == 0)
		memcpy(to, from, sizeof(*to)); /* nobody is counted there: names */
	for (uint32_t i = 1; i < entries && i <= n; i++) {
		if (from[i].owner[0])
			move_counts(&from[i], &to[i]);
	}
}

void fm_dp_usage_carry(struct fm_dp *dp, bool is_last)
{
	char before[256];
	uint32_t n, entries;
	struct fm_dp_usage *to = fm_dp_usage(dp, &n), *from;

	before_path(dp, before);
	int fd = to ? bpf_obj_get(before) : -1;
	if (fd < 0)
		return;
	entries = entries_of(fd);
	from = entries ? map(fd, entries) : NULL;
	close(fd);
	if (from)
		carry(from, entries, to, n);
	if (from)
		(void)munmap(from, bytes_of(entries));
	if (is_last)
		(void)unlink(before);
}
