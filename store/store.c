/*
 * The store: gathered records in memory, one LMDB file behind them.
 * LMDB never overwrites a page in use and switches meta pages last, so a kill or a power loss
 * leaves the commit before. What it cannot stand is a file that others damaged: that is tried out
 * in a child first.
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/gathered.h"

#define MAP_BYTES (1ull << 30)
#define PATH_ROOM 4096
#define KEY_MAX 500u
#define SUM_LEN 8u	  /* octets of check sum before each value */
#define LOCK_TRIES 25	  /* of 20 ms */
#define CHECK_SECONDS 120 /* a damaged tree may have circles */
#define ENV_FLAGS (MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS)

/* What the child that tries the file out exits with; anything else, or a signal: it is damaged. */
enum verdict {
	SOUND = 0,
	CANNOT_TELL = 42,
};

struct fm_store {
	struct fm_store_setup setup;
	char path[PATH_ROOM];
	int lock_fd;
	MDB_env *env; /* NULL: opened anew at the next commit */
	MDB_dbi dbi;
	struct fm_gathered gathered;
	bool is_failing;
};

static void tell(const struct fm_store *s, enum fm_store_trouble what, const char *text)
{
	if (s->setup.trouble)
		s->setup.trouble(s->setup.ctx, what, text);
}

/* LMDB's own numbers are negative, all others are errno's. */
static int to_errno(int err)
{
	if (err == 0 || err > 0)
		return -err;
	return err == MDB_MAP_FULL ? -ENOSPC : -EIO;
}

/* FNV-1a: against bits that rot, not against people. */
static void put_sum(const uint8_t *key, size_t key_len, const struct fm_octets *value,
		    uint8_t out[SUM_LEN])
{
	uint64_t sum = 0xcbf29ce484222325u;

	for (size_t i = 0; i < key_len; i++)
		sum = (sum ^ key[i]) * 0x100000001b3u;
	for (size_t i = 0; i < value->len; i++)
		sum = (sum ^ value->p[i]) * 0x100000001b3u;
	memcpy(out, &sum, SUM_LEN);
}

static bool sum_is_right(const MDB_val *key, const MDB_val *value)
{
	struct fm_octets body;
	uint8_t sum[SUM_LEN];

	if (key->mv_size < 1 || value->mv_size < SUM_LEN || value->mv_size - SUM_LEN > UINT16_MAX)
		return false;
	body.p = (const uint8_t *)value->mv_data + SUM_LEN;
	body.len = (uint16_t)(value->mv_size - SUM_LEN);
	put_sum(key->mv_data, key->mv_size, &body, sum);
	return memcmp(sum, value->mv_data, SUM_LEN) == 0;
}

static int open_env(const char *path, size_t map_bytes, unsigned flags, MDB_env **out)
{
	MDB_env *env;
	int err = mdb_env_create(&env);

	if (err)
		return err;
	err = mdb_env_set_mapsize(env, map_bytes);
	if (!err)
		err = mdb_env_open(env, path, ENV_FLAGS | flags, 0600);
	if (err)
		mdb_env_close(env);
	else
		*out = env;
	return err;
}

/* Touches every page of a tree. */
static int walk(MDB_txn *txn, MDB_dbi dbi)
{
	MDB_val key, value;
	MDB_cursor *cursor;
	uint8_t sum[SUM_LEN];
	int err = mdb_cursor_open(txn, dbi, &cursor);

	if (err)
		return err;
	while ((err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		struct fm_octets body = { value.mv_data, (uint16_t)value.mv_size };

		put_sum(key.mv_data, key.mv_size, &body, sum);
	}
	mdb_cursor_close(cursor);
	return err == MDB_NOTFOUND ? 0 : err;
}

/*
 * Whoever handles crashes in this program has no business in the child; nobody wants to read of
 * them either.
 */
static void expect_crash(void)
{
	static const int signals[] = { SIGBUS, SIGSEGV, SIGABRT, SIGFPE, SIGILL, SIGALRM };
	const struct rlimit no_core = { 0, 0 };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL);
	setrlimit(RLIMIT_CORE, &no_core);
	if (null >= 0)
		dup2(null, STDERR_FILENO);
	alarm(CHECK_SECONDS);
}

