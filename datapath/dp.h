/*
 * Inside the loader only: its state, shared by loader.c, programs.c, attach.c, forward.c, words.c,
 * list.c, watch.c; and what they share with sock.c and block.c: how errors are told, pins, waiting
 * for programs.
 */
#ifndef FM_DATAPATH_DP_H
#define FM_DATAPATH_DP_H

#include "datapath/loader.h"

struct bpf_map;
struct bpf_program;
struct fm_path_bpf;
struct ring_buffer;

/**
 * struct fm_slots - of one array map: free ones, and those that rest until no program can read them
 * @what:    is kept in them, for a person
 * @is_used: only while an earlier run's are adopted
 * Slot 0 is never given out.
 */
struct fm_slots {
	const char *what;
	int fd;
	uint32_t count, n_free, n_resting;
	uint32_t *free, *resting;
	uint8_t *is_used;
};

/* One binding that is in the data path. The table is open-addressed; slot 0: none. */
struct fm_dp_entry {
	uint32_t id, slot;
	bool is_used, is_confirmed;
};

/* The table of words, mapped; @buckets is a power of two. */
struct fm_words {
	uint64_t *at;
	uint32_t buckets;
};

#define FM_PROGRAMS 16u

/* The programs that were wanted till now. */
struct fm_programs {
	uint64_t hash; /* of the compiled object */
	uint32_t n;
	struct fm_program {
		const char *name;
		int fd;
	} loaded[FM_PROGRAMS];
};

struct fm_dp {
	struct fm_dp_conf conf;
	char pin_dir[192];
	struct fm_path_bpf *skel;
	struct fm_programs programs;
	struct fm_dp_settings settings;
	struct fm_dp_watches {
		struct fm_dp_watch *list; /* mapped; NULL: not asked for yet */
		struct fm_dp_traffic *per_cpu;
		struct ring_buffer *ring;
		int cpus;
		void (*woken)(void *ctx, uint8_t access);
		void *ctx;
	} watches;
	struct {
		struct ring_buffer *ring;
		void (*asked)(void *ctx, const struct fm_dp_asked *asked);
		void *ctx;
		uint32_t n_read; /* at once */
	} rulings;
	struct fm_dp_usage *usage; /* mapped; NULL: not asked for yet */
	struct fm_slots blocks, more, few, many;
	struct fm_words words;
	struct fm_dp_entry *entries;
	uint32_t n_entries, entries_size, generation;
	struct fm_dp_sync sync;
	bool is_syncing;
	union fm_any_rules {
		struct fm_dp_rules_head head;
		struct fm_dp_few few;
		struct fm_dp_many many;
	} rules, old_rules; /* made and read here */
};

/* Keeps a text for fm_dp_error() and returns @err. */
__attribute__((format(printf, 2, 3))) int fm_dp_fail(int err, const char *format, ...);

/* The kernel refused to load something: says so, and returns @err. */
int fm_dp_fail_load(const char *pin_dir, int err);
/* From now on libbpf's last warning is kept for that text, and not printed. */
void fm_dp_keep_warnings(void);

/* pin.c: nothing is pinned under that name, or a map of the same layout. */
bool fm_pin_fits(const char *path, const struct bpf_map *m);
/* Attaches to a cgroup by a link that is pinned there, or puts the program into that link. */
int fm_pin_cgroup_link(const char *path, const struct bpf_program *program, int cgroup,
		       uint32_t at);
void fm_pin_detach(const char *path);
/* What it is called, where @dir is /proc/self/fd/N of it. Goes only where nothing else is pinned.
 */
const char *fm_pin_directory(const char *dir, char name[256]);
void fm_pin_remove_directory(const char *dir);

/* Returns when every program that runs now has ended. */
void fm_dp_wait_for_readers(void);

/* Programs of another version lose their pins; clear: all of them, as their maps are no more. */
void fm_programs_init(struct fm_dp *dp);
void fm_programs_clear(const struct fm_dp *dp);
void fm_programs_free(struct fm_dp *dp);

int fm_slots_init(struct fm_slots *s, const char *what, const struct bpf_map *map);
void fm_slots_rest_unused(struct fm_slots *s);
void fm_slots_free(struct fm_slots *s);
int fm_slot_take(struct fm_slots *s, uint32_t *slot);
void fm_slot_rest(struct fm_slots *s, uint32_t slot);
void fm_slot_give_back(struct fm_slots *s, uint32_t slot);

/**
 * fm_rules_place() - @f's rules into a fresh slot, unless they are those of @old (NULL: none)
 * Fills what @b says of rules; its paths are there already.
 */
int fm_rules_place(struct fm_dp *dp, const struct fm_forwarding *f, const struct fm_dp_block *old,
		   struct fm_dp_block *b);
/* Any number of rules as columns; nothing else of @f counts. */
void fm_rules_columns(struct fm_dp_many *r, const struct fm_forwarding *f);
bool fm_rules_same(const struct fm_dp_block *a, const struct fm_dp_block *b);
void fm_rules_rest(struct fm_dp *dp, const struct fm_dp_block *b);
void fm_rules_give_back(struct fm_dp *dp, const struct fm_dp_block *b);
/* An earlier run's block uses them. */
void fm_rules_adopt(struct fm_dp *dp, const struct fm_dp_block *b);

/**
 * fm_gates_place() - @f's rates into the map, keeping the clocks of @old (NULL: none)
 * Fills what @b says of them; its prefixes are there already.
 */
int fm_gates_place(struct fm_dp *dp, const struct fm_forwarding *f, const struct fm_dp_block *old,
		   struct fm_dp_block *b);
void fm_gates_drop(struct fm_dp *dp, uint32_t id, uint16_t classes);

/* How many buckets hold so many words with ease. */
uint32_t fm_words_buckets(uint32_t words);
int fm_words_init(struct fm_dp *dp);
void fm_words_free(struct fm_dp *dp);
/* The word of a prefix or address (0: none), setting it, taking it away. */
uint32_t fm_words_get(struct fm_dp *dp, const struct fm_dp_prefix *p);
int fm_words_put(struct fm_dp *dp, const struct fm_dp_prefix *p, uint32_t word);
void fm_words_drop(struct fm_dp *dp, const struct fm_dp_prefix *p);
/* The next word from place @i on; words that no block confirms are taken away. */
bool fm_words_next(struct fm_dp *dp, uint32_t *i, uint32_t *word);
/* What the block that @word names says of itself there; false: it names none. In forward.c. */
bool fm_words_prefix(struct fm_dp *dp, uint32_t word, struct fm_dp_prefix *p);

/* Makes the slot lists and the table of bindings, from what the adopted maps hold. */
int fm_forward_init(struct fm_dp *dp);
void fm_forward_free(struct fm_dp *dp);
uint32_t fm_forward_generation(struct fm_dp *dp);
/* A new generation for the binding that owns @local, so that its flows choose again. */
int fm_forward_touch(struct fm_dp *dp, const uint8_t local[16]);

void fm_watch_free(struct fm_dp *dp);
void fm_rulings_free(struct fm_dp *dp);
int fm_chosen_clear(struct fm_dp *dp);

/*
 * usage.c. Set aside: the counters of an earlier run, which the new ones shall not replace; returns
 * how many slots they have, 0: there are none.
 */
void fm_dp_usage_close(struct fm_dp *dp);
uint32_t fm_dp_usage_set_aside(const struct fm_dp *dp, const char *pin);

#endif
