/*
 * What the host does on each status of a binding acknowledgement that refuses: the table of digest
 * §7.5. The message was authenticated. What follows is sent by registration.c.
 */
#include "core/host_inner.h"

#define WAIT_US (30 * FM_SECOND_US)
#define WAIT_MAX_US (600 * FM_SECOND_US)
#define HOA_TRIES_MAX 3u
#define STAMP_TRIES_MAX 3u
#define UNKNOWN_MAX 3u

/* One refusal: by which access, of which update, and its status. */
struct refusal {
	uint8_t access, status;
	const struct fm_msg *m;
	const struct fm_host_sent *sent;
	uint64_t now_us;
};

/* It keeps its state; this access is left alone for a while, the others go on. */
static void wait_longer(struct fm_host *h, const struct refusal *f)
{
	struct fm_host_registration *r = &h->accesses[f->access].reg;
	uint64_t wait_us = WAIT_US << (r->refusals < 5 ? r->refusals : 5);

	r->quiet_us = f->now_us + fm_min_u64(wait_us, WAIT_MAX_US);
	if (r->refusals < UINT8_MAX)
		r->refusals++;
}

static void stop(struct fm_host *h, const struct refusal *f)
{
	fm_registration_stop(h, f->status, f->now_us);
}

static void change_address(struct fm_host *h, const struct refusal *f)
{
	if (!fm_ip_is_none(&h->conf.home_address) || h->reg.hoa_tries >= HOA_TRIES_MAX) {
		stop(h, f);
		return;
	}
	h->reg.hoa_tries++;
	fm_host_form_address(h);
	for (uint8_t i = 0; i < h->conf.n_accesses; i++)
		h->accesses[i].reg.is_bound = h->accesses[i].reg.is_cut = false;
	fm_registration_renew(h, f->now_us);
	fm_host_tell(h, FM_EVENT_HOME_ADDRESS_NEW, f->access, f->status);
}

/* 133 on a removal: what should go is not there. Else as others. */
static void unknown_binding(struct fm_host *h, const struct refusal *f)
{
	if (f->sent->job == FM_JOB_REMOVE || f->sent->job == FM_JOB_LEAVE)
		return; /* fm_host_reaction_take() has settled it */
	wait_longer(h, f);
}

/* RFC 6275 §11.7.3, D11: goes on behind the number that the anchor has, at once. */
static void adopt_number(struct fm_host *h, const struct refusal *f)
{
	if (fm_is_newer(f->m->ba.sequence, h->reg.sequence))
		h->reg.sequence = f->m->ba.sequence;
	h->accesses[f->access].reg.try_us = 0;
}

/* 144: with a timestamp it is about clocks (RFC 4285 §6), with F about forced UDP (D12). */
static void mismatch(struct fm_host *h, const struct refusal *f)
{
	const struct fm_item *stamp = fm_msg_next(f->m, FM_OPT_REPLAY, NULL);

	if (f->sent->stamp != 0 && stamp && h->reg.stamp_tries < STAMP_TRIES_MAX) {
		h->reg.stamp_tries++;
		h->reg.clock_offset += stamp->u64 - f->sent->stamp;
		h->reg.stamp = 0;
		h->accesses[f->access].reg.try_us = 0;
	} else if (f->sent->is_forced && f->sent->stamp == 0) {
		h->reg.no_force = true;
		h->accesses[f->access].reg.try_us = 0;
	} else {
		wait_longer(h, f);
	}
}

static void send_stamps(struct fm_host *h, const struct refusal *f)
{
	if (h->reg.has_stamp) {
		wait_longer(h, f);
		return;
	}
	h->reg.has_stamp = true;
	h->accesses[f->access].reg.try_us = 0;
}

/* 129 is also how forced UDP is refused where 144 is taken (D12). */
static void prohibited(struct fm_host *h, const struct refusal *f)
{
	if (!f->sent->is_forced) {
		stop(h, f);
		return;
	}
	h->reg.no_force = true;
	h->accesses[f->access].reg.try_us = 0;
}

static void malformed(struct fm_host *h, const struct refusal *f)
{
	if (f->sent->job != FM_JOB_REMOVE || h->reg.is_single) {
		stop(h, f);
		return;
	}
	h->reg.is_single = true;
}

