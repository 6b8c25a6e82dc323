/* daemon/tell.c: the number in an event has a name. */
#include "daemon/tell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/event.h"
#include "core/host.h"

static const struct {
	const char *name;
	struct fm_event event;
	const char *access, *json, *reason;
} rows[] = {
	{ "a status",
	  { .id = FM_EVENT_REGISTRATION_REFUSED, .bid = 2, .detail = 130 },
	  "lte",
	  "{\"access\": \"lte\", \"bid\": 2, \"status\": 130}",
	  NULL },
	{ "a type by its name",
	  { .id = FM_EVENT_LEASE_GRANTED, .bid = 1, .detail = 2 },
	  "wifi",
	  "{\"type\": \"session-lasting\"}",
	  NULL },
	{ "an IPv4 lease has no type",
	  { .id = FM_EVENT_LEASE_GRANTED, .mn_id = "t" },
	  NULL,
	  "{\"id\": \"t\"}",
	  NULL },
	{ "a type that nobody knows",
	  { .id = FM_EVENT_LEASE_GRANTED, .detail = 99 },
	  NULL,
	  "{}",
	  NULL },
	{ "a reason in words",
	  { .id = FM_EVENT_HANDOVER, .bid = 1, .detail = FM_HANDOVER_SILENT },
	  "wifi",
	  "{\"access\": \"wifi\", \"bid\": 1}",
	  "silent" },
	{ "a refused prefix says why",
	  { .id = FM_EVENT_PREFIX_REFUSED, .mn_id = "t", .detail = 132 },
	  NULL,
	  "{\"id\": \"t\", \"status\": 132}",
	  "prefix-not-available" },
	{ "a refusal that nobody knows",
	  { .id = FM_EVENT_PREFIX_REFUSED, .mn_id = "t", .detail = 135 },
	  NULL,
	  "{\"id\": \"t\", \"status\": 135}",
	  NULL },
	{ "a reason that nobody knows",
	  { .id = FM_EVENT_HANDOVER, .bid = 1, .detail = 77 },
	  "wifi",
	  "{\"access\": \"wifi\", \"bid\": 1}",
	  NULL },
	{ "an event without a number",
	  { .id = FM_EVENT_BINDING_NEW, .mn_id = "t", .detail = 5 },
	  NULL,
	  "{\"id\": \"t\"}",
	  NULL },
};

static void numbers_have_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *reason;
		json_t *about = fm_tell_about(&rows[i].event, rows[i].access, &reason);
		char *text = json_dumps(about, 0);

		if (strcmp(text, rows[i].json) != 0)
			fail_msg("%s: %s", rows[i].name, text);
		if (rows[i].reason)
			assert_string_equal(reason, rows[i].reason);
		else
			assert_null(reason);
		free(text);
		json_decref(about);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
