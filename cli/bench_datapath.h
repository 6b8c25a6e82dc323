/*
 * What the data path's benchmark and its eBPF programs share: the packet that is made.
 */
#ifndef FM_CLI_BENCH_DATAPATH_H
#define FM_CLI_BENCH_DATAPATH_H

#include <linux/types.h>

#define FM_BENCH_HEADERS 65536u /* different inner headers, at least (performance.md, rule 3) */
#define FM_BENCH_AT_SUBSCRIBER (14 + 24 + 4) /* second word of the destination's prefix */
#define FM_BENCH_AT_HOST (14 + 24 + 12)
#define FM_BENCH_AT_PORTS (14 + 40)
#define FM_BENCH_TEXT 0x46466c6fu

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
 * @len: of the IP packet that is made
 */
struct fm_bench_packets {
	__u32 from_ifindex, to_ifindex, subscribers, overhead, len, hop_limit;
	__u8 anchor[16];
};

#endif
