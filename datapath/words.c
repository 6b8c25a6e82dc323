/*
 * The words that say where the block of a home prefix or address lies: a table of our own in an
 * array map that is mapped here. A place in it is written as one aligned number, so programs see
 * a word as it was or as it is, never half of one nor another key's, and read one cache line.
 */
#include "datapath/dp.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath/path.skel.h"

static uint64_t *bucket_at(const struct fm_dp *dp, uint32_t i)
{
	return dp->words.at + (size_t)(i & (dp->words.buckets - 1)) * FM_DP_BUCKET;
}

static uint64_t hash_of(const uint8_t ip[16], uint8_t len)
{
	uint64_t key[2] = { 0 };

	memcpy(key, ip, len / 8);
	return fm_dp_hash(key[0], key[1]);
}

/* Programs may read it meanwhile: all of it or nothing, after the block it names. */
static void store(uint64_t *place, uint64_t v)
{
	__atomic_store_n(place, v, __ATOMIC_RELEASE);
}

/* A word is the key's if the block it names holds that prefix. */
static bool is_of(struct fm_dp *dp, uint32_t word, const uint8_t ip[16], uint8_t len)
{
	struct fm_dp_prefix p;

	return fm_words_prefix(dp, word, &p) && p.len == len && memcmp(p.ip, ip, len / 8) == 0;
}

/* What one bucket has for a key. */
struct look {
	uint64_t *place; /* of the key's tag, NULL: nowhere */
	uint64_t *room;	 /* a free one, NULL: none */
	bool is_open, is_own;
};

static struct look look_into(struct fm_dp *dp, uint64_t *b, const uint8_t ip[16], uint8_t len)
{
	uint64_t tag = FM_DP_TAG(hash_of(ip, len));
	struct look l = { 0 };

	for (uint32_t k = 0; k < FM_DP_BUCKET; k++) {
		if (b[k] <= FM_DP_GONE) {
			l.room = l.room ? l.room : &b[k];
			l.is_open |= b[k] == 0;
		} else if (b[k] >> 32 == tag) {
			l.place = &b[k];
			l.is_own = is_of(dp, (uint32_t)b[k], ip, len);
		}
	}
	return l;
}

static void close_bucket(uint64_t *b)
{
	for (uint32_t k = 0; k < FM_DP_BUCKET; k++) {
		if (b[k] == 0)
			store(&b[k], FM_DP_GONE);
	}
}

/*
 * Where the key's word stands; NULL: nowhere. Then @room (NULL: not wanted) is where it could,
 * NULL: nowhere. A bucket that has another key's like tag is passed over, and closed for that.
 */
static uint64_t *find(struct fm_dp *dp, const uint8_t ip[16], uint8_t len, uint64_t **room)
{
	uint32_t first = (uint32_t)hash_of(ip, len);

	for (uint32_t i = 0; i < FM_DP_PROBES; i++) {
		uint64_t *b = bucket_at(dp, first + i * FM_DP_STEP);
		struct look l = look_into(dp, b, ip, len);

		if (l.is_own)
			return l.place;
		if (room && l.place)
			close_bucket(b);
		else if (room && !*room)
			*room = l.room;
		if (l.is_open && !(room && l.place))
			break;
	}
	return NULL;
}

uint32_t fm_words_get(struct fm_dp *dp, const struct fm_dp_prefix *p)
{
	const uint64_t *place = find(dp, p->ip, p->len, NULL);

	return place ? (uint32_t)*place : 0;
}

int fm_words_put(struct fm_dp *dp, const struct fm_dp_prefix *p, uint32_t word)
{
	uint64_t *room = NULL, *place = find(dp, p->ip, p->len, &room);

	if (!place)
		place = room;
	if (!place)
		return fm_dp_fail(-ENOSPC, "data path: no room for another home prefix");
	store(place, FM_DP_TAG(hash_of(p->ip, p->len)) << 32 | word);
	return 0;
}

/* A closed bucket stays closed: words that it had no room for stand behind it. */
static void clear(struct fm_dp *dp, uint64_t *place)
{
	const uint64_t *b = dp->words.at + (place - dp->words.at) / FM_DP_BUCKET * FM_DP_BUCKET;
	uint64_t left = FM_DP_GONE;

	for (uint32_t k = 0; k < FM_DP_BUCKET; k++) {
		if (b[k] == 0)
			left = 0;
	}
	store(place, left);
}

void fm_words_drop(struct fm_dp *dp, const struct fm_dp_prefix *p)
{
	uint64_t *place = find(dp, p->ip, p->len, NULL);

	if (place)
		clear(dp, place);
}

bool fm_words_next(struct fm_dp *dp, uint32_t *i, uint32_t *word)
{
	struct fm_dp_prefix p;

	for (; *i < dp->words.buckets * FM_DP_BUCKET; ++*i) {
		uint64_t *place = &dp->words.at[*i];

		if (*place <= FM_DP_GONE)
			continue;
		*word = (uint32_t)*place;
		if (fm_words_prefix(dp, *word, &p) && p.len &&
		    FM_DP_TAG(hash_of(p.ip, p.len)) == *place >> 32) {
			++*i;
			return true;
		}
		clear(dp, place); /* left from a crash */
	}
	return false;
}

uint32_t fm_words_buckets(uint32_t words)
{
	uint32_t n = 64;

	while (n * FM_DP_BUCKET <
	       2 * words) /* half full: few words do not stand in their first bucket */
		n *= 2;
	return n;
}

int fm_words_init(struct fm_dp *dp)
{
	const struct bpf_map *map = dp->skel->maps.fm_words_v3;
	uint32_t n = bpf_map__max_entries(map);
	void *at = mmap(NULL, (size_t)n * sizeof(struct fm_dp_bucket), PROT_READ | PROT_WRITE,
			MAP_SHARED, bpf_map__fd(map), 0);

	if (at == MAP_FAILED)
		return fm_dp_fail(-errno, "data path: cannot map its table of home prefixes");
	dp->words.at = at;
	dp->words.buckets = n;
	return 0;
}

void fm_words_free(struct fm_dp *dp)
{
	if (dp->words.at)
		(void)munmap(dp->words.at, dp->words.buckets * sizeof(struct fm_dp_bucket));
}
