/* SPDX-License-Identifier: BSD-3-Clause */
/* Bare words and pseudo-variables: what each stands for. */
#include <stdio.h>

#include "route/check.h"

struct keyword {
	const char *name;
	enum ast_kind kind;
	const char *pseudo; /* AST_PSEUDO: the variable that it is a word for */
	int64_t i;
};

static const struct keyword keywords[] = {{"method", AST_PSEUDO, "rm", 0},
	{"uri", AST_PSEUDO, "ru", 0}, {"status", AST_PSEUDO, "rs", 0},
	{"from_uri", AST_PSEUDO, "fu", 0}, {"to_uri", AST_PSEUDO, "tu", 0},
	{"src_ip", AST_PSEUDO, "si", 0}, {"dst_ip", AST_PSEUDO, "Ri", 0},
	{"src_port", AST_PORT, NULL, 0}, {"dst_port", AST_PORT, NULL, 1},
	{"proto", AST_PROTO, NULL, 0}, {"af", AST_FAMILY, NULL, 0}, {"msg:len", AST_WHOLE, NULL, 0},
	{"retcode", AST_RC, NULL, 0}, {"NULL", AST_NULL, NULL, 0}, {"null", AST_NULL, NULL, 0},
	{"max_len", AST_INT, NULL, SIP_MSG_UDP_MAX}, {"INET", AST_INT, NULL, 2},
	{"IPv4", AST_INT, NULL, 2}, {"INET6", AST_INT, NULL, 10}, {"IPv6", AST_INT, NULL, 10},
	{"UDP", AST_INT, NULL, SIP_TRANSPORT_UDP}, {"udp", AST_INT, NULL, SIP_TRANSPORT_UDP},
	{"TCP", AST_INT, NULL, SIP_TRANSPORT_TCP}, {"tcp", AST_INT, NULL, SIP_TRANSPORT_TCP},
	{"TLS", AST_INT, NULL, SIP_TRANSPORT_TLS}, {"tls", AST_INT, NULL, SIP_TRANSPORT_TLS},
	{"SCTP", AST_INT, NULL, SIP_TRANSPORT_SCTP}, {"sctp", AST_INT, NULL, SIP_TRANSPORT_SCTP},
	{"WS", AST_INT, NULL, SIP_TRANSPORT_WS}, {"WSS", AST_INT, NULL, SIP_TRANSPORT_WSS},
	{"yes", AST_INT, NULL, 1}, {"true", AST_INT, NULL, 1}, {"on", AST_INT, NULL, 1},
	{"no", AST_INT, NULL, 0}, {"false", AST_INT, NULL, 0}, {"off", AST_INT, NULL, 0}, {0}};

/* Words that arguments take as text, being names of transports there. */
static bool is_transport_word(const struct keyword *k)
{
	return k->kind == AST_INT && k->i != 0 &&
	       sip_transport_of(str_c(k->name)) != SIP_TRANSPORT_OTHER;
}

static void become_pseudo(struct route_load *load, struct ast_expr *expr, const char *name)
{
	struct variable_found found;

	if (!variable_find(str_c(name), &found))
		load_error(load, expr->at, "'%.*s' cannot be read here", STR_FMT(expr->text));
	expr->kind = AST_PSEUDO;
	expr->variable = found.variable;
	expr->which = (struct route_index){.slot = -1, .room = found.room};
}

static void unknown_name(struct route_load *load, const struct ast_expr *expr, bool statement)
{
	struct suggest near;

	suggest_begin(&near, expr->text);
	for (const struct keyword *k = keywords; k->name != NULL && !statement; k++)
		suggest_offer(&near, str_c(k->name));
	for (unsigned i = 0; i < load->registry->count; i++) {
		for (const struct route_function *fn = load->registry->module[i]->functions;
			fn != NULL && fn->name != NULL; fn++)
			suggest_offer(&near, str_c(fn->name));
	}
	if (suggest_end(&near) != NULL)
		load_error(load, expr->at, "unknown word '%.*s' (did you mean '%s'?)",
			STR_FMT(expr->text), suggest_end(&near));
	else
		load_error(load, expr->at, "unknown word '%.*s'", STR_FMT(expr->text));
}

