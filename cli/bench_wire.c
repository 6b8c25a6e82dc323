/*
 * flowmob bench wire: what reading and writing a message costs beside copying its octets.
 * The messages: a refresh as hosts send it all day, and one with 4 care-of addresses and 8 flows.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "wire/msg.h"

struct subject {
	struct fm_bench *bench;
	uint8_t octets[FM_MH_MAX], copy[FM_MH_MAX];
	size_t len;
	uint32_t times;
	struct fm_msg *msg;
};

static void add_mn_id(struct fm_msg *m)
{
	static const char id[] = "truck7@example.net";
	struct fm_item *i = fm_msg_add(m, FM_OPT_MN_ID);

	i->mn_id.subtype = 1;
	i->mn_id.id = (struct fm_octets){ (const uint8_t *)id, sizeof(id) - 1 };
}

static void add_bid(struct fm_msg *m, uint16_t bid)
{
	struct fm_item *i = fm_msg_add(m, FM_OPT_BID);

	i->bid.bid = bid;
	i->bid.bid_pri = (uint8_t)(10 * bid);
	i->bid.coa_len = 16;
	i->bid.coa = (struct fm_ip){ { 0x20, 0x01, 0x0d, 0xb8, [15] = (uint8_t)bid } };
}

/* udp, one destination port; one BID. RFC 6088 §3.2, RFC 6089 §4.2.1. */
static void add_flow(struct fm_msg *m, uint16_t fid, uint16_t bid)
{
	struct fm_selector s = { .format = 2,
				 .has_start = 1u << FM_SEL_DPORT | 1u << FM_SEL_PROTO,
				 .dport = { (uint16_t)(5000 + fid) },
				 .proto = { 17 } };
	struct fm_item *i = fm_msg_add(m, FM_OPT_FLOW_ID);
	uint8_t *room = fm_msg_room(m, 96), *bids = fm_msg_room(m, 2);

	i->flow_id.fid = fid;
	i->flow_id.fid_pri = (uint16_t)(100 + fid);
	bids[0] = (uint8_t)(bid >> 8);
	bids[1] = (uint8_t)bid;
	fm_msg_add_sub(m, FM_SUB_BINDING_REFERENCE)->u16_list = (struct fm_octets){ bids, 2 };
	i = fm_msg_add_sub(m, FM_SUB_TRAFFIC_SELECTOR);
	i->selector.format = s.format;
	i->selector.octets = (struct fm_octets){ room, (uint16_t)fm_selector_write(&s, room) };
}

static int build(struct subject *s, uint16_t n_bids, uint16_t n_flows)
{
	fm_msg_init(s->msg, FM_MH_BU);
	s->msg->bu.sequence = 4711;
	s->msg->bu.flags = FM_BU_A | FM_BU_H;
	s->msg->bu.lifetime = 900;
	for (uint16_t b = 1; b <= n_bids; b++)
		add_bid(s->msg, b);
	for (uint16_t f = 1; f <= n_flows; f++)
		add_flow(s->msg, f, (uint16_t)(1 + f % n_bids));
	add_mn_id(s->msg);
	int len = fm_msg_encode(s->msg, s->octets, sizeof(s->octets));
	if (len < 0)
		return len;
	s->len = (size_t)len;
	return 0;
}

static double per_message_ns(uint64_t start_ns, uint32_t times)
{
	return (double)(fm_bench_now_ns() - start_ns) / times;
}

/* Reads @times, then looks once whether writing gives the same octets again. */
static double decode_round(void *ctx)
{
	struct subject *s = ctx;
	uint64_t start = fm_bench_now_ns();
	uint32_t offset, bad = 0;

	for (uint32_t i = 0; i < s->times; i++)
		bad += fm_msg_decode(s->octets, s->len, NULL, s->msg, &offset) != FM_REFUSE_NONE;
	double ns = per_message_ns(start, s->times);
	s->bench->checked += s->times;
	if (bad || fm_msg_encode(s->msg, s->copy, sizeof(s->copy)) != (int)s->len ||
	    memcmp(s->copy, s->octets, s->len) != 0) {
		s->bench->wrong++;
		return -1;
	}
	return ns;
}

static double encode_round(void *ctx)
{
	struct subject *s = ctx;
	uint32_t offset, bad = 0;

	if (fm_msg_decode(s->octets, s->len, NULL, s->msg, &offset) != FM_REFUSE_NONE)
		return -1;
	uint64_t start = fm_bench_now_ns();
	for (uint32_t i = 0; i < s->times; i++)
		bad += fm_msg_encode(s->msg, s->copy, sizeof(s->copy)) != (int)s->len;
	double ns = per_message_ns(start, s->times);
	s->bench->checked += s->times;
	if (bad || memcmp(s->copy, s->octets, s->len) != 0) {
		s->bench->wrong++;
		return -1;
	}
	return ns;
}

static double copy_round(void *ctx)
{
	struct subject *s = ctx;
	uint64_t start = fm_bench_now_ns();

	for (uint32_t i = 0; i < s->times; i++) {
		memcpy(s->copy, s->octets, s->len);
		__asm__ volatile("" : : "r"(s->copy) : "memory"); /* each copy happens */
	}
	return per_message_ns(start, s->times);
}

static int compare(struct subject *s, const char *decode_name, const char *encode_name)
{
	struct fm_bench_row row = { .name = decode_name,
				    .unit = "ns",
				    .ours = { "fm_msg_decode", decode_round, s },
				    .baseline = { "memcpy of the octets", copy_round, s } };
	int err = fm_bench_compare(s->bench, &row);

	row.name = encode_name;
	row.ours = (struct fm_bench_side){ "fm_msg_encode", encode_round, s };
	return fm_bench_compare(s->bench, &row) || err;
}

int fm_bench_wire(struct fm_bench *b)
{
	struct subject s = { .bench = b,
			     .times = b->is_short ? 20000 : 200000,
			     .msg = malloc(sizeof(*s.msg)) };
	int err = 1;

	if (!s.msg)
		return err;
	fm_bench_pin(1);
	if (build(&s, 2, 0) == 0)
		err = compare(&s, "decode a refresh", "encode a refresh");
	if (build(&s, 4, 8) == 0)
		err |= compare(&s, "decode 4 bids + 8 flows", "encode 4 bids + 8 flows");
	else
		err = 1;
	free(s.msg);
	return err;
}
