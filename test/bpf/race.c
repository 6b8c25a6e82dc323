/*
 * Reader and updater on two cores: no packet sees half of a change, nor another subscriber's
 * block, nor none where a binding stands. The controls write blocks in place, as rule 5 forbids,
 * and take a word away before they write the next; both must be caught. Then both cores give
 * numbers to packets, and receive the copies of one peer.
 * Usage: race [READS]; 1,000,000 without. Exit code 77 where it is not permitted.
 */
#include "test/bpf/race.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath/dp.h"
#include "test/bpf/race.skel.h"

#define REPEAT 2000 /* reads in one call: it ends often enough for grace periods to end */
#define LIMIT_S 900

struct race {
	struct fm_dp *dp;
	struct fm_race_bpf *skel;
	atomic_bool stop;
	unsigned long updates;
};

static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

static void make(struct fm_forwarding *f, uint32_t who, uint16_t number)
{
	*f = (struct fm_forwarding){ .id = who + 1, .n_paths = FM_PATHS_MAX, .n_prefixes = 1 };
	f->prefixes[0] = (struct fm_prefix){ { RACE_PREFIX }, 64 };
	f->prefixes[0].ip.b[7] = (uint8_t)who;
	for (int i = 0; i < (int)FM_PATHS_MAX; i++) {
		f->paths[i] = (struct fm_path){ .bid = number,
						.mtu = 1280 + number % 220u,
						.local_port = number,
						.remote_port = number,
						.encap = FM_ENCAP_UDP4,
						.ifindex = 1 };
		f->paths[i].remote.b[0] = 1;
	}
}

static void change(struct race *r, uint32_t from)
{
	struct fm_forwarding f;

	stay_on(1);
	for (uint32_t n = 1; !atomic_load(&r->stop); n++) {
		uint32_t who = (n * 7) % RACE_BINDINGS;

		make(&f, who, (uint16_t)n);
		if (who >= from) /* its hash entry goes to another key */
			(void)fm_dp_unforward(r->dp, who + 1);
		if (fm_dp_forward(r->dp, &f) < 0) {
			fprintf(stderr, "race: %s\n", fm_dp_error());
			exit(1);
		}
		r->updates++;
	}
}

static void *update(void *r)
{
	change(r, RACE_STEADY);
	return NULL;
}

static void *take_away_first(void *r)
{
	change(r, 0);
	return NULL;
}

static void number_path(struct fm_dp_path *p, uint16_t n)
{
	/* the same in both byte orders */
	p->bid = p->local_port = p->remote_port = (uint16_t)(n << 8 | (n & 0xff));
}

/* What no program of ours may do: two states of a block, in turn, in the slot that is in use. */
static void *update_in_place(void *arg)
{
	struct race *r = arg;
	const struct fm_dp_prefix first = { .ip = RACE_PREFIX, .len = 64 };
	int fd = fm_dp_map_fd(r->dp, "fm_blocks_v5");
	uint32_t slot = FM_DP_WORD_SLOT(fm_words_get(r->dp, &first));
	int more_fd = fm_dp_map_fd(r->dp, "fm_more_v1");
	struct fm_dp_block b;
	struct fm_dp_more m;

	stay_on(1);
	if (bpf_map_lookup_elem(fd, &slot, &b) < 0 || bpf_map_lookup_elem(more_fd, &b.more, &m) < 0)
		return NULL;
	for (uint16_t n = 1; !atomic_load(&r->stop); n++) {
		number_path(&b.path, n);
		for (uint32_t i = 0; i < FM_DP_PATHS - 1; i++)
			number_path(&m.paths[i], n);
		(void)bpf_map_update_elem(fd, &slot, &b, BPF_ANY);
		(void)bpf_map_update_elem(more_fd, &b.more, &m, BPF_ANY);
		r->updates++;
	}
	return NULL;
}

static uint64_t seen(struct race *r, uint32_t what)
{
	uint64_t n = 0;

	(void)bpf_map_lookup_elem(bpf_map__fd(r->skel->maps.race_seen), &what, &n);
	return n;
}

static void forget(struct race *r)
{
	uint64_t none = 0;

	for (uint32_t i = 0; i < RACE_SEEN_COUNT; i++)
		(void)bpf_map_update_elem(bpf_map__fd(r->skel->maps.race_seen), &i, &none, BPF_ANY);
	r->updates = 0;
	atomic_store(&r->stop, false);
}

