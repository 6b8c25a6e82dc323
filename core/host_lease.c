/*
 * The host's leases (digest §14.6): what each event does to one in each state. What time does to
 * them is in host_lease_time.c, what programs ask for in host_lease_ask.c, what binding updates say
 * in host_lease_wire.c.
 */
#include "core/host_lease.h"

#define LIFETIME_S 86400u		/* preferred, asked for; digest §14.6 */
#define LEAD_MAX_US (30 * FM_SECOND_US) /* a successor is asked for so long before */
#define LIFE_MIN_US (10 * FM_SECOND_US) /* no successor sooner, however short the life granted */
#define RETRY_US (30 * FM_SECOND_US)
#define RETRY_MAX_US (600 * FM_SECOND_US)

uint32_t fm_host_left_s(uint64_t end_us, uint64_t now_us)
{
	if (end_us == FM_NEVER)
		return FM_INFINITE_S;
	return end_us > now_us ? (uint32_t)((end_us - now_us) / FM_SECOND_US) : 0;
}

static uint64_t end_of(uint32_t life_s, uint64_t now_us)
{
	return life_s == FM_INFINITE_S ? FM_NEVER : now_us + life_s * FM_SECOND_US;
}

uint32_t fm_host_lease_lifetime_s(const struct fm_host *h, const struct fm_host_lease *l)
{
	uint32_t of_type_s = h->conf.types[l->type].lifetime_s;

	if (l->lifetime_s)
		return l->lifetime_s;
	return of_type_s ? of_type_s : LIFETIME_S;
}

struct fm_host_lease *fm_host_lease_find(struct fm_host *h, uint16_t pid)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		if (h->leases[i].state != FM_LEASE_NONE && h->leases[i].pid == pid)
			return &h->leases[i];
	}
	return NULL;
}

struct fm_host_lease *fm_host_lease_of_type(struct fm_host *h, uint8_t type)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		struct fm_host_lease *l = &h->leases[i];

		if (l->state != FM_LEASE_NONE && l->type == type && !l->is_own && !l->is_replaced)
			return l;
	}
	return NULL;
}

void fm_host_lease_make_due(struct fm_host_lease *l)
{
	l->is_due = true;
	l->is_said = false;
}

static uint16_t new_pid(struct fm_host *h)
{
	do
		h->next_pid++;
	while (h->next_pid == 0 || fm_host_lease_find(h, h->next_pid));
	h->is_unsaved |= fm_is_newer(h->next_pid, h->reserved_pid);
	return h->next_pid;
}

struct fm_host_lease *fm_host_lease_want(struct fm_host *h, uint8_t type)
{
	struct fm_host_lease *l = h->leases;

	while (l < h->leases + FM_LEASES_MAX && l->state != FM_LEASE_NONE)
		l++;
	if (l == h->leases + FM_LEASES_MAX)
		return NULL;
	*l = (struct fm_host_lease){ .state = FM_LEASE_WANTED,
				     .type = type,
				     .pid = new_pid(h),
				     .byte_limit = h->conf.types[type].byte_limit,
				     .preferred_us = FM_NEVER,
				     .valid_us = FM_NEVER,
				     .replace_us = FM_NEVER,
				     .again_us = FM_NEVER,
				     .deadline_us = FM_NEVER,
				     .idle_us = FM_NEVER };
	fm_host_lease_make_due(l); /* the record has no leases that were only asked for */
	h->leases_changed++;
	return l;
}

bool fm_host_lease_replace(struct fm_host *h, struct fm_host_lease *l)
{
	l->is_replaced = fm_host_lease_want(h, l->type) != NULL;
	h->is_unsaved = true;
	return l->is_replaced;
}

static void tell(struct fm_host *h, enum fm_event_id id, const struct fm_host_lease *l,
		 int32_t detail)
{
	struct fm_event e = { .id = (uint16_t)id, .detail = detail, .address = l->prefix };

	h->ops->tell(h->world, &e);
}

