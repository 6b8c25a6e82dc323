/*
 * Host policy for the `sock` programs, and programs under `flowmob run`.
 */
#include "daemon/host_policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "daemon/host.h"
#include "daemon/host_runs.h"
#include "daemon/role.h"
#include "daemon/show.h"
#include "daemon/who.h"

#define WAIT_MAX_S 86400.0

static bool is_used(const struct fm_host_run *r)
{
	return r->cgroup[0] != '\0';
}

/* Is @path the cgroup @run itself, or one below it? */
static bool is_below(const char *path, const char *run)
{
	size_t len = strlen(run);

	return strncmp(path, run, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static const struct fm_host_run *find_run(const struct fm_host_policy *p, const char *cgroup)
{
	for (uint32_t i = 0; i < FM_RUNS_MAX; i++) {
		if (is_used(&p->runs[i]) && is_below(cgroup, p->runs[i].cgroup))
			return &p->runs[i];
	}
	return NULL;
}

/* For all that is in its cgroup, before the first of its sockets is there. */
static int put_verdict(const struct fm_daemon *d, const struct fm_host_run *r)
{
	struct fm_sock_who who = { .cgroup = r->cgroup_id, .uid = FM_SOCK_ANY, .gid = FM_SOCK_ANY };
	struct fm_sock_verdict v = { .allowed = r->allowed,
				     .default_type = r->type,
				     .is_strict = true,
				     .is_tree = true,
				     .default_request = r->request };

	v.is_classed = fm_who_classes_of_cgroup(&d->host->policy.words, r->cgroup, &v.classes);
	return fm_sock_verdict(d->host->sockets.sock, &who, &v);
}

int fm_host_policy_classes(struct fm_daemon *d, const struct fm_conf_owner *words, uint32_t n,
			   uint8_t *bits)
{
	return fm_who_set(&d->host->policy.words, words, n, bits);
}

bool fm_host_policy_has_kind(const struct fm_daemon *d, uint8_t kinds)
{
	return fm_who_has_kind(&d->config->host, kinds) ||
	       (fm_who_kinds(&d->host->policy.words) & kinds);
}

void fm_host_policy_turn(struct fm_daemon *d)
{
	if (!d->host->policy.is_touched || !d->host->dp)
		return;
	d->host->policy.is_touched = false;
	fm_role_told_dp(d, fm_dp_touch(d->host->dp));
}

/*
 * What policy says of @who. A program under `flowmob run` never gets another type than it was
 * started with; those of a program block are left alone until there is an address of theirs.
 */
static void judge(const struct fm_daemon *d, const struct fm_who *who, struct fm_sock_verdict *v)
{
	const struct fm_host_run *run = find_run(&d->host->policy, who->cgroup);

	v->allowed = fm_who_allowed(&d->config->host, who);
	v->default_type = run ? run->type : fm_who_default(&d->config->host, who);
	v->is_strict = run != NULL;
	v->default_request = run ? run->request : 0;
	v->is_classed = true;
	v->classes = fm_who_classes(&d->host->policy.words, who);
	if (v->default_type)
		v->allowed |= (uint8_t)(1u << v->default_type);
}

/* Flows choose again where their sender's classes are others now. */
static void put_judged(struct fm_daemon *d, const struct fm_sock_who *of,
		       const struct fm_sock_verdict *v)
{
	if (fm_sock_classes(d->host->sockets.sock, of) != v->classes)
		d->host->policy.is_touched = true;
	fm_role_told_dp(d, fm_sock_verdict(d->host->sockets.sock, of, v));
}

/* All that policy says of one user: in each group that it names, and in all others. */
static void put_person(struct fm_daemon *d, uint32_t uid)
{
	const struct fm_people *p = &d->host->policy.people;

	for (uint32_t i = 0; i <= p->n_groups; i++) {
		uint32_t gid = i < p->n_groups ? p->groups[i] : FM_SOCK_ANY;
		struct fm_who who = { .uid = uid, .gid = gid, .cgroup = "", .program = "" };
		struct fm_sock_who of = { .uid = uid, .gid = gid };
		struct fm_sock_verdict v = { 0 };

		judge(d, &who, &v);
		put_judged(d, &of, &v);
	}
}

/* Before their first socket. Others are judged when they ask, unless nobody else can be meant. */
static void put_people(struct fm_daemon *d)
{
	const struct fm_people *p = &d->host->policy.people;

	for (uint32_t i = 0; i < p->n_users; i++)
		put_person(d, p->users[i]);
	if (p->is_only && p->is_all)
		put_person(d, FM_SOCK_ANY);
}

/* Of what runs, and of the configuration: those of before are stale. */
static int put_verdicts(struct fm_daemon *d)
{
	const struct fm_host_policy *p = &d->host->policy;
	bool has_defaults = fm_who_has_defaults(&d->config->host), has_runs = false;
	int err;

	for (uint32_t i = 0; i < FM_RUNS_MAX; i++)
		has_runs |= is_used(&p->runs[i]);
	has_defaults |= has_runs;
	if (!d->host->sockets.sock)
		return 0;
	fm_sock_deadline(d->host->sockets.sock,
			 (uint32_t)(d->config->host.home.deadline_us / 1000));
	err = fm_sock_policy(d->host->sockets.sock, fm_who_closed(&d->config->host), has_defaults,
			     0);
	fm_sock_trees(d->host->sockets.sock, has_runs);
	fm_sock_people(d->host->sockets.sock, p->people.is_only);
	if (err == 0)
		err = fm_sock_senders(d->host->sockets.sock, p->words.used != 0);
	for (uint32_t i = 0; i < FM_RUNS_MAX && err == 0; i++) {
		if (is_used(&p->runs[i]))
			err = put_verdict(d, &p->runs[i]);
	}
	fm_role_told(d, FM_DAEMON_EVENT_TYPES_OFF, "types by unit ahead", fm_host_cgroups_apply(d));
	put_people(d);
	return err;
}

int fm_host_policy_apply(struct fm_daemon *d)
{
	struct fm_host_policy *p = &d->host->policy;

	p->people_stamp = fm_people_stamp();
	fm_people_find(&p->people, &d->config->host, &p->words);
	return put_verdicts(d);
}

static dev_t device_of(const struct fm_sock_who *who)
{
	return makedev(who->exe_dev >> 20, who->exe_dev & 0xfffff);
}

/* The file that policy or a rule names, by what eBPF saw of it. */
static bool find_named(const struct fm_daemon *d, const struct fm_sock_who *who,
		       char program[FM_PROC_PATH])
{
	return fm_who_find_program(&d->config->host, device_of(who), who->exe_ino, program,
				   FM_PROC_PATH) ||
	       fm_who_find_sender(&d->host->policy.words, device_of(who), who->exe_ino, program,
				  FM_PROC_PATH);
}

/*
 * Has it become another program since it asked? File systems in layers, whose devices have no
 * number of their own, show other numbers than eBPF sees: there nobody can tell.
 */
static bool is_other(const char *program, const struct fm_sock_who *who)
{
	struct stat st;

	return stat(program, &st) == 0 && major(st.st_dev) != 0 &&
	       (st.st_dev != device_of(who) || st.st_ino != who->exe_ino);
}

/* The kernel's number means another process in a pid namespace of our own. */
static uint32_t pid_of(const struct fm_sock_event *e)
{
	return fm_proc_has_all() ? e->pid : 0;
}

/*
 * Which program asks; "": none that policy names, or that was not seen. One that has ended, or
 * become another, is known where its file is one that policy names. false: not known.
 */
static bool find_program(const struct fm_daemon *d, const struct fm_sock_event *e,
			 char program[FM_PROC_PATH])
{
	int err;

	program[0] = '\0';
	if (pid_of(e) == 0)
		return true;
	err = fm_proc_helper_program(&d->host->proc, e->pid, program);
	if (err == 0) {
		if (is_other(program, &e->who))
			(void)find_named(d, &e->who, program); /* "": policy names none such */
		return true;
	}
	program[0] = '\0';
	if (err != -ENOENT && err != -ESRCH)
		return true;
	return !fm_host_policy_has_kind(d, 1u << FM_OWNER_PROGRAM) ||
	       find_named(d, &e->who, program);
}

/*
 * Each start of a unit makes another cgroup: where policy names none, what it says holds for the
 * user's program in all of them.
 */
static bool is_for_all_cgroups(const struct fm_daemon *d, const char *cgroup)
{
	return !fm_host_policy_has_kind(d, FM_WHO_BY_CGROUP) && !find_run(&d->host->policy, cgroup);
}

void fm_host_policy_who(struct fm_daemon *d, const struct fm_sock_event *e)
{
	char cgroup[1024] = "", program[FM_PROC_PATH] = "";
	struct fm_who who = {
		.uid = e->who.uid, .gid = e->who.gid, .cgroup = cgroup, .program = program
	};
	struct fm_sock_who of = e->who;
	struct fm_sock_verdict v = { 0 };

	/* the process is looked at where it is still there, its cgroup also when it is gone */
	if ((pid_of(e) == 0 || fm_proc_cgroup_of(e->pid, cgroup, sizeof(cgroup)) < 0) &&
	    fm_proc_cgroup(e->who.cgroup, cgroup, sizeof(cgroup)) < 0)
		cgroup[0] = '\0';
	if (!cgroup[0] && fm_host_policy_has_kind(d, FM_WHO_BY_CGROUP))
		return; /* gone, or outside of our cgroup namespace: what blocks stays closed */
	if (d->host->policy.people.is_only && !find_run(&d->host->policy, cgroup)) {
		put_person(d, e->who.uid);
		return;
	}
	if (!find_program(d, e, program))
		return; /* a verdict would hold for all of that program, unseen */
	judge(d, &who, &v);
	if (is_for_all_cgroups(d, cgroup))
		of.cgroup = 0;
	put_judged(d, &of, &v);
}

bool fm_host_policy_is_run(const struct fm_daemon *d, const char *cgroup)
{
	return find_run(&d->host->policy, cgroup) != NULL;
}

static bool is_same(const struct fm_host_refused *r, const struct fm_sock_who *who)
{
	return r->uid == who->uid && r->exe_ino == who->exe_ino && r->exe_dev == who->exe_dev;
}

/* Was that told of them? From now on it was. */
static bool was_told(struct fm_host_policy *p, const struct fm_sock_who *who, uint8_t type)
{
	uint32_t i = 0, n = p->n_refused < FM_REFUSED_MAX ? p->n_refused : FM_REFUSED_MAX;
	bool was;

	while (i < n && !is_same(&p->refused[i], who))
		i++;
	if (i == n) {
		i = p->n_refused++ % FM_REFUSED_MAX;
		p->refused[i] = (struct fm_host_refused){ .uid = who->uid,
							  .exe_dev = who->exe_dev,
							  .exe_ino = who->exe_ino };
	}
	was = p->refused[i].types >> type & 1;
	p->refused[i].types |= (uint8_t)(1u << type);
	return was;
}

static void tell_refused(struct fm_daemon *d, const struct fm_sock_who *who, uint8_t type,
			 const char *reason, const char *program)
{
	if (!was_told(&d->host->policy, who, type))
		fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_TYPE_REFUSED], reason,
			      json_pack("{s:s, s:I, s:s*}", "type", fm_type_names[type], "uid",
					(json_int_t)who->uid, "program", program));
}

