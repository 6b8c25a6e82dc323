/*
 * What is written can be read again, equal; what was read from a peer that pads as we do is
 * written again octet by octet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "cli/message_json.h"
#include "test/unit/vectors.h"
#include "wire/message.h"
#include "wire/option.h"

static struct fm_msg msg, again;

/* Vectors that we would write otherwise, and why. */
static const struct {
	const char *name;
	enum { RESERVED_BITS, OTHER_PADDING, OTHER_PLACE } why;
} exceptions[] = {
	{ "bu-reserved-bits-ignored", RESERVED_BITS },
	{ "ba-reserved-bit-ignored", RESERVED_BITS },
	{ "fbu-foreign-flags-ignored", RESERVED_BITS },
	{ "heartbeat-reserved-ignored", RESERVED_BITS },
	{ "bri-reserved-ignored", RESERVED_BITS },
	{ "mobile-network-prefix-reserved-ignored", RESERVED_BITS },
	{ "ipv4-home-address-reserved-ignored", RESERVED_BITS },
	{ "ipv4-address-acknowledgement-refused", RESERVED_BITS },
	{ "flow-max-values", RESERVED_BITS },
	{ "flow-action-reserved-ignored", RESERVED_BITS },
	{ "pbu-reserved-ignored", RESERVED_BITS },
	{ "upn-retransmitted", RESERVED_BITS },
	{ "ts4-reserved-ignored", RESERVED_BITS },
	{ "ts6-reserved-ignored", RESERVED_BITS },
	{ "pad1-run", OTHER_PADDING },
	{ "pad1-between-options", OTHER_PADDING },
	{ "padn-with-data-ignored", OTHER_PADDING },
	{ "padn-of-length-zero", OTHER_PADDING },
	{ "flow-two-bids", OTHER_PADDING },
	{ "flow-sub-option-padding", OTHER_PADDING },
	{ "option-misaligned", OTHER_PLACE },
	{ "lcmp-heartbeat", OTHER_PLACE },
};

#define N_EXCEPTIONS (sizeof(exceptions) / sizeof(exceptions[0]))

static unsigned same, other;

static bool is_exception(const char *name)
{
	for (size_t i = 0; i < N_EXCEPTIONS; i++) {
		if (strcmp(exceptions[i].name, name) == 0)
			return true;
	}
	return false;
}

static void encode_again(const struct vector *v)
{
	uint8_t out[FM_MH_MAX];
	uint32_t offset;

	if (decode_vector(v, &msg, &offset) != FM_REFUSE_NONE)
		return;
	int len = fm_msg_encode(&msg, out, sizeof(out));
	assert_true(len > 0);
	if (v->has_addresses)
		fm_mh_checksum_put(out, (size_t)len, &v->src, &v->dst);
	bool is_same = (size_t)len == v->len && memcmp(out, v->mh, v->len) == 0;
	if (is_same == is_exception(v->name))
		print_error("%s: %s\n", v->name,
			    is_same ? "no exception any more" : "written otherwise");
	assert_int_equal(is_same, !is_exception(v->name));
	*(is_same ? &same : &other) += 1;
}

static void canonical_vectors_are_written_as_they_were(void **state)
{
	(void)state;
	each_vector(encode_again);
	assert_int_equal(same, 158);
	assert_int_equal(other, N_EXCEPTIONS);
}

/* xorshift: the same messages on every run. */
static uint64_t seed = 0x9e3779b97f4a7c15ull;

