/* Tests store/store.c: what was acknowledged is there after kills, damage and full disks. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/store.h"

#define KILLS 50

static char dir[64], file[96];
static unsigned troubles[4];

static void on_trouble(void *ctx, enum fm_store_trouble what, const char *text)
{
	(void)ctx;
	assert_true(strlen(text) > 0);
	troubles[what]++;
}

static struct fm_store *open_store(void)
{
	struct fm_store_setup setup = { .dir = dir, .trouble = on_trouble };
	struct fm_store *s = NULL;
	int err = fm_store_open(&setup, &s);

	if (err < 0)
		fail_msg("open: %s", strerror(-err));
	return s;
}

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/fm-store-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	rmdir(dir); /* the store makes it */
	snprintf(file, sizeof(file), "%s/store.mdb", dir);
	memset(troubles, 0, sizeof(troubles));
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* Record @i of round @round: its value follows from both, so a wrong one is seen. */
static struct fm_octets value_of(uint32_t i, uint32_t round, uint8_t room[300])
{
	uint16_t len = (uint16_t)(8 + i % 290);

	memcpy(room, &i, 4);
	memcpy(room + 4, &round, 4);
	for (uint16_t k = 8; k < len; k++)
		room[k] = (uint8_t)(i * 7 + round * 13 + k);
	return (struct fm_octets){ room, len };
}

static int put(struct fm_store *s, uint32_t i, uint32_t round)
{
	const struct fm_octets key = { (const uint8_t *)&i, 4 };
	uint8_t room[300];
	struct fm_octets value = value_of(i, round, room);

	return fm_store_put(s, FM_RECORD_BINDING, &key, &value);
}

static int drop(struct fm_store *s, uint32_t i)
{
	const struct fm_octets key = { (const uint8_t *)&i, 4 };

	return fm_store_put(s, FM_RECORD_BINDING, &key, NULL);
}

struct seen {
	uint32_t n, round[5000];
	bool has[5000];
};

static void on_record(void *ctx, const struct fm_octets *key, const struct fm_octets *value)
{
	struct seen *seen = ctx;
	uint8_t room[300];
	uint32_t i, round;

	assert_int_equal(key->len, 4);
	assert_true(value->len >= 8);
	memcpy(&i, key->p, 4);
	memcpy(&round, value->p + 4, 4);
	assert_true(i < 5000);
	assert_int_equal(value->len, value_of(i, round, room).len);
	assert_memory_equal(value->p, room, value->len);
	seen->has[i] = true;
	seen->round[i] = round;
	seen->n++;
}

static struct seen *look(struct fm_store *s)
{
	static struct seen seen;

	memset(&seen, 0, sizeof(seen));
	assert_int_equal(fm_store_each(s, FM_RECORD_BINDING, on_record, &seen), 0);
	return &seen;
}

static void records_are_there_after_a_restart(void **state)
{
	struct fm_store *s = open_store();
	const struct fm_octets other = { (const uint8_t *)"truck7@example.net", 18 };
	struct stat st;

	(void)state;
	assert_false(fm_store_pending(s));
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(put(s, i, 1), 0);
	assert_int_equal(put(s, 5, 2), 0);
	assert_int_equal(drop(s, 6), 0);
	assert_int_equal(drop(s, 4000), 0); /* was never there */
	assert_int_equal(fm_store_put(s, FM_RECORD_REPLAY, &other, &other), 0);
	assert_true(fm_store_pending(s));
	assert_int_equal(fm_store_commit(s), 0);
	assert_false(fm_store_pending(s));
	fm_store_close(s);

	s = open_store();
	assert_int_equal(look(s)->n, 999);
	assert_int_equal(look(s)->round[5], 2);
	assert_false(look(s)->has[6]);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	fm_store_close(s);
	assert_int_equal(troubles[FM_STORE_PUT_ASIDE], 0);
}

