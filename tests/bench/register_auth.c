/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The case register-auth: a million users register with passwords. First none of their rows is
 * remembered, and each REGISTER waits for SQLite; then all are, and users drawn by lot register
 * again, by MD5 and by SHA-256; at last each is challenged anew, two messages and two replies.
 *
 * A phone has the nonce of a challenge of its own, and counts its uses. Users come in batches: each
 * phone of one is challenged and works its responses out before time is taken, as real ones do on
 * processors of their own.
 */
#include "phones.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <rte_lcore.h>
#include <sqlite3.h>

#define USERS 1000000
#define BATCH 65536       /* below the nonces of one thread that are remembered */
#define USES 4            /* of each nonce */
#define WINDOW 384        /* below what a worker begins to refuse at */
#define WINDOW_ASKED 2048 /* REGISTERs that wait for rows */
#define HELD (4 * WINDOW_ASKED)
#define STRIDE 998244353ULL /* a prime: its multiples go through all users, far from each other */
#define REALM "10.10.0.1"
#define PASSWORD "a password of %08u"
#define NONCE_MAX 64
#define MARK_NONCE '\4'
#define MARK_RESPONSE '\5'
#define MARK_COUNT '\6'

/* What a phone will send. */
struct answer {
	uint32_t user;
	char nonce[NONCE_MAX], response[AUTH_HEX_MAX];
};

/* Where a template has what belongs to its credentials. */
struct places {
	uint16_t nonce, response, count;
};

/* Phones that answer by one algorithm. */
struct kind {
	enum auth_algorithm algorithm;
	const EVP_MD *md;
	struct phones_template *template;
	struct places at[PHONES_TEMPLATES];
};

static struct crowd {
	struct phones p;
	struct kind md5, sha256;
	const struct kind *kind;          /* how phones answer now */
	struct phones_template *unproven; /* REGISTERs without credentials */
	struct answer *answer;            /* of a batch */
	uint32_t *place;                  /* by user: where in the batch */
	uint32_t batch, taken, nonce_len;
	uint64_t drawn, first;
	unsigned uses; /* of the nonce */
	struct lot lot;
} crowd;

/* ---- what phones know ---- */

static struct str password_of(uint32_t user, char out[32])
{
	return str_of(out, (size_t)snprintf(out, 32, PASSWORD, user));
}

static uint32_t hex_of(const struct kind *k, const char *text, size_t len, char *out)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned bytes;

	if (EVP_Digest(text, len, hash, &bytes, k->md, NULL) != 1)
		bench_fail(crowd.p.b, "libcrypto has no such hash");
	for (unsigned i = 0; i < bytes; i++) {
		out[2 * i] = "0123456789abcdef"[hash[i] >> 4];
		out[2 * i + 1] = "0123456789abcdef"[hash[i] & 15];
	}
	return 2 * bytes;
}

/* RFC 7616 3.4.1. */
static void work_out(const struct kind *k, struct answer *a, unsigned uses)
{
	char user[16], password[32], ha1[AUTH_HEX_MAX], ha2[2 * EVP_MAX_MD_SIZE], text[512];
	unsigned len = auth_ha1(k->algorithm,
		str_of(user, (size_t)snprintf(user, sizeof(user), "%08u", a->user)), STR(REALM),
		password_of(a->user, password), ha1);
	static const char a2[] = "REGISTER:sip:10.10.0.1";
	uint32_t ha2_len = hex_of(k, a2, sizeof(a2) - 1, ha2);
	int n = snprintf(text, sizeof(text), "%.*s:%.*s:%08x:%s:auth:%.*s", (int)len, ha1,
		(int)crowd.nonce_len, a->nonce, uses, user, (int)ha2_len, ha2);

	hex_of(k, text, (size_t)n, a->response);
}

/* ---- templates ---- */

static char authorization[512]; /* that the next templates have */

