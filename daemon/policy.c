/*
 * Rules in a file of their own: applied, on trial, confirmed, taken back.
 */
#include "daemon/policy.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/host.h"
#include "daemon/host_commands.h"
#include "daemon/new_file.h"
#include "daemon/role.h"

#define IN_FORCE "policy.conf"
#define ON_TRIAL "policy.trial"
#define MARK "# applied from "
#define UNTIL " until "
#define TRIAL_MAX_S 86400.0
#define SECOND_US 1000000u
#define AGAIN_US 5000000u

/**
 * struct stored - one of the two files
 * @text: what was applied; @from: the file that it was read from; @until_s: wall clock, 0: for good
 */
struct stored {
	char *text, from[4096];
	uint64_t until_s;
};

/* Reads the last line, and cuts it off. false: no file of ours. */
static bool split(struct stored *s)
{
	char *mark = NULL, *until, *at = s->text;

	while ((at = strstr(at, MARK)))
		mark = at++;
	if (!mark)
		return false;
	mark[strcspn(mark, "\n")] = '\0';
	until = strstr(mark, UNTIL);
	if (!until || strlen(mark) >= sizeof(s->from))
		return false;
	s->until_s = strtoull(until + strlen(UNTIL), NULL, 10);
	*until = '\0';
	snprintf(s->from, sizeof(s->from), "%s", mark + strlen(MARK));
	*mark = '\0';
	return true;
}

static bool read_stored(const struct fm_options *o, const char *name, struct stored *out)
{
	char path[PATH_MAX];
	size_t n;
	FILE *f;

	*out = (struct stored){ 0 };
	f = fm_new_file_path(o->state, name, path) == 0 ? fopen(path, "re") : NULL;
	if (!f)
		return false;
	out->text = calloc(1, FM_POLICY_TEXT_MAX + sizeof(out->from) + 100);
	n = out->text ? fread(out->text, 1, FM_POLICY_TEXT_MAX + sizeof(out->from), f) : 0;
	(void)fclose(f);
	if (n > 0 && split(out))
		return true;
	free(out->text);
	*out = (struct stored){ 0 };
	return false;
}

/* Whole or not at all, and durable before it counts. */
static int write_stored(const struct fm_options *o, const char *name, const struct stored *s)
{
	struct fm_new_file n;
	int ret = fm_new_file_begin(&n, o->state, name);

	if (ret < 0)
		return ret;
	fprintf(n.f, "%s" MARK "%s" UNTIL "%" PRIu64 "\n", s->text, s->from, s->until_s);
	return fm_new_file_end(&n, FM_OUTLIVES_MACHINE);
}

static void remove_stored(const struct fm_options *o, const char *name)
{
	char path[PATH_MAX];

	if (fm_new_file_path(o->state, name, path) == 0)
		(void)unlink(path);
}

/* What counts now: a trial that is not over, else what is in force. false: nothing. */
static bool read_now(const struct fm_options *o, struct stored *out)
{
	if (read_stored(o, ON_TRIAL, out)) {
		if (out->until_s > fm_wall_us() / SECOND_US)
			return true;
		free(out->text);
	}
	return read_stored(o, IN_FORCE, out);
}

int fm_policy_load(const struct fm_options *o, struct fm_config *c, FILE *err)
{
	struct fm_config *policy;
	struct stored s;

	if (!c->is_host || !read_now(o, &s))
		return 0;
	policy = fm_config_read_policy(s.from, s.text, c, err);
	free(s.text);
	if (!policy) {
		fprintf(err,
			"flowmobd: the applied rules do not suit this configuration\n"
			"          correct it, or take %s/" IN_FORCE " away\n",
			o->state);
		return -EINVAL;
	}
	fm_config_take_policy(c, policy);
	return fm_config_fits(&c->host, err) ? 0 : -EINVAL; /* its default may be the other's */
}

static void tell(struct fm_daemon *d, enum fm_daemon_event event, const char *from)
{
	fm_events_put(&d->events, &fm_daemon_events[event], NULL, json_pack("{s:s}", "file", from));
}

static void set_timer(struct fm_daemon *d, uint64_t until_us)
{
	d->host->rules_file.until_us = until_us;
	fm_timer_set(&d->host->rules_file.timer, until_us);
}

/*
 * The trial is over: what was in force before is again. Where the configuration cannot be read now
 * (somebody is writing it) it is tried again.
 */
static void trial_is_over(void *ctx, uint64_t now_us)
{
	struct fm_daemon *d = ctx;
	char said[4096] = "";
	struct stored s;

	set_timer(d, 0);
	if (read_stored(&d->options, ON_TRIAL, &s)) {
		remove_stored(&d->options, ON_TRIAL);
		tell(d, FM_DAEMON_EVENT_POLICY_BACK, s.from);
		free(s.text);
	}
	if (fm_daemon_reload(d, said, sizeof(said)) < 0)
		set_timer(d, now_us + AGAIN_US);
}

