/*
 * core/host_lease*.c: scripts of asks, time and answers, one a rule of digest §14.6. The anchor of
 * these tests keeps leases as §14.5 says, or refuses, or is silent.
 */
#include <errno.h>

#include "core/host_inner.h"
#include "core/host_lease.h"
#include "test/unit/host_world.h"

#define LEASES_MAX 32u
#define INFINITE UINT32_MAX
#define ALL_TYPES 5u

/**
 * struct anchor - keeps leases
 * @is_dead: answers nothing; @is_old: knows no on-demand options
 * @status:  by type: what it says to who asks; @preferred_s: no more than that; 0: as asked
 * @unasked: put into the next answer; pid 0: nothing
 */
struct anchor {
	bool is_dead, is_old;
	uint8_t status[ALL_TYPES];
	uint32_t preferred_s;
	struct fm_odp unasked, leases[LEASES_MAX], odps[LEASES_MAX];
	unsigned n, n_odps, n_prefixes, taken;
};

static struct fm_odp *held(struct anchor *a, uint16_t pid)
{
	for (unsigned i = 0; i < a->n; i++) {
		if (a->leases[i].pid == pid)
			return &a->leases[i];
	}
	return NULL;
}

static void drop(struct anchor *a, uint16_t pid)
{
	struct fm_odp *l = held(a, pid);

	if (l)
		*l = a->leases[--a->n];
}

static bool has_pid(const struct fm_octets *pids, uint16_t pid)
{
	for (uint16_t i = 0; i < pids->len / 2; i++) {
		if (fm_u16_at(pids, i) == pid)
			return true;
	}
	return false;
}

static void grant(struct anchor *a, struct fm_odp *o)
{
	struct fm_odp *l = held(a, o->pid);

	o->status = l ? 0 : a->status[o->service_type];
	if (o->prefix_length && (!l || memcmp(l->prefix.b, o->prefix.b, 16) != 0))
		o->status = 134;
	if (l && l->service_type != o->service_type)
		o->status = 133;
	if (o->status)
		return;
	if (!l) {
		l = &a->leases[a->n++];
		o->prefix = ip6(0x100, 0);
		o->prefix.b[7] = (uint8_t)++a->n_prefixes;
	} else {
		o->prefix = l->prefix;
	}
	o->prefix_length = 64;
	if (a->preferred_s && o->preferred_s > a->preferred_s)
		o->preferred_s = a->preferred_s;
	*l = *o;
}

static void put_vendor(struct fm_msg *ba, uint8_t sub_type, uint8_t *data, uint16_t len)
{
	struct fm_item *to = fm_msg_add(ba, FM_OPT_VENDOR);

	to->vendor.vendor_id = 32473;
	to->vendor.sub_type = sub_type;
	to->vendor.data = (struct fm_octets){ data, len };
}

static void put_answer(struct fm_msg *ba, const struct fm_odp *o)
{
	uint8_t *data = fm_msg_room(ba, FM_ODP_DATA_LEN);

	fm_odp_write(o, data);
	put_vendor(ba, 1, data, FM_ODP_DATA_LEN);
}

static void put_set(struct anchor *a, struct fm_msg *ba)
{
	uint8_t *data = fm_msg_room(ba, 1 + 2 * LEASES_MAX);
	uint16_t len = 1;

	data[0] = 0;
	for (unsigned i = 0; i < a->n; i++) {
		data[len++] = (uint8_t)(a->leases[i].pid >> 8);
		data[len++] = (uint8_t)a->leases[i].pid;
	}
	put_vendor(ba, 2, data, len);
}

/* Digest §14.5: the set first, so that what it releases is free. */
static bool take_set(struct anchor *a, const struct fm_msg *bu)
{
	struct fm_octets pids;

	if (!read_set(bu, &pids))
		return false;
	for (unsigned i = a->n; i-- > 0;) {
		bool is_kept = has_pid(&pids, a->leases[i].pid);

		for (unsigned k = 0; k < a->n_odps; k++)
			is_kept |= a->odps[k].pid == a->leases[i].pid;
		if (!is_kept)
			drop(a, a->leases[i].pid);
	}
	return true;
}

static void read_odps(struct anchor *a, const struct fm_msg *bu)
{
	a->n_odps = 0;
	for (const struct fm_item *o = fm_msg_next(bu, FM_OPT_VENDOR, NULL); o;
	     o = fm_msg_next(bu, FM_OPT_VENDOR, o)) {
		if (o->vendor.sub_type == 1 && fm_odp_read(&o->vendor.data, &a->odps[a->n_odps]))
			a->n_odps++;
	}
}

static void put_leases(struct anchor *a, const struct fm_msg *bu, struct fm_msg *ba)
{
	read_odps(a, bu);
	bool has_set = take_set(a, bu);
	for (unsigned i = 0; i < a->n_odps; i++) {
		grant(a, &a->odps[i]);
		put_answer(ba, &a->odps[i]);
	}
	if (a->unasked.pid) {
		put_answer(ba, &a->unasked);
		if (a->unasked.valid_s == 0)
			drop(a, a->unasked.pid);
	}
	if (has_set || a->n_odps || a->unasked.pid)
		put_set(a, ba);
	a->unasked.pid = 0;
}

static void answer(struct world *w, struct anchor *a, unsigned i)
{
	struct fm_msg *bu = malloc(sizeof(*bu)), *ba = malloc(sizeof(*ba));
	const struct sent s = *world_read(w, i, bu);
	struct fm_ip coa = world_mac_coa(&s, bu);

	fm_msg_init(ba, FM_MH_BA);
	ba->ba.sequence = bu->bu.sequence;
	ba->ba.lifetime = bu->bu.lifetime;
	answer_options(bu, &(struct answer){ .no_odp = true }, ba);
	if (!a->is_old && bu->bu.lifetime)
		put_leases(a, bu, ba);
	world_deliver(w, &s, ba, &coa, true);
	free(bu);
	free(ba);
}