void check_word(struct route_load *load, struct ast_expr *expr, enum check_where where)
{
	unsigned module;

	if (load_flag_find(load, expr->text, &expr->i)) {
		expr->kind = AST_INT;
		return;
	}
	for (const struct keyword *k = keywords; k->name != NULL; k++) {
		if (where == CHECK_STATEMENT || !str_eq(str_c(k->name), expr->text))
			continue;
		if (where == CHECK_ARGUMENT && is_transport_word(k))
			break;
		if (k->kind == AST_PSEUDO) {
			become_pseudo(load, expr, k->pseudo);
			return;
		}
		expr->kind = (uint8_t)k->kind;
		expr->i = k->i;
		expr->row = (int32_t)k->i;
		return;
	}
	if (str_eq(expr->text, STR("myself"))) {
		load_error(load, expr->at,
			"'myself' is compared with uri, from_uri, to_uri, src_ip or dst_ip");
		return;
	}
	if (registry_function(load->script, expr->text, 0, &module) != NULL) {
		expr->kind = AST_CALL;
		expr->called_bare = true;
		check_call(load, expr);
		return;
	}
	if (where == CHECK_ARGUMENT) {
		expr->kind = AST_STR; /* a word that the function understands */
		return;
	}
	unknown_name(load, expr, where == CHECK_STATEMENT);
}

/* ---- $variables ---- */

/* What stands between rest->s[0], an opening bracket, and the one that closes it. */
static bool take_brackets(struct str *rest, char open, char close, struct str *inner)
{
	unsigned depth = 0;

	for (uint32_t i = 0; i < rest->len; i++) {
		if (rest->s[i] == open)
			depth++;
		else if (rest->s[i] == close && --depth == 0) {
			*inner = str_of(rest->s + 1, i - 1);
			*rest = str_of(rest->s + i + 1, rest->len - i - 1);
			return true;
		}
	}
	return false;
}

static void unknown_variable(struct route_load *load, const struct ast_expr *expr, struct str name)
{
	const struct known *known = known_find(KNOWN_NO_VARIABLE, STR_NONE, name);
	struct suggest near;

	if (known != NULL) {
		load_error(load, expr->at, "$%.*s is not there: %s", STR_FMT(name), known->why);
		return;
	}
	suggest_begin(&near, name);
	for (const struct route_variable *v = route_variables; v->name != NULL; v++)
		suggest_offer(&near, str_c(v->name));
	for (unsigned i = 0; i < load->registry->count; i++) {
		for (const struct route_variable *v = load->registry->module[i]->variables;
			v != NULL && v->name != NULL; v++)
			suggest_offer(&near, str_c(v->name));
	}
	if (suggest_end(&near) != NULL)
		load_error(load, expr->at, "unknown pseudo-variable '$%.*s' (did you mean '$%s'?)",
			STR_FMT(name), suggest_end(&near));
	else
		load_error(load, expr->at, "unknown pseudo-variable '$%.*s'", STR_FMT(name));
}

static void check_slot(struct route_load *load, struct ast_expr *expr, struct str index)
{
	if (index.len == 0) {
		load_error(load, expr->at, "$var needs a name: $var(x)");
		return;
	}
	expr->kind = AST_SLOT;
	expr->row = route_var_slot(index);
	if (expr->row < 0)
		load_error(load, expr->at, "more than %d names of $var", ROUTE_VARS_MAX);
}

static void check_row(struct route_load *load, struct ast_expr *expr, struct str name, bool indexed,
	struct str index)
{
	struct variable_found found;
	const struct route_variable *v;

