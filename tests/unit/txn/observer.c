/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a transaction may do at any time, held against everything that comes and leaves: RFC 3261
 * 9.1, 16.7, 17, RFC 6026, RFC 4320, RFC 5393 5.3.3.
 */
#include "harness.h"

#define BUCKETS 1024

/* The client's side of a transaction: a request that came. */
struct client {
	struct client *next;
	char key[256]; /* branch, sent-by, Call-ID, CSeq */
	char method[24];
	unsigned max_breadth;
	uint64_t came, answered;
	unsigned final;   /* status of the final response that went to it, 0: none */
	char *final_text; /* of a failure */
	unsigned finals;  /* copies of it that were sent */
	unsigned provisional;
};

/* A request that we sent. */
struct server {
	struct server *next;
	char key[256]; /* branch, method */
	char method[24];
	char *text;
	struct net_endpoint to;
	uint64_t sent;
	bool ours;  /* by the transaction layer */
	bool later; /* by a timer */
	bool provisional;
	unsigned final; /* status of the first final response that came */
	uint64_t final_at;
	struct client *client;
};

struct observer {
	struct world *w;
	struct client *client[BUCKETS];
	struct server *server[BUCKETS];
	/* of the message in hand */
	struct server *answered;
	bool is_failure, is_2xx, final_before;
	unsigned acks, responses_2xx;
};

static unsigned bucket(const char *key)
{
	unsigned h = 5381;

	for (; *key != 0; key++)
		h = 33 * h + (unsigned char)*key;
	return h % BUCKETS;
}

static const char *method_of(const char *text)
{
	const char *cseq = header(text, "CSeq", 0), *space = cseq;

	assert_non_null(cseq);
	space = strrchr(cseq, ' ');
	assert_non_null(space);
	return space + 1;
}

static bool is_response(const char *text)
{
	return strncmp(text, "SIP/2.0 ", 8) == 0;
}

static unsigned status_of(const char *text)
{
	return (unsigned)strtoul(text + 8, NULL, 10);
}

/* The client's transaction of a request, of the response to it, or of a request that we made of it,
 * whose n-th Via is the client's. An ACK and a CANCEL have one of their own. */
static bool client_key(char *key, size_t size, const char *text, unsigned n)
{
	const char *via = header(text, "Via", n), *branch;

	if (via == NULL)
		return false;
	branch = param(via, "branch");
	snprintf(key, size, "%s %.*s %s %s", branch != NULL ? branch : "",
		(int)strcspn(via + strlen("SIP/2.0/UDP "), ";"), via + strlen("SIP/2.0/UDP "),
		header(text, "Call-ID", 0), header(text, "CSeq", 0));
	return true;
}

static struct client *client_find(struct observer *o, const char *key)
{
	struct client *c = o->client[bucket(key)];

	while (c != NULL && strcmp(c->key, key) != 0)
		c = c->next;
	return c;
}

static struct server *server_find(struct observer *o, const char *branch, const char *method)
{
	const char *key = printed("%s %s", branch, method);
	struct server *s = o->server[bucket(key)];

	while (s != NULL && strcmp(s->key, key) != 0)
		s = s->next;
	return s;
}

struct observer *observer_new(struct world *w)
{
	struct observer *o = calloc(1, sizeof(*o));

	assert_non_null(o);
	o->w = w;
	return o;
}

void observer_free(struct observer *o)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		for (struct client *c = o->client[i], *next; c != NULL; c = next) {
			next = c->next;
			free(c->final_text);
			free(c);
		}
		for (struct server *s = o->server[i], *next; s != NULL; s = next) {
			next = s->next;
			free(s->text);
			free(s);
		}
	}
	free(o);
}

/* ---- what comes ---- */

