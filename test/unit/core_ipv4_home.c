/* core/ipv4_home.c: what each asking for an IPv4 home address is answered (RFC 5555 §3.2.1). */
#include "test/unit/lease_world.h"

#include <arpa/inet.h>

/*
 * RFC 5555: one IPv4 home address a binding; without the option it goes, and comes back to whom
 * held it.
 */
static void it_goes_with_its_option_and_comes_back(void **state)
{
	struct world *w = start(40);
	struct fm_item *it;
	struct fm_ip had;

	(void)state;
	begin(w);
	it = fm_msg_add(&w->bu, FM_OPT_IPV4_HOA);
	it->ipv4.prefix_length = 32;
	it->ipv4.address = ip("0.0.0.0");
	deliver(w);
	had = fm_msg_next(&w->reply, FM_OPT_IPV4_ACK, NULL)->ipv4.address;
	assert_true(fm_prefix_has(&w->pools[0].ipv4, &had));
	assert_int_equal(w->forwarding.n_prefixes, 1);
	assert_int_equal(w->forwarding.prefixes[0].len, 128);
	begin(w);
	deliver(w);
	assert_int_equal(w->forwarding.n_prefixes, 0);
	begin(w);
	it = fm_msg_add(&w->bu, FM_OPT_IPV4_HOA);
	it->ipv4.prefix_length = 32;
	it->ipv4.address = had;
	deliver(w);
	assert_int_equal(fm_msg_next(&w->reply, FM_OPT_IPV4_ACK, NULL)->ipv4.status, 0);
	begin(w);
	it = fm_msg_add(&w->bu, FM_OPT_IPV4_HOA);
	it->ipv4.address = had; /* RFC 5555 §3.1.1: length 0 */
	deliver(w);
	assert_int_equal(fm_msg_next(&w->reply, FM_OPT_IPV4_ACK, NULL)->ipv4.status, 131);
	world_end(w);
}

/* The status of an asking for @address; what was given goes to @given. */
static uint8_t ask_v4(struct world *w, const char *address, uint8_t len, uint8_t flags,
		      struct fm_ip *given)
{
	const struct fm_item *answer;
	struct fm_item *it;

	begin(w);
	it = fm_msg_add(&w->bu, FM_OPT_IPV4_HOA);
	it->ipv4.prefix_length = len;
	it->ipv4.flags = flags;
	it->ipv4.address = ip(address);
	deliver(w);
	answer = fm_msg_next(&w->reply, FM_OPT_IPV4_ACK, NULL);
	assert_non_null(answer);
	assert_int_equal(answer->ipv4.prefix_length, answer->ipv4.status ? 0 : 32);
	*given = answer->ipv4.address;
	return answer->ipv4.status;
}

/* Asked first, and asked while an address is held that @address is not. */
static const struct {
	const char *name, *address;
	uint8_t len, flags, first, holding;
} asks[] = {
	{ "any address", "0.0.0.0", 32, 0, 0, 0 },
	{ "a prefix, which we do not give", "0.0.0.0", 24, 2, 133, 133 },
	{ "a length of zero", "0.0.0.0", 0, 0, 131, 131 },
	{ "one of the pool that was never its own", "198.51.100.15", 32, 0, 130, 130 },
	{ "one of no pool of ours", "203.0.113.1", 32, 0, 130, 130 },
};

static void each_asking_has_its_status(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		struct world *w = start(40);
		struct fm_ip had, now;

		print_message("%s\n", asks[i].name);
		assert_int_equal(ask_v4(w, asks[i].address, asks[i].len, asks[i].flags, &now),
				 asks[i].first);
		assert_int_equal(ask_v4(w, "0.0.0.0", 32, 0, &had), 0);
		assert_int_equal(ask_v4(w, asks[i].address, asks[i].len, asks[i].flags, &now),
				 asks[i].holding);
		if (asks[i].holding == 0)
			assert_true(fm_ip_equal(&had, &now)); /* it has one: that one again */
		world_end(w);
	}
}

/* Whoever holds the pool's addresses, the next one is told that there is none. */
static void a_pool_without_a_free_address(void **state)
{
	struct world *w = start(40);
	struct fm_subscriber *other = world_subscriber_of(w, "other@example.net");
	struct fm_ip given;

	(void)state;
	while (fm_ha_lease_draw(w->ha, true, &given))
		assert_non_null(fm_ha_lease_put(w->ha, other, &given, FM_LEASE_LIVE));
	assert_int_equal(ask_v4(w, "0.0.0.0", 32, 0, &given), 132);
	assert_int_equal(ask_v4(w, "198.51.100.9", 32, 0, &given), 130); /* another's */
	assert_int_equal(w->forwarding.n_prefixes, 0);
	world_end(w);
}

/* RFC 5555 §3.1.1: one at a time, also where it held the other one before. */
static void the_one_before_is_not_given_beside_another(void **state)
{
	struct world *w = start(40);
	struct fm_ip before, now, given;
	char text[INET_ADDRSTRLEN];

	(void)state;
	assert_int_equal(ask_v4(w, "0.0.0.0", 32, 0, &before), 0);
	begin(w);
	deliver(w); /* without the option: it rests */
	assert_int_equal(ask_v4(w, "0.0.0.0", 32, 0, &now), 0);
	assert_false(fm_ip_equal(&before, &now));
	inet_ntop(AF_INET, before.b + 12, text, sizeof(text));
	assert_int_equal(ask_v4(w, text, 32, 0, &given), 130);
	begin(w);
	deliver(w);
	assert_int_equal(ask_v4(w, text, 32, 0, &given), 0); /* alone it is */
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_goes_with_its_option_and_comes_back),
		cmocka_unit_test(each_asking_has_its_status),
		cmocka_unit_test(a_pool_without_a_free_address),
		cmocka_unit_test(the_one_before_is_not_given_beside_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