void fm_host_policy_refused(struct fm_daemon *d, const struct fm_sock_who *who, uint8_t type,
			    const char *reason)
{
	d->host->policy.refusals[type]++;
	tell_refused(d, who, type, reason, NULL);
}

void fm_host_policy_forbade(struct fm_daemon *d, const struct fm_sock_event *e)
{
	char program[FM_PROC_PATH] = "";

	if (e->type == 0 || e->type >= FM_TYPES_MAX)
		return;
	(void)find_program(d, e, program);
	tell_refused(d, &e->who, e->type, "not-permitted", program[0] ? program : NULL);
}

uint64_t fm_host_policy_refusals(const struct fm_daemon *d, uint8_t type)
{
	const struct fm_sock *sock = d->host->sockets.sock;

	return d->host->policy.refusals[type] + (sock ? fm_sock_refused(sock, type) : 0);
}

bool fm_host_policy_keeps(const struct fm_daemon *d, uint8_t type)
{
	for (uint32_t i = 0; i < FM_RUNS_MAX; i++) {
		const struct fm_host_run *r = &d->host->policy.runs[i];

		if (is_used(r) && r->request == 0 && r->type == type)
			return true;
	}
	return false;
}

_Static_assert(FM_RULES_MAX + FM_RUNS_MAX <= FM_HOST_RULES_MAX, "each run has its rule");

