/*
 * Any octets as messages to a home agent: in a whole header with a right checksum, signed or not,
 * by two subscribers over IPv6 and UDP, with time passing in between. Nothing may crash, and no
 * prefix may be in two hands. Input: an octet says how the next message comes, two its length, then
 * the message; without length the anchor does something itself, or reads a record.
 */
#include <stdlib.h>

#include "core/auth.h"
#include "core/home_agent.h"
#include "test/fuzz/fuzz.h"

#define SECOND_US 1000000ull

static uint64_t seed;

static void world_random(void *world, void *out, size_t len)
{
	(void)world;
	fm_fuzz_random(&seed, out, len);
}

static void world_send(void *world, const struct fm_via *via, const uint8_t *mh, size_t len)
{
	static struct fm_msg sent;
	uint32_t offset;
	const struct fm_ip *dst = via->has_hoa ? &via->hoa : &via->dst;

	(void)world;
	if (fm_msg_decode(mh, len, &(struct fm_pseudo){ &via->src, dst }, &sent, &offset) !=
	    FM_REFUSE_NONE)
		abort(); /* what we send, everybody can read */
}

static void world_wake_at(void *world, uint64_t at_us)
{
	*(uint64_t *)world = at_us;
}

static void world_save(void *world, enum fm_record_kind kind, const struct fm_octets *key,
		       const struct fm_octets *value)
{
	(void)world;
	if (kind == 0 || key->len == 0 || (value && value->len == 0))
		abort();
}

static void world_forward(void *world, const struct fm_forwarding *f)
{
	(void)world;
	if (f->id == 0 || f->n_paths > FM_PATHS_MAX || f->n_rules > FM_RULES_MAX ||
	    f->n_prefixes > FM_LEASES_MAX + 2)
		abort();
}

static void world_unforward(void *world, uint32_t id)
{
	(void)world;
	if (id == 0)
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
	.tell = world_tell,
};

static const struct fm_ip anchor = { { 0x20, 1, 0xd, 0xb8, 0, 1, [15] = 1 } };
static const struct fm_ip anchor_v4 = { { [10] = 0xff, [11] = 0xff, 192, 0, 2, 1 } };

static struct fm_ha *start(uint64_t *wake_us)
{
	static const struct fm_ha_pool_conf pool = {
		{ { { 0x20, 1, 0xd, 0xb8, 1 } }, 61 },
		{ { { [10] = 0xff, [11] = 0xff, 198, 51, 100 } }, 125 },
		100 * SECOND_US,
	};
	struct fm_ha_conf conf;
	struct fm_ha *ha;

	fm_ha_conf_init(&conf);
	conf.address = anchor;
	conf.address_v4 = anchor_v4;
	conf.max_subscribers = 2;
	conf.max_bindings = 2;
	conf.max_flows = 20;
	conf.max_leases = 12;
	conf.n_pools = 1;
	conf.pools = &pool;
	ha = fm_ha_init(calloc(1, fm_ha_size(&conf)), &conf, &ops, wake_us);
	for (uint8_t i = 0; i < 2; i++) {
		struct fm_ha_subscriber_conf s = { .mn_id = { 'a' },
						   .mn_id_len = 1,
						   .n_sas = 1,
						   .types = 0x16,
						   .max_prefixes = 6,
						   .max_fixed = 2,
						   .grace_us = 30 * SECOND_US };

		s.mn_id[0] = (uint8_t)('a' + i);
		s.sas[0] = (struct fm_sa){ .spi = 256, .tolerance_s = 7 };
		fm_ha_subscriber_add(ha, &s);
	}
	return ha;
}

static struct fm_via via_of(uint8_t how)
{
	struct fm_ip hoa = { { 0x20, 1, 0xd, 0xb8, 0, 1, [15] = (uint8_t)(0x50 + (how & 3)) } };
	struct fm_via via = { .local = anchor, .dst = anchor };

