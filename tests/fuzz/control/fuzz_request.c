/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as what a client sends, in pieces: a line of JSON for each answer, and nothing left
 * over. */
#include <stdlib.h>

#include "control/rpc.h"

#define STEPS_MAX 1000

static unsigned waits;

static void run_any(struct rpc_call *call)
{
	/* As bytes of the network would come in. */
	call->result = rpc_string(rpc_text(call, 0));
}

static void run_fail(struct rpc_call *call)
{
	rpc_fail(call, RPC_ERROR_FAILED, "%.*s", STR_FMT(rpc_text(call, 0)));
}

static bool again(struct rpc_call *call)
{
	return ++waits % 3 == 0;
}

static void run_later(struct rpc_call *call)
{
	call->again = again;
}

static void run_echo(struct rpc_call *call)
{
	struct str text = rpc_text(call, 0);

	if (text.len == 0)
		rpc_fail(call, RPC_ERROR_PARAMS, "empty");
	else
		call->result = json_pack("[o, I, b]", rpc_string(text),
			(json_int_t)rpc_number(call, 1, 0), (int)rpc_truth(call, 2, false));
}

static const struct rpc_command commands[] = {
	{"e", run_echo, false, "echo",
		{{"t", RPC_TEXT, false, "text"}, {"n", RPC_NUMBER, true, "number"},
			{"b", RPC_TRUTH, true, "truth"}}},
	{"a", run_any, false, "any", {{"t", RPC_TEXT, true, "text"}}},
	{"f", run_fail, true, "fail", {{"t", RPC_TEXT, true, "text"}}},
	{"l", run_later, false, "later", {{0}}},
	{0},
};

/* Each line of an answer is JSON, and there is no other. */
static void check_answer(const struct rpc_out *out)
{
	size_t at = 0;

	while (at < out->len) {
		const char *end = memchr(out->text + at, '\n', out->len - at);
		json_t *answer;

		if (end == NULL)
			abort();
		answer = json_loadb(out->text + at, (size_t)(end - out->text) - at, 0, NULL);
		if (!json_is_object(answer) && !json_is_array(answer))
			abort();
		json_decref(answer);
		at = (size_t)(end - out->text) + 1;
	}
}

static void work(const char *text, size_t len)
{
	static struct rpc_work w;
	struct rpc_out out = {NULL, 0, 0};
	unsigned steps = 0;

	memset(&w, 0, sizeof(w));
	rpc_work_begin(&w, text, len, &out);
	while (w.request != NULL && ++steps < STEPS_MAX)
		(void)rpc_work_step(&w, commands, NULL, &out);
	if (w.request != NULL || w.failed)
		abort();
	check_answer(&out);
	free(out.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc_frame f = {0};
	size_t piece, have = 0, at = 0, len = 0;
	char *in;

	if (size < 2)
		return 0;
	piece = data[0] % 64 + 1;
	data++;
	size--;
	/* Exactly as long as what has come: an over-read is seen. */
	while (have < size) {
		size_t n = size - have < piece ? size - have : piece;
		enum rpc_framed framed;

		in = malloc(len + n);
		memcpy(in, data + have - len, len + n);
		have += n;
		len += n;
		do {
			framed = rpc_frame_read(&f, in, len, &at);
			if (at > len)
				abort();
			if (framed == RPC_FRAME_WHOLE) {
				if (f.depth != 0 || f.text || at == 0)
					abort();
				work(in, at);
				len -= at;
				memmove(in, in + at, len);
				at = 0;
				while (len > 0 && str_is_lws(in[0]))
					memmove(in, in + 1, --len);
			}
		} while (framed == RPC_FRAME_WHOLE && len > 0);
		free(in);
		if (framed == RPC_FRAME_BAD)
			return 0;
	}
	return 0;
}
