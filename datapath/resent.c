/*
 * Loads and attaches the program on TCP's repetitions, and reads what it tells.
 */
#include "datapath/resent.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "datapath/dp.h"
#include "datapath/resent.skel.h"
#include "datapath/resent_maps.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

struct fm_resents {
	struct fm_resent_bpf *skel;
	struct bpf_link *link;
	struct ring_buffer *ring;
	void (*came)(void *ctx, const struct fm_tuple *flow);
	void *ctx;
};

static int on_told(void *ctx, void *data, size_t len)
{
	struct fm_resents *r = ctx;
	struct fm_tuple flow = { .ip_proto = IPPROTO_TCP };
	struct fm_resent told;

	if (len < sizeof(told))
		return 0;
	memcpy(&told, data, sizeof(told));
	memcpy(flow.local.b, told.local, sizeof(flow.local.b));
	memcpy(flow.remote.b, told.remote, sizeof(flow.remote.b));
	flow.local_port = (uint16_t)told.local_port;
	flow.remote_port = (uint16_t)told.remote_port;
	r->came(r->ctx, &flow);
	return 0;
}

/* The kernel's name of the network namespace that we are in. */
static int own_netns(uint64_t *cookie)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;
	socklen_t len = sizeof(*cookie);

	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &len) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int load(struct fm_resents *r)
{
	uint64_t cookie;
	int err = own_netns(&cookie);

	if (err < 0)
		return err;
	fm_dp_keep_warnings();
	r->skel = fm_resent_bpf__open();
	if (!r->skel)
		return -errno;
	r->skel->rodata->fm_netns = cookie;
	return fm_resent_bpf__load(r->skel);
}

static int attach(struct fm_resents *r, const char *cgroup)
{
	int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	r->link = bpf_program__attach_cgroup(r->skel->progs.fm_resent, fd);
	if (!r->link)
		err = -errno;
	close(fd);
	return err;
}

int fm_resents_open(const char *cgroup, void (*came)(void *ctx, const struct fm_tuple *flow),
		    void *ctx, struct fm_resents **out)
{
	struct fm_resents *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->came = came;
	r->ctx = ctx;
	err = load(r);
	if (err == 0)
		r->ring = ring_buffer__new(bpf_map__fd(r->skel->maps.fm_resent_told), on_told, r,
					   NULL);
	if (err == 0 && !r->ring)
		err = -errno;
	if (err == 0)
		err = attach(r, cgroup);
	if (err < 0) {
		fm_resents_close(r);
		return err;
	}
	*out = r;
	return 0;
}

void fm_resents_close(struct fm_resents *r)
{
	if (!r)
		return;
	bpf_link__destroy(r->link);
	ring_buffer__free(r->ring);
	fm_resent_bpf__destroy(r->skel);
	free(r);
}

int fm_resents_fd(const struct fm_resents *r)
{
	return ring_buffer__epoll_fd(r->ring);
}

void fm_resents_read(struct fm_resents *r)
{
	(void)ring_buffer__consume(r->ring);
}
