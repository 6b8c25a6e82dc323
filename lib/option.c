/*
 * The socket option's long form, and how an errno becomes a result. A stack without flowmob takes
 * every value and returns 0 (RFC 8653 §4): only reading back tells.
 */
#include "lib/option.h"

#include <errno.h>
#include <sys/socket.h>

int fm_option_read(int sockfd, struct fm_sc_option *o)
{
	socklen_t len = sizeof(*o);

	if (getsockopt(sockfd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, o, &len) < 0)
		return errno == EOPNOTSUPP ? -ENOPROTOOPT : -errno;
	return len == sizeof(*o) ? 0 : -ENOPROTOOPT; /* the kernel's own answer is one int */
}

int fm_option_write(int sockfd, const struct fm_sc_option *o)
{
	int done = setsockopt(sockfd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, o, sizeof(*o));

	return done < 0 ? -errno : 0;
}

int fm_option_ask(int sockfd, sc_type type, struct fm_sc_option *o)
{
	uint32_t value = IPV6_PREFER_SRC_TYPE(type);
	int err = 0;

	if (type < FIXED_IP_ADDRESS || type > GRACEFUL_REPLACEMENT_IP_ADDRESS)
		return -EINVAL;
	if (setsockopt(sockfd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &value, sizeof(value)) < 0)
		err = errno == EOPNOTSUPP ? -ENOPROTOOPT : -errno; /* a raw socket, for example */
	int read_err = fm_option_read(sockfd, o);
	if (read_err)
		return read_err; /* a stack that refuses unknown bits knows no long form either */
	if (err)
		return err;
	return IPV6_PREFER_SRC_TYPE_OF(o->value) == type ? 0 : -ENOPROTOOPT;
}

int fm_option_error(const struct fm_sc_option *o)
{
	if (o->value & IPV6_SRC_TYPE_READY)
		return 0;
	if (o->value & IPV6_SRC_TYPE_FAILED)
		return o->error > 0 ? -o->error : -EADDRNOTAVAIL;
	return -EAGAIN;
}

int fm_result(int err)
{
	if (!err)
		return 0;
	errno = -err;
	switch (-err) {
	case ENOPROTOOPT:     /* no eBPF of ours at this socket */
	case ECONNREFUSED:    /* no daemon */
	case EPROTONOSUPPORT: /* digest §14.6: 131, or an anchor that knows no types */
		return EAI_REQUIREDIPNOTSUPPORTED;
	default:
		return EAI_REQUIREDIPFAILED;
	}
}
