/*
 * Numbers of access and flow classes for counting, by name.
 */
#include "daemon/anchor_names.h"

#include <string.h>

/* What lies in the first slot. */
struct table {
	char accesses[FM_DP_USAGE_ACCESSES][FM_NAME_MAX];
	char classes[FM_DP_USAGE_CLASSES][FM_NAME_MAX];
};
_Static_assert(sizeof(struct table) <= sizeof(struct fm_dp_usage), "it lies in a slot");
_Static_assert(FM_HA_ACCESSES_MAX < FM_DP_USAGE_ACCESSES, "each has a number");
_Static_assert(FM_HA_CLASSES_MAX < FM_DP_USAGE_CLASSES, "each has a number");

/* One of the two kinds: the names that there are, and those that are configured. */
struct kind {
	struct fm_dp_usage *list;
	uint32_t n_slots, n_numbers, n_configured;
	bool is_access;
	char (*names)[FM_NAME_MAX];
	const char *configured[FM_HA_CLASSES_MAX];
};

static struct fm_dp_used *cell(struct fm_dp_usage *u, uint32_t access, uint32_t class, uint32_t way)
{
	return &u->of[access & (FM_DP_USAGE_ACCESSES - 1)][class & (FM_DP_USAGE_CLASSES - 1)][way];
}

static void add_to(struct fm_dp_used *to, struct fm_dp_used *from)
{
	__atomic_fetch_add(&to->packets, __atomic_exchange_n(&from->packets, 0, __ATOMIC_RELAXED),
			   __ATOMIC_RELAXED);
	__atomic_fetch_add(&to->bytes, __atomic_exchange_n(&from->bytes, 0, __ATOMIC_RELAXED),
			   __ATOMIC_RELAXED);
}

/* Both directions of each class that is counted beside a number of this kind. */
#define EACH_BESIDE(k, other, way)                                                                 \
	for (uint32_t other = 0;                                                                   \
	     other < ((k)->is_access ? FM_DP_USAGE_CLASSES : FM_DP_USAGE_ACCESSES); other++)       \
		for (uint32_t way = 0; way < 2; way++)

static struct fm_dp_used *cell_of(const struct kind *k, uint32_t slot, uint32_t number,
				  uint32_t other, uint32_t way)
{
	struct fm_dp_usage *u = &k->list[slot];

	return k->is_access ? cell(u, number, other, way) : cell(u, other, number, way);
}

static bool has_counts(const struct kind *k, uint32_t number)
{
	for (uint32_t slot = 1; slot <= k->n_slots; slot++) {
		EACH_BESIDE(k, other, way)
		{
			const struct fm_dp_used *used = cell_of(k, slot, number, other, way);

			if (used->packets | used->bytes)
				return true;
		}
	}
	return false;
}

static void fold(const struct kind *k, uint32_t number)
{
	for (uint32_t slot = 1; slot <= k->n_slots; slot++) {
		EACH_BESIDE(k, other, way)
		{
			add_to(cell_of(k, slot, 0, other, way),
			       cell_of(k, slot, number, other, way));
		}
	}
}

static uint8_t number_of(const struct kind *k, const char *name)
{
	for (uint32_t i = 1; i < k->n_numbers; i++) {
		if (strncmp(k->names[i], name, FM_NAME_MAX) == 0)
			return (uint8_t)i;
	}
	return 0;
}

static bool is_configured(const struct kind *k, const char *name)
{
	for (uint32_t i = 0; i < k->n_configured; i++) {
		if (strncmp(k->configured[i], name, FM_NAME_MAX) == 0)
			return true;
	}
	return false;
}

/* One that never had a name, else one whose name is gone and without counts, else any such. */
static uint8_t free_number(const struct kind *k)
{
	uint8_t empty = 0, gone = 0;

	for (uint8_t i = 1; i < k->n_numbers; i++) {
		if (k->names[i][0] == '\0')
			return i;
		if (is_configured(k, k->names[i]))
			continue;
		gone = gone ? gone : i;
		if (empty == 0 && !has_counts(k, i))
			empty = i;
	}
	return empty ? empty : gone;
}

static void take_kind(struct kind *k, uint8_t *numbers)
{
	for (uint32_t i = 0; i < k->n_configured; i++) {
		uint8_t number = number_of(k, k->configured[i]);

		if (number == 0) {
			number = free_number(k);
			fold(k, number);
			memset(k->names[number], 0, FM_NAME_MAX);
			memcpy(k->names[number], k->configured[i], strlen(k->configured[i]));
		}
		numbers[i + 1] = number;
	}
}

void fm_anchor_names_take(struct fm_anchor_names *names, struct fm_dp_usage *list, uint32_t n,
			  const struct fm_conf_anchor *conf)
{
	struct table *t = (struct table *)list;
	struct kind accesses = { .list = list,
				 .n_slots = n,
				 .n_numbers = FM_DP_USAGE_ACCESSES,
				 .n_configured = conf->n_accesses,
				 .is_access = true,
				 .names = t->accesses },
		    classes = { .list = list,
				.n_slots = n,
				.n_numbers = FM_DP_USAGE_CLASSES,
				.n_configured = conf->n_classes,
				.names = t->classes };

	for (uint8_t i = 0; i < conf->n_accesses; i++)
		accesses.configured[i] = conf->accesses[i].name;
	for (uint8_t i = 0; i < conf->n_classes; i++)
		classes.configured[i] = conf->classes[i].name;
	memset(names, 0, sizeof(*names));
	take_kind(&accesses, names->accesses);
	take_kind(&classes, names->classes);
}

void fm_anchor_names_apply(const struct fm_anchor_names *names, struct fm_forwarding *f)
{
	struct fm_quality by_place[FM_QUALITIES];

	for (uint8_t i = 0; i < f->n_paths; i++)
		f->paths[i].access = names->accesses[f->paths[i].access];
	for (uint8_t i = 0; i < f->n_rules; i++)
		f->rules[i].class = names->classes[f->rules[i].class];
	memcpy(by_place, f->qualities, sizeof(by_place));
	memset(&f->qualities[1], 0, sizeof(by_place) - sizeof(by_place[0]));
	for (uint8_t i = 1; i <= FM_HA_CLASSES_MAX; i++) {
		if (names->classes[i])
			f->qualities[names->classes[i]] = by_place[i];
	}
}

static const char *name_or_null(const char *name)
{
	return name[0] ? name : NULL;
}

const char *fm_anchor_names_access(const struct fm_dp_usage *list, uint32_t number)
{
	return number ? name_or_null(((const struct table *)list)->accesses[number]) : NULL;
}

const char *fm_anchor_names_class(const struct fm_dp_usage *list, uint32_t number)
{
	return number ? name_or_null(((const struct table *)list)->classes[number]) : NULL;
}
