/*
 * One binding update, from the state of the host to octets (digest §7.5, §14.3). When one is sent
 * is for registration.c to say.
 */
#include "core/auth.h"
#include "core/host_inner.h"
#include "wire/size_option.h"

#define LIFETIME 225u		 /* 900 s in units of 4 s, D43; RFC 6275 §6.1.7 */
#define NTP_UNIX_S 2208988800ull /* 1900 to 1970, RFC 4285 §6 */

static void put_mn_id(const struct fm_host *h, struct fm_msg *m)
{
	struct fm_item *option = fm_msg_add(m, FM_OPT_MN_ID);

	option->mn_id.subtype = 1; /* NAI, RFC 4283 §3 */
	option->mn_id.id = (struct fm_octets){ .p = h->conf.mn_id, .len = h->conf.mn_id_len };
}

static uint8_t octets_of(const struct fm_ip *coa)
{
	return fm_ip_is_v4(coa) ? 4 : 16;
}

/* RFC 6089 §5.1.1: seven bits, lower is better. */
#define BID_PRI_LAST 127u

static uint8_t bid_priority(const struct fm_host *h, uint8_t access)
{
	uint8_t i = 0;

	while (i < h->order.n && h->order.at[i] != access)
		i++;
	return (uint8_t)(i + 1);
}

/*
 * RFC 5648 §4.3, RFC 6089 §4.1; with its care-of address always: the anchor may have forgotten it.
 */
static void put_bid(const struct fm_host *h, struct fm_msg *m, uint8_t access)
{
	struct fm_item *option = fm_msg_add(m, FM_OPT_BID);

	option->bid.bid = fm_host_bid(access);
	option->bid.bid_pri =
		h->accesses[access].reg.sent.is_trial ? BID_PRI_LAST : bid_priority(h, access);
	option->bid.coa = h->accesses[access].reg.coa;
	option->bid.coa_len = octets_of(&option->bid.coa);
}

/* RFC 5648 §5.4: the care-of address may be absent where a binding is removed. */
static void put_removed(struct fm_msg *m, uint16_t removed)
{
	for (uint8_t i = 0; i < FM_ACCESSES_MAX; i++) {
		struct fm_item *option = removed & 1u << i ? fm_msg_add(m, FM_OPT_BID) : NULL;

		if (option)
			option->bid.bid = fm_host_bid(i);
	}
}

/* RFC 5555 §3.1.1: 0.0.0.0 asks; an update without this option would delete the IPv4 binding. */
static bool put_ipv4(const struct fm_host *h, struct fm_msg *m, uint64_t now_us)
{
	bool has = !fm_ip_is_none(&h->hoa4);

	if (!has && (!h->conf.ipv4 || now_us < h->ipv4_again_us))
		return false;
	struct fm_item *option = fm_msg_add(m, FM_OPT_IPV4_HOA);
	option->ipv4.prefix_length = 32;
	option->ipv4.address = has ? h->hoa4 : fm_ip_from_v4((const uint8_t[4]){ 0 });
	return true;
}

/* RFC 4285 §6: NTP time, greater than all sent before. */
static void put_stamp(struct fm_host *h, struct fm_msg *m, uint64_t now_us)
{
	uint64_t wall_us = now_us + h->conf.wall_us;
	uint64_t stamp = (wall_us / FM_SECOND_US + NTP_UNIX_S) << 32 |
			 ((wall_us % FM_SECOND_US) << 32) / FM_SECOND_US;
	struct fm_item *option = fm_msg_add(m, FM_OPT_REPLAY);

	stamp += h->reg.clock_offset;
	if (h->reg.stamp != 0 && (int64_t)(stamp - h->reg.stamp) <= 0)
		stamp = h->reg.stamp + 1;
	h->reg.stamp = stamp;
	option->u64 = stamp;
}

static bool is_registering(enum fm_job job)
{
	return job == FM_JOB_FIRST || job == FM_JOB_OWN || job == FM_JOB_TELL;
}

static uint16_t flags_of(const struct fm_host *h, const struct fm_host_registration *r)
{
	const struct fm_host_sent *sent = &r->sent;
	uint16_t flags = FM_BU_A | FM_BU_H;

	if (sent->is_first && !h->reg.is_plain)
		flags |= FM_BU_O;
	if (r->is_v4 && (h->conf.force_udp || r->wants_udp) && !h->reg.no_force)
		flags |= FM_BU_F;
	return flags;
}

/* The care-of address itself, where no BID option carries it: RFC 5555 §3.1.2. */
static void put_plain_coa(const struct fm_host *h, struct fm_msg *m, uint8_t access)
{
	const struct fm_host_registration *r = &h->accesses[access].reg;
	struct fm_item *option = r->is_v4 ? fm_msg_add(m, FM_OPT_IPV4_COA) : NULL;

	if (option)
		option->ip = r->coa;
}

/* Larger packets from the anchor would vanish on the way. */
static void put_size(const struct fm_host *h, struct fm_msg *m, uint8_t access)
{
	uint16_t size = h->accesses[access].reg.size;
	struct fm_item *option = size ? fm_msg_add(m, FM_OPT_VENDOR) : NULL;
	uint8_t *data = option ? fm_msg_room(m, FM_SIZE_DATA_LEN) : NULL;

	if (!data)
		return;
	fm_size_option_write(size, data);
	option->vendor.vendor_id = fm_host_vendor_id(h);
	option->vendor.sub_type = FM_SIZE_SUB_TYPE;
	option->vendor.data = (struct fm_octets){ .p = data, .len = FM_SIZE_DATA_LEN };
}