static uint64_t any(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static void fill_octets(const struct fm_field *f, struct fm_msg *m, uint8_t *base)
{
	static const uint8_t units[] = {
		[FM_KIND_NUMBERS] = 2, [FM_KIND_IP6S] = 16, [FM_KIND_SELECTOR] = 4
	};
	size_t unit = f->kind < sizeof(units) && units[f->kind] ? units[f->kind] : 1;
	size_t len = unit * any(24 / unit + 1);
	uint8_t *p = fm_msg_room(m, len);
	struct fm_octets o = { .p = p, .len = p ? (uint16_t)len : 0 };

	for (size_t i = 0; i < o.len; i++)
		p[i] = (uint8_t)any(256);
	memcpy(base + f->offset, &o, sizeof(o));
}

static void fill_number(const struct fm_field *f, uint8_t *base)
{
	uint64_t v = any(UINT64_MAX);

	v &= f->width < 8 ? (1ull << 8 * f->width) - 1 : UINT64_MAX;
	if (f->mask)
		v &= f->mask;
	if (f->mask && f->kind == FM_KIND_NUMBER)
		v >>= __builtin_ctz(f->mask);
	if (f->kind == FM_KIND_SIGNED)
		v = (uint64_t)((int64_t)(v << 40) >> 40);
	if (f->also)
		base[f->also] = any(2) ? f->width : 0;
	memcpy(base + f->offset, &v, f->size); /* little endian machines only, as the tests are */
}

static void fill(const struct fm_field *fields, struct fm_msg *m, void *to)
{
	static const uint8_t ip_lens[] = { 0, 4, 16 };
	uint8_t *base = to;

	for (const struct fm_field *f = fields; f && f->name; f++) {
		struct fm_ip ip;
		for (size_t i = 0; i < sizeof(ip.b); i++)
			ip.b[i] = (uint8_t)any(256);
		struct fm_ip ip4 = fm_ip_from_v4(ip.b);
		if (f->kind == FM_KIND_RESERVED)
			continue;
		if (f->kind <= FM_KIND_FLAGS)
			fill_number(f, base);
		else if (f->kind == FM_KIND_IP6 || f->kind == FM_KIND_IP4)
			memcpy(base + f->offset, f->kind == FM_KIND_IP6 ? &ip : &ip4, sizeof(ip));
		else if (f->kind == FM_KIND_IP) {
			uint8_t len = base[f->offset] = ip_lens[any(3)];
			if (len > 0)
				memcpy(base + f->offset + 1, len == 16 ? &ip : &ip4, sizeof(ip));
		} else
			fill_octets(f, m, base);
	}
}

/* Tries until the table takes what came out: redirects, selectors and the like are picky. */
static bool add_random(struct fm_msg *m, const struct fm_table *t, uint8_t depth)
{
	uint8_t type = (uint8_t)any(t->n_rows ? t->n_rows : 256);
	const struct fm_option_row *row = fm_option_row(t, type);
	static uint8_t out[FM_MH_MAX];

	if (t->has_pads && type < 2)
		return false;
	for (int i = 0; i < 300; i++) {
		uint16_t before = m->n_items, room = m->scratch_used;
		struct fm_item *it = depth ? fm_msg_add_sub(m, type) : fm_msg_add(m, type);
		if (row)
			fill(row->fields, m, it);
		else
			fill_octets(
				&(struct fm_field){ .offset = offsetof(struct fm_item, octets) }, m,
				(uint8_t *)it);
		if (row && row->nested && row->min > row->nested_at) /* wants one inside */
			add_random(m, row->nested, 1);
		if (fm_msg_encode(m, out, sizeof(out)) > 0)
			return true;
		m->n_items = before;
		m->scratch_used = room;
	}
	return false;
}

static void make_message(struct fm_msg *m)
{
	const struct fm_message_row *row;
	uint8_t type;
	uint16_t sub_type;

	do {
		type = (uint8_t)any(FM_MH_SR + 1);
		sub_type = fm_message_sub_width(type) ? (uint16_t)(1 + any(2)) : 0;
		row = fm_message_row(type, sub_type);
	} while (!row);
	fm_msg_init(m, type);
	fill(row->fields, m, m);
	if (type == FM_MH_REVOCATION)
		m->revocation.type = (uint8_t)sub_type;
	if (type == FM_MH_FLOW_BINDING)
		m->flow_binding.type = sub_type;

	for (uint64_t n = any(8); n > 0; n--) {
		uint16_t at = m->n_items;
		if (!add_random(m, &fm_options, 0))
			continue;
		const struct fm_option_row *option = fm_option_row(&fm_options, m->items[at].type);
		for (uint64_t subs = option && option->nested ? any(4) : 0; subs > 0; subs--)
			add_random(m, option->nested, 1);
	}
}

static unsigned seen[256];

static void random_messages_are_read_as_they_were_written(void **state)
{
	uint8_t first[FM_MH_MAX], second[FM_MH_MAX];
	uint32_t offset;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		make_message(&msg);
		int len = fm_msg_encode(&msg, first, sizeof(first));
		assert_true(len > 0 && len % 8 == 0);
		assert_int_equal(fm_msg_decode(first, (size_t)len, NULL, &again, &offset),
				 FM_REFUSE_NONE);
		json_t *want = fm_message_json(&msg, 0), *got = fm_message_json(&again, 0);
		if (!json_equal(want, got)) {
			print_error("%s\n%s\n", json_dumps(want, 0), json_dumps(got, 0));
			fail();
		}
		json_decref(want);
		json_decref(got);
		assert_int_equal(fm_msg_encode(&again, second, sizeof(second)), len);
		assert_memory_equal(first, second, (size_t)len);
		for (uint16_t at = 0; at < msg.n_items; at++)
			seen[msg.items[at].type] += msg.items[at].depth == 0;
	}
	for (unsigned type = 2; type < fm_options.n_rows; type++)
		assert_true(seen[type] > 20); /* every option was tried */
}