/* 165: a binding without BID is there; O replaces it (RFC 5648 §6.2). */
static void replace_all(struct fm_host *h, const struct refusal *f)
{
	if (f->sent->is_first) {
		wait_longer(h, f);
		return;
	}
	h->reg.needs_first = true;
	for (uint8_t i = 0; i < h->conf.n_accesses; i++)
		h->accesses[i].reg.must = true;
	h->accesses[f->access].reg.try_us = 0;
}

/* 166: one care-of address, no BID (RFC 5648 §5.7). */
static void go_plain(struct fm_host *h, const struct refusal *f)
{
	if (h->reg.is_plain) {
		wait_longer(h, f);
		return;
	}
	h->reg.is_plain = true;
	h->accesses[f->access].reg.try_us = 0;
	fm_host_tell(h, FM_EVENT_ONE_ACCESS_ONLY, f->access, f->status);
}

/* 167: it was sent with its care-of address, so once more is worth a try (RFC 5648 §6.2). */
static void unknown_bid(struct fm_host *h, const struct refusal *f)
{
	struct fm_host_registration *r = &h->accesses[f->access].reg;

	if (f->sent->job == FM_JOB_REMOVE)
		return;
	if (r->unknown++ >= UNKNOWN_MAX) {
		wait_longer(h, f);
		return;
	}
	r->is_bound = false;
	r->try_us = 0;
}

static void one_at_a_time(struct fm_host *h, const struct refusal *f)
{
	if (h->reg.is_single)
		wait_longer(h, f);
	h->reg.is_single = true;
	h->accesses[f->access].reg.try_us = 0;
}

/* 169, 174: not this one, as long as the access has this address; perhaps its IPv4 address. */
static void bar(struct fm_host *h, const struct refusal *f)
{
	struct fm_host_access *a = &h->accesses[f->access];

	if (!a->reg.is_v4 && !fm_ip_is_none(&a->facts.coa4) && !fm_ip_is_none(&h->conf.anchor_v4)) {
		a->reg.is_v4 = true;
		a->reg.coa = a->facts.coa4;
		a->reg.try_us = 0;
		return;
	}
	a->reg.is_barred = true;
}

/* clang-format off */
static const struct {
	uint8_t from, to;
	void (*react)(struct fm_host *h, const struct refusal *f);
} rows[] = {
	{ 129, 129, prohibited },
	{ 131, 131, stop },
	{ 132, 132, change_address },
	{ 133, 133, unknown_binding },
	{ 134, 134, change_address },
	{ 135, 135, adopt_number },
	{ 139, 143, stop },
	{ 144, 144, mismatch },
	{ 145, 145, send_stamps },
	{ 146, 146, stop },            /* RFC 4285 §5.3 */
	{ 164, 164, malformed },
	{ 165, 165, replace_all },
	{ 166, 166, go_plain },
	{ 167, 167, unknown_bid },
	{ 168, 168, one_at_a_time },
	{ 169, 169, bar },
	{ 174, 174, bar },
	{ 128, 255, wait_longer },     /* 130 too, and what we do not know */
};
/* clang-format on */

/*
 * RFC 5648 §6.2: one unknown BID, and nothing is removed. Of several we do not know which: one by
 * one.
 */
static void settle_removed(struct fm_host *h, uint16_t sequence)
{
	struct fm_host_registration *last = NULL;
	unsigned n = 0;

	for (uint8_t i = 0; i < h->conf.n_accesses; i++) {
		struct fm_host_registration *r = &h->accesses[i].reg;

		if (!r->is_cut || r->cut_sequence != sequence)
			continue;
		last = r;
		n++;
	}
	if (n == 1)
		last->is_bound = last->is_cut = false;
	else if (n > 1)
		h->reg.is_single = true;
}

void fm_host_reaction_take(struct fm_host *h, uint8_t access, const struct fm_msg *m,
			   uint8_t status, uint64_t now_us)
{
	struct fm_host_sent sent = h->accesses[access].reg.sent;
	struct refusal f = {
		.access = access, .status = status, .m = m, .sent = &sent, .now_us = now_us
	};
	unsigned i = 0;

	if (sent.job == FM_JOB_REMOVE && (status == 133 || status == 167))
		settle_removed(h, sent.sequence);
	while (status < rows[i].from || status > rows[i].to)
		i++;
	rows[i].react(h, &f);
	fm_host_tell(h, FM_EVENT_REGISTRATION_REFUSED, access, status);
}
