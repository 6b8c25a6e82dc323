/*
 * Amounts on the command line: times.
 */
#include "cli/units.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool fm_units_seconds(const char *text, double *s_out)
{
	static const struct {
		const char *unit;
		double s;
	} units[] = {
		{ "", 1 },   { "s", 1 },    { "ms", 1e-3 }, { "us", 1e-6 },
		{ "m", 60 }, { "h", 3600 }, { "d", 86400 },
	};
	char *end;
	double n = strtod(text, &end);

	if (end == text || !isfinite(n) || n < 0)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(units[i].unit, end) == 0) {
			*s_out = n * units[i].s;
			return true;
		}
	}
	return false;
}