static void request_in(struct observer *o, const char *text)
{
	char key[256];
	struct client *c;
	const char *breadth = header(text, "Max-Breadth", 0);

	assert_true(client_key(key, sizeof(key), text, 0));
	c = client_find(o, key);
	if (c == NULL) {
		c = calloc(1, sizeof(*c));
		assert_non_null(c);
		strcpy(c->key, key);
		snprintf(c->method, sizeof(c->method), "%s", method_of(text));
		c->came = now_ms(o->w);
		c->max_breadth = breadth != NULL ? (unsigned)strtoul(breadth, NULL, 10) : 60;
		c->max_breadth = c->max_breadth > 60 ? 60 : c->max_breadth;
		c->next = o->client[bucket(key)];
		o->client[bucket(key)] = c;
	}
}

void observe_lost(struct observer *o, const char *text)
{
	struct server *s = server_find(o, branch_of(text), method_of(text));

	assert_non_null(s);
	o->final_before = s->final != 0;
	if (s->final == 0) {
		s->final = 503; /* RFC 3261 16.9 */
		s->final_at = now_ms(o->w);
	}
}

void observe_not_lost(struct observer *o, const char *text)
{
	struct server *s = server_find(o, branch_of(text), method_of(text));

	if (!o->final_before)
		s->final = 0;
}

static void response_in(struct observer *o, const char *text)
{
	const char *method = method_of(text);
	struct server *s = server_find(o, branch_of(text), method);
	unsigned status = status_of(text);

	o->answered = s;
	if (s == NULL)
		return;
	o->final_before = s->final != 0;
	if (status < 200) {
		s->provisional = true;
		return;
	}
	if (s->final == 0) {
		s->final = status;
		s->final_at = now_ms(o->w);
	}
	o->is_failure = strcmp(method, "INVITE") == 0 && status >= 300 && s->final >= 300;
	o->is_2xx = strcmp(method, "INVITE") == 0 && status < 300;
}

void observe_in(struct observer *o, const char *text)
{
	o->answered = NULL;
	o->is_failure = o->is_2xx = o->final_before = false;
	o->acks = o->responses_2xx = 0;
	if (is_response(text))
		response_in(o, text);
	else
		request_in(o, text);
}

/* Whether the transaction that sent this has to be there still. */
static bool stands(const struct observer *o, const struct server *s)
{
	uint64_t now = now_ms(o->w);

	if (!s->ours || s->client == NULL || o->w->refused_begin)
		return false;
	if (o->final_before)
		return now - s->final_at < 32000;
	return s->client->final == 0 || now - s->client->answered < 5000;
}

void observe_done(struct observer *o, const char *text)
{
	const struct server *s = o->answered;
	unsigned long long now = now_ms(o->w);

	o->answered = NULL;
	if (s == NULL || !stands(o, s))
		return;
	/* 17.1.1.2, 17.1.1.3: one ACK to each copy of a failure while Timer D runs. */
	if (o->is_failure && o->acks != 1)
		fail_msg("%llu ms: %u ACKs to\n%s", now, o->acks, text);
	/* RFC 6026 7.2: each 2xx goes on while Timer M runs, and the server's transaction has not
	 * said no (17.2.1) nor ended. */
	if (o->is_2xx && s->final < 300 && s->client->final < 300 &&
		now - s->client->answered < 32000 && o->responses_2xx != 1)
		fail_msg("%llu ms: passed on %u times:\n%s", now, o->responses_2xx, text);
}

/* ---- what leaves ---- */

static void out_provisional(struct observer *o, struct client *c, const struct sent *m)
{
	if (c->final != 0)
		fail_msg("a provisional after the final one:\n%s", m->text);
	if (strcmp(c->method, "INVITE") != 0) {
		/* RFC 4320 4.1 */
		if (m->status != 100)
			fail_msg("not 100, to a request that is no INVITE:\n%s", m->text);
		if (m->as != SENT_STATELESS && m->at < c->came + 3500)
			fail_msg("100 before Timer E is at T2 (%llu ms):\n%s",
				(unsigned long long)(m->at - c->came), m->text);
	}
	c->provisional++;
}

