/*
 * A mobility message as a struct: what decode fills and encode reads.
 * Form only (RFC 6275 §6); what a value means is for core/ to judge.
 */
#ifndef FM_WIRE_MSG_H
#define FM_WIRE_MSG_H

#include <stddef.h>
#include <stdint.h>

#include "wire/addr.h"

#define FM_MH_MAX 2048u	   /* octets of one Mobility Header: 8 x (255 + 1), RFC 6275 §6.1.1 */
#define FM_ITEMS_MAX 1024u /* each item takes two octets at least, so a header cannot hold more */

/* MH Types, RFC 6275 §6.1 and later; the digest's table 1.2. */
enum fm_mh_type {
	FM_MH_BRR = 0,
	FM_MH_HOTI = 1,
	FM_MH_COTI = 2,
	FM_MH_HOT = 3,
	FM_MH_COT = 4,
	FM_MH_BU = 5,
	FM_MH_BA = 6,
	FM_MH_BE = 7,
	FM_MH_FBU = 8,
	FM_MH_FBACK = 9,
	FM_MH_HAS = 12,
	FM_MH_HEARTBEAT = 13,
	FM_MH_HI = 14,
	FM_MH_HACK = 15,
	FM_MH_REVOCATION = 16,
	FM_MH_LRI = 17,
	FM_MH_LRA = 18,
	FM_MH_UPN = 19,
	FM_MH_UPA = 20,
	FM_MH_FLOW_BINDING = 21,
	FM_MH_SQ = 22,
	FM_MH_SR = 23,
};

/* Binding Update flags, RFC 6275 §6.1.7 and later. */
enum fm_bu_flag {
	FM_BU_A = 0x8000,
	FM_BU_H = 0x4000,
	FM_BU_L = 0x2000,
	FM_BU_K = 0x1000,
	FM_BU_M = 0x0800,
	FM_BU_R = 0x0400, /* RFC 3963 §4.1 */
	FM_BU_P = 0x0200, /* RFC 5213 §8.1 */
	FM_BU_F = 0x0100, /* RFC 5555 §3.1.3 */
	FM_BU_T = 0x0080, /* RFC 5845 §6.2 */
	FM_BU_O = 0x0040, /* RFC 5648 §4.2; with P it is B, RFC 6602 §4.1 */
	FM_BU_S = 0x0020, /* RFC 7161 §9 */
	FM_BU_D = 0x0010, /* RFC 8885 §4.1 */
};

enum fm_ba_flag {
	FM_BA_K = 0x80,
	FM_BA_R = 0x40,
	FM_BA_P = 0x20,
	FM_BA_T = 0x10,
	FM_BA_B = 0x08,
	FM_BA_S = 0x04,
	FM_BA_D = 0x02,
};

/* Mobility options that core/ uses; all numbers stand in the table of option.c. */
enum fm_option_type {
	FM_OPT_PAD1 = 0,
	FM_OPT_PADN = 1,
	FM_OPT_REFRESH_ADVICE = 2,
	FM_OPT_ALTERNATE_COA = 3,
	FM_OPT_NONCE_INDICES = 4,
	FM_OPT_AUTHORIZATION = 5,
	FM_OPT_MNP = 6,
	FM_OPT_LINK_LAYER = 7,
	FM_OPT_MN_ID = 8,
	FM_OPT_AUTH = 9,
	FM_OPT_REPLAY = 10,
	FM_OPT_VENDOR = 19,
	FM_OPT_HNP = 22,
	FM_OPT_IPV4_HOA = 29,
	FM_OPT_IPV4_ACK = 30,
	FM_OPT_NAT_DETECTION = 31,
	FM_OPT_IPV4_COA = 32,
	FM_OPT_GRE_KEY = 33,
	FM_OPT_BID = 35,
	FM_OPT_FLOW_SUMMARY = 44,
	FM_OPT_FLOW_ID = 45,
};

/* Sub-options of Flow Identification, RFC 6089 §4.2.1, RFC 7109 §6.2. */
enum fm_suboption_type {
	FM_SUB_BINDING_REFERENCE = 2,
	FM_SUB_TRAFFIC_SELECTOR = 3,
	FM_SUB_ACTION = 4,
	FM_SUB_TARGET_COA = 5,
};

/* Why a message is refused; names as `flowmob decode` prints them. */
enum fm_refusal {
	FM_REFUSE_NONE,
	FM_REFUSE_TRUNCATED,	    /* truncated */
	FM_REFUSE_CHECKSUM,	    /* bad-checksum */
	FM_REFUSE_TYPE,		    /* unknown-type */
	FM_REFUSE_NEXT_HEADER,	    /* bad-next-header */
	FM_REFUSE_TRAILING,	    /* trailing-bytes */
	FM_REFUSE_LENGTH,	    /* bad-length */
	FM_REFUSE_OPTION_TRUNCATED, /* truncated-option */
	FM_REFUSE_OPTION_LENGTH,    /* bad-option-length */
};

