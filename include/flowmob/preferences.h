/*
 * The plain socket option of on-demand mobility (RFC 8653 Appendix A), for programs in any
 * language:
 *
 *	uint32_t value = IPV6_PREFER_SRC_TYPE(2);	// Session-Lasting
 *	setsockopt(fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &value, sizeof(value));
 *
 * No standard gives values: these stand here alone and may change. A stack without flowmob takes
 * them, returns 0 and ignores them: read them back to know (RFC 8653 §4).
 *
 * A type goes before the flags of RFC 5014 of that socket, set before, with or after it (§4.4). It
 * may be changed until the socket is bound to an address or connected; a value without a type
 * changes flags only, the long form without a type takes it back.
 */
#ifndef FLOWMOB_PREFERENCES_H
#define FLOWMOB_PREFERENCES_H

#include <linux/types.h>

#ifndef IPV6_ADDR_PREFERENCES
#define IPV6_ADDR_PREFERENCES 72
#endif

/* Bits 16-19: the type, numbers of sc_type. 0 asks for none, and leaves the one asked for before:
 * flags of RFC 5014 never undo a type. 5-15: EINVAL. */
#define IPV6_PREFER_SRC_TYPE(type) ((__u32)(type) << 16)
#define IPV6_PREFER_SRC_TYPE_OF(value) ((__u32)(value) >> 16 & 0xfu)
/* A new prefix even where one of that type is there. Without a type it is remembered for the next
 * type that the socket asks for. */
#define IPV6_REQUIRE_SRC_ON_NET 0x00100000u
/* Read only: there is an address of that type for this socket, and from that reading on it is the
 * socket's; it was refused, or did not come. */
#define IPV6_SRC_TYPE_READY 0x00200000u
#define IPV6_SRC_TYPE_FAILED 0x00400000u

#define FM_SC_BITS 0x007f0000u /* all of the above: the kernel never sees them */

/**
 * struct fm_sc_option - the option's long form: getsockopt() with that length tells more;
 * setsockopt() with that length states all that the socket asks for. With type 0 it asks for
 * nothing any more, as a new socket, and the lifetime and IPV6_REQUIRE_SRC_ON_NET that stand with
 * it are remembered for the next type, which the short form then asks for
 * @value:    as the short form
 * @error:    read: errno that setsc() would set; EPROTONOSUPPORT: the network has no such service;
 *            0: none
 * @address:  read: the socket's address once READY, v4-mapped for an IPv4 socket; else ::
 * @id:       read: number of the socket among those that asked
 * @lifetime_s, @lifetime_bytes: at most so long for new sockets; 0: as the type's policy says.
 *            Asking for one takes an address of its own (as IPV6_REQUIRE_SRC_ON_NET)
 */
struct fm_sc_option {
	__u32 value;
	__s32 error;
	__u8 address[16];
	__u64 id, lifetime_bytes;
	__u32 lifetime_s, reserved;
};

#endif