static void write_template(struct draft *out, unsigned host, struct lot *lot)
{
	char via[160], contact[200], id[64];
	const char *line[] = {via, "Max-Forwards: 70\r\n",
		"From: <sip:" PHONES_MARK_USER "@10.10.0.1>;tag=" PHONES_MARK_SERIAL "\r\n",
		"To: <sip:" PHONES_MARK_USER "@10.10.0.1>\r\n", id,
		"CSeq: " PHONES_MARK_CSEQ " REGISTER\r\n", contact, "Expires: 3600\r\n",
		"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER, NOTIFY\r\n",
		"User-Agent: Example Phone T4 66.85.0.5\r\n", "Content-Length: 0\r\n",
		authorization};

	snprintf(via, sizeof(via),
		"Via: SIP/2.0/UDP 10.10.0.%u:5060;branch=z9hG4bK" PHONES_MARK_SERIAL "%s\r\n", host,
		lot_below(lot, 4) != 0 ? ";rport" : "");
	snprintf(id, sizeof(id), "Call-ID: " PHONES_MARK_USER "-84381763@10.10.0.%u\r\n", host);
	snprintf(contact, sizeof(contact),
		"Contact: <sip:" PHONES_MARK_USER "@10.10.0.%u:5060%s>\r\n", host,
		host % 2 != 0 ? ";transport=udp" : ""); /* the same each time */
	draft_add(out, "REGISTER sip:10.10.0.1 SIP/2.0\r\n");
	phones_shuffled(out, line, RTE_DIM(line), lot);
	draft_add(out, "\r\n");
}

static struct phones_template *templates(struct phones *p)
{
	phones_templates(p, write_template);
	return p->template;
}

static uint16_t find_mark(const struct phones_template *t, char mark)
{
	const char *at = memchr(t->text, mark, t->len);

	return at != NULL ? (uint16_t)(at - t->text) : 0;
}

static void fill(char *out, char mark, unsigned n)
{
	memset(out, mark, n);
	out[n] = '\0';
}

static void kind_make(struct phones *p, struct kind *k, enum auth_algorithm algorithm)
{
	char nonce[NONCE_MAX + 1], response[AUTH_HEX_MAX + 1], count[9];

	k->algorithm = algorithm;
	k->md = algorithm == AUTH_MD5 ? EVP_md5() : EVP_sha256();
	fill(nonce, MARK_NONCE, crowd.nonce_len);
	fill(response, MARK_RESPONSE, 2 * (unsigned)EVP_MD_get_size(k->md));
	fill(count, MARK_COUNT, 8);
	snprintf(authorization, sizeof(authorization),
		"Authorization: Digest username=\"" PHONES_MARK_USER "\", realm=\"" REALM
		"\", nonce=\"%s\", uri=\"sip:10.10.0.1\", response=\"%s\", algorithm=%s, "
		"cnonce=\"" PHONES_MARK_USER "\", qop=auth, nc=%s\r\n",
		nonce, response, algorithm == AUTH_MD5 ? "MD5" : "SHA-256", count);
	k->template = templates(p);
	for (unsigned i = 0; i < PHONES_TEMPLATES; i++)
		k->at[i] = (struct places){find_mark(&k->template[i], MARK_NONCE),
			find_mark(&k->template[i], MARK_RESPONSE),
			find_mark(&k->template[i], MARK_COUNT)};
}

/* ---- what phones send ---- */

static void send_unproven(struct phones *p, uint32_t user)
{
	const struct phones_template *t = &crowd.unproven[user % PHONES_TEMPLATES];
	struct net_endpoint src = phones_caller(t->host);
	char text[PHONES_TEXT_MAX];

	phones_send(p, 0, &src, phones_fill(t, user, p->serial++, p->cseq++, text));
}

static void send_answer(struct phones *p, const struct answer *a, unsigned uses)
{
	unsigned number = a->user % PHONES_TEMPLATES;
	const struct phones_template *t = &crowd.kind->template[number];
	const struct places *at = &crowd.kind->at[number];
	struct net_endpoint src = phones_caller(t->host);
	char text[PHONES_TEXT_MAX];
	struct str all = phones_fill(t, a->user, p->serial++, p->cseq++, text);

	memcpy(text + at->nonce, a->nonce, crowd.nonce_len);
	memcpy(text + at->response, a->response, 2 * (size_t)EVP_MD_get_size(crowd.kind->md));
	memcpy(text + at->count, "0000000", 7);
	text[at->count + 7] = (char)('0' + uses);
	phones_send(p, 0, &src, all);
}

