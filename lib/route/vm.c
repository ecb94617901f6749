/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The routing VM. It runs on workers: no allocation, no lock, no log; text goes to the context's
 * arena, and steps, calls and stack are bounded. A run stops with its program counter at the
 * instruction that could not go on, and the arguments of that still on the stack.
 */
#include "route/vm.h"

#include "route/function.h"

/* ---- tests on the message ---- */

static bool method_is(struct route_ctx *ctx, enum sip_method method)
{
	if (!ctx->msg.is_response)
		return ctx->msg.method == method;
	return sip_msg_cseq(&ctx->msg, ctx->buf) && ctx->msg.cseq_method == method;
}

/* The spans of `uri` count from `base`. */
static bool uri_is_myself(struct route_ctx *ctx, const char *base, const struct sip_uri *uri)
{
	uint16_t port = SIP_DEFAULT_PORT;

	if (uri == NULL || (uri->scheme != SIP_SCHEME_SIP && uri->scheme != SIP_SCHEME_SIPS))
		return false;
	if (uri->port != 0)
		port = uri->port;
	else if (uri->scheme == SIP_SCHEME_SIPS || uri->transport == SIP_TRANSPORT_TLS)
		port = SIPS_DEFAULT_PORT;
	return route_host_is_myself(ctx, sip_text(base, uri->host), port, uri->transport);
}

static bool is_myself(struct route_ctx *ctx, enum ast_subject subject)
{
	const struct route_hooks *hooks = &ctx->script->registry.hooks;
	const struct sip_address *address;
	const struct net_endpoint *ep;
	char text[NET_ADDR_TEXT_MAX];
	struct uri_view view;

	if (hooks->is_myself == NULL)
		return false;
	switch (subject) {
	case AST_URI:
		return uri_current(ctx, &view) && uri_is_myself(ctx, view.base, view.uri);
	case AST_FROM_URI:
	case AST_TO_URI:
		address = subject == AST_FROM_URI ? sip_msg_from(&ctx->msg, ctx->buf)
						  : sip_msg_to(&ctx->msg, ctx->buf);
		return address != NULL && uri_view_of(sip_text(ctx->buf, address->uri), &view) &&
		       uri_is_myself(ctx, view.base, view.uri);
	default:
		ep = subject == AST_SRC_IP ? &ctx->origin.src : &ctx->origin.dst;
		return hooks->is_myself(hooks->room, str_of(text, net_addr_format(&ep->addr, text)),
			0, SIP_TRANSPORT_NONE);
	}
}

static int64_t origin(const struct route_ctx *ctx, enum code_origin what)
{
	switch (what) {
	case CODE_ORIGIN_LENGTH:
		return ctx->msg.len;
	case CODE_ORIGIN_PROTO:
		return ctx->origin.transport;
	case CODE_ORIGIN_FAMILY:
		return ctx->origin.src.addr.family == 6 ? 10 : 2;
	case CODE_ORIGIN_SRC_PORT:
		return ctx->origin.src.port;
	case CODE_ORIGIN_DST_PORT:
		return ctx->origin.dst.port;
	case CODE_ORIGIN_RC:
		return ctx->rc;
	}
	return 0;
}

/* 1: matches, 0: does not, -1: the match limit was met. */
static int match(struct route_ctx *ctx, const struct code *code, const struct route_cell *cell)
{
	char digits[VALUE_NUMBER_MAX];
	struct str group[1];
	int n = route_regex_match(
		ctx, ctx->script->regex[code->c], vm_to_text(ctx, cell, digits), group, 1);

	return n < 0 ? -1 : (n > 0) != (code->a != 0);
}

/* ---- values ---- */

static struct route_cell *refuse(struct route_ctx *ctx, enum route_failure failure)
{
	if (ctx->failure == ROUTE_FAILURE_NONE)
		ctx->failure = (uint8_t)failure;
	return NULL;
}

static void get_slot(const struct route_ctx *ctx, unsigned slot, struct route_cell *out)
{
	/* A variable that nothing was written to is 0, as in Kamailio. */
	if ((ctx->var_set >> slot & 1) != 0)
		*out = ctx->var[slot];
	else
		vm_set_int(out, 0);
}

static void set_slot(struct route_ctx *ctx, unsigned slot, const struct route_cell *value)
{
	ctx->var[slot] = *value;
	if (value->type == ROUTE_NULL)
		vm_set_int(&ctx->var[slot], 0);
	ctx->var_set |= 1ULL << slot;
}

