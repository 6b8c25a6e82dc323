/*
 * What goes wrong, or is asked for: one row a fault.
 */
#include "sim/world.h"

#include <string.h>

#define OUT_OF_SYNC 7u /* RFC 5846 §5.1 */

static uint8_t any_access(struct fm_sim_host *h)
{
	return (uint8_t)fm_sim_below(h->sim, FM_SIM_ACCESSES);
}

/* Netlink tells the daemon of it, if there is one. */
static void tell(struct fm_sim_host *h, uint8_t access)
{
	struct fm_host_facts facts;

	fm_sim_facts(h, access, &facts);
	if (h->is_running)
		fm_host_access(&h->host, access, &facts, h->sim->now_us);
}

static void flip_link(struct fm_sim_host *h)
{
	uint8_t i = any_access(h);

	h->accesses[i].is_up = !h->accesses[i].is_up;
	tell(h, i);
}

static void flip_cut(struct fm_sim_host *h)
{
	uint8_t i = any_access(h);

	h->accesses[i].is_cut = !h->accesses[i].is_cut;
}

static void renumber(struct fm_sim_host *h)
{
	uint8_t i = any_access(h);

	h->accesses[i].generation++;
	tell(h, i);
}

static void rebind_nat(struct fm_sim_host *h)
{
	for (uint8_t i = 0; i < FM_SIM_ACCESSES; i++) {
		if (h->accesses[i].nat_port != 0)
			h->accesses[i].nat_port = (uint16_t)(1024 + fm_sim_below(h->sim, 60000));
	}
}

static void change_delay(struct fm_sim_host *h)
{
	h->accesses[any_access(h)].delay_us = (uint32_t)(1000 + fm_sim_below(h->sim, 200000));
}

/* kill -9, and started again by its supervisor. */
static void kill_host(struct fm_sim_host *h)
{
	fm_sim_host_boot(h);
}

/* A new machine with the old key: nothing is known of before. */
static void forget_host(struct fm_sim_host *h)
{
	uint8_t key[1 + FM_NAI_MAX] = { FM_RECORD_HOST };

	memcpy(key + 1, h->conf.mn_id, h->conf.mn_id_len);
	fm_sim_table_put(&h->sim->store, key, 1u + h->conf.mn_id_len, NULL, 0);
	memset(h->uses, 0, sizeof(h->uses));
	fm_sim_host_boot(h);
}

static void leave(struct fm_sim_host *h)
{
	memset(h->uses, 0, sizeof(h->uses)); /* an order, too: all leases end */
	if (h->is_running && !fm_host_is_down(&h->host))
		fm_host_down(&h->host, h->sim->now_us);
	else
		fm_sim_host_boot(h);
}

/* Of all hosts; so it comes as often as one of its many hosts has its turn. */
static void kill_anchor(struct fm_sim_host *h)
{
	if (fm_sim_below(h->sim, h->sim->conf.n_hosts) == 0)
		fm_sim_anchor_boot(h->sim);
}

static struct fm_tuple any_flow(struct fm_sim_host *h)
{
	struct fm_tuple t = { .ip_proto = 17,
			      .remote_port = 443,
			      .local_port =
				      (uint16_t)(40000 + fm_sim_below(h->sim, FM_SIM_FLOWS)) };

	for (unsigned i = 0; i < FM_LEASES_MAX && fm_ip_is_none(&t.local); i++)
		t.local = h->host.leases[i].address;
	t.remote = fm_sim_anchor();
	return t;
}

static void move_flow(struct fm_sim_host *h)
{
	struct fm_tuple t = any_flow(h);
	uint64_t until_us = h->sim->now_us + fm_sim_below(h->sim, 600) * FM_SIM_SECOND_US;

	fm_host_move(&h->host, &t, any_access(h), until_us, h->sim->now_us);
}

static void end_flow(struct fm_sim_host *h)
{
	struct fm_tuple t = any_flow(h);

	fm_host_flow_ended(&h->host, &t, h->sim->now_us);
}

/* The anchor's operator moves a flow, or deletes its binding (RFC 7109). */
static void ask_flow(struct fm_sim_host *h)
{
	struct fm_sim *s = h->sim;
	struct fm_binding *b = fm_binding_find(s->ha, &h->host.hoa);
	bool is_delete = fm_sim_below(s, 3) == 0;

	if (b)
		fm_ha_flow_ask(s->ha, b, (uint16_t)(1 + fm_sim_below(s, FM_SIM_FLOWS)),
			       is_delete ? 0 : (uint16_t)(1 + any_access(h)), s->now_us);
}

/* The anchor believes to be out of step and takes a care-of address off (RFC 5846). */
static void revoke(struct fm_sim_host *h)
{
	struct fm_sim *s = h->sim;
	struct fm_binding *b = fm_binding_find(s->ha, &h->host.hoa);

	if (b)
		fm_ha_revoke(s->ha, b, (uint16_t)(1 + any_access(h)), OUT_OF_SYNC, s->now_us);
}

/* clang-format off */
const char *const fm_sim_faults[] = {
	"link", "cut", "renumber", "nat-rebind", "delay", "kill-host", "forget-host", "leave", "kill-anchor",
	"move", "end-flow", "ask-flow", "revoke", "lease", NULL,
};

static const struct {
	void (*act)(struct fm_sim_host *h);
	uint8_t weight;
} rows[] = {
	{ flip_link, 8 }, { flip_cut, 8 }, { renumber, 5 }, { rebind_nat, 2 }, { change_delay, 2 },
	{ kill_host, 3 }, { forget_host, 1 }, { leave, 1 }, { kill_anchor, 3 }, { move_flow, 12 },
	{ end_flow, 4 }, { ask_flow, 4 }, { revoke, 2 },
	{ fm_sim_programs_act, 25 },
};
/* clang-format on */

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

int fm_sim_fault_find(const char *name)
{
	for (int i = 0; fm_sim_faults[i]; i++) {
		if (strcmp(fm_sim_faults[i], name) == 0)
			return i;
	}
	return -1;
}

void fm_sim_fault(struct fm_sim_host *h)
{
	uint64_t total = 0, at;
	unsigned i = 0;

	for (unsigned k = 0; k < N_ROWS; k++)
		total += h->sim->conf.faults & 1u << k ? rows[k].weight : 0;
	if (total == 0)
		return;
	at = fm_sim_below(h->sim, total);
	for (;; i++) {
		uint64_t weight = h->sim->conf.faults & 1u << i ? rows[i].weight : 0;

		if (at < weight)
			break;
		at -= weight;
	}
	h->sim->result->n_faults++;
	rows[i].act(h);
}

/* Everything works again. */
void fm_sim_calm(struct fm_sim_host *h)
{
	for (uint8_t i = 0; i < FM_SIM_ACCESSES; i++) {
		bool was_up = h->accesses[i].is_up;

		h->accesses[i].is_up = true;
		h->accesses[i].is_cut = false;
		if (!was_up)
			tell(h, i);
	}
	if (!h->is_running || fm_host_is_down(&h->host) || h->host.reg.state == FM_REG_LEAVING)
		fm_sim_host_boot(h);
}
