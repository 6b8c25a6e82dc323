/*
 * `flowmob explain`: rule by rule why a flow goes where it goes, or where one would go. It asks the
 * same rules, choices and routes that packets meet, and decides nothing itself.
 */
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/facts.h"
#include "daemon/host.h"
#include "daemon/host_commands.h"
#include "daemon/who.h"

#define WHY_MAX 640u

/**
 * struct question - a flow that is, or one that might be
 * @live: what the data path knows of it; NULL: there is none
 * @is_moved: by a command or by the anchor, perhaps just now
 * @facts: what rules may ask of it
 * @type: that policy gives to who is asked about; 0: none. @policy: the program block that does
 * @rule: place among the core's rules of the one that decides, n_rules: the default
 */
struct question {
	struct fm_daemon *d;
	struct fm_tuple tuple;
	struct fm_facts facts;
	const struct fm_live_flow *live;
	bool is_moved;
	uint8_t rule, type;
	const char *policy;
	json_t *history;
	double since_s;
	char local[FM_ADDRESS_TEXT_MAX + 8], remote[FM_ADDRESS_TEXT_MAX + 8];
};

static const struct fm_steer *steer_at(const struct fm_host *h, uint8_t i)
{
	return i < h->conf.n_rules ? &h->conf.rules[i].steer : &h->conf.fallback;
}

/* Appends, as far as there is room. */
static void append(char why[WHY_MAX], const char *text)
{
	strncat(why, text, WHY_MAX - 1 - strlen(why));
}

static void append_accesses(const struct fm_daemon *d, uint16_t mask, char why[WHY_MAX])
{
	const char *comma = "";

	for (uint8_t i = 0; i < d->config->host.n_accesses; i++) {
		if (!(mask & 1u << i))
			continue;
		append(why, comma);
		append(why, d->config->host.accesses[i].name);
		comma = ", ";
	}
}

/* "60 wifi, 40 lte take new flows; those that run stay on wifi, lte" */
static void say_shares(const struct fm_daemon *d, const struct fm_choice *c, char why[WHY_MAX])
{
	const char *comma = "";
	unsigned n = 0;

	for (uint8_t i = 0; i < d->config->host.n_accesses; i++)
		n += c->weights[i] != 0;
	for (uint8_t i = 0; i < d->config->host.n_accesses; i++) {
		char share[8];

		if (c->weights[i] == 0)
			continue;
		(void)snprintf(share, sizeof(share), "%u ", c->weights[i]);
		append(why, comma);
		append(why, n > 1 ? share : "");
		append(why, d->config->host.accesses[i].name);
		comma = ", ";
	}
	append(why, n > 1 ? " take new flows; those that run stay on "
			  : " takes new flows; those that run stay on ");
	append_accesses(d, c->paths, why);
}

/* How each access of the rule is now: "wifi works 12.3 ms, lte is dead". */
static void say_ranks(const struct fm_daemon *d, const struct fm_steer *s, char why[WHY_MAX])
{
	static const char *const ranks[] = {
		[FM_RANK_NONE] = "has no path", [FM_RANK_LAST] = "is dead",
		[FM_RANK_SPENT] = "is used up", [FM_RANK_SUSPECT] = "is suspect",
		[FM_RANK_LOSSY] = "loses much", [FM_RANK_GOOD] = "works",
	};
	const char *comma = " (";
	char one[128];

	for (uint8_t k = 0; k < s->n_via; k++, comma = ", ") {
		const struct fm_host_access *a = &d->host->core.accesses[s->via[k]];
		uint32_t rtt_us = a->health.srtt_us;

		(void)snprintf(one, sizeof(one), "%s%s %s", comma,
			       d->config->host.accesses[s->via[k]].name, ranks[a->rank]);
		append(why, one);
		(void)snprintf(one, sizeof(one), " %u.%u ms", rtt_us / 1000, rtt_us / 100 % 10);
		if (rtt_us && a->rank > FM_RANK_LAST)
			append(why, one);
	}
	append(why, s->n_via ? ")" : "");
}

