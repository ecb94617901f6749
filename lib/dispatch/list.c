/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * list_file: a destination a line, in Kamailio's format. Rows of a table become such lines
 *(table.c).
 *
 *	setid uri [flags [priority [name=value;name=value...]]]		# comment
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dispatch/internal.h"

#define LIST_BYTES_MAX (4u << 20)
#define LIST_LINE_MAX 2048
#define SET_ID_MAX 2147483647u
#define PRIORITY_MAX 2147483647u
#define RESOLVE_TIMEOUT_MS 2000
#define RESOLVE_FAILURES_MAX 5 /* names that do not resolve; then the load gives up */
#define LINES_AHEAD 32         /* whose names are asked for while one is waited for */

/* Kamailio's flags. */
#define FLAG_INACTIVE 1
#define FLAG_TRYING 2
#define FLAG_DISABLED 4
#define FLAG_PROBING 8
#define FLAG_NO_DNS 16
#define FLAG_NO_PING 32
#define FLAGS_ALL 63

struct reader {
	struct resolver *resolver;
	struct dispatch *running;
	struct route_report *report;
	struct route_place place; /* of the line; columns are set at each error */
	struct str line;
	struct dispatch_spec spec;
	bool has_weight, has_rweight;
	struct str host;
	uint16_t port; /* of the URI, 0: none */
	struct dispatch_specs *out;
	unsigned room;
	unsigned resolve_failures, silences;
	bool rows; /* of a table: what is wrong with one is said, and it is left out */
	unsigned left_out;
	const char *failed; /* ... and what is wrong with all of them; NULL: nothing */
};

/* Where a part of the line stands. */
static const struct route_place *at(struct reader *r, struct str part)
{
	r->place.column = part.s != NULL ? (int)(part.s - r->line.s) + 1 : 1;
	r->place.length = part.len > 0 ? (int)part.len : 1;
	return &r->place;
}

#define fail(r, part, ...) \
	(!(r)->rows ? route_error((r)->report, at((r), (part)), __VA_ARGS__) \
		: (r)->left_out < DISPATCH_ROWS_SAID \
			? route_warning((r)->report, at((r), (part)), __VA_ARGS__) \
			: (void)0, \
		-EINVAL)

/* No part of the list is of any use. */
static int fail_all(struct reader *r, struct str part, const char *why)
{
	if (!r->rows)
		return fail(r, part, "%s", why);
	r->failed = why;
	return -EINVAL;
}

#define TEXT_OF(number) TEXT_OF_(number)
#define TEXT_OF_(number) #number

/* The next word of the line; empty at its end or at a comment. */
static struct str next_word(struct str *rest)
{
	uint32_t n = 0;
	struct str word;

	while (rest->len > 0 && (rest->s[0] == ' ' || rest->s[0] == '\t' || rest->s[0] == '\r')) {
		rest->s++;
		rest->len--;
	}
	while (n < rest->len && rest->s[n] != ' ' && rest->s[n] != '\t' && rest->s[n] != '\r')
		n++;
	if (n > 0 && rest->s[0] == '#')
		n = rest->len = 0;
	word = str_of(rest->s, n);
	rest->s += n;
	rest->len -= n;
	return word;
}

/* ---- attributes ---- */

static int read_weight(
	struct reader *r, struct str name, struct str value, uint32_t *weight, bool *has)
{
	if (str_to_u32(value, DISPATCH_WEIGHT_MAX, weight) != 0)
		return fail(r, value, "%.*s is a number from 0 to %d, not '%.*s'", STR_FMT(name),
			DISPATCH_WEIGHT_MAX, STR_FMT(value));
	*has = true;
	return 0;
}

static int read_text(struct reader *r, struct str name, struct str value, char *out, uint32_t max)
{
	if (value.len == 0 || value.len > max)
		return fail(r, value.len > 0 ? value : name, "%.*s has from 1 to %u characters",
			STR_FMT(name), max);
	memcpy(out, value.s, value.len);
	out[value.len] = '\0';
	return 0;
}