int fm_policy_open(struct fm_daemon *d)
{
	uint64_t now_s = fm_wall_us() / SECOND_US;
	struct stored s;
	int ret = fm_timer_open(&d->host->rules_file.timer, &d->loop, trial_is_over, d);

	if (ret < 0 || !read_stored(&d->options, ON_TRIAL, &s))
		return ret;
	/* one that ended while no daemon ran was not loaded; it is told, and goes */
	set_timer(d, fm_now_us() + (s.until_s > now_s ? (s.until_s - now_s) * SECOND_US : 1));
	free(s.text);
	return 0;
}

void fm_policy_close(struct fm_daemon *d)
{
	fm_timer_close(&d->host->rules_file.timer);
}

/* Commands. */

static const char *text_of(const json_t *request, const char *key)
{
	return json_string_value(json_object_get(request, key));
}

/* What the configuration's reader said, to somebody who asked: not as a line of the log. */
static json_t *refusal(const char *said)
{
	static const char prefix[] = "flowmobd: ";
	bool has = strncmp(said, prefix, sizeof(prefix) - 1) == 0;

	return fm_control_error("refused", said + (has ? sizeof(prefix) - 1 : 0));
}

/* The rules of the request, judged by this host's accesses; NULL and *@error. */
static struct fm_config *read_request(struct fm_daemon *d, const json_t *request, json_t **error)
{
	const char *text = text_of(request, "text"), *file = text_of(request, "file");
	char said[4096] = "", *copy = text ? strdup(text) : NULL;
	FILE *err = fmemopen(said, sizeof(said), "w");
	struct fm_config *c = NULL;

	if (err && copy && file && strlen(text) <= FM_POLICY_TEXT_MAX && !strstr(file, UNTIL) &&
	    !strchr(file, '\n'))
		c = fm_config_read_policy(file, copy, d->config, err);
	else if (err)
		fprintf(err, "a file of rules has %u octets at most", FM_POLICY_TEXT_MAX);
	if (err)
		(void)fclose(err);
	free(copy);
	if (!c)
		*error = refusal(said);
	return c;
}

static json_t *answer_applied(const struct fm_daemon *d, const char *what)
{
	uint64_t until_us = d->host->rules_file.until_us;

	return json_pack(
		"{s:s, s:i, s:o}", "policy", what, "rules", d->config->host.n_rules, "confirm_s",
		until_us ? json_real((double)(until_us - fm_now_us()) / 1e6) : json_null());
}

static json_t *confirm(struct fm_daemon *d, struct stored *trial)
{
	int err;

	trial->until_s = 0;
	err = write_stored(&d->options, IN_FORCE, trial);
	if (err < 0)
		return fm_control_error("refused", strerror(-err));
	remove_stored(&d->options, ON_TRIAL);
	set_timer(d, 0);
	tell(d, FM_DAEMON_EVENT_POLICY_CONFIRMED, trial->from);
	return answer_applied(d, "confirmed");
}

static json_t *run_confirm(struct fm_daemon *d, json_t *request)
{
	struct stored trial;
	json_t *answer;

	(void)request;
	if (d->host->rules_file.until_us == 0 || !read_stored(&d->options, ON_TRIAL, &trial))
		return fm_control_error("no-trial", "no rules are on trial");
	answer = confirm(d, &trial);
	free(trial.text);
	return answer;
}

/* Writes the file and reads everything anew; what was there before comes back where that fails. */
static json_t *put_in_place(struct fm_daemon *d, const char *name, const struct stored *new)
{
	char said[4096] = "";
	struct stored old;
	bool has_old = read_stored(&d->options, name, &old);
	int err = write_stored(&d->options, name, new);
	json_t *error = NULL;

	if (err < 0) {
		error = fm_control_error("refused", strerror(-err));
	} else if (fm_daemon_reload(d, said, sizeof(said)) < 0) {
		if (has_old)
			(void)write_stored(&d->options, name, &old);
		else
			remove_stored(&d->options, name);
		error = refusal(said);
	}
	free(old.text);
	return error;
}

static json_t *apply(struct fm_daemon *d, const struct stored *new, double confirm_s)
{
	const char *name = confirm_s > 0 ? ON_TRIAL : IN_FORCE;
	struct stored before = { 0 };
	json_t *error;

	if (confirm_s <= 0 && read_stored(&d->options, ON_TRIAL, &before))
		remove_stored(&d->options, ON_TRIAL);
	error = put_in_place(d, name, new);
	if (error && before.text)
		(void)write_stored(&d->options, ON_TRIAL, &before);
	free(before.text);
	if (error)
		return error;
	set_timer(d, confirm_s > 0 ? fm_now_us() + (uint64_t)(confirm_s * 1e6) : 0);
	tell(d, FM_DAEMON_EVENT_POLICY_APPLIED, new->from);
	return answer_applied(d, confirm_s > 0 ? "on-trial" : "applied");
}

