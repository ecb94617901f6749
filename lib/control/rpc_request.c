/* SPDX-License-Identifier: BSD-3-Clause */
/* What stands in requests and answers: JSON-RPC 2.0, objects and batches. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/rpc.h"

/* ---- text that grows ---- */

static int append(const char *text, size_t len, void *arg)
{
	struct rpc_out *out = arg;
	size_t size = out->size != 0 ? out->size : 512;
	char *grown;

	if (len > RPC_ANSWER_MAX || out->len > RPC_ANSWER_MAX - len)
		return -1;
	while (size < out->len + len)
		size *= 2;
	if (size != out->size) {
		grown = realloc(out->text, size);
		if (grown == NULL)
			return -1;
		out->text = grown;
		out->size = size;
	}
	memcpy(out->text + out->len, text, len);
	out->len += len;
	return 0;
}

static int append_json(struct rpc_out *out, const json_t *value)
{
	return json_dump_callback(value, append, out, JSON_COMPACT | JSON_ENCODE_ANY);
}

/* ---- texts ---- */

json_t *rpc_string(struct str text)
{
	static const char unknown[] = "\xef\xbf\xbd";
	json_t *out = json_stringn(text.len != 0 ? text.s : "", text.len);
	uint32_t at = 0, len = 0;
	char *mended;

	if (out != NULL)
		return out;
	mended = malloc(text.len * (sizeof(unknown) - 1));
	while (mended != NULL && at < text.len) {
		unsigned n = str_utf8_char(str_of(text.s + at, text.len - at));

		memcpy(mended + len, n != 0 ? text.s + at : unknown, n != 0 ? n : 3);
		len += n != 0 ? n : 3;
		at += n != 0 ? n : 1;
	}
	if (mended != NULL)
		out = json_stringn(mended, len);
	free(mended);
	return out;
}

struct str rpc_text(const struct rpc_call *call, unsigned n)
{
	const json_t *arg = call->arg[n];

	return arg != NULL ? str_of(json_string_value(arg), json_string_length(arg)) : STR_NONE;
}

int64_t rpc_number(const struct rpc_call *call, unsigned n, int64_t otherwise)
{
	return call->arg[n] != NULL ? json_integer_value(call->arg[n]) : otherwise;
}

bool rpc_truth(const struct rpc_call *call, unsigned n, bool otherwise)
{
	return call->arg[n] != NULL ? json_is_true(call->arg[n]) : otherwise;
}

void rpc_fail(struct rpc_call *call, int error, const char *fmt, ...)
{
	va_list ap;

	call->error = error;
	va_start(ap, fmt);
	vsnprintf(call->message, sizeof(call->message), fmt, ap);
	va_end(ap);
}

static const char *const type_name[] = {
	[RPC_TEXT] = "text", [RPC_NUMBER] = "number", [RPC_TRUTH] = "truth"};

json_t *rpc_describe(const struct rpc_command *commands)
{
	json_t *list = json_array();

	for (const struct rpc_command *c = commands; c->name != NULL; c++) {
		json_t *params = json_array();

		for (const struct rpc_param *p = c->param; p->name != NULL; p++)
			json_array_append_new(
				params, json_pack("{s:s, s:s, s:b, s:s}", "name", p->name, "type",
						type_name[p->type], "optional", p->optional, "help",
						p->help));
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:b, s:o}", "name", c->name, "help", c->help,
				      "changes", c->changes, "params", params));
	}
	return list;
}

/* ---- answers ---- */

/* Ends an answer: within a batch after a bracket or a comma, else on its own line. A failure takes
 * back all of it. */
static int put_answer(struct rpc_work *w, struct rpc_out *out, const json_t *answer)
{
	size_t begun = out->len;
	int err = 0;

	if (w->batch)
		err = append(w->answered ? "," : "[", 1, out);
	if (err == 0)
		err = append_json(out, answer);
	if (err == 0 && !w->batch)
		err = append("\n", 1, out);
	if (err != 0)
		out->len = begun;
	else
		w->answered = true;
	return err;
}

static json_t *error_object(json_t *id, int error, const char *message)
{
	json_t *text = rpc_string(str_c(message));

	return json_pack("{s:s, s:{s:i, s:o}, s:O}", "jsonrpc", "2.0", "error", "code", error,
		"message", text, "id", id);
}