int dispatch_socket_parse(struct str text, struct net_endpoint *out)
{
	int64_t colon;
	uint32_t port = SIP_DEFAULT_PORT;
	struct str host = text;

	if (str_istarts(text, STR("udp:"))) {
		host.s += 4;
		host.len -= 4;
	}
	/* The colon of a port stands behind the bracket of an IPv6 reference, or alone. */
	colon = host.len > 0 && host.s[0] == '[' ? str_find(host, ']') : -1;
	if (host.len > 0 && host.s[0] == '[') {
		if (colon < 0)
			return -EINVAL;
		colon = (uint32_t)colon + 1 < host.len ? colon + 1 : -1;
		if (colon >= 0 && host.s[colon] != ':')
			return -EINVAL;
	} else {
		colon = str_find(host, ':');
	}
	if (colon >= 0) {
		if (str_to_u32(str_of(host.s + colon + 1, host.len - (uint32_t)colon - 1), 65535,
			    &port) != 0 ||
			port == 0)
			return -EINVAL;
		host.len = (uint32_t)colon;
	}
	memset(out, 0, sizeof(*out));
	out->port = (uint16_t)port;
	return net_addr_parse(host, &out->addr);
}

static int read_socket(struct reader *r, struct str name, struct str value)
{
	struct net_endpoint ep;

	if (dispatch_socket_parse(value, &ep) != 0)
		return fail(r, value.len > 0 ? value : name,
			"socket is one of our listeners as udp:ADDRESS:PORT, not '%.*s'",
			STR_FMT(value));
	return read_text(r, name, value, r->spec.socket, DISPATCH_SOCKET_MAX);
}

static int read_state(struct reader *r, struct str name, struct str value)
{
	enum dispatch_state state;

	if (dispatch_state_of(value, &state) != 0)
		return fail(r, value.len > 0 ? value : name,
			"state is enabled, drain or disabled, not '%.*s'", STR_FMT(value));
	r->spec.state = (uint8_t)state;
	return 0;
}

static int read_attribute(struct reader *r, struct str attribute)
{
	int64_t eq = str_find(attribute, '=');
	struct str name = attribute, value = STR_NONE;
	uint32_t number;

	if (eq >= 0) {
		name.len = (uint32_t)eq;
		value = str_of(attribute.s + eq + 1, attribute.len - (uint32_t)eq - 1);
	}
	if (name.len == 0)
		return fail(r, attribute, "an attribute is name=value");
	if (str_eq(name, STR("weight")))
		return read_weight(r, name, value, &r->spec.weight, &r->has_weight);
	if (str_eq(name, STR("rweight")))
		return read_weight(r, name, value, &r->spec.rweight, &r->has_rweight);
	if (str_eq(name, STR("duid")))
		return read_text(r, name, value, r->spec.duid, DISPATCH_DUID_MAX);
	if (str_eq(name, STR("socket")))
		return read_socket(r, name, value);
	if (str_eq(name, STR("state")))
		return read_state(r, name, value);
	if (str_eq(name, STR("maxload")) && str_to_u32(value, UINT32_MAX, &number) != 0)
		return fail(r, value.len > 0 ? value : name, "maxload is a number, not '%.*s'",
			STR_FMT(value));
	return 0; /* what scripts put there for themselves, and what probing will read */
}

static int read_attributes(struct reader *r, struct str word)
{
	/* Kamailio's files may have the whole in quotes. */
	if (word.len >= 2 && word.s[0] == '"' && word.s[word.len - 1] == '"')
		word = str_of(word.s + 1, word.len - 2);
	while (word.len > 0) {
		int64_t end = str_find(word, ';');
		uint32_t n = end >= 0 ? (uint32_t)end : word.len;
		int err = n > 0 ? read_attribute(r, str_of(word.s, n)) : 0;

		if (err != 0)
			return err;
		n += end >= 0;
		word = str_of(word.s + n, word.len - n);
	}
	return 0;
}

/* ---- the other columns ---- */

static int read_uri(struct reader *r, struct str word)
{
	struct sip_uri uri;

	if (word.len == 0)
		return fail(r, str_of(r->line.s + r->line.len, 0),
			"a destination is missing: setid uri flags priority attrs");
	if (word.len > DISPATCH_URI_MAX)
		return fail(r, word, "a destination has at most %d characters", DISPATCH_URI_MAX);
	if (sip_uri_parse(word.s, (struct sip_span){0, word.len}, &uri) != 0 ||
		(uri.scheme != SIP_SCHEME_SIP && uri.scheme != SIP_SCHEME_SIPS))
		return fail(r, word, "'%.*s' is no SIP URI", STR_FMT(word));
	if (uri.scheme == SIP_SCHEME_SIPS ||
		(uri.transport != SIP_TRANSPORT_NONE && uri.transport != SIP_TRANSPORT_UDP))
		return fail(
			r, word, "'%.*s': destinations are reached over UDP only", STR_FMT(word));
	if (uri.has_maddr)
		return fail(r, word,
			"'%.*s': maddr is not honoured in lists: write the address itself",
			STR_FMT(word));
	if (uri.port == 0 && uri.hostport.len > uri.host.len + (uri.host_is_ip6 ? 2u : 0u))
		return fail(r, word, "'%.*s': a port is from 1 to 65535", STR_FMT(word));
	memcpy(r->spec.uri, word.s, word.len);
	r->spec.uri[word.len] = '\0';
	r->host = sip_text(word.s, uri.host);
	r->port = uri.port;
	r->spec.any_port = uri.port == 0;
	return 0;
}