static uint64_t next_event(const struct world *w)
{
	uint64_t at_us = w->wake_us;

	for (unsigned i = 0; i < w->n_probes; i++)
		at_us = w->probes[i].at_us < at_us ? w->probes[i].at_us : at_us;
	return at_us;
}

/* Time passes, and the anchor answers after each round trip. */
static void run(struct world *w, struct anchor *a, uint64_t until_us)
{
	for (;;) {
		while (a->taken < w->n_sent && w->sent[a->taken].at_us + w->rtt_us <= w->now_us) {
			if (!a->is_dead)
				answer(w, a, a->taken);
			a->taken++;
		}
		uint64_t next_us = next_event(w);
		if (a->taken < w->n_sent && w->sent[a->taken].at_us + w->rtt_us < next_us)
			next_us = w->sent[a->taken].at_us + w->rtt_us;
		if (next_us > until_us)
			break;
		world_run(w, next_us);
	}
	world_run(w, until_us);
}

static struct world *bound(struct anchor *a, uint8_t default_type, uint8_t keep_ready)
{
	struct world *w = world_new(2);

	w->conf.default_type = default_type;
	w->conf.keep_ready = keep_ready;
	for (unsigned i = 0; i < 2; i++)
		w->conf.accesses[i].probe_interval_us = 5 * S;
	for (unsigned i = 0; i < ALL_TYPES; i++)
		w->conf.types[i].lifetime_s = 1000;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	world_access(w, 0, COA_W, (struct fm_ip){ 0 });
	world_access(w, 1, COA_X, (struct fm_ip){ 0 });
	fm_host_start(&w->h, w->now_us);
	run(w, a, w->now_us + 1 * S);
	assert_true(fm_host_is_bound(&w->h, w->now_us));
	return w;
}

enum does {
	END,
	ASK,	  /* type @a; PID or error @b */
	OWN,	  /* the same, a new prefix */
	USER,	  /* the same, of a user who may have one */
	HOLD,	  /* PID @a */
	LEAVE,	  /* nobody holds PID @a any more */
	USE,	  /* PID @a, @b octets */
	RELEASE,  /* PID @a; result @b */
	PASS,	  /* @a milliseconds */
	MOVE,	  /* to the other access */
	RENUMBER, /* the first access, and it is the only one from then on */
	RESTART,  /* of the host's daemon */
	RELOAD,	  /* keep_ready = @a */
	LIMIT,	  /* leases of type @a at most @b */
	IS,	  /* PID @a is in state @b */
	LATE,	  /* PID @a was refused for lateness */
	GONE,	  /* there is no PID @a */
	CURRENT,  /* of type @a is PID @b */
	THERE,	  /* the anchor holds PID @a */
	NOT_THERE,
	DEAD,	 /* the anchor is: @a */
	OLD,	 /* the anchor is: @a */
	SAYS,	 /* the anchor: to type @a status @b */
	GRANTS,	 /* the anchor: at most @a seconds preferred */
	CHANGES, /* the anchor: PID @a ends in @b seconds, by itself; it asks for a refresh */
	HAD,	 /* the anchor: of before, PID @a of type @b */
	FORGETS, /* the anchor: PID @a */
	TOLD,	 /* event @a @b times since last looked at */
	VALID,	 /* PID @a: left at least @b seconds, and no more than 20 above */
	PREFERRED,
};

struct step {
	enum does does;
	int a, b;
};

static bool is_state(struct world *w, int pid, enum fm_lease_state state, bool is_late)
{
	struct fm_address_status s;

	return fm_host_lease_status(&w->h, (uint16_t)pid, w->now_us, &s) && s.pid == pid &&
	       s.state == state && s.is_late == is_late;
}

static bool has_left(struct world *w, const struct step *s)
{
	struct fm_address_status of;

	if (!fm_host_lease_status(&w->h, (uint16_t)s->a, w->now_us, &of))
		return false;
	uint32_t left_s = s->does == VALID ? of.valid_s : of.preferred_s;
	return left_s >= (uint32_t)s->b && (s->b < 0 || left_s <= (uint32_t)s->b + 20);
}

static bool ask(struct world *w, const struct step *s)
{
	struct fm_host_ask of = { .type = (uint8_t)s->a, .is_own = s->does != ASK };

	if (s->does == USER) {
		of.owner = 1000;
		of.owner_max = 1;
	}

	return fm_host_ask(&w->h, &of, w->now_us) == s->b;
}

/* BRR, RFC 6275 §6.1.2; the answer to the update that follows brings the change. */
static void change(struct world *w, struct anchor *a, const struct step *s)
{
	struct fm_msg *m = malloc(sizeof(*m));
	struct fm_ip coa = w->h.accesses[0].reg.bound_coa;
	struct sent to = { .via = fm_host_update_via(&w->h, 0) };

	a->unasked = *held(a, (uint16_t)s->a);
	a->unasked.preferred_s = 0;
	a->unasked.valid_s = (uint32_t)s->b;
	fm_msg_init(m, FM_MH_BRR);
	assert_int_equal(world_deliver(w, &to, m, &coa, true), 0);
	free(m);
}

static void restart(struct world *w, struct anchor *a)
{
	uint8_t *record = malloc(w->record_len);
	size_t len = w->record_len;

	memcpy(record, w->record, len);
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	assert_int_equal(fm_host_restore(&w->h, record, len, w->now_us), 0);
	free(record);
	world_access(w, 0, COA_W, (struct fm_ip){ 0 });
	world_access(w, 1, COA_X, (struct fm_ip){ 0 });
	a->taken = w->n_sent;
	fm_host_start(&w->h, w->now_us);
}

static void move(struct world *w)
{
	bool is_first = w->h.last_chosen == 0;

	world_access(w, 0, COA_W, (struct fm_ip){ 0 });
	world_access(w, 1, COA_X, (struct fm_ip){ 0 });
	world_cut(w, is_first ? 0 : 1);
}

static void reload(struct world *w)
{
	fm_host_reconfigure(&w->h, &w->conf, w->now_us);
}

