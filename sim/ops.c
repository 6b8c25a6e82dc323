/*
 * What the core asks of the world, for both roles: time, randomness, MACs, records.
 */
#include "sim/world.h"

#include <openssl/core_names.h>
#include <string.h>

static void fill(struct fm_sim *s, void *out, size_t len)
{
	uint8_t *at = out;

	for (; len > 0; at++, len--)
		*at = (uint8_t)fm_sim_random(s);
}

static int sign(struct fm_sim *s, const struct fm_sa *sa, const struct fm_octets *parts, size_t n,
		uint8_t out[16])
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = { OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 6),
				OSSL_PARAM_END };
	uint8_t full[32];
	size_t len = 0;
	int ok = EVP_MAC_init(s->mac, sa->key, sa->key_len, params);

	for (size_t i = 0; i < n; i++)
		ok &= EVP_MAC_update(s->mac, parts[i].p, parts[i].len);
	ok &= EVP_MAC_final(s->mac, full, &len, sizeof(full));
	memcpy(out, full, 16);
	return ok ? 0 : -5;
}

static void save(struct fm_sim *s, enum fm_record_kind kind, const struct fm_octets *key,
		 const struct fm_octets *value)
{
	uint8_t whole[1 + FM_NAI_MAX + 64] = { (uint8_t)kind };

	if (key->len > sizeof(whole) - 1) {
		s->has_failed = true;
		return;
	}
	memcpy(whole + 1, key->p, key->len);
	if (!fm_sim_table_put(&s->store, whole, 1u + key->len, value ? value->p : NULL,
			      value ? value->len : 0))
		s->has_failed = true;
}

static void host_send(void *world, const struct fm_via *via, const uint8_t *mh, size_t len)
{
	fm_sim_from_host(world, via, mh, len);
}

static void host_wake_at(void *world, uint64_t at_us)
{
	struct fm_sim_host *h = world;

	h->wake_us = at_us;
	if (at_us == UINT64_MAX || at_us >= h->queued_us)
		return;
	h->queued_us = at_us;
	fm_sim_put(h->sim, &(struct fm_sim_event){
				   .at_us = at_us, .kind = FM_SIM_WAKE_HOST, .host = h->index });
}

static void host_random(void *world, void *out, size_t len)
{
	fill(((struct fm_sim_host *)world)->sim, out, len);
}

static int host_mac(void *world, const struct fm_sa *sa, const struct fm_octets *parts, size_t n,
		    uint8_t out[16])
{
	return sign(((struct fm_sim_host *)world)->sim, sa, parts, n, out);
}

static void host_save(void *world, enum fm_record_kind kind, const struct fm_octets *key,
		      const struct fm_octets *value)
{
	save(((struct fm_sim_host *)world)->sim, kind, key, value);
}

/* The data path of a host is not simulated, but what it is told must lead somewhere. */
static void host_forward(void *world, const struct fm_forwarding *f)
{
	struct fm_sim_host *h = world;

	fm_sim_check_steering(h->sim, h->index, f);
	fm_sim_digest(h->sim, f->paths, f->n_paths * sizeof(f->paths[0]));
}

static void host_unforward(void *world, uint32_t id)
{
	fm_sim_digest(((struct fm_sim_host *)world)->sim, &id, sizeof(id));
}

static void host_pin(void *world, const struct fm_tuple *flow, uint16_t bid)
{
	fm_sim_digest(((struct fm_sim_host *)world)->sim, &flow->local_port, 2);
	fm_sim_digest(((struct fm_sim_host *)world)->sim, &bid, sizeof(bid));
}

static void host_probe(void *world, uint8_t access, uint64_t nonce)
{
	fm_sim_probe(world, access, nonce);
}

static void host_lease(void *world, const struct fm_odp *lease, const struct fm_ip *address)
{
	(void)lease;
	fm_sim_digest(((struct fm_sim_host *)world)->sim, address->b, sizeof(address->b));
}

static void host_tell(void *world, const struct fm_event *e)
{
	fm_sim_digest(((struct fm_sim_host *)world)->sim, &e->id, sizeof(e->id));
	fm_sim_programs_told(world, e);
}

const struct fm_ops fm_sim_host_ops = {
	.send = host_send,
	.wake_at = host_wake_at,
	.random = host_random,
	.mac = host_mac,
	.save = host_save,
	.forward = host_forward,
	.unforward = host_unforward,
	.pin = host_pin,
	.probe = host_probe,
	.lease = host_lease,
	.tell = host_tell,
};

static void anchor_send(void *world, const struct fm_via *via, const uint8_t *mh, size_t len)
{
	fm_sim_from_anchor(world, via, mh, len);
}

static void anchor_wake_at(void *world, uint64_t at_us)
{
	struct fm_sim *s = world;

	s->ha_wake_us = at_us;
	if (at_us == UINT64_MAX || at_us >= s->ha_queued_us)
		return;
	s->ha_queued_us = at_us;
	fm_sim_put(s, &(struct fm_sim_event){ .at_us = at_us, .kind = FM_SIM_WAKE_ANCHOR });
}

static void anchor_random(void *world, void *out, size_t len)
{
	fill(world, out, len);
}

static int anchor_mac(void *world, const struct fm_sa *sa, const struct fm_octets *parts, size_t n,
		      uint8_t out[16])
{
	return sign(world, sa, parts, n, out);
}

static void anchor_save(void *world, enum fm_record_kind kind, const struct fm_octets *key,
			const struct fm_octets *value)
{
	save(world, kind, key, value);
}

static void anchor_forward(void *world, const struct fm_forwarding *f)
{
	fm_sim_check_forward(world, f);
}

static void anchor_unforward(void *world, uint32_t id)
{
	fm_sim_check_unforward(world, id);
}

static void anchor_tell(void *world, const struct fm_event *e)
{
	fm_sim_digest(world, &e->id, sizeof(e->id));
}

const struct fm_ops fm_sim_anchor_ops = {
	.send = anchor_send,
	.wake_at = anchor_wake_at,
	.random = anchor_random,
	.mac = anchor_mac,
	.save = anchor_save,
	.forward = anchor_forward,
	.unforward = anchor_unforward,
	.tell = anchor_tell,
};