static void put_error(
	struct rpc_work *w, struct rpc_out *out, json_t *id, int error, const char *message)
{
	json_t *none = json_null(), *answer;

	answer = error_object(id != NULL ? id : none, error, message);
	w->errors++;
	if (answer == NULL || put_answer(w, out, answer) != 0)
		w->failed = true;
	json_decref(answer);
}

void rpc_out_error(struct rpc_out *out, int error, const char *message)
{
	struct rpc_work w = {.batch = false};

	put_error(&w, out, NULL, error, message);
}

/* ---- requests ---- */

static json_t *current(const struct rpc_work *w)
{
	return w->batch ? json_array_get(w->request, w->member) : w->request;
}

/* The id, whose absence makes a request a notification that nobody hears of again; NULL then. */
static json_t *id_of(const struct rpc_work *w)
{
	return json_object_get(current(w), "id");
}

/* On to the next member; behind the last one nothing is left. */
static void advance(struct rpc_work *w, struct rpc_out *out)
{
	if (w->batch && ++w->member < json_array_size(w->request))
		return;
	if (w->batch && w->answered && append("]\n", 2, out) != 0)
		w->failed = true;
	json_decref(w->request);
	w->request = NULL;
}

static void finish_call(struct rpc_work *w, struct rpc_out *out)
{
	struct rpc_call *call = &w->call;
	json_t *id = id_of(w), *answer;

	w->called = false;
	if (id != NULL && call->error != 0) {
		put_error(w, out, id, call->error, call->message);
	} else if (id != NULL) {
		answer = json_pack("{s:s, s:o, s:O}", "jsonrpc", "2.0", "result",
			call->result != NULL ? call->result : json_null(), "id", id);
		call->result = NULL;
		if (answer == NULL)
			w->failed = true;
		else if (put_answer(w, out, answer) != 0)
			put_error(w, out, id, RPC_ERROR_FAILED, "the answer is too long");
		json_decref(answer);
	} else {
		w->errors += call->error != 0;
	}
	json_decref(call->result);
	call->result = NULL;
	advance(w, out);
}

static bool type_fits(const json_t *value, enum rpc_type type)
{
	switch (type) {
	case RPC_TEXT:
		return json_is_string(value);
	case RPC_NUMBER:
		return json_is_integer(value);
	case RPC_TRUTH:
		return json_is_boolean(value);
	}
	return false;
}

/* Puts an argument to its parameter; NULL, or what is wrong. */
static const char *place_arg(struct rpc_call *call, const struct rpc_command *c, unsigned n,
	const json_t *value, char room[256])
{
	if (!type_fits(value, c->param[n].type)) {
		snprintf(room, 256, "%s: '%s' is a %s", c->name, c->param[n].name,
			type_name[c->param[n].type]);
		return room;
	}
	call->arg[n] = value;
	return NULL;
}

static const char *args_by_name(
	struct rpc_call *call, const struct rpc_command *c, json_t *params, char room[256])
{
	const char *name, *wrong = NULL;
	json_t *value;

	json_object_foreach(params, name, value)
	{
		unsigned n = 0;

		while (c->param[n].name != NULL && strcmp(c->param[n].name, name) != 0)
			n++;
		if (c->param[n].name == NULL) {
			snprintf(room, 256, "%s has no parameter '%.100s'", c->name, name);
			return room;
		}
		wrong = place_arg(call, c, n, value, room);
		if (wrong != NULL)
			return wrong;
	}
	return NULL;
}

static const char *args_by_place(
	struct rpc_call *call, const struct rpc_command *c, const json_t *params, char room[256])
{
	for (unsigned n = 0; n < json_array_size(params); n++) {
		const char *wrong;

		if (n == RPC_PARAMS_MAX || c->param[n].name == NULL) {
			snprintf(room, 256, "%s takes %u parameters at most", c->name, n);
			return room;
		}
		wrong = place_arg(call, c, n, json_array_get(params, n), room);
		if (wrong != NULL)
			return wrong;
	}
	return NULL;
}

static const char *read_args(
	struct rpc_call *call, const struct rpc_command *c, json_t *params, char room[256])
{
	const char *wrong = NULL;

