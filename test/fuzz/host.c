/*
 * Any octets as messages to a mobile node, in a whole header with a right checksum, with time
 * passing, accesses changing and flows moving in between; or as the record of a host. Nothing may
 * crash, and what it sends can be read. Input: an octet says how the next message comes, two its
 * length, then the message; without length something else happens.
 */
#include <stdlib.h>

#include "core/host.h"
#include "test/fuzz/fuzz.h"

#define SECOND_US 1000000ull

struct world {
	struct fm_host h;
	uint64_t seed, now_us, wake_us;
	uint16_t sequence;
	uint8_t record[FM_HOST_RECORD_MAX];
	size_t record_len;
};

static const struct fm_ip anchor = { { 0x20, 1, 0xd, 0xb8, 0, 0xa, [15] = 1 } };

static void world_random(void *world, void *out, size_t len)
{
	struct world *w = world;

	fm_fuzz_random(&w->seed, out, len);
}

static void world_send(void *world, const struct fm_via *via, const uint8_t *mh, size_t len)
{
	static struct fm_msg sent;
	struct world *w = world;
	const struct fm_ip *src = via->has_hoa ? &via->hoa : &via->src;
	uint32_t offset;

	if (len > 1232 || fm_msg_decode(mh, len, &(struct fm_pseudo){ src, &via->dst }, &sent,
					&offset) != FM_REFUSE_NONE)
		abort(); /* what we send everybody can read, and it fits into the least MTU (D35) */
	if (sent.type == FM_MH_BU)
		w->sequence = sent.bu.sequence;
}

static void world_wake_at(void *world, uint64_t at_us)
{
	struct world *w = world;

	if (at_us <= w->now_us)
		abort(); /* it would spin */
	w->wake_us = at_us;
}

static void world_save(void *world, enum fm_record_kind kind, const struct fm_octets *key,
		       const struct fm_octets *value)
{
	struct world *w = world;

	if (kind != FM_RECORD_HOST || key->len == 0 || !value || value->len > sizeof(w->record))
		abort();
	memcpy(w->record, value->p, value->len);
	w->record_len = value->len;
}

static void world_forward(void *world, const struct fm_forwarding *f)
{
	(void)world;
	if (f->n_paths > FM_ACCESSES_MAX || f->n_rules > FM_RULES_MAX ||
	    f->n_prefixes > FM_LEASES_MAX + 2 || f->default_path > f->n_paths)
		abort();
}

static void world_unforward(void *world, uint32_t id)
{
	(void)world;
	(void)id;
}

static void world_pin(void *world, const struct fm_tuple *flow, uint16_t bid)
{
	(void)world;
	(void)flow;
	if (bid > FM_ACCESSES_MAX)
		abort();
}

static void world_probe(void *world, uint8_t access, uint64_t nonce)
{
	(void)world;
	(void)nonce;
	if (access >= FM_ACCESSES_MAX)
		abort();
}

static void world_lease(void *world, const struct fm_odp *lease, const struct fm_ip *address)
{
	(void)world;
	(void)address;
	if (lease->prefix_length != 64 && lease->prefix_length != 128)
		abort();
}

static void world_tell(void *world, const struct fm_event *e)
{
	(void)world;
	(void)e;
}

static const struct fm_ops ops = {
	.send = world_send,
	.wake_at = world_wake_at,
	.random = world_random,
	.mac = fm_fuzz_mac,
	.save = world_save,
	.forward = world_forward,
	.unforward = world_unforward,
	.pin = world_pin,
	.probe = world_probe,
	.lease = world_lease,
	.tell = world_tell,
};

static struct fm_ip coa(uint8_t access, uint8_t generation)
{
	if (access == 2)
		return fm_ip_from_v4((const uint8_t[4]){ 203, 0, 113, generation });
	return (struct fm_ip){ { 0x20, 1, 0xd, 0xb8, 0xf0, access, [14] = generation, [15] = 1 } };
}