/* What steering holds against an access of the rule. */
static void say_objections(const struct fm_daemon *d, uint8_t i, char why[WHY_MAX])
{
	const struct fm_host *h = &d->host->core;
	const struct fm_steer *s = steer_at(h, i);

	for (uint8_t k = 0; k < s->n_via; k++) {
		const struct fm_host_access *a = &h->accesses[s->via[k]];
		bool is_full = s->mode == FM_STEER_PRIORITY_BASED && a->load.is_congested;
		bool is_over = h->choices[i].over >> s->via[k] & 1;

		if (!a->is_spent && !is_over && !is_full)
			continue;
		append(why, "; ");
		append(why, d->config->host.accesses[s->via[k]].name);
		append(why, a->is_spent ? ": quota used up"
			    : is_over	? ": above a limit of the rule"
					: ": congested");
	}
}

static bool is_blocking(const struct fm_host *h, uint8_t i)
{
	return i < h->conf.n_rules ? h->conf.rules[i].is_block : h->conf.fallback_is_block;
}

/* "active-standby via wifi, lte: now lte" */
static void say_choice(const struct fm_daemon *d, uint8_t i, char why[WHY_MAX])
{
	const struct fm_host *h = &d->host->core;
	const struct fm_steer *s = steer_at(h, i);
	const struct fm_choice *c = &h->choices[i];
	const char *comma = " via ";

	append(why, fm_mode_names[s->mode]);
	for (uint8_t k = 0; k < s->n_via; k++, comma = ", ") {
		append(why, comma);
		append(why, d->config->host.accesses[s->via[k]].name);
	}
	append(why, ": now ");
	if (c->copies)
		append_accesses(d, c->copies, why);
	else if (c->paths)
		say_shares(d, c, why);
	else if (c->access != FM_NO_ACCESS)
		append(why, d->config->host.accesses[c->access].name);
	else
		append(why, is_blocking(h, i) ? "none of them works: packets are dropped"
			    : s->is_wait      ? "none of them works: packets wait"
					      : "no access works: packets wait");
	if (c->copies && !h->reg.is_numbered)
		append(why, "; the anchor does not number copies: duplicates are delivered");
	say_ranks(d, s, why);
	say_objections(d, i, why);
	if (s->is_hold_back)
		append(why, "; hold-back: flows that go to a nearer access keep their order");
}

/* "moved to lte by flowmob move, for 532 s more" */
static void say_move(const struct question *q, char why[WHY_MAX])
{
	const struct fm_host_flow *f = fm_host_moved(&q->d->host->core, &q->tuple);
	uint64_t now_us = fm_now_us();
	char more[128];

	if (!f) {
		append(why, "moved by a command");
		return;
	}
	append(why, "moved to ");
	append(why, q->d->config->host.accesses[f->access].name);
	append(why, f->fid >= FM_NETWORK_FID ? " by the anchor (RFC 7109)" : " by flowmob move");
	if (f->until_us == UINT64_MAX)
		append(why, ", until it ends or that access is lost");
	(void)snprintf(more, sizeof(more), ", for %" PRIu64 " s more",
		       f->until_us > now_us ? (f->until_us - now_us) / 1000000 : 0);
	append(why, f->until_us != UINT64_MAX ? more : "");
	if (q->live->info.bid != f->access + 1)
		append(why, "; it goes there with its next packet");
	append(why, f->fid == 0 ? "; the anchor has no flow binding for it and follows its packets"
		    : f->is_known ? "; the anchor keeps to it"
				  : "; the anchor has not answered yet");
}

/* Does the data path have a rule of that number? Some may have no place (core/host_rule.c). */
static bool has_place(const struct fm_daemon *d, uint16_t number)
{
	const struct fm_forwarding *f = &d->host->forwarding;

	for (uint8_t i = 0; i < f->n_rules; i++) {
		if (f->rules[i].fid == number)
			return true;
	}
	return f->n_left_out == 0;
}

