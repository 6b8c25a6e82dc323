/*
 * Forwarding state as map entries: struct fm_forwarding becomes a block in a fresh slot, then the
 * words of its prefixes turn to it (rule 5 of the architecture). Also pins and comparison after a
 * restart. Programs and interfaces are in loader.c and attach.c.
 */
#include "datapath/dp.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath/path.skel.h"

#define FM_DEFAULT_MTU 1500u
#define FM_REST_S 1 /* only where membarrier is missing: longer than any program runs */

static int fd_of(const struct bpf_map *map)
{
	return bpf_map__fd(map);
}

/*
 * MEMBARRIER_CMD_GLOBAL returns after an RCU grace period: every program that could still hold a
 * resting slot has ended. One call frees all that rest, so its 10 to 50 ms come once in thousands
 * of changes. Kernels with nohz_full refuse it: there time must do.
 */
void fm_dp_wait_for_readers(void)
{
	const struct timespec rest = { .tv_sec = FM_REST_S };

	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
		nanosleep(&rest, NULL);
}

int fm_slot_take(struct fm_slots *s, uint32_t *slot)
{
	if (s->n_free == 0 && s->n_resting > 0) {
		fm_dp_wait_for_readers();
		memcpy(s->free, s->resting, s->n_resting * sizeof(*s->free));
		s->n_free = s->n_resting;
		s->n_resting = 0;
	}
	if (s->n_free == 0)
		return fm_dp_fail(
			-ENOSPC, "data path: no room for another binding with %s; restart flowmobd",
			s->what);
	*slot = s->free[--s->n_free];
	return 0;
}

void fm_slot_rest(struct fm_slots *s, uint32_t slot)
{
	s->resting[s->n_resting++] = slot;
}

/* What was taken and is seen by nobody yet. */
void fm_slot_give_back(struct fm_slots *s, uint32_t slot)
{
	s->free[s->n_free++] = slot;
}

int fm_slots_init(struct fm_slots *s, const char *what, const struct bpf_map *map)
{
	s->what = what;
	s->fd = bpf_map__fd(map);
	s->count = bpf_map__max_entries(map);
	s->free = calloc(s->count, sizeof(*s->free));
	s->resting = calloc(s->count, sizeof(*s->resting));
	s->is_used = calloc(s->count, 1);
	return s->free && s->resting && s->is_used ? 0 : -ENOMEM;
}

/* At the start: slots that no binding uses rest, as an earlier run may have left them just now. */
void fm_slots_rest_unused(struct fm_slots *s)
{
	for (uint32_t i = 1; i < s->count; i++) {
		if (!s->is_used[i])
			fm_slot_rest(s, i);
	}
	free(s->is_used);
	s->is_used = NULL;
}

void fm_slots_free(struct fm_slots *s)
{
	free(s->free);
	free(s->resting);
	free(s->is_used);
}

static struct fm_dp_entry *find_entry(struct fm_dp *dp, uint32_t id, bool make)
{
	uint32_t mask = dp->entries_size - 1, i = id * 2654435761u & mask;

	while (dp->entries[i].is_used && dp->entries[i].id != id)
		i = (i + 1) & mask;
	if (dp->entries[i].is_used)
		return &dp->entries[i];
	if (!make || dp->n_entries >= dp->entries_size / 2)
		return NULL;
	dp->n_entries++;
	dp->entries[i] = (struct fm_dp_entry){ .id = id, .is_used = true };
	return &dp->entries[i];
}

/* Open addressing: what stands behind a hole moves up. */
static void remove_entry(struct fm_dp *dp, struct fm_dp_entry *e)
{
	uint32_t mask = dp->entries_size - 1, hole = (uint32_t)(e - dp->entries);

	for (uint32_t i = (hole + 1) & mask; dp->entries[i].is_used; i = (i + 1) & mask) {
		uint32_t home = dp->entries[i].id * 2654435761u & mask;

		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		dp->entries[hole] = dp->entries[i];
		hole = i;
	}
	dp->entries[hole] = (struct fm_dp_entry){ 0 };
	dp->n_entries--;
}

/* All that the maps hold of a binding; @more: all zero where it has none. */
struct state {
	struct fm_dp_block b;
	struct fm_dp_more more;
};

static bool get_block(struct fm_dp *dp, uint32_t slot, struct fm_dp_block *b)
{
	return slot && bpf_map_lookup_elem(dp->blocks.fd, &slot, b) == 0;
}