/* false: what was expected is not so. */
static bool act(struct world *w, struct anchor *a, const struct step *s)
{
	uint16_t pid = (uint16_t)s->a;
	struct fm_address_status of;
	bool is_so;

	switch (s->does) {
	case END:
		return true;
	case ASK:
	case OWN:
	case USER:
		return ask(w, s);
	case HOLD:
	case LEAVE:
		fm_host_hold(&w->h, pid, s->does == HOLD, w->now_us);
		return true;
	case USE:
		fm_host_used(&w->h, pid, (uint64_t)s->b, w->now_us);
		return true;
	case RELEASE:
		return fm_host_release(&w->h, pid, w->now_us) == s->b;
	case PASS:
		run(w, a, w->now_us + (uint64_t)s->a * MS);
		return true;
	case MOVE:
		move(w);
		return true;
	case RENUMBER:
		world_cut(w, 1);
		world_access(w, 0, ip6(0xf001, 0x77), (struct fm_ip){ 0 });
		return true;
	case RESTART:
		restart(w, a);
		return true;
	case RELOAD:
		w->conf.keep_ready = (uint8_t)s->a;
		reload(w);
		return true;
	case LIMIT:
		w->conf.types[s->a].max = (uint8_t)s->b;
		reload(w);
		return true;
	case IS:
		return is_state(w, s->a, (enum fm_lease_state)s->b, false);
	case LATE:
		return is_state(w, s->a, FM_LEASE_REFUSED, true);
	case GONE:
		return !fm_host_lease_status(&w->h, pid, w->now_us, &of);
	case CURRENT:
		return fm_host_current(&w->h, (uint8_t)s->a) == s->b;
	case THERE:
		return held(a, pid);
	case NOT_THERE:
		return !held(a, pid);
	case DEAD:
		a->is_dead = s->a;
		return true;
	case OLD:
		a->is_old = s->a;
		a->n = 0;
		return true;
	case SAYS:
		a->status[s->a] = (uint8_t)s->b;
		return true;
	case GRANTS:
		a->preferred_s = (uint32_t)s->a;
		return true;
	case CHANGES:
		change(w, a, s);
		return true;
	case HAD:
		a->leases[a->n++] = (struct fm_odp){ .pid = pid,
						     .service_type = (uint8_t)s->b,
						     .prefix = ip6(0x1ff, 0) };
		return true;
	case FORGETS:
		drop(a, pid);
		return true;
	case TOLD:
		is_so = w->events[s->a] == (unsigned)s->b;
		w->events[s->a] = 0;
		return is_so;
	case VALID:
	case PREFERRED:
		return has_left(w, s);
	}
	return false;
}

enum { H = FM_LEASE_HELD, W = FM_LEASE_WANTED, R = FM_LEASE_REFUSED };
enum { GRANTED = FM_EVENT_LEASE_GRANTED, ENDED = FM_EVENT_LEASE_ENDED };
enum { LOST = FM_EVENT_LEASE_LOST, REFUSED = FM_EVENT_LEASE_REFUSED };

#define STEPS_MAX 40u
#define TYPE(n) (1 << (n))