	if (!variable_find(name, &found)) {
		unknown_variable(load, expr, name);
		return;
	}
	v = found.variable;
	if (found.module != NULL)
		load_error(load, expr->at,
			"'$%s' is a variable of module '%s', which is not loaded: loadmodule "
			"\"%s.so\"",
			v->name, found.module, found.module);
	else if (v->index == ROUTE_INDEX_NONE && indexed)
		load_error(load, expr->at, "$%s takes nothing in parentheses", v->name);
	else if (v->index == ROUTE_INDEX_NAME && (!indexed || index.len == 0))
		load_error(load, expr->at, "$%s needs a name in parentheses", v->name);
	else if (indexed && v->check_index != NULL && !v->check_index(&index))
		load_error(
			load, expr->at, "$%s cannot be asked for '%.*s'", v->name, STR_FMT(index));
	else if (indexed && str_find(index, '$') >= 0)
		load_error(load, expr->at, "what stands in the parentheses of $%s must be constant",
			v->name);
	expr->kind = AST_PSEUDO;
	expr->variable = v;
	expr->which = (struct route_index){.slot = -1, .room = found.room};
	if (indexed)
		expr->which.name = index;
}

/* $sel(cfg_get.GROUP.NAME): what the script gave that name. */
static void check_custom(struct route_load *load, struct ast_expr *expr, struct str select)
{
	const struct load_custom *custom = load_custom_find(load, select);

	if (custom == NULL) {
		load_error(load, expr->at, "this script sets no global '%.*s'", (int)select.len - 8,
			select.s + 8);
		return;
	}
	expr->kind = custom->is_number ? AST_INT : AST_STR;
	expr->i = custom->number;
	expr->text = custom->text;
	expr->quoted = false;
}

/* One name with its index; what a name stands for that is no row of the table comes first. */
static void check_plain(struct route_load *load, struct ast_expr *expr, struct str name,
	bool indexed, struct str index)
{
	struct variable_found found;

	if (str_eq(name, STR("var")))
		check_slot(load, expr, index);
	else if (str_eq(name, STR("null")))
		expr->kind = AST_NULL;
	else if (str_eq(name, STR("rc")) || str_eq(name, STR("retcode")) || str_eq(name, STR("?")))
		expr->kind = AST_RC;
	else if (str_eq(name, STR("_s")) && indexed) {
		struct route_place place = load_place(load, expr->at);
		struct str state = check_state_in(index);
		struct route_script *script = load->script;

		place.column += 2; /* the format begins there, counted from the sign before it */
		if (state.len > 0) {
			expr->kind = AST_STATE;
			return;
		}
		if (!code_grow(&script->format, script->formats, &script->formats_cap,
			    sizeof(script->format[0]))) {
			load_no_memory(load);
			return;
		}
		script->format[script->formats] = route_format_compile(index, &place, load->report);
		if (script->format[script->formats] == NULL)
			return;
		expr->kind = AST_FORMAT;
		expr->index = script->formats++;
	} else if (str_eq(name, STR("sel")) && str_istarts(index, STR("cfg_get."))) {
		check_custom(load, expr, index);
	} else if (state_variable(name) && !variable_find(name, &found)) {
		expr->kind = AST_STATE;
		expr->slow = true;
		load_warning(load, expr->at,
			"$%.*s is known by name only so far: a request that meets it is answered "
			"500",
			STR_FMT(name));
	} else {
		check_row(load, expr, name, indexed, index);
	}
}

/* {s.len}, {s.substr,0,3}: what changes the value of `inner`. */
static struct ast_expr *wrap_transform(struct route_load *load, const struct ast_expr *expr,
	struct ast_expr *inner, struct str text)
{
	struct route_script *script = load->script;
	struct ast_expr *outer = ast_alloc(&load->arena, sizeof(*outer));
	const char *kept = code_keep(script, text), *why;

	if (outer == NULL || kept == NULL ||
		!code_grow(&script->transform, script->transforms, &script->transforms_cap,
			sizeof(script->transform[0]))) {
		load_no_memory(load);
		return NULL;
	}
	if (str_find(text, '$') >= 0) {
		load_error(
			load, expr->at, "the arguments of {%.*s} must be constant", STR_FMT(text));
		return NULL;
	}
	if (!transform_parse(
		    str_of(kept, text.len), &script->transform[script->transforms], &why)) {
		load_error(load, expr->at, "{%.*s}: %s", STR_FMT(text), why);
		return NULL;
	}
	*outer = (struct ast_expr){.kind = AST_TRANSFORM,
		.at = expr->at,
		.a = inner,
		.index = script->transforms++,
		.slow = inner->slow,
		.text = expr->text,
		.depth = (uint16_t)(inner->depth + 1)};
	return outer;
}