/* A word of a match that fails, or that cannot be told of this flow. */
static void say_word(enum fm_fits fits, const char *word, char why[WHY_MAX])
{
	append(why, why[0] ? ", " : "");
	append(why, fits == FM_FITS_NOT ? "not " : "cannot tell: ");
	append(why, word);
}

/* Does one of its matches hold? Of each that does not, @why names the first word that fails. */
static enum fm_fits match_rule(const struct question *q, const struct fm_conf_rule *rule,
			       char why[WHY_MAX])
{
	enum fm_fits all = FM_FITS_NOT;
	char word[FM_MATCH_TEXT_MAX];

	for (uint8_t i = 0; i < rule->n_matches; i++) {
		enum fm_fits one = fm_facts_fit(q->d, &q->facts, &q->d->config->host.classes,
						&rule->matches[i], word);

		if (one == FM_FITS)
			return FM_FITS;
		if (one == FM_FITS_PERHAPS)
			all = FM_FITS_PERHAPS;
		say_word(one, word, why);
	}
	return all;
}

static json_t *as_json(enum fm_fits fits)
{
	return fits == FM_FITS_PERHAPS ? json_null() : json_boolean(fits == FM_FITS);
}

static void add_rule(json_t *list, const char *name, json_t *matches, bool decides, const char *why)
{
	json_array_append_new(list, json_pack("{s:s, s:o, s:b, s:s}", "rule", name, "matches",
					      matches, "decides", decides, "why", why));
}

/* What the data path says decides; of a flow that is not there yet, the first rule that matches. */
static bool is_decisive(const struct question *q, uint16_t number, enum fm_fits fits,
			bool is_decided)
{
	if (q->live)
		return !q->is_moved && q->live->info.fid == number;
	return !is_decided && fits == FM_FITS && has_place(q->d, number);
}

/* Rule @k of the configuration. Returns whether it decides. */
static bool walk_rule(struct question *q, uint16_t k, bool is_decided, json_t *list)
{
	const struct fm_conf_rule *rule = &q->d->config->host.rules[k];
	char why[WHY_MAX] = "", where[4200];
	enum fm_fits fits = match_rule(q, rule, why);
	bool decides = is_decisive(q, (uint16_t)(k + 1), fits, is_decided);

	if (decides) {
		why[0] = '\0';
		q->rule = fm_host_rules_place(&q->d->host->core, (uint16_t)(k + 1));
		say_choice(q->d, q->rule, why);
	} else if (fits == FM_FITS) {
		why[0] = '\0';
		append(why, is_decided ? "one before it decides"
			    : !has_place(q->d, (uint16_t)(k + 1))
				    ? "it has no place in the data path"
				    : "none of its accesses works");
	}
	add_rule(list, rule->name, as_json(fits), decides, why);
	(void)snprintf(where, sizeof(where), "%.4096s:%d", rule->place.file, rule->place.line);
	json_object_set_new(json_array_get(list, json_array_size(list) - 1), "where",
			    json_string(where));
	return decides;
}

static json_t *list_rules(struct question *q)
{
	const struct fm_config *config = q->d->config;
	bool is_decided = q->is_moved;
	json_t *list = json_array();
	char why[WHY_MAX];

	why[0] = '\0';
	if (is_decided) {
		say_move(q, why);
		add_rule(list, "moved", json_true(), true, why);
	}
	if (q->live && !q->is_moved && q->live->info.fid >= FM_RUN_RULE &&
	    q->live->info.fid < FM_NETWORK_FID) {
		is_decided = true;
		add_rule(list, "run", json_true(), true, "flowmob run --via asked for it");
	} else if (q->live && !q->is_moved && q->live->info.fid > config->host.n_rules) {
		is_decided = true;
		add_rule(list, "anchor", json_true(), true, "the anchor asked for it (RFC 7109)");
	}
	q->rule = q->d->host->core.conf.n_rules;
	for (uint16_t k = 0; k < config->host.n_rules; k++)
		is_decided |= walk_rule(q, k, is_decided, list);
	why[0] = '\0';
	if (is_decided)
		append(why, "one before it decides");
	else
		say_choice(q->d, q->d->host->core.conf.n_rules, why);
	add_rule(list, "default", json_true(), !is_decided, why);
	return list;
}

