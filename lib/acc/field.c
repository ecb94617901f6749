/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of extra fields: log_extra, db_extra, cdr_extra. */
#include "acc/internal.h"

#define NAME_LETTERS 63

bool acc_is_name(struct str name)
{
	return db_is_name(name) && name.len <= NAME_LETTERS && str_find(name, '.') < 0;
}

/* What stands before a '=' in a line of the log. */
static bool is_label(struct str name)
{
	for (uint32_t i = 0; i < name.len; i++) {
		char c = name.s[i];

		if (!str_is_alpha(c) && !str_is_digit(c) && c != '_' && c != '-' && c != '.')
			return false;
	}
	return name.len != 0 && name.len <= NAME_LETTERS;
}

/* Bytes up to the ';' behind a field, or all: those within brackets are a variable's. */
static uint32_t field_length(struct str text)
{
	unsigned depth = 0;

	for (uint32_t i = 0; i < text.len; i++) {
		char c = text.s[i];

		if (c == '(' || c == '{' || c == '[')
			depth++;
		else if ((c == ')' || c == '}' || c == ']') && depth > 0)
			depth--;
		else if (c == ';' && depth == 0)
			return i;
	}
	return text.len;
}

/* Whether a $var stands there, be it within braces or as an index. */
static bool has_var(struct str text)
{
	const struct str before[] = {STR("$var("), STR("$(var(")};

	for (uint32_t i = 0; i < text.len; i++)
		for (unsigned n = 0; n < 2; n++)
			if (str_istarts(str_of(text.s + i, text.len - i), before[n]))
				return true;
	return false;
}

static uint64_t add_digest(uint64_t digest, struct str name, struct str value)
{
	static const struct hash_key key = {{0x6669656c64732c20ULL, 0x696e206f72646572ULL}};
	struct hash h;

	hash_init(&h, &key);
	hash_u64(&h, digest);
	hash_str(&h, name);
	hash_str(&h, value);
	return hash_final(&h);
}

static int read_one(struct acc_fields *f, struct str one, const char *param, bool columns,
	struct route_report *report)
{
	static const struct route_place nowhere = {.file = "modparam", .line = 0};
	int64_t equals = str_find(one, '=');
	struct str name = str_trim(str_of(one.s, equals >= 0 ? (size_t)equals : 0));
	struct str value =
		equals < 0 ? STR_NONE
			   : str_trim(str_of(one.s + equals + 1, one.len - (uint32_t)equals - 1));

	if (!(columns ? acc_is_name(name) : is_label(name)) || value.len < 2 || value.s[0] != '$') {
		route_error(report, NULL,
			"module 'acc': %s is a list such as \"ua=$ua;caller=$fu\": '%.*s' is no %s "
			"and variable",
			param, STR_FMT(one), columns ? "column" : "name");
		return -EINVAL;
	}
	/* What a run keeps by a number that the script gave: a transaction may be an older one's.
	 */
	if (has_var(value)) {
		route_error(report, NULL,
			"module 'acc': %s: '%.*s': a $var is the run's, and may be another one of "
			"the script that is loaded when its transaction ends: use an $avp",
			param, STR_FMT(value));
		return -EINVAL;
	}
	for (unsigned i = 0; i < f->count; i++) {
		if (str_ieq(f->field[i].name, name)) {
			route_error(report, NULL, "module 'acc': %s has '%.*s' twice", param,
				STR_FMT(name));
			return -EINVAL;
		}
	}
	if (f->count == ACC_FIELDS_MAX) {
		route_error(
			report, NULL, "module 'acc': %s: %u fields at most", param, ACC_FIELDS_MAX);
		return -EINVAL;
	}
	f->field[f->count].name = name;
	f->field[f->count].format = route_format_compile(value, &nowhere, report);
	if (f->field[f->count].format == NULL) {
		route_error(report, NULL, "module 'acc': %s: '%.*s' cannot be read", param,
			STR_FMT(value));
		return -EINVAL;
	}
	f->digest = add_digest(f->digest, name, value);
	f->count++;
	return 0;
}

int acc_fields_read(struct acc_fields *f, const char *text, const char *param, bool columns,
	struct route_report *report)
{
	struct str rest;
	int err = 0;

	*f = (struct acc_fields){0};
	if (text == NULL || text[0] == '\0')
		return 0;
	f->names = strdup(text);
	if (f->names == NULL)
		return -ENOMEM;
	rest = str_c(f->names);
	while (err == 0 && rest.len != 0) {
		uint32_t n = field_length(rest);
		struct str one = str_trim(str_of(rest.s, n));

		if (one.len != 0)
			err = read_one(f, one, param, columns, report);
		n = n < rest.len ? n + 1 : n;
		rest.s += n;
		rest.len -= n;
	}
	if (err != 0)
		acc_fields_free(f);
	return err;
}

void acc_fields_free(struct acc_fields *f)
{
	for (unsigned i = 0; i < f->count; i++)
		route_format_free(f->field[i].format);
	free(f->names);
	*f = (struct acc_fields){0};
}
