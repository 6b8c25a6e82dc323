/*
 * What the data path's benchmark and its eBPF programs share: the packet that is made.
 */
#ifndef FM_CLI_BENCH_DATAPATH_H
#define FM_CLI_BENCH_DATAPATH_H

#include <linux/types.h>

#define FM_BENCH_HEADERS 65536u /* different inner headers, at least (performance.md, rule 3) */
#define FM_BENCH_LEN 112u	/* of the IP packet that is made */
#define FM_BENCH_WORDS (FM_BENCH_LEN / 4)

/* Words of the packet that are drawn anew for each, all of one number. */
#define FM_BENCH_SUBSCRIBER 7 /* of the destination's prefix, the second */
#define FM_BENCH_HOST 9
#define FM_BENCH_PORTS 10

/* Tells the packets of one side from late ones of the side before. */
#define FM_BENCH_SIDE (FM_BENCH_WORDS - 1)

enum fm_bench_seen {
	FM_BENCH_PACKETS,
	FM_BENCH_CHECKED,
	FM_BENCH_WRONG,
	FM_BENCH_SEEN_COUNT,
};

/**
 * struct fm_bench_packets - the packets of one side of a row
 * @from_ifindex: the generator's device; @to_ifindex: where the null redirect sends
 * @overhead, @hop_limit: of a packet at the sink, if all is well
 * @outer:    what the tunnel's header looks like then, but for flow label and subscriber
 * @ethernet: a header of 14 octets
 */
struct fm_bench_packets {
	__u32 from_ifindex, to_ifindex, subscribers, overhead, hop_limit;
	__u32 outer[10], packet[FM_BENCH_WORDS];
	__u16 ethernet[8];
};

#endif