/*
 * In the child: reads everything, the list of free pages (tree 0) too. A crash is an answer as
 * well.
 */
static int try_out(const char *path, size_t map_bytes)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	int err = open_env(path, map_bytes, MDB_RDONLY, &env);
	if (err > 0)
		return CANNOT_TELL;
	if (!err)
		err = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
	if (!err)
		err = mdb_dbi_open(txn, NULL, 0, &dbi);
	if (!err)
		err = walk(txn, 0);
	if (!err)
		err = walk(txn, dbi);
	return err ? 1 : SOUND;
}

static bool is_damaged(const struct fm_store *s)
{
	struct stat st;
	int status = 0;
	pid_t child;

	if (stat(s->path, &st) < 0 || st.st_size == 0)
		return false;
	child = fork();
	if (child == 0) {
		close(s->lock_fd); /* or a kill of this daemon would leave it locked */
		expect_crash();
		_exit(try_out(s->path, s->setup.map_bytes));
	}
	if (child < 0)
		return false;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	return !WIFEXITED(status) ||
	       (WEXITSTATUS(status) != SOUND && WEXITSTATUS(status) != CANNOT_TELL);
}

static int put_aside(struct fm_store *s)
{
	char aside[PATH_ROOM + 64];

	snprintf(aside, sizeof(aside), "%s.damaged-%lld", s->path, (long long)time(NULL));
	if (rename(s->path, aside) < 0)
		return -errno;
	tell(s, FM_STORE_PUT_ASIDE, aside);
	return 0;
}

static int open_database(struct fm_store *s)
{
	MDB_txn *txn;
	int err = open_env(s->path, s->setup.map_bytes, 0, &s->env);

	if (err) {
		s->env = NULL;
		return to_errno(err);
	}
	err = mdb_txn_begin(s->env, NULL, 0, &txn);
	if (!err) {
		err = mdb_dbi_open(txn, NULL, 0, &s->dbi);
		if (err)
			mdb_txn_abort(txn);
		else
			err = mdb_txn_commit(txn);
	}
	if (err) {
		mdb_env_close(s->env);
		s->env = NULL;
	}
	return to_errno(err);
}

/* A daemon that was killed just now may still be on its way out. */
static int wait_for_lock(int fd)
{
	const struct timespec step = { .tv_nsec = 20000000 };

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			return -errno;
		nanosleep(&step, NULL);
	}
	return -EBUSY;
}

/* Our own lock, let go by the kernel however we end; LMDB's is not needed then. */
static int lock(struct fm_store *s)
{
	char path[PATH_ROOM + 8];

	snprintf(path, sizeof(path), "%s.lock", s->path);
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0)
		return -errno;
	return wait_for_lock(s->lock_fd);
}