static json_t *run_apply(struct fm_daemon *d, json_t *request)
{
	double confirm_s = json_number_value(json_object_get(request, "confirm_s"));
	struct stored new = { 0 }, trial = { 0 };
	json_t *answer = NULL;
	struct fm_config *c;

	if (confirm_s < 0 || confirm_s > TRIAL_MAX_S)
		return fm_control_error("bad-request", "a trial lasts a day at most");
	c = read_request(d, request, &answer);
	if (!c)
		return answer;
	fm_config_free(c);
	new.text = strdup(text_of(request, "text"));
	if (!new.text)
		return fm_control_error("refused", strerror(ENOMEM));
	snprintf(new.from, sizeof(new.from), "%s", text_of(request, "file"));
	if (confirm_s > 0)
		new.until_s = fm_wall_us() / SECOND_US + (uint64_t)ceil(confirm_s);
	/* the same once more is as good as a confirmation */
	if (d->host->rules_file.until_us && read_stored(&d->options, ON_TRIAL, &trial) &&
	    strcmp(trial.text, new.text) == 0)
		answer = confirm(d, &trial);
	else
		answer = apply(d, &new, confirm_s);
	free(trial.text);
	free(new.text);
	return answer;
}

/* The rules of the configuration again. */
static json_t *run_reset(struct fm_daemon *d, json_t *request)
{
	char said[4096] = "";

	(void)request;
	remove_stored(&d->options, ON_TRIAL);
	remove_stored(&d->options, IN_FORCE);
	set_timer(d, 0);
	if (fm_daemon_reload(d, said, sizeof(said)) < 0)
		return refusal(said);
	return answer_applied(d, "reset");
}

struct count {
	uint16_t fid;
	json_int_t n;
};

static void count_flow(void *ctx, const struct fm_live_flow *f)
{
	struct count *c = ctx;

	c->n += !f->info.is_pinned && f->info.fid == c->fid;
}

/* How many of the data path's places it has now. */
static json_int_t places_of(const struct fm_daemon *d, unsigned fid)
{
	const struct fm_forwarding *f = &d->host->forwarding;
	json_int_t n = 0;

	for (uint8_t i = 0; i < f->n_rules; i++)
		n += f->rules[i].fid == fid;
	return n;
}

/* Whether it claims flows now, and how many it has. */
static void put_now(struct fm_daemon *d, uint16_t i, json_t *row)
{
	const struct fm_conf_host *c = &d->config->host;
	const struct fm_conf_rule *rule = i < c->n_rules ? &c->rules[i] : NULL;
	struct count count = { .fid = rule ? (uint16_t)(i + 1) : 0 };
	bool holds = !rule;
	json_int_t places;

	for (uint8_t k = 0; rule && k < rule->n_matches; k++)
		holds |= fm_host_rules_holds(d, &c->classes, &rule->matches[k]);
	fm_flows_each(&d->host->flows, count_flow, &count);
	json_object_set_new(row, "holds", json_boolean(holds));
	places = places_of(d, count.fid);
	json_object_set_new(row, "places",
			    rule || places ? json_integer(places) : json_null()); /* needs none */
	json_object_set_new(row, "flows", json_integer(count.n));
}

static json_t *list_rules(struct fm_daemon *d)
{
	json_t *list = fm_policy_rules(&d->config->host), *row;
	size_t i;

	json_array_foreach(list, i, row)
		put_now(d, (uint16_t)i, row);
	return list;
}

static json_t *run_show(struct fm_daemon *d, json_t *request)
{
	const struct fm_config *policy = d->config->policy;
	json_t *answer = answer_applied(d, d->host->rules_file.until_us ? "on-trial"
					   : policy			? "applied"
									: "configured");

	(void)request;
	fm_flows_look(&d->host->flows, fm_now_us());
	json_object_set_new(answer, "rule_places", fm_show_places(d));
	json_object_set_new(answer, "file",
			    json_string(policy ? policy->files[0] : d->options.config));
	json_object_set_new(answer, "rules", list_rules(d));
	return answer;
}

static json_t *run_diff(struct fm_daemon *d, json_t *request)
{
	json_t *answer = NULL;
	struct fm_config *c = read_request(d, request, &answer);

	if (!c)
		return answer;
	fm_flows_look(&d->host->flows, fm_now_us());
	fm_flows_find_owners(&d->host->flows, &d->host->diag, &d->host->proc);
	answer = fm_policy_diff(d, c);
	fm_config_free(c);
	return answer;
}

static const struct {
	const char *name;
	enum fm_control_right right;
	json_t *(*run)(struct fm_daemon *d, json_t *request);
} rows[] = {
	{ "show", FM_CONTROL_READ, run_show },	  { "diff", FM_CONTROL_READ, run_diff },
	{ "apply", FM_CONTROL_ADMIN, run_apply }, { "confirm", FM_CONTROL_ADMIN, run_confirm },
	{ "reset", FM_CONTROL_ADMIN, run_reset },
};

json_t *fm_host_command_policy(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	const char *what = text_of(request, "do");

	for (size_t i = 0; what && i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].name, what) != 0)
			continue;
		if (fm_client_right(client) < rows[i].right)
			return fm_control_error("not-permitted", "join the group flowmob-admin");
		return rows[i].run(d, request);
	}
	return fm_control_error("bad-request", "do is one of: show diff apply confirm reset");
}