static bool is_of_flow(const struct question *q, json_t *event)
{
	const char *local = json_string_value(json_object_get(event, "local"));
	const char *remote = json_string_value(json_object_get(event, "remote"));

	return local && remote && strcmp(local, q->local) == 0 && strcmp(remote, q->remote) == 0;
}

/* Its own moves, and the handovers that it went along with. */
static void take_event(void *ctx, json_t *event)
{
	struct question *q = ctx;
	const char *name = json_string_value(json_object_get(event, "event"));

	if (json_number_value(json_object_get(event, "at_s")) < q->since_s || !name)
		return;
	if (strcmp(name, "handover") == 0 || is_of_flow(q, event))
		json_array_append(q->history, event);
}

/* Where it goes: of a flow as the data path says, else as the rule has chosen. */
static uint16_t paths_of(const struct question *q)
{
	const struct fm_choice *c = &q->d->host->core.choices[q->rule];

	if (q->live && q->live->info.bid == 0)
		return 0;
	if (q->live && q->live->info.copies == 0)
		return (uint16_t)(1u << (q->live->info.bid - 1));
	if (c->copies)
		return c->copies;
	return c->access == FM_NO_ACCESS ? 0 : (uint16_t)(1u << c->access);
}

static void put_paths(const struct question *q, json_t *answer)
{
	uint16_t paths = paths_of(q);
	uint32_t mtu = 0;
	json_t *names = json_array();

	for (uint8_t i = 0; i < q->d->config->host.n_accesses; i++) {
		if (!(paths & 1u << i))
			continue;
		const struct fm_path *path = &q->d->host->forwarding.paths[i];
		uint32_t inner = fm_slow_inner_mtu(path);

		if ((paths & (paths - 1)) && q->d->host->core.reg.is_numbered)
			inner -= fm_dp_number_room(path->encap);

		mtu = mtu == 0 || inner < mtu ? inner : mtu;
		json_array_append_new(names, json_string(q->d->config->host.accesses[i].name));
	}
	json_object_set(answer, "access",
			json_array_size(names) > 0 ? json_array_get(names, 0) : json_null());
	json_object_set_new(answer, "accesses", names);
	json_object_set_new(answer, "mtu_bytes", mtu ? json_integer(mtu) : json_null());
}

/* The code point of the outer header: of a flow as the data path says, else as its rule. */
static json_t *dscp_of(const struct question *q)
{
	const struct fm_host_conf *conf = &q->d->host->core.conf;
	const struct fm_host_rule_conf *rule =
		q->rule < conf->n_rules ? &conf->rules[q->rule] : NULL;
	bool has = q->live ? q->live->info.has_dscp : rule && rule->has_dscp;
	char text[FM_DSCP_TEXT_MAX];

	if (!has)
		return json_null();
	return json_string(fm_dscp_text(q->live ? q->live->info.dscp : rule->dscp, text));
}

