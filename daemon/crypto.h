/*
 * Randomness from the kernel, and HMAC by libcrypto: what core/ has no source of.
 */
#ifndef FM_DAEMON_CRYPTO_H
#define FM_DAEMON_CRYPTO_H

#include "core/world.h"

struct fm_crypto;

/* Return: 0; -ENOTSUP libcrypto has no HMAC. */
int fm_crypto_open(struct fm_crypto **out);
void fm_crypto_close(struct fm_crypto *c);

/* HMAC over @n parts in order; writes 16 or 12 octets, as @sa's algorithm keeps. 0 or -EIO. */
int fm_crypto_mac(struct fm_crypto *c, const struct fm_sa *sa, const struct fm_octets *parts,
		  size_t n, uint8_t out[16]);

/* Never fails: a kernel without randomness ends the daemon. */
void fm_crypto_random(void *out, size_t len);

#endif
