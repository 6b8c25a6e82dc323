/*
 * `flowmob check`: first the name servers are asked over each access, for two seconds at most; then
 * every row is made from what is known by now; then comes the handover, if one was asked for.
 */
#include "daemon/host_check.h"

#include <errno.h>
#include <string.h>

#include "daemon/host.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define RESOLVED_CONF                                                                              \
	"/run/systemd/resolve/resolv.conf" /* what is behind systemd's own resolver                \
					    */
#define DNS_ROUND_US 500000u
#define DNS_ROUNDS 4u /* of asking and waiting */

/*
 * A row; @access: NULL: of the machine; @more: further members, its reference is taken. @ok:
 * json_true, json_false, or null: not checked.
 */
static void add(json_t *rows, const char *access, const char *check, json_t *ok, const char *detail,
		json_t *more)
{
	json_t *row = json_pack("{s:s?, s:s, s:o, s:s}", "access", access, "check", check, "ok", ok,
				"detail", detail);

	if (more)
		json_object_update(row, more);
	json_decref(more);
	json_array_append_new(rows, row);
}

static void add_address(json_t *rows, const char *access, const char *check, const struct fm_ip *ip)
{
	char text[FM_ADDRESS_TEXT_MAX];

	add(rows, access, check, json_true(),
	    fm_ip_is_none(ip) ? "none" : fm_address_text(ip, text), NULL);
}

static const char *nat_text(const struct fm_host_registration *r, const struct fm_host_conf *conf)
{
	if (!r->is_udp)
		return "none on the way";
	if (conf->force_udp)
		return "not told: UDP as configured";
	return r->wants_udp ? "not told: nothing but UDP comes through"
			    : "address translation on the way: UDP";
}

static void add_path(struct fm_daemon *d, uint8_t i, json_t *rows)
{
	const char *name = d->config->host.accesses[i].name;
	const struct fm_path *p = &d->host->forwarding.paths[i];
	uint32_t inner = fm_slow_inner_mtu(p);
	char text[128], address[FM_ADDRESS_TEXT_MAX];
	struct fm_access_status s;

	fm_host_access_status(&d->host->core, i, fm_now_us(), &s);
	add(rows, name, "nat", json_true(),
	    nat_text(&d->host->core.accesses[i].reg, &d->host->core.conf),
	    json_pack("{s:b}", "udp", s.is_udp));
	snprintf(text, sizeof(text), "%u octets, %u inside", p->mtu, inner);
	add(rows, name, "path-mtu", json_boolean(inner >= 1280), text,
	    json_pack("{s:i, s:i}", "mtu_bytes", (int)p->mtu, "inner_mtu_bytes", (int)inner));
	snprintf(text, sizeof(text), "%.1f ms, %.1f %% lost", s.rtt_us / 1000.0, s.loss_ppm / 1e4);
	add(rows, name, "round-trip", json_boolean(s.rtt_us > 0 && s.state == FM_ACCESS_UP), text,
	    json_pack("{s:f, s:f}", "rtt_ms", s.rtt_us / 1000.0, "loss_percent", s.loss_ppm / 1e4));
	add(rows, name, "next-hop",
	    json_boolean(fm_neighbours_valid(&d->host->neighbours, p->ifindex, &p->next_hop)),
	    fm_address_text(&p->next_hop, address), NULL);
}

static const char *rcode_text(uint8_t rcode)
{
	return rcode == 0   ? "answers"
	       : rcode == 2 ? "says it failed"
	       : rcode == 5 ? "refuses"
			    : "answers by an error";
}

/* The first that answers well, else the first that answers, else NULL. */
static const struct fm_dns_query *best_answer(const struct fm_host_check *c, uint8_t i)
{
	const struct fm_dns_query *best = NULL;

	for (uint8_t k = 0; k < c->n_servers; k++) {
		const struct fm_dns_query *q = &c->dns[i][k];

		if (q->rtt_us != 0 && (!best || (best->rcode != 0 && q->rcode == 0)))
			best = q;
	}
	return best;
}

static bool was_asked(const struct fm_host_check *c, uint8_t i)
{
	for (uint8_t k = 0; k < c->n_servers; k++) {
		if (c->dns[i][k].asked_us != 0)
			return true;
	}
	return false;
}