	if (json_is_object(params))
		wrong = args_by_name(call, c, params, room);
	else if (json_is_array(params))
		wrong = args_by_place(call, c, params, room);
	else if (params != NULL)
		wrong = "params is an object or an array";
	for (unsigned n = 0; wrong == NULL && c->param[n].name != NULL; n++) {
		if (!c->param[n].optional && call->arg[n] == NULL) {
			snprintf(room, 256, "%s: '%s' (%s) is missing", c->name, c->param[n].name,
				c->param[n].help);
			wrong = room;
		}
	}
	return wrong;
}

/* RFC-less, www.jsonrpc.org/specification 4: whether an object is a request. */
static bool is_request(const json_t *request)
{
	const json_t *version = json_object_get(request, "jsonrpc");
	const json_t *id = json_object_get(request, "id");

	return json_is_object(request) && json_is_string(version) &&
	       strcmp(json_string_value(version), "2.0") == 0 &&
	       json_is_string(json_object_get(request, "method")) &&
	       (id == NULL || json_is_string(id) || json_is_number(id) || json_is_null(id));
}

static const struct rpc_command *find(const struct rpc_command *c, const char *name)
{
	while (c->name != NULL && strcmp(c->name, name) != 0)
		c++;
	return c->name != NULL ? c : NULL;
}

/* Refuses the member in hand; a notification in silence. */
static void refuse(struct rpc_work *w, struct rpc_out *out, json_t *id, bool silent, int error,
	const char *message)
{
	if (silent)
		w->errors++;
	else
		put_error(w, out, id, error, message);
	advance(w, out);
}

static void begin_member(
	struct rpc_work *w, const struct rpc_command *commands, void *room, struct rpc_out *out)
{
	json_t *request = current(w), *id = json_object_get(request, "id");
	const char *method, *wrong;
	char text[256];

	w->requests++;
	w->command = NULL;
	if (!is_request(request)) {
		refuse(w, out, NULL, false, RPC_ERROR_REQUEST,
			"no request of JSON-RPC 2.0: {\"jsonrpc\": \"2.0\", \"method\": TEXT, "
			"\"params\": {...}, \"id\": ...}");
		return;
	}
	method = json_string_value(json_object_get(request, "method"));
	w->command = find(commands, method);
	if (w->command == NULL) {
		snprintf(text, sizeof(text), "there is no method '%.100s'; rpc.list names all",
			method);
		refuse(w, out, id, id == NULL, RPC_ERROR_METHOD, text);
		return;
	}
	memset(&w->call, 0, offsetof(struct rpc_call, message));
	w->call.message[0] = '\0';
	w->call.again = NULL;
	w->call.state = NULL;
	w->call.drop = NULL;
	w->call.room = room;
	wrong = read_args(&w->call, w->command, json_object_get(request, "params"), text);
	if (wrong != NULL) {
		w->command = NULL;
		refuse(w, out, id, id == NULL, RPC_ERROR_PARAMS, wrong);
		return;
	}
	w->called = true;
	w->command->run(&w->call);
	if (w->call.again == NULL)
		finish_call(w, out);
}

void rpc_work_begin(struct rpc_work *w, const char *text, size_t len, struct rpc_out *out)
{
	json_error_t error;
	char message[256];

	w->batch = w->answered = w->called = w->failed = false;
	w->member = 0;
	w->command = NULL;
	w->request = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (w->request == NULL) {
		snprintf(message, sizeof(message), "no JSON: %.150s", error.text);
		put_error(w, out, NULL, RPC_ERROR_PARSE, message);
		return;
	}
	if (!json_is_array(w->request))
		return;
	if (json_array_size(w->request) == 0 || json_array_size(w->request) > RPC_BATCH_MAX) {
		snprintf(message, sizeof(message), "a batch has 1 to %d requests", RPC_BATCH_MAX);
		put_error(w, out, NULL, RPC_ERROR_REQUEST, message);
		json_decref(w->request);
		w->request = NULL;
		return;
	}
	w->batch = true;
}

bool rpc_work_step(
	struct rpc_work *w, const struct rpc_command *commands, void *room, struct rpc_out *out)
{
	if (!w->called) {
		begin_member(w, commands, room, out);
		return !w->called;
	}
	if (!w->call.again(&w->call))
		return false;
	finish_call(w, out);
	return true;
}

void rpc_work_drop(struct rpc_work *w)
{
	json_decref(w->call.result);
	w->call.result = NULL;
	json_decref(w->request);
	w->request = NULL;
	w->called = false;
}
