/*
 * The MN-HA mobility message authentication option, RFC 4285 §5.1 and digest D16, D30.
 */
#ifndef FM_CORE_AUTH_H
#define FM_CORE_AUTH_H

#include "core/world.h"

/* Octets of authentication data that @sa's algorithm keeps: 16 or 12. */
uint8_t fm_auth_len(const struct fm_sa *sa);

/**
 * fm_auth_finish() - encode a message, authenticate it, put the checksum in
 * @m:   complete but for the MN-HA option, which is appended here so that it ends the header (D16)
 * @sa:  NULL: send without
 * @coa, @hoa: of the MAC; IPv4 care-of address v4-mapped (D16)
 * @src, @dst: of the checksum (home address already put in place)
 * Return: octets written to @buf (FM_MH_MAX large), or -EMSGSIZE.
 */
int fm_auth_finish(struct fm_msg *m, const struct fm_sa *sa, const struct fm_ip *coa,
		   const struct fm_ip *hoa, const struct fm_ip *src, const struct fm_ip *dst,
		   const struct fm_ops *ops, void *world, uint8_t *buf);

/**
 * fm_auth_check() - is the MN-HA option of a received message right?
 * Return: 0; -ENOENT no option; -EKEYREJECTED wrong SPI, length or data; -EBADMSG order or
 * repetition.
 */
int fm_auth_check(const struct fm_msg *m, const uint8_t *mh, size_t len, const struct fm_sa *sa,
		  const struct fm_ip *coa, const struct fm_ip *hoa, const struct fm_ops *ops,
		  void *world);

#endif