/* A program uses a lease of the type: then it has one for new sockets, too. */
bool fm_host_lease_is_in_use(const struct fm_host *h, uint8_t type)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		const struct fm_host_lease *l = &h->leases[i];

		if (l->state == FM_LEASE_HELD && l->type == type && !l->is_own && l->is_held)
			return true;
	}
	return false;
}

bool fm_host_lease_is_kept_ready(const struct fm_host *h, uint8_t type)
{
	return type == h->conf.default_type || h->conf.keep_ready & 1u << type;
}

bool fm_host_lease_is_kept(const struct fm_host *h, const struct fm_host_lease *l)
{
	return !l->is_own && !l->is_replaced &&
	       (fm_host_lease_is_kept_ready(h, l->type) || fm_host_lease_is_in_use(h, l->type));
}

/* It came for another, which is still there: its program may ask for it yet. */
static bool is_awaited(const struct fm_host *h, const struct fm_host_lease *l)
{
	for (unsigned i = 0; i < FM_LEASES_MAX && l->elder; i++) {
		if (h->leases[i].state == FM_LEASE_HELD && h->leases[i].pid == l->elder)
			return h->leases[i].is_held;
	}
	return false;
}

bool fm_host_lease_is_needed(const struct fm_host *h, const struct fm_host_lease *l)
{
	bool is_refused = l->state == FM_LEASE_REFUSED;

	return (!is_refused && (l->is_held || is_awaited(h, l))) || fm_host_lease_is_kept(h, l);
}

bool fm_host_lease_has_room(const struct fm_host *h)
{
	unsigned used = 0;

	for (unsigned i = 0; i < FM_LEASES_MAX; i++)
		used += h->leases[i].state != FM_LEASE_NONE;
	return used + FM_HOST_LEASES_SHARED < FM_LEASES_MAX;
}

void fm_host_lease_forget(struct fm_host *h, struct fm_host_lease *l)
{
	*l = (struct fm_host_lease){ 0 };
	h->is_unsaved = true;
	h->leases_changed++;
}

/* Asked for in vain; should the anchor have given it all the same, it need not keep it. */
static void drop(struct fm_host *h, struct fm_host_lease *l, const struct fm_odp *odp,
		 uint64_t now_us)
{
	(void)odp;
	(void)now_us;
	if (l->state == FM_LEASE_WANTED && l->is_said)
		fm_host_lease_tell_set(h);
	fm_host_lease_forget(h, l);
}

/* Left out of the set, it ends at the anchor (digest §14.5). */
static void release(struct fm_host *h, struct fm_host_lease *l, const struct fm_odp *odp,
		    uint64_t now_us)
{
	(void)odp;
	(void)now_us;
	if (!l->is_hoa)
		fm_host_lease_tell_set(h);
	tell(h, FM_EVENT_LEASE_ENDED, l, l->type);
	fm_host_lease_hide(h, l);
	fm_host_lease_forget(h, l);
	fm_host_address_serve_hoa(h);
}

/* Its sockets have nothing left; the next ones of the type get another. */
static void lose(struct fm_host *h, struct fm_host_lease *l, const struct fm_odp *odp,
		 uint64_t now_us)
{
	uint8_t type = l->type;
	bool is_wanted = !l->is_own && !l->is_replaced && fm_host_lease_is_needed(h, l);

	(void)odp;
	(void)now_us;
	tell(h, FM_EVENT_LEASE_LOST, l, type);
	fm_host_lease_tell_set(h); /* should the anchor still have it, it need not */
	fm_host_lease_hide(h, l);
	fm_host_lease_forget(h, l);
	if (is_wanted)
		fm_host_lease_want(h, type);
}

