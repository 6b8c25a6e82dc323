/*
 * A flow of our own, moved there and back, and what it lost.
 */
#include "daemon/host_handover.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host.h"
#include "daemon/host_commands.h"

#define EVERY_US 10000u
#define BEFORE_LEAST 30u   /* packets before the first move */
#define BEFORE_MOST 200u   /* without an answer to any of them it is given up */
#define LEG 100u	   /* packets after each move */
#define OVERLAP 10u	   /* of the packets before a move those that count for it */
#define LATE_US 1000000u   /* how long the last answers may take */
#define ENDING_US 1000000u /* how long the anchor's answer is waited for */

static void find_bid(void *ctx, const struct fm_live_flow *f)
{
	struct fm_host_handover *o = ctx;
	const struct fm_tuple *t = &f->info.tuple;

	if (t->ip_proto == o->flow.ip_proto && t->local_port == o->flow.local_port &&
	    fm_ip_equal(&t->local, &o->flow.local) && fm_ip_equal(&t->remote, &o->flow.remote))
		o->legs[o->phase == FM_HANDOVER_BACK].seen =
			f->info.bid ? (uint8_t)(f->info.bid - 1) : FM_NO_ACCESS;
}

/* Where the data path sends the flow, at the end of a leg. */
static void look(struct fm_daemon *d)
{
	fm_flows_look(&d->host->flows, fm_now_us());
	fm_flows_each(&d->host->flows, find_bid, &d->host->handover);
}

static int by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void judge(const struct fm_host_handover *o, struct fm_handover_leg *leg)
{
	uint64_t came[LEG];
	uint16_t n = 0;

	leg->sent = LEG;
	for (uint16_t i = 0; i < LEG; i++) {
		uint64_t at_us = o->answered_us[leg->at - OVERLAP + i];

		if (at_us != 0)
			came[n++] = at_us;
	}
	leg->lost = (uint16_t)(LEG - n);
	qsort(came, n, sizeof(came[0]), by_time);
	for (uint16_t i = 1; i < n; i++) {
		if (came[i] - came[i - 1] > leg->gap_us)
			leg->gap_us = came[i] - came[i - 1];
	}
}

static void answered(void *ctx, uint16_t sequence)
{
	struct fm_daemon *d = ctx;
	struct fm_host_handover *o = &d->host->handover;

	if (sequence >= o->n_sent || o->answered_us[sequence] != 0)
		return;
	o->answered_us[sequence] = fm_now_us();
	o->n_answered++;
}

static int move(struct fm_daemon *d, uint8_t access)
{
	struct fm_host_handover *o = &d->host->handover;
	uint64_t now_us = fm_now_us();
	int ret;

	d->unsaid = FM_EVENT_FLOW_MOVED;
	ret = fm_host_move(&d->host->core, &o->flow, access, UINT64_MAX, now_us);
	d->unsaid = FM_EVENT_COUNT;
	if (ret == 0)
		fm_host_tell_move(d, &o->flow, access, "check");
	fm_daemon_changed(d);
	return ret;
}

/* Everything as it was: no pin, no flow binding, no line in `flowmob flows`. */
static void put_back(struct fm_daemon *d, int err)
{
	struct fm_host_handover *o = &d->host->handover;
	uint64_t now_us = fm_now_us();

	o->err = err;
	fm_flows_end(&d->host->flows, &o->flow);
	fm_host_tell_ends(&d->host->core, now_us);
	fm_daemon_changed(d);
	o->phase = FM_HANDOVER_ENDING;
	o->until_us = now_us + ENDING_US;
}

static void begin_leg(struct fm_daemon *d, unsigned leg)
{
	struct fm_host_handover *o = &d->host->handover;
	int ret = move(d, o->legs[leg].to);

	o->legs[leg].at = o->n_sent;
	o->phase = leg == 0 ? FM_HANDOVER_AWAY : FM_HANDOVER_BACK;
	if (ret < 0)
		put_back(d, ret);
}

static void end_leg(struct fm_daemon *d)
{
	struct fm_host_handover *o = &d->host->handover;

	look(d);
	if (o->phase == FM_HANDOVER_AWAY) {
		begin_leg(d, 1);
		return;
	}
	o->phase = FM_HANDOVER_LATE;
	o->until_us = fm_now_us() + LATE_US;
}

