/*
 * What both roles show in the same way.
 */
#include "daemon/show.h"

#include "daemon/conf_value.h"

json_t *fm_show_ip(const struct fm_ip *ip)
{
	char text[FM_ADDRESS_TEXT_MAX];

	return fm_ip_is_none(ip) ? json_null() : json_string(fm_address_text(ip, text));
}

json_t *fm_show_ms(uint64_t us)
{
	return us == 0 ? json_null() : json_real((double)us / 1000);
}

static void add(json_t *counters, const char *name, uint64_t n)
{
	json_object_set_new(counters, name, json_integer((json_int_t)n));
}

void fm_show_common_counters(json_t *counters, const struct fm_signal *signal,
			     const struct fm_slow *slow)
{
	for (int i = 0; i < FM_SIGNAL_COUNTER_COUNT; i++)
		add(counters, fm_signal_counter_names[i], signal->count[i]);
	add(counters, "held-now", slow->hold.packets);
	add(counters, "held-dropped-full", slow->hold.dropped_full);
	add(counters, "held-dropped-share", slow->hold.dropped_share);
	add(counters, "held-dropped-old", slow->hold.dropped_old);
	add(counters, "held-back", slow->held_back);
	add(counters, "held-released", slow->released);
	add(counters, "slow-fragmented", slow->fragmented);
	add(counters, "slow-reassembled", slow->reassembled);
	add(counters, "slow-stray", slow->stray);
	add(counters, "slow-unreachable", slow->unreachable);
	add(counters, "slow-fallen", slow->tun->fallen);
	add(counters, "slow-injected", slow->tun->injected);
}

void fm_show_dp_counter(void *ctx, const char *name, bool is_drop, uint64_t packets, uint64_t bytes)
{
	(void)is_drop, (void)bytes;
	add(ctx, name, packets);
}
