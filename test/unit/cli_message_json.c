/*
 * Every vector says what must be in the JSON of its message; more may stand there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/message_json.h"
#include "test/unit/vectors.h"
#include "wire/ondemand.h"

static struct fm_msg msg;

/* True when @got has all of @want: objects may have more keys, lists are equally long. */
static bool contains(const json_t *got, const json_t *want)
{
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_object(want)) {
		json_object_foreach((json_t *)want, key, value) {
			if (!contains(json_object_get(got, key), value))
				return false;
		}
		return json_is_object(got);
	}
	if (!json_is_array(want))
		return json_equal(got, want);
	if (!json_is_array(got) || json_array_size(got) != json_array_size(want))
		return false;
	json_array_foreach(want, i, value) {
		if (!contains(json_array_get(got, i), value))
			return false;
	}
	return true;
}

static void check_vector(const struct vector *v)
{
	uint32_t offset;
	enum fm_refusal why = decode_vector(v, &msg, &offset);
	json_t *got = why ? fm_refusal_json(why, offset) : fm_message_json(&msg, FM_ODP_VENDOR_ID);

	if (!contains(got, v->expect)) {
		char *text = json_dumps(got, JSON_COMPACT);
		print_error("%s: %s\n", v->name, text);
		free(text);
		fail();
	}
	json_decref(got);
}

static void all_vectors_print_what_they_must(void **state)
{
	(void)state;
	assert_int_equal(each_vector(check_vector), 226);
}

/* Options are tried behind an empty Binding Update; @want is the "fields" of the first. */
static const struct {
	const char *name, *option, *want;
} rows[] = {
	{ "an on-demand prefix is printed field by field",
	  "0100 132c 00007ed9 01 02 0001 00015180 00093a80 00 40 0000"
	  "20010db8000100070000000000000000 0000000000000400",
	  "{\"vendor_id\":32473,\"sub_type\":1,\"service_type\":2,\"pid\":1,\"preferred_lifetime\":"
	  "86400,"
	  "\"valid_lifetime\":604800,\"status\":0,\"prefix_length\":64,\"prefix\":\"2001:db8:1:7::"
	  "\","
	  "\"byte_limit\":\"0000000000000400\"}" },
	{ "an on-demand prefix set lists its PIDs", "0100 130a 00007ed9 02 00 0001 ffff",
	  "{\"sub_type\":2,\"data\":\"000001ffff\",\"pids\":[1,65535]}" },
	{ "an on-demand prefix of another length is data", "0100 1306 00007ed9 01 02",
	  "{\"sub_type\":1,\"data\":\"02\"}" },
	{ "another vendor's sub-type 2 is data", "0100 1306 000028af 02 00",
	  "{\"vendor_id\":10415,\"data\":\"00\"}" },
	{ "a tab is a control character", "0803 01 0941",
	  "{\"subtype\":1,\"identifier_hex\":\"0941\"}" },
	{ "a truncated UTF-8 sequence is no text", "0803 01 41c3",
	  "{\"identifier_hex\":\"41c3\"}" },
	{ "a surrogate is no text", "0804 01 eda080", "{\"identifier_hex\":\"eda080\"}" },
	{ "an operator of type 2 is text", "3405 03 03 02 6f70",
	  "{\"sub_options\":[{\"fields\":{\"op_id_type\":2,\"operator_identifier\":\"op\"}}]}" },
	{ "degrees are signed", "3408 02 06 800000 7fffff",
	  "{\"sub_options\":[{\"fields\":{\"latitude_degrees\":-8388608,\"longitude_degrees\":"
	  "8388607}}]}" },
	{ "re-registration control", "3e08 01 06 000a 0003 0020",
	  "{\"sub_options\":[{\"name\":\"binding-re-registration-control\",\"fields\":{"
	  "\"re_registration_start_time\":10,\"initial_retransmission_time\":3,"
	  "\"maximum_retransmission_time\":32}}]}" },
	{ "types 0 and 1 are no padding in option 52", "3404 00 00 01 00", NULL },
	{ "type 0 is an unknown sub-option in option 52", "3402 00 00",
	  "{\"sub_options\":[{\"name\":\"unknown\",\"type\":0,\"length\":0}]}" },
	{ "a multicast acknowledgement counts words", "3d01 05 80 01020304 0000",
	  "{\"option_code\":5,\"status\":128,\"report_payload\":\"01020304\"}" },
	{ "a GRE key that is absent is not printed", "2102 0000", "{}" },
};

static void prints_each_option(void **state)
{
	uint8_t mh[FM_MH_MAX] = { 0 };
	uint32_t offset;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = from_hex("3b00 0500 0000 0001 c000 001e", mh);
		len += from_hex(rows[i].option, mh + len);
		while (len % 8 != 0)
			mh[len++] = 0;
		mh[1] = (uint8_t)(len / 8 - 1);
		enum fm_refusal why = fm_msg_decode(mh, len, NULL, &msg, &offset);
		if (!rows[i].want) {
			assert_int_equal(why, FM_REFUSE_OPTION_LENGTH);
			continue;
		}
		if (why)
			print_error("%s: refused at %u\n", rows[i].name, offset);
		assert_int_equal(why, FM_REFUSE_NONE);
		json_t *want = json_loads(rows[i].want, 0, NULL);
		json_t *got = fm_message_json(&msg, FM_ODP_VENDOR_ID);
		json_t *option = json_array_get(json_object_get(got, "options"), 0);
		assert_non_null(want);
		if (!contains(json_object_get(option, "fields"), want)) {
			print_error("%s\n", rows[i].name);
			fail();
		}
		json_decref(want);
		json_decref(got);
	}
}

static void a_proxy_update_has_b_where_another_has_o(void **state)
{
	(void)state;
	fm_msg_init(&msg, FM_MH_BU);
	for (int is_proxy = 0; is_proxy < 2; is_proxy++) {
		msg.bu.flags = FM_BU_O | (is_proxy ? FM_BU_P : 0);
		json_t *got = fm_message_json(&msg, 0);
		json_t *flags = json_object_get(json_object_get(got, "fields"), "flags");
		assert_string_equal(json_string_value(json_array_get(flags, is_proxy)),
				    is_proxy ? "B" : "O");
		json_decref(got);
	}
}

static void text_names_every_option_and_its_section(void **state)
{
	char *text = NULL;
	size_t len = 0, mh_len;
	uint32_t offset;
	uint8_t mh[64];

	(void)state;
	mh_len = from_hex(
		"3b03 0500 0000 0001 c000 001e 0100 0310 20010db8f00d0000000000000000005a", mh);
	assert_int_equal(fm_msg_decode(mh, mh_len, NULL, &msg, &offset), FM_REFUSE_NONE);
	json_t *object = fm_message_json(&msg, 0);
	FILE *out = open_memstream(&text, &len);
	fm_message_text(object, out);
	fclose(out);
	assert_non_null(strstr(text, "binding-update (MH type 5), RFC 6275 §6.1.7\n"));
	assert_non_null(
		strstr(text, "alternate-care-of-address (3), length 16, RFC 6275 §6.2.5\n"));
	assert_non_null(strstr(text, " 2001:db8:f00d::5a\n"));
	free(text);
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_vectors_print_what_they_must),
		cmocka_unit_test(prints_each_option),
		cmocka_unit_test(a_proxy_update_has_b_where_another_has_o),
		cmocka_unit_test(text_names_every_option_and_its_section),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