static void check_element(struct route_load *load, struct ast_expr *expr, struct str number)
{
	if (expr->kind == AST_STATE)
		return;
	if (expr->kind != AST_PSEUDO || expr->variable == NULL || !expr->variable->elements)
		load_error(load, expr->at, "this pseudo-variable takes no index in [ ]");
	else if (!variable_element(number, &expr->which))
		load_error(load, expr->at, "'%.*s' is no index: a number, * or a $var",
			STR_FMT(number));
}

static void check_braced(struct route_load *load, struct ast_expr *expr, struct str inside)
{
	struct str name = variable_take_name(&inside), index = STR_NONE, transform;
	struct ast_expr *inner = ast_alloc(&load->arena, sizeof(*inner));
	bool indexed = inside.len > 0 && inside.s[0] == '(';

	if (inner == NULL) {
		load_no_memory(load);
		return;
	}
	*inner = *expr;
	if (name.len == 0 || (indexed && !take_brackets(&inside, '(', ')', &index))) {
		load_error(load, expr->at, "'%.*s' is no pseudo-variable", STR_FMT(expr->text));
		return;
	}
	check_plain(load, inner, name, indexed, str_trim(index));
	if (inside.len > 0 && inside.s[0] == '[') {
		struct str number = STR_NONE;

		if (!take_brackets(&inside, '[', ']', &number))
			inside.len = 0;
		check_element(load, inner, number);
	}
	while (inside.len > 0 && inner != NULL) {
		if (inside.s[0] != '{' || !take_brackets(&inside, '{', '}', &transform)) {
			load_error(load, expr->at, "'%.*s' is no pseudo-variable",
				STR_FMT(expr->text));
			return;
		}
		if (inner->depth > 16) {
			load_error(load, expr->at, "too many transformations");
			return;
		}
		inner = wrap_transform(load, expr, inner, transform);
	}
	if (inner != NULL) {
		struct ast_expr *next = expr->next;

		*expr = *inner;
		expr->next = next;
	}
}

void check_variable(struct route_load *load, struct ast_expr *expr)
{
	struct str rest = str_of(expr->text.s + 1, expr->text.len - 1), name, index = STR_NONE;
	bool indexed;

	if (rest.len > 0 && rest.s[0] == '(') {
		check_braced(load, expr, str_trim(str_of(rest.s + 1, rest.len - 2)));
		return;
	}
	name = variable_take_name(&rest);
	indexed = rest.len > 0 && rest.s[0] == '(';
	if (name.len == 0 || (indexed && !take_brackets(&rest, '(', ')', &index)) || rest.len > 0) {
		load_error(load, expr->at, "'%.*s' is no pseudo-variable", STR_FMT(expr->text));
		return;
	}
	check_plain(load, expr, name, indexed, str_trim(index));
}

/* ---- comparisons with an instruction of their own ---- */

/* Which part of the message a word or variable is, or -1. */
static int subject_of(const struct ast_expr *expr)
{
	static const struct {
		const char *word, *variable;
		int subject;
	} subjects[] = {
		{"uri", "$ru", AST_URI},
		{"from_uri", "$fu", AST_FROM_URI},
		{"to_uri", "$tu", AST_TO_URI},
		{"src_ip", "$si", AST_SRC_IP},
		{"dst_ip", "$Ri", AST_DST_IP},
	};

	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
		if ((expr->kind == AST_NAME && str_eq(expr->text, str_c(subjects[i].word))) ||
			(expr->kind == AST_VAR && str_eq(expr->text, str_c(subjects[i].variable))))
			return subjects[i].subject;
	}
	return -1;
}

static bool is_word(const struct ast_expr *expr, const char *word)
{
	return expr->kind == AST_NAME && str_eq(expr->text, str_c(word));
}

/* expr becomes `kind` of `row`, below a `!` where it was `!=`. */
static bool become_test(
	struct route_load *load, struct ast_expr *expr, enum ast_kind kind, int row, uint32_t index)
{
	struct ast_expr *test = expr;

