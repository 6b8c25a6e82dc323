/*
 * Names of destinations, from the answers to the data path's map. A name is kept, not its class, so
 * that other rules find their own in it.
 */
#include "daemon/domains.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host.h"
#include "daemon/new_file.h"
#include "daemon/role.h"

#define FILE_NAME "domains"
#define SAVE_EVERY_US 5000000u
#define SECOND_US 1000000u

static const struct fm_classes *classes_of(const struct fm_daemon *d)
{
	return &d->config->host.classes;
}

/* All classes that an address has by its names; 0: none. */
static uint32_t classes_at(const struct fm_daemon *d, const struct fm_ip *ip)
{
	const struct fm_domains *o = &d->host->domains;
	uint64_t bits = 0;

	for (unsigned i = 0; i < FM_DOMAINS_MAX; i++) {
		if (o->list[i].until_us && fm_ip_equal(&o->list[i].ip, ip))
			bits |= fm_classes_of_name(classes_of(d), o->list[i].name);
	}
	return (uint32_t)(bits >> FM_CLASS_DOMAIN_AT);
}

/* The place of that name of the address, or one for it. */
static struct fm_domain *place_for(struct fm_domains *o, const struct fm_ip *ip, const char *name)
{
	struct fm_domain *first = &o->list[0];

	for (unsigned i = 0; i < FM_DOMAINS_MAX; i++) {
		struct fm_domain *at = &o->list[i];

		if (at->until_us && fm_ip_equal(&at->ip, ip) && strcmp(at->name, name) == 0)
			return at;
		if (at->until_us < first->until_us)
			first = at;
	}
	return first;
}

static void tell(struct fm_daemon *d, const struct fm_ip *ip)
{
	fm_role_told_dp(d, fm_dp_domain(d->host->dp, ip, classes_at(d, ip)));
}

static void learn(struct fm_daemon *d, const struct fm_ip *ip, const char *name, uint64_t until_us)
{
	struct fm_domains *o = &d->host->domains;
	struct fm_domain *at = place_for(o, ip, name);
	uint32_t before = classes_at(d, ip);
	struct fm_ip other = at->ip;
	bool is_other = at->until_us && !fm_ip_equal(&other, ip);

	*at = (struct fm_domain){ .ip = *ip, .until_us = until_us };
	snprintf(at->name, sizeof(at->name), "%s", name);
	o->is_unsaved = true;
	if (is_other)
		tell(d, &other);
	tell(d, ip);
	/* its first packet may have been faster than we are */
	if (classes_at(d, ip) != before)
		d->host->policy.is_touched = true;
}

static uint64_t life_us(uint32_t ttl_s)
{
	uint64_t s = ttl_s < FM_DOMAIN_LEAST_S	? FM_DOMAIN_LEAST_S
		     : ttl_s > FM_DOMAIN_MOST_S ? FM_DOMAIN_MOST_S
						: ttl_s;

	return s * SECOND_US;
}

static void answer_came(void *ctx, const struct fm_dns_message *m)
{
	struct fm_daemon *d = ctx;
	uint64_t now_us = fm_now_us();

	for (uint8_t n = 0; n < m->n_names; n++) {
		if (!fm_classes_of_name(classes_of(d), m->names[n]))
			continue;
		for (uint8_t i = 0; i < m->n_addresses; i++)
			learn(d, &m->addresses[i].ip, m->names[n],
			      now_us + life_us(m->addresses[i].ttl_s));
	}
	fm_daemon_changed(d);
}

/* The file: "UNTIL ADDRESS NAME", seconds of CLOCK_REALTIME. */

/* Where it fails only names are forgotten; the store tells of the disk. */
static void save(struct fm_daemon *d)
{
	const struct fm_domains *o = &d->host->domains;
	char address[FM_ADDRESS_TEXT_MAX];
	struct fm_new_file n;

	if (fm_new_file_begin(&n, d->options.state, FILE_NAME) < 0)
		return;
	for (unsigned i = 0; i < FM_DOMAINS_MAX; i++) {
		const struct fm_domain *at = &o->list[i];

		if (at->until_us)
			fprintf(n.f, "%.0f %s %s\n", fm_daemon_wall_s(at->until_us),
				fm_address_text(&at->ip, address), at->name);
	}
	(void)fm_new_file_end(&n, FM_OUTLIVES_DAEMON);
}