/* RFC 5845 §6.1, without a key: copies may come in GRE. Its sender chooses the key. */
static void put_numbered(struct fm_msg *m)
{
	(void)fm_msg_add(m, FM_OPT_GRE_KEY);
}

static void put_options(struct fm_host *h, struct fm_msg *m, uint8_t access, uint16_t removed,
			uint64_t now_us)
{
	struct fm_host_sent *sent = &h->accesses[access].reg.sent;

	put_mn_id(h, m);
	if (sent->job == FM_JOB_REMOVE) {
		put_removed(m, removed);
		fm_host_flow_put(h, m, sent, false);
	} else if (is_registering(sent->job)) {
		if (h->reg.is_plain)
			put_plain_coa(h, m, access);
		else
			put_bid(h, m, access);
		put_numbered(m);
		put_size(h, m, access);
		sent->has_ipv4 = put_ipv4(h, m, now_us);
		fm_host_lease_put(h, m, sent, now_us);
		fm_host_flow_put(h, m, sent, true);
	}
	if (h->reg.has_stamp) {
		put_stamp(h, m, now_us);
		sent->stamp = h->reg.stamp;
	}
}

/* D14, D16: over IPv4 the inner addresses are home address and anchor; else home address option. */
struct fm_via fm_host_update_via(const struct fm_host *h, uint8_t access)
{
	const struct fm_host_registration *r = &h->accesses[access].reg;
	struct fm_via via = {
		.access = access, .local = r->coa, .dst = h->conf.anchor, .hoa = h->hoa
	};

	if (r->is_v4) {
		via.remote = h->conf.anchor_v4;
		via.local_port = via.remote_port = FM_DSMIP_PORT;
		via.src = h->hoa;
		return via;
	}
	via.remote = h->conf.anchor;
	via.src = r->coa;
	via.has_hoa = true;
	return via;
}

/* D16: which care-of address the MAC covers. */
static struct fm_ip mac_coa(const struct fm_host *h, uint8_t access, enum fm_job job)
{
	const struct fm_host_registration *r = &h->accesses[access].reg;

	if (r->is_v4 && !is_registering(job))
		return h->hoa; /* no option of this message carries an IPv4 care-of address */
	return r->coa;
}

/*
 * RFC 5648 §6.2: an update with O wipes what it does not name; what came before it means nothing.
 * Return: whether it wipes any.
 */
static bool note_cuts(struct fm_host *h, uint8_t access, uint16_t removed, bool is_first)
{
	bool has_any = false;

	if (is_first)
		removed = (uint16_t) ~(1u << access);
	for (uint8_t i = 0; i < FM_ACCESSES_MAX; i++) {
		struct fm_host_registration *r = &h->accesses[i].reg;

		if (!(removed & 1u << i))
			continue;
		r->is_cut = r->has_cut = has_any = true;
		r->cut_sequence = h->reg.sequence;
	}
	return has_any;
}

void fm_host_update_send(struct fm_host *h, enum fm_job job, uint8_t access, uint16_t removed,
			 uint64_t now_us)
{
	const struct fm_sa *sa = h->conf.n_sas > 0 ? &h->conf.sas[0] : NULL;
	struct fm_host_registration *r = &h->accesses[access].reg;
	struct fm_via via = fm_host_update_via(h, access);
	uint8_t buf[FM_MH_MAX];
	struct fm_msg m;

	r->sent = (struct fm_host_sent){ .job = job,
					 .sequence = ++h->reg.sequence,
					 .coa = r->coa,
					 .at_us = now_us,
					 .mac_coa = mac_coa(h, access, job) };
	r->sent.is_first = job == FM_JOB_FIRST || (is_registering(job) && h->reg.needs_first);
	r->sent.is_refresh = job == FM_JOB_OWN && r->is_bound && !r->is_cut &&
			     fm_ip_equal(&r->bound_coa, &r->coa);
	r->sent.is_trial = job == FM_JOB_OWN && h->accesses[access].health.state == FM_HEALTH_DOWN;
	fm_msg_init(&m, FM_MH_BU);
	m.bu.sequence = r->sent.sequence;
	m.bu.flags = flags_of(h, r);
	r->sent.is_forced = m.bu.flags & FM_BU_F;
	m.bu.lifetime = is_registering(job) ? LIFETIME : 0;
	put_options(h, &m, access, removed, now_us);
	bool has_cuts = note_cuts(h, access, removed,
				  r->sent.is_first || (h->reg.is_plain && is_registering(job)));
	const struct fm_auth auth = { sa, &r->sent.mac_coa, &h->hoa, h->ops, h->world };
	int len = fm_auth_finish(&m, &auth, &h->hoa, &via.dst, buf);
	/* What a restart must know before the anchor can: most updates change nothing of it. */
	if (has_cuts || h->reg.has_stamp || h->is_unsaved ||
	    fm_is_newer(h->reg.sequence, h->reg.reserved))
		fm_host_save(h, now_us);
	if (len > 0)
		h->ops->send(h->world, &via, buf, (size_t)len);
}