static uint32_t draw(void)
{
	return (uint32_t)(crowd.drawn++ * STRIDE % crowd.p.users);
}

static void begin_unproven(struct phones *p)
{
	uint32_t user = draw();

	crowd.place[user] = crowd.batch;
	crowd.answer[crowd.batch++].user = user;
	send_unproven(p, user);
}

static void begin_answer(struct phones *p)
{
	send_answer(p, &crowd.answer[crowd.taken++], crowd.uses);
}

static void begin_both(struct phones *p)
{
	send_unproven(p, draw());
}

/* ---- what they hear ---- */

static bool begins(struct str text, const char *status)
{
	return text.len > strlen(status) && memcmp(text.s, status, strlen(status)) == 0;
}

/* The user that a challenge is for, and its nonce. */
static void read_challenge(struct phones *p, struct str text, struct answer *out)
{
	const char *to = memmem(text.s, text.len, "To: <sip:", 9);
	const char *nonce = memmem(text.s, text.len, "nonce=\"", 7);
	const char *end = nonce != NULL
				  ? memchr(nonce + 7, '"', (size_t)(text.s + text.len - nonce - 7))
				  : NULL;

	if (!begins(text, "SIP/2.0 401 ") || to == NULL || end == NULL ||
		end - nonce - 7 > NONCE_MAX ||
		str_to_u32(str_of(to + 9, 8), p->users - 1, &out->user) != 0)
		bench_fail(p->b, "this is no challenge:\n%.*s", (int)text.len, text.s);
	crowd.nonce_len = (uint32_t)(end - nonce - 7);
	memcpy(out->nonce, nonce + 7, crowd.nonce_len);
}

static void ends(struct phones *p)
{
	p->open -= p->open != 0;
	p->done++;
}

static void react_challenged(
	struct phones *p, unsigned port, const struct net_endpoint *to, struct str text)
{
	struct answer a;

	read_challenge(p, text, &a);
	crowd.answer[crowd.place[a.user]] = a;
	ends(p);
}

/* Each is answered 200 with its contact; anything else ends the case. */
static void react_registered(
	struct phones *p, unsigned port, const struct net_endpoint *to, struct str text)
{
	if (port != 0 || !begins(text, "SIP/2.0 200 ") ||
		(p->inspects && memmem(text.s, text.len, ";expires=3600", 13) == NULL))
		bench_fail(p->b, "a phone was not registered:\n%.*s", (int)text.len, text.s);
	ends(p);
}

static void react_both(
	struct phones *p, unsigned port, const struct net_endpoint *to, struct str text)
{
	struct answer a;

	if (!begins(text, "SIP/2.0 401 ")) {
		react_registered(p, port, to, text);
		return;
	}
	read_challenge(p, text, &a);
	work_out(crowd.kind, &a, 1);
	send_answer(p, &a, 1);
}

/* ---- runs ---- */

/* Phones of a batch are challenged, while no time is taken. */
static void challenge_batch(struct phones *p, uint32_t n)
{
	crowd.batch = 0;
	p->window = WINDOW;
	p->begin = begin_unproven;
	p->react = react_challenged;
	phones_run(p, 0, n, NULL);
}

/* They register. `uses`: how often they have used their nonces. */
static void register_batch(struct phones *p, unsigned uses, unsigned window, struct load *out)
{
	crowd.taken = 0;
	crowd.uses = uses;
	for (uint32_t i = 0; i < crowd.batch; i++)
		work_out(crowd.kind, &crowd.answer[i], uses);
	p->window = window;
	p->begin = begin_answer;
	p->react = react_registered;
	phones_run(p, 0, crowd.batch, out);
}

static uint32_t next_batch(const struct phones *p, uint64_t left)
{
	uint64_t n = RTE_MIN(left, (uint64_t)BATCH);

	return (uint32_t)RTE_MIN(n, (uint64_t)p->users);
}

