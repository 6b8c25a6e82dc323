/*
 * Pins that the loaders have in common: maps that an earlier run left, links of cgroup programs.
 */
#include "datapath/dp.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

bool fm_pin_fits(const char *path, const struct bpf_map *m)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd = bpf_obj_get(path);

	if (fd < 0)
		return errno == ENOENT;
	int err = bpf_obj_get_info_by_fd(fd, &info, &len);

	close(fd);
	return err == 0 && info.type == bpf_map__type(m) && info.key_size == bpf_map__key_size(m) &&
	       info.value_size == bpf_map__value_size(m) &&
	       info.max_entries == bpf_map__max_entries(m);
}

/* Is the link of an earlier run one to this cgroup? One whose cgroup is gone has none. */
static bool is_link_to(int link, int cgroup)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);
	struct stat st;

	return bpf_obj_get_info_by_fd(link, &info, &len) == 0 && fstat(cgroup, &st) == 0 &&
	       info.cgroup.cgroup_id == st.st_ino;
}

/* Return: 1 the pinned link has our program now; 0 there is none that fits. */
static int renew_link(const char *path, int program, int cgroup)
{
	int link = bpf_obj_get(path), done = 0;

	if (link < 0)
		return 0;
	if (is_link_to(link, cgroup) && bpf_link_update(link, program, NULL) == 0)
		done = 1;
	close(link);
	if (!done)
		(void)unlink(path);
	return done;
}

int fm_pin_cgroup_link(const char *path, const struct bpf_program *program, int cgroup, uint32_t at)
{
	int fd = bpf_program__fd(program), link, err = 0;

	if (renew_link(path, fd, cgroup))
		return 0;
	link = bpf_link_create(fd, cgroup, at, NULL);
	if (link < 0)
		return fm_dp_fail(-errno, "sockets: the cgroup takes no program %s: %s",
				  bpf_program__name(program), strerror(errno));
	(void)unlink(path); /* one that another user pinned, whom we were before */
	if (bpf_obj_pin(link, path) < 0)
		err = fm_dp_fail(-errno, "sockets: cannot pin %s: %s", path, strerror(errno));
	close(link); /* the pin keeps it attached */
	return err;
}

const char *fm_pin_directory(const char *dir, char name[256])
{
	ssize_t n = readlink(dir, name, 255);

	if (n <= 0)
		return dir;
	name[n] = '\0';
	return name;
}

void fm_pin_remove_directory(const char *dir)
{
	char name[256];

	(void)rmdir(fm_pin_directory(dir, name));
}

void fm_pin_detach(const char *path)
{
	int link = bpf_obj_get(path);

	if (link >= 0) {
		(void)bpf_link_detach(link); /* of a tracepoint there is none: the pin is all */
		close(link);
	}
	(void)unlink(path); /* also where its owner was another user */
}
