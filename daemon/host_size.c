/*
 * Padded probes of the host's paths, sent and heard.
 */
#include "daemon/host_size.h"

#include <errno.h>
#include <fcntl.h>

#include "daemon/host.h"
#include "daemon/role.h"

#define SEARCH_STEP_US 1000000u /* steps of a search follow each other sooner */

static bool is_same_path(const struct fm_path *a, const struct fm_path *b)
{
	return a->encap == b->encap && a->ifindex == b->ifindex && a->mtu == b->mtu &&
	       fm_ip_equal(&a->local, &b->local) && fm_ip_equal(&a->remote, &b->remote);
}

static void set_timer(struct fm_host_sizes *s)
{
	uint64_t next_us = 0;

	for (uint8_t i = 0; i < FM_ACCESSES_MAX; i++) {
		if (s->paths[i].encap != FM_ENCAP_NONE &&
		    (next_us == 0 || s->of[i].next_us < next_us))
			next_us = s->of[i].next_us;
	}
	fm_timer_set(&s->timer, next_us);
}

void fm_host_sizes_limit(struct fm_host_sizes *s, uint8_t i, struct fm_path *path)
{
	if (!is_same_path(&s->paths[i], path)) {
		s->paths[i] = *path;
		fm_path_size_start(&s->of[i], path->mtu, fm_now_us());
		s->told[i] = path->mtu; /* as the interface and routers say: no news */
		set_timer(s);
	}
	if (path->mtu > s->of[i].size)
		path->mtu = s->of[i].size;
}

/* A large packet and its answer take longer than small ones where the access is slow. */
static uint64_t patience_us(const struct fm_host_role *h, uint8_t i)
{
	return 2 * fm_health_patience_us(&h->core.accesses[i].health);
}

static bool is_heard(const struct fm_host_role *h, uint8_t i)
{
	const struct fm_host_access *a = &h->core.accesses[i];

	return a->health.state == FM_HEALTH_UP && a->health.missed == 0 && a->health.n_judged > 0;
}

/* The data path follows each step of a search; the anchor, and who reads the events, its end. */
static void look_at(struct fm_daemon *d, uint8_t i, uint32_t was, uint64_t now_us)
{
	struct fm_host_sizes *all = &d->host->sizes;
	const struct fm_path_size *s = &all->of[i];

	d->host->is_dirty |= s->size != was;
	if (s->size == all->told[i] || s->next_us < now_us + SEARCH_STEP_US)
		return;
	all->told[i] = s->size;
	fm_host_path_size(&d->host->core, i, s->size < s->largest ? (uint16_t)s->size : 0, now_us);
	fm_events_put(&d->events, &fm_daemon_events[FM_DAEMON_EVENT_PATH_MTU], "probes",
		      json_pack("{s:s, s:i}", "access", d->config->host.accesses[i].name, "mtu",
				(int)s->size));
}

static void probe(struct fm_daemon *d, uint8_t i, uint64_t now_us)
{
	struct fm_host_role *h = d->host;
	struct fm_path_size *s = &h->sizes.of[i];
	uint32_t was = s->size,
		 size = fm_path_size_wake(s, patience_us(h, i), is_heard(h, i), now_us);
	uint64_t nonce;

	look_at(d, i, was, now_us);
	if (size == 0)
		return;
	fm_crypto_random(&nonce, sizeof(nonce));
	(void)fm_probe_send(&h->probe, &h->forwarding.paths[i], &h->core.hoa, &h->core.conf.anchor,
			    nonce, size); /* not sent is not answered */
	fm_path_size_sent(s, nonce, patience_us(h, i), now_us);
}

static void wake(void *ctx, uint64_t now_us)
{
	struct fm_daemon *d = ctx;
	struct fm_host_role *h = d->host;

	for (uint8_t i = 0; i < h->forwarding.n_paths; i++) {
		if (h->forwarding.paths[i].encap != FM_ENCAP_NONE &&
		    h->forwarding.paths[i].ifindex != 0)
			probe(d, i, now_us);
		else
			h->sizes.paths[i].encap = FM_ENCAP_NONE; /* asked anew when it is back */
	}
	set_timer(&h->sizes);
	fm_daemon_changed(d);
}

bool fm_host_sizes_answered(struct fm_daemon *d, uint64_t nonce)
{
	struct fm_host_sizes *s = &d->host->sizes;

	for (uint8_t i = 0; i < FM_ACCESSES_MAX; i++) {
		uint32_t was = s->of[i].size;

		if (!fm_path_size_answered(&s->of[i], nonce, fm_now_us()))
			continue;
		look_at(d, i, was, fm_now_us());
		set_timer(s);
		return true;
	}
	return false;
}

/* Large segments are lost, it seems: where small probes pass, its size is asked for. */
static void resent(void *ctx, const struct fm_tuple *flow)
{
	struct fm_daemon *d = ctx;
	struct fm_host_sizes *s = &d->host->sizes;
	uint16_t bid = d->host->dp ? fm_dp_flow_bid(d->host->dp, flow) : 0;

	if (bid == 0 || bid > FM_ACCESSES_MAX || s->paths[bid - 1].encap == FM_ENCAP_NONE)
		return;
	if (fm_path_size_resent(&s->of[bid - 1], fm_now_us()))
		set_timer(s);
}

static void resent_came(void *ctx)
{
	struct fm_daemon *d = ctx;

	fm_resents_read(d->host->sizes.resents);
}

static int hear_resent(struct fm_daemon *d)
{
	struct fm_host_sizes *s = &d->host->sizes;
	int err = fm_resents_open(d->options.cgroup, resent, d, &s->resents), fd;

	if (err < 0)
		return err;
	fd = fcntl(fm_resents_fd(s->resents), F_DUPFD_CLOEXEC, 0); /* a watch closes its own */
	return fd < 0 ? -errno : fm_watch_open(&s->resent, &d->loop, fd, resent_came, d);
}

int fm_host_sizes_open(struct fm_daemon *d)
{
	int err = fm_timer_open(&d->host->sizes.timer, &d->loop, wake, d);

	if (err == 0)
		fm_role_told(d, FM_DAEMON_EVENT_TYPES_OFF, "what TCP sends again", hear_resent(d));
	return err;
}

void fm_host_sizes_close(struct fm_host_sizes *s)
{
	fm_watch_close(&s->resent);
	fm_resents_close(s->resents);
	s->resents = NULL;
	fm_timer_close(&s->timer);
}