/* clang-format off */
/* Preferred lifetimes are 1000 s, so 4600 s valid. */
static const struct {
	const char *name;
	uint8_t default_type, keep_ready;
	struct step steps[STEPS_MAX];
} rows[] = {
	/* asking */
	{ "many who ask share one request", 0, 0, {
		{ ASK, 2, 1 }, { ASK, 2, 1 }, { IS, 1, W }, { PASS, 100 }, { IS, 1, H }, { CURRENT, 2, 1 },
		{ ASK, 2, 1 }, { TOLD, GRANTED, 1 } } },
	{ "an own one is a new prefix, and not for others", 0, 0, {
		{ ASK, 2, 1 }, { PASS, 100 }, { OWN, 2, 2 }, { PASS, 100 }, { IS, 2, H }, { CURRENT, 2, 1 },
		{ ASK, 2, 1 }, { LEAVE, 1 }, { PASS, 11000 }, { GONE, 1 }, { CURRENT, 2, 0 }, { IS, 2, H } } },
	{ "what is asked while an update is out goes into the next at once", 0, 0, {
		{ ASK, 2, 1 }, { PASS, 5 }, { ASK, 1, 2 }, { ASK, 4, 3 }, { PASS, 40 },
		{ IS, 1, H }, { IS, 2, H }, { IS, 3, H } } },
	{ "three types at once; the fourth is the access' own", 0, 0, {
		{ ASK, 1, 1 }, { ASK, 2, 2 }, { ASK, 4, 3 }, { ASK, 3, -EPROTONOSUPPORT }, { ASK, 0, -EPROTONOSUPPORT },
		{ ASK, 5, -EPROTONOSUPPORT }, { PASS, 100 }, { CURRENT, 1, 1 }, { CURRENT, 2, 2 }, { CURRENT, 4, 3 } } },
	{ "a dead anchor ends the wait at the deadline; a later ask tries again", 0, 0, {
		{ DEAD, 1 }, { ASK, 2, 1 }, { PASS, 4990 }, { IS, 1, W }, { PASS, 20 }, { LATE, 1 },
		{ TOLD, REFUSED, 1 }, { ASK, 2, 1 }, { IS, 1, W }, { DEAD, 0 }, { PASS, 1100 }, { IS, 1, H } } },
	{ "who gave up leaves nothing behind", 0, 0, {
		{ DEAD, 1 }, { ASK, 2, 1 }, { PASS, 5100 }, { LATE, 1 }, { PASS, 11000 }, { GONE, 1 }, { DEAD, 0 },
		{ PASS, 70000 }, { NOT_THERE, 1 }, { CURRENT, 2, 0 } } },
	{ "kept ready, it is asked for on and on, and whoever waits hears in time", 0, TYPE(2), {
		{ IS, 1, H }, { DEAD, 1 }, { RELEASE, 1, 0 }, { ASK, 2, 2 }, { PASS, 5100 }, { LATE, 2 }, { DEAD, 0 },
		{ PASS, 32000 }, { IS, 2, H }, { CURRENT, 2, 2 } } },
	{ "an ask does not wait for the whole back-off", 0, TYPE(2), {
		{ DEAD, 1 }, { RELEASE, 1, 0 }, { PASS, 100000 }, { DEAD, 0 }, { ASK, 2, 2 }, { PASS, 1200 },
		{ IS, 2, H } } },
	{ "the limit of a type", 0, 0, {
		{ LIMIT, 2, 2 }, { ASK, 2, 1 }, { OWN, 2, 2 }, { OWN, 2, -ENOBUFS }, { ASK, 2, 1 }, { PASS, 100 },
		{ LEAVE, 2 }, { PASS, 11000 }, { OWN, 2, 3 } } },
	{ "twelve own ones and the types' beside them, in two updates", 0, 0, {
		{ OWN, 2, 1 }, { OWN, 2, 2 }, { OWN, 2, 3 }, { OWN, 2, 4 }, { OWN, 2, 5 }, { OWN, 2, 6 }, { OWN, 2, 7 },
		{ OWN, 2, 8 }, { OWN, 2, 9 }, { OWN, 2, 10 }, { OWN, 2, 11 }, { OWN, 2, 12 }, { OWN, 2, -ENOBUFS },
		{ ASK, 1, 13 }, { ASK, 2, 14 }, { ASK, 4, 15 }, { OWN, 1, -ENOBUFS },
		{ PASS, 100 }, { IS, 1, H }, { IS, 8, H }, { IS, 9, H }, { IS, 15, H }, { THERE, 15 } } },
	/* holding */
	{ "released ten seconds after the last holder", 0, 0, {
		{ ASK, 2, 1 }, { PASS, 100 }, { LEAVE, 1 }, { PASS, 9900 }, { IS, 1, H }, { THERE, 1 }, { PASS, 200 },
		{ GONE, 1 }, { CURRENT, 2, 0 }, { NOT_THERE, 1 }, { TOLD, ENDED, 1 }, { TOLD, LOST, 0 } } },
	{ "held again within them, it goes on", 0, 0, {
		{ ASK, 2, 1 }, { PASS, 100 }, { LEAVE, 1 }, { PASS, 9000 }, { ASK, 2, 1 }, { PASS, 9000 }, { IS, 1, H },
		{ LEAVE, 1 }, { PASS, 9000 }, { HOLD, 1 }, { PASS, 20000 }, { IS, 1, H }, { THERE, 1 } } },
	{ "given up before it was granted", 0, 0, {
		{ DEAD, 1 }, { ASK, 2, 1 }, { LEAVE, 1 }, { PASS, 11000 }, { GONE, 1 }, { DEAD, 0 }, { PASS, 60000 },
		{ NOT_THERE, 1 } } },
	{ "one of each type kept ready stays", 2, TYPE(1), {
		{ CURRENT, 1, 1 }, { CURRENT, 2, 2 }, { ASK, 2, 2 }, { LEAVE, 2 }, { PASS, 100000 }, { IS, 2, H },
		{ IS, 1, H } } },
	{ "no more kept ready, it goes; again, there is one at once", 0, TYPE(2), {
		{ CURRENT, 2, 1 }, { RELOAD, 0 }, { PASS, 11000 }, { GONE, 1 }, { NOT_THERE, 1 }, { RELOAD, TYPE(4) },
		{ PASS, 100 }, { CURRENT, 4, 2 } } },
	{ "a release that the anchor did not hear is told again", 0, 0, {
		{ ASK, 2, 1 }, { PASS, 100 }, { DEAD, 1 }, { LEAVE, 1 }, { PASS, 12000 }, { GONE, 1 }, { THERE, 1 },
		{ DEAD, 0 }, { PASS, 33000 }, { NOT_THERE, 1 } } },
	{ "an order takes it away", 0, 0, {
		{ ASK, 1, 1 }, { PASS, 100 }, { RELEASE, 1, 0 }, { GONE, 1 }, { CURRENT, 1, 0 }, { PASS, 100 },
		{ NOT_THERE, 1 }, { RELEASE, 1, -ENOENT } } },
	/* lifetimes */
	{ "new sockets get a new one in time, old ones keep theirs", 0, 0, {
		{ ASK, 2, 1 }, { PASS, 100 }, { PREFERRED, 1, 980 }, { VALID, 1, 4590 }, { PASS, 960000 }, { CURRENT, 2, 1 },
		{ PASS, 15000 }, { CURRENT, 2, 2 }, { IS, 1, H }, { PREFERRED, 1, 0 }, { LEAVE, 2 }, { PASS, 1400000 },
		{ VALID, 1, 4510 }, { PASS, 9000000 }, { IS, 1, H }, { PREFERRED, 1, 0 }, { TOLD, LOST, 0 },
		{ LEAVE, 1 }, { PASS, 11000 }, { GONE, 1 }, { CURRENT, 2, 0 } } },
	{ "kept ready, it is replaced without anybody", 0, TYPE(2), {
		{ CURRENT, 2, 1 }, { PASS, 980000 }, { CURRENT, 2, 2 }, { PASS, 11000 }, { GONE, 1 }, { NOT_THERE, 1 },
		{ PASS, 980000 }, { CURRENT, 2, 3 } } },
	{ "fixed is never replaced", 0, TYPE(1), {
		{ CURRENT, 1, 1 }, { PASS, 20000000 }, { CURRENT, 1, 1 }, { IS, 1, H }, { TOLD, GRANTED, 1 } } },
	{ "lives cut short by the anchor are no storm", 0, TYPE(2), {
		{ GRANTS, 1 }, { RELEASE, 1, 0 }, { PASS, 100 }, { CURRENT, 2, 2 }, { PASS, 1000 }, { CURRENT, 2, 0 },
		{ TOLD, GRANTED, 2 }, { PASS, 20000 }, { TOLD, GRANTED, 2 } } },
	{ "at its limit of octets new sockets get a new one", 0, 0, {
		{ OWN, 2, 1 }, { ASK, 4, 2 }, { PASS, 100 }, { USE, 2, 500 }, { PASS, 100 }, { CURRENT, 4, 2 },
		{ USE, 2, 450 }, { PASS, 100 }, { CURRENT, 4, 3 }, { USE, 2, 100 }, { IS, 2, H }, { IS, 1, H } } },
	/* type 4 */
	{ "after a handover the old one has its grace", 0, 0, {
		{ ASK, 4, 1 }, { PASS, 1000 }, { MOVE }, { PASS, 4000 }, { CURRENT, 4, 2 }, { IS, 1, H }, { PREFERRED, 1, 0 },
		{ VALID, 1, 10 }, { TOLD, LOST, 0 }, { PASS, 30000 }, { GONE, 1 }, { IS, 2, H }, { TOLD, LOST, 0 } } },
	{ "renumbering is a handover", 0, 0, {
		{ ASK, 4, 1 }, { PASS, 1000 }, { RENUMBER }, { PASS, 3000 }, { CURRENT, 4, 2 }, { PREFERRED, 1, 0 } } },
	{ "other types stay over a handover", 0, TYPE(2), {
		{ ASK, 1, 2 }, { OWN, 2, 3 }, { PASS, 1000 }, { MOVE }, { PASS, 40000 }, { MOVE }, { PASS, 40000 },
		{ IS, 1, H }, { IS, 2, H }, { IS, 3, H }, { CURRENT, 2, 1 }, { TOLD, GRANTED, 3 } } },
	{ "and home again: one more", 0, TYPE(4), {
		{ CURRENT, 4, 1 }, { MOVE }, { PASS, 5000 }, { CURRENT, 4, 2 }, { MOVE }, { PASS, 5000 }, { CURRENT, 4, 3 },
		{ PASS, 40000 }, { GONE, 1 }, { GONE, 2 }, { IS, 3, H } } },
	{ "renumbered while another access serves: one handover, not two", 0, TYPE(4), {
		{ CURRENT, 4, 1 }, { MOVE }, { PASS, 1500 }, { RENUMBER }, { PASS, 5000 }, { CURRENT, 4, 2 }, { GONE, 3 },
		{ TOLD, GRANTED, 2 }, { PASS, 60000 }, { CURRENT, 4, 2 }, { GONE, 1 }, { GONE, 3 } } },
	{ "a short visit elsewhere replaces nothing", 0, TYPE(4), {
		{ CURRENT, 4, 1 }, { MOVE }, { PASS, 1500 }, { MOVE }, { PASS, 10000 }, { CURRENT, 4, 1 }, { IS, 1, H } } },
	{ "an own one has its successor, which whoever asks next gets at once", 0, 0, {
		{ USER, 4, 1 }, { PASS, 1000 }, { MOVE }, { PASS, 4000 }, { IS, 1, H }, { PREFERRED, 1, 0 }, { IS, 2, H },
		{ OWN, 4, 3 }, { USER, 4, 2 }, { IS, 2, H }, { USER, 4, -ENOBUFS }, { PASS, 31000 }, { GONE, 1 },
		{ LEAVE, 3 }, { PASS, 20000 }, { IS, 2, H }, { GONE, 3 } } },
	{ "a successor that nobody asks for goes soon after", 0, 0, {
		{ USER, 4, 1 }, { PASS, 1000 }, { MOVE }, { PASS, 4000 }, { IS, 2, H }, { PASS, 20000 }, { IS, 2, H },
		{ PASS, 25000 }, { GONE, 1 }, { GONE, 2 }, { NOT_THERE, 2 } } },
	{ "an own one that nobody uses has no successor", 0, 0, {
		{ USER, 4, 1 }, { PASS, 1000 }, { LEAVE, 1 }, { MOVE }, { PASS, 4000 }, { GONE, 2 } } },
	{ "it is renewed by its lifetime, too", 0, TYPE(4), {
		{ CURRENT, 4, 1 }, { PASS, 985000 }, { CURRENT, 4, 2 }, { PASS, 40000 }, { GONE, 1 } } },
	/* refusals */
	{ "what the anchor refuses now is not asked for again now", 0, 0, {
		{ SAYS, 2, 129 }, { ASK, 2, 1 }, { PASS, 100 }, { IS, 1, R }, { ASK, 2, -EACCES }, { OWN, 2, -EACCES },
		{ TOLD, REFUSED, 1 }, { SAYS, 2, 0 }, { PASS, 30000 }, { GONE, 1 }, { ASK, 2, 2 }, { PASS, 100 },
		{ IS, 2, H } } },
	{ "not supported", 0, 0, {
		{ SAYS, 4, 131 }, { ASK, 4, 1 }, { PASS, 100 }, { IS, 1, R }, { ASK, 4, -EPROTONOSUPPORT }, { ASK, 2, 2 },
		{ PASS, 590000 }, { ASK, 4, -EPROTONOSUPPORT }, { PASS, 10000 }, { ASK, 4, 3 } } },
	{ "no resources", 0, 0, {
		{ SAYS, 1, 130 }, { ASK, 1, 1 }, { PASS, 100 }, { ASK, 1, -ENOBUFS }, { PASS, 5000 }, { ASK, 1, 1 } } },
	{ "another status", 0, 0, {
		{ SAYS, 1, 132 }, { ASK, 1, 1 }, { PASS, 100 }, { IS, 1, R }, { ASK, 1, -EADDRNOTAVAIL } } },
	{ "another lease by the same PID, from before the host lost its record, is ended", 0, 0, {
		{ HAD, 1, 4 }, { ASK, 2, 1 }, { PASS, 100 }, { IS, 1, R }, { NOT_THERE, 1 }, { PASS, 5000 }, { ASK, 2, 1 },
		{ PASS, 100 }, { IS, 1, H } } },
	{ "a reload forgets refusals", 0, 0, {
		{ SAYS, 4, 131 }, { ASK, 4, 1 }, { PASS, 100 }, { SAYS, 4, 0 }, { RELOAD, 0 }, { ASK, 4, 1 }, { PASS, 100 },
		{ CURRENT, 4, 1 } } },
	{ "kept ready and refused, it is asked for again by itself", 0, TYPE(2), {
		{ SAYS, 2, 130 }, { RELEASE, 1, 0 }, { PASS, 100 }, { IS, 2, R }, { SAYS, 2, 0 }, { PASS, 30000 },
		{ CURRENT, 2, 2 } } },
	{ "lost at the anchor: new ones get another", 0, 0, {
		{ ASK, 2, 1 }, { OWN, 2, 2 }, { PASS, 100 }, { FORGETS, 1 }, { FORGETS, 2 }, { PASS, 2500000 }, { GONE, 1 },
		{ GONE, 2 }, { TOLD, LOST, 2 } } },
	{ "an operator withdraws it", 0, TYPE(2), {
		{ CURRENT, 2, 1 }, { HOLD, 1 }, { CHANGES, 1, 0 }, { PASS, 200 }, { GONE, 1 }, { TOLD, LOST, 1 },
		{ CURRENT, 2, 2 } } },
	{ "an operator shortens its life", 0, 0, {
		{ ASK, 2, 1 }, { PASS, 100 }, { CHANGES, 1, 60 }, { PASS, 200 }, { IS, 1, H }, { PREFERRED, 1, 0 }, { VALID, 1, 40 },
		{ TOLD, LOST, 0 }, { PASS, 100 }, { CURRENT, 2, 2 } } },
	{ "an old anchor has its registration address, and that is session-lasting", 0, 0, {
		{ OLD, 1 }, { ASK, 2, 1 }, { ASK, 1, 2 }, { OWN, 2, 3 }, { PASS, 100 }, { IS, 1, H }, { CURRENT, 2, 1 },
		{ IS, 2, R }, { IS, 3, R }, { ASK, 1, -EPROTONOSUPPORT }, { ASK, 2, 1 }, { VALID, 1, -1 },
		{ PASS, 1300000 }, { IS, 1, H }, { LEAVE, 1 }, { PASS, 11000 }, { GONE, 1 } } },
	{ "an old anchor that learns", 0, TYPE(2), {
		{ OLD, 1 }, { RELEASE, 1, 0 }, { PASS, 100 }, { CURRENT, 2, 2 }, { NOT_THERE, 2 }, { OLD, 0 },
		{ PASS, 605000 }, { CURRENT, 2, 2 }, { THERE, 2 } } },
	/* restarts */
	{ "leases of before are held until the daemon has looked", 0, 0, {
		{ ASK, 2, 1 }, { OWN, 1, 2 }, { PASS, 100 }, { RESTART }, { PASS, 60000 }, { IS, 1, H }, { IS, 2, H },
		{ CURRENT, 2, 1 }, { CURRENT, 1, 0 }, { LEAVE, 1 }, { PASS, 11000 }, { GONE, 1 }, { IS, 2, H },
		{ THERE, 2 } } },
	{ "a restart does not give a user another share", 0, 0, {
		{ USER, 2, 1 }, { USER, 2, -ENOBUFS }, { PASS, 100 }, { RESTART }, { PASS, 1000 }, { USER, 2, -ENOBUFS },
		{ OWN, 2, 66 }, { LEAVE, 1 }, { PASS, 11000 }, { USER, 2, 67 } } },
	{ "what was only asked for is not remembered", 0, 0, {
		{ DEAD, 1 }, { ASK, 2, 1 }, { PASS, 1000 }, { RESTART }, { GONE, 1 }, { DEAD, 0 }, { PASS, 40000 },
		{ NOT_THERE, 1 }, { ASK, 2, 65 } } },
	{ "a handover while no daemon ran", 0, TYPE(4), {
		{ MOVE }, { PASS, 5000 }, { CURRENT, 4, 2 }, { PASS, 40000 }, { RESTART }, { PASS, 5000 }, { CURRENT, 4, 67 } } },
};
/* clang-format on */

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void scripts(void **state)
{
	unsigned failed = 0;

	(void)state;
	for (unsigned i = 0; i < ROWS; i++) {
		struct anchor *a = calloc(1, sizeof(*a));
		struct world *w = bound(a, rows[i].default_type, rows[i].keep_ready);
		unsigned k = 0;

		w->conf.types[4].byte_limit = 1000;
		reload(w);
		while (k < STEPS_MAX && rows[i].steps[k].does != END &&
		       act(w, a, &rows[i].steps[k]))
			k++;
		if (k < STEPS_MAX && rows[i].steps[k].does != END) {
			print_error("%s: step %u does not hold\n", rows[i].name, k + 1);
			failed++;
		}
		world_free(w);
		free(a);
	}
	assert_int_equal(failed, 0);
}