/* The end of a replaced type 4 lease is no loss, nor that of one that nobody needs. */
static void expire(struct fm_host *h, struct fm_host_lease *l, const struct fm_odp *odp,
		   uint64_t now_us)
{
	bool is_graceful = l->type == FM_TYPE_GRACEFUL_REPLACEMENT && l->is_over;

	if (is_graceful || !fm_host_lease_is_needed(h, l))
		release(h, l, odp, now_us);
	else
		lose(h, l, odp, now_us);
}

/* What came before it is for its old sockets only. */
static void retire_elders(struct fm_host *h, const struct fm_host_lease *l, uint64_t now_us)
{
	for (unsigned i = 0; i < FM_LEASES_MAX; i++) {
		struct fm_host_lease *o = &h->leases[i];

		if (o->state != FM_LEASE_HELD || o->type != l->type || !o->is_replaced ||
		    o->is_over)
			continue;
		o->is_over = true;
		o->preferred_us = fm_min_u64(o->preferred_us, now_us);
		fm_host_lease_show(h, o, now_us);
	}
}

/* A successor is there before the preferred life ends: no gap. */
static uint64_t replace_at(uint32_t preferred_s, uint64_t now_us)
{
	uint64_t life_us = preferred_s * FM_SECOND_US;

	if (preferred_s == FM_INFINITE_S)
		return FM_NEVER;
	return now_us + fm_max_u64(life_us - fm_min_u64(life_us / 10, LEAD_MAX_US), LIFE_MIN_US);
}

/* Fixed is preferred for ever, so both its lives are renewed; type 4 has no renewal once over. */
static uint64_t renew_at(const struct fm_host_lease *l, uint64_t now_us)
{
	uint64_t end_us = l->valid_us;

	if (l->type == FM_TYPE_GRACEFUL_REPLACEMENT && (l->is_over || l->is_ending))
		return FM_NEVER;
	if (l->type == FM_TYPE_FIXED && !l->is_over)
		end_us = fm_min_u64(end_us, l->preferred_us);
	return end_us == FM_NEVER ? FM_NEVER : now_us + (end_us - now_us) / 2;
}

static void set_life(struct fm_host_lease *l, const struct fm_odp *odp, bool is_new,
		     uint64_t now_us)
{
	uint64_t replace_us = replace_at(odp->preferred_s, now_us);

	l->preferred_us = end_of(odp->preferred_s, now_us);
	l->valid_us = end_of(odp->valid_s, now_us);
	if (odp->byte_limit)
		l->byte_limit = odp->byte_limit;
	if (l->byte_limit && l->used >= l->byte_limit)
		l->preferred_us = now_us;
	l->is_over = l->preferred_us <= now_us;
	if (!is_new && l->is_over)
		replace_us = now_us; /* the anchor has ended it for new sockets */
	l->replace_us = is_new ? replace_us : fm_min_u64(l->replace_us, replace_us);
	l->again_us = renew_at(l, now_us);
}

/* Spreads every bit of a number over all of it. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/*
 * RFC 8653 §3.2: a Fixed address is valid whether it is used or not. So one that was given back and
 * asked for again is the same, not only its prefix: the identifier comes from the prefix and from
 * what is random and kept in the registration address, as in RFC 7217 §5.
 */
static void make_identifier(struct fm_host *h, struct fm_host_lease *l)
{
	uint64_t prefix, id;

	memcpy(&prefix, l->prefix.b, 8);
	memcpy(&id, h->hoa.b + 8, 8);
	if (l->type == FM_TYPE_FIXED)
		id = mix(id ^ mix(prefix));
	else
		h->ops->random(h->world, &id, sizeof(id));
	memcpy(l->address.b + 8, &id, 8);
	l->address.b[15] |= 1; /* not the anycast address: RFC 4291 §2.6.1 */
}

static void give_prefix(struct fm_host *h, struct fm_host_lease *l, const struct fm_odp *odp)
{
	if (l->is_hoa) /* the anchor has learned of on-demand prefixes */
		tell(h, FM_EVENT_LEASE_LOST, l, l->type);
	l->is_hoa = false;
	l->prefix = l->address = odp->prefix;
	make_identifier(h, l);
}