static void add_dns(struct fm_daemon *d, uint8_t i, json_t *rows)
{
	const struct fm_host_check *c = &d->host->check;
	const char *name = d->config->host.accesses[i].name;
	const struct fm_dns_query *q = best_answer(c, i);
	char text[128], address[FM_ADDRESS_TEXT_MAX];

	if (c->n_servers == 0) {
		add(rows, name, "dns", json_null(), "none configured", NULL);
		return;
	}
	if (!was_asked(c, i)) {
		add(rows, name, "dns", json_null(),
		    "not checked: no name server that this access can ask", NULL);
		return;
	}
	if (!q) {
		snprintf(text, sizeof(text), "no answer from %s%s within 2 s",
			 fm_address_text(&c->servers[0], address),
			 c->n_servers > 1 ? " and others" : "");
		add(rows, name, "dns", json_false(), text, NULL);
		return;
	}
	fm_address_text(&c->servers[q - c->dns[i]], address);
	snprintf(text, sizeof(text), "%s %s, %.1f ms", address, rcode_text(q->rcode),
		 q->rtt_us / 1000.0);
	add(rows, name, "dns", json_boolean(q->rcode == 0), text,
	    json_pack("{s:s, s:f}", "server", address, "rtt_ms", q->rtt_us / 1000.0));
}

static void add_access(struct fm_daemon *d, uint8_t i, json_t *rows)
{
	static const struct fm_ip none;
	const char *name = d->config->host.accesses[i].name;
	const struct fm_access *a = &d->host->accesses.list[i];
	struct fm_access_status s;

	fm_host_access_status(&d->host->core, i, fm_now_us(), &s);
	add(rows, name, "link", json_boolean(a->is_up),
	    a->ifindex ? a->ifname : "no such interface", NULL);
	if (!a->is_up)
		return;
	add_address(rows, name, "ipv6", a->has_route6 ? &a->coa6 : &none);
	add_address(rows, name, "ipv4", a->has_route4 ? &a->coa4 : &none);
	add(rows, name, "registered", json_boolean(s.is_registered),
	    s.is_registered ? "the anchor knows this access" : "no answer from the anchor yet",
	    NULL);
	if (s.is_registered)
		add_path(d, i, rows);
	add_dns(d, i, rows);
	add(rows, name, "portal", json_null(), "not checked: no address to ask is configured",
	    NULL);
}

/* A move loses nothing; what the two accesses lose anyway, there and back, is not its fault. */
static bool is_lossless(const struct fm_daemon *d, const struct fm_handover_leg *leg)
{
	struct fm_access_status a, b;

	fm_host_access_status(&d->host->core, leg->from, fm_now_us(), &a);
	fm_host_access_status(&d->host->core, leg->to, fm_now_us(), &b);
	return (uint64_t)leg->lost * 1000000 <= (uint64_t)leg->sent * 2 * (a.loss_ppm + b.loss_ppm);
}

static void add_leg(struct fm_daemon *d, const struct fm_handover_leg *leg, json_t *rows)
{
	const char *from = d->config->host.accesses[leg->from].name;
	const char *to = d->config->host.accesses[leg->to].name;
	bool has_moved = leg->seen == leg->to;
	char text[128];

	if (has_moved)
		snprintf(text, sizeof(text), "from %s: %u of %u lost, gap %.1f ms", from, leg->lost,
			 leg->sent, (double)leg->gap_us / 1000);
	else
		snprintf(text, sizeof(text), "from %s: its packets do not leave by %s", from, to);
	add(rows, to, "handover", json_boolean(has_moved && is_lossless(d, leg)), text,
	    json_pack("{s:s, s:s, s:i, s:i, s:f}", "from", from, "to", to, "sent", (int)leg->sent,
		      "lost", (int)leg->lost, "gap_ms", (double)leg->gap_us / 1000));
}

static bool is_ok(const json_t *rows)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		if (json_is_false(json_object_get(row, "ok")))
			return false;
	}
	return true;
}

static void finish(struct fm_daemon *d)
{
	struct fm_host_check *c = &d->host->check;
	json_t *answer =
		json_pack("{s:i, s:b, s:o}", "schema", 1, "ok", is_ok(c->rows), "checks", c->rows);

	c->rows = NULL;
	c->is_running = false;
	if (c->client)
		(void)fm_client_send(c->client, answer);
	json_decref(answer);
}

static void handover_done(struct fm_daemon *d)
{
	struct fm_host_check *c = &d->host->check;
	const struct fm_host_handover *o = &d->host->handover;

	if (o->err == 0) {
		add_leg(d, &o->legs[0], c->rows);
		add_leg(d, &o->legs[1], c->rows);
	} else {
		add(c->rows, d->config->host.accesses[c->from].name, "handover", json_false(),
		    o->err == -ENODATA	  ? "the anchor answers no echo request from a home address"
		    : o->err == -ENETDOWN ? "an access went down meanwhile"
					  : strerror(-o->err),
		    NULL);
	}
	finish(d);
}

