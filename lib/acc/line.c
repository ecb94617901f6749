/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines for the log, in the form that readers of Kamailio's know: "ACC: what: name=value;...". What
 * would end a value or the line stands as its code, so that a value is a value: nobody adds fields
 * to a line.
 */
#include <stdio.h>

#include "acc/internal.h"

struct out {
	uint32_t len;
	bool full;
	char *text;
};

static void put(struct out *out, struct str s)
{
	if (s.len > ACC_LINE_MAX - out->len) {
		out->full = true;
		return;
	}
	if (s.len != 0)
		memcpy(out->text + out->len, s.s, s.len);
	out->len += s.len;
}

static void put_value(struct out *out, struct str s)
{
	static const char digit[] = "0123456789abcdef";

	for (uint32_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.s[i];
		const char code[] = {'\\', 'x', digit[c >> 4], digit[c & 15]};

		if (c < ' ' || c == 0x7f || c == ';')
			put(out, str_of(code, sizeof(code)));
		else
			put(out, str_of(s.s + i, 1));
	}
}

static void put_field(struct out *out, struct str name, struct str value)
{
	put(out, STR(";"));
	put(out, name);
	put(out, STR("="));
	put_value(out, value);
}

static void put_extras(
	struct out *out, const struct acc_fields *f, unsigned count, const struct acc_value *extra)
{
	for (unsigned i = 0; i < count && i < f->count; i++)
		put_field(out, f->field[i].name, extra[i].s);
}

/* A line that is too long would say half of the truth. */
static void end(struct acc *a, unsigned shard, int facility, int level, const struct out *out)
{
	if (out->full)
		acc_count(&a->shard[shard], ACC_COUNTER_LOG_LOST);
	else
		acc_log_put(a, shard, facility, level, str_of(out->text, out->len));
}

void acc_line(struct acc *a, unsigned shard, const struct acc_settings *s, struct str what,
	const struct acc_record *r, const struct acc_fields *f, const struct acc_value *extra)
{
	struct out out = {.text = a->shard[shard].line};
	char time[32];

	put(&out, STR("ACC: "));
	put(&out, what);
	put(&out, str_of(time, (size_t)snprintf(time, sizeof(time), ": timestamp=%lld",
				       (long long)(acc_wall_ns(a, r->at_ns) /
						   (int64_t)CLOCK_NS_PER_S))));
	put_field(&out, STR("method"), r->method);
	put_field(&out, STR("from_tag"), r->from_tag);
	put_field(&out, STR("to_tag"), r->to_tag);
	put_field(&out, STR("call_id"), r->call_id);
	put_field(&out, STR("code"), r->code);
	put_field(&out, STR("reason"), r->reason);
	put_extras(&out, f, f->count, extra);
	end(a, shard, s->facility, s->level, &out);
}

static void put_seconds(struct out *out, const char *before, const char *name, int64_t ns)
{
	int64_t ms = ns / (int64_t)CLOCK_NS_PER_MS;
	char text[128];

	put(out, str_of(text, (size_t)snprintf(text, sizeof(text), "%s%s=%lld.%03lld", before, name,
				      (long long)(ms / 1000), (long long)(ms % 1000))));
}

void acc_cdr_line(struct acc *a, unsigned shard, const struct acc_settings *s, struct str what,
	const struct acc_cdr *c)
{
	struct out out = {.text = a->shard[shard].line};

	put(&out, STR("ACC: "));
	put(&out, what);
	put_seconds(&out, ": ", s->start_id, acc_wall_ns(a, c->start_ns));
	put_seconds(&out, ";", s->end_id, acc_wall_ns(a, c->end_ns));
	put_seconds(&out, ";", s->duration_id, (int64_t)(c->end_ns - c->start_ns));
	put_field(&out, STR("call_id"), c->call_id);
	put_field(&out, STR("from_tag"), c->from_tag);
	put_field(&out, STR("to_tag"), c->to_tag);
	put_field(&out, STR("caller"), c->caller);
	put_field(&out, STR("callee"), c->callee);
	put_field(&out, STR("end_reason"), c->end);
	put_extras(&out, &s->cdr_extra, c->extras, c->extra);
	end(a, shard, s->cdr_facility, s->level, &out);
}