static void change_access(struct world *w, uint8_t access, uint8_t generation)
{
	struct fm_host_facts facts = { .is_up = generation != 0 };

	if (access == 2)
		facts.coa4 = coa(access, generation);
	else
		facts.coa6 = coa(access, generation);
	fm_host_access(&w->h, access, &facts, w->now_us);
}

static void make(struct world *w)
{
	struct fm_host_conf conf = { .mn_id = "a",
				     .mn_id_len = 1,
				     .anchor = anchor,
				     .n_accesses = 3,
				     .ipv4 = true,
				     .default_type = 2,
				     .wall_us = 1000 * SECOND_US };

	conf.anchor_v4 = fm_ip_from_v4((const uint8_t[4]){ 192, 0, 2, 1 });
	fm_host_init(&w->h, &conf, &ops, w);
}

/* A header that its type says, with the number that the host waits for. */
static void receive(struct world *w, uint8_t how, const uint8_t *data, size_t size)
{
	static uint8_t mh[FM_MH_MAX];
	uint8_t access = how % 3;
	size_t len = size / 8 * 8;
	struct fm_via via = { .access = access,
			      .local = w->h.accesses[access].reg.coa,
			      .remote = anchor,
			      .src = anchor,
			      .hoa = w->h.hoa,
			      .has_hoa = access != 2 };

	if (len < 8 || len > FM_MH_MAX)
		return;
	via.dst = access == 2 ? w->h.hoa : via.local;
	memcpy(mh, data, len);
	mh[0] = 59;
	mh[1] = (uint8_t)(len / 8 - 1);
	if (mh[2] == FM_MH_BA && len >= 16 && !(how & 0x10)) {
		mh[8] = (uint8_t)(w->sequence >> 8);
		mh[9] = (uint8_t)w->sequence;
	}
	fm_mh_checksum_put(mh, len, &via.src, &w->h.hoa);
	fm_host_receive(&w->h, &via, mh, len, w->now_us);
}

static void act(struct world *w, uint8_t how)
{
	struct fm_tuple flow = { .local = w->h.leases[0].address,
				 .remote = anchor,
				 .ip_proto = 6,
				 .local_port = how & 0x7f,
				 .remote_port = 443 };

	switch (how >> 5) {
	case 0:
		change_access(w, how % 3, how >> 2 & 7);
		break;
	case 1:
	case 2:
		fm_host_move(&w->h, &flow, how % 3, w->now_us + 60 * SECOND_US, w->now_us);
		break;
	case 3:
		fm_host_flow_ended(&w->h, &flow, w->now_us);
		break;
	case 4:
		make(w);
		if (fm_host_restore(&w->h, w->record, w->record_len, w->now_us) != 0)
			abort(); /* its own record */
		for (uint8_t i = 0; i < 3; i++)
			change_access(w, i, 1);
		fm_host_start(&w->h, w->now_us);
		break;
	case 5:
		if (how & 1)
			fm_host_down(&w->h, w->now_us);
		break;
	default:
		for (unsigned i = 0; i < (how & 0x1fu); i++) {
			w->now_us = w->wake_us > w->now_us + 9 * SECOND_US
					    ? w->now_us + 9 * SECOND_US
					    : w->wake_us;
			fm_host_wake(&w->h, w->now_us);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;

	w.now_us = 100 * SECOND_US;
	w.wake_us = UINT64_MAX;
	w.seed = 1;
	make(&w);
	if (size > 0 && data[0] == 0xff) {
		fm_host_restore(&w.h, data + 1, size - 1, w.now_us);
		size = 0;
	}
	for (uint8_t i = 0; i < 3; i++)
		change_access(&w, i, 1);
	fm_host_start(&w.h, w.now_us);
	while (size >= 3) {
		size_t len = (size_t)(data[1] << 8 | data[2]);

		if (len > size - 3)
			len = size - 3;
		if (len == 0)
			act(&w, data[0]);
		else
			receive(&w, data[0], data + 3, len);
		data += 3 + len;
		size -= 3 + len;
	}
	return 0;
}
