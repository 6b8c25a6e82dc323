/*
 * The MN-HA mobility message authentication option, RFC 4285 §5.1 and digest D16, D30.
 */
#ifndef FM_CORE_AUTH_H
#define FM_CORE_AUTH_H

#include "core/world.h"

/* Octets of authentication data that @sa's algorithm keeps: 16 or 12. */
uint8_t fm_auth_len(const struct fm_sa *sa);

/**
 * struct fm_auth - what a MAC is made with
 * @sa:         NULL: send without
 * @coa, @hoa:  covered beside the message; an IPv4 care-of address is v4-mapped (D16)
 * @ops, @world: whose mac is asked
 */
struct fm_auth {
	const struct fm_sa *sa;
	const struct fm_ip *coa, *hoa;
	const struct fm_ops *ops;
	void *world;
};

/**
 * fm_auth_finish() - encode a message, authenticate it, put the checksum in
 * @m:   complete but for the MN-HA option, which is appended here so that it ends the header (D16)
 * @src, @dst: of the checksum (home address already put in place)
 * Return: octets written to @buf (FM_MH_MAX large), or -EMSGSIZE.
 */
int fm_auth_finish(struct fm_msg *m, const struct fm_auth *a, const struct fm_ip *src,
		   const struct fm_ip *dst, uint8_t *buf);

/**
 * fm_auth_check() - is the MN-HA option of a received message right?
 * Return: 0; -ENOENT no option; -EKEYREJECTED wrong SPI, length or data; -EBADMSG order or
 * repetition.
 */
int fm_auth_check(const struct fm_msg *m, const uint8_t *mh, size_t len, const struct fm_auth *a);

#endif