static bool get_state(struct fm_dp *dp, uint32_t slot, struct state *s)
{
	if (!get_block(dp, slot, &s->b))
		return false;
	if (s->b.more && bpf_map_lookup_elem(dp->more.fd, &s->b.more, &s->more) == 0 &&
	    s->more.id == s->b.id && s->more.generation == s->b.generation)
		return true;
	memset(&s->more, 0, sizeof(s->more));
	return true;
}

/* False: it has none of that number. */
static bool get_prefix(const struct state *s, uint32_t i, struct fm_dp_prefix *p)
{
	memset(p, 0, sizeof(*p));
	if (i == 0 && (s->b.flags & FM_DP_BLOCK_REGISTRATION)) {
		memcpy(p->ip, s->b.registration, sizeof(s->b.registration));
		p->len = 128;
	} else if (i == 1 && (s->b.flags & FM_DP_BLOCK_LEASE)) {
		memcpy(p->ip, s->b.lease, sizeof(s->b.lease));
		p->len = 64;
	} else if (i >= 2 && i < FM_DP_PREFIXES) {
		*p = s->more.prefixes[i - 2];
	}
	return p->len != 0;
}

bool fm_words_prefix(struct fm_dp *dp, uint32_t word, struct fm_dp_prefix *p)
{
	uint32_t slot = FM_DP_WORD_SLOT(word), index = FM_DP_WORD_INDEX(word);
	struct state s = { 0 };

	if (!(index < 2 ? get_block(dp, slot, &s.b) : get_state(dp, slot, &s)))
		return false;
	return s.b.generation && get_prefix(&s, index, p);
}

static void adopt_words(struct fm_dp *dp)
{
	struct fm_dp_block b;
	uint32_t i = 0, word;

	while (fm_words_next(dp, &i, &word)) {
		uint32_t slot = FM_DP_WORD_SLOT(word);

		if (!get_block(dp, slot, &b))
			continue;
		struct fm_dp_entry *e = find_entry(dp, b.id, true);

		if (e && e->slot == 0)
			e->slot = slot;
		if (b.generation > dp->generation)
			dp->generation = b.generation;
	}
}

static void rest_unused(struct fm_dp *dp)
{
	struct fm_dp_block b;

	for (uint32_t i = 0; i < dp->entries_size; i++) {
		uint32_t slot = dp->entries[i].slot;

		if (!dp->entries[i].is_used || slot >= dp->blocks.count ||
		    bpf_map_lookup_elem(dp->blocks.fd, &slot, &b) < 0)
			continue;
		dp->blocks.is_used[slot] = 1;
		if (b.more < dp->more.count)
			dp->more.is_used[b.more] = 1;
		fm_rules_adopt(dp, &b);
	}
	fm_slots_rest_unused(&dp->blocks);
	fm_slots_rest_unused(&dp->more);
	fm_slots_rest_unused(&dp->few);
	fm_slots_rest_unused(&dp->many);
}

int fm_forward_init(struct fm_dp *dp)
{
	uint32_t blocks = bpf_map__max_entries(dp->skel->maps.fm_blocks_v5);

	dp->entries_size = 64;
	while (dp->entries_size < blocks)
		dp->entries_size *= 2;
	dp->entries = calloc(dp->entries_size, sizeof(*dp->entries));
	if (!dp->entries ||
	    fm_slots_init(&dp->blocks, "any rules", dp->skel->maps.fm_blocks_v5) < 0 ||
	    fm_slots_init(&dp->more, "several paths", dp->skel->maps.fm_more_v1) < 0 ||
	    fm_slots_init(&dp->few, "rules", dp->skel->maps.fm_few_v3) < 0 ||
	    fm_slots_init(&dp->many, "more than 8 rules", dp->skel->maps.fm_many_v3) < 0)
		return fm_dp_fail(-ENOMEM, "data path: out of memory");
	int err = fm_words_init(dp);

	if (err < 0)
		return err;
	adopt_words(dp);
	rest_unused(dp);
	return 0;
}

void fm_forward_free(struct fm_dp *dp)
{
	fm_words_free(dp);
	free(dp->entries);
	fm_slots_free(&dp->blocks);
	fm_slots_free(&dp->more);
	fm_slots_free(&dp->few);
	fm_slots_free(&dp->many);
}

static uint32_t overhead(enum fm_encap encap)
{
	return encap == FM_ENCAP_IP6 ? 40 : encap == FM_ENCAP_IP4 ? 20 : 28;
}