static void take(struct fm_host *h, struct fm_host_lease *l, const struct fm_odp *odp,
		 uint64_t now_us)
{
	bool is_new = l->is_hoa || fm_ip_is_none(&l->prefix);

	if (is_new)
		give_prefix(h, l, odp);
	l->state = FM_LEASE_HELD;
	l->refusals = l->status = 0;
	l->is_late = false;
	l->deadline_us = FM_NEVER;
	set_life(l, odp, is_new, now_us);
	h->refused[l->type].until_us = 0;
	fm_host_lease_show(h, l, now_us);
	if (is_new) {
		tell(h, FM_EVENT_LEASE_GRANTED, l, l->type);
		if (!l->is_own)
			retire_elders(h, l, now_us);
	}
}

void fm_host_lease_borrow_hoa(struct fm_host *h, struct fm_host_lease *l, uint64_t now_us)
{
	l->state = FM_LEASE_HELD;
	l->is_hoa = true;
	l->is_late = false;
	l->status = 0;
	l->deadline_us = FM_NEVER;
	l->again_us = now_us + RETRY_MAX_US;
	h->leases_changed++;
}

static uint64_t wait_us(struct fm_host_lease *l)
{
	uint64_t us = RETRY_US << (l->refusals < 5 ? l->refusals : 5);

	if (l->refusals < UINT8_MAX)
		l->refusals++;
	return fm_min_u64(us, RETRY_MAX_US);
}

/* For how long further asks of the type are refused without asking the anchor. */
static uint64_t refused_us(uint8_t status)
{
	switch (status) {
	case FM_ODP_TYPE_NOT_SUPPORTED:
		return RETRY_MAX_US;
	case FM_ODP_PROHIBITED:
		return RETRY_US;
	default:
		return 5 * FM_SECOND_US;
	}
}

/* All who waited for it hear of it; whoever asks later tries again. */
static void refuse(struct fm_host *h, struct fm_host_lease *l, const struct fm_odp *odp,
		   uint64_t now_us)
{
	uint64_t us = wait_us(l);

	if (odp->status == FM_ODP_TYPE_NOT_SUPPORTED)
		us = RETRY_MAX_US;
	l->state = FM_LEASE_REFUSED;
	l->status = odp->status >= FM_ODP_UNSPECIFIED ? odp->status : FM_ODP_UNSPECIFIED;
	/*
	 * What was given is not what was asked for, or the anchor has another one by this PID, from
	 * before this host lost its record: the set ends both.
	 */
	if (odp->status < FM_ODP_UNSPECIFIED || odp->status == FM_ODP_MALFORMED)
		fm_host_lease_tell_set(h);
	if (odp->status == FM_ODP_MALFORMED && l->refusals == 1)
		us = FM_SECOND_US;
	l->is_due = l->is_held = l->is_late = false;
	l->deadline_us = FM_NEVER;
	l->again_us = now_us + us;
	h->refused[l->type].status = l->status;
	h->refused[l->type].until_us = now_us + refused_us(l->status);
	h->leases_changed++;
	tell(h, FM_EVENT_LEASE_REFUSED, l, l->status);
}

/* A renewal was refused: it lives on while it is valid. A type 4 lease ends after its grace. */
static void keep_on(struct fm_host *h, struct fm_host_lease *l, const struct fm_odp *odp,
		    uint64_t now_us)
{
	l->is_due = false;
	l->status = odp->status;
	l->again_us = l->is_ending ? FM_NEVER : now_us + wait_us(l);
	h->leases_changed++;
	tell(h, FM_EVENT_LEASE_REFUSED, l, l->status);
}