/* Octets that stay where they are: in the packet (decode) or in the message's scratch (encode). */
struct fm_octets {
	const uint8_t *p;
	uint16_t len;
};

/* Binding Identifier, RFC 5648 §4.3, RFC 6089 §4.1. */
struct fm_opt_bid {
	uint16_t bid;
	uint8_t status, flags /* 0x80: H */, bid_pri;
	uint8_t coa_len; /* octets of @coa on the wire: 0, 4 or 16 */
	struct fm_ip coa;
};

/* Flow Identification, RFC 6089 §4.2; its sub-options are the items of depth 1 behind it. */
struct fm_opt_flow_id {
	uint16_t fid, fid_pri;
	uint8_t status;
};

/**
 * struct fm_item - one option, or one sub-option or attribute inside the option before it
 * @type:   its number
 * @depth:  0: option; 1: sub-option, attribute or requested option of the last item of depth 0
 * @length: the length octet as sent; encode fills it
 * @at:     offset of the type octet from Payload Proto; encode fills it
 */
struct fm_item {
	uint8_t type, depth, length;
	uint16_t at;
	union {
		struct fm_octets octets; /* what the tables do not know, and 5: the whole body */
		uint16_t u16;		 /* 2: refresh_interval, 4 s */
		struct fm_ip ip;	 /* 3, 32, and others that hold one address only */
		uint64_t u64;		 /* 10: timestamp */
		struct {
			uint16_t home, care_of;
		} nonce; /* 4 */
		struct {
			uint8_t flags, prefix_length;
			struct fm_ip prefix;
		} prefix; /* 6, 22 */
		struct {
			uint8_t code;
			struct fm_octets address;
		} link_layer; /* 7 */
		struct {
			uint8_t subtype;
			struct fm_octets id;
		} mn_id; /* 8 */
		struct {
			uint8_t subtype;
			uint32_t spi;
			struct fm_octets data;
		} auth; /* 9 */
		struct {
			uint32_t vendor_id;
			uint8_t sub_type;
			struct fm_octets data; /* fm_odp_read(), fm_odp_set_read() */
		} vendor;		       /* 19; QoS attribute 11 */
		struct {
			uint8_t prefix_length; /* 6 bits */
			uint8_t flags;	       /* 29: P 0x02 */
			uint8_t status;	       /* 30 */
			struct fm_ip address;  /* v4-mapped */
		} ipv4;			       /* 29, 30 */
		struct {
			uint16_t flags; /* F 0x8000 */
			uint32_t refresh_s;
		} nat;			       /* 31 */
		struct fm_opt_bid bid;	       /* 35 */
		struct fm_octets u16_list;     /* 44: FIDs; sub 2: BIDs; fm_u16_at() */
		struct fm_opt_flow_id flow_id; /* 45 */
		struct {
			uint8_t format;
			struct fm_octets octets; /* from the flags word on; fm_selector_read() */
		} selector;			 /* sub 3; QoS attribute 10 */
		uint8_t action;			 /* sub 4 */

		uint8_t u8;   /* 23, 24; flags: 39 S 0x01, 53 M 0x80 */
		uint32_t u32; /* 28: restart counter */
		struct {
			uint8_t status, flags /* R 0x80 */;
			struct fm_octets identity;
		} dns; /* 17 */
		struct {
			uint8_t len; /* octets of @key on the wire: 0 or 4 */
			uint32_t key;
		} gre; /* 33 */
		struct {
			uint8_t code, prefix_length;
			struct fm_ip prefix;
		} coded_prefix; /* 34 */
		struct {
			uint8_t code;
			uint8_t len; /* octets of @ip on the wire: 0, 4 or 16 */
			struct fm_ip ip;
		} address; /* 41, 59; sub 5 */
		struct {
			uint16_t flags; /* K 0x8000: 16 octets; N 0x4000: 4 */
			uint8_t len;
			struct fm_ip ip;
		} redirect; /* 47 */
		struct {
			uint16_t priority;
			uint32_t sessions, max_sessions, used, capacity; /* kB/s */
		} load;							 /* 48 */
		struct {
			uint8_t sub_type;
			uint32_t id;
		} group; /* 50 */
		struct {
			uint8_t flags; /* V 0x80: 4 octets, else 16 */
			uint8_t prefix_length, len;
			struct fm_ip prefix;
		} delegated; /* 55 */
		struct {
			uint8_t code, status;
			struct fm_octets octets;
		} report; /* 56, 57, 60, 61 */
		struct {
			uint8_t sr_id, dscp, operation;
		} qos; /* 58 */
		struct {
			uint8_t if_att, if_label, bid, flags; /* B 0x80, O 0x40 */
		} multipath;				      /* 63 */
		struct {
			uint8_t prefix_length;
			struct fm_ip address, prefix;
		} maar; /* 67 */
		struct {
			uint8_t flags; /* E 0x80 */
			struct fm_octets name, access_point;
		} network; /* sub 1 of 52 */
		struct {
			int32_t latitude, longitude; /* 2^-15 degree */
		} geo;				     /* sub 2 of 52 */
		struct {
			uint16_t first, second, third;
		} intervals; /* subs of 62, RFC 8127 §3.1 */
		struct {
			uint8_t flags; /* S 0x80, E 0x40 */
			uint32_t bps;
		} rate; /* QoS attributes 1-4, 6-9 */
		struct {
			uint8_t level, capability, vulnerability;
		} retention; /* QoS attribute 5 */
	};
};