static bool get_variable(struct route_ctx *ctx, const struct code *code, struct route_cell *out)
{
	const struct code_variable *use = &ctx->script->use[code->c];
	struct route_value v;

	return use->variable->get(ctx, &use->index, &v) && vm_set_value(ctx, out, &v);
}

static void set_variable(
	struct route_ctx *ctx, const struct code *code, const struct route_cell *value)
{
	const struct code_variable *use = &ctx->script->use[code->c];
	struct route_value v;

	vm_get_value(ctx, value, &v);
	ctx->rc = use->variable->set(ctx, &use->index, &v) ? ROUTE_TRUE : ROUTE_FALSE;
}

static bool format(struct route_ctx *ctx, const struct code *code, struct route_cell *out)
{
	struct route_value v;

	return route_format_eval(ctx, ctx->script->format[code->c], &v) &&
	       vm_set_value(ctx, out, &v);
}

static bool apply(struct route_ctx *ctx, const struct code *code, struct route_cell *cell)
{
	struct route_value v;

	vm_get_value(ctx, cell, &v);
	return transform_apply(ctx, &ctx->script->transform[code->c], &v) &&
	       vm_set_value(ctx, cell, &v);
}

/* An instruction that does nothing but with the stack, whose next free cell is `top`. Returns the
 * new one, or NULL where the run ends, and ctx->failure says why. */
__attribute__((noinline)) static struct route_cell *operate(
	struct route_ctx *ctx, const struct code *code, struct route_cell *top)
{
	const struct route_script *script = ctx->script;
	int matched;

	switch ((enum code_op)code->op) {
	case CODE_PUSH:
		*top = script->cell[code->c];
		return top + 1;
	case CODE_PUSH_INT:
		vm_set_int(top, (int32_t)code->c);
		return top + 1;
	case CODE_PUSH_RC:
		vm_set_int(top, ctx->rc > 0);
		return top + 1;
	case CODE_POP:
		return top - 1;
	case CODE_COPY:
		*top = top[-1];
		return top + 1;
	case CODE_GET:
		return get_variable(ctx, code, top) ? top + 1 : refuse(ctx, ROUTE_FAILURE_INTERNAL);
	case CODE_GET_SLOT:
		get_slot(ctx, code->b, top);
		return top + 1;
	case CODE_SET:
		set_variable(ctx, code, top - 1);
		return ctx->failure == ROUTE_FAILURE_NONE ? top - 1 : NULL;
	case CODE_SET_SLOT:
		set_slot(ctx, code->b, top - 1);
		return top - 1;
	case CODE_FORMAT:
		return format(ctx, code, top) ? top + 1 : refuse(ctx, ROUTE_FAILURE_TEXT_FULL);
	case CODE_ORIGIN:
		vm_set_int(top, origin(ctx, (enum code_origin)code->b));
		return top + 1;
	case CODE_MATCH:
		matched = match(ctx, code, top - 1);
		if (matched < 0)
			return refuse(ctx, ROUTE_FAILURE_REGEX_LIMIT);
		vm_set_int(top - 1, matched);
		return top;
	case CODE_ARITH:
		vm_arithmetic(ctx, (enum ast_op)code->b, top - 2, top - 1);
		return top - 1;
	case CODE_ADD:
		return vm_add(ctx, top - 2) ? top - 1 : refuse(ctx, ROUTE_FAILURE_TEXT_FULL);
	case CODE_CONCAT:
		top -= code->b;
		return vm_concat(ctx, top, code->b) ? top + 1
						    : refuse(ctx, ROUTE_FAILURE_TEXT_FULL);
	case CODE_UNARY:
		return vm_unary(ctx, (enum ast_op)code->b, top - 1)
			       ? top
			       : refuse(ctx, ROUTE_FAILURE_TEXT_FULL);
	case CODE_TRANSFORM:
		return apply(ctx, code, top - 1) ? top : refuse(ctx, ROUTE_FAILURE_TEXT_FULL);
	default:
		return refuse(ctx, ROUTE_FAILURE_INTERNAL);
	}
}

/* A test that leaves 0 or 1; `top` stands where operands end. */
__attribute__((noinline)) static bool holds(
	struct route_ctx *ctx, const struct code *code, const struct route_cell *top)
{
	switch ((enum code_op)code->op) {
	case CODE_METHOD_IS:
		return method_is(ctx, (enum sip_method)code->b);
	case CODE_MYSELF:
		return is_myself(ctx, (enum ast_subject)code->b);
	case CODE_PREFIX:
		return net_prefix_holds(&ctx->script->prefix[code->c],
			code->b == AST_SRC_IP ? &ctx->origin.src.addr : &ctx->origin.dst.addr);
	default:
		return vm_compare(ctx, (enum ast_op)code->b, top - 2, top - 1);
	}
}

