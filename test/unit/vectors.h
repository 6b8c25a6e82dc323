/*
 * The codec vectors of test/vectors, one after the other.
 */
#ifndef FM_TEST_UNIT_VECTORS_H
#define FM_TEST_UNIT_VECTORS_H

#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/msg.h"

static const char *const vector_files[] = {
	"flow-binding", "malformed", "mh-types", "mobility-options", "pmip", "traffic-selectors",
};

#define N_VECTOR_FILES (sizeof(vector_files) / sizeof(vector_files[0]))

struct vector {
	const char *name;
	uint8_t mh[2 * FM_MH_MAX];
	size_t len;
	bool has_addresses;
	struct fm_ip src, dst;
	const json_t *expect;
};

static inline size_t from_hex(const char *hex, uint8_t *out)
{
	size_t n = 0;

	for (; *hex; hex++) {
		unsigned octet;
		if (*hex == ' ')
			continue;
		if (sscanf(hex, "%2x", &octet) != 1)
			abort();
		out[n++] = (uint8_t)octet;
		hex++;
	}
	return n;
}

static inline void read_vector(const json_t *from, struct vector *v)
{
	const char *src = json_string_value(json_object_get(from, "src"));
	const char *dst = json_string_value(json_object_get(from, "dst"));

	v->name = json_string_value(json_object_get(from, "name"));
	v->len = from_hex(json_string_value(json_object_get(from, "hex")), v->mh);
	v->expect = json_object_get(from, "expect");
	v->has_addresses = src && dst;
	if (v->has_addresses &&
	    (inet_pton(AF_INET6, src, v->src.b) != 1 || inet_pton(AF_INET6, dst, v->dst.b) != 1))
		abort();
}

/* Calls @visit for each vector; returns how many there were. */
static inline int each_vector(void (*visit)(const struct vector *v))
{
	int n = 0;

	for (size_t i = 0; i < N_VECTOR_FILES; i++) {
		char path[4096];
		const char *root = getenv("FM_SOURCE_ROOT");
		struct vector v;
		json_t *entry;
		size_t at;

		snprintf(path, sizeof(path), "%s/test/vectors/%s.json", root ? root : ".",
			 vector_files[i]);
		json_t *file = json_load_file(path, 0, NULL);
		json_array_foreach(json_object_get(file, "vectors"), at, entry) {
			read_vector(entry, &v);
			visit(&v);
			n++;
		}
		json_decref(file);
	}
	return n;
}

static inline enum fm_refusal decode_vector(const struct vector *v, struct fm_msg *m,
					    uint32_t *offset)
{
	return fm_msg_decode(v->mh, v->len,
			     v->has_addresses ? &(struct fm_pseudo){ &v->src, &v->dst } : NULL, m,
			     offset);
}

#endif