static void load(struct fm_daemon *d)
{
	struct fm_domains *o = &d->host->domains;
	char path[PATH_MAX], line[512], address[64], name[FM_DNS_NAME_MAX];
	uint64_t until_s, now_s = fm_wall_us() / SECOND_US;
	struct fm_ip ip;
	FILE *f;

	f = fm_new_file_path(d->options.state, FILE_NAME, path) == 0 ? fopen(path, "re") : NULL;
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNu64 " %63s %255s", &until_s, address, name) != 3 ||
		    until_s <= now_s || until_s - now_s > FM_DOMAIN_MOST_S ||
		    !fm_value_address(address, &ip) || !fm_classes_of_name(classes_of(d), name))
			continue;
		learn(d, &ip, name, fm_now_us() + (until_s - now_s) * SECOND_US);
	}
	if (f)
		fclose(f);
	o->is_unsaved = false;
}

static void start(struct fm_daemon *d)
{
	struct fm_domains *o = &d->host->domains;
	int err;

	o->list = calloc(FM_DOMAINS_MAX, sizeof(*o->list));
	o->answers.came = answer_came;
	o->answers.ctx = d;
	err = o->list ? fm_dns_answers_open(&o->answers, &d->loop) : -ENOMEM;
	fm_role_told(d, FM_DAEMON_EVENT_NETLINK, "listening to DNS answers", err);
	if (err == 0)
		return;
	free(o->list);
	o->list = NULL;
}

static void stop(struct fm_daemon *d)
{
	struct fm_domains *o = &d->host->domains;

	fm_dns_answers_close(&o->answers);
	free(o->list);
	o->list = NULL;
}

int fm_domains_open(struct fm_daemon *d)
{
	fm_dp_domains_clear(d->host->dp);
	if (classes_of(d)->n_domains > 0)
		start(d);
	if (d->host->domains.list)
		load(d);
	return 0;
}

void fm_domains_close(struct fm_daemon *d)
{
	if (d->host->domains.list && d->host->domains.is_unsaved)
		save(d);
	stop(d);
}

void fm_domains_apply(struct fm_daemon *d)
{
	struct fm_domains *o = &d->host->domains;

	fm_dp_domains_clear(d->host->dp);
	if (o->list && classes_of(d)->n_domains == 0)
		stop(d);
	else if (!o->list && classes_of(d)->n_domains > 0)
		start(d);
	for (unsigned i = 0; o->list && i < FM_DOMAINS_MAX; i++) {
		if (o->list[i].until_us)
			tell(d, &o->list[i].ip);
	}
}

static bool is_in_use(struct fm_daemon *d, const struct fm_ip *ip)
{
	const struct fm_flows *f = &d->host->flows;

	for (uint32_t i = 0; i < FM_FLOWS_MAX && f->n > 0; i++) {
		if (f->list[i].id && fm_ip_equal(&f->list[i].info.tuple.remote, ip))
			return true;
	}
	return false;
}

void fm_domains_second(struct fm_daemon *d, uint64_t now_us)
{
	struct fm_domains *o = &d->host->domains;

	for (unsigned i = 0; o->list && i < FM_DOMAINS_MAX; i++) {
		struct fm_domain *at = &o->list[i];

		if (at->until_us == 0 || now_us < at->until_us)
			continue;
		if (is_in_use(d, &at->ip)) {
			at->until_us = now_us + FM_DOMAIN_LEAST_S * SECOND_US;
			continue;
		}
		at->until_us = 0;
		o->is_unsaved = true;
		tell(d, &at->ip);
	}
	if (o->list && o->is_unsaved && now_us - o->saved_us >= SAVE_EVERY_US) {
		o->is_unsaved = false;
		o->saved_us = now_us;
		save(d);
	}
}

void fm_domains_names(const struct fm_daemon *d, const struct fm_ip *ip,
		      void (*each)(void *ctx, const char *name), void *ctx)
{
	const struct fm_domains *o = &d->host->domains;

	for (unsigned i = 0; o->list && i < FM_DOMAINS_MAX; i++) {
		if (o->list[i].until_us && fm_ip_equal(&o->list[i].ip, ip))
			each(ctx, o->list[i].name);
	}
}
