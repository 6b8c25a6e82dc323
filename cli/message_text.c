/*
 * A decoded message for people: its JSON, indented, one field a line.
 */
#include "cli/message_json.h"

#define INDENT 2

static bool is_list_of_objects(const json_t *value)
{
	return json_is_array(value) && json_is_object(json_array_get(value, 0));
}

static void print_value(const json_t *value, FILE *out)
{
	if (json_is_string(value))
		fputs(json_string_value(value), out);
	else if (json_is_integer(value))
		fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
}

static void print_field(const char *name, const json_t *value, int indent, FILE *out)
{
	size_t i;
	const json_t *entry;

	fprintf(out, "%*s%-28s ", indent, "", name);
	if (json_is_array(value) && json_array_size(value) == 0)
		fputs("none", out);
	json_array_foreach(value, i, entry) {
		fputs(i > 0 ? " " : "", out);
		print_value(entry, out);
	}
	print_value(value, out);
	fputc('\n', out);
}

static void print_request(const json_t *request, int indent, FILE *out)
{
	fprintf(out, "%*soption %lld wanted, length %lld %s\n", indent, "",
		(long long)json_integer_value(json_object_get(request, "req_type")),
		(long long)json_integer_value(json_object_get(request, "req_length")),
		json_string_value(json_object_get(request, "req_option")));
}

static void print_head(const json_t *option, int indent, FILE *out)
{
	const char *rfc = json_string_value(json_object_get(option, "rfc"));

	fprintf(out, "%*s%s (%lld), length %lld%s%s\n", indent, "",
		json_string_value(json_object_get(option, "name")),
		(long long)json_integer_value(json_object_get(option, "type")),
		(long long)json_integer_value(json_object_get(option, "length")), rfc ? ", " : "",
		rfc ? rfc : "");
}

/* Fields of a sub-option: nothing is nested deeper. */
static void print_leaf(const json_t *item, int indent, FILE *out)
{
	const char *name;
	json_t *value;

	if (!json_object_get(item, "name")) {
		print_request(item, indent, out);
		return;
	}
	print_head(item, indent, out);
	json_object_foreach(json_object_get(item, "fields"), name, value)
		print_field(name, value, indent + INDENT, out);
}

static void print_option(const json_t *option, FILE *out)
{
	const char *name;
	json_t *value;
	const json_t *entry;
	size_t i;

	print_head(option, INDENT, out);
	json_object_foreach(json_object_get(option, "fields"), name, value) {
		if (!is_list_of_objects(value)) {
			print_field(name, value, 2 * INDENT, out);
			continue;
		}
		json_array_foreach(value, i, entry)
			print_leaf(entry, 2 * INDENT, out);
	}
}

void fm_message_text(const json_t *message, FILE *out)
{
	const char *name;
	json_t *value;
	const json_t *option;
	size_t i;

	if (!json_is_true(json_object_get(message, "ok"))) {
		fprintf(out, "refused: %s at octet %lld\n",
			json_string_value(json_object_get(message, "error")),
			(long long)json_integer_value(json_object_get(message, "offset")));
		return;
	}
	fprintf(out, "%s (MH type %lld), %s\n", json_string_value(json_object_get(message, "type")),
		(long long)json_integer_value(json_object_get(message, "mh_type")),
		json_string_value(json_object_get(message, "rfc")));
	json_object_foreach(json_object_get(message, "fields"), name, value)
		print_field(name, value, INDENT, out);
	json_array_foreach(json_object_get(message, "options"), i, option)
		print_option(option, out);
}
