/*
 * Kernel side only: what keeps clang from rearranging accesses that the verifier, or another CPU,
 * must see as they are written.
 */
#ifndef FM_DATAPATH_CTX_H
#define FM_DATAPATH_CTX_H

/* clang 14 joins constant stores to neighbours in ctx: refused at load. */
#define FM_CTX_SET(field, value) (*(volatile __typeof__(field) *)&(field) = (value))
#define FM_READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))

#ifndef AF_INET
#define AF_INET 2
#define AF_INET6 10
#endif

#endif