/* Packets from its own prefix take its own accesses, before all rules of the configuration. */
static void put_rule(const struct fm_host_run *r, uint16_t number, struct fm_host_conf *conf)
{
	struct fm_host_rule_conf *rule = &conf->rules[0];

	if (r->prefix.len == 0 || conf->n_rules == FM_HOST_RULES_MAX)
		return;
	memmove(rule + 1, rule, conf->n_rules * sizeof(*rule));
	conf->n_rules++;
	*rule = (struct fm_host_rule_conf){ .number = number };
	rule->selector.format = 2; /* RFC 6088 §3.2: IPv6 */
	rule->selector.has_start = rule->selector.has_end = 1u << FM_SEL_SRC;
	rule->selector.src[0] = rule->selector.src[1] = r->prefix.ip;
	memset(rule->selector.src[1].b + 8, 0xff, 8);
	rule->steer.n_via = r->n_via;
	rule->steer.is_wait = true; /* these accesses, and no other */
	memcpy(rule->steer.via, r->via, r->n_via);
}

void fm_host_policy_rules(const struct fm_daemon *d, struct fm_host_conf *conf)
{
	for (uint32_t i = 0; i < FM_RUNS_MAX; i++) {
		const struct fm_host_run *r = &d->host->policy.runs[i];

		if (is_used(r) && r->n_via > 0)
			put_rule(r, (uint16_t)(FM_RUN_RULE + i), conf);
	}
}