static void nothing_is_on_disk_before_a_commit(void **state)
{
	struct fm_store *s = open_store();

	(void)state;
	put(s, 1, 1);
	assert_int_equal(look(s)->n, 0);
	fm_store_close(s); /* commits */
	s = open_store();
	assert_int_equal(look(s)->n, 1);
	fm_store_close(s);
}

static void two_daemons_do_not_share_a_store(void **state)
{
	struct fm_store *s = open_store(), *other;
	struct fm_store_setup setup = { .dir = dir };

	(void)state;
	assert_int_equal(fm_store_open(&setup, &other), -EBUSY);
	fm_store_close(s);
}

static void keys_have_a_bound(void **state)
{
	static const uint8_t octets[501];
	const struct fm_octets longest = { octets, 500 }, too_long = { octets, 501 };
	struct fm_store *s = open_store();

	(void)state;
	assert_int_equal(fm_store_put(s, FM_RECORD_HOST, &too_long, &longest), -EINVAL);
	assert_int_equal(fm_store_put(s, FM_RECORD_HOST, &longest, &too_long), 0);
	assert_int_equal(fm_store_commit(s), 0);
	fm_store_close(s);
}

#define MODEL 500u

/* What the store should hold: round[i] 0: nothing. */
struct model {
	uint32_t round[MODEL];
	unsigned short random[3];
};

/* Batch @round changes 20 records; the same for writer and judge, who share the seed. */
static void apply_batch(struct model *m, uint32_t round, struct fm_store *s)
{
	for (int k = 0; k < 20; k++) {
		uint32_t i = (uint32_t)nrand48(m->random) % MODEL;
		bool is_put = nrand48(m->random) % 8 > 0;

		m->round[i] = is_put ? round : 0;
		if (s && is_put)
			put(s, i, round);
		else if (s)
			drop(s, i);
	}
}

/* An octet to the pipe is what a packet to the network would be: the batch is acknowledged. */
static void write_until_killed(int fd, struct model *m, uint32_t round)
{
	struct fm_store *s = open_store();

	for (;; round++) {
		apply_batch(m, round, s);
		if (fm_store_commit(s) < 0 || write(fd, "", 1) != 1)
			_exit(1);
	}
}

static bool agrees(const struct model *m, const struct seen *seen)
{
	for (uint32_t i = 0; i < MODEL; i++) {
		if (seen->has[i] != (m->round[i] != 0) || seen->round[i] != m->round[i])
			return false;
	}
	return true;
}

/* One kill in four comes while the store is being opened, on a slow machine. */
static uint32_t run_and_kill(struct model *m, uint32_t round, unsigned kill_nr)
{
	uint32_t acknowledged = 0;
	int fds[2], status;
	uint8_t octet;
	pid_t child;

	assert_int_equal(pipe(fds), 0);
	child = fork();
	if (child == 0) {
		close(fds[0]);
		write_until_killed(fds[1], m, round);
	}
	close(fds[1]);
	if (kill_nr % 4 != 0 && read(fds[0], &octet, 1) == 1)
		apply_batch(m, round + acknowledged++, NULL);
	usleep((kill_nr * 7919) % 30000);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	assert_true(WIFSIGNALED(status));
	while (read(fds[0], &octet, 1) == 1)
		apply_batch(m, round + acknowledged++, NULL);
	close(fds[0]);
	return acknowledged;
}

static void every_acknowledged_record_outlives_a_kill(void **state)
{
	static struct model m;
	uint32_t round = 1;

	(void)state;
	for (unsigned kill_nr = 1; kill_nr <= KILLS; kill_nr++) {
		struct fm_store *s;
		const struct seen *seen;

		round += run_and_kill(&m, round, kill_nr);
		s = open_store();
		seen = look(s);
		/*
		 * all that was acknowledged, or that and the batch that was in flight; nothing
		 * between
		 */
		if (!agrees(&m, seen)) {
			apply_batch(&m, round++, NULL);
			if (!agrees(&m, seen))
				fail_msg("kill %u: records are lost or half a batch is there",
					 kill_nr);
		}
		fm_store_close(s);
	}
	assert_true(round > KILLS / 2);
	assert_int_equal(troubles[FM_STORE_PUT_ASIDE], 0);
}

