/*
 * flowmob usage: what counted subscribers used, by access and class; read, and reset.
 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/say.h"
#include "cli/table.h"
#include "cli/talk.h"

/* clang-format off */
static const struct fm_column columns[] = {
	{ "SUBSCRIBER",   "id",           FM_FORM_TEXT },
	{ "ACCESS",       "access",       FM_FORM_TEXT },
	{ "CLASS",        "class",        FM_FORM_TEXT },
	{ "UP PACKETS",   "up_packets",   FM_FORM_TEXT },
	{ "UP OCTETS",    "up_bytes",     FM_FORM_TEXT },
	{ "DOWN PACKETS", "down_packets", FM_FORM_TEXT },
	{ "DOWN OCTETS",  "down_bytes",   FM_FORM_TEXT },
	{ 0 },
};
/* clang-format on */

int fm_cmd_usage(int argc, char **argv)
{
	bool reset = false;
	const struct fm_option options[] = {
		{ .name = "--reset", .help = "and begin again at 0", .flag = &reset },
		{ 0 },
	};
	struct fm_args a = { .usage = "usage [ID] [--reset]",
			     .about = "Shows what subscribers with usage = yes sent and received "
				      "at this anchor, by access and class.",
			     .options = options,
			     .max_words = 1 };
	json_t *answer, *request;
	int code;

	if (!fm_args_read(&a, argc, argv, &code))
		return code;
	request = json_pack("{s:s}", "command", reset ? "usage-reset" : "usage");
	if (a.n_words > 0)
		json_object_set_new(request, "id", json_string(a.words[0]));
	code = fm_talk_ask(request, a.json, &answer);
	if (code != FM_EXIT_OK)
		return code;
	if (a.json)
		return fm_say_object(answer, FM_EXIT_OK);
	if (json_array_size(json_object_get(answer, "usage")) == 0)
		printf("nothing was used\n");
	else
		fm_table_print(json_object_get(answer, "usage"), columns, 0);
	json_decref(answer);
	return FM_EXIT_OK;
}