static bool find_odp(struct world *w, unsigned i, uint16_t pid, struct fm_odp *odp)
{
	struct fm_msg *m = malloc(sizeof(*m));
	bool is_there = false;

	world_read(w, i, m);
	for (const struct fm_item *o = fm_msg_next(m, FM_OPT_VENDOR, NULL); o && !is_there;
	     o = fm_msg_next(m, FM_OPT_VENDOR, o))
		is_there = o->vendor.sub_type == 1 && fm_odp_read(&o->vendor.data, odp) &&
			   odp->pid == pid;
	free(m);
	return is_there;
}

/* What is asked for of a lease, and how it is renewed (digest §14.6). */
static const struct {
	const char *name;
	uint8_t type;
	uint32_t of_type_s, lifetime_s;
	uint64_t byte_limit;
	uint32_t preferred_s, valid_s;		  /* asked at first */
	uint32_t again_s, preferred2_s, valid2_s; /* when and what renews it; 0: never */
} lives[] = {
	{ "a day and an hour", 2, 0, 0, 0, 86400, 90000, 45000, 41400, 90000 },
	{ "as the type is configured", 2, 600, 0, 0, 600, 4200, 2100, 0, 4200 },
	{ "as its program wants", 2, 600, 7200, 0, 7200, 10800, 5400, 1800, 10800 },
	{ "fixed is preferred again", 1, 0, 0, 0, 86400, 90000, 43200, 86400, 90000 },
	{ "without end", 1, INFINITE, 0, 0, INFINITE, INFINITE, 0, 0, 0 },
	{ "an end that is no number", 2, INFINITE - 1, 0, 0, INFINITE - 1, INFINITE, 0, 0, 0 },
	{ "a limit in octets", 4, 1000, 0, 5000, 1000, 4600, 2300, 0, 4600 },
};