/* A new file's name must be as durable as what is in it. */
static int sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int set_up(struct fm_store *s)
{
	int err;

	if (mkdir(s->setup.dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	err = lock(s);
	if (err < 0)
		return err;
	if (is_damaged(s)) {
		err = put_aside(s);
		if (err < 0)
			return err;
	}
	err = open_database(s);
	return err < 0 ? err : sync_dir(s->setup.dir);
}

int fm_store_open(const struct fm_store_setup *setup, struct fm_store **out)
{
	struct fm_store *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->setup = *setup;
	s->lock_fd = -1;
	if (s->setup.map_bytes == 0)
		s->setup.map_bytes = MAP_BYTES;
	err = snprintf(s->path, sizeof(s->path), "%s/store.mdb", setup->dir);
	err = err < 0 || (size_t)err >= sizeof(s->path) ? -ENAMETOOLONG : set_up(s);
	if (err < 0) {
		if (s->env)
			mdb_env_close(s->env);
		if (s->lock_fd >= 0)
			close(s->lock_fd);
		free(s);
		return err;
	}
	*out = s;
	return 0;
}

void fm_store_close(struct fm_store *s)
{
	if (!s)
		return;
	fm_store_commit(s);
	if (s->env)
		mdb_env_close(s->env);
	fm_gathered_clear(&s->gathered);
	close(s->lock_fd);
	free(s);
}

int fm_store_put(struct fm_store *s, enum fm_record_kind kind, const struct fm_octets *key,
		 const struct fm_octets *value)
{
	if (key->len > KEY_MAX || (value && value->len > UINT16_MAX - SUM_LEN))
		return -EINVAL;
	return fm_gathered_put(&s->gathered, (uint8_t)kind, key, value);
}

bool fm_store_pending(const struct fm_store *s)
{
	return s->gathered.n > 0;
}

static int write_record(struct fm_store *s, MDB_txn *txn, const struct fm_record *r)
{
	MDB_val key = { .mv_data = (void *)r->key, .mv_size = r->key_len }, value;
	int err;

	if (!r->has_value) {
		err = mdb_del(txn, s->dbi, &key, NULL);
		return err == MDB_NOTFOUND ? 0 : err;
	}
	value.mv_size = SUM_LEN + r->value.len;
	value.mv_data = NULL;
	err = mdb_put(txn, s->dbi, &key, &value, MDB_RESERVE);
	if (err)
		return err;
	put_sum(r->key, r->key_len, &r->value, value.mv_data);
	if (r->value.len)
		memcpy((uint8_t *)value.mv_data + SUM_LEN, r->value.p, r->value.len);
	return 0;
}

static int write_all(struct fm_store *s)
{
	MDB_txn *txn;
	int err = mdb_txn_begin(s->env, NULL, 0, &txn);

	if (err)
		return err;
	for (const struct fm_record *r = s->gathered.first; r && !err; r = r->next)
		err = write_record(s, txn, r);
	if (err) {
		mdb_txn_abort(txn);
		return err;
	}
	return mdb_txn_commit(txn); /* returns when it is on the disk */
}

static void note(struct fm_store *s, int err)
{
	if (err < 0 && !s->is_failing)
		tell(s, FM_STORE_FAILING, strerror(-err));
	if (err == 0 && s->is_failing)
		tell(s, FM_STORE_RECOVERED, s->path);
	s->is_failing = err < 0;
}

int fm_store_commit(struct fm_store *s)
{
	int err = 0;

	if (!fm_store_pending(s))
		return 0;
	if (!s->env)
		err = open_database(s);
	if (err == 0)
		err = to_errno(write_all(s));
	if (err == 0) {
		fm_gathered_clear(&s->gathered);
	} else if (s->env) {
		/* A failed write may leave LMDB unwilling to go on: the next try begins anew. */
		mdb_env_close(s->env);
		s->env = NULL;
	}
	note(s, err);
	return err;
}

struct each {
	enum fm_record_kind kind;
	void (*each)(void *ctx, const struct fm_octets *key, const struct fm_octets *value);
	void *ctx;
};

static void hand_out(struct fm_store *s, const struct each *e, const MDB_val *key,
		     const MDB_val *value)
{
	const struct fm_octets k = { (const uint8_t *)key->mv_data + 1,
				     (uint16_t)(key->mv_size - 1) };
	struct fm_octets v;

	if (!sum_is_right(key, value)) {
		tell(s, FM_STORE_BAD_RECORD, s->path);
		return;
	}
	v.p = (const uint8_t *)value->mv_data + SUM_LEN;
	v.len = (uint16_t)(value->mv_size - SUM_LEN);
	e->each(e->ctx, &k, &v);
}

/* Keys begin with their kind, so a kind's records lie together. */
static int read_kind(struct fm_store *s, MDB_cursor *cursor, const struct each *e)
{
	uint8_t kind = (uint8_t)e->kind;
	MDB_val key = { .mv_data = &kind, .mv_size = 1 }, value;
	int err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);

	while (err == 0 && *(const uint8_t *)key.mv_data == kind) {
		hand_out(s, e, &key, &value);
		err = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	return err == MDB_NOTFOUND ? 0 : err;
}

int fm_store_each(struct fm_store *s, enum fm_record_kind kind,
		  void (*each)(void *ctx, const struct fm_octets *key,
			       const struct fm_octets *value),
		  void *ctx)
{
	const struct each e = { .kind = kind, .each = each, .ctx = ctx };
	MDB_cursor *cursor;
	MDB_txn *txn;
	int err;

	if (!s->env)
		return -EIO;
	err = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
	if (err)
		return to_errno(err);
	err = mdb_cursor_open(txn, s->dbi, &cursor);
	if (!err) {
		err = read_kind(s, cursor, &e);
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	return to_errno(err);
}