static void out_final(struct observer *o, struct client *c, const struct sent *m)
{
	if (c->final == 0) {
		/* RFC 4320 4.2 */
		if (m->status == 408 && strcmp(c->method, "INVITE") != 0)
			fail_msg("408 to a request that is no INVITE:\n%s", m->text);
		c->final = m->status;
		c->answered = m->at;
		if (m->status >= 300 || strcmp(c->method, "INVITE") != 0)
			c->final_text = strdup(m->text);
		c->finals = 1;
		return;
	}
	c->finals++;
	if (c->final < 300 && strcmp(c->method, "INVITE") == 0) {
		if (m->status >= 300)
			fail_msg("%u after a 2xx:\n%s", m->status, m->text);
		return;
	}
	/* RFC 3261 16.7 5: a 2xx to an INVITE may come after all. */
	if (strcmp(c->method, "INVITE") == 0 && m->status < 300 && m->as != SENT_OWN)
		return;
	if (strcmp(c->final_text, m->text) != 0)
		fail_msg("another final response: first\n%s\nand then\n%s", c->final_text, m->text);
}

static void response_out(struct observer *o, const struct sent *m)
{
	char key[256];
	struct client *c;

	assert_true(client_key(key, sizeof(key), m->text, 0));
	c = client_find(o, key);
	if (c == NULL) {
		fail_msg("a response to nobody (%s):\n%s", key, m->text);
		return;
	}
	if (m->status == 100 && m->as == SENT_MESSAGE)
		fail_msg("a 100 was passed on:\n%s", m->text);
	if (m->status < 200)
		out_provisional(o, c, m);
	else
		out_final(o, c, m);
	if (m->status >= 200 && m->status < 300 && strcmp(c->method, "INVITE") == 0)
		o->responses_2xx++;
}

/* 17.1.1.3 */
static void ack_out(struct observer *o, const struct sent *m)
{
	struct server *s = server_find(o, branch_of(m->text), "INVITE");
	const char *uri, *uri_of_invite;

	if (m->as != SENT_OWN)
		return; /* of the caller, passed on */
	if (s == NULL)
		fail_msg("an ACK to nothing:\n%s", m->text);
	if (s->final < 300)
		fail_msg("an ACK where no failure came (%u):\n%s", s->final, m->text);
	o->acks++;
	assert_true(net_endpoint_equal(&m->to, &s->to));
	uri = first_line(m->text) + strlen("ACK ");
	uri_of_invite = first_line(s->text) + strlen("INVITE ");
	assert_string_equal(uri, uri_of_invite);
	assert_int_equal(headers(m->text, "Via"), 1);
	assert_string_equal(header(m->text, "Via", 0), header(s->text, "Via", 0));
	assert_string_equal(header(m->text, "From", 0), header(s->text, "From", 0));
	assert_string_equal(header(m->text, "Call-ID", 0), header(s->text, "Call-ID", 0));
	assert_int_equal(strtoul(header(m->text, "CSeq", 0), NULL, 10),
		strtoul(header(s->text, "CSeq", 0), NULL, 10));
	assert_int_equal(headers(m->text, "Route"), headers(s->text, "Route"));
	for (unsigned i = 0; i < headers(s->text, "Route"); i++)
		assert_string_equal(header(m->text, "Route", i), header(s->text, "Route", i));
}

/* 9.1 */
static void cancel_out(struct observer *o, const struct sent *m)
{
	struct server *s = server_find(o, branch_of(m->text), "INVITE");

	if (m->as != SENT_OWN)
		return; /* 16.10: without state */
	if (s == NULL)
		fail_msg("a CANCEL of nothing:\n%s", m->text);
	if (!s->provisional || s->final != 0)
		fail_msg("a CANCEL %s:\n%s",
			s->final != 0 ? "after a final response" : "before a provisional", m->text);
	assert_true(net_endpoint_equal(&m->to, &s->to));
	assert_string_equal(
		first_line(m->text) + strlen("CANCEL "), first_line(s->text) + strlen("INVITE "));
	assert_int_equal(headers(m->text, "Via"), 1);
	assert_string_equal(header(m->text, "Via", 0), header(s->text, "Via", 0));
	assert_string_equal(header(m->text, "From", 0), header(s->text, "From", 0));
	assert_string_equal(header(m->text, "To", 0), header(s->text, "To", 0));
	assert_string_equal(header(m->text, "Call-ID", 0), header(s->text, "Call-ID", 0));
	assert_int_equal(strtoul(header(m->text, "CSeq", 0), NULL, 10),
		strtoul(header(s->text, "CSeq", 0), NULL, 10));
	assert_int_equal(headers(m->text, "Route"), headers(s->text, "Route"));
	assert_int_equal(headers(m->text, "Require"), 0);
	assert_int_equal(headers(m->text, "Proxy-Require"), 0);
}

