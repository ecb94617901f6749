/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * States by hand. What was published last is kept as it was read, each destination with the state
 * that holds and the one that the list says; a change by hand is that list once more, with other
 * states. So it is a planned change as any reload is one (generation.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dispatch/internal.h"

static const char *const names[DISPATCH_STATES] = {
	[DISPATCH_ENABLED] = "enabled",
	[DISPATCH_DISABLED] = "disabled",
	[DISPATCH_DRAIN] = "drain",
};

const char *dispatch_state_name(enum dispatch_state state)
{
	return (unsigned)state < DISPATCH_STATES ? names[state] : "";
}

int dispatch_state_of(struct str name, enum dispatch_state *out)
{
	for (unsigned i = 0; i < DISPATCH_STATES; i++) {
		if (str_ieq(name, str_c(names[i]))) {
			*out = (enum dispatch_state)i;
			return 0;
		}
	}
	return -EINVAL;
}

bool dispatch_specs_copy(const struct dispatch_specs *from, struct dispatch_specs *to)
{
	*to = (struct dispatch_specs){NULL, 0};
	if (from->count == 0)
		return true;
	to->spec = malloc(from->count * sizeof(*to->spec));
	if (to->spec == NULL)
		return false;
	memcpy(to->spec, from->spec, from->count * sizeof(*to->spec));
	to->count = from->count;
	return true;
}

/* By set and URI, so that the addresses of a name share what was said of it while they change. */
static const struct dispatch_spec *find_by_hand(
	const struct dispatch_specs *listed, const struct dispatch_spec *spec)
{
	for (unsigned i = 0; i < listed->count; i++) {
		const struct dispatch_spec *old = &listed->spec[i];

		if (old->state != old->listed && old->set == spec->set &&
			old->listed == spec->listed && strcmp(old->uri, spec->uri) == 0)
			return old;
	}
	return NULL;
}

void dispatch_state_keep(const struct dispatch *d, struct dispatch_specs *specs)
{
	for (unsigned i = 0; i < specs->count; i++) {
		const struct dispatch_spec *old = find_by_hand(&d->listed, &specs->spec[i]);

		if (old != NULL)
			specs->spec[i].state = old->state;
	}
}

/* ---- a change ---- */

/* The first of them; the rest is behind it. */
static struct str next_uri(struct str *uris)
{
	struct str uri;
	uint32_t n = 0;

	*uris = str_trim(*uris);
	while (n < uris->len && uris->s[n] != ' ')
		n++;
	uri = str_of(uris->s, n);
	*uris = str_of(uris->s + n, uris->len - n);
	return uri;
}

static bool has_set(const struct dispatch_specs *specs, uint32_t set)
{
	for (unsigned i = 0; i < specs->count; i++)
		if (specs->spec[i].set == set)
			return true;
	return false;
}

/* Gives all of that URI the state. How many there are; `*changed` grows by those that had another.
 */
static unsigned set_state(struct dispatch_specs *specs, uint32_t set, struct str uri,
	enum dispatch_state state, unsigned *changed)
{
	unsigned found = 0;

	for (unsigned i = 0; i < specs->count; i++) {
		struct dispatch_spec *spec = &specs->spec[i];

		if (spec->set != set || !str_eq(uri, str_c(spec->uri)))
			continue;
		found++;
		*changed += spec->state != state;
		spec->state = (uint8_t)state;
	}
	return found;
}

static int apply(const struct dispatch_change *change, struct dispatch_specs *specs, char *error,
	size_t error_size)
{
	struct str rest = str_trim(change->uris);
	unsigned changed = 0, uris = 0;

	if (!has_set(specs, change->set)) {
		snprintf(error, error_size, "there is no set %u", change->set);
		return -ENOENT;
	}
	while (rest.len > 0 || uris == 0) {
		struct str uri = next_uri(&rest);

		uris++;
		if (set_state(specs, change->set, uri, change->state, &changed) == 0) {
			snprintf(error, error_size, "set %u has no destination '%.*s'", change->set,
				STR_FMT(uri));
			return -ENOENT;
		}
	}
	if (changed == 0) {
		snprintf(error, error_size, "set %u: %.*s %s in the state '%s' already",
			change->set, STR_FMT(str_trim(change->uris)), uris == 1 ? "is" : "are",
			dispatch_state_name(change->state));
		return -EALREADY;
	}
	return 0;
}

/* The sentence of a report whose one error has no place. */
static void take_error(const struct route_report *report, char *error, size_t error_size)
{
	struct str text = str_trim(str_c(route_report_text(report)));

	if (str_istarts(text, STR("error: "))) {
		text.s += 7;
		text.len -= 7;
	}
	snprintf(error, error_size, "%.*s", STR_FMT(text));
}

int dispatch_state_prepare(struct dispatch *d, const struct dispatch_change *change,
	struct dispatch_prepared **prepared, char *error, size_t error_size)
{
	struct route_report *report = route_report_create();
	struct dispatch_specs specs = {NULL, 0};
	int err = -ENOMEM;

	snprintf(error, error_size, "not enough memory");
	pthread_mutex_lock(&d->tables);
	if (report != NULL && dispatch_specs_copy(&d->listed, &specs)) {
		err = apply(change, &specs, error, error_size);
		if (err != 0) {
			dispatch_specs_free(&specs);
		} else {
			err = dispatch_generation_build(
				d, NULL, &specs, &d->options, report, prepared);
			if (err != 0)
				take_error(report, error, error_size);
		}
	}
	pthread_mutex_unlock(&d->tables);
	route_report_destroy(report);
	return err;
}

unsigned dispatch_state_publish(struct dispatch *d, struct dispatch_prepared *prepared)
{
	return dispatch_generation_publish(d, prepared);
}

void dispatch_state_discard(struct dispatch *d, struct dispatch_prepared *prepared)
{
	dispatch_generation_discard(d, prepared);
}
