/*
 * Octets of each access: read from the interface each second, added up for the period of its quota,
 * and kept in the store together with the counters they were read from, so that what went by while
 * no daemon ran is counted too.
 */
#include "daemon/host_quota.h"

#include <string.h>

#include "daemon/host.h"
#include "daemon/role.h"

#define SAVE_US 10000000u /* between two records of one access */
#define TOLD_FIRST 80u	  /* percent */

static const struct fm_conf_access *conf_of(const struct fm_daemon *d, uint8_t i)
{
	return &d->config->host.accesses[i];
}

static void save(struct fm_daemon *d, uint8_t i, uint64_t now_us)
{
	struct fm_host_usage *u = &d->host->usage[i];
	const char *name = conf_of(d, i)->name;
	struct fm_octets key = { (const uint8_t *)name, (uint16_t)strlen(name) }, value;
	char text[256];
	json_t *o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:i}", "period_s", (json_int_t)u->period_s,
			      "used", (json_int_t)u->used, "ifindex", (json_int_t)u->ifindex, "up",
			      (json_int_t)u->up, "down", (json_int_t)u->down, "percent",
			      (int)u->percent);
	size_t len = o ? json_dumpb(o, text, sizeof(text), JSON_COMPACT) : 0;

	json_decref(o);
	if (len == 0 || len > sizeof(text))
		return;
	value = (struct fm_octets){ (const uint8_t *)text, (uint16_t)len };
	fm_daemon_save(d, FM_RECORD_USAGE, &key, &value);
	u->saved = u->used;
	u->saved_us = now_us;
}

static uint64_t number(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

static void restore_one(void *ctx, const struct fm_octets *key, const struct fm_octets *value)
{
	struct fm_daemon *d = ctx;
	json_t *o = json_loadb((const char *)value->p, value->len, 0, NULL);

	for (uint8_t i = 0; i < d->config->host.n_accesses; i++) {
		const char *name = conf_of(d, i)->name;

		if (strlen(name) != key->len || memcmp(name, key->p, key->len) != 0)
			continue;
		d->host->usage[i] =
			(struct fm_host_usage){ .ifindex = (uint32_t)number(o, "ifindex"),
						.percent = (uint8_t)number(o, "percent"),
						.up = number(o, "up"),
						.down = number(o, "down"),
						.period_s = number(o, "period_s"),
						.used = number(o, "used"),
						.saved = number(o, "used") };
		fm_host_access_spent(&d->host->core, i, d->host->usage[i].percent == 100,
				     fm_now_us());
	}
	json_decref(o);
}

int fm_host_quotas_restore(struct fm_daemon *d)
{
	return fm_store_each(d->store, FM_RECORD_USAGE, restore_one, d);
}

static void tell(struct fm_daemon *d, uint8_t i, const char *reason)
{
	fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_QUOTA], reason,
		      json_pack("{s:s, s:I, s:I}", "access", conf_of(d, i)->name, "used_bytes",
				(json_int_t)d->host->usage[i].used, "quota_bytes",
				(json_int_t)conf_of(d, i)->quota.bytes));
}

/* A clock that was put back begins no period anew. */
static void begin_period(struct fm_daemon *d, uint8_t i)
{
	struct fm_host_usage *u = &d->host->usage[i];
	uint64_t end_s,
		start_s = fm_quota_period(&conf_of(d, i)->quota, fm_wall_us() / 1000000, &end_s);

	if (start_s <= u->period_s)
		return;
	if (u->percent > 0) {
		u->percent = 0;
		u->used = 0;
		tell(d, i, "new period");
	}
	u->used = 0;
	u->period_s = start_s;
}

static void judge(struct fm_daemon *d, uint8_t i, uint64_t now_us)
{
	struct fm_host_usage *u = &d->host->usage[i];
	uint64_t quota = conf_of(d, i)->quota.bytes;
	uint8_t percent = quota == 0 ? 0 : u->used >= quota ? 100 : 0;

	if (quota != 0 && percent == 0 && u->used >= quota / 100 * TOLD_FIRST)
		percent = TOLD_FIRST;
	if (percent > u->percent)
		tell(d, i, percent == 100 ? "used up" : "80 percent used");
	if (percent != u->percent)
		u->saved_us = 0; /* at once */
	u->percent = percent;
	fm_host_access_spent(&d->host->core, i, percent == 100, now_us);
	if (quota != 0 && u->used != u->saved && now_us >= u->saved_us + SAVE_US)
		save(d, i, now_us);
}

/* Counters that are lower than before began anew: the interface, or the system, did. */
static uint64_t since(uint64_t now, uint64_t before)
{
	return now >= before ? now - before : now;
}

static void count(struct fm_daemon *d, uint8_t i, uint64_t now_us)
{
	struct fm_host_usage *u = &d->host->usage[i];
	uint32_t ifindex = d->host->accesses.list[i].ifindex;
	uint64_t up, down, up_new, down_new, took_us = now_us - u->looked_us;

	if (ifindex == 0 || fm_access_octets(&d->netlink, ifindex, &up, &down) < 0)
		return;
	up_new = u->ifindex == ifindex ? since(up, u->up) : 0;
	down_new = u->ifindex == ifindex ? since(down, u->down) : 0;
	if (conf_of(d, i)->quota.bytes != 0)
		u->used += up_new + down_new;
	if (u->looked_us != 0 && took_us > 0)
		fm_host_access_rate(&d->host->core, i, up_new * 8000000 / took_us,
				    down_new * 8000000 / took_us, now_us);
	u->ifindex = ifindex;
	u->up = up;
	u->down = down;
	u->looked_us = now_us;
}

void fm_host_quotas_second(struct fm_daemon *d, uint64_t now_us)
{
	for (uint8_t i = 0; i < d->config->host.n_accesses; i++) {
		if (conf_of(d, i)->quota.bytes != 0)
			begin_period(d, i);
		count(d, i, now_us);
		judge(d, i, now_us);
	}
}

void fm_host_quotas_close(struct fm_daemon *d)
{
	for (uint8_t i = 0; i < d->config->host.n_accesses; i++) {
		if (conf_of(d, i)->quota.bytes != 0 && d->host->usage[i].ifindex != 0)
			save(d, i, fm_now_us());
	}
}
