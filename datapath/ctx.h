/*
 * Kernel side only: what keeps clang from rearranging accesses that the verifier, or another CPU,
 * must see as they are written; and what all programs make their maps by.
 */
#ifndef FM_DATAPATH_CTX_H
#define FM_DATAPATH_CTX_H

/* clang 14 joins constant stores to neighbours in ctx: refused at load. */
#define FM_CTX_SET(field, value) (*(volatile __typeof__(field) *)&(field) = (value))
#define FM_READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))

/* An array that begins with a page: user space may map it, values of 64 octets are cache lines. */
#define FM_PAGE_MAP(map, value_type, entries)                                                      \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(map_flags, BPF_F_MMAPABLE);                                                 \
		__uint(max_entries, entries);                                                      \
		__type(key, __u32);                                                                \
		__type(value, value_type);                                                         \
	} map SEC(".maps")

#ifndef AF_INET
#define AF_INET 2
#define AF_INET6 10
#endif

#endif
