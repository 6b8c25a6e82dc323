/*
 * Less power after the start: another user, few capabilities, none to be had again. And sd_notify.
 */
#ifndef FM_NET_PRIVILEGE_H
#define FM_NET_PRIVILEGE_H

/*
 * Gives a file or directory to @user, who is to change it after fm_privilege_drop(). -ENOENT no
 * such user.
 */
int fm_privilege_give(const char *user, const char *path);

/**
 * fm_privilege_drop() - become @user, keep NET_ADMIN, NET_RAW, BPF and PERFMON only, set
 * no_new_privs After fm_tun_open(), the control socket, the store and eBPF: /dev/net/tun may be
 * root's alone.
 * @user: NULL: the user stays (a lab's daemon), capabilities go all the same
 * Return: 0; -ENOENT no such user; or -errno: nothing may go on then.
 */
int fm_privilege_drop(const char *user);

/* Tells systemd a state such as "READY=1"; 0 also where no NOTIFY_SOCKET is, or -errno. */
int fm_notify(const char *state);

#endif