uint32_t fm_dp_number_room(enum fm_encap encap)
{
	return encap == FM_ENCAP_UDP4 ? 16 : 12;
}

static bool is_usable(const struct fm_path *p)
{
	return p->encap != FM_ENCAP_NONE && p->ifindex && !fm_ip_is_none(&p->remote);
}

static void make_path(struct fm_dp_path *to, const struct fm_path *from)
{
	uint32_t mtu = from->mtu ? from->mtu : FM_DEFAULT_MTU;
	const struct fm_ip *hop = fm_ip_is_none(&from->next_hop) ? &from->remote : &from->next_hop;

	memcpy(to->local, from->local.b, 16);
	memcpy(to->remote, from->remote.b, 16);
	memcpy(to->next_hop, hop->b, 16);
	to->ifindex = from->ifindex;
	to->bid = from->bid;
	to->mtu = (uint16_t)((mtu > 0xffff ? 0xffff
			      : mtu < 128  ? 128
					   : mtu) -
			     overhead(from->encap));
	to->local_port = htons(from->local_port);
	to->remote_port = htons(from->remote_port);
	to->encap = (uint8_t)from->encap;
	to->bid_pri = from->bid_pri;
	to->access = from->access;
}

static void make_paths(struct state *s, const struct fm_forwarding *f)
{
	struct fm_dp_block *b = &s->b;

	b->n_paths = f->n_paths < FM_DP_PATHS ? f->n_paths : FM_DP_PATHS;
	b->default_path = f->default_path;
	b->flags |= f->is_numbered ? FM_DP_BLOCK_NUMBERED : 0;
	b->flags |= f->is_ruled ? FM_DP_BLOCK_RULED : 0;
	b->usage = f->usage;
	b->least_mtu = 0xffff;
	for (uint32_t i = 0; i < b->n_paths; i++) {
		struct fm_dp_path *to = i ? &s->more.paths[i - 1] : &b->path;

		make_path(to, &f->paths[i]);
		if (!is_usable(&f->paths[i]))
			continue;
		b->usable |= (uint16_t)(1u << i);
		if (to->mtu < b->least_mtu)
			b->least_mtu = to->mtu;
	}
}

/* For quick.h: whoever is counted by flow classes has rules, or the operator's. */
static bool is_plain(const struct fm_dp_block *b, const struct fm_forwarding *f)
{
	return b->usable == 1 && b->default_path == 0 && b->path.encap == FM_DP_ENCAP_IP6 &&
	       !(b->usage && (f->n_rules || f->is_ruled)) && !b->gates;
}

/* The first /64 stands in the block: most bindings have no other. */
static int make_prefixes(struct state *s, const struct fm_forwarding *f)
{
	struct fm_dp_prefix *p = s->more.prefixes;

	if (!fm_ip_is_none(&f->registration)) {
		memcpy(s->b.registration, f->registration.b, 16);
		s->b.flags |= FM_DP_BLOCK_REGISTRATION;
	}
	for (uint32_t i = 0; i < f->n_prefixes; i++) {
		const struct fm_prefix *from = &f->prefixes[i];

		if (from->len != 64 && from->len != 128)
			return fm_dp_fail(
				-EINVAL,
				"data path: home prefix of length %u: 64 and 128 are known",
				from->len);
		if (from->len == 64 && !(s->b.flags & FM_DP_BLOCK_LEASE)) {
			memcpy(s->b.lease, from->ip.b, 8);
			s->b.flags |= FM_DP_BLOCK_LEASE;
		} else if (p < s->more.prefixes + FM_DP_PREFIXES - 2) {
			memcpy(p->ip, from->ip.b, from->len / 8);
			p++->len = from->len;
		}
	}
	return 0;
}

static bool has_more(const struct state *s)
{
	return s->b.n_paths > 1 || s->more.prefixes[0].len;
}

static bool holds(const struct state *s, const struct fm_dp_prefix *p, uint32_t from)
{
	struct fm_dp_prefix own;

	for (uint32_t i = from; i < FM_DP_PREFIXES; i++) {
		if (get_prefix(s, i, &own) && own.len == p->len && memcmp(own.ip, p->ip, 16) == 0)
			return true;
	}
	return false;
}

/* The registration address has a word unless it is a home address for users as well. */
static bool has_word(const struct state *s, uint32_t i, struct fm_dp_prefix *p)
{
	return get_prefix(s, i, p) && !(i == 0 && holds(s, p, 1));
}

