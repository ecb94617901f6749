/* SPDX-License-Identifier: BSD-3-Clause */
#include "pipeline/counter.h"

struct description {
	const char *name;
	enum counter_kind kind;
	const char *help;
};

static const struct description own[COUNTER_OWN_COUNT] = {
#define COUNTER(id, name, kind, help) [COUNTER_##id] = {name, COUNTER_##kind, help},
#include "pipeline/counter.def"
#undef COUNTER
};

static const char *const net_names[NET_REASON_COUNT] = {
#define NET_REASON(id, name) [NET_REASON_##id] = name,
	NET_REASONS(NET_REASON)
#undef NET_REASON
};

static const char *const proxy_names[PROXY_REASON_COUNT] = {
#define PROXY_REASON(id, name) [PROXY_REASON_##id] = name,
	PROXY_REASONS(PROXY_REASON)
#undef PROXY_REASON
};

static const char *const txn_names[TXN_REASON_COUNT] = {
#define TXN_REASON(id, name) [TXN_REASON_##id] = name,
	TXN_REASONS(TXN_REASON)
#undef TXN_REASON
};

const char *counter_name(unsigned id)
{
	if (id < COUNTER_OWN_COUNT)
		return own[id].name;
	if (id < COUNTER_SIP)
		return net_names[id - COUNTER_NET];
	if (id < COUNTER_PROXY)
		return id == COUNTER_SIP ? NULL
					 : sip_error_name((enum sip_error)(id - COUNTER_SIP));
	if (id < COUNTER_TXN)
		return proxy_names[id - COUNTER_PROXY];
	return id < COUNTER_COUNT ? txn_names[id - COUNTER_TXN] : NULL;
}

enum counter_kind counter_kind(unsigned id)
{
	return id < COUNTER_OWN_COUNT ? own[id].kind : COUNTER_DROP;
}

const char *counter_help(unsigned id)
{
	if (id < COUNTER_OWN_COUNT)
		return own[id].help;
	if (id < COUNTER_SIP)
		return "frame refused before SIP was looked at";
	if (id < COUNTER_PROXY)
		return "malformed SIP that may not be answered";
	return id < COUNTER_TXN ? "refused by the proxy's rules" : "dropped by the transactions";
}

void counter_sum(const struct counters *block, unsigned blocks, uint64_t out[COUNTER_COUNT])
{
	for (unsigned id = 0; id < COUNTER_COUNT; id++) {
		out[id] = 0;
		for (unsigned b = 0; b < blocks; b++)
			out[id] += atomic_load_explicit(&block[b].n[id], memory_order_relaxed);
	}
}

struct counter_balance counter_balance(const uint64_t sum[COUNTER_COUNT])
{
	struct counter_balance b = {0};
	uint64_t entered = 0, left = 0;

	for (unsigned id = 0; id < COUNTER_COUNT; id++) {
		switch (counter_kind(id)) {
		case COUNTER_IN:
			b.in += sum[id];
			break;
		case COUNTER_DONE:
			b.done += sum[id];
			break;
		case COUNTER_DROP:
			b.dropped += sum[id];
			break;
		case COUNTER_ENTER:
			entered += sum[id];
			break;
		case COUNTER_LEAVE:
			left += sum[id];
			break;
		case COUNTER_INFO:
			break;
		}
	}
	b.held = entered - left;
	b.exact = b.in == b.done + b.dropped + b.held;
	return b;
}