/* Reads until @reads are done, or @wanted was seen (RACE_READ: nothing is waited for). */
static void read_blocks(struct race *r, uint64_t reads, enum race_seen wanted)
{
	uint8_t packet[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = packet, .data_size_in = sizeof(packet),
		    .repeat = REPEAT);
	time_t end = time(NULL) + LIMIT_S;

	stay_on(0);
	while (seen(r, RACE_READ) < reads && time(NULL) < end) {
		if (bpf_prog_test_run_opts(bpf_program__fd(r->skel->progs.race_read), &o) < 0)
			break;
		if (wanted != RACE_READ && seen(r, wanted) > 0)
			break;
	}
}

static void race(struct race *r, void *(*updater)(void *), uint64_t reads, enum race_seen wanted)
{
	pthread_t t;

	forget(r);
	if (pthread_create(&t, NULL, updater, r) != 0)
		exit(1);
	read_blocks(r, reads, wanted);
	atomic_store(&r->stop, true);
	pthread_join(t, NULL);
	printf("reads %llu missed %llu away %llu torn %llu of-another %llu updates %lu\n",
	       (unsigned long long)seen(r, RACE_READ), (unsigned long long)seen(r, RACE_MISSED),
	       (unsigned long long)seen(r, RACE_AWAY), (unsigned long long)seen(r, RACE_TORN),
	       (unsigned long long)seen(r, RACE_OTHER), r->updates);
}

static int load(struct race *r)
{
	struct bpf_map *m;

	r->skel = fm_race_bpf__open();
	if (!r->skel)
		return -errno;
	bpf_object__for_each_map(m, r->skel->obj)
	{
		int fd = fm_dp_map_fd(r->dp, bpf_map__name(m));

		if (fd >= 0 && bpf_map__reuse_fd(m, fd) < 0)
			return -errno;
	}
	return fm_race_bpf__load(r->skel);
}

#define CROWD 20u /* prefixes of one bucket, so that it overflows into the two behind it */

static void crowd_prefix(struct fm_forwarding *f, uint32_t *seed)
{
	uint64_t hash;

	do {
		uint8_t ip[16] = RACE_PREFIX;
		uint64_t key;

		++*seed;
		memcpy(ip + 4, seed, sizeof(*seed));
		memcpy(f->prefixes[0].ip.b, ip, sizeof(ip));
		memcpy(&key, ip, sizeof(key));
		hash = fm_dp_hash(key, 0);
	} while ((hash & 63) != 5); /* 32 bindings: 64 buckets */
}

/* What the program finds for it. */
static uint32_t found(const struct race *r, const struct fm_forwarding *f)
{
	uint8_t packet[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = packet, .data_size_in = sizeof(packet));

	memcpy(packet, f->prefixes[0].ip.b, 16);
	return bpf_prog_test_run_opts(bpf_program__fd(r->skel->progs.race_find), &o) < 0 ? ~0u
											 : o.retval;
}

/* Words past a full bucket are found, by the program and here, whatever is taken from before them.
 */
static bool crowd(struct race *r)
{
	struct fm_forwarding all[CROWD];
	uint32_t seed = 1u << 24;
	bool good = true;

	for (uint32_t i = 0; i < CROWD; i++) {
		make(&all[i], 100 + i, 1);
		crowd_prefix(&all[i], &seed);
		good &= found(r, &all[i]) == 0 && fm_dp_forward(r->dp, &all[i]) == 0;
	}
	for (uint32_t gone = 0; gone < CROWD; gone++) {
		for (uint32_t i = 0; i < CROWD; i++) {
			struct fm_dp_prefix p = { .len = 64 };

			memcpy(p.ip, all[i].prefixes[0].ip.b, 8);
			uint32_t word = found(r, &all[i]);

			good &= word == fm_words_get(r->dp, &p) && (word != 0) == (i >= gone);
		}
		(void)fm_dp_unforward(r->dp, all[gone].id);
	}
	return good;
}

struct runner {
	int program, cpu;
};

static void *run(void *arg)
{
	const struct runner *r = arg;
	uint8_t packet[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = packet, .data_size_in = sizeof(packet),
		    .repeat = REPEAT);

	stay_on(r->cpu);
	for (uint32_t done = 0; done <= RACE_NUMBERS; done += REPEAT) {
		if (bpf_prog_test_run_opts(r->program, &o) < 0)
			exit(1);
	}
	return NULL;
}