/* ---- calls ---- */

/* Runs a site. The arguments stay on the stack until it has come back with a result. */
__attribute__((noinline)) static int32_t call(
	struct route_ctx *ctx, const struct code_site *site, unsigned sp)
{
	struct route_value v[ROUTE_ARGS_MAX];
	struct route_args args;
	const struct route_cell *cell;

	if (site->args.v != NULL || site->args.n == 0)
		return site->run(ctx, &site->args);
	args = site->args;
	cell = &ctx->stack[sp - args.n];
	for (unsigned i = 0; i < args.n; i++)
		vm_get_value(ctx, &cell[i], &v[i]);
	args.v = v;
	return site->run(ctx, &args);
}

/* The same of a function that needs state, or may run another block: that one's cells stand above
 * this one's. */
static int32_t call_slow(struct route_ctx *ctx, const struct code_site *site,
	const struct code *code, unsigned sp, uint32_t steps)
{
	int32_t rc;

	ctx->steps = steps;
	if (site->run == NULL || (!ctx->thread->has_state && !site->tried))
		return ROUTE_NEEDS_STATE;
	ctx->pc = (uint32_t)(code - ctx->script->code);
	ctx->sp = (uint16_t)sp;
	ctx->calling = true;
	rc = call(ctx, site, sp);
	ctx->calling = false;
	return rc;
}

/* What is_method() says; nearly all ask a request for methods that have a number. */
static inline bool is_method(struct route_ctx *ctx, const struct code_site *site)
{
	const struct methods *m = site->args.data;

	if (!ctx->msg.is_response && ctx->msg.method != SIP_METHOD_OTHER)
		return (m->known >> ctx->msg.method & 1) != 0;
	return site->run(ctx, &site->args) > 0;
}

/* Where a function's result lets the run go on; $rc is set then. The two least of all numbers say
 * that it cannot. */
static inline bool goes_on(struct route_ctx *ctx, int32_t rc)
{
	if (__builtin_expect(ctx->failure != ROUTE_FAILURE_NONE, 0) || rc <= ROUTE_NEEDS_STATE)
		return false;
	ctx->rc = rc;
	return rc != ROUTE_EXIT;
}

static enum route_verdict stop(struct route_ctx *ctx, const struct code *code, unsigned sp,
	uint32_t steps, enum route_verdict verdict)
{
	ctx->pc = (uint32_t)(code - ctx->script->code);
	ctx->sp = (uint16_t)sp;
	ctx->steps = steps;
	if (verdict == ROUTE_SLOW)
		ctx->stopped_at = ctx->pc;
	else if (verdict == ROUTE_ENDED)
		ctx->sp = ctx->calls = 0;
	return verdict;
}

static enum route_verdict fail(struct route_ctx *ctx, const struct code *code, unsigned sp,
	uint32_t steps, enum route_failure failure)
{
	refuse(ctx, failure);
	return stop(ctx, code, sp, steps, ROUTE_FAILED);
}

/* Of a function that returned and after which the run does not go on. */
static enum route_verdict stop_call(
	struct route_ctx *ctx, const struct code *code, unsigned sp, uint32_t steps, int32_t rc)
{
	if (ctx->failure != ROUTE_FAILURE_NONE)
		return stop(ctx, code, sp, steps, ROUTE_FAILED);
	if (rc == ROUTE_EXIT)
		return stop(ctx, code, sp, steps, ROUTE_ENDED);
	return stop(ctx, code, sp, steps, rc == ROUTE_PENDING ? ROUTE_WAIT : ROUTE_SLOW);
}

/* route(X): whether there is room for it. */
static inline bool enter_route(
	struct route_ctx *ctx, const struct code_block *block, const struct code *code, unsigned sp)
{
	if (ctx->calls == ROUTE_CALLS_MAX || sp + block->stack > ROUTE_STACK_MAX) {
		refuse(ctx,
			ctx->calls == ROUTE_CALLS_MAX ? ROUTE_FAILURE_CALLS : ROUTE_FAILURE_STACK);
		return false;
	}
	ctx->call_pc[ctx->calls++] = (uint32_t)(code - ctx->script->code) + 1;
	return true;
}