static void steer_anew(struct fm_daemon *d)
{
	struct fm_host_conf conf;

	fm_host_rules_conf(d, d->config, &conf);
	fm_host_reconfigure(&d->host->core, &conf, fm_now_us());
	fm_daemon_changed(d);
}

/* The end of a run. Its address goes when no socket has it any more. */
static void end_run(struct fm_daemon *d, struct fm_host_run *r)
{
	bool has_rule = r->n_via > 0;

	if (r->request)
		fm_host_words_gone(d, r->request);
	*r = (struct fm_host_run){ 0 };
	fm_host_runs_save(d);
	fm_role_told_dp(d, put_verdicts(d));
	if (has_rule)
		steer_anew(d);
	fm_daemon_changed(d);
}

/* A cgroup's id is its directory's inode; 0: there is none. */
static uint64_t id_of(const char *cgroup)
{
	char mount[1024], path[2048];
	struct stat st;

	if (fm_proc_cgroup_mount(mount, sizeof(mount)) < 0)
		return 0;
	(void)snprintf(path, sizeof(path), "%s%s", mount, cgroup);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* One that was killed together with `flowmob run` leaves an empty cgroup behind. */
static bool is_populated(const char *cgroup)
{
	char mount[1024], path[2048], text[128] = "";
	FILE *f;

	if (fm_proc_cgroup_mount(mount, sizeof(mount)) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "%s%s/cgroup.events", mount, cgroup);
	f = fopen(path, "re");
	if (!f)
		return false;
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	(void)fclose(f);
	return strstr(text, "populated 1") != NULL;
}

bool fm_host_policy_is_there(const struct fm_host_run *r)
{
	return id_of(r->cgroup) == r->cgroup_id && is_populated(r->cgroup);
}

/* Who waits is told; without an address its program does not start. */
static void answer(struct fm_daemon *d, struct fm_host_run *r, json_t *line)
{
	(void)fm_client_send(r->client, line);
	r->client = NULL;
	if (json_object_get(line, "error"))
		end_run(d, r);
	else
		fm_host_runs_save(d);
	json_decref(line);
}

/* What it asked for; an address of the access may be of either family. */
static struct fm_host_outcome outcome_of(const struct fm_daemon *d, const struct fm_host_run *r)
{
	struct fm_host_outcome o;

	if (r->request)
		return fm_host_words_outcome_own(d, r->request);
	o = fm_host_words_outcome(d, r->type, false);
	if (r->type == FM_NONPERSISTENT && o.state != FM_SOCK_READY)
		o = fm_host_words_outcome(d, r->type, true);
	return o;
}

static json_t *refusal(int error)
{
	return error == ETIMEDOUT
		       ? fm_control_error("no-answer",
					  "the anchor did not answer in time; see flowmob check")
		       : fm_control_error("refused",
					  "there is no address of that type; see flowmob "
					  "address");
}

/* Returns the answer for one that waits, NULL: it waits on. */
static json_t *look_at(struct fm_daemon *d, struct fm_host_run *r, uint64_t now_us)
{
	struct fm_host_outcome o = outcome_of(d, r);
	const struct fm_host_slot *slot = &d->host->sockets.slots[o.slot];

	if (o.state == FM_SOCK_FAILED)
		return refusal(o.error);
	if (o.state != FM_SOCK_READY)
		return now_us < r->until_us ? NULL : refusal(ETIMEDOUT);
	if (r->n_via > 0 && r->prefix.len == 0) {
		r->prefix = slot->prefix;
		steer_anew(d);
		return NULL; /* not before the data path has the rule: the next turn puts it there
			      */
	}
	return json_pack("{s:i, s:s, s:s, s:o}", "schema", 1, "cgroup", r->cgroup, "type",
			 fm_type_names[r->type], "address", fm_show_ip(&slot->ip));
}

static void want(struct fm_daemon *d, const struct fm_host_run *r)
{
	struct fm_sock_event e = { .type = r->type, .id = r->request, .who.uid = r->uid };

	if (r->request) {
		fm_host_words_own(d, &e);
		return;
	}
	fm_host_words_want(d, &e);
	e.is_v4 = 1;
	if (r->type == FM_NONPERSISTENT)
		fm_host_words_want(d, &e);
}

/* Users and groups that came, went or changed are judged anew. */
static void look_at_people(struct fm_daemon *d)
{
	if (d->host->sockets.sock &&
	    fm_host_policy_has_kind(d, 1u << FM_OWNER_USER | 1u << FM_OWNER_GROUP) &&
	    d->host->policy.people_stamp != fm_people_stamp())
		fm_role_told_dp(d, fm_host_policy_apply(d));
}

void fm_host_policy_look(struct fm_daemon *d, uint64_t now_us)
{
	struct fm_host_policy *p = &d->host->policy;
	bool is_second = now_us - p->looked_us >= 1000000;

	p->looked_us = is_second ? now_us : p->looked_us;
	if (is_second)
		look_at_people(d);
	for (uint32_t i = 0; i < FM_RUNS_MAX; i++) {
		struct fm_host_run *r = &p->runs[i];
		json_t *line;

		if (!is_used(r))
			continue;
		line = r->client ? look_at(d, r, now_us) : NULL;
		if (line)
			answer(d, r, line);
		else if (!r->client && is_second && !fm_host_policy_is_there(r))
			end_run(d, r);
		else if (!r->client && outcome_of(d, r).state == FM_SOCK_NONE)
			want(d, r); /* the one of before is over */
	}
}

void fm_host_policy_gone(struct fm_daemon *d, const struct fm_client *client)
{
	for (uint32_t i = 0; i < FM_RUNS_MAX; i++) {
		if (d->host->policy.runs[i].client == client)
			end_run(d, &d->host->policy.runs[i]);
	}
}

/* The command. */

/* The caller's cgroup, if it made one for this: what else lives in it would get the type too. */
static json_t *find_cgroup(const struct ucred *peer, char *out, size_t size)
{
	const char *last;

	if (fm_proc_cgroup_of((uint32_t)peer->pid, out, size) < 0)
		return fm_control_error("no-cgroup", "no cgroup v2 of the caller is known");
	last = strrchr(out, '/');
	if (!last || strncmp(last + 1, FM_RUN_CGROUP, strlen(FM_RUN_CGROUP)) != 0)
		return fm_control_error("no-cgroup",
					"the caller is in no cgroup of its own: use flowmob run");
	return NULL;
}

static json_t *read_via(const struct fm_daemon *d, const json_t *via, struct fm_host_run *r)
{
	json_t *name;
	size_t i;

	json_array_foreach(via, i, name) {
		int access = json_is_string(name) ? fm_host_access_named(d, json_string_value(name))
						  : -1;

		if (access < 0 || r->n_via == FM_ACCESSES_MAX)
			return fm_control_error("no-such-access",
						"no such access; flowmob access lists them");
		r->via[r->n_via++] = (uint8_t)access;
	}
	return NULL;
}

/* An own prefix where packets are to be steered by it, else what others of the type have too. */
static json_t *ask(struct fm_daemon *d, struct fm_host_run *r)
{
	if (r->n_via > 0 && r->type == FM_NONPERSISTENT)
		return fm_control_error("bad-request", "nonpersistent sockets are not steered");
	if (r->n_via > 0)
		r->request = FM_SOCK_REQUEST_DAEMON | ++d->host->policy.last_request;
	want(d, r);
	return NULL;
}

static json_t *fill(struct fm_daemon *d, struct fm_client *client, const json_t *request,
		    struct fm_host_run *r)
{
	const char *type = json_string_value(json_object_get(request, "type"));
	double timeout_s = json_number_value(json_object_get(request, "timeout_s"));
	struct ucred peer = fm_client_peer(client);
	struct fm_who who = {
		.uid = peer.uid, .gid = peer.gid, .cgroup = r->cgroup, .program = ""
	};
	int number = type ? fm_value_word(type, fm_type_names) : -1;
	uint64_t now_us = fm_now_us();
	json_t *error = find_cgroup(&peer, r->cgroup, sizeof(r->cgroup));

	if (error)
		return error;
	if (number <= 0)
		return fm_control_error("bad-request",
					"types are: fixed session-lasting nonpersistent "
					"graceful-replacement");
	r->type = (uint8_t)number;
	r->uid = peer.uid;
	r->cgroup_id = id_of(r->cgroup);
	r->allowed = fm_who_allowed(&d->config->host, &who);
	if (!(r->allowed >> r->type & 1)) {
		fm_host_policy_refused(d, &(struct fm_sock_who){ .uid = peer.uid }, r->type,
				       "not-permitted");
		return fm_control_error("not-permitted",
					"the policy of this host does not allow you that type");
	}
	error = read_via(d, json_object_get(request, "via"), r);
	if (error)
		return error;
	r->until_us = now_us + d->config->host.home.deadline_us;
	if (timeout_s > 0 && timeout_s <= WAIT_MAX_S)
		r->until_us = now_us + (uint64_t)(timeout_s * 1e6);
	r->client = client;
	return ask(d, r);
}

json_t *fm_host_command_run(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	struct fm_host_policy *p = &d->host->policy;
	struct fm_host_run *r = NULL;
	json_t *error;

	if (!d->host->sockets.sock)
		return fm_control_error("no-sockets", "types for sockets do not work here; flowmob "
						      "check tells why");
	for (uint32_t i = 0; i < FM_RUNS_MAX && !r; i++) {
		if (!is_used(&p->runs[i]))
			r = &p->runs[i];
	}
	if (!r)
		return fm_control_error("too-many", "too many programs run with types of theirs");
	error = fill(d, client, request, r);
	if (error) {
		*r = (struct fm_host_run){ 0 };
		return error;
	}
	fm_role_told_dp(d, put_verdicts(d));
	fm_daemon_changed(d);
	return NULL;
}