static int read_flags(struct reader *r, struct str word)
{
	uint32_t flags = 0;

	if (word.len > 0 && str_to_u32(word, FLAGS_ALL, &flags) != 0)
		return fail(r, word,
			"flags are a sum of 1 inactive, 2 trying, 4 disabled, 8 probing, 16 no "
			"DNS, 32 no pings, not '%.*s'",
			STR_FMT(word));
	r->spec.down = (flags & FLAG_INACTIVE) != 0;
	r->spec.state = (flags & FLAG_DISABLED) != 0 ? DISPATCH_DISABLED : DISPATCH_ENABLED;
	return 0;
}

static int read_priority(struct reader *r, struct str word)
{
	bool negative = word.len > 0 && word.s[0] == '-';
	uint32_t value = 0;

	if (word.len > 0 && str_to_u32(negative ? str_of(word.s + 1, word.len - 1) : word,
				    PRIORITY_MAX, &value) != 0)
		return fail(r, word, "a priority is a whole number, not '%.*s'", STR_FMT(word));
	r->spec.priority = negative ? -(int64_t)value : (int64_t)value;
	return 0;
}

/* ---- addresses ---- */

static int add_spec(struct reader *r, const struct net_endpoint *ep, struct str uri)
{
	char text[NET_ADDR_TEXT_MAX];

	if (net_addr_is_unspecified(&ep->addr) || net_addr_is_multicast(&ep->addr)) {
		net_addr_format(&ep->addr, text);
		return fail(r, uri, "%s is no address of a destination", text);
	}
	if (r->out->count == DISPATCH_DESTINATIONS_MAX)
		return fail_all(
			r, uri, "more than " TEXT_OF(DISPATCH_DESTINATIONS_MAX) " destinations");
	if (r->out->count == r->room) {
		unsigned room = r->room > 0 ? 2 * r->room : 64;
		struct dispatch_spec *spec = realloc(r->out->spec, room * sizeof(*spec));

		if (spec == NULL)
			return fail_all(r, uri, "out of memory");
		r->out->spec = spec;
		r->room = room;
	}
	r->spec.ep = *ep;
	r->spec.listed = r->spec.state;
	r->out->spec[r->out->count++] = r->spec;
	return 0;
}

static enum resolve_kind kind_of(uint16_t port)
{
	return port != 0 ? RESOLVE_ADDRESS : RESOLVE_SIP_UDP;
}

/* Begins to look up the name of a line that is read later, where it has one. */
static void ask_ahead(struct resolver *resolver, struct str line)
{
	struct str uri_text;
	struct sip_uri uri;
	struct net_addr ignored;

	(void)next_word(&line);
	uri_text = next_word(&line);
	if (uri_text.len == 0 || uri_text.len > DISPATCH_URI_MAX ||
		sip_uri_parse(uri_text.s, (struct sip_span){0, uri_text.len}, &uri) != 0 ||
		net_addr_parse(sip_text(uri_text.s, uri.host), &ignored) == 0)
		return;
	resolve_ahead(resolver, kind_of(uri.port), sip_text(uri_text.s, uri.host));
}

/* No server has answered for the name: what is running stands in. */
static bool stand_in(
	struct reader *r, struct str uri, const char *why, struct resolve_addresses *found)
{
	r->silences++;
	found->count =
		r->running != NULL ? dispatch_running(r->running, r->spec.set, uri, found->ep) : 0;
	if (found->count > 0)
		route_warning(r->report, at(r, uri),
			"the destination does not resolve now: %s; it stays where it is", why);
	return found->count > 0;
}

