/*
 * Flow options of binding updates as a table: what is there, what the update says, what each option
 * is answered and what is there afterwards (RFC 6089 §5.3; digest D20 to D24, D32, D35).
 */
#include <stdio.h>

#include "test/unit/ha_world.h"

#define HOA "2001:db8:1::5a"
#define AH (FM_BU_A | FM_BU_H)
#define PARTS_MAX 4

/*
 * An option 45 (@is_summary false) or a FID in a summary; nh 0: without selector; bids end with 0.
 */
struct part {
	bool is_summary;
	uint16_t fid, pri;
	uint8_t nh;
	uint16_t bids[3];
	uint8_t status; /* of the answer; of a summary 132 or 0: none */
};

static const struct {
	const char *name;
	struct part before[PARTS_MAX], update[PARTS_MAX];
	const char *after; /* "FID/PRI:BIDs" in the order of matching */
} rows[] = {
	{ "two priorities swap by one update (D21)",
	  { { 0, 1, 10, 6, { 1 } }, { 0, 2, 20, 17, { 2 } } },
	  { { 0, 1, 20, 0, { 0 } }, { 0, 2, 10, 0, { 0 } } },
	  "2/10:2 1/20:1 " },
	{ "a new one on the place of a refreshed one (D21)",
	  { { 0, 1, 10, 6, { 1 } } },
	  { { 1, 1 }, { 0, 2, 10, 17, { 1 }, 129 } },
	  "1/10:1 " },
	{ "two new ones on one place: both are refused (D21)",
	  { { 0 } },
	  { { 0, 1, 10, 6, { 1 }, 129 }, { 0, 2, 10, 17, { 1 }, 129 } },
	  "" },
	{ "one that goes back takes its place from a new one",
	  { { 0, 1, 10, 6, { 1 } }, { 0, 2, 20, 6, { 1 } } },
	  { { 0, 1, 20, 0, { 0 }, 129 }, { 1, 2 }, { 0, 3, 10, 17, { 1 }, 129 } },
	  "1/10:1 2/20:1 " },
	{ "the place of one that is removed is free",
	  { { 0, 1, 10, 6, { 1 } } },
	  { { 0, 2, 10, 17, { 2 } } },
	  "2/10:2 " },
	{ "FID 0 (D21)", { { 0 } }, { { 0, 0, 10, 6, { 1 }, 130 } }, "" },
	{ "FID-PRI 0 (D21)", { { 0 } }, { { 0, 1, 0, 6, { 1 }, 130 } }, "" },
	{ "a refused option names its FID (D22)",
	  { { 0, 1, 10, 6, { 1 } } },
	  { { 0, 1, 30, 0, { 9 }, 131 } },
	  "1/10:1 " },
	{ "one FID twice: all are refused, old ones stay, the summary counts (D20)",
	  { { 0, 1, 10, 6, { 1 } }, { 0, 2, 20, 6, { 1 } }, { 0, 3, 30, 6, { 1 } } },
	  { { 0, 1, 40, 0, { 0 }, 130 }, { 0, 1, 50, 0, { 0 }, 130 }, { 1, 2 } },
	  "1/10:1 2/20:1 " },
	{ "an unknown FID in a summary, twice: told once",
	  { { 0 } },
	  { { 1, 7, 0, 0, { 0 }, 132 }, { 1, 7, 0, 0, { 0 }, 132 } },
	  "" },
	{ "a FID refused in 45 and named in 44: 45 counts (D22)",
	  { { 0 } },
	  { { 0, 7, 10, 0, { 1 }, 130 }, { 1, 7 } },
	  "" },
	{ "a BID named twice gets one copy", { { 0 } }, { { 0, 1, 10, 6, { 2, 2 } } }, "1/10:2 " },
	{ "copies to two", { { 0 } }, { { 0, 1, 10, 6, { 2, 1 } } }, "1/10:2,1 " },
};

static void put(struct world *w, const struct part *p)
{
	struct fm_selector s = selector_nh(p->nh);
	uint16_t n = 0;

	while (n < 3 && p->bids[n])
		n++;
	if (p->is_summary)
		bu_summary(w, &p->fid, 1);
	else
		bu_flow(w, p->fid, p->pri, p->nh ? &s : NULL, p->bids, n);
}

static bool is_there(const struct part *p)
{
	return p->is_summary || p->fid || p->pri;
}

