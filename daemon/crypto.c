/*
 * Randomness from the kernel, and HMAC by libcrypto.
 */
#include "daemon/crypto.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define DIGEST_MAX 32u

/* One row an algorithm: libcrypto's name and how many octets are kept (digest D16). */
static const struct algorithm {
	const char *digest;
	size_t kept;
} algorithms[] = {
	[FM_MAC_HMAC_SHA256_128] = { "SHA256", 16 },
	[FM_MAC_HMAC_SHA1_96] = { "SHA1", 12 },
};

struct fm_crypto {
	EVP_MAC *hmac;
	EVP_MAC_CTX *ctx;
};

int fm_crypto_open(struct fm_crypto **out)
{
	struct fm_crypto *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	c->ctx = c->hmac ? EVP_MAC_CTX_new(c->hmac) : NULL;
	if (!c->ctx) {
		fm_crypto_close(c);
		return -ENOTSUP;
	}
	*out = c;
	return 0;
}

void fm_crypto_close(struct fm_crypto *c)
{
	if (!c)
		return;
	EVP_MAC_CTX_free(c->ctx);
	EVP_MAC_free(c->hmac);
	free(c);
}

int fm_crypto_mac(struct fm_crypto *c, const struct fm_sa *sa, const struct fm_octets *parts,
		  size_t n, uint8_t out[16])
{
	const struct algorithm *a = &algorithms[sa->algorithm];
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)a->digest, 0),
		OSSL_PARAM_construct_end(),
	};
	uint8_t digest[DIGEST_MAX];
	size_t len = 0;

	if (!EVP_MAC_init(c->ctx, sa->key, sa->key_len, params))
		return -EIO;
	for (size_t i = 0; i < n; i++) {
		if (!EVP_MAC_update(c->ctx, parts[i].p, parts[i].len))
			return -EIO;
	}
	if (!EVP_MAC_final(c->ctx, digest, &len, sizeof(digest)) || len < a->kept)
		return -EIO;
	memcpy(out, digest, a->kept);
	return 0;
}

void fm_crypto_random(void *out, size_t len)
{
	uint8_t *at = out;

	while (len > 0) {
		ssize_t got = getrandom(at, len, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		at += got;
		len -= (size_t)got;
	}
}
