/*
 * A binary heap of events that grows as needed.
 */
#include "sim/queue.h"

#include <stdlib.h>

static bool is_before(const struct fm_sim_event *a, const struct fm_sim_event *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static bool grow(struct fm_sim_queue *q)
{
	size_t room = q->room ? 2 * q->room : 1024;
	struct fm_sim_event *heap = reallocarray(q->heap, room, sizeof(*heap));

	if (!heap)
		return false;
	q->heap = heap;
	q->room = room;
	return true;
}

bool fm_sim_queue_put(struct fm_sim_queue *q, const struct fm_sim_event *e)
{
	size_t at = q->n;
	struct fm_sim_event in = *e;

	if (q->n == q->room && !grow(q))
		return false;
	in.order = q->order++;
	q->n++;
	while (at > 0 && is_before(&in, &q->heap[(at - 1) / 2])) {
		q->heap[at] = q->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	q->heap[at] = in;
	return true;
}

bool fm_sim_queue_take(struct fm_sim_queue *q, struct fm_sim_event *out)
{
	struct fm_sim_event last;
	size_t at = 0, child;

	if (q->n == 0)
		return false;
	*out = q->heap[0];
	last = q->heap[--q->n];
	while ((child = 2 * at + 1) < q->n) {
		if (child + 1 < q->n && is_before(&q->heap[child + 1], &q->heap[child]))
			child++;
		if (!is_before(&q->heap[child], &last))
			break;
		q->heap[at] = q->heap[child];
		at = child;
	}
	if (q->n > 0)
		q->heap[at] = last;
	return true;
}
