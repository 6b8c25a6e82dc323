/*
 * Opens the data path of a role: new or adopted maps, its settings; tells errors in words.
 * Programs are in programs.c, attaching is in attach.c, what the maps hold in forward.c, words.c,
 * list.c.
 */
#include "datapath/dp.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath/path.skel.h"
#include "datapath/probe.skel.h"
#include "datapath/sock_maps.h"

#define FM_HOST_BINDINGS 16u
#define FM_ANCHOR_BINDINGS 4096u
#define FM_FLOWS 65536u
#define FM_SPARE_SLOTS 64u
#define FM_MANY_SLOTS 16384u
#define FM_DOMAIN_ADDRESSES 16384u /* of names that rules speak of; the least used give way */

static _Thread_local char error_text[512], libbpf_text[256];

int fm_dp_fail(int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(error_text, sizeof(error_text), format, args);
	va_end(args);
	return err;
}

const char *fm_dp_error(void)
{
	return error_text;
}

/*
 * libbpf's last warning is kept for our own text; verifier logs are long, their first line will do.
 */
static int keep_warning(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN) {
		(void)vsnprintf(libbpf_text, sizeof(libbpf_text), format, args);
		libbpf_text[strcspn(libbpf_text, "\n")] = '\0';
	}
	return 0;
}

void fm_dp_keep_warnings(void)
{
	libbpf_set_print(keep_warning);
}

bool fm_dp_kernel_decaps(void)
{
	/* an Ethernet header and two IPv6 headers, the outer one first */
	uint8_t packet[14 + 40 + 40] = {
		[12] = 0x86, [13] = 0xdd, [14] = 0x60, [19] = 40, [20] = 41, [54] = 0x60, [60] = 59
	};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof(packet));
	fm_dp_keep_warnings();
	struct fm_probe_bpf *skel = fm_probe_bpf__open_and_load();

	if (!skel)
		return false;
	int err = bpf_prog_test_run_opts(bpf_program__fd(skel->progs.fm_probe_decap), &run);

	fm_probe_bpf__destroy(skel);
	return err == 0 && run.retval == 1;
}

/* One row per map: which role keeps entries in it, how many. */
struct map_plan {
	struct bpf_map *map;
	uint32_t entries;
	bool is_pinned;
};

#define FM_MAPS_MAX 40

/* Most bindings have few rules or none; a slot for many takes 16 KiB. */
static uint32_t many_slots(uint32_t bindings)
{
	return bindings / 4 < FM_MANY_SLOTS ? bindings / 4 : FM_MANY_SLOTS;
}

static size_t plan_maps(struct fm_dp *dp, struct map_plan *plan)
{
	const struct fm_dp_conf *c = &dp->conf;
	bool is_host = c->role == FM_DP_HOST;
	uint32_t n = c->bindings_max, flows = c->flows_max,
		 words = n * (is_host ? FM_DP_PREFIXES : 8);
	const struct map_plan rows[] = {
		{ dp->skel->maps.fm_settings_v3, 1, true },
		{ dp->skel->maps.fm_blocks_v5, 2 * n + FM_SPARE_SLOTS, true },
		{ dp->skel->maps.fm_more_v1, (is_host ? 2 * n : n) + FM_SPARE_SLOTS, true },
		{ dp->skel->maps.fm_few_v3, (is_host ? 2 * n : n) + FM_SPARE_SLOTS, true },
		{ dp->skel->maps.fm_many_v3, many_slots(n) + FM_SPARE_SLOTS, true },
		{ dp->skel->maps.fm_words_v3, fm_words_buckets(words), true },
		{ dp->skel->maps.fm_ended_v1, is_host ? 1024 : 1, true },
		{ dp->skel->maps.fm_flows_v3, is_host ? flows : 1024, true },
		{ dp->skel->maps.fm_pins_v1, is_host ? 4096 : 1, true },
		{ dp->skel->maps.fm_uplink_v1, is_host ? 1024 : flows, true },
		{ dp->skel->maps.fm_domains_v1, is_host ? FM_DOMAIN_ADDRESSES : 1, true },
		{ dp->skel->maps.fm_fragments_v1, 4096, true },
		{ dp->skel->maps.fm_neighbours_v3, is_host ? 1 : FM_DP_NEIGHBOURS, true },
		{ dp->skel->maps.fm_hooks_v1, 1024, true },
		{ dp->skel->maps.fm_counters_v1, FM_COUNTER_COUNT, true },
		{ dp->skel->maps.fm_usage_v1, is_host ? 1 : c->usage_max + 1, true },
		{ dp->skel->maps.fm_gates_v1, is_host ? 1 : 4 * n, true },
		{ dp->skel->maps.fm_traffic_v1, FM_DP_PATHS, true },
		{ dp->skel->maps.fm_watch_v1, FM_DP_PATHS, true },
		{ dp->skel->maps.fm_woken_v1, FM_DP_WOKEN_BYTES, true },
		{ dp->skel->maps.fm_chosen_v1,
		  is_host ? 2 : FM_DP_CHOSEN_MASK(fm_words_buckets(words) - 1) + 1, true },
		{ dp->skel->maps.fm_rulings_v1, is_host ? 1024 : flows, true },
		{ dp->skel->maps.fm_rules_now_v1, 1, true },
		{ dp->skel->maps.fm_asked_v1, is_host ? 4096 : FM_DP_ASKED_BYTES, true },
		{ dp->skel->maps.fm_quote_v1, 1, false },
		{ dp->skel->maps.fm_number_v1, 1, false },
		{ dp->skel->maps.fm_no_order_v2, 1, false },
		{ dp->skel->maps.fm_order_v2, n, true },
		{ dp->skel->maps.fm_copies_v1, is_host ? 1024 : 8192, true },
		{ dp->skel->maps.fm_sock_settings_v1, 1, is_host },
		{ dp->skel->maps.fm_sock_whos_v2, is_host ? FM_SOCK_WHOS : 1, is_host },
		{ dp->skel->maps.fm_sock_events_v1, FM_SOCK_EVENTS_BYTES, is_host },
		{ dp->skel->maps.fm_sock_sender_v1, 0, is_host },
	};

	_Static_assert(sizeof(rows) / sizeof(rows[0]) <= FM_MAPS_MAX, "a plan has room for all");
	memcpy(plan, rows, sizeof(rows));
	return sizeof(rows) / sizeof(rows[0]);
}

