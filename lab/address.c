/*
 * The address plan: arithmetic on documentation prefixes.
 */
#include "lab/address.h"

#include <stdarg.h>
#include <stdio.h>

static struct fm_lab_text text(const char *format, ...) __attribute__((format(printf, 1, 2)));
static struct fm_lab_text text(const char *format, ...)
{
	struct fm_lab_text t;
	va_list args;

	va_start(args, format);
	vsnprintf(t.s, sizeof(t.s), format, args);
	va_end(args);
	return t;
}

struct fm_lab_text fm_address_prefix6(int access, int generation)
{
	return text("2001:db8:f%x00:%x::/64", access, generation & 0xffff);
}

struct fm_lab_text fm_address_host6(int access, int generation, int host)
{
	return text("2001:db8:f%x00:%x::%x", access, generation & 0xffff, 0x10 + host);
}

struct fm_lab_text fm_address_home6(int generation, int host)
{
	return text("2001:db8:a::%x:%x", generation & 0xffff, 0x10 + host);
}

struct fm_lab_text fm_address_router6(int access, int generation)
{
	return text("2001:db8:f%x00:%x::1", access, generation & 0xffff);
}

static const char *net4(int generation)
{
	return generation % 2 ? "203.0.113" : "192.0.2";
}

struct fm_lab_text fm_address_prefix4(int access, int generation)
{
	return text("%s.%d/28", net4(generation), 128 + 16 * access);
}

struct fm_lab_text fm_address_host4(int access, int generation, int host)
{
	return text("%s.%d", net4(generation), 128 + 16 * access + 2 + host);
}

struct fm_lab_text fm_address_router4(int access, int generation)
{
	return text("%s.%d", net4(generation), 128 + 16 * access + 1);
}

struct fm_lab_text fm_address_outer4(int access, int rebinds, int host)
{
	return text("%s.%d", net4(rebinds + 1), 64 + 8 * access + host);
}

struct fm_lab_text fm_address_outer_prefix4(int access, int rebinds)
{
	return text("%s.%d/29", net4(rebinds + 1), 64 + 8 * access);
}

struct fm_lab_text fm_address_middle4(int access, int host)
{
	return text("198.51.100.%d", 192 + 8 * access + host);
}

struct fm_lab_text fm_address_middle_prefix4(int access)
{
	return text("198.51.100.%d/29", 192 + 8 * access);
}
