/*
 * Events of a scenario: which keys each one needs and may have, from a file or from the words of
 * `lab do`.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lab/key.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define AT(type, field) offsetof(struct type, field)

static const struct fm_lab_word one_ways[] = { { "up", FM_LAB_UP },
					       { "down", FM_LAB_DOWN },
					       { 0 } };

static void read_one_way(struct fm_lab_reader *r, const struct fm_tree *t, void *out)
{
	fm_key_word(r, t, one_ways, out);
}

static const struct fm_lab_key event_keys[] = {
	{ "flow", fm_key_flow, AT(fm_lab_event, flow), FM_LAB_HAS_FLOW },
	{ "to", fm_key_access, AT(fm_lab_event, to), FM_LAB_HAS_TO },
	{ "access", fm_key_access, AT(fm_lab_event, access), FM_LAB_HAS_ACCESS },
	{ "direction", read_one_way, AT(fm_lab_event, direction), FM_LAB_HAS_DIRECTION },
	{ "delay", fm_key_time, AT(fm_lab_event, delay_us), FM_LAB_HAS_DELAY },
	{ "rate", fm_key_bit_rate, AT(fm_lab_event, rate_bps), FM_LAB_HAS_RATE },
	{ "loss", fm_key_percent, AT(fm_lab_event, loss_ppm), FM_LAB_HAS_LOSS },
	{ "mtu", fm_key_mtu, AT(fm_lab_event, mtu), FM_LAB_HAS_MTU },
	{ "period", fm_key_time, AT(fm_lab_event, period_us), FM_LAB_HAS_PERIOD },
	{ "count", fm_key_count, AT(fm_lab_event, count), FM_LAB_HAS_COUNT },
	{ "node", fm_key_node, AT(fm_lab_event, node), FM_LAB_HAS_NODE },
	{ "by", fm_key_signed_time, AT(fm_lab_event, by_us), FM_LAB_HAS_BY },
	{ "at", fm_key_time, AT(fm_lab_event, at_us), 0 },
	{ "do", fm_key_skip, 0, 0 }, /* read before: it says which keys there may be */
	{ 0 },
};

/* @needs: keys that must stand there; @may: further ones that can. */
static const struct event_row {
	const char *name;
	unsigned int needs, may;
} event_rows[FM_LAB_DO_COUNT] = {
	[FM_LAB_MOVE] = { "move", FM_LAB_HAS_FLOW | FM_LAB_HAS_TO, 0 },
	[FM_LAB_CUT] = { "cut", FM_LAB_HAS_ACCESS, FM_LAB_HAS_DIRECTION },
	[FM_LAB_RESTORE] = { "restore", FM_LAB_HAS_ACCESS, 0 },
	[FM_LAB_LINK_DOWN] = { "link-down", FM_LAB_HAS_ACCESS, 0 },
	[FM_LAB_RENUMBER] = { "renumber", FM_LAB_HAS_ACCESS, 0 },
	[FM_LAB_SET] = { "set", FM_LAB_HAS_ACCESS,
			 FM_LAB_HAS_DELAY | FM_LAB_HAS_RATE | FM_LAB_HAS_LOSS | FM_LAB_HAS_MTU },
	[FM_LAB_FLAP] = { "flap", FM_LAB_HAS_ACCESS, FM_LAB_HAS_PERIOD | FM_LAB_HAS_COUNT },
	[FM_LAB_NAT_REBIND] = { "nat-rebind", FM_LAB_HAS_ACCESS, 0 },
	[FM_LAB_KILL] = { "kill", FM_LAB_HAS_NODE, 0 },
	[FM_LAB_STOP] = { "stop", FM_LAB_HAS_NODE, 0 },
	[FM_LAB_START] = { "start", FM_LAB_HAS_NODE, 0 },
	[FM_LAB_RESTART] = { "restart", FM_LAB_HAS_NODE, 0 },
	[FM_LAB_RELOAD] = { "reload", FM_LAB_HAS_NODE, 0 },
	[FM_LAB_CLOCK_JUMP] = { "clock-jump", FM_LAB_HAS_NODE | FM_LAB_HAS_BY, 0 },
};

static const char *const later_events[] = { "portal-through", "suspend", "resume", "attach" };

static const char *const key_names[] = { "flow", "to",	"access", "direction", "delay", "rate",
					 "loss", "mtu", "period", "count",     "node",	"by" };