static void pin_path(const struct fm_dp *dp, const char *name, char *out, size_t size)
{
	(void)snprintf(out, size, "%s/%s", dp->pin_dir, name);
}

/*
 * Does what is pinned under that name fit? A larger one does; another layout or a smaller one not.
 */
static bool fits(const char *path, const struct map_plan *p, uint32_t *entries)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd = bpf_obj_get(path);

	if (fd < 0)
		return false;
	int err = bpf_obj_get_info_by_fd(fd, &info, &len);

	close(fd);
	*entries = info.max_entries;
	return err == 0 && info.type == bpf_map__type(p->map) &&
	       info.key_size == bpf_map__key_size(p->map) &&
	       info.value_size == bpf_map__value_size(p->map) && info.max_entries >= p->entries;
}

/* The `sock` programs have it too: who comes first makes it. */
static bool is_shared(const struct bpf_map *m)
{
	return strncmp(bpf_map__name(m), "fm_sock_", strlen("fm_sock_")) == 0;
}

/* Counters for charging are the one thing that a fresh start does not lose. */
static void put_away(const struct fm_dp *dp, struct map_plan *p, const char *path)
{
	uint32_t n = p->map == dp->skel->maps.fm_usage_v1 ? fm_dp_usage_set_aside(dp, path) : 0;

	if (n > p->entries)
		p->entries = n;
	if (n == 0)
		(void)unlink(path);
}

/*
 * All or nothing: one map that does not fit makes a fresh start, but for shared ones, which stand
 * alone. Filters of the earlier run hold the old maps and go on until they are replaced.
 */
static void adopt_or_clear(struct fm_dp *dp, struct map_plan *plan, size_t n)
{
	uint32_t entries[FM_MAPS_MAX];
	bool fit = true, all_fit = true, fit_alone[FM_MAPS_MAX];
	char path[256];

	for (size_t i = 0; i < n; i++) {
		pin_path(dp, bpf_map__name(plan[i].map), path, sizeof(path));
		entries[i] = plan[i].entries;
		fit_alone[i] = !plan[i].is_pinned || fits(path, &plan[i], &entries[i]);
		all_fit &= fit_alone[i];
		fit &= fit_alone[i] || is_shared(plan[i].map);
	}
	if (!all_fit)
		fm_programs_clear(dp);
	for (size_t i = 0; i < n; i++) {
		bool is_kept = is_shared(plan[i].map) ? fit_alone[i] : fit;

		pin_path(dp, bpf_map__name(plan[i].map), path, sizeof(path));
		if (is_kept)
			plan[i].entries = entries[i];
		else if (plan[i].is_pinned)
			put_away(dp, &plan[i], path);
	}
}

static int set_maps(struct fm_dp *dp)
{
	struct map_plan plan[FM_MAPS_MAX];
	size_t n = plan_maps(dp, plan);
	char path[256];

	adopt_or_clear(dp, plan, n);
	for (size_t i = 0; i < n; i++) {
		int err = bpf_map__set_max_entries(plan[i].map, plan[i].entries);

		pin_path(dp, bpf_map__name(plan[i].map), path, sizeof(path));
		if (!err && plan[i].is_pinned)
			err = bpf_map__set_pin_path(plan[i].map, path);
		if (err < 0)
			return err;
	}
	return 0;
}

static int put_settings(struct fm_dp *dp)
{
	const struct fm_dp_settings *s = &dp->settings;
	struct fm_dp_settings there;
	int fd = bpf_map__fd(dp->skel->maps.fm_settings_v3);
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(fd, &zero, &there) == 0 && memcmp(&there, s, sizeof(there)) == 0)
		return 0;
	if (bpf_map_update_elem(fd, &zero, s, BPF_ANY) < 0)
		return fm_dp_fail(-errno, "data path: cannot write its settings");
	return 0;
}