static void begin_handover(struct fm_daemon *d)
{
	struct fm_host_check *c = &d->host->check;
	int ret = fm_host_handover_start(d, c->from, c->to, handover_done);

	if (ret == 0)
		return;
	add(c->rows, d->config->host.accesses[c->from].name, "handover", json_false(),
	    ret == -EADDRNOTAVAIL ? "no home address to send from; see flowmob address"
	    : ret == -ENETDOWN	  ? "no path over this access"
	    : ret == -ENOBUFS	  ? "too many flows are moved by hand already"
				  : strerror(-ret),
	    NULL);
	finish(d);
}

/* Whether sockets can have an address by type: the machine's matter, no access's. */
static void add_types(struct fm_daemon *d, json_t *rows)
{
	const struct fm_host_sockets *s = &d->host->sockets;

	add(rows, NULL, "address-types", s->sock ? json_true() : json_null(),
	    s->sock ? "served by eBPF" : (s->why[0] ? s->why : "not served: the log says why"),
	    NULL);
}

static void add_guard(struct fm_daemon *d, json_t *rows)
{
	int err = fm_host_guard_look(d);

	add(rows, NULL, "guard", err == -EPROTONOSUPPORT ? json_null() : json_boolean(err == 0),
	    err == 0 ? "nothing passes from or to a home address outside the tunnel"
	    : err == -EPROTONOSUPPORT ? "this kernel has no nftables: eBPF alone, on the accesses"
				      : "its nftables table is away: eBPF alone, on the accesses",
	    NULL);
}

/* Only where a rule makes copies: duplicates are removed if the anchor takes part in it. */
static void add_copies(struct fm_daemon *d, json_t *rows)
{
	const struct fm_host *h = &d->host->core;
	bool has_copies = false;

	for (uint8_t i = 0; i <= h->conf.n_rules; i++)
		has_copies |= h->choices[i].copies != 0;
	if (has_copies)
		add(rows, NULL, "copies", json_boolean(h->reg.is_numbered),
		    h->reg.is_numbered
			    ? "numbered: duplicates are removed"
			    : "the anchor does not number them: duplicates are delivered",
		    NULL);
}

/* Only where some have no place. */
static void add_rules(struct fm_daemon *d, json_t *rows)
{
	const struct fm_forwarding *f = &d->host->forwarding;
	char text[128];

	(void)snprintf(text, sizeof(text),
		       "%u do not fit into the data path%s; see flowmob policy show", f->n_left_out,
		       f->is_closed ? ": what the others do not claim is dropped" : "");
	if (f->n_left_out)
		add(rows, NULL, "rules", json_false(), text, NULL);
}

static void dns_done(struct fm_daemon *d)
{
	struct fm_host_check *c = &d->host->check;

	fm_timer_close(&c->timer);
	for (uint8_t i = 0; i < d->config->host.n_accesses; i++) {
		for (uint8_t k = 0; k < c->n_servers; k++)
			fm_dns_close(&c->dns[i][k]);
		if (c->accesses & 1u << i)
			add_access(d, i, c->rows);
	}
	if (!c->has_handover) {
		add_types(d, c->rows);
		add_guard(d, c->rows);
		add_copies(d, c->rows);
		add_rules(d, c->rows);
	}
	if (c->has_handover)
		begin_handover(d);
	else
		finish(d);
}

/* Probes stay away just now, or none was answered yet: in a moment more is known. */
static bool is_in_doubt(const struct fm_daemon *d, uint8_t i)
{
	struct fm_access_status s;

	fm_host_access_status(&d->host->core, i, fm_now_us(), &s);
	return s.is_registered && (s.state == FM_ACCESS_SUSPECT || s.rtt_us == 0);
}

/* Every access that could ask has a good answer, or has waited long enough. */
static bool has_all(const struct fm_daemon *d)
{
	const struct fm_host_check *c = &d->host->check;

	for (uint8_t i = 0; i < d->config->host.n_accesses; i++) {
		const struct fm_dns_query *q = best_answer(c, i);

		if (!(c->accesses & 1u << i))
			continue;
		if (is_in_doubt(d, i) || (was_asked(c, i) && (!q || q->rcode != 0)))
			return false;
	}
	return true;
}

static void dns_tick(void *ctx, uint64_t now_us)
{
	struct fm_daemon *d = ctx;
	struct fm_host_check *c = &d->host->check;

	if (has_all(d) || c->rounds++ >= DNS_ROUNDS * 10) {
		dns_done(d);
		return;
	}
	for (uint8_t i = 0; c->rounds % 10 == 0 && i < FM_ACCESSES_MAX; i++) {
		for (uint8_t k = 0; k < c->n_servers; k++)
			fm_dns_ask_again(&c->dns[i][k]);
	}
	fm_timer_set(&c->timer, now_us + DNS_ROUND_US / 10);
}

