/*
 * Whose socket is it: from an inode to a program's name, by /proc.
 */
#ifndef FM_NET_PROC_H
#define FM_NET_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FM_PROC_NAME 16u	     /* octets of a name with its end, as TASK_COMM_LEN */
#define FM_RUN_CGROUP "flowmob-run-" /* the cgroup of `flowmob run`: so its name begins */
#define FM_PROC_PATH 256u	     /* of a path: longer ones are not told */

struct fm_proc_want {
	uint32_t inode;
	uint32_t pid; /* filled; 0: not found */
	char name[FM_PROC_NAME];
};

/* Are the kernel's process numbers ours? Not in a pid namespace of one's own, as containers have.
 */
bool fm_proc_has_all(void);

/*
 * Fills pid and name of all @n in one walk over /proc; of names only printable ASCII is kept.
 * Processes that may not be looked into are passed by.
 */
void fm_proc_find(struct fm_proc_want *wants, size_t n);

/* The path of the program file that @pid runs, also of one that was replaced since. 0; -ESRCH no
 * such process, or not ours to see; -ENAMETOOLONG. */
int fm_proc_program(uint32_t pid, char path[FM_PROC_PATH]);

/* The path of the cgroup v2 of @pid below its mount, such as /user.slice. 0 or -errno. */
int fm_proc_cgroup_of(uint32_t pid, char *path, size_t size);

/* Where cgroup v2 is mounted: /sys/fs/cgroup, or beside v1 /sys/fs/cgroup/unified. 0 or -errno. */
int fm_proc_cgroup_mount(char *path, size_t size);

/* The path of cgroup @id below its mount, such as /system.slice/ssh.service. 0 or -errno. */
int fm_proc_cgroup(uint64_t id, char *path, size_t size);

#endif
