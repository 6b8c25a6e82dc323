/*
 * core/ha_coas.c: which care-of addresses are taken, and what is known of the way to each: NATs,
 * encapsulation, the size that the host found.
 */
#include "test/unit/ha_bound.h"

#include <errno.h>

#include "wire/size_option.h"

static uint8_t bind_udp(struct world *w, uint16_t sequence, const char *claimed, const char *seen,
			uint16_t port)
{
	struct fm_via via = via_udp4(seen, port, HOA);

	bu_start(w, sequence, AH, 100, MN_ID);
	bu_bid(w, 2, 20, claimed);
	assert_non_null(bu_send(w, &via));
	return w->reply.ba.status;
}

static const struct fm_path *path(struct world *w, uint16_t bid)
{
	for (uint8_t i = 0; i < w->forwarding.n_paths; i++) {
		if (w->forwarding.paths[i].bid == bid)
			return &w->forwarding.paths[i];
	}
	return NULL;
}

static void add_size(struct world *w, uint32_t vendor_id, uint8_t sub_type, uint16_t size)
{
	struct fm_item *it = fm_msg_add(&w->bu, FM_OPT_VENDOR);
	uint8_t *data = fm_msg_room(&w->bu, 2);

	fm_size_option_write(size, data);
	it->vendor.vendor_id = vendor_id;
	it->vendor.sub_type = sub_type;
	it->vendor.data = (struct fm_octets){ data, 2 };
}

/*
 * Of the path over which it comes, until an update over it says something else; over a restart too.
 */
static void the_size_that_a_host_found_holds(void **state)
{
	static const struct {
		uint32_t vendor_id;
		uint8_t sub_type;
		uint16_t size, is;
	} rows[] = {
		{ 32473, 4, 1396, 1396 },
		{ 32473, 4, 1279, 0 },
		{ 32473, 3, 1396, 0 },
		{ 1, 4, 1396, 0 },
	};
	struct world *w = start();
	struct fm_via via = via_ip6(COA, HOA);

	(void)state;
	assert_int_equal(bind_bid(w, 1, 1, COA), 0);
	assert_int_equal(bind_bid(w, 2, 2, COA_2), 0);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bu_start(w, (uint16_t)(3 + 2 * i), AH, 100, MN_ID);
		bu_bid(w, 1, 10, COA);
		add_size(w, rows[i].vendor_id, rows[i].sub_type, rows[i].size);
		assert_non_null(bu_send(w, &via));
		assert_int_equal(path(w, 1)->mtu, rows[i].is);
		assert_int_equal(path(w, 2)->mtu, 0);
		assert_int_equal(bind_bid(w, (uint16_t)(4 + 2 * i), 1, COA), 0);
		assert_int_equal(path(w, 1)->mtu, 0);
	}
	bu_start(w, 30, AH, 100, MN_ID);
	bu_bid(w, 1, 10, COA);
	add_size(w, 32473, 4, 1396);
	assert_non_null(bu_send(w, &via));
	world_restart(w);
	assert_int_equal(path(w, 1)->mtu, 1396);
	world_end(w);
}

static void answers_go_the_way_they_came(void **state)
{
	struct world *w = start();
	struct fm_ip hoa = ip(HOA), coa = ip(COA);

	(void)state;
	assert_int_equal(bind_bid(w, 1, 1, COA), 0);
	assert_true(w->sent_via.has_hoa && fm_ip_equal(&w->sent_via.hoa, &hoa));
	assert_true(fm_ip_equal(&w->sent_via.dst, &coa));
	assert_int_equal(w->sent_via.remote_port, 0);
	assert_int_equal(bind_udp(w, 2, "10.0.0.5", "203.0.113.9", 5000), 0);
	assert_false(w->sent_via.has_hoa); /* D14 */
	assert_true(fm_ip_equal(&w->sent_via.dst, &hoa));
	assert_int_equal(w->sent_via.remote_port, 5000);
	assert_int_equal(w->sent_via.local_port, 4191);
	world_end(w);
}

