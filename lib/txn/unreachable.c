/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The network says that a request did not arrive (RFC 3261 16.9, 17.1.4, 18.4): an ICMP error, or a
 * neighbour that does not answer.
 *
 * An ICMP error can be sent by anybody under any address. It is believed where it quotes, byte for
 * byte, what a branch has sent, as far as the end of our Via at least, to the address that it was
 * sent to: the branch and token in it are keyed, so that nobody has seen these bytes but who stands
 * on the way, or at its end, and could answer as well. The eight bytes that RFC 792 asks for prove
 * nothing. A branch that has had a response is not given up, since somebody is there.
 */
#include <string.h>

#include "txn/internal.h"

int txn_unreachable_shard(struct txn *t, struct str quoted)
{
	struct proxy_branch at;

	if (!proxy_quoted_branch(quoted, &at) || at.owner >= t->shards ||
		!digest_index_may_have(t->shard[at.owner].index, at.key))
		return -1;
	return at.owner;
}

static bool was_sent(struct branch *b, struct str quoted, const struct net_endpoint *to)
{
	return b->state == BRANCH_CALLING && (b->flags & (BRANCH_REPLIED | BRANCH_UNSENT)) == 0 &&
	       !branch_is_final(b) && quoted.len <= b->sent_len &&
	       net_endpoint_equal(to, &b->to.dst) &&
	       memcmp(branch_sent(b), quoted.s, quoted.len) == 0;
}

/* 16.9: as if it had been answered 503. */
static void give_up(struct txn_shard *s, struct place *t, struct branch *b)
{
	shard_count(s, TXN_COUNTER_UNREACHABLE);
	txn_branch_fail(b, 503, 0);
	b->state = BRANCH_TERMINATED;
	b->retr_at = b->end_at = b->cancel_at = 0;
	if (txn_relay_failover(s, t, b) == TXN_FAILOVER_NONE)
		txn_response_finish(s, t);
}

bool txn_unreachable(struct txn_shard *s, struct str quoted, const struct net_endpoint *to)
{
	uint32_t found[DIGEST_INDEX_FOUND_MAX];
	struct proxy_branch at;
	unsigned n;

	if (!proxy_quoted_branch(quoted, &at))
		return false;
	txn_shard_time(s, s->thread->now_ns);
	n = digest_index_find(s->index, at.key, found);
	for (unsigned i = 0; i < n; i++) {
		struct place *t = &s->place[found[i]];
		struct branch *b = t->key.lo == at.key && t->numbers == at.branch / TXN_BRANCHES_MAX
					   ? txn_branch_find(s, t, at.branch)
					   : NULL;

		if (b != NULL && was_sent(b, quoted, to)) {
			struct txn_entry before = txn_enter(s, TXN_HAND_NONE, NULL, NULL);

			give_up(s, t, b);
			txn_place_settle(s, t);
			txn_leave(s, before);
			return true;
		}
	}
	return false;
}