static void check(struct phones *p)
{
	const struct auth *a = p->rig->auth;
	struct location_stats stats;
	uint64_t accepted, refused = 0;

	phones_settle(p);
	location_stats(p->rig->location, &stats);
	accepted = auth_counter(a, AUTH_COUNTER_ACCEPTED);
	for (unsigned i = 0; i < AUTH_COUNTER_COUNT; i++)
		refused += i != AUTH_COUNTER_CHALLENGES && i != AUTH_COUNTER_ACCEPTED &&
					   i != AUTH_COUNTER_NONE
				   ? auth_counter(a, (enum auth_counter)i)
				   : 0;
	if (stats.contacts != p->users || refused != 0 ||
		accepted != registrar_counter(p->rig->registrar, REGISTRAR_COUNTER_ACCEPTED) ||
		auth_counter(a, AUTH_COUNTER_CHALLENGES) != auth_counter(a, AUTH_COUNTER_NONE))
		bench_fail(p->b,
			"%" PRIu64 " of %u users are registered, %" PRIu64
			" were verified and %" PRIu64 " were not",
			stats.contacts, p->users, accepted, refused);
}

/* Control, worker and slow lcore on one CPU, so that databases have the other. */
static void run_first(struct phones *p, struct load *out)
{
	unsigned threads = p->b->threads;
	uint64_t left = p->users;

	p->b->threads = 1;
	p->inspects = true;
	bench_say(p->b, "%u users register for the first time", p->users);
	while (left != 0) {
		uint32_t n = next_batch(p, left);

		challenge_batch(p, n);
		register_batch(p, 1, WINDOW_ASKED, out);
		left -= n;
	}
	p->inspects = false;
	p->b->threads = threads;
	check(p);
	if (db_counter(p->rig->db, DB_COUNTER_QUESTIONS) != p->users)
		bench_fail(p->b, "%" PRIu64 " questions for %u users",
			db_counter(p->rig->db, DB_COUNTER_QUESTIONS), p->users);
}

static void run_known(struct phones *p, const struct kind *kind, struct load *out)
{
	uint64_t asked = db_counter(p->rig->db, DB_COUNTER_QUESTIONS), spent = 0, begun;

	crowd.kind = kind;
	while (spent < (uint64_t)(p->b->seconds * 1e9)) {
		challenge_batch(p, next_batch(p, UINT64_MAX));
		for (unsigned uses = 1; uses <= USES; uses++) {
			begun = clock_now_ns();
			register_batch(p, uses, WINDOW, out);
			spent += clock_now_ns() - begun;
		}
		if (p->b->count != 0)
			break;
	}
	check(p);
	if (db_counter(p->rig->db, DB_COUNTER_QUESTIONS) != asked)
		bench_fail(p->b, "not all rows were remembered");
}

static void run_both(struct phones *p, struct load *out)
{
	crowd.kind = &crowd.md5;
	p->window = WINDOW;
	p->begin = begin_both;
	p->react = react_both;
	phones_run(p, p->b->seconds, 0, out);
	check(p);
}

/* ---- users ---- */

static void add_users(struct bench *b, const struct store *s, uint32_t users)
{
	char path[300];
	sqlite3_stmt *insert = NULL;
	sqlite3 *db = NULL;
	bool good;

	snprintf(path, sizeof(path), "%s", s->url + strlen("sqlite://"));
	good = sqlite3_open(path, &db) == SQLITE_OK &&
	       sqlite3_exec(db, "PRAGMA synchronous=OFF; BEGIN", NULL, NULL, NULL) == SQLITE_OK &&
	       sqlite3_prepare_v2(db,
		       "INSERT INTO subscriber (username, domain, ha1, ha1_sha256) "
		       "VALUES (?, '" REALM "', ?, ?)",
		       -1, &insert, NULL) == SQLITE_OK;
	for (uint32_t i = 0; i < users && good; i++) {
		static const enum auth_algorithm algorithm[] = {AUTH_MD5, AUTH_SHA256};
		char user[16], password[32], ha1[2][AUTH_HEX_MAX];
		struct str name = str_of(user, (size_t)snprintf(user, sizeof(user), "%08u", i));

		sqlite3_bind_text(insert, 1, name.s, (int)name.len, SQLITE_STATIC);
		for (unsigned j = 0; j < 2; j++)
			sqlite3_bind_text(insert, (int)j + 2, ha1[j],
				(int)auth_ha1(algorithm[j], name, STR(REALM),
					password_of(i, password), ha1[j]),
				SQLITE_STATIC);
		good = sqlite3_step(insert) == SQLITE_DONE && sqlite3_reset(insert) == SQLITE_OK;
	}
	good = good && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
	if (!good)
		bench_fail(b, "%s: %s", path, sqlite3_errmsg(db));
	sqlite3_finalize(insert);
	sqlite3_close(db);
}