static void fill(uint32_t n)
{
	struct fm_store *s = open_store();

	for (uint32_t i = 0; i < n; i++)
		put(s, i, 1);
	assert_int_equal(fm_store_commit(s), 0);
	fm_store_close(s);
}

static void a_torn_file_is_put_aside_and_work_goes_on(void **state)
{
	static const int tails[] = { 1, 4096, 20000, 100000, 200000 };

	(void)state;
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		struct fm_store *s;
		struct stat st;

		fill(2000);
		assert_int_equal(stat(file, &st), 0);
		assert_int_equal(truncate(file, st.st_size - tails[i]), 0);
		s = open_store(); /* sound records or none, never a crash */
		look(s);
		put(s, 7, 9);
		assert_int_equal(fm_store_commit(s), 0);
		assert_int_equal(look(s)->round[7], 9);
		fm_store_close(s);
	}
	assert_true(troubles[FM_STORE_PUT_ASIDE] > 0);
}

static void garbage_is_put_aside(void **state)
{
	static const char *const contents[] = { "x", "not a store", NULL };
	char room[20000];

	(void)state;
	memset(room, 0xa5, sizeof(room));
	for (size_t i = 0; i < 3; i++) {
		struct fm_store *s;
		int fd;

		mkdir(dir, 0700);
		fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		assert_true(contents[i] ? write(fd, contents[i], strlen(contents[i])) > 0
					: write(fd, room, sizeof(room)) > 0);
		close(fd);
		s = open_store();
		assert_int_equal(troubles[FM_STORE_PUT_ASIDE], i + 1);
		put(s, 7, 9);
		assert_int_equal(fm_store_commit(s), 0);
		assert_int_equal(look(s)->n, 1);
		fm_store_close(s);
		unlink(file);
	}
}

/*
 * Every octet that changes is either not used, or noticed: no wrong value comes out (on_record
 * looks).
 */
static void flipped_bits_never_give_a_wrong_record(void **state)
{
	(void)state;
	srandom(1);
	for (int round = 0; round < 40; round++) {
		struct fm_store *s;
		struct stat st;
		int fd;

		unlink(file);
		fill(500);
		fd = open(file, O_RDWR);
		fstat(fd, &st);
		for (int k = 0; k < 5; k++) {
			off_t at = random() % st.st_size;
			uint8_t octet = 0;

			assert_int_equal(pread(fd, &octet, 1, at), 1);
			octet ^= (uint8_t)(1 << random() % 8);
			assert_int_equal(pwrite(fd, &octet, 1, at), 1);
		}
		close(fd);
		s = open_store();
		look(s);
		fm_store_close(s);
	}
}

static void a_full_disk_degrades_and_heals(void **state)
{
	struct rlimit before, small = { 65536, RLIM_INFINITY };
	struct fm_store *s;

	(void)state;
	fill(100);
	s = open_store();
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (uint32_t i = 100; i < 3000; i++)
		put(s, i, 2);
	assert_true(fm_store_commit(s) < 0);
	assert_true(fm_store_commit(s) < 0);
	put(s, 3000, 3);
	assert_true(fm_store_pending(s));
	assert_int_equal(troubles[FM_STORE_FAILING], 1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(fm_store_commit(s), 0);
	assert_int_equal(troubles[FM_STORE_RECOVERED], 1);
	assert_int_equal(look(s)->n, 3001);
	fm_store_close(s);
	s = open_store();
	assert_int_equal(look(s)->n, 3001);
	fm_store_close(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(records_are_there_after_a_restart),
		TEST(nothing_is_on_disk_before_a_commit),
		TEST(two_daemons_do_not_share_a_store),
		TEST(keys_have_a_bound),
		TEST(every_acknowledged_record_outlives_a_kill),
		TEST(a_torn_file_is_put_aside_and_work_goes_on),
		TEST(garbage_is_put_aside),
		TEST(flipped_bits_never_give_a_wrong_record),
		TEST(a_full_disk_degrades_and_heals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
