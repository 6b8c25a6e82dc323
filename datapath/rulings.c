/*
 * What the programs ask of flows, and the answers (ruling.h); what rules said of flows (chosen.h).
 */
#include "datapath/dp.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath/path.skel.h"

/* Generations of blocks that are gone may come a second time after a restart. */
int fm_chosen_clear(struct fm_dp *dp)
{
	const struct bpf_map *map = dp->skel->maps.fm_chosen_v1;
	size_t size = (size_t)bpf_map__max_entries(map) * sizeof(struct fm_dp_chosen);
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (at == MAP_FAILED)
		return fm_dp_fail(-errno, "data path: cannot map what rules said of flows");
	memset(at, 0, size);
	(void)munmap(at, size);
	return 0;
}

/* So many questions at once: signalling must not wait for those who come with new flows. */
#define READ_MOST 256u

static int on_asked(void *ctx, void *data, size_t len)
{
	struct fm_dp *dp = ctx;
	struct fm_dp_asked asked;

	if (len < sizeof(asked))
		return 0;
	memcpy(&asked, data, sizeof(asked));
	dp->rulings.asked(dp->rulings.ctx, &asked);
	return ++dp->rulings.n_read < READ_MOST ? 0 : -EAGAIN; /* the descriptor stays readable */
}

/* Answers of an earlier run are of other rules. */
int fm_dp_rulings_open(struct fm_dp *dp, void (*asked)(void *ctx, const struct fm_dp_asked *asked),
		       void *ctx)
{
	dp->rulings.asked = asked;
	dp->rulings.ctx = ctx;
	dp->rulings.ring =
		ring_buffer__new(bpf_map__fd(dp->skel->maps.fm_asked_v1), on_asked, dp, NULL);
	if (!dp->rulings.ring)
		return fm_dp_fail(-errno, "data path: cannot read what it asks of flows");
	fm_dp_rulings_renew(dp);
	return ring_buffer__epoll_fd(dp->rulings.ring);
}

void fm_rulings_free(struct fm_dp *dp)
{
	ring_buffer__free(dp->rulings.ring);
}

void fm_dp_rulings_read(struct fm_dp *dp)
{
	dp->rulings.n_read = 0;
	(void)ring_buffer__consume(dp->rulings.ring);
}

void fm_dp_rulings_renew(struct fm_dp *dp)
{
	int fd = bpf_map__fd(dp->skel->maps.fm_rules_now_v1);
	uint32_t zero = 0, generation = 0;

	(void)bpf_map_lookup_elem(fd, &zero, &generation);
	generation++;
	(void)bpf_map_update_elem(fd, &zero, &generation, BPF_ANY);
}

/* The class of the last answer; 0: there is none. */
static uint8_t class_before(struct fm_dp *dp, const struct fm_dp_asked *asked)
{
	struct fm_dp_ruling r;

	if (bpf_map_lookup_elem(bpf_map__fd(dp->skel->maps.fm_rulings_v1), &asked->flow, &r) < 0)
		return 0;
	return r.is_given && r.id == asked->id ? r.class : 0;
}

/*
 * Beside the path that the flow came by, where both directions look for their class: else they
 * would find it there a second later. A class of the binding's own rules stays. What the flow's
 * packets write meanwhile, the next one writes again.
 */
static void note_class(struct fm_dp *dp, const struct fm_dp_asked *asked, uint8_t before,
		       uint8_t class)
{
	int fd = bpf_map__fd(dp->skel->maps.fm_uplink_v1);
	struct fm_dp_uplink u;

	if (class == before || bpf_map_lookup_elem(fd, &asked->flow, &u) < 0 || u.id != asked->id ||
	    FM_DP_WHERE_CLASS(u.where) != before)
		return;
	u.where = (u.where & ~(0xffu << 8)) | (uint32_t) class << 8;
	(void)bpf_map_update_elem(fd, &asked->flow, &u, BPF_EXIST);
}

int fm_dp_rulings_give(struct fm_dp *dp, const struct fm_dp_asked *asked, uint16_t bid,
		       uint8_t class)
{
	uint8_t before = class_before(dp, asked);
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	const struct fm_dp_ruling r = {
		.asked_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec,
		.id = asked->id,
		.block = asked->block,
		.rules = asked->rules,
		.bid = bid,
		.class = class,
		.is_given = 1,
	};

	if (bpf_map_update_elem(bpf_map__fd(dp->skel->maps.fm_rulings_v1), &asked->flow, &r,
				BPF_ANY) < 0)
		return fm_dp_fail(-errno, "data path: cannot write what rules say of a flow");
	note_class(dp, asked, before, class);
	return 0;
}
