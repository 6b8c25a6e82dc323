/*
 * Privileges given up after the start, and the message to systemd.
 */
#include "net/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const cap_value_t kept[] = {
	CAP_NET_ADMIN, /* netlink, fm0, sysctls of the namespace */
	CAP_NET_RAW,   /* signalling, probes, SO_BINDTODEVICE */
	CAP_BPF,       /* maps */
	CAP_PERFMON,   /* programs that subtract pointers */
};

#define N_KEPT ((int)(sizeof(kept) / sizeof(kept[0])))

/* Everything not in @kept goes, also out of what a later exec could have. */
static int shrink(void)
{
	cap_t caps = cap_init();
	int err = 0;

	if (!caps)
		return -ENOMEM;
	if (cap_set_flag(caps, CAP_PERMITTED, N_KEPT, kept, CAP_SET) < 0 ||
	    cap_set_flag(caps, CAP_EFFECTIVE, N_KEPT, kept, CAP_SET) < 0 || cap_set_proc(caps) < 0)
		err = -errno;
	cap_free(caps);
	return err;
}

/* The bounding set can only be shrunk while CAP_SETPCAP is there. */
static int shrink_bounding(void)
{
	for (cap_value_t c = 0; cap_get_bound(c) >= 0; c++) {
		bool is_kept = false;

		for (int i = 0; i < N_KEPT; i++)
			is_kept |= kept[i] == c;
		if (!is_kept && cap_drop_bound(c) < 0)
			return -errno;
	}
	return 0;
}

static int become(const char *user)
{
	const struct passwd *p;

	errno = 0;
	p = getpwnam(user);
	if (!p)
		return errno ? -errno : -ENOENT;
	if (prctl(PR_SET_KEEPCAPS, 1) < 0 || initgroups(user, p->pw_gid) < 0 ||
	    setresgid(p->pw_gid, p->pw_gid, p->pw_gid) < 0 ||
	    setresuid(p->pw_uid, p->pw_uid, p->pw_uid) < 0 || prctl(PR_SET_KEEPCAPS, 0) < 0)
		return -errno;
	return 0;
}

int fm_privilege_give(const char *user, const char *path)
{
	const struct passwd *p;

	errno = 0;
	p = getpwnam(user);
	if (!p)
		return errno ? -errno : -ENOENT;
	return chown(path, p->pw_uid, p->pw_gid) < 0 ? -errno : 0;
}

int fm_privilege_drop(const char *user)
{
	int err = shrink_bounding();

	if (err == 0 && user)
		err = become(user);
	if (err == 0)
		err = shrink();
	if (err == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		err = -errno;
	return err;
}

int fm_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	socklen_t len;
	int fd, err = 0;

	if (!path || !*path)
		return 0;
	if (strlen(path) >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	strcpy(to.sun_path, path);
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (to.sun_path[0] == '@')
		to.sun_path[0] = 0; /* an abstract name */
	else
		len++;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, len) < 0)
		err = -errno;
	close(fd);
	return err;
}
