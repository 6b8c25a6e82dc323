/* daemon/flows.c: flows keep their numbers, end, and have rates; the data path is played here. */
#include "daemon/flows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/conf_value.h"
#include "daemon/match.h"

/* What the data path would show, and what it was told. */
static struct fm_dp_flow_info shown[8];
static uint32_t n_shown, n_forgotten, n_ended;

int fm_dp_flows(struct fm_dp *dp, fm_dp_flow_fn *each, void *arg)
{
	(void)dp;
	for (uint32_t i = 0; i < n_shown; i++)
		each(arg, &shown[i]);
	return 0;
}

int fm_dp_flow_end(struct fm_dp *dp, const struct fm_tuple *flow)
{
	(void)dp, (void)flow;
	n_forgotten++;
	return 0;
}

static void ended(void *ctx, const struct fm_tuple *t)
{
	(void)ctx, (void)t;
	n_ended++;
}

static struct fm_tuple tuple(const char *local, const char *remote, uint16_t port, uint8_t proto)
{
	struct fm_tuple t = { .local_port = 40000, .remote_port = port, .ip_proto = proto };

	assert_true(fm_value_address(local, &t.local));
	assert_true(fm_value_address(remote, &t.remote));
	return t;
}

static int open_flows(void **state)
{
	static struct fm_flows f;

	n_shown = n_forgotten = n_ended = 0;
	f = (struct fm_flows){ .ended = ended };
	*state = &f;
	return fm_flows_open(&f);
}

static int close_flows(void **state)
{
	fm_flows_close(*state);
	return 0;
}

static void show(uint32_t i, uint16_t port)
{
	shown[i] = (struct fm_dp_flow_info){ .tuple = tuple("2001:db8:100::1", "2001:db8:ffff::1",
							    port, 17),
					     .age_ns = 1000000000 };
	n_shown = i + 1;
}

static void numbers_stay(void **state)
{
	struct fm_flows *f = *state;

	show(0, 5004);
	show(1, 5005);
	fm_flows_look(f, 10000000);
	assert_int_equal(f->n, 2);
	assert_int_equal(fm_flows_by_id(f, 1)->info.tuple.remote_port, 5004);
	show(0, 5005);
	show(1, 5006);
	fm_flows_look(f, 11000000);
	assert_null(fm_flows_by_id(f, 1)); /* gone from the data path: ended */
	assert_int_equal(fm_flows_by_id(f, 2)->info.tuple.remote_port, 5005);
	assert_int_equal(fm_flows_by_id(f, 3)->info.tuple.remote_port, 5006);
	assert_int_equal(n_ended, 1);
}

static void idle_flows_end(void **state)
{
	struct fm_flows *f = *state;

	show(0, 5004);
	fm_flows_look(f, 10000000);
	shown[0].idle_ns = FM_FLOW_IDLE_NS + 1;
	fm_flows_look(f, 11000000);
	assert_int_equal(f->n, 0);
	assert_int_equal(n_ended, 1);
	assert_int_equal(n_forgotten, 1);
}

static void rates_are_of_the_last_look(void **state)
{
	struct fm_flows *f = *state;

	show(0, 5004);
	shown[0].bytes = 1000;
	fm_flows_look(f, 10000000);
	assert_int_equal(fm_flows_by_id(f, 1)->up_bps, 8000); /* 1000 octets in its first second */
	shown[0].bytes = 3000;
	shown[0].bytes_in = 500;
	fm_flows_look(f, 11000000);
	assert_int_equal(fm_flows_by_id(f, 1)->up_bps, 16000);
	assert_int_equal(fm_flows_by_id(f, 1)->down_bps, 4000);
}

static void a_closed_connection_ends(void **state)
{
	struct fm_flows *f = *state;
	struct fm_tuple t = tuple("2001:db8:100::1", "2001:db8:ffff::1", 22, 6);

	fm_flows_end(f, &t); /* never seen: the core hears of it all the same */
	assert_int_equal(n_ended, 1);
	assert_int_equal(f->n, 0);
}

static const struct {
	const char *match, *local, *remote;
	uint16_t port;
	uint8_t proto;
	bool is_match;
} rows[] = {
	{ "udp dport 5004", "2001:db8::1", "2001:db8::2", 5004, 17, true },
	{ "udp dport 5004", "192.0.2.1", "192.0.2.2", 5004, 17, true },
	{ "udp dport 5000-5003", "2001:db8::1", "2001:db8::2", 5004, 17, false },
	{ "tcp", "2001:db8::1", "2001:db8::2", 5004, 17, false },
	{ "dst 2001:db8:ffff::/48", "2001:db8::1", "2001:db8:ffff::2", 5004, 17, true },
	{ "src 2001:db8:ffff::/48", "2001:db8::1", "2001:db8:ffff::2", 5004, 17, false },
	{ "sport 40000", "192.0.2.1", "192.0.2.2", 22, 6, true },
	{ "dport 22", "2001:db8::1", "2001:db8::2", 22, 58, false },
	{ "dscp ef", "2001:db8::1", "2001:db8::2", 5004, 17, false }, /* a tuple has no DSCP */
};

static void selectors_find_flows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fm_tuple t =
			tuple(rows[i].local, rows[i].remote, rows[i].port, rows[i].proto);
		char why[FM_MATCH_TEXT_MAX];
		bool is_match = false;
		struct fm_match m;

		assert_int_equal(fm_match_read(rows[i].match, NULL, &m, why), 0);
		for (uint8_t k = 0; k < m.n; k++)
			is_match = is_match || fm_flows_match(&t, &m.selectors[k]);
		if (is_match != rows[i].is_match)
			fail_msg("%s, %s", rows[i].match, rows[i].remote);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(numbers_stay, open_flows, close_flows),
		cmocka_unit_test_setup_teardown(idle_flows_end, open_flows, close_flows),
		cmocka_unit_test_setup_teardown(rates_are_of_the_last_look, open_flows,
						close_flows),
		cmocka_unit_test_setup_teardown(a_closed_connection_ends, open_flows, close_flows),
		cmocka_unit_test(selectors_find_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