/* A name becomes as many destinations as it has addresses (RFC 3263 4.2). */
static int add_resolved(struct reader *r, struct str uri)
{
	struct resolve_addresses found;
	char error[256] = "no server answers";
	int n = -ETIMEDOUT;

	r->spec.by_name = true;
	/* Those of a long list would each be waited for. */
	if (r->running == NULL || r->silences < RESOLVE_FAILURES_MAX)
		n = resolve_now(r->resolver, kind_of(r->port), r->host, RESOLVE_TIMEOUT_MS, &found,
			error, sizeof(error));
	if (n <= 0 && !((n == -ETIMEDOUT || n == -EAGAIN) && stand_in(r, uri, error, &found))) {
		r->resolve_failures++;
		return fail(r, uri, "the destination does not resolve: %s",
			error[0] != '\0' ? error : "no address");
	}
	for (unsigned i = 0; i < found.count; i++) {
		struct net_endpoint ep = found.ep[i];
		int err;

		if (r->port != 0 || ep.port == 0)
			ep.port = r->port != 0 ? r->port : SIP_DEFAULT_PORT;
		err = add_spec(r, &ep, uri);
		if (err != 0)
			return err;
	}
	return 0;
}

static int add_destination(struct reader *r, struct str uri)
{
	struct net_endpoint ep = {.port = r->port != 0 ? r->port : SIP_DEFAULT_PORT};

	r->spec.has_weight = r->has_weight;
	if (!r->has_weight)
		r->spec.weight = 1;
	if (!r->has_rweight)
		r->spec.rweight = r->spec.weight;
	if (net_addr_parse(r->host, &ep.addr) == 0)
		return add_spec(r, &ep, uri);
	if (r->resolver == NULL)
		return fail(
			r, uri, "'%.*s' is no address, and there is no resolver", STR_FMT(r->host));
	return add_resolved(r, uri);
}

static int read_line(struct reader *r)
{
	struct str rest = r->line, set = next_word(&rest), uri, flags, priority, attributes, more;

	if (set.len == 0)
		return 0;
	memset(&r->spec, 0, sizeof(r->spec));
	r->has_weight = r->has_rweight = false;
	r->spec.line = (uint32_t)r->place.line;
	if (str_to_u32(set, SET_ID_MAX, &r->spec.set) != 0)
		return fail(r, set, "a line begins with the number of its set, not with '%.*s'",
			STR_FMT(set));
	uri = next_word(&rest);
	flags = next_word(&rest);
	priority = next_word(&rest);
	attributes = next_word(&rest);
	more = next_word(&rest);
	if (read_uri(r, uri) != 0 || read_flags(r, flags) != 0 || read_priority(r, priority) != 0 ||
		read_attributes(r, attributes) != 0)
		return -EINVAL;
	if (more.len > 0)
		return fail(r, more,
			"unexpected '%.*s': setid uri flags priority attrs, attributes joined by "
			"';'",
			STR_FMT(more));
	return add_destination(r, uri);
}

/* ---- the list as a whole ---- */

struct named {
	struct hash128 name;
	uint32_t index;
};

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	if (x->name.lo != y->name.lo)
		return x->name.lo < y->name.lo ? -1 : 1;
	if (x->name.hi != y->name.hi)
		return x->name.hi < y->name.hi ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* Forgets those that have lost their line. */
static void drop_unlined(struct dispatch_specs *specs)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < specs->count; i++)
		if (specs->spec[i].line != 0)
			specs->spec[kept++] = specs->spec[i];
	specs->count = kept;
}

/* Two of one name in a set would take the same slots. */
static int check_twice(struct reader *r, struct dispatch_specs *specs)
{
	struct named *named = calloc((size_t)specs->count + 1, sizeof(*named));
	int err = 0;

	if (named == NULL)
		return fail_all(r, STR_NONE, "out of memory");
	for (unsigned i = 0; i < specs->count; i++)
		named[i] = (struct named){dispatch_stable_hash(&specs->spec[i]), i};
	qsort(named, specs->count, sizeof(*named), by_name);
	for (unsigned i = 1, first = 0; i < specs->count; i++) {
		const struct dispatch_spec *a = &specs->spec[named[first].index];
		struct dispatch_spec *b = &specs->spec[named[i].index];

		if (named[i].name.lo != named[first].name.lo ||
			named[i].name.hi != named[first].name.hi) {
			first = i;
			continue;
		}
		r->place.line = (int)b->line;
		err = fail(r, STR_NONE, "set %u: '%s' stands in line %u already", b->set,
			b->duid[0] != '\0' ? b->duid : b->uri, a->line);
		if (r->rows) {
			r->left_out++;
			b->line = 0;
		}
	}
	free(named);
	if (!r->rows)
		return err;
	drop_unlined(specs);
	return 0;
}

