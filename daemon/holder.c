/*
 * An address that nothing uses: idle, then away, then the core's to give back.
 */
#include "daemon/holder.h"

#define LOOK_FIRST_US 1000000u

void fm_holder_take(struct fm_holder *h)
{
	*h = (struct fm_holder){ .state = FM_HOLDER_HELD };
}

static void go(struct fm_holder *h, enum fm_holder_state state, uint64_t now_us)
{
	*h = (struct fm_holder){ .state = state, .since_us = now_us };
}

/* A look costs a walk over the kernel's sockets: the longer they stay, the rarer. */
static bool is_used(struct fm_holder *h, const struct fm_holder_ops *ops, void *ctx,
		    uint64_t now_us)
{
	if (ops->is_counted(ctx)) {
		h->pause_us = h->look_us = 0;
		return true;
	}
	if (now_us < h->look_us)
		return true;
	if (!ops->is_found(ctx))
		return false;
	h->pause_us = h->pause_us ? 2 * h->pause_us : LOOK_FIRST_US;
	if (h->pause_us > FM_HOLDER_LOOK_MAX_US)
		h->pause_us = FM_HOLDER_LOOK_MAX_US;
	h->look_us = now_us + h->pause_us;
	return true;
}

static void step_held(struct fm_holder *h, const struct fm_holder_ops *ops, void *ctx, bool is_kept,
		      uint64_t now_us)
{
	if (is_kept || is_used(h, ops, ctx, now_us))
		return;
	ops->hold(ctx, false);
	go(h, FM_HOLDER_IDLE, now_us);
}

static void use_again(struct fm_holder *h, const struct fm_holder_ops *ops, void *ctx)
{
	ops->hold(ctx, true);
	fm_holder_take(h);
}

static void step_idle(struct fm_holder *h, const struct fm_holder_ops *ops, void *ctx, bool is_kept,
		      uint64_t now_us)
{
	if (is_kept || ops->is_counted(ctx)) {
		use_again(h, ops, ctx);
		return;
	}
	if (now_us < h->since_us + FM_HOLDER_AWAY_AFTER_US)
		return;
	ops->offer(ctx, false);
	if (ops->is_counted(ctx) || ops->is_found(ctx)) {
		use_again(h, ops, ctx);
		ops->offer(ctx, true);
		return;
	}
	go(h, FM_HOLDER_AWAY, now_us);
}

static void step_away(struct fm_holder *h, const struct fm_holder_ops *ops, void *ctx, bool is_kept,
		      uint64_t now_us)
{
	if (!is_kept && !ops->is_counted(ctx) && now_us < h->since_us + FM_HOLDER_BACK_AFTER_US)
		return;
	use_again(h, ops, ctx);
	ops->offer(ctx, true);
}

void fm_holder_step(struct fm_holder *h, const struct fm_holder_ops *ops, void *ctx, bool is_kept,
		    uint64_t now_us)
{
	switch (h->state) {
	case FM_HOLDER_HELD:
		step_held(h, ops, ctx, is_kept, now_us);
		return;
	case FM_HOLDER_IDLE:
		step_idle(h, ops, ctx, is_kept, now_us);
		return;
	case FM_HOLDER_AWAY:
		step_away(h, ops, ctx, is_kept, now_us);
		return;
	}
}