int fm_dp_fail_load(const char *pin_dir, int err)
{
	char name[256];

	if (err == -EPERM)
		return fm_dp_fail(err,
				  "data path: not permitted to load eBPF programs; start as root");
	return fm_dp_fail(err,
			  "data path: the kernel refused the programs (%s); Linux 6.1 or "
			  "later is needed, and a bpffs at %s",
			  libbpf_text, fm_pin_directory(pin_dir, name));
}

static int load(struct fm_dp *dp)
{
	struct bpf_program *p;

	fm_dp_keep_warnings();
	dp->skel = fm_path_bpf__open();
	if (!dp->skel)
		return fm_dp_fail(-errno, "data path: cannot read the programs: %s", libbpf_text);
	bpf_object__for_each_program(p, dp->skel->obj)
		bpf_program__set_autoload(p, false); /* programs.c loads those that are wanted */
	fm_programs_init(dp);
	int err = set_maps(dp);

	if (err == 0)
		err = fm_path_bpf__load(dp->skel);
	return err < 0 ? fm_dp_fail_load(dp->pin_dir, err) : 0;
}

int fm_dp_make_pin_dir(const char *dir)
{
	if (mkdir(dir, 0700) == 0 || errno == EEXIST)
		return 0;
	return fm_dp_fail(-errno,
			  "data path: cannot make %s (%s); mount a bpffs there: "
			  "mount -t bpf bpf /sys/fs/bpf",
			  dir, strerror(errno));
}

static int make_pin_dir(struct fm_dp *dp)
{
	int n = snprintf(dp->pin_dir, sizeof(dp->pin_dir), "%s", dp->conf.pin_dir);

	if (n < 0 || (size_t)n >= sizeof(dp->pin_dir))
		return fm_dp_fail(-ENAMETOOLONG, "data path: pin directory: name too long");
	dp->conf.pin_dir = dp->pin_dir;
	return fm_dp_make_pin_dir(dp->pin_dir);
}

static void fill_defaults(struct fm_dp_conf *c)
{
	if (c->bindings_max == 0)
		c->bindings_max = c->role == FM_DP_HOST ? FM_HOST_BINDINGS : FM_ANCHOR_BINDINGS;
	if (c->flows_max == 0)
		c->flows_max = FM_FLOWS;
}

static void make_settings(struct fm_dp *dp)
{
	const struct fm_dp_conf *c = &dp->conf;
	struct fm_dp_settings *s = &dp->settings;

	s->fm0 = c->fm0_ifindex;
	s->into = c->into_ifindex ? c->into_ifindex : c->fm0_ifindex;
	s->cut = c->cut_ifindex;
	s->buckets = bpf_map__max_entries(dp->skel->maps.fm_words_v3) - 1;
	memcpy(s->into_mac, c->into_mac, sizeof(s->into_mac));
	s->has_decap = c->into_ifindex == 0 && fm_dp_kernel_decaps();
	memcpy(s->anchor6, c->anchor6.b, 16);
	memcpy(s->anchor4, c->anchor4.b, 16);
}

/* What every start needs, so that a kernel that refuses it is told of now; others when wanted. */
static int load_usual(struct fm_dp *dp)
{
	bool is_host = dp->conf.role == FM_DP_HOST;
	int err = fm_dp_program_fd(dp, is_host ? "fm_host_out" : "fm_anchor_out");

	if (err >= 0)
		err = fm_dp_program_fd(dp, is_host ? "fm_host_in" : "fm_anchor_in");
	return err < 0 ? err : 0;
}

int fm_dp_open(const struct fm_dp_conf *conf, struct fm_dp **out)
{
	struct fm_dp *dp = calloc(1, sizeof(*dp));
	int err;

	if (!dp)
		return fm_dp_fail(-ENOMEM, "data path: out of memory");
	dp->conf = *conf;
	fill_defaults(&dp->conf);
	err = make_pin_dir(dp);
	if (err == 0)
		err = load(dp);
	if (err == 0)
		err = load_usual(dp);
	if (err == 0) {
		make_settings(dp);
		err = put_settings(dp);
	}
	if (err == 0)
		err = fm_forward_init(dp);
	if (err == 0 && dp->conf.role == FM_DP_ANCHOR)
		err = fm_chosen_clear(dp);
	if (err < 0) {
		fm_dp_close(dp);
		return err;
	}
	*out = dp;
	return 0;
}

int fm_dp_map_fd(const struct fm_dp *dp, const char *name)
{
	return bpf_object__find_map_fd_by_name(dp->skel->obj, name);
}

void fm_dp_close(struct fm_dp *dp)
{
	fm_forward_free(dp);
	fm_programs_free(dp);
	fm_watch_free(dp);
	fm_rulings_free(dp);
	fm_dp_usage_close(dp);
	fm_path_bpf__destroy(dp->skel);
	free(dp);
}