static bool is_own(const struct fm_ip *server)
{
	static const struct fm_ip loopback = { .b = { [15] = 1 } };

	return fm_ip_is_v4(server) ? server->b[12] == 127 : fm_ip_equal(server, &loopback);
}

/* Those of the system; behind a resolver on this machine itself: those that it asks. */
static uint8_t find_servers(struct fm_ip out[FM_DNS_SERVERS_MAX])
{
	unsigned n = fm_dns_servers(RESOLV_CONF, out);

	return (uint8_t)(n > 0 && is_own(&out[0]) ? fm_dns_servers(RESOLVED_CONF, out) : n);
}

static void ask_servers(struct fm_daemon *d)
{
	struct fm_host_check *c = &d->host->check;

	for (uint8_t i = 0; i < d->config->host.n_accesses; i++) {
		const struct fm_access *a = &d->host->accesses.list[i];

		for (uint8_t k = 0; k < c->n_servers; k++) {
			bool has_family = fm_ip_is_v4(&c->servers[k])
						  ? a->has_route4 && !fm_ip_is_none(&a->coa4)
						  : a->has_route6 && !fm_ip_is_none(&a->coa6);
			uint16_t id;

			if (!(c->accesses & 1u << i) || !a->is_up || !has_family ||
			    is_own(&c->servers[k]))
				continue;
			fm_crypto_random(&id, sizeof(id));
			(void)fm_dns_ask(&c->dns[i][k], &d->loop, a->ifname, &c->servers[k], id);
		}
	}
}

static json_t *refuse_access(const char *code, const char *name, const char *what)
{
	char text[160];

	snprintf(text, sizeof(text), "%.64s: %s; flowmob access lists them", name, what);
	return fm_control_error(code, text);
}

/* Which accesses, from the request; an error object when it cannot be done. */
static json_t *read_handover(struct fm_daemon *d, const json_t *pair)
{
	struct fm_host_check *c = &d->host->check;
	uint8_t *const to[2] = { &c->from, &c->to };

	for (size_t i = 0; i < 2; i++) {
		const char *name = json_string_value(json_array_get(pair, i));
		int access = name ? fm_host_access_named(d, name) : -1;
		struct fm_access_status s;

		if (access < 0)
			return refuse_access("no-such-access", name ? name : "handover",
					     "no such access");
		fm_host_access_status(&d->host->core, (uint8_t)access, fm_now_us(), &s);
		if (s.state < FM_ACCESS_SUSPECT)
			return refuse_access("access-down", name,
					     "that access has no path to the anchor");
		*to[i] = (uint8_t)access;
	}
	if (c->from == c->to)
		return fm_control_error("bad-request", "a handover needs two accesses");
	c->has_handover = true;
	c->accesses = (uint16_t)(1u << c->from | 1u << c->to);
	return NULL;
}

json_t *fm_host_command_check(struct fm_daemon *d, struct fm_client *client, json_t *request)
{
	const json_t *pair = json_object_get(request, "handover");
	struct fm_host_check *c = &d->host->check;
	json_t *error;
	int ret;

	if (c->is_running)
		return fm_control_error("busy",
					"another check is under way; try again in a few seconds");
	if (pair && fm_client_right(client) < FM_CONTROL_ADMIN)
		return fm_control_error("not-permitted", "join the group flowmob-admin");
	memset(c, 0, sizeof(*c));
	c->accesses = UINT16_MAX;
	error = pair ? read_handover(d, pair) : NULL;
	if (error)
		return error;
	ret = fm_timer_open(&c->timer, &d->loop, dns_tick, d);
	if (ret < 0)
		return fm_control_error("refused", strerror(-ret));
	c->is_running = true;
	c->client = client;
	c->rows = json_array();
	c->n_servers = find_servers(c->servers);
	ask_servers(d);
	fm_timer_set(&c->timer, fm_now_us() + 1);
	return NULL;
}

void fm_host_check_gone(struct fm_host_check *c, const struct fm_client *client)
{
	if (c->client == client)
		c->client = NULL;
}

void fm_host_check_close(struct fm_host_check *c)
{
	fm_timer_close(&c->timer);
	for (uint8_t i = 0; i < FM_ACCESSES_MAX; i++) {
		for (uint8_t k = 0; k < FM_DNS_SERVERS_MAX; k++)
			fm_dns_close(&c->dns[i][k]);
	}
	json_decref(c->rows);
	c->rows = NULL;
}
