/*
 * Capture files: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng).
 * Both are walked over memory, so that the fuzzer sees what the command sees.
 */
#include "cli/pcap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PCAP_HEADER 24u
#define PCAP_RECORD 16u
#define MAGIC_US 0xa1b2c3d4u
#define MAGIC_NS 0xa1b23c4du

#define BLOCK_SECTION 0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_PACKET 2u /* obsolete, but there are files with it */
#define BLOCK_SIMPLE 3u
#define BLOCK_ENHANCED 6u
#define MAGIC_SECTION 0x1a2b3c4du
#define INTERFACES_MAX 256u

struct capture {
	const uint8_t *at, *end;
	bool is_little_endian;
	fm_pcap_visitor visit;
	void *context;
	size_t number;
	size_t n_interfaces; /* of this section, with their link types and snapshot lengths */
	uint16_t linktypes[INTERFACES_MAX];
	uint32_t snaplens[INTERFACES_MAX];
};

static uint32_t u32(const struct capture *c, const uint8_t *p)
{
	if (c->is_little_endian)
		return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint16_t u16(const struct capture *c, const uint8_t *p)
{
	return (uint16_t)(c->is_little_endian ? p[0] | p[1] << 8 : p[0] << 8 | p[1]);
}

static size_t left(const struct capture *c)
{
	return (size_t)(c->end - c->at);
}

static void visit_packet(struct capture *c, uint32_t linktype, const uint8_t *packet, size_t len)
{
	c->number++;
	c->visit(c->context, c->number, linktype, packet, len);
}

static const char *walk_pcap(struct capture *c)
{
	uint32_t linktype =
		u32(c, c->at + 20) & 0xffff; /* above: length of a frame check sequence */

	for (c->at += PCAP_HEADER; left(c) > 0; c->at += PCAP_RECORD + u32(c, c->at + 8)) {
		if (left(c) < PCAP_RECORD || left(c) - PCAP_RECORD < u32(c, c->at + 8))
			return "the last packet is cut off";
		visit_packet(c, linktype, c->at + PCAP_RECORD, u32(c, c->at + 8));
	}
	return NULL;
}

static const char *add_interface(struct capture *c, const uint8_t *block, size_t len)
{
	if (len < 20)
		return "an interface block is too short";
	if (c->n_interfaces == INTERFACES_MAX)
		return "more than 256 interfaces";
	c->linktypes[c->n_interfaces] = u16(c, block + 8);
	c->snaplens[c->n_interfaces++] = u32(c, block + 12);
	return NULL;
}

/* Enhanced and obsolete packet blocks lay out length and data alike. */
static const char *visit_block(struct capture *c, const uint8_t *block, size_t len,
			       bool is_enhanced)
{
	if (len < 32)
		return "a packet block is too short";
	uint32_t interface = is_enhanced ? u32(c, block + 8) : u16(c, block + 8);
	uint32_t caplen = u32(c, block + 20);
	if (interface >= c->n_interfaces)
		return "a packet of an interface that was not described";
	if (caplen > len - 32)
		return "a packet is longer than its block";
	visit_packet(c, c->linktypes[interface], block + 28, caplen);
	return NULL;
}

static const char *visit_simple(struct capture *c, const uint8_t *block, size_t len)
{
	if (len < 16 || c->n_interfaces == 0)
		return "a simple packet block without length or interface";
	uint32_t caplen = u32(c, block + 8);
	if (c->snaplens[0] > 0 && caplen > c->snaplens[0])
		caplen = c->snaplens[0];
	if (caplen > len - 16)
		return "a packet is longer than its block";
	visit_packet(c, c->linktypes[0], block + 12, caplen);
	return NULL;
}

static const char *walk_block(struct capture *c, uint32_t type, const uint8_t *block, size_t len)
{
	switch (type) {
	case BLOCK_SECTION:
		c->n_interfaces = 0;
		return NULL;
	case BLOCK_INTERFACE:
		return add_interface(c, block, len);
	case BLOCK_ENHANCED:
	case BLOCK_PACKET:
		return visit_block(c, block, len, type == BLOCK_ENHANCED);
	case BLOCK_SIMPLE:
		return visit_simple(c, block, len);
	default:
		return NULL; /* statistics, names: nothing for us */
	}
}

/* A section says its byte order itself, before its length can be read. */
static bool read_order(struct capture *c)
{
	if (u32(c, c->at) != BLOCK_SECTION)
		return true;
	c->is_little_endian = false;
	if (u32(c, c->at + 8) == MAGIC_SECTION)
		return true;
	c->is_little_endian = true;
	return u32(c, c->at + 8) == MAGIC_SECTION;
}

static const char *walk_pcapng(struct capture *c)
{
	const char *error = NULL;

	while (!error && left(c) > 0) {
		if (left(c) < 12 || !read_order(c))
			return "a block is cut off";
		uint32_t len = u32(c, c->at + 4);
		if (len < 12 || len % 4 != 0 || len > left(c))
			return "a block is cut off";
		error = walk_block(c, u32(c, c->at), c->at, len);
		c->at += len;
	}
	return error;
}

const char *fm_pcap_walk(const uint8_t *file, size_t len, fm_pcap_visitor visit, void *context)
{
	struct capture c = { .at = file, .end = file + len, .visit = visit, .context = context };

	if (len < PCAP_HEADER)
		return "neither pcap nor pcapng";
	if (u32(&c, file) == BLOCK_SECTION) /* reads the same in both orders */
		return walk_pcapng(&c);
	for (int order = 0; order < 2; order++) {
		c.is_little_endian = order == 1;
		if (u32(&c, file) == MAGIC_US || u32(&c, file) == MAGIC_NS)
			return walk_pcap(&c);
	}
	return "neither pcap nor pcapng";
}

const char *fm_pcap_read(const char *path, fm_pcap_visitor visit, void *context)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		const char *error = strerror(errno);
		if (fd >= 0)
			close(fd);
		return error;
	}
	size_t len = S_ISREG(st.st_mode) ? (size_t)st.st_size : 0;
	void *file = len > 0 ? mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
	close(fd);
	if (file == MAP_FAILED)
		return len > 0 ? strerror(errno) : "not a file with something in it";
	const char *error = fm_pcap_walk(file, len, visit, context);
	munmap(file, len);
	return error;
}