/* The client whose request this is. */
static struct client *client_of(struct observer *o, const char *text)
{
	char key[256];

	return client_key(key, sizeof(key), text, 1) ? client_find(o, key) : NULL;
}

/* RFC 5393 5.3.3: what branches that leave together share is not more than what came. */
static void breadth(struct observer *o, const struct client *c)
{
	unsigned sum = 0, n = 0, without = 0;

	for (unsigned i = 0; i < BUCKETS; i++) {
		for (const struct server *s = o->server[i]; s != NULL; s = s->next) {
			const char *value;

			if (s->client != c || s->sent != now_ms(o->w) || s->later ||
				s->final != 0 || !s->ours || strcmp(s->method, c->method) != 0)
				continue;
			value = header(s->text, "Max-Breadth", 0);
			n++;
			if (value == NULL)
				without++;
			else
				sum += (unsigned)strtoul(value, NULL, 10);
		}
	}
	if (sum > c->max_breadth || (n > 1 && without > 0))
		fail_msg("Max-Breadth: %u came in, %u are out in %u branches, %u have none",
			c->max_breadth, sum, n, without);
}

static void request_again(struct server *s, const struct sent *m)
{
	/* Without state, a branch is a function of the client's. */
	if (m->as == SENT_STATELESS && !s->ours)
		return;
	if (m->len != strlen(s->text) || memcmp(m->text, s->text, m->len) != 0)
		fail_msg("the same branch and another request: first\n%s\nand then\n%s", s->text,
			m->text);
	assert_true(net_endpoint_equal(&m->to, &s->to));
	if (m->as != SENT_OWN)
		return;
	if (s->final != 0)
		fail_msg("sent again after a final response:\n%s", m->text);
	if (strcmp(s->method, "INVITE") == 0 && s->provisional)
		fail_msg("an INVITE sent again after a provisional:\n%s", m->text);
}

static void request_out(struct observer *o, const struct sent *m)
{
	struct server *s = server_find(o, branch_of(m->text), m->method);
	const char *key;

	if (strcmp(m->method, "ACK") == 0) {
		ack_out(o, m);
		return;
	}
	if (s != NULL) {
		request_again(s, m);
		return;
	}
	if (strcmp(m->method, "CANCEL") == 0)
		cancel_out(o, m);
	key = printed("%s %s", branch_of(m->text), m->method);
	s = calloc(1, sizeof(*s));
	assert_non_null(s);
	snprintf(s->key, sizeof(s->key), "%s", key);
	snprintf(s->method, sizeof(s->method), "%s", m->method);
	s->text = strdup(m->text);
	s->to = m->to;
	s->sent = m->at;
	s->ours = m->as != SENT_STATELESS;
	s->later = o->w->in_poll;
	s->client = client_of(o, m->text);
	s->next = o->server[bucket(key)];
	o->server[bucket(key)] = s;
	if (s->ours && s->client != NULL) {
		/* 16.7: whoever was given a final response has no new branches. */
		if (s->client->final != 0)
			fail_msg("a branch after the final response %u:\n%s", s->client->final,
				m->text);
		if (!s->later)
			breadth(o, s->client);
	}
}

void observe_out(struct observer *o, const struct sent *m)
{
	if (m->is_response)
		response_out(o, m);
	else
		request_out(o, m);
}

/* Whoever heard that his INVITE is tried has to hear what became of it. */
void observe_rest(struct observer *o)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		for (const struct client *c = o->client[i]; c != NULL; c = c->next) {
			if (strcmp(c->method, "INVITE") == 0 && c->provisional > 0 &&
				c->final == 0 && o->w->lose == NULL)
				fail_msg("no final response to %s", c->key);
		}
	}
}