#define STOP(verdict) return stop(ctx, code, sp, steps, verdict)
#define FAIL(failure) return fail(ctx, code, sp, steps, ROUTE_FAILURE_##failure)

enum route_verdict route_resume(struct route_ctx *ctx)
{
	const struct route_script *script = ctx->script;
	const struct code *const begin = script->code, *code = begin + ctx->pc;
	struct route_cell *const stack = ctx->stack;
	uint32_t steps = ctx->steps;
	unsigned sp = ctx->sp;

	for (;;) {
		const struct code_site *site;
		struct route_cell *top;
		bool holding;
		int32_t rc;

		if (++steps > ROUTE_STEPS_MAX)
			FAIL(STEPS);
		/* What scripts are made of. */
		if (code->op == CODE_TEST) {
			site = &script->site[code->c];
			rc = site->run(ctx, &site->args);
			if (!goes_on(ctx, rc))
				return stop_call(ctx, code, sp, steps, rc);
			code = (rc > 0) == code->b ? begin + code[1].c : code + 2;
			continue;
		}
		switch ((enum code_op)code->op) {
		case CODE_TEST_METHOD:
			holding = is_method(ctx, &script->site[code->c]);
			ctx->rc = truth(holding);
			code = holding == code->b ? begin + code[1].c : code + 2;
			continue;
		case CODE_READY:
			site = &script->site[code->c];
			rc = site->run(ctx, &site->args);
			if (!goes_on(ctx, rc))
				return stop_call(ctx, code, sp, steps, rc);
			break;
		case CODE_CALL:
			site = &script->site[code->c];
			if (!site->slow) {
				rc = call(ctx, site, sp);
			} else {
				rc = call_slow(ctx, site, code, sp, steps);
				steps = ctx->steps;
			}
			if (!goes_on(ctx, rc))
				return stop_call(ctx, code, sp, steps, rc);
			sp -= code->a != 0 ? 0 : site->args.n;
			break;
		case CODE_RETURN:
			ctx->rc = (int32_t)vm_to_int(ctx, &stack[--sp]);
			if (ctx->rc == 0 || ctx->calls == 0)
				STOP(ROUTE_ENDED);
			code = begin + ctx->call_pc[--ctx->calls];
			continue;
		case CODE_RETURN_ONE:
			ctx->rc = 1;
			if (ctx->calls == 0)
				STOP(ROUTE_ENDED);
			code = begin + ctx->call_pc[--ctx->calls];
			continue;
		case CODE_DROP:
			/* A response is not passed on. A request ends as with exit: what forward()
			 * or a reply has decided stays, and where neither has, the counter tells a
			 * drop from a forgotten case. */
			ctx->result.drop = true;
			STOP(ROUTE_ENDED);
		case CODE_EXIT:
			STOP(ROUTE_ENDED);
		case CODE_STATE:
			STOP(ROUTE_SLOW);
		case CODE_JUMP:
			code = begin + code->c;
			continue;
		case CODE_JUMP_FALSE:
			code = vm_is_true(ctx, &stack[--sp]) ? code + 1 : begin + code->c;
			continue;
		case CODE_JUMP_TRUE:
			code = vm_is_true(ctx, &stack[--sp]) ? begin + code->c : code + 1;
			continue;
		case CODE_JUMP_RC_FALSE:
			code = ctx->rc > 0 ? code + 1 : begin + code->c;
			continue;
		case CODE_JUMP_RC_TRUE:
			code = ctx->rc > 0 ? begin + code->c : code + 1;
			continue;
		case CODE_GUARD:
			if ((code->b & ctx->in) == 0) {
				ctx->rc = ROUTE_FALSE;
				code = begin + code->c;
				continue;
			}
			break;
		case CODE_ROUTE:
			if (!enter_route(ctx, &script->block[code->c], code, sp))
				STOP(ROUTE_FAILED);
			code = begin + script->block[code->c].pc;
			continue;
		case CODE_COMPARE:
		case CODE_MYSELF:
		case CODE_PREFIX:
		case CODE_METHOD_IS:
			holding = holds(ctx, code, &stack[sp]);
			if (__builtin_expect(ctx->failure != ROUTE_FAILURE_NONE, 0))
				STOP(ROUTE_FAILED);
			sp -= code->op == CODE_COMPARE ? 2 : 0;
			/* What is behind it asks for nothing but its truth, nearly always. */
			if (code[1].op == CODE_JUMP_FALSE || code[1].op == CODE_JUMP_TRUE) {
				code = holding == (code[1].op == CODE_JUMP_TRUE) ? begin + code[1].c
										 : code + 2;
				continue;
			}
			vm_set_int(&stack[sp++], holding);
			break;
		default:
			top = operate(ctx, code, &stack[sp]);
			if (top == NULL)
				STOP(ROUTE_FAILED);
			sp = (unsigned)(top - stack);
			break;
		}
		code++;
	}
}