/* One line without a weight among others with one: forgotten, mostly. */
static void check_weights(struct reader *r, const struct dispatch_specs *specs)
{
	for (unsigned i = 0; i < specs->count; i++) {
		const struct dispatch_spec *a = &specs->spec[i], *b = a;

		if (a->has_weight || (i > 0 && a->line == a[-1].line))
			continue;
		for (unsigned j = 0; j < specs->count && b == a; j++)
			if (specs->spec[j].set == a->set && specs->spec[j].has_weight)
				b = &specs->spec[j];
		if (b == a)
			continue;
		r->place.line = (int)a->line;
		route_warning(r->report, at(r, STR_NONE),
			"set %u: '%s' has no weight, but line %u of its set has: it gets 1", a->set,
			a->uri, b->line);
	}
}

static struct str next_line(struct str *text)
{
	int64_t end = str_find(*text, '\n');
	uint32_t n = end >= 0 ? (uint32_t)end : text->len;
	struct str line = str_of(text->s, n);

	n += end >= 0;
	*text = str_of(text->s + n, text->len - n);
	return line;
}

/* All lines. What is wrong with the list as a whole is an error, of rows as well. */
static int read_lines(struct reader *r, struct str text)
{
	struct str ahead = r->resolver != NULL ? text : STR_NONE;
	int err = 0, asked = 0;

	/* All errors of a list are said at once. */
	while (text.len > 0) {
		uint32_t n;
		int bad = 0;

		r->place.line++;
		for (; ahead.len > 0 && asked < r->place.line + LINES_AHEAD; asked++)
			ask_ahead(r->resolver, next_line(&ahead));
		r->line = next_line(&text);
		n = r->line.len;
		if (n > LIST_LINE_MAX)
			bad = fail(r, STR_NONE, "a line has at most %d characters", LIST_LINE_MAX);
		else if (memchr(r->line.s, '\0', n) != NULL)
			bad = fail(r, STR_NONE, "the line has a NUL in it");
		else
			bad = read_line(r);
		if (bad != 0 && r->rows)
			r->left_out++;
		else if (bad != 0)
			err = bad;
		if (r->resolve_failures == RESOLVE_FAILURES_MAX)
			err = fail_all(r, STR_NONE,
				"too many names do not resolve: the rest of the list has not been "
				"looked at");
		if (r->resolve_failures == RESOLVE_FAILURES_MAX || r->failed != NULL)
			break;
	}
	return r->failed != NULL ? -EINVAL : err;
}

static int parse(struct reader *r, struct str text)
{
	int err;

	*r->out = (struct dispatch_specs){NULL, 0};
	err = read_lines(r, text);
	if (err == 0 && r->out->count > 1)
		err = check_twice(r, r->out);
	if (err == 0)
		check_weights(r, r->out);
	if (err != 0)
		dispatch_specs_free(r->out);
	return err;
}

int dispatch_list_parse(const char *name, struct str text, struct resolver *resolver,
	struct dispatch *running, struct route_report *report, struct dispatch_specs *out)
{
	struct reader r = {.resolver = resolver,
		.running = running,
		.report = report,
		.place = {name, 0, 1, 1},
		.out = out};

	return parse(&r, text);
}

int dispatch_list_parse_rows(const char *name, struct str text, struct resolver *resolver,
	struct dispatch *running, struct route_report *report, struct dispatch_specs *out,
	unsigned *left_out, const char **failed)
{
	struct reader r = {.resolver = resolver,
		.running = running,
		.report = report,
		.place = {name, 0, 1, 1},
		.out = out,
		.rows = true};
	int err = parse(&r, text);

	*left_out = r.left_out;
	*failed = r.failed;
	return err;
}

int dispatch_list_read(const char *path, struct resolver *resolver, struct dispatch *running,
	struct route_report *report, struct dispatch_specs *out)
{
	struct route_place place = {path, 0, 0, 1};
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t n;
	int err;

	if (file == NULL) {
		err = -errno;
		route_error(report, &place, "cannot be read: %s", strerror(-err));
		return err;
	}
	text = malloc(LIST_BYTES_MAX + 1);
	if (text == NULL) {
		err = -ENOMEM;
		route_error(report, &place, "out of memory");
		goto out;
	}
	n = fread(text, 1, LIST_BYTES_MAX + 1, file);
	if (ferror(file)) {
		err = -EIO;
		route_error(report, &place, "cannot be read");
	} else if (n > LIST_BYTES_MAX) {
		err = -EFBIG;
		route_error(report, &place, "is larger than %u bytes", LIST_BYTES_MAX);
	} else {
		err = dispatch_list_parse(path, str_of(text, n), resolver, running, report, out);
	}
out:
	free(text);
	fclose(file);
	return err;
}

void dispatch_specs_free(struct dispatch_specs *specs)
{
	free(specs->spec);
	*specs = (struct dispatch_specs){NULL, 0};
}