/* Tells the first key that is missing, and the first that has no meaning here. */
static void check_event_keys(struct fm_lab_reader *r, const struct fm_tree *t,
			     const struct fm_lab_event *e)
{
	const struct event_row *row = &event_rows[e->what];
	unsigned int missing = row->needs & ~e->has, extra = e->has & ~(row->needs | row->may);

	if (missing)
		fm_tree_error(r->file, t->line, "event %s: %s is missing", row->name,
			      key_names[__builtin_ctz(missing)]);
	else if (extra)
		fm_tree_error(r->file, t->line, "event %s: unknown key %s", row->name,
			      key_names[__builtin_ctz(extra)]);
	else if (e->what == FM_LAB_SET && e->has == FM_LAB_HAS_ACCESS)
		fm_tree_error(r->file, t->line, "event set: delay, rate, loss or mtu is missing");
}

static bool read_what(struct fm_lab_reader *r, const struct fm_tree *t, enum fm_lab_do *out)
{
	const struct fm_tree *what = fm_tree_find(t, "do");
	const char *name = what ? fm_key_single(r, what) : NULL;

	if (!what)
		fm_tree_error(r->file, t->line, "event: do is missing");
	if (!name)
		return false;
	for (int i = 0; i < FM_LAB_DO_COUNT; i++) {
		if (strcmp(event_rows[i].name, name) == 0) {
			*out = (enum fm_lab_do)i;
			return true;
		}
	}
	for (size_t i = 0; i < COUNT(later_events); i++) {
		if (strcmp(later_events[i], name) == 0) {
			fm_key_not_yet(r, what, NULL);
			return false;
		}
	}
	fm_tree_error(r->file, what->line, "do: \"%s\" is no event", name);
	return false;
}

static void check_event_targets(struct fm_lab_reader *r, const struct fm_tree *t,
				const struct fm_lab_event *e)
{
	if (e->what == FM_LAB_NAT_REBIND && (e->has & FM_LAB_HAS_ACCESS) &&
	    !(r->s->accesses[e->access].family & FM_LAB_NAT))
		fm_tree_error(r->file, t->line, "nat-rebind: this access has no NAT");
	if ((e->has & FM_LAB_HAS_NODE) &&
	    (e->node == FM_LAB_NODE_PEER ||
	     (e->node < FM_LAB_HOSTS && r->s->hosts[e->node].is_plain)))
		fm_tree_error(r->file, t->line, "event %s: %s has no daemon",
			      event_rows[e->what].name, fm_scenario_node_name(e->node));
}

bool fm_event_read(struct fm_lab_reader *r, const struct fm_tree *t, struct fm_lab_event *e)
{
	int errors = r->file->n_errors;

	*e = (struct fm_lab_event){ .line = t->line,
				    .direction = FM_LAB_BOTH,
				    .at_us = -1,
				    .period_us = 1000000,
				    .count = 3 };
	if (*t->title)
		fm_tree_error(r->file, t->line, "event has no title");
	if (!read_what(r, t, &e->what))
		return false;
	e->has = fm_key_read_all(r, t, event_keys, e);
	check_event_keys(r, t, e);
	check_event_targets(r, t, e);
	return r->file->n_errors == errors;
}

const char *fm_scenario_do_name(enum fm_lab_do what)
{
	return event_rows[what].name;
}

int fm_scenario_event(struct fm_lab_scenario *s, char **words, int n_words,
		      struct fm_lab_event *out)
{
	char text[4096];
	struct fm_tree_file file;
	size_t len = (size_t)snprintf(text, sizeof(text), "event { do = '%s' ", words[0]);

	for (int i = 1; i < n_words; i++) {
		const char *equals = strchr(words[i], '=');
		if (!equals || strchr(words[i], '\'') ||
		    len + strlen(words[i]) + 8 > sizeof(text)) {
			fprintf(stderr, "flowmob: lab do: \"%s\" is not KEY=VALUE\n", words[i]);
			return -EINVAL;
		}
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s = '%s' ",
					(int)(equals - words[i]), words[i], equals + 1);
	}
	snprintf(text + len, sizeof(text) - len, "}");
	int err = fm_tree_read_text(&file, "lab do", text);
	if (err == 0) {
		struct fm_lab_reader r = { s, &file };
		fm_event_read(&r, file.root->child, out);
		err = file.n_errors ? -EINVAL : 0;
	}
	fm_tree_free(&file);
	return err;
}