/* Nobody waits any more. A type that is kept ready goes on asking. */
static void give_up(struct fm_host *h, struct fm_host_lease *l, const struct fm_odp *odp,
		    uint64_t now_us)
{
	(void)odp;
	(void)now_us;
	l->deadline_us = FM_NEVER;
	l->is_held = false;
	l->is_late = true;
	h->leases_changed++;
	tell(h, FM_EVENT_LEASE_REFUSED, l, 0);
	if (fm_host_lease_is_kept(h, l))
		return;
	if (l->is_said)
		fm_host_lease_tell_set(h); /* it may be granted all the same */
	l->state = FM_LEASE_REFUSED;
	l->is_due = false;
}

/* An answer that comes too late: the set has told, or will tell, that it is not wanted. */
static void decline(struct fm_host *h, struct fm_host_lease *l, const struct fm_odp *odp,
		    uint64_t now_us)
{
	(void)l;
	(void)odp;
	(void)now_us;
	fm_host_lease_tell_set(h);
}

/* The same PID: what the anchor may have granted unheard is found again (§14.4). */
static void ask_again(struct fm_host *h, struct fm_host_lease *l, const struct fm_odp *odp,
		      uint64_t now_us)
{
	(void)odp;
	(void)now_us;
	l->state = FM_LEASE_WANTED;
	l->is_late = false;
	l->again_us = FM_NEVER;
	fm_host_lease_make_due(l);
	h->leases_changed++;
}

static void join(struct fm_host *h, struct fm_host_lease *l, const struct fm_odp *odp,
		 uint64_t now_us)
{
	(void)odp;
	(void)now_us;
	h->leases_changed += l->is_late;
	l->is_late = false;
}

static void renew(struct fm_host *h, struct fm_host_lease *l, const struct fm_odp *odp,
		  uint64_t now_us)
{
	(void)odp;
	(void)now_us;
	l->again_us = FM_NEVER;
	fm_host_lease_make_due(l);
	h->is_unsaved = true;
}

typedef void (*act)(struct fm_host *h, struct fm_host_lease *l, const struct fm_odp *odp,
		    uint64_t now_us);

/* clang-format off */
/* An empty cell: this event means nothing in this state. All of it: digest §14.6. */
static const act steps[FM_LEASE_STATES][FM_LEASE_EVENTS] = {
	[FM_LEASE_WANTED][FM_LEASE_ASKED]     = join,      /* many who ask share one request */
	[FM_LEASE_WANTED][FM_LEASE_GRANTED]   = take,
	[FM_LEASE_WANTED][FM_LEASE_DECLINED]  = refuse,
	[FM_LEASE_WANTED][FM_LEASE_GONE]      = refuse,
	[FM_LEASE_WANTED][FM_LEASE_LATE]      = give_up,
	[FM_LEASE_WANTED][FM_LEASE_IDLE]      = drop,
	[FM_LEASE_HELD][FM_LEASE_GRANTED]     = take,      /* renewed, or changed by the anchor */
	[FM_LEASE_HELD][FM_LEASE_DECLINED]    = keep_on,
	[FM_LEASE_HELD][FM_LEASE_GONE]        = lose,      /* 134: asked again with :: */
	[FM_LEASE_HELD][FM_LEASE_ENDED]       = expire,
	[FM_LEASE_HELD][FM_LEASE_AGAIN]       = renew,     /* at half of its valid life */
	[FM_LEASE_HELD][FM_LEASE_IDLE]        = release,
	[FM_LEASE_REFUSED][FM_LEASE_ASKED]    = ask_again,
	[FM_LEASE_REFUSED][FM_LEASE_GRANTED]  = decline,
	[FM_LEASE_REFUSED][FM_LEASE_AGAIN]    = ask_again,
	[FM_LEASE_REFUSED][FM_LEASE_IDLE]     = drop,
};
/* clang-format on */

void fm_host_lease_step(struct fm_host *h, struct fm_host_lease *l, enum fm_lease_event event,
			const struct fm_odp *odp, uint64_t now_us)
{
	act a = steps[l->state][event];

	if (a)
		a(h, l, odp, now_us);
}