/* FM_KIND_IP of field.h: the address follows its length. */
_Static_assert(offsetof(struct fm_item, bid.coa) == offsetof(struct fm_item, bid.coa_len) + 1, "");
_Static_assert(offsetof(struct fm_item, address.ip) == offsetof(struct fm_item, address.len) + 1,
	       "");
_Static_assert(offsetof(struct fm_item, redirect.ip) == offsetof(struct fm_item, redirect.len) + 1,
	       "");
_Static_assert(offsetof(struct fm_item, delegated.prefix) ==
		       offsetof(struct fm_item, delegated.len) + 1,
	       "");

/**
 * struct fm_msg - one mobility message
 * @type:    MH Type
 * @n_items: how many of @items are there, options in the order sent (pads left out)
 * @scratch: room for octets of a message that is being built; see fm_msg_room()
 */
struct fm_msg {
	uint8_t type;
	union {
		struct {
			uint16_t sequence, flags, lifetime; /* lifetime: 4 s; FBU too */
		} bu;
		struct {
			uint8_t status, flags;
			uint16_t sequence, lifetime; /* 4 s; FBack: s */
		} ba;
		struct {
			uint8_t status;
			struct fm_ip hoa;
		} be;
		struct {
			uint8_t type; /* 1 indication, 2 acknowledgement */
			uint8_t trigger_or_status;
			uint16_t sequence, flags; /* P 8000, V 4000, G 2000 */
		} revocation;
		struct {
			uint16_t type; /* 1 indication, 2 acknowledgement */
			uint16_t sequence;
			uint8_t trigger_or_status, flags; /* A 80 */
		} flow_binding;
		struct {
			uint64_t cookie, token; /* HoTI and CoTI: no token, no index */
			uint16_t nonce_index;
		} test;
		struct {
			uint8_t count;
			struct fm_octets addresses; /* 16 octets each */
		} home_agent_switch;
		struct {
			uint16_t flags; /* U 0002, R 0001 */
			uint32_t sequence;
		} heartbeat;
		struct {
			uint16_t sequence;
			uint8_t flags; /* HI: S 80, U 40, P 20, F 10; HAck: U 80, P 40, F 20 */
			uint8_t code;
		} handover;
		struct {
			uint16_t sequence, lifetime; /* s */
			uint8_t flags, status;	     /* LRA: U 80 */
		} localized;
		struct {
			uint16_t sequence, reason, flags; /* A 8000, D 4000 */
		} notification;
		struct {
			uint16_t sequence;
			uint8_t status;
		} notification_ack;
		struct {
			uint8_t sequence, flags; /* SR: I 80 */
		} subscription;
	};
	uint16_t n_items, scratch_used;
	struct fm_item items[FM_ITEMS_MAX];
	uint8_t scratch[FM_MH_MAX];
};

/* On-Demand Prefix, digest §14.4: vendor-specific option (RFC 5094), sub-type 1. */
#define FM_ODP_SUB_TYPE 1u
#define FM_ODP_SET_SUB_TYPE 2u
#define FM_ODP_DATA_LEN 39u /* octets of vendor.data: 44 without vendor ID and sub-type */

struct fm_odp {
	uint8_t service_type, status, prefix_length;
	uint16_t pid;
	uint32_t preferred_s, valid_s;
	struct fm_ip prefix;
	uint64_t byte_limit;
};

/* Which fields a traffic selector has; one bit each in has_start and has_end. RFC 6088 §3. */
enum fm_selector_field {
	FM_SEL_SRC,
	FM_SEL_DST,
	FM_SEL_SPI,
	FM_SEL_LABEL, /* format 2 only */
	FM_SEL_SPORT,
	FM_SEL_DPORT,
	FM_SEL_TC,
	FM_SEL_PROTO,
};

