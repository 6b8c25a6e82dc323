/*
 * Records that outlive a restart (fm_ops.save), in one LMDB file. Puts are gathered; a commit makes
 * them durable together. A file that cannot be read is put aside, a disk that fails does not stop
 * the daemon.
 */
#ifndef FM_STORE_STORE_H
#define FM_STORE_STORE_H

#include "core/world.h"

struct fm_store;

enum fm_store_trouble {
	FM_STORE_PUT_ASIDE,  /* the file was unreadable; @text: where it is now */
	FM_STORE_BAD_RECORD, /* a record failed its check sum and is left out */
	FM_STORE_FAILING,    /* a commit failed; everything is kept in memory and tried again */
	FM_STORE_RECOVERED,  /* a commit worked after that */
};

/**
 * struct fm_store_setup
 * @dir:      made (0700) where it is not there; file store.mdb (0600) in it
 * @map_bytes: upper bound of the file; 0: 1 GiB
 * @trouble:  told with a text for people; may be NULL
 */
struct fm_store_setup {
	const char *dir;
	size_t map_bytes;
	void (*trouble)(void *ctx, enum fm_store_trouble what, const char *text);
	void *ctx;
};

/* Return: 0; -EBUSY another daemon has it; or -errno: even an empty store cannot be made there. */
int fm_store_open(const struct fm_store_setup *setup, struct fm_store **out);
void fm_store_close(struct fm_store *s); /* commits first */

/* Gathers a record; NULL value deletes. Return: 0; -ENOMEM; -EINVAL key longer than 500 octets. */
int fm_store_put(struct fm_store *s, enum fm_record_kind kind, const struct fm_octets *key,
		 const struct fm_octets *value);

/* True when something waits for fm_store_commit(). */
bool fm_store_pending(const struct fm_store *s);

/**
 * fm_store_commit() - make what was gathered durable
 * Return: 0: it survives a power loss; or -errno: it is kept, and the next commit tries it again.
 */
int fm_store_commit(struct fm_store *s);

/* Calls @each for every record on disk of @kind, at start. Return: 0 or -errno. */
int fm_store_each(struct fm_store *s, enum fm_record_kind kind,
		  void (*each)(void *ctx, const struct fm_octets *key,
			       const struct fm_octets *value),
		  void *ctx);

#endif