static json_t *explain(struct question *q, bool is_mobile)
{
	const struct fm_home *home = fm_homes_find(&q->d->host->homes, &q->tuple.local);
	uint8_t type = home ? home->type : q->type;
	char proto[8];
	json_t *answer;

	if (q->live)
		fm_facts_find(q->d, q->live, &q->d->config->host.classes, &q->facts);
	q->facts.tuple = q->tuple;
	q->facts.type = type;
	fm_endpoint_text(&q->tuple.local, q->tuple.local_port, q->local);
	fm_endpoint_text(&q->tuple.remote, q->tuple.remote_port, q->remote);
	answer = json_pack("{s:s, s:s*, s:s, s:o, s:s?, s:s*, s:b}", "proto",
			   fm_host_proto_name(q->tuple.ip_proto, proto), "local",
			   q->live ? q->local : NULL, "remote", q->remote, "source_address",
			   fm_show_ip(&q->tuple.local), "type", type ? fm_type_names[type] : NULL,
			   "policy", q->policy, "mobile", is_mobile);
	if (!is_mobile)
		return answer;
	json_object_set_new(answer, "rules", list_rules(q));
	put_paths(q, answer);
	json_object_set_new(answer, "dscp", dscp_of(q));
	if (!q->live)
		return answer;
	q->history = json_array();
	q->since_s = fm_daemon_wall_s(fm_now_us() - q->live->info.age_ns / 1000);
	fm_events_each(&q->d->events, take_event, q);
	json_object_set_new(answer, "id", json_integer(q->live->id));
	json_object_set_new(answer, "moves", json_integer(q->live->info.moves));
	json_object_set_new(answer, "history", q->history);
	return answer;
}

/* Straight out of a device: no address of ours, no rule. */
static json_t *explain_direct(struct question *q, const struct fm_way *way)
{
	json_t *answer = explain(q, false);
	const char *name = NULL;
	int access = fm_accesses_find(&q->d->host->accesses, way->ifindex);

	if (access >= 0)
		name = q->d->config->host.accesses[access].name;
	json_object_set_new(answer, "access", name ? json_string(name) : json_null());
	json_object_set_new(answer, "mtu_bytes", way->mtu ? json_integer(way->mtu) : json_null());
	json_object_set_new(
		answer, "why",
		json_string("the route leads out of a device directly, not through the tunnel"));
	return answer;
}

/* "[2001:db8::1]:443", "192.0.2.1:443" */
static bool read_endpoint(const char *text, struct fm_ip *ip, uint16_t *port)
{
	const char *colon = text ? strrchr(text, ':') : NULL;
	char address[FM_ADDRESS_TEXT_MAX];
	size_t len = colon ? (size_t)(colon - text) : 0;
	uint64_t n;

	if (len == 0 || len >= sizeof(address) || !fm_value_number(colon + 1, UINT16_MAX, &n))
		return false;
	if (text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		return false; /* IPv6 without brackets: which of the colons is it? */
	}
	memcpy(address, text, len);
	address[len] = '\0';
	*port = (uint16_t)n;
	return fm_value_address(address, ip);
}

/* Would that program, of that user, in that unit, get a type by policy? Sets q->type. */
static bool has_own_type(struct question *q, const json_t *request, const struct fm_way *way)
{
	const char *unit = json_string_value(json_object_get(request, "unit"));
	const char *program = json_string_value(json_object_get(request, "program"));
	const json_t *uid = json_object_get(request, "uid");
	const struct fm_conf_host *conf = &q->d->config->host;
	char cgroup[1024] = "";
	struct fm_who who = { .uid = (uint32_t)json_integer_value(uid),
			      .gid = UINT32_MAX,
			      .cgroup = cgroup,
			      .program = program ? program : "" };

	if (!unit && !uid && !program)
		return false;
	if (!uid)
		who.uid = UINT32_MAX; /* nobody's: only the others tell */
	if (unit)
		(void)snprintf(cgroup, sizeof(cgroup), "/%s", unit);
	q->facts.uid = who.uid;
	q->facts.known =
		(uint8_t)((uid ? 1u << FM_OWNER_USER | 1u << FM_OWNER_GROUP : 0) |
			  (unit ? FM_WHO_BY_CGROUP : 0) | (program ? 1u << FM_OWNER_PROGRAM : 0));
	(void)snprintf(q->facts.program, sizeof(q->facts.program), "%s", who.program);
	memcpy(q->facts.cgroup, cgroup, sizeof(cgroup));
	for (uint8_t i = 0; i < conf->n_programs && !q->policy; i++) {
		if (!fm_who_fits(&conf->programs[i].who, &who))
			continue;
		q->type = conf->programs[i].type;
		q->policy = conf->programs[i].name;
	}
	/* near destinations need no address of ours, whoever asks (RFC 6724 §5 rule 2) */
	return q->type != 0 && fm_ip_is_v4(&q->tuple.remote) == fm_ip_is_v4(&way->source);
}