/**
 * struct fm_selector - a binary traffic selector, RFC 6088
 * @format: 1 IPv4, 2 IPv6
 * @has_start, @has_end: bits 1 << enum fm_selector_field
 * [0] is the start of a range, [1] its end; numbers in host order, addresses of format 1 v4-mapped.
 */
struct fm_selector {
	uint8_t format, has_start, has_end;
	uint8_t tc[2], proto[2];
	uint16_t sport[2], dport[2];
	uint32_t spi[2], label[2];
	struct fm_ip src[2], dst[2];
};

/* What the checksum covers beside the message: the home address is already put in its place. */
struct fm_pseudo {
	const struct fm_ip *src, *dst;
};

/**
 * fm_msg_decode() - read a Mobility Header whole, or refuse it whole
 * @mh, @len:  from Payload Proto to the end of the packet; must outlive @out
 * @pseudo:    NULL: the checksum is not looked at
 * @offset:    of the refusal, from Payload Proto
 * Return: FM_REFUSE_NONE and @out filled, else the reason.
 * Source: RFC 6275 §9.2; order of the tests: vectors' FORMAT §2.
 */
enum fm_refusal fm_msg_decode(const uint8_t *mh, size_t len, const struct fm_pseudo *pseudo,
			      struct fm_msg *out, uint32_t *offset);

/**
 * fm_msg_skim() - read what fm_msg_decode() refused with FM_REFUSE_OPTION_LENGTH (digest D7)
 * Options and sub-options of a wrong length are left out, so that their sender can be told.
 * @offset: of the refusal
 * @type:   what stands there, the number of the option or sub-option at fault
 * Return: false when more is wrong than lengths.
 */
bool fm_msg_skim(const uint8_t *mh, size_t len, uint32_t offset, struct fm_msg *out, uint8_t *type);

/* Starts a message of @type: no items, fixed part zero. */
void fm_msg_init(struct fm_msg *m, uint8_t type);

/* Appends an item; NULL when the message is full. Everything but type and depth is zero. */
struct fm_item *fm_msg_add(struct fm_msg *m, uint8_t type);
struct fm_item *fm_msg_add_sub(struct fm_msg *m, uint8_t type);

/* Takes @len octets of the message's scratch; NULL when there are not so many left. */
uint8_t *fm_msg_room(struct fm_msg *m, size_t len);

/* The next option (depth 0) of @type after @after (NULL: from the first); NULL: none. */
const struct fm_item *fm_msg_next(const struct fm_msg *m, uint8_t type,
				  const struct fm_item *after);

/* The sub-option of @type of option @option; NULL: none. */
const struct fm_item *fm_msg_sub(const struct fm_msg *m, const struct fm_item *option,
				 uint8_t type);

/**
 * fm_msg_encode() - write a message with the alignment and padding of its RFCs
 * The checksum stays 0: authenticate first (core/auth.h), then fm_mh_checksum_put().
 * Return: octets written, a multiple of 8; -EMSGSIZE when @cap or the format is too small,
 * -EINVAL when the type is none of the tables, or an option's length none that its RFC allows.
 */
int fm_msg_encode(struct fm_msg *m, uint8_t *buf, size_t cap);

/* Puts the checksum of RFC 6275 §6.1.1 into a finished header. */
void fm_mh_checksum_put(uint8_t *mh, size_t len, const struct fm_ip *src, const struct fm_ip *dst);

/* Entry @i of a list of 16-bit numbers; the caller minds @list->len / 2. */
static inline uint16_t fm_u16_at(const struct fm_octets *list, uint16_t i)
{
	return (uint16_t)(list->p[2 * i] << 8 | list->p[2 * i + 1]);
}

/* Reads vendor.data of sub-type 1; false when its length is not FM_ODP_DATA_LEN. */
bool fm_odp_read(const struct fm_octets *data, struct fm_odp *out);
void fm_odp_write(const struct fm_odp *o, uint8_t out[FM_ODP_DATA_LEN]);
/* Reads vendor.data of sub-type 2 into a list for fm_u16_at(); false when its length is wrong. */
bool fm_odp_set_read(const struct fm_octets *data, struct fm_octets *pids);

/* Reads a selector from its flags word on; false: neither format 1 nor 2, or a wrong length. */
bool fm_selector_read(uint8_t format, const struct fm_octets *octets, struct fm_selector *out);
/* Writes flags word and fields, at most 96 octets; returns how many. */
size_t fm_selector_write(const struct fm_selector *s, uint8_t out[96]);

#endif