static int turn_words(struct fm_dp *dp, const struct state *s, uint32_t slot)
{
	struct fm_dp_prefix p;

	for (uint32_t i = 0; i < FM_DP_PREFIXES; i++) {
		int err = has_word(s, i, &p) ? fm_words_put(dp, &p, FM_DP_WORD(slot, i)) : 0;

		if (err < 0)
			return err;
	}
	return 0;
}

/*
 * Words of @old that @now (NULL: nothing) does not hold; one that names another slot is not ours.
 */
static void drop_words(struct fm_dp *dp, const struct state *old, uint32_t slot,
		       const struct state *now)
{
	struct fm_dp_prefix p;

	for (uint32_t i = 0; i < FM_DP_PREFIXES; i++) {
		if (!get_prefix(old, i, &p) || (now && holds(now, &p, 0)))
			continue;
		if (FM_DP_WORD_SLOT(fm_words_get(dp, &p)) != slot)
			continue;
		if (p.len == 64 && dp->conf.role == FM_DP_HOST)
			bpf_map_update_elem(fd_of(dp->skel->maps.fm_ended_v1), p.ip, &slot,
					    BPF_ANY);
		fm_words_drop(dp, &p);
	}
}

uint32_t fm_forward_generation(struct fm_dp *dp)
{
	if (++dp->generation == 0)
		dp->generation = 1;
	return dp->generation;
}

/* Into a fresh slot, for the state that has @generation. */
static int write_more(struct fm_dp *dp, struct state *s, uint32_t generation)
{
	s->b.more = 0;
	if (!has_more(s))
		return 0;
	int err = fm_slot_take(&dp->more, &s->b.more);

	if (err < 0)
		return err;
	s->more.id = s->b.id;
	s->more.generation = generation;
	if (bpf_map_update_elem(dp->more.fd, &s->b.more, &s->more, BPF_ANY) == 0)
		return 0;
	err = -errno;
	fm_slot_give_back(&dp->more, s->b.more);
	return fm_dp_fail(err, "data path: cannot write the paths of a binding");
}

/* Writes @s to fresh slots. Nobody sees it yet. */
static int write_state(struct fm_dp *dp, struct state *s, uint32_t *slot)
{
	uint32_t generation = fm_forward_generation(dp);
	int err = write_more(dp, s, generation);

	if (err < 0)
		return err;
	err = fm_slot_take(&dp->blocks, slot);
	s->b.generation = generation;
	if (err == 0 && bpf_map_update_elem(dp->blocks.fd, slot, &s->b, BPF_ANY) < 0) {
		err = fm_dp_fail(-errno, "data path: cannot write a binding");
		fm_slot_give_back(&dp->blocks, *slot);
	}
	if (err < 0 && s->b.more)
		fm_slot_give_back(&dp->more, s->b.more);
	return err;
}

static void rest_state(struct fm_dp *dp, uint32_t slot, const struct fm_dp_block *b)
{
	fm_slot_rest(&dp->blocks, slot);
	if (b->more)
		fm_slot_rest(&dp->more, b->more);
}

/* Turns everything to @s; @old (NULL: none) goes to rest. */
static int publish(struct fm_dp *dp, struct fm_dp_entry *e, struct state *s,
		   const struct state *old)
{
	uint32_t slot, old_slot = e->slot;
	int err = write_state(dp, s, &slot);

	if (err < 0)
		return err;
	err = turn_words(dp, s, slot);
	if (old) {
		drop_words(dp, old, old_slot, s);
		rest_state(dp, old_slot, &old->b);
	}
	if (old && !fm_rules_same(&old->b, &s->b))
		fm_rules_rest(dp, &old->b);
	e->slot = slot;
	return err;
}

static bool is_same(const struct state *a, const struct state *b)
{
	struct state x = *a, y = *b;

	x.b.generation = y.b.generation = x.more.generation = y.more.generation = 0;
	x.b.more = y.b.more = x.more.id = y.more.id = 0;
	return memcmp(&x, &y, sizeof(x)) == 0;
}

/* Words may be missing or another's after a crash in the middle of a change. */
static bool words_stand(struct fm_dp *dp, const struct state *s, uint32_t slot)
{
	struct fm_dp_prefix p;

	for (uint32_t i = 0; i < FM_DP_PREFIXES; i++) {
		if (has_word(s, i, &p) && fm_words_get(dp, &p) != FM_DP_WORD(slot, i))
			return false;
	}
	return true;
}