/* Databases have the slow lcore's CPU as long as it has none. */
static int begin_thread(pthread_t *thread, const char *name, const pthread_attr_t *attr,
	void *(*run)(void *), void *arg)
{
	unsigned lcore = rte_get_next_lcore(-1, 1, 0);
	cpu_set_t cpu;
	int err;

	if (lcore >= RTE_MAX_LCORE)
		return rte_ctrl_thread_create(thread, name, attr, run, arg);
	cpu = rte_lcore_cpuset(lcore);
	err = pthread_create(thread, attr, run, arg);
	return err == 0 ? pthread_setaffinity_np(*thread, sizeof(cpu), &cpu) : err;
}

static void crowd_make(struct bench *b, const struct store *s, uint32_t users)
{
	struct phones *p = &crowd.p;
	struct rig_config config = {.config = BENCH_CONFIG_AUTH,
		.workers = 1,
		.contacts = users,
		.held = HELD,
		.db_url = s->url,
		/* All of them, whichever share they stand in. */
		.db_rows = users + users / 2 + 1024,
		.db_thread_create = begin_thread};

	phones_create_with(b, p, &config);
	p->users = users;
	p->cseq = 10000000;
	crowd.answer = bench_alloc(b, BATCH, sizeof(*crowd.answer));
	crowd.place = bench_alloc(b, users, sizeof(*crowd.place));
	authorization[0] = '\0';
	crowd.unproven = templates(p);
	/* The first challenge says how long nonces are. */
	challenge_batch(p, 1);
	kind_make(p, &crowd.md5, AUTH_MD5);
	kind_make(p, &crowd.sha256, AUTH_SHA256);
	crowd.kind = &crowd.md5;
	crowd.drawn = 0;
}

static void rows(struct bench *b, struct load *l, const char *variant, const char *note)
{
	char metric[96];

	snprintf(metric, sizeof(metric), "registrations_per_second/%s", variant);
	bench_rate_row(b, metric, &l->ns, "ring", note);
	snprintf(metric, sizeof(metric), "registrations_per_cpu_second/%s", variant);
	bench_rate_row(b, metric, &l->own, "ring",
		"a second of the worker's and the slow lcore's own time");
}

int case_register_auth(struct bench *b)
{
	uint32_t users = RTE_MIN(b->contacts, (uint32_t)USERS);
	struct load first, md5, sha256, both;
	struct store store;

	if (b->count != 0)
		users = (uint32_t)RTE_MIN(b->count, (uint64_t)BATCH);
	store_make(b, &store);
	bench_say(b, "%u users are put into the database", users);
	add_users(b, &store, users);
	crowd_make(b, &store, users);
	load_init(&first);
	load_init(&md5);
	load_init(&sha256);
	load_init(&both);
	run_first(&crowd.p, &first);
	run_known(&crowd.p, &crowd.md5, &md5);
	run_known(&crowd.p, &crowd.sha256, &sha256);
	run_both(&crowd.p, &both);
	rows(b, &first, "first", store.device);
	phones_rows(&crowd.p, &md5, "registrations", "registration");
	rows(b, &sha256, "sha256", "the same by SHA-256");
	rows(b, &both, "challenged",
		"REGISTER, 401, REGISTER, 200; phones hash on the worker's CPU");
	load_free(&first);
	load_free(&md5);
	load_free(&sha256);
	load_free(&both);
	phones_destroy(&crowd.p);
	free(crowd.md5.template);
	free(crowd.unproven);
	free(crowd.answer);
	free(crowd.place);
	return 0;
}