static void send_one(struct fm_daemon *d)
{
	struct fm_host_handover *o = &d->host->handover;

	(void)fm_echo_send(&o->echo, o->n_sent); /* not sent is lost */
	o->n_sent++;
	switch (o->phase) {
	case FM_HANDOVER_BEFORE:
		if (o->n_sent >= BEFORE_LEAST && o->n_answered > 0)
			begin_leg(d, 0);
		else if (o->n_sent >= BEFORE_MOST)
			put_back(d, -ENODATA);
		break;
	case FM_HANDOVER_AWAY:
	case FM_HANDOVER_BACK:
		if (o->n_sent >= o->legs[o->phase == FM_HANDOVER_BACK].at + LEG)
			end_leg(d);
		break;
	case FM_HANDOVER_OFF:
	case FM_HANDOVER_LATE:
	case FM_HANDOVER_ENDING:
		break;
	}
}

static void wait_for_the_late(struct fm_daemon *d, uint64_t now_us)
{
	struct fm_host_handover *o = &d->host->handover;

	if (o->n_answered < o->n_sent && now_us < o->until_us)
		return;
	judge(o, &o->legs[0]);
	judge(o, &o->legs[1]);
	put_back(d, 0);
}

static void end(struct fm_daemon *d, uint64_t now_us)
{
	struct fm_host_handover *o = &d->host->handover;

	if (d->host->core.reg.tell_us != 0 && now_us < o->until_us)
		return;
	fm_host_handover_close(o);
	o->done(d);
}

static void tick(void *ctx, uint64_t now_us)
{
	struct fm_daemon *d = ctx;
	struct fm_host_handover *o = &d->host->handover;

	fm_timer_set(&o->timer, now_us + EVERY_US);
	if (o->phase == FM_HANDOVER_LATE)
		wait_for_the_late(d, now_us);
	else if (o->phase == FM_HANDOVER_ENDING)
		end(d, now_us);
	else
		send_one(d);
}

static bool find_home(const struct fm_host *h, struct fm_ip *out)
{
	struct fm_address_status s;

	for (uint32_t i = 0; fm_host_address_status(h, i, fm_now_us(), &s); i++) {
		if (s.state != FM_LEASE_HELD || fm_ip_is_none(&s.address) ||
		    fm_ip_is_v4(&s.address))
			continue;
		*out = s.address;
		return true;
	}
	return false;
}

static void fill(struct fm_host_handover *o, const struct fm_host *h, uint8_t a, uint8_t b)
{
	uint16_t id;

	do {
		fm_crypto_random(&id, sizeof(id));
	} while (id == FM_PROBE_ID);
	o->flow.remote = o->echo.to = h->conf.anchor;
	o->flow.ip_proto = IPPROTO_ICMPV6;
	o->flow.local_port = o->flow.remote_port = o->echo.id = id;
	o->legs[0] = (struct fm_handover_leg){ .from = a, .to = b, .seen = FM_NO_ACCESS };
	o->legs[1] = (struct fm_handover_leg){ .from = b, .to = a, .seen = FM_NO_ACCESS };
}

int fm_host_handover_start(struct fm_daemon *d, uint8_t a, uint8_t b,
			   void (*done)(struct fm_daemon *d))
{
	struct fm_host_handover *o = &d->host->handover;
	int ret;

	memset(o, 0, sizeof(*o));
	o->done = done;
	fill(o, &d->host->core, a, b);
	if (!find_home(&d->host->core, &o->flow.local))
		return -EADDRNOTAVAIL;
	o->echo.answered = answered;
	o->echo.ctx = d;
	ret = fm_echo_open(&o->echo, &d->loop, &o->flow.local, d->host->tun.ifindex);
	if (ret == 0)
		ret = fm_timer_open(&o->timer, &d->loop, tick, d);
	if (ret == 0)
		ret = move(d, a);
	if (ret < 0) {
		fm_host_handover_close(o);
		return ret;
	}
	o->phase = FM_HANDOVER_BEFORE;
	fm_timer_set(&o->timer, fm_now_us() + EVERY_US);
	return 0;
}

void fm_host_handover_close(struct fm_host_handover *o)
{
	o->phase = FM_HANDOVER_OFF;
	fm_timer_close(&o->timer);
	fm_echo_close(&o->echo);
}
