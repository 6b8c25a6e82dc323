/*
 * Uplink queues of an access, so that packets wait here, where a call's can overtake a backup's,
 * and not in a modem that knows no difference: CAKE where the kernel has it, which tells them by
 * their code point; else HTB of three classes. Then the data path says the class of each packet by
 * its priority (skb->priority); what does not pass it is of the middle one.
 */
#ifndef FM_NET_SHAPE_H
#define FM_NET_SHAPE_H

#include "net/netlink.h"

/*
 * Classes of the root qdisc FM_SHAPE_MAJOR:0, known to the programs of datapath/ too. Where there
 * is no HTB, the kernel's own queue reads the low four bits as a priority: these mean there what
 * they mean here.
 */
#define FM_SHAPE_MAJOR 0xf10bu
#define FM_SHAPE_CAKE 0xf10cu  /* of CAKE: to it the numbers below would mean something else */
#define FM_SHAPE_URGENT 0x06u  /* what cannot wait */
#define FM_SHAPE_PLAIN 0x10u   /* all that says nothing */
#define FM_SHAPE_PATIENT 0x02u /* what may wait */

/**
 * fm_shape_put() - queues before everything that leaves by this interface
 * @bps: what the access carries, with the headers of its link
 * A qdisc that somebody else put there stays. Return: 0; -EEXIST: there is such a one; -errno.
 */
int fm_shape_put(struct fm_netlink *n, uint32_t ifindex, uint64_t bps);

/* Takes ours away, if it is there: 0 then too. */
int fm_shape_drop(struct fm_netlink *n, uint32_t ifindex);

#endif
