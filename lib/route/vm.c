/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The routing VM. It runs on workers: no allocation, no lock, no log; text goes to the context's
 * arena, and steps, calls and stack are bounded. A run stops with its program counter at the
 * instruction that could not go on, and the arguments of that still on the stack.
 */
#include "route/vm.h"

/* ---- tests on the message ---- */

static bool method_is(struct route_ctx *ctx, enum sip_method method)
{
	if (!ctx->msg.is_response)
		return ctx->msg.method == method;
	return sip_msg_cseq(&ctx->msg, ctx->buf) && ctx->msg.cseq_method == method;
}

/* The spans of `uri` count from `base`. */
static bool uri_is_myself(
	const struct route_hooks *hooks, const char *base, const struct sip_uri *uri)
{
	uint16_t port = SIP_DEFAULT_PORT;

	if (uri == NULL || (uri->scheme != SIP_SCHEME_SIP && uri->scheme != SIP_SCHEME_SIPS))
		return false;
	if (uri->port != 0)
		port = uri->port;
	else if (uri->scheme == SIP_SCHEME_SIPS || uri->transport == SIP_TRANSPORT_TLS)
		port = SIPS_DEFAULT_PORT;
	return hooks->is_myself(hooks->room, sip_text(base, uri->host), port, uri->transport);
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
		return uri_current(ctx, &view) && uri_is_myself(hooks, view.base, view.uri);
	case AST_FROM_URI:
	case AST_TO_URI:
		address = subject == AST_FROM_URI ? sip_msg_from(&ctx->msg, ctx->buf)
						  : sip_msg_to(&ctx->msg, ctx->buf);
		return address != NULL && uri_view_of(sip_text(ctx->buf, address->uri), &view) &&
		       uri_is_myself(hooks, view.base, view.uri);
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

/* ---- calls ---- */

/* Runs a site. The arguments stay on the stack until it has come back with a result. */
static inline int32_t call(struct route_ctx *ctx, const struct code_site *site, unsigned sp)
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

static enum route_verdict stop(
	struct route_ctx *ctx, uint32_t pc, unsigned sp, uint32_t steps, enum route_verdict verdict)
{
	ctx->pc = pc;
	ctx->sp = (uint16_t)sp;
	ctx->steps = steps;
	if (verdict == ROUTE_SLOW)
		ctx->stopped_at = pc;
	return verdict;
}

static enum route_verdict fail(
	struct route_ctx *ctx, uint32_t pc, unsigned sp, uint32_t steps, enum route_failure failure)
{
	if (ctx->failure == ROUTE_FAILURE_NONE)
		ctx->failure = (uint8_t)failure;
	return stop(ctx, pc, sp, steps, ROUTE_FAILED);
}

#define STOP(verdict) return stop(ctx, pc, sp, steps, verdict)
#define FAIL(failure) return fail(ctx, pc, sp, steps, ROUTE_FAILURE_##failure)

enum route_verdict route_resume(struct route_ctx *ctx)
{
	const struct route_script *script = ctx->script;
	struct route_cell *const stack = ctx->stack;
	uint32_t pc = ctx->pc, steps = ctx->steps;
	unsigned sp = ctx->sp;

	for (;;) {
		const struct code *code = &script->code[pc];

		if (++steps > ROUTE_STEPS_MAX)
			FAIL(STEPS);
		switch ((enum code_op)code->op) {
		case CODE_RETURN:
			ctx->rc = (int32_t)vm_to_int(ctx, &stack[--sp]);
			if (ctx->rc == 0 || ctx->calls == 0)
				STOP(ROUTE_ENDED);
			pc = ctx->call_pc[--ctx->calls];
			continue;
		case CODE_RETURN_ONE:
			ctx->rc = 1;
			if (ctx->calls == 0)
				STOP(ROUTE_ENDED);
			pc = ctx->call_pc[--ctx->calls];
			continue;
		case CODE_DROP:
			/* A response is not passed on. A request ends as with exit: what forward()
			 * or a reply has decided stays, and where neither has, the counter tells a
			 * drop from a forgotten case. */
			ctx->result.drop = true;
			STOP(ROUTE_ENDED);
		case CODE_EXIT:
			STOP(ROUTE_ENDED);
		case CODE_JUMP:
			pc = code->c;
			continue;
		case CODE_JUMP_FALSE:
			pc = vm_is_true(ctx, &stack[--sp]) ? pc + 1 : code->c;
			continue;
		case CODE_JUMP_TRUE:
			pc = vm_is_true(ctx, &stack[--sp]) ? code->c : pc + 1;
			continue;
		case CODE_JUMP_RC_FALSE:
			pc = ctx->rc > 0 ? pc + 1 : code->c;
			continue;
		case CODE_JUMP_RC_TRUE:
			pc = ctx->rc > 0 ? code->c : pc + 1;
			continue;
		case CODE_CALL: {
			const struct code_site *site = &script->site[code->c];
			int32_t rc;

			if (site->slow && (site->run == NULL || !ctx->thread->has_state))
				STOP(ROUTE_SLOW);
			rc = call(ctx, site, sp);
			if (ctx->failure != ROUTE_FAILURE_NONE)
				FAIL(INTERNAL);
			/* The two least of all numbers. */
			if (rc <= ROUTE_NEEDS_STATE)
				STOP(rc == ROUTE_PENDING ? ROUTE_WAIT : ROUTE_SLOW);
			sp -= code->a != 0 ? 0 : site->args.n;
			ctx->rc = rc;
			if (rc == ROUTE_EXIT)
				STOP(ROUTE_ENDED);
			break;
		}
		case CODE_GUARD:
			if ((code->b & ctx->in) == 0) {
				ctx->rc = ROUTE_FALSE;
				pc = code->c;
				continue;
			}
			break;
		case CODE_ROUTE: {
			const struct code_block *block = &script->block[code->c];

			if (ctx->calls == ROUTE_CALLS_MAX)
				FAIL(CALLS);
			if (sp + block->stack > ROUTE_STACK_MAX)
				FAIL(STACK);
			ctx->call_pc[ctx->calls++] = pc + 1;
			pc = block->pc;
			continue;
		}
		case CODE_STATE:
			STOP(ROUTE_SLOW);
		case CODE_PUSH:
			stack[sp++] = script->cell[code->c];
			break;
		case CODE_PUSH_INT:
			vm_set_int(&stack[sp++], (int32_t)code->c);
			break;
		case CODE_PUSH_RC:
			vm_set_int(&stack[sp++], ctx->rc > 0);
			break;
		case CODE_POP:
			sp--;
			break;
		case CODE_COPY:
			stack[sp] = stack[sp - 1];
			sp++;
			break;
		case CODE_GET: {
			struct route_value v;

			if (!route_variables[code->b].get(
				    ctx, vm_str(ctx, &script->cell[code->c]), &v) ||
				!vm_set_value(ctx, &stack[sp], &v))
				FAIL(INTERNAL);
			sp++;
			break;
		}
		case CODE_GET_SLOT:
			/* A variable that nothing was written to is 0, as in Kamailio. */
			if ((ctx->var_set >> code->b & 1) != 0)
				stack[sp] = ctx->var[code->b];
			else
				vm_set_int(&stack[sp], 0);
			sp++;
			break;
		case CODE_SET: {
			struct route_value v;

			vm_get_value(ctx, &stack[--sp], &v);
			ctx->rc = route_variables[code->b].set(
					  ctx, vm_str(ctx, &script->cell[code->c]), &v)
					  ? ROUTE_TRUE
					  : ROUTE_FALSE;
			if (ctx->failure != ROUTE_FAILURE_NONE)
				FAIL(INTERNAL);
			break;
		}
		case CODE_SET_SLOT:
			ctx->var[code->b] = stack[--sp];
			if (ctx->var[code->b].type == ROUTE_NULL)
				vm_set_int(&ctx->var[code->b], 0);
			ctx->var_set |= 1ULL << code->b;
			break;
		case CODE_FORMAT: {
			struct route_value v;

			if (!route_format_eval(ctx, script->format[code->c], &v) ||
				!vm_set_value(ctx, &stack[sp], &v))
				FAIL(TEXT_FULL);
			sp++;
			break;
		}
		case CODE_ORIGIN:
			vm_set_int(&stack[sp++], origin(ctx, (enum code_origin)code->b));
			break;
		case CODE_MYSELF:
			vm_set_int(&stack[sp++], is_myself(ctx, (enum ast_subject)code->b));
			break;
		case CODE_PREFIX:
			vm_set_int(&stack[sp++],
				net_prefix_holds(&script->prefix[code->c],
					code->b == AST_SRC_IP ? &ctx->origin.src.addr
							      : &ctx->origin.dst.addr));
			break;
		case CODE_METHOD_IS:
			vm_set_int(&stack[sp++], method_is(ctx, (enum sip_method)code->b));
			break;
		case CODE_MATCH: {
			int matched = match(ctx, code, &stack[sp - 1]);

			if (matched < 0)
				FAIL(REGEX_LIMIT);
			vm_set_int(&stack[sp - 1], matched);
			break;
		}
		case CODE_COMPARE:
			sp--;
			vm_set_int(&stack[sp - 1],
				vm_compare(ctx, (enum ast_op)code->b, &stack[sp - 1], &stack[sp]));
			break;
		case CODE_ARITH:
			sp--;
			vm_arithmetic(ctx, (enum ast_op)code->b, &stack[sp - 1], &stack[sp]);
			break;
		case CODE_ADD:
			sp--;
			if (!vm_add(ctx, &stack[sp - 1]))
				FAIL(TEXT_FULL);
			break;
		case CODE_CONCAT:
			sp -= code->b - 1;
			if (!vm_concat(ctx, &stack[sp - 1], code->b))
				FAIL(TEXT_FULL);
			break;
		case CODE_UNARY:
			if (!vm_unary(ctx, (enum ast_op)code->b, &stack[sp - 1]))
				FAIL(TEXT_FULL);
			break;
		case CODE_TRANSFORM: {
			struct route_value v;

			vm_get_value(ctx, &stack[sp - 1], &v);
			if (!transform_apply(ctx, &script->transform[code->c], &v) ||
				!vm_set_value(ctx, &stack[sp - 1], &v))
				FAIL(TEXT_FULL);
			break;
		}
		default:
			FAIL(INTERNAL);
		}
		pc++;
	}
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