static void count_sync(struct fm_dp *dp, struct fm_dp_entry *e, uint32_t *kind)
{
	if (dp->is_syncing && !e->is_confirmed)
		++*kind;
	e->is_confirmed = true;
}

int fm_dp_forward(struct fm_dp *dp, const struct fm_forwarding *f)
{
	struct state s = { .b.id = f->id }, old;
	int err = make_prefixes(&s, f);

	if (err < 0)
		return err;
	make_paths(&s, f);
	struct fm_dp_entry *e = find_entry(dp, f->id, true);

	if (!e)
		return fm_dp_fail(-ENOSPC,
				  "data path: no room for another binding; restart flowmobd");
	bool has_old = get_state(dp, e->slot, &old);

	err = fm_gates_place(dp, f, has_old ? &old.b : NULL, &s.b);
	s.b.flags |= is_plain(&s.b, f) ? FM_DP_BLOCK_PLAIN : 0;
	if (err == 0)
		err = fm_rules_place(dp, f, has_old ? &old.b : NULL, &s.b);
	if (err < 0)
		return err;
	if (has_old && is_same(&old, &s) && words_stand(dp, &old, e->slot)) {
		count_sync(dp, e, &dp->sync.kept);
		return 0;
	}
	count_sync(dp, e, has_old ? &dp->sync.repaired : &dp->sync.added);
	uint32_t slot = e->slot;

	err = publish(dp, e, &s, has_old ? &old : NULL);
	if (err < 0 && e->slot == slot && !(has_old && fm_rules_same(&old.b, &s.b)))
		fm_rules_give_back(dp, &s.b); /* no block names them */
	return err;
}

static void forget(struct fm_dp *dp, struct fm_dp_entry *e)
{
	struct state old;

	if (get_state(dp, e->slot, &old)) {
		drop_words(dp, &old, e->slot, NULL);
		fm_rules_rest(dp, &old.b);
		fm_gates_drop(dp, old.b.id, old.b.gates);
		rest_state(dp, e->slot, &old.b);
	}
	(void)bpf_map_delete_elem(fd_of(dp->skel->maps.fm_order_v2), &e->id);
	remove_entry(dp, e);
}

int fm_dp_unforward(struct fm_dp *dp, uint32_t id)
{
	struct fm_dp_entry *e = find_entry(dp, id, false);

	if (!e)
		return -ENOENT;
	forget(dp, e);
	return 0;
}

static bool owns(const struct state *s, const uint8_t local[16])
{
	struct fm_dp_prefix p;

	for (uint32_t i = 0; i < FM_DP_PREFIXES; i++) {
		if (get_prefix(s, i, &p) && memcmp(p.ip, local, p.len / 8) == 0)
			return true;
	}
	return false;
}

/* A new generation of what is there. */
static int touch(struct fm_dp *dp, struct fm_dp_entry *e, const struct state *old)
{
	struct state s = *old;

	return publish(dp, e, &s, old);
}

/* A host has one binding or a few: looking through them costs nothing. */
int fm_forward_touch(struct fm_dp *dp, const uint8_t local[16])
{
	struct state old;

	for (uint32_t i = 0; i < dp->entries_size; i++) {
		struct fm_dp_entry *e = &dp->entries[i];

		if (e->is_used && get_state(dp, e->slot, &old) && owns(&old, local))
			return touch(dp, e, &old);
	}
	return 0;
}

int fm_dp_touch(struct fm_dp *dp)
{
	int ret = 0, err;

	for (uint32_t i = 0; i < dp->entries_size; i++) {
		struct fm_dp_entry *e = &dp->entries[i];
		struct state old;

		if (!e->is_used || !get_state(dp, e->slot, &old))
			continue;
		err = touch(dp, e, &old);
		ret = ret ? ret : err;
	}
	return ret;
}

void fm_dp_sync_begin(struct fm_dp *dp)
{
	dp->sync = (struct fm_dp_sync){ 0 };
	dp->is_syncing = true;
	for (uint32_t i = 0; i < dp->entries_size; i++)
		dp->entries[i].is_confirmed = false;
}

struct fm_dp_sync fm_dp_sync_end(struct fm_dp *dp)
{
	for (uint32_t i = 0; i < dp->entries_size;) {
		struct fm_dp_entry *e = &dp->entries[i];

		if (!e->is_used || e->is_confirmed) {
			i++;
			continue;
		}
		forget(dp, e); /* another entry may have moved here: look again */
		dp->sync.removed++;
	}
	dp->is_syncing = false;
	return dp->sync;
}
