/* SPDX-License-Identifier: BSD-3-Clause */
/* Slots of $var outside a load: $var(a) has the first, $var(z) the last. The linker puts this in
 * the place of the loader's own. */
#include "route/variable.h"

int __wrap_route_var_slot(struct str name);

int __wrap_route_var_slot(struct str name)
{
	return name.len != 0 && name.s[0] >= 'a' && name.s[0] <= 'z' ? name.s[0] - 'a' : -1;
}