static void lifetimes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(lives) / sizeof(lives[0]); i++) {
		struct anchor *a = calloc(1, sizeof(*a));
		struct world *w = bound(a, 0, 0);
		struct fm_host_ask ask = { .type = lives[i].type,
					   .is_own = true,
					   .lifetime_s = lives[i].lifetime_s,
					   .byte_limit = lives[i].byte_limit };
		unsigned next = w->n_sent;
		struct fm_odp odp;

		w->h.conf.types[ask.type].lifetime_s = lives[i].of_type_s;
		assert_int_equal(fm_host_ask(&w->h, &ask, w->now_us), 1);
		assert_true(find_odp(w, next, 1, &odp));
		print_message("%s\n", lives[i].name);
		assert_int_equal(odp.service_type, ask.type);
		assert_int_equal(odp.preferred_s, lives[i].preferred_s);
		assert_int_equal(odp.valid_s, lives[i].valid_s);
		assert_int_equal(odp.byte_limit, lives[i].byte_limit);
		assert_int_equal(odp.prefix_length, 0);
		run(w, a, w->now_us + (lives[i].again_s + 1) * S);
		for (next++; next < w->n_sent && !find_odp(w, next, 1, &odp);)
			next++;
		assert_int_equal(next < w->n_sent, lives[i].again_s != 0);
		if (lives[i].again_s) {
			assert_int_equal(odp.preferred_s, lives[i].preferred2_s);
			assert_int_equal(odp.valid_s, lives[i].valid2_s);
			assert_int_equal(odp.prefix_length, 64);
		}
		world_free(w);
		free(a);
	}
}

