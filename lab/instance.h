/*
 * One world on this machine: its name, and where everything that it leaves behind lies.
 * All of it hangs under four names, so that any process can take it down at any time.
 */
#ifndef FM_LAB_INSTANCE_H
#define FM_LAB_INSTANCE_H

#include <stdbool.h>

#define FM_LAB_RUN_DIR "/run/flowmob-lab"

/**
 * struct fm_lab_instance - paths of one world
 * @dir:    files: one directory a node, the lab's socket, `scenario`
 * @cgroup: cgroup v2 directory; one child a node
 * @bpf:    directory in a bpffs, one child a node
 */
struct fm_lab_instance {
	char name[24], dir[64], cgroup[160], bpf[96];
};

/* Fills the paths. Return: -EINVAL when the name is not of letters, digits, - and _. */
int fm_instance_init(struct fm_lab_instance *in, const char *name);

/*
 * The same for a person: says what is wrong with the name, or that root is needed. Return: exit
 * code.
 */
int fm_instance_open(struct fm_lab_instance *in, const char *name);

/* Makes the directories; mounts a bpffs where the machine has none. -EEXIST: that world stands. */
int fm_instance_make(const struct fm_lab_instance *in);

bool fm_instance_is_there(const struct fm_lab_instance *in);

/* Namespace of a node, as under /run/netns. */
void fm_instance_ns_name(const struct fm_lab_instance *in, const char *node, char buf[128]);

/* Ends every process of the instance and removes all that is left of it. Safe to call twice. */
void fm_instance_remove(const struct fm_lab_instance *in);

/**
 * fm_instance_guard() - start the guardian: a process that outlives this one
 * When the last copy of the returned descriptor is closed, also by a crash or a kill, it removes
 * the instance. Children forked later hold copies: they must die with their parent.
 * Return: descriptor, or -errno. @pid_out: wait for it to know that all is gone.
 */
int fm_instance_guard(const struct fm_lab_instance *in, int *pid_out);

/* Has the guardian remove the instance now, and waits until it has. */
void fm_instance_end(int guard_fd, int guard_pid);

/* Names of all instances, one call each. */
void fm_instance_each(void (*each)(void *context, const char *name), void *context);

#endif
