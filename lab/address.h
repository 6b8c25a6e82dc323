/*
 * The address plan of every world: documentation prefixes only.
 *   peer      2001:db8:ffff::1, 203.0.113.1     anchor  2001:db8:a::1, 192.0.2.1
 *   anchor2   2001:db8:b::1, 192.0.2.5          homes   2001:db8:100::/40, 198.51.100.0/25
 *   access i  2001:db8:fi00:GENERATION::/64, and 192.0.2.128 + 16 i or 203.0.113.128 + 16 i, /28
 *   NATs      203.0.113.64/26 and, after a rebind, 192.0.2.64/26; between two: 198.51.100.192/26
 * A generation is one numbering of an access: `renumber` starts the next.
 */
#ifndef FM_LAB_ADDRESS_H
#define FM_LAB_ADDRESS_H

#define FM_LAB_PEER6 "2001:db8:ffff::1"
#define FM_LAB_PEER4 "203.0.113.1"

/* Text of an address or prefix, by value so that several fit into one printf. */
struct fm_lab_text {
	char s[64];
};

struct fm_lab_text fm_address_prefix6(int access, int generation);	   /* …::/64 */
struct fm_lab_text fm_address_host6(int access, int generation, int host); /* no length */
struct fm_lab_text fm_address_router6(int access, int generation);
struct fm_lab_text fm_address_prefix4(int access, int generation); /* …/28 */
struct fm_lab_text fm_address_host4(int access, int generation, int host);
struct fm_lab_text fm_address_router4(int access, int generation);

/* Where a host behind a NAT is seen; @rebinds alternates between two ranges. */
struct fm_lab_text fm_address_outer4(int access, int rebinds, int host);
struct fm_lab_text fm_address_outer_prefix4(int access, int rebinds); /* …/29 */
/* Between the two NATs of a double one. */
struct fm_lab_text fm_address_middle4(int access, int host);
struct fm_lab_text fm_address_middle_prefix4(int access); /* …/29 */

/* On the home link, in the anchor's own prefix 2001:db8:a::/64. */
struct fm_lab_text fm_address_home6(int generation, int host);

#define FM_LAB_HOME6 "2001:db8:a::/64"
#define FM_LAB_ANCHOR_ADDRESS6(n) ((n) == 0 ? "2001:db8:a::1" : "2001:db8:b::1")
#define FM_LAB_ANCHOR_ADDRESS4(n) ((n) == 0 ? "192.0.2.1" : "192.0.2.5")
#define FM_LAB_ANCHOR_GATEWAY4(n) ((n) == 0 ? "192.0.2.2" : "192.0.2.6")
#define FM_LAB_POOL6(n) ((n) == 0 ? "2001:db8:100::/40" : "2001:db8:200::/40")
#define FM_LAB_POOL4(n) ((n) == 0 ? "198.51.100.0/25" : "198.51.100.128/26")

#endif
