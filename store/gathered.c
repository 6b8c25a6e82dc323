/*
 * Records that wait for a commit.
 */
#include "store/gathered.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t bucket_of(uint8_t kind, const struct fm_octets *key)
{
	uint32_t sum = (0x811c9dc5u ^ kind) * 0x01000193u;

	for (uint16_t i = 0; i < key->len; i++)
		sum = (sum ^ key->p[i]) * 0x01000193u;
	return (sum ^ sum >> 16) % FM_GATHERED_BUCKETS;
}

static bool has_key(const struct fm_record *r, uint8_t kind, const struct fm_octets *key)
{
	return r->key_len == key->len + 1u && r->key[0] == kind &&
	       memcmp(r->key + 1, key->p, key->len) == 0;
}

static struct fm_record *make(uint8_t kind, const struct fm_octets *key,
			      const struct fm_octets *value)
{
	size_t value_len = value ? value->len : 0;
	struct fm_record *r = malloc(sizeof(*r) + 1 + key->len + value_len);

	if (!r)
		return NULL;
	r->has_value = value != NULL;
	r->key_len = (uint16_t)(key->len + 1);
	r->key[0] = kind;
	if (key->len)
		memcpy(r->key + 1, key->p, key->len);
	r->value = (struct fm_octets){ r->key + r->key_len, (uint16_t)value_len };
	if (value_len)
		memcpy(r->key + r->key_len, value->p, value_len);
	return r;
}

static void unlink_record(struct fm_gathered *g, struct fm_record *r)
{
	*r->before = r->next;
	if (r->next)
		r->next->before = r->before;
	else
		g->last = r->before;
	g->n--;
	free(r);
}

int fm_gathered_put(struct fm_gathered *g, uint8_t kind, const struct fm_octets *key,
		    const struct fm_octets *value)
{
	struct fm_record **at = &g->buckets[bucket_of(kind, key)], *r, *old;

	r = make(kind, key, value);
	if (!r)
		return -ENOMEM;
	while (*at && !has_key(*at, kind, key))
		at = &(*at)->bucket_next;
	old = *at;
	r->bucket_next = old ? old->bucket_next : NULL;
	*at = r;
	if (old)
		unlink_record(g, old);
	if (!g->first)
		g->last = &g->first;
	r->next = NULL;
	r->before = g->last;
	*g->last = r;
	g->last = &r->next;
	g->n++;
	return 0;
}

void fm_gathered_clear(struct fm_gathered *g)
{
	if (g->n == 0)
		return;
	while (g->first) {
		struct fm_record *next = g->first->next;

		free(g->first);
		g->first = next;
	}
	memset(g, 0, sizeof(*g));
}
