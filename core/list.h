/*
 * Intrusive doubly linked lists: a ring with a head. No memory of their own.
 */
#ifndef FM_CORE_LIST_H
#define FM_CORE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct fm_list {
	struct fm_list *next, *prev;
};

/* The struct of type @type whose member @m is @ptr. */
#define FM_ENTRY(ptr, type, m) ((type *)(void *)((char *)(ptr)-offsetof(type, m)))

static inline void fm_list_init(struct fm_list *head)
{
	head->next = head->prev = head;
}

static inline bool fm_list_is_empty(const struct fm_list *head)
{
	return head->next == head;
}

/* Puts @e behind @after; with the head's prev: at the end. */
static inline void fm_list_add(struct fm_list *after, struct fm_list *e)
{
	e->prev = after;
	e->next = after->next;
	after->next->prev = e;
	after->next = e;
}

static inline void fm_list_add_last(struct fm_list *head, struct fm_list *e)
{
	fm_list_add(head->prev, e);
}

/* Harmless on an entry that fm_list_init() made and that is in no list. */
static inline void fm_list_remove(struct fm_list *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	fm_list_init(e);
}

#endif
