/*
 * Update Notifications (RFC 7077): the anchor asks for a registration, or brings the rules of the
 * subscriber's flow classes as session parameters. What the host cannot do it says in its answer.
 */
#include "core/host_inner.h"

#include <errno.h>
#include <string.h>

enum { WANTS_ANSWER = 0x8000 };
enum { REREGISTER = 1, PARAMETERS = 2, VENDOR = 3, QOS = 5 }; /* RFC 7077 §4.1, RFC 7222 */
enum { DONE = 0, FAILED = 128, NO_VENDOR_OPTION = 129, NO_QOS = 130 }; /* RFC 7077 §4.2 */

static const struct fm_item *name_of(const struct fm_host *h, const struct fm_msg *m)
{
	const struct fm_item *it = fm_msg_next(m, FM_OPT_MN_ID, NULL);

	if (!it || it->mn_id.subtype != 1 || it->mn_id.id.len != h->conf.mn_id_len ||
	    memcmp(it->mn_id.id.p, h->conf.mn_id, h->conf.mn_id_len) != 0)
		return NULL;
	return it;
}

static uint8_t register_again(struct fm_host *h, uint64_t now_us)
{
	for (uint8_t i = 0; i < h->conf.n_accesses; i++)
		h->accesses[i].reg.must |= h->accesses[i].reg.is_bound;
	h->reg.asked_us = now_us;
	return DONE;
}

static uint8_t take_parameters(struct fm_host *h, const struct fm_msg *m, uint64_t now_us)
{
	if (!fm_msg_next(m, FM_OPT_FLOW_ID, NULL) || fm_host_flow_indication_judge(h, m) != DONE)
		return FAILED;
	fm_host_flow_indication_apply(h, m, now_us);
	return DONE;
}

static uint8_t act(struct fm_host *h, const struct fm_msg *m, uint64_t now_us)
{
	switch (m->notification.reason) {
	case REREGISTER:
		return register_again(h, now_us);
	case PARAMETERS:
		return take_parameters(h, m, now_us);
	case VENDOR:
		return fm_msg_next(m, FM_OPT_VENDOR, NULL) ? FAILED : NO_VENDOR_OPTION;
	case QOS:
		return NO_QOS;
	default:
		return FAILED;
	}
}

/* RFC 7077 §6.2: sequence number and identifier come back. */
static void acknowledge(struct fm_host *h, const struct fm_via *via, const struct fm_msg *m,
			uint8_t status)
{
	struct fm_msg answer;
	struct fm_item *it;

	if (!(m->notification.flags & WANTS_ANSWER))
		return;
	fm_msg_init(&answer, FM_MH_UPA);
	answer.notification_ack.sequence = m->notification.sequence;
	answer.notification_ack.status = status;
	it = fm_msg_add(&answer, FM_OPT_MN_ID);
	if (it) {
		it->mn_id.subtype = 1;
		it->mn_id.id = (struct fm_octets){ h->conf.mn_id, h->conf.mn_id_len };
	}
	fm_host_indication_answer(h, via, &answer);
}

/* RFC 7077 §6.1; old ones are refused as other messages of the anchor (D30). */
int fm_host_notify_take(struct fm_host *h, const struct fm_via *via, const struct fm_msg *m,
			const struct fm_octets *mh, uint64_t now_us)
{
	uint16_t sequence = m->notification.sequence;
	int err = fm_host_check(h, m, mh, &h->accesses[via->access].reg.bound_coa);

	if (err)
		return err;
	if (!name_of(h, m))
		return -EINVAL;
	if (h->upn.is_set && sequence == h->upn.sequence) {
		acknowledge(h, via, m, h->upn.status);
		h->reg.asked_us = now_us;
		return 0;
	}
	if (h->upn.is_set && !fm_is_newer(sequence, h->upn.sequence))
		return -ESTALE;
	h->upn.is_set = true;
	h->upn.sequence = sequence;
	h->upn.status = act(h, m, now_us);
	h->is_unsaved = true;
	acknowledge(h, via, m, h->upn.status);
	if (h->upn.status != DONE)
		fm_host_tell(h, FM_EVENT_NETWORK_REFUSED, via->access, h->upn.status);
	return 0;
}