static const struct fm_host_ask shared = { .type = 2 }, own = { .type = 2, .is_own = true };

/* One user has its share of own leases and no more; others, and what is shared, have room. */
static void own_leases_leave_room(void **state)
{
	struct fm_host_ask user = own;
	struct anchor *a = calloc(1, sizeof(*a));
	struct world *w = bound(a, 0, 0);
	unsigned n = 0;

	(void)state;
	user.owner_max = 4;
	for (user.owner = 1000; user.owner < 1005; user.owner++) {
		unsigned of_user = 0;

		while (of_user < 10 && fm_host_ask(&w->h, &user, w->now_us) > 0)
			of_user++;
		assert_int_equal(of_user, user.owner < 1003 ? 4 : 0);
		n += of_user;
	}
	assert_int_equal(n, FM_LEASES_MAX - FM_HOST_LEASES_SHARED);
	assert_int_equal(fm_host_ask(&w->h, &own, w->now_us), -ENOBUFS);
	assert_true(fm_host_ask(&w->h, &shared, w->now_us) > 0);
	assert_true(fm_host_ask(&w->h, &(struct fm_host_ask){ .type = FM_TYPE_FIXED }, w->now_us) >
		    0);
	world_free(w);
	free(a);
}

/* RFC 6275 §11.8: each update is a new one, and says all that no answer has settled. */
static void an_unheard_update_is_said_again(void **state)
{
	struct anchor *a = calloc(1, sizeof(*a));
	struct world *w = bound(a, 0, 0);
	unsigned next = w->n_sent;
	struct fm_odp odp;

	(void)state;
	fm_host_ask(&w->h, &shared, w->now_us);
	fm_host_ask(&w->h, &own, w->now_us);
	world_run(w, w->now_us + 150 * MS);
	assert_int_equal(w->n_sent, next + 2);
	assert_true(find_odp(w, next, 1, &odp));
	assert_false(find_odp(w, next, 2, &odp));
	assert_true(find_odp(w, next + 1, 1, &odp));
	assert_true(find_odp(w, next + 1, 2, &odp));
	/* the later one is answered, then the first: it knows nothing of the second lease */
	answer(w, a, next + 1);
	struct anchor before = { .n = 1, .leases[0] = *held(a, 1) };
	answer(w, &before, next);
	assert_int_equal(w->h.leases[0].state, FM_LEASE_HELD);
	assert_int_equal(w->h.leases[1].state, FM_LEASE_HELD);
	assert_int_equal(w->events[FM_EVENT_LEASE_LOST], 0);
	world_free(w);
	free(a);
}

/* RFC 6089 §5.2.3: what an update does not name is gone (digest §7.5, §14.8). */
static void an_ask_names_all_flows(void **state)
{
	struct anchor *a = calloc(1, sizeof(*a));
	struct world *w = bound(a, 0, 0);
	struct fm_msg *m = malloc(sizeof(*m));
	struct fm_odp odp;

	(void)state;
	assert_int_equal(fm_host_move(&w->h, &call, 1, UINT64_MAX, w->now_us), 0);
	run(w, a, w->now_us + 1 * S);
	unsigned next = w->n_sent;
	fm_host_ask(&w->h, &shared, w->now_us);
	assert_true(find_odp(w, next, 1, &odp));
	world_read(w, next, m);
	const struct fm_item *summary = fm_msg_next(m, FM_OPT_FLOW_SUMMARY, NULL);
	assert_non_null(summary);
	assert_int_equal(fm_u16_at(&summary->u16_list, 0), 1);
	free(m);
	world_free(w);
	free(a);
}