static void update(struct world *w, uint16_t sequence, const struct part parts[PARTS_MAX])
{
	struct fm_via via = via_ip6("2001:db8:f001::5a", HOA);

	bu_start(w, sequence, AH, 100, MN_ID);
	bu_bid(w, 1, 10, "2001:db8:f001::5a");
	bu_bid(w, 2, 20, "2001:db8:f002::5a");
	for (int i = 0; i < PARTS_MAX && is_there(&parts[i]); i++)
		put(w, &parts[i]);
	assert_int_equal(bu_send(w, &via)->ba.status, 0);
}

/* Answers come in the order of the options 45, then unknown FIDs once each. */
static bool is_answered(struct world *w, const struct part parts[PARTS_MAX])
{
	const struct fm_item *it = NULL;

	for (int i = 0; i < PARTS_MAX && is_there(&parts[i]); i++) {
		if (parts[i].is_summary)
			continue;
		it = fm_msg_next(&w->reply, FM_OPT_FLOW_ID, it);
		if (!it || it->flow_id.fid != parts[i].fid || it->flow_id.status != parts[i].status)
			return false;
	}
	for (int i = 0; i < PARTS_MAX && is_there(&parts[i]); i++) {
		bool is_told = i > 0 && parts[i - 1].is_summary && parts[i - 1].fid == parts[i].fid;

		if (!parts[i].is_summary || parts[i].status == 0 || is_told)
			continue;
		it = fm_msg_next(&w->reply, FM_OPT_FLOW_ID, it);
		if (!it || it->flow_id.fid != parts[i].fid || it->flow_id.status != 132 ||
		    it->flow_id.fid_pri != 0)
			return false;
	}
	return !fm_msg_next(&w->reply, FM_OPT_FLOW_ID,
			    it ? it : &w->reply.items[w->reply.n_items - 1]);
}

static void describe(const struct fm_binding *b, char out[256])
{
	size_t n = 0;

	out[0] = 0;
	for (struct fm_list *e = b->flows.next; e != &b->flows; e = e->next) {
		const struct fm_flow *f = FM_ENTRY(e, struct fm_flow, list);

		n += (size_t)snprintf(out + n, 256 - n, "%u/%u:", f->fid, f->priority);
		for (uint8_t i = 0; i < f->to.n; i++)
			n += (size_t)snprintf(out + n, 256 - n, "%s%u", i ? "," : "",
					      f->to.bids[i]);
		n += (size_t)snprintf(out + n, 256 - n, " ");
	}
}

static struct world *start(void)
{
	struct fm_ha_subscriber_conf s = world_subscriber(MN_ID);
	struct world *w = world_new(7);

	world_start(w);
	assert_int_equal(fm_ha_subscriber_add(w->ha, &s), 0);
	return w;
}

static void each_update_leaves_what_it_should(void **state)
{
	char after[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *w = start();

		update(w, 1, rows[i].before);
		update(w, 2, rows[i].update);
		describe(world_subscriber_of(w, MN_ID)->binding, after);
		if (strcmp(after, rows[i].after) != 0 || !is_answered(w, rows[i].update)) {
			print_error("%s: left \"%s\"\n", rows[i].name, after);
			fail();
		}
		world_end(w);
	}
}

/* Two selectors in one option, and formats that need more than fm_selector has. */
static void an_option_with_two_selectors_is_malformed(void **state)
{
	struct world *w = start();
	struct fm_via via = via_ip6("2001:db8:f001::5a", HOA);
	struct fm_selector s = selector_nh(6);
	uint16_t bid = 1;

	(void)state;
	bu_start(w, 1, AH, 100, MN_ID);
	bu_bid(w, 1, 10, "2001:db8:f001::5a");
	bu_flow(w, 1, 1, &s, &bid, 1);
	struct fm_item *twin = fm_msg_add_sub(&w->bu, FM_SUB_TRAFFIC_SELECTOR);
	twin->selector.format = 1;
	twin->selector.octets = (struct fm_octets){ (const uint8_t *)"\0\0\0\0", 4 };
	assert_int_equal(bu_send(w, &via)->ba.status, 0);
	assert_int_equal(fm_msg_next(&w->reply, FM_OPT_FLOW_ID, NULL)->flow_id.status, 130);
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_update_leaves_what_it_should),
		cmocka_unit_test(an_option_with_two_selectors_is_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
