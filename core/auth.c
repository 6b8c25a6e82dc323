/*
 * The MN-HA mobility message authentication option: where it stands, what it covers, is it right.
 * Which association holds, and what a failure is answered with, is for the roles to say.
 */
#include "core/auth.h"

#include <errno.h>

#define MN_HA 1u	/* RFC 4285 §5.1 */
#define MN_AAA 2u	/* RFC 4285 §5.2 */
#define COVERED_HEAD 7u /* type, length, subtype and SPI of the option itself are covered */
#define CHECKSUM_AT 4u	/* taken as zero, RFC 4285 §5.1 */
#define MAC_LEN_MAX 16u

uint8_t fm_auth_len(const struct fm_sa *sa)
{
	return sa->algorithm == FM_MAC_HMAC_SHA256_128 ? 16 : 12;
}

/* RFC 4285 §5.1: care-of address, home address, and the header up to the SPI. */
static int mac(const struct fm_auth *a, const struct fm_octets *covered, uint8_t *out)
{
	static const uint8_t zero[2];
	uint16_t rest = CHECKSUM_AT + 2;
	struct fm_octets parts[] = {
		{ a->coa->b, 16 },
		{ a->hoa->b, 16 },
		{ covered->p, CHECKSUM_AT },
		{ zero, 2 },
		{ covered->p + rest, (uint16_t)(covered->len - rest) },
	};

	return a->ops->mac(a->world, a->sa, parts, sizeof(parts) / sizeof(parts[0]), out);
}

int fm_auth_finish(struct fm_msg *m, const struct fm_auth *a, const struct fm_ip *src,
		   const struct fm_ip *dst, uint8_t *buf)
{
	static const uint8_t zero[MAC_LEN_MAX];
	uint8_t out[MAC_LEN_MAX] = { 0 };
	struct fm_item *it = NULL;

	if (a->sa) {
		it = fm_msg_add(m, FM_OPT_AUTH);
		if (!it)
			return -EMSGSIZE;
		it->auth.subtype = MN_HA;
		it->auth.spi = a->sa->spi;
		it->auth.data = (struct fm_octets){ zero, fm_auth_len(a->sa) };
	}
	int len = fm_msg_encode(m, buf, FM_MH_MAX);
	if (len < 0)
		return len;
	if (it) {
		struct fm_octets covered = { buf, (uint16_t)(it->at + COVERED_HEAD) };
		int err = mac(a, &covered, out);
		if (err)
			return err;
		memcpy(buf + covered.len, out, fm_auth_len(a->sa));
	}
	fm_mh_checksum_put(buf, (size_t)len, src, dst);
	return len;
}

/*
 * RFC 4285 §5: one option of each subtype, MN-HA before MN-AAA; RFC 4283 §3.2: MN-ID before both.
 * Nothing else may stand behind MN-HA: it would not be covered.
 */
static int find(const struct fm_msg *m, const struct fm_item **out)
{
	const struct fm_item *ours = NULL, *aaa = NULL;

	for (const struct fm_item *it = m->items; it < m->items + m->n_items; it++) {
		bool is_auth = it->depth == 0 && it->type == FM_OPT_AUTH;

		if (is_auth && it->auth.subtype == MN_HA) {
			if (ours || aaa)
				return -EBADMSG;
			ours = it;
		} else if (is_auth && it->auth.subtype == MN_AAA) {
			if (aaa)
				return -EBADMSG;
			aaa = it;
		} else if (ours || aaa) {
			return -EBADMSG;
		}
	}
	if (!ours)
		return -ENOENT;
	*out = ours;
	return 0;
}

/* In a time that does not tell where the first difference is. */
static bool is_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
	volatile uint8_t difference = 0;

	for (size_t i = 0; i < len; i++)
		difference |= (uint8_t)(a[i] ^ b[i]);
	return difference == 0;
}

int fm_auth_check(const struct fm_msg *m, const uint8_t *mh, size_t len, const struct fm_auth *a)
{
	const struct fm_item *it = NULL;
	uint8_t out[MAC_LEN_MAX] = { 0 };
	int err = find(m, &it);

	if (err)
		return err;
	struct fm_octets covered = { mh, (uint16_t)(it->at + COVERED_HEAD) };
	if (covered.len > len || it->auth.spi != a->sa->spi ||
	    it->auth.data.len != fm_auth_len(a->sa))
		return -EKEYREJECTED;
	err = mac(a, &covered, out);
	if (err || !is_equal(out, it->auth.data.p, it->auth.data.len))
		return -EKEYREJECTED;
	return 0;
}