/* The address that the socket programs would give to it. */
static json_t *explain_typed(struct question *q, struct fm_way *way)
{
	const struct fm_host *h = &q->d->host->core;
	struct fm_address_status lease;
	uint16_t pid = fm_host_current(h, q->type);

	if (q->type == FM_NONPERSISTENT) {
		uint8_t access = h->choices[h->conf.n_rules].first;

		if (access == FM_NO_ACCESS ||
		    fm_route_get(&q->d->netlink, &q->tuple.remote,
				 q->d->host->accesses.list[access].ifindex, way) < 0)
			return fm_control_error("no-address", "no access has an address now");
		q->tuple.local = way->source;
		return explain_direct(q, way);
	}
	if (pid == 0 || !fm_host_lease_status(h, pid, fm_now_us(), &lease))
		return fm_control_error("no-address", "no address of its type is there now; see "
						      "flowmob address");
	if (!fm_ip_is_v4(&q->tuple.remote))
		q->tuple.local = lease.address;
	return explain(q, true);
}

static bool is_loopback(const struct fm_ip *ip)
{
	static const struct fm_ip loopback = { .b[15] = 1 };

	return fm_ip_equal(ip, &loopback) || (fm_ip_is_v4(ip) && ip->b[12] == 127);
}

static json_t *explain_local(struct question *q)
{
	json_t *answer = explain(q, false);

	json_object_set_new(answer, "access", json_null());
	json_object_set_new(answer, "mtu_bytes", json_null());
	json_object_set_new(answer, "why", json_string("it stays on this machine"));
	return answer;
}

static json_t *explain_new(struct question *q, const json_t *request)
{
	const char *proto = json_string_value(json_object_get(request, "proto"));
	struct fm_way way;

	q->tuple.ip_proto = proto && strcmp(proto, "udp") == 0 ? IPPROTO_UDP : IPPROTO_TCP;
	if (!proto || (strcmp(proto, "udp") != 0 && strcmp(proto, "tcp") != 0) ||
	    !read_endpoint(json_string_value(json_object_get(request, "remote")), &q->tuple.remote,
			   &q->tuple.remote_port))
		return fm_control_error("bad-request", "write for example: tcp [2001:db8::1]:443");
	if (is_loopback(&q->tuple.remote)) {
		q->tuple.local = q->tuple.remote;
		return explain_local(q);
	}
	if (fm_route_get(&q->d->netlink, &q->tuple.remote, 0, &way) < 0)
		return fm_control_error("no-route", "there is no route to that address");
	q->tuple.local = way.source;
	if (has_own_type(q, request, &way))
		return explain_typed(q, &way);
	return way.ifindex == q->d->host->tun.ifindex ? explain(q, true) : explain_direct(q, &way);
}

json_t *fm_host_command_explain(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	const json_t *id = json_object_get(request, "flow");
	struct question q = { .d = d };
	uint64_t n = 0;

	(void)client;
	if (!id)
		return explain_new(&q, request);
	fm_flows_look(&d->host->flows, fm_now_us());
	fm_flows_find_owners(&d->host->flows, &d->host->diag, &d->host->proc);
	if (json_is_string(id))
		(void)fm_value_number(json_string_value(id), UINT32_MAX, &n);
	q.live = fm_flows_by_id(&d->host->flows, (uint32_t)n);
	if (!q.live)
		return fm_control_error("no-such-flow", "no such flow; flowmob flows lists them");
	q.tuple = q.live->info.tuple;
	q.is_moved = q.live->info.is_pinned || fm_host_moved(&d->host->core, &q.tuple);
	return explain(&q, true);
}