/* Where the type octet of one option lies, alone behind the 12 octets of a Binding Update. */
static void options_stand_where_their_rfcs_say(void **state)
{
	static const struct {
		uint8_t type, modulo, rest;
	} places[] = {
		{ FM_OPT_ALTERNATE_COA, 8, 6 },
		{ FM_OPT_REFRESH_ADVICE, 2, 0 },
		{ FM_OPT_MNP, 8, 4 },
		{ FM_OPT_REPLAY, 8, 2 },
		{ FM_OPT_HNP, 8, 4 },
		{ FM_OPT_IPV4_HOA, 4, 0 },
		{ FM_OPT_NAT_DETECTION, 4, 0 },
		{ 28, 4, 2 },
		{ 49, 4, 2 },
		{ 53, 4, 2 },
		{ 55, 8, 2 },
		{ 57, 8, 1 },
	};
	uint8_t out[FM_MH_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		fm_msg_init(&msg, FM_MH_BU);
		struct fm_item *it = fm_msg_add(&msg, places[i].type);
		if (it->type == 55)
			it->delegated.len = 16;
		assert_true(fm_msg_encode(&msg, out, sizeof(out)) > 0);
		assert_int_equal(it->at % places[i].modulo, places[i].rest);
		assert_int_equal(out[it->at], places[i].type);
	}
}

/* RFC 4285 §5.1, digest D16: 8k+5 for 12 octets, 8k+1 for 16; nothing behind it. */
static void authentication_ends_the_header(void **state)
{
	static const uint8_t mac[16];
	uint8_t out[FM_MH_MAX];

	(void)state;
	for (uint16_t name = 0; name < 16; name++) {
		for (uint16_t len = 12; len <= 16; len += 4) {
			fm_msg_init(&msg, FM_MH_BU);
			fm_msg_add(&msg, FM_OPT_MN_ID)->mn_id.id = (struct fm_octets){ mac, name };
			struct fm_item *it = fm_msg_add(&msg, FM_OPT_AUTH);
			it->auth.data = (struct fm_octets){ mac, len };
			int size = fm_msg_encode(&msg, out, sizeof(out));
			assert_int_equal(it->at + 2 + it->length, size);
			assert_int_equal(it->at % 8, len == 12 ? 5 : 1);
		}
	}
}

static void a_bid_is_placed_by_its_care_of_address(void **state)
{
	uint8_t out[FM_MH_MAX];

	(void)state;
	fm_msg_init(&msg, FM_MH_BU);
	fm_msg_add(&msg, FM_OPT_BID)->bid.bid = 1;
	fm_msg_add(&msg, FM_OPT_BID)->bid.coa_len = 16;
	assert_true(fm_msg_encode(&msg, out, sizeof(out)) > 0);
	assert_int_equal(msg.items[0].at, 12);
	assert_int_equal(msg.items[1].at, 18);
	assert_int_equal(msg.items[1].length, 20);
}

static void refuses_what_no_header_can_hold(void **state)
{
	static const uint8_t octets[300];
	uint8_t out[FM_MH_MAX];

	(void)state;
	fm_msg_init(&msg, 10);
	assert_int_equal(fm_msg_encode(&msg, out, sizeof(out)), -EINVAL); /* no such message */
	fm_msg_init(&msg, FM_MH_REVOCATION);
	assert_int_equal(fm_msg_encode(&msg, out, sizeof(out)), -EINVAL); /* neither BRI nor BRA */
	fm_msg_init(&msg, FM_MH_BU);
	assert_int_equal(fm_msg_encode(&msg, out, 12), -EMSGSIZE); /* 12 octets, and 4 to fill */
	assert_int_equal(fm_msg_encode(&msg, out, 16), 16);
	fm_msg_add(&msg, FM_OPT_FLOW_SUMMARY);
	assert_int_equal(fm_msg_encode(&msg, out, sizeof(out)),
			 -EINVAL); /* RFC 6089 §4.2.2: k >= 1 */
	msg.items[0].u16_list = (struct fm_octets){ octets, 256 };
	assert_int_equal(fm_msg_encode(&msg, out, sizeof(out)), -EMSGSIZE);
	msg.items[0].u16_list.len = 254;
	assert_true(fm_msg_encode(&msg, out, sizeof(out)) > 0);
	fm_msg_add_sub(&msg, FM_SUB_ACTION);
	assert_int_equal(fm_msg_encode(&msg, out, sizeof(out)),
			 -EINVAL); /* nothing goes inside it */

	fm_msg_init(&msg, FM_MH_BU);
	for (int i = 0; i < 9; i++)
		fm_msg_add(&msg, 200)->octets = (struct fm_octets){ octets, 255 };
	assert_int_equal(fm_msg_encode(&msg, out, sizeof(out)), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(canonical_vectors_are_written_as_they_were),
		cmocka_unit_test(random_messages_are_read_as_they_were_written),
		cmocka_unit_test(options_stand_where_their_rfcs_say),
		cmocka_unit_test(authentication_ends_the_header),
		cmocka_unit_test(a_bid_is_placed_by_its_care_of_address),
		cmocka_unit_test(refuses_what_no_header_can_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