static void on_both(const struct bpf_program *program)
{
	struct runner runners[] = { { bpf_program__fd(program), 0 },
				    { bpf_program__fd(program), 1 } };
	pthread_t t;

	if (pthread_create(&t, NULL, run, &runners[1]) != 0)
		exit(1);
	(void)run(&runners[0]);
	pthread_join(t, NULL);
}

/* Numbers that were not given, or passed, exactly once. */
static uint32_t not_once(const struct race *r, enum race_tally what)
{
	int fd = bpf_map__fd(r->skel->maps.race_tally);
	uint32_t n, wrong = 0;

	for (uint32_t i = 0; i < RACE_NUMBERS; i++) {
		uint32_t at = what * RACE_NUMBERS + i;

		wrong += bpf_map_lookup_elem(fd, &at, &n) < 0 || n != 1;
	}
	return wrong;
}

static bool race_numbers(const struct race *r)
{
	uint32_t given, passed, in_two;

	on_both(r->skel->progs.race_give);
	on_both(r->skel->progs.race_take);
	on_both(r->skel->progs.race_take_in_two);
	given = not_once(r, RACE_GIVEN);
	passed = not_once(r, RACE_PASSED);
	in_two = not_once(r, RACE_PASSED_TWO);
	printf("%s no number was given twice or left out: %u of %u\n", given ? "FAIL" : "ok  ",
	       given, RACE_NUMBERS);
	printf("%s of two copies one passed: not so %u of %u\n", passed ? "FAIL" : "ok  ", passed,
	       RACE_NUMBERS);
	printf("%s two steps are caught letting two pass, or none: %u\n", in_two ? "ok  " : "FAIL",
	       in_two);
	return !given && !passed && in_two;
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/fmdp-race-XXXXXX", pins[64];
	uint64_t reads = argc > 1 ? strtoull(argv[1], NULL, 0) : 1000000;
	struct fm_dp_conf conf = { .role = FM_DP_ANCHOR,
				   .fm0_ifindex = 1,
				   .bindings_max = 32,
				   .flows_max = 1024,
				   .pin_dir = pins };
	struct race r = { 0 };
	struct fm_forwarding f;
	bool good, gap, torn, crowded, numbers;

	if (geteuid() != 0 || sysconf(_SC_NPROCESSORS_ONLN) < 2 || !mkdtemp(dir))
		return 77;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("bpf", dir, "bpf", 0, NULL) < 0) {
		(void)rmdir(dir);
		return 77;
	}
	(void)snprintf(pins, sizeof(pins), "%s/pins", dir);
	if (fm_dp_open(&conf, &r.dp) < 0 || load(&r) < 0) {
		fprintf(stderr, "race: %s\n", fm_dp_error());
		return 1;
	}
	for (uint32_t who = 0; who < RACE_BINDINGS; who++) {
		make(&f, who, 1);
		(void)fm_dp_forward(r.dp, &f);
	}
	crowded = crowd(&r);
	printf("%s words past a full bucket are found\n", crowded ? "ok  " : "FAIL");
	race(&r, update, reads, RACE_READ);
	good = seen(&r, RACE_READ) >= reads && seen(&r, RACE_TORN) == 0 &&
	       seen(&r, RACE_OTHER) == 0 && seen(&r, RACE_MISSED) == 0 && r.updates > 100;
	printf("%s no block was missed, torn, or another subscriber's\n", good ? "ok  " : "FAIL");
	race(&r, take_away_first, reads * 10, RACE_MISSED);
	gap = seen(&r, RACE_MISSED) > 0;
	printf("%s words taken away first are caught missing\n", gap ? "ok  " : "FAIL");
	race(&r, update_in_place, reads * 10, RACE_TORN);
	torn = seen(&r, RACE_TORN) > 0;
	printf("%s blocks written in place are caught torn\n", torn ? "ok  " : "FAIL");
	numbers = race_numbers(&r);
	fm_dp_down(r.dp);
	fm_race_bpf__destroy(r.skel);
	(void)umount(dir);
	(void)rmdir(dir);
	return good && gap && torn && crowded && numbers ? 0 : 1;
}