static void a_nat_that_forgets_is_followed(void **state)
{
	struct world *w = start();
	struct fm_ip moved = ip("203.0.113.77");
	const struct fm_item *nat;

	(void)state;
	assert_int_equal(bind_bid(w, 1, 1, COA), 0);
	assert_int_equal(bind_udp(w, 2, "10.0.0.5", "203.0.113.9", 5000), 0);
	nat = fm_msg_next(&w->reply, FM_OPT_NAT_DETECTION, NULL);
	assert_true(nat && nat->nat.flags == 0 && nat->nat.refresh_s == 110);
	assert_int_equal(path(w, 2)->encap, FM_ENCAP_UDP4);
	assert_int_equal(path(w, 2)->remote_port, 5000);
	uint8_t index = (uint8_t)(path(w, 2) - w->forwarding.paths);

	assert_int_equal(bind_udp(w, 3, "10.0.0.5", "203.0.113.77", 6000), 0);
	assert_int_equal(path(w, 2)->remote_port, 6000);
	assert_true(fm_ip_equal(&path(w, 2)->remote, &moved));
	assert_int_equal(path(w, 2) - w->forwarding.paths, index);

	/* D47: Len 4 over UDP refreshes, and takes what is seen. */
	assert_int_equal(bind_udp(w, 4, NULL, "203.0.113.77", 7000), 0);
	assert_int_equal(path(w, 2)->remote_port, 7000);
	nat = fm_msg_next(&w->reply, FM_OPT_NAT_DETECTION, NULL);
	assert_true(nat && nat->nat.refresh_s == 110);
	world_end(w);
}

/* D18: an IPv4 care-of address in a bulk update whose NAT nobody has looked at. */
static void bulk_takes_no_unseen_ipv4(void **state)
{
	struct world *w = start();
	struct fm_via via = via_ip6(COA, HOA);

	(void)state;
	bu_start(w, 1, AH, 100, MN_ID);
	bu_bid(w, 1, 10, COA);
	bu_bid(w, 2, 20, "192.0.2.55");
	assert_non_null(bu_send(w, &via));
	assert_int_equal(w->reply.ba.status, 4);
	assert_null(fm_coa_find(binding(w), 2));
	assert_int_equal(bind_udp(w, 2, "192.0.2.55", "192.0.2.55", 4191), 0);
	assert_int_equal(path(w, 2)->encap, FM_ENCAP_IP4);
	bu_start(w, 3, AH, 100, MN_ID);
	bu_bid(w, 1, 10, COA);
	bu_bid(w, 2, 20, "192.0.2.55");
	assert_non_null(bu_send(w, &via));
	assert_int_equal(w->reply.ba.status, 0);
	world_end(w);
}

static void care_of_addresses_that_nobody_has(void **state)
{
	static const struct {
		const char *coa;
		uint8_t status;
	} rows[] = {
		{ "ff02::1", 164 },	      { "fe80::1", 164 },	  { "::1", 164 },
		{ "2001:db8:100:5::1", 174 }, { "127.0.0.1", 164 },	  { "224.0.0.1", 164 },
		{ "0.0.0.0", 164 },	      { "255.255.255.255", 164 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *w = start();

		if (bind_bid(w, 1, 1, COA) != 0 || !strchr(rows[i].coa, ':'))
			bind_udp(w, 2, rows[i].coa, "203.0.113.9", 4191);
		else {
			struct fm_via via = via_ip6(COA, HOA);

			bu_start(w, 2, AH, 100, MN_ID);
			bu_bid(w, 2, 20, rows[i].coa);
			bu_send(w, &via);
		}
		if (w->reply.ba.status != rows[i].status) {
			print_error("%s: %u\n", rows[i].coa, w->reply.ba.status);
			fail();
		}
		world_end(w);
	}
}

/*
 * RFC 5845 §6.1: answered where it was asked for; the host's last word holds, over a restart too.
 */
static void copies_are_numbered_where_the_host_asks(void **state)
{
	struct world *w = start();
	struct fm_via via = via_ip6(COA, HOA);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		bool asks = i % 2;

		bu_start(w, (uint16_t)(1 + i), AH, 100, MN_ID);
		bu_bid(w, 1, 10, COA);
		if (asks)
			fm_msg_add(&w->bu, FM_OPT_GRE_KEY);
		assert_non_null(bu_send(w, &via));
		const struct fm_item *o = fm_msg_next(&w->reply, FM_OPT_GRE_KEY, NULL);
		assert_int_equal(o != NULL, asks);
		assert_true(!o || o->gre.len == 0);
		assert_int_equal(w->forwarding.is_numbered, asks);
	}
	world_restart(w);
	assert_true(w->forwarding.is_numbered);
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_size_that_a_host_found_holds),
		cmocka_unit_test(copies_are_numbered_where_the_host_asks),
		cmocka_unit_test(answers_go_the_way_they_came),
		cmocka_unit_test(a_nat_that_forgets_is_followed),
		cmocka_unit_test(bulk_takes_no_unseen_ipv4),
		cmocka_unit_test(care_of_addresses_that_nobody_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