	if (expr->op == AST_OP_NE) {
		test = ast_alloc(&load->arena, sizeof(*test));
		if (test == NULL) {
			load_no_memory(load);
			return true;
		}
		test->at = expr->at;
		expr->kind = AST_UNARY;
		expr->op = AST_OP_NOT;
		expr->a = test;
		expr->b = NULL;
	}
	test->op = AST_OP_NONE;
	test->kind = (uint8_t)kind;
	test->row = row;
	test->index = index;
	return true;
}

/* "10.0.0.0/255.0.0.0" as a prefix too. */
static bool parse_prefix(struct str text, struct net_prefix *prefix)
{
	int64_t slash = str_find(text, '/');
	struct net_addr mask;
	uint32_t bits;
	char with_bits[64];
	int n;

	if (slash < 0 ||
		net_addr_parse(str_of(text.s + slash + 1, text.len - (size_t)slash - 1), &mask) !=
			0 ||
		mask.family != 4)
		return net_prefix_parse(text, prefix) == 0;
	bits = (uint32_t)__builtin_popcount(mask.v4);
	if (bits < 32 && __builtin_bswap32(mask.v4) != ~(UINT32_MAX >> bits))
		return false;
	n = snprintf(with_bits, sizeof(with_bits), "%.*s/%u", (int)slash, text.s, bits);
	return n > 0 && (size_t)n < sizeof(with_bits) &&
	       net_prefix_parse(str_of(with_bits, (size_t)n), prefix) == 0;
}

static bool compare_address(
	struct route_load *load, struct ast_expr *expr, int subject, const struct ast_expr *with)
{
	struct route_script *script = load->script;
	struct net_prefix prefix;

	if (!parse_prefix(with->text, &prefix)) {
		load_error(load, with->at, "'%.*s' is no address or network%s", STR_FMT(with->text),
			str_find(with->text, '/') > 0 ? ", or bits behind its length are set" : "");
		return true;
	}
	if (!code_grow(&script->prefix, script->prefixes, &script->prefixes_cap,
		    sizeof(script->prefix[0]))) {
		load_no_memory(load);
		return true;
	}
	script->prefix[script->prefixes] = prefix;
	return become_test(load, expr, AST_PREFIX, subject, script->prefixes++);
}

bool check_comparison(struct route_load *load, struct ast_expr *expr)
{
	struct ast_expr *a = expr->a, *b = expr->b;
	int subject;

	if (expr->op != AST_OP_EQ && expr->op != AST_OP_NE)
		return false;
	if (is_word(a, "myself")) {
		a = expr->b;
		b = expr->a;
	}
	subject = subject_of(a);
	if (is_word(b, "myself")) {
		if (subject < 0) {
			load_error(load, a->at,
				"'myself' is compared with uri, from_uri, to_uri, src_ip or "
				"dst_ip");
			return true;
		}
		return become_test(load, expr, AST_MYSELF, subject, 0);
	}
	/* A string beside src_ip is an address; beside $si it is text, as in Kamailio. */
	if ((subject == AST_SRC_IP || subject == AST_DST_IP) &&
		(b->kind == AST_ADDRESS || (b->kind == AST_STR && a->kind == AST_NAME)))
		return compare_address(load, expr, subject, b);
	if (is_word(a, "method") || (a->kind == AST_VAR && str_eq(a->text, STR("$rm")))) {
		enum sip_method method = b->kind == AST_NAME || b->kind == AST_STR
						 ? sip_method_of(b->text)
						 : SIP_METHOD_OTHER;

		if (method != SIP_METHOD_OTHER && method != SIP_METHOD_NONE)
			return become_test(load, expr, AST_METHOD_IS, (int)method, 0);
		if (b->kind == AST_NAME)
			b->kind = AST_STR; /* a method that is not known by name */
	}
	if (is_word(a, "proto") && b->kind == AST_STR) {
		enum sip_transport transport = sip_transport_of(b->text);

		if (transport == SIP_TRANSPORT_OTHER || transport == SIP_TRANSPORT_NONE) {
			load_error(load, b->at, "'%.*s' is no transport", STR_FMT(b->text));
			return true;
		}
		b->kind = AST_INT;
		b->i = (int64_t)transport;
	}
	return false;
}