/* Everything at once: it still fits a packet of 1280 octets (D35). */
static void the_largest_update_is_small_enough(void **state)
{
	struct anchor *a = calloc(1, sizeof(*a));
	struct world *w = bound(a, 0, 0);
	unsigned next;

	(void)state;
	a->is_dead = true;
	for (uint16_t i = 0; i < 64; i++) {
		struct fm_tuple t = { .local = ip6(0x100, 1),
				      .remote = ip6(0x200, i),
				      .local_port = (uint16_t)(4000 + i),
				      .remote_port = 443,
				      .ip_proto = 6 };
		fm_host_move(&w->h, &t, 1, UINT64_MAX, w->now_us);
	}
	for (unsigned i = 0; i < FM_LEASES_MAX - FM_HOST_LEASES_SHARED; i++)
		assert_int_equal(fm_host_ask(&w->h, &own, w->now_us), i + 1);
	for (unsigned i = 0; i < FM_HOST_LEASES_SHARED; i++)
		assert_non_null(fm_host_lease_want(&w->h, FM_TYPE_FIXED));
	next = w->n_sent;
	run(w, a, w->now_us + 5 * S);
	assert_true(w->n_sent > next);
	for (; next < w->n_sent; next++)
		assert_in_range(w->sent[next].len, 0, 1280 - 40 - 24);
	world_free(w);
	free(a);
}

/* The registration record before leases had fields of their own. */
static void the_record_of_the_version_before_is_read(void **state)
{
	enum { LEASE_1 = 60, LEASE_2 = LEASE_1 + 50, TAIL_3 = 4 };
	struct anchor *a = calloc(1, sizeof(*a));
	struct world *w = bound(a, 2, 0);
	const unsigned head = 18 + w->conf.mn_id_len + 62 + FM_ACCESSES_MAX * 32;
	uint8_t old[FM_HOST_RECORD_MAX];
	struct fm_ip prefix = w->h.leases[0].prefix;
	size_t len = head;

	(void)state;
	memcpy(old, w->record, head);
	for (unsigned i = 0; i < FM_LEASES_MAX; i++, len += LEASE_1)
		memcpy(old + len, w->record + head + i * LEASE_2, LEASE_1);
	memcpy(old + len, w->record + head + FM_LEASES_MAX * LEASE_2,
	       w->record_len - head - FM_LEASES_MAX * LEASE_2 - TAIL_3);
	len += w->record_len - head - FM_LEASES_MAX * LEASE_2 - TAIL_3;
	old[0] = 1;
	fm_host_init(&w->h, &w->conf, &world_ops, w);
	assert_int_equal(fm_host_restore(&w->h, old, len, w->now_us), 0);
	assert_int_equal(w->h.leases[0].state, FM_LEASE_HELD);
	assert_memory_equal(w->h.leases[0].prefix.b, prefix.b, 16);
	assert_int_equal(w->h.leases[0].replace_us, w->h.leases[0].preferred_us);
	for (unsigned version = 0; version < 256; version += 3) {
		old[0] = (uint8_t)version;
		fm_host_init(&w->h, &w->conf, &world_ops, w);
		assert_int_equal(fm_host_restore(&w->h, old, len, w->now_us), -EINVAL);
	}
	world_free(w);
	free(a);
}

/* The daemon need not look at all leases at each turn. */
static void each_change_is_counted(void **state)
{
	struct anchor *a = calloc(1, sizeof(*a));
	struct world *w = bound(a, 0, 0);
	uint32_t before = w->h.leases_changed;

	(void)state;
	run(w, a, w->now_us + 100 * S);
	assert_int_equal(w->h.leases_changed, before);
	a->status[1] = 129;
	const struct fm_host_ask asks[] = { { .type = 2 }, { .type = 1 } };
	for (unsigned i = 0; i < 2; i++) {
		before = w->h.leases_changed;
		fm_host_ask(&w->h, &asks[i], w->now_us);
		assert_int_not_equal(w->h.leases_changed, before);
		before = w->h.leases_changed;
		run(w, a, w->now_us + 1 * S);
		assert_int_not_equal(w->h.leases_changed, before);
	}
	before = w->h.leases_changed;
	fm_host_hold(&w->h, 1, false, w->now_us);
	run(w, a, w->now_us + 11 * S);
	assert_int_not_equal(w->h.leases_changed, before);
	world_free(w);
	free(a);
}

/* RFC 8653 §3.2: asked for again, its prefix comes with the same address, and only its. */
static void a_fixed_prefix_has_one_address(void **state)
{
	struct anchor *a = calloc(1, sizeof(*a));
	struct world *w = bound(a, 0, 0);
	const struct fm_host_ask asks[] = { { .type = 2 }, { .type = 1 } };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct fm_ip address[3];

		for (unsigned k = 0; k < 3; k++) {
			a->n_prefixes = k / 2; /* twice the same, then another one */
			int pid = fm_host_ask(&w->h, &asks[i], w->now_us);
			run(w, a, w->now_us + 1 * S);
			assert_int_equal(w->h.leases[0].state, FM_LEASE_HELD);
			address[k] = w->h.leases[0].address;
			fm_host_hold(&w->h, (uint16_t)pid, false, w->now_us);
			run(w, a, w->now_us + 12 * S);
			assert_int_equal(w->h.leases[0].state, FM_LEASE_NONE);
		}
		assert_int_equal(fm_ip_equal(&address[0], &address[1]), asks[i].type == 1);
		assert_memory_not_equal(address[1].b + 8, address[2].b + 8, 8);
	}
	world_free(w);
	free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scripts),
		cmocka_unit_test(lifetimes),
		cmocka_unit_test(own_leases_leave_room),
		cmocka_unit_test(an_unheard_update_is_said_again),
		cmocka_unit_test(an_ask_names_all_flows),
		cmocka_unit_test(the_largest_update_is_small_enough),
		cmocka_unit_test(the_record_of_the_version_before_is_read),
		cmocka_unit_test(each_change_is_counted),
		cmocka_unit_test(a_fixed_prefix_has_one_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
