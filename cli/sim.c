/*
 * `flowmob sim`: runs the core under virtual time and tells whether all held that must hold.
 */
#include "cli/sim.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/say.h"
#include "sim/sim.h"

struct words {
	const char *hosts, *seed, *hours, *loss, *faults;
};

static bool read_number(const char *text, double least, double most, double *out)
{
	char *end;

	if (!text)
		return true; /* not said: what it is stays */
	*out = strtod(text, &end);
	if (end != text && *end == '%')
		end++;
	return end != text && *end == '\0' && *out >= least && *out <= most;
}

/* "link,cut", "all" or "none". Return: NULL, or the name that is none. */
static const char *read_faults(const char *text, uint32_t *out)
{
	static char name[32];

	if (!text || strcmp(text, "all") == 0)
		return NULL;
	*out = 0;
	if (strcmp(text, "none") == 0)
		return NULL;
	while (*text) {
		size_t len = strcspn(text, ",");
		int at;

		snprintf(name, sizeof(name), "%.*s", (int)len, text);
		at = fm_sim_fault_find(name);
		if (at < 0)
			return name;
		*out |= 1u << at;
		text += len + (text[len] == ',');
	}
	return NULL;
}

static int read_words(const struct words *w, bool json, struct fm_sim_conf *conf)
{
	double hosts = conf->n_hosts, loss = conf->loss_ppm / 1e4;
	char *end = NULL;
	const char *bad = read_faults(w->faults, &conf->faults);

	if (bad)
		return fm_say_error(json, FM_EXIT_USAGE, "no-such-fault",
				    "man flowmob-sim names them", "there is no fault \"%s\"", bad);
	if (w->seed)
		conf->seed = strtoull(w->seed, &end, 0);
	if ((end && (*end || end == w->seed)) ||
	    !read_number(w->hosts, 1, FM_SIM_HOSTS_MAX, &hosts) ||
	    !read_number(w->loss, 0, 100, &loss) ||
	    !read_number(w->hours, 0.001, 1e6, &conf->hours))
		return fm_say_error(json, FM_EXIT_USAGE, "usage", "flowmob sim --help",
				    "a number is missing, or out of its range");
	conf->n_hosts = (uint32_t)hosts;
	conf->loss_ppm = (uint32_t)(loss * 1e4);
	return FM_EXIT_OK;
}

static json_t *list_violations(const struct fm_sim_result *r)
{
	json_t *list = json_array();

	for (uint64_t i = 0; i < r->n_violations && i < FM_SIM_VIOLATIONS_MAX; i++) {
		const struct fm_sim_violation *v = &r->violations[i];
		json_t *o = json_pack("{s:f, s:s}", "at_s", v->at_s, "what", v->what);

		if (v->host != UINT32_MAX)
			json_object_set_new(o, "host", json_integer(v->host));
		json_array_append_new(list, o);
	}
	return list;
}

static int say_json(const struct fm_sim_conf *c, const struct fm_sim_result *r, double wall_s)
{
	char digest[17];

	snprintf(digest, sizeof(digest), "%016" PRIx64, r->digest);
	json_t *o = json_pack(
		"{s:b, s:i, s:I, s:f, s:f, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}",
		"ok", r->n_violations == 0, "hosts", (int)c->n_hosts, "seed", (json_int_t)c->seed,
		"hours", c->hours, "loss_percent", c->loss_ppm / 1e4, "digest", digest, "events",
		(json_int_t)r->n_events, "messages", (json_int_t)r->n_messages, "lost",
		(json_int_t)r->n_lost, "repeated", (json_int_t)r->n_repeated, "probes",
		(json_int_t)r->n_probes, "faults", (json_int_t)r->n_faults, "accepted",
		(json_int_t)r->n_accepted, "agreements", (json_int_t)r->n_checks, "violation_count",
		(json_int_t)r->n_violations, "wall_s", wall_s);
	json_object_set_new(o, "violations", list_violations(r));
	return fm_say_object(o, r->n_violations ? FM_EXIT_FAILED : FM_EXIT_OK);
}

static int say_text(const struct fm_sim_conf *c, const struct fm_sim_result *r, double wall_s)
{
	printf("%u hosts, %.3g hours, seed %" PRIu64 ", %.3g %% loss in storms\n", c->n_hosts,
	       c->hours, c->seed, c->loss_ppm / 1e4);
	printf("%" PRIu64 " events, %" PRIu64 " messages (%" PRIu64 " lost, %" PRIu64
	       " repeated), %" PRIu64 " probes, %" PRIu64 " faults, in %.1f s\n",
	       r->n_events, r->n_messages, r->n_lost, r->n_repeated, r->n_probes, r->n_faults,
	       wall_s);
	printf("%" PRIu64 " updates accepted, agreement checked %" PRIu64 " times\n", r->n_accepted,
	       r->n_checks);
	for (uint64_t i = 0; i < r->n_violations && i < FM_SIM_VIOLATIONS_MAX; i++) {
		const struct fm_sim_violation *v = &r->violations[i];

		printf("violated at %.3f s", v->at_s);
		if (v->host != UINT32_MAX)
			printf(", host %u", v->host);
		printf(": %s\n", v->what);
	}
	printf("digest %016" PRIx64 ": ", r->digest);
	if (r->n_violations)
		printf("%" PRIu64 " violations\n", r->n_violations);
	else
		printf("all held\n");
	return r->n_violations ? FM_EXIT_FAILED : FM_EXIT_OK;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int fm_cli_sim(int argc, char **argv)
{
	struct words w = { 0 };
	const struct fm_option options[] = {
		{ "--hosts", "N", "mobile nodes, 1 to 10000; default 2", &w.hosts, NULL },
		{ "--seed", "S", "decides every random choice; default 1", &w.seed, NULL },
		{ "--hours", "H", "of virtual time; default 1", &w.hours, NULL },
		{ "--loss", "P", "percent of the messages each way, in storms; default 30", &w.loss,
		  NULL },
		{ "--faults", "LIST", "names with commas, all (default) or none; see the manual",
		  &w.faults, NULL },
		{ 0 },
	};
	struct fm_args a = {
		.usage = "sim [--hosts N] [--seed S] [--hours H] [--loss P] [--faults LIST]",
		.about = "Runs one anchor and many hosts, the same code as in the daemon, under "
			 "virtual time over a\nbad network, and checks what must always hold.",
		.options = options
	};
	struct fm_sim_conf conf;
	struct fm_sim_result *r;
	int code;

	if (!fm_args_read(&a, argc, argv, &code))
		return code;
	fm_sim_conf_init(&conf);
	code = read_words(&w, a.json, &conf);
	if (code != FM_EXIT_OK)
		return code;
	r = calloc(1, sizeof(*r));
	double from_s = seconds();
	int err = r ? fm_sim_run(&conf, r) : -ENOMEM;
	if (err)
		code = fm_say_error(a.json, FM_EXIT_FAILED, "no-memory", "fewer hosts",
				    "the simulation could not go on: %s", strerror(-err));
	else
		code = (a.json ? say_json : say_text)(&conf, r, seconds() - from_s);
	free(r);
	return code;
}
