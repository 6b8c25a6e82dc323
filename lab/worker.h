/*
 * Inside one traffic program: one loop, a timer for each flow, a callback for each socket.
 */
#ifndef FM_LAB_WORKER_H
#define FM_LAB_WORKER_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "lab/traffic.h"

#define FM_LAB_NEVER INT64_MAX
#define FM_LAB_HEADER 8u

struct fm_lab_worker;

/* A socket in the loop; part of something larger. */
struct fm_lab_io {
	int fd;
	void (*ready)(struct fm_lab_worker *w, struct fm_lab_io *io, uint32_t events);
};

/* What a flow does next by itself. @due_ns: since the clock started. */
struct fm_lab_task {
	int64_t due_ns;
	void (*fire)(struct fm_lab_worker *w, int flow);
	void *state;
};

/* The highest number received in one direction of a flow, and which of the 64 before it. */
struct fm_lab_recent {
	uint32_t highest;
	uint64_t before;
	bool has_any;
};

struct fm_lab_worker {
	const struct fm_lab_scenario *s;
	struct fm_lab_links *links;
	struct fm_lab_live *live;
	int host; /* -1: the peer */
	bool uses_mptcp, is_done;
	int epoll_fd;
	int64_t never_ns;
	struct fm_lab_task tasks[FM_LAB_FLOWS];
	struct fm_lab_log log;
	struct fm_lab_recent recent[FM_LAB_FLOWS][2];
	uint8_t buffer[65536];
};

int64_t fm_worker_now(const struct fm_lab_worker *w); /* ns since the clock started */
int fm_worker_watch(struct fm_lab_worker *w, struct fm_lab_io *io, uint32_t events);
void fm_worker_change(struct fm_lab_worker *w, struct fm_lab_io *io, uint32_t events);
void fm_worker_note(struct fm_lab_worker *w, int flow, enum fm_lab_what what, int direction,
		    uint32_t number, uint32_t octets);

/* A socket of the flow's family and DSCP towards the peer, or one that listens at the peer. */
int fm_worker_socket(struct fm_lab_worker *w, const struct fm_lab_flow *f);
struct sockaddr_storage fm_worker_peer(const struct fm_lab_flow *f, socklen_t *len);
int fm_worker_listen(struct fm_lab_worker *w, const struct fm_lab_flow *f);

/* The first octets of a datagram or a connection say which flow it is. */
void fm_worker_put_header(uint8_t *p, int flow, int direction, uint32_t number);
bool fm_worker_get_header(const struct fm_lab_worker *w, const uint8_t *p, size_t len, int *flow,
			  int *direction, uint32_t *number);

/* traffic_udp.c and traffic_tcp.c: set up the host's or the peer's side of one flow. */
int fm_udp_host(struct fm_lab_worker *w, int flow);
int fm_udp_peer(struct fm_lab_worker *w, int flow, bool is_first_on_port);
int fm_tcp_host(struct fm_lab_worker *w, int flow);
int fm_tcp_peer(struct fm_lab_worker *w, int flow, bool is_first_on_port);

#endif