void route_stop(struct route_ctx *ctx)
{
	ctx->pc = ctx->script->end_pc;
	ctx->sp = ctx->calls = 0;
}

enum route_verdict route_run(struct route_ctx *ctx)
{
	const struct route_script *script = ctx->script;
	uint32_t block = ctx->msg.is_response ? script->reply : script->request;

	ctx->in = ctx->msg.is_response ? ROUTE_IN_REPLY : ROUTE_IN_REQUEST;
	if (block == CODE_NO_BLOCK)
		return ROUTE_ENDED;
	ctx->pc = script->block[block].pc;
	return route_resume(ctx);
}

/* A block's result is its own, but for what append_to_reply() has gathered. */
static void begin_result(struct route_ctx *ctx)
{
	struct route_text headers = ctx->result.headers;

	ctx->result = (struct route_result){
		.target = {.listener = -1, .destination = -1}, .headers = headers};
}

static enum route_verdict enter(struct route_ctx *ctx, const struct code_block *block)
{
	if (ctx->calls == ROUTE_CALLS_MAX) {
		refuse(ctx, ROUTE_FAILURE_CALLS);
		return ROUTE_FAILED;
	}
	if (ctx->sp + block->stack > ROUTE_STACK_MAX) {
		refuse(ctx, ROUTE_FAILURE_STACK);
		return ROUTE_FAILED;
	}
	/* Its end is an end of the run, and nothing goes on behind it. */
	ctx->call_pc[ctx->calls++] = ctx->script->end_pc;
	ctx->pc = block->pc;
	return route_resume(ctx);
}

enum route_verdict route_run_block(struct route_ctx *ctx, uint32_t block, enum route_in in)
{
	const struct route_script *script = ctx->script;
	uint32_t pc = ctx->pc, stopped_at = ctx->stopped_at;
	uint16_t sp = ctx->sp, calls = ctx->calls;
	int32_t rc = ctx->rc;
	uint8_t was_in = ctx->in;
	bool calling = ctx->calling;
	enum route_verdict verdict;

	if (block >= script->blocks) {
		refuse(ctx, ROUTE_FAILURE_INTERNAL);
		return ROUTE_FAILED;
	}
	begin_result(ctx);
	ctx->in = (uint8_t)in;
	ctx->rc = 0;
	ctx->calling = false;
	verdict = enter(ctx, &script->block[block]);
	if (verdict == ROUTE_WAIT && !calling)
		return verdict;
	ctx->pc = pc;
	/* Who asks for the name of a stop asks before this block goes on. */
	if (verdict != ROUTE_SLOW)
		ctx->stopped_at = stopped_at;
	ctx->sp = sp;
	ctx->calls = calls;
	ctx->rc = rc;
	ctx->in = was_in;
	ctx->calling = calling;
	return verdict;
}

void route_run_error(struct route_ctx *ctx, struct str error)
{
	struct route_result planned = ctx->result;
	const struct route_result *r = &ctx->result;

	ctx->reply_status = planned.status;
	ctx->reply_reason = planned.reason;
	ctx->error = route_text_keep(ctx, error);
	if (route_resume_without(ctx, route_run_block(ctx, ctx->script->error, ROUTE_IN_ERROR)) !=
		ROUTE_ENDED) {
		ctx->result = planned;
	} else if (r->forward || (!r->reply && !r->drop)) {
		planned.headers = r->headers;
		ctx->result = planned;
	}
	ctx->failure = ROUTE_FAILURE_NONE;
}

const char *code_name_at(const struct route_script *script, uint32_t pc)
{
	uint32_t low = 0, high = script->names;

	while (high - low > 1) {
		uint32_t middle = (low + high) / 2;

		if (script->name[middle].pc <= pc)
			low = middle;
		else
			high = middle;
	}
	return low < script->names && script->name[low].pc == pc ? script->name[low].name : "";
}

const char *route_stop_name(const struct route_ctx *ctx)
{
	return code_name_at(ctx->script, ctx->stopped_at);
}
