/* SPDX-License-Identifier: BSD-3-Clause */
/* t_replicate() beside t_relay(): two transactions of one request. */
#include "harness.h"

static const struct ask message = {.method = "MESSAGE"};

/* The copy's Max-Breadth is not of the request's response context, as the observer would have it.
 */
static struct world *both(void)
{
	return world_new((struct world_config){.unobserved = true,
		.script = MODULES RFC_TIMERS "request_route {\n	t_replicate(\"sip:" CAROL
					     "\");\n	t_relay();\n}\n"});
}

static void the_request_has_its_own_transaction(void **state)
{
	struct world *w = both();
	const struct sent *m, *copy;

	assert_int_equal(ask(w, message), FATE_SENT);
	copy = take_request(w, "MESSAGE", CAROL);
	m = take_request(w, "MESSAGE", BOB);
	assert_string_not_equal(branch_of(copy->text), branch_of(m->text));
	take_nothing(w);
	/* What comes of the copy is nobody's business. */
	assert_int_equal(answer(w, copy, "486 Busy Here"), FATE_ABSORBED);
	take_nothing(w);
	assert_int_equal(answer(w, m, "200 OK"), FATE_SENT);
	take_response(w, 200, "MESSAGE");
	take_nothing(w);
	world_close(w);
}

static void a_retransmission_is_of_the_request(void **state)
{
	struct world *w = both();
	const struct sent *m;

	ask(w, message);
	m = take_request(w, "MESSAGE", BOB);
	assert_int_equal(answer(w, m, "200 OK"), FATE_SENT);
	take_all(w);
	assert_int_equal(ask(w, message), FATE_ABSORBED);
	take_response(w, 200, "MESSAGE");
	take_nothing(w);
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_request_has_its_own_transaction),
		cmocka_unit_test(a_retransmission_is_of_the_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