	via.src = (struct fm_ip){ { 0x20, 1, 0xd, 0xb8,
				    0xf0, [15] = (uint8_t)(1 + (how >> 2 & 3)) } };
	via.remote = via.src;
	via.hoa = hoa;
	via.has_hoa = true;
	if (!(how & 0x10))
		return via;
	via.local = anchor_v4;
	via.remote = (struct fm_ip){
		{ [10] = 0xff, [11] = 0xff, 203, 0, 113, (uint8_t)(how >> 2 & 3) }
	};
	via.local_port = 4191;
	via.remote_port = 5000;
	via.src = hoa;
	via.has_hoa = false;
	return via;
}

/*
 * Most inputs get a header whose form is right and an MN-HA option whose data is zeros, as
 * fm_fuzz_mac() wants it; the rest come as they are.
 */
static void receive(struct fm_ha *ha, uint8_t how, const uint8_t *p, size_t len, uint64_t now_us)
{
	static const uint8_t mn_ha[24] = { 9, 21, 1, 0, 0, 1, 0 };
	static uint8_t mh[FM_MH_MAX];
	struct fm_via via = via_of(how);

	if (how & 0x20) {
		fm_ha_receive(ha, &via, p, len, now_us);
		return;
	}
	len = len > FM_MH_MAX - 32 ? FM_MH_MAX - 32 : len;
	size_t padded = len < 8 ? 8 : (len + 7) / 8 * 8;
	memset(mh, 0, sizeof(mh));
	memcpy(mh, p, len);
	mh[padded] = 0; /* Pad1: the option ends the header */
	memcpy(mh + padded + 1, mn_ha, 23);
	mh[0] = 59;
	mh[1] = (uint8_t)((padded + 24) / 8 - 1);
	mh[2] = how & 0x40 ? mh[2] : FM_MH_BU;
	fm_mh_checksum_put(mh, padded + 24, via.has_hoa ? &via.hoa : &via.src, &via.dst);
	fm_ha_receive(ha, &via, mh, padded + 24, now_us);
}

/* What the operator and the daemon may ask for; a record: the octets behind @p. */
static void act(struct fm_ha *ha, uint8_t how, const uint8_t *p, size_t len, uint64_t now_us)
{
	const struct fm_octets key = { (const uint8_t *)(how & 1 ? "a" : "b"), 1 };
	const struct fm_octets value = { p, (uint16_t)(len > UINT16_MAX ? UINT16_MAX : len) };
	struct fm_binding *b = fm_ha_binding_at(ha, how & 1);

	fm_ha_traffic(ha, 1 + (how & 1), now_us);
	switch (how >> 1 & 7) {
	case 0:
		fm_ha_restore(ha, (enum fm_record_kind)(how >> 4 & 7), &key, &value, now_us);
		break;
	case 1:
		if (b)
			fm_ha_revoke(ha, b, how >> 4 & 3, 1, now_us);
		break;
	case 2:
		if (b)
			fm_ha_flow_ask(ha, b, 7, 1, now_us);
		break;
	case 3:
		if (b)
			fm_ha_flow_ask(ha, b, 7, 0, now_us);
		break;
	default:
		break;
	}
}

static void check(const struct fm_ha *ha)
{
	for (uint32_t i = 0; i < 2; i++) {
		const struct fm_subscriber *s = fm_ha_subscriber_at(ha, i);

		for (const struct fm_list *e = s->held.next; e != &s->held; e = e->next) {
			const struct fm_lease *l = FM_ENTRY(e, struct fm_lease, list);

			if (fm_ha_lease_find(ha, &l->prefix) != l || l->owner != s)
				abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t wake_us = FM_NEVER, now_us = 1000 * SECOND_US;
	struct fm_ha *ha;

	seed = 1;
	ha = start(&wake_us);
	while (size >= 3) {
		uint8_t how = data[0];
		size_t len = (size_t)(data[1] << 8 | data[2]) % 1024;

		len = len > size - 3 ? size - 3 : len;
		now_us += how & 0x80 ? 70 * SECOND_US : SECOND_US;
		if (wake_us <= now_us)
			fm_ha_wake(ha, now_us);
		if (len > 0)
			receive(ha, how, data + 3, len, now_us);
		else
			act(ha, how, data + 3, size - 3, now_us);
		check(ha);
		data += 3 + len;
		size -= 3 + len;
	}
	free(ha);
	return 0;
}
