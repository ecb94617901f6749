/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * REGISTERs through save(): what is answered is a message whose lines are ours; a refusal changes
 * nothing; after a 200 what is listed is what is registered, each in the table's bounds; the same
 * one again changes nothing more; lookup() of it ends in URIs that can be parsed, and nothing is
 * written past anything.
 *
 * The input's first byte chooses the settings; the rest are messages, parted by a line "\n----\n".
 */
#include <stdio.h>
#include <stdlib.h>

#include "registrar/internal.h"

#define OUT_MAX (SIP_MSG_UDP_OUT_MAX + 1)
#define SCRIPTS 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct proxy *proxy;
static struct location *location;
/* One each for the settings, and the one at hand. */
static struct registrar *rooms[SCRIPTS], *room;
static struct route_script *script[SCRIPTS];
static struct route_thread thread;
static struct route_ctx *ctx;
static struct sip_msg parsed;
static char out[OUT_MAX], again[OUT_MAX];

/* Says which line found it. */
static void require_at(bool holds, int line)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_save.c:%d: does not hold\n", line);
	abort();
}
#define require(holds) require_at((holds), __LINE__)

static const char *const settings[SCRIPTS] = {"",
	"modparam(\"registrar\", \"use_path\", 1)\nmodparam(\"registrar\", \"path_mode\", 1)\n"
	"modparam(\"registrar\", \"path_use_received\", 1)\n"
	"modparam(\"registrar\", \"method_filtering\", 1)\n"
	"modparam(\"usrloc\", \"matching_mode\", 2)\nmodparam(\"usrloc\", \"use_domain\", 1)\n",
	"modparam(\"registrar\", \"outbound_mode\", 1)\nmodparam(\"registrar\", \"flow_timer\", "
	"9)\n"
	"modparam(\"registrar\", \"use_path\", 1)\nmodparam(\"registrar\", \"max_contacts\", 3)\n"
	"modparam(\"registrar\", \"case_sensitive\", 1)\n"
	"modparam(\"registrar\", \"service_route\", \"<sip:s;lr>\")\n",
	"modparam(\"registrar\", \"min_expires_mode\", 1)\n"
	"modparam(\"registrar\", \"regid_mode\", 1)\n"
	"modparam(\"registrar\", \"contact_max_size\", 1024)\n"
	"modparam(\"usrloc\", \"matching_mode\", 1)\n"};

static struct route_script *load(struct registrar *with, const char *params)
{
	static struct route_registry registry;
	struct route_report *report = route_report_create();
	struct route_script *loaded;
	char text[4096];
	int n = snprintf(text, sizeof(text),
		"loadmodule \"usrloc.so\"\nloadmodule \"registrar.so\"\n%s"
		"request_route {\n\tif (method == \"REGISTER\") { save(\"location\"); exit; }\n"
		"\tlookup(\"location\");\n}\n",
		params);

	route_registry_init(&registry);
	proxy_hooks(proxy, &registry.hooks);
	require(registrar_register(with, &registry) == 0);
	loaded = route_script_load_text("fuzz.cfg", str_of(text, (size_t)n), &registry, report);
	if (loaded == NULL)
		fprintf(stderr, "%s", route_report_text(report));
	require(loaded != NULL);
	route_report_destroy(report);
	route_script_publish(loaded);
	return loaded;
}

static void set_up(void)
{
	static struct proxy_listener listener = {.transport = SIP_TRANSPORT_UDP};
	struct proxy_config config = {.listener = &listener, .listeners = 1};
	struct location_config table = {.shards = 1, .contacts = 4096};
	struct registrar_config parts;
	char error[256];

	require(net_addr_parse(STR("192.0.2.1"), &listener.ep.addr) == 0);
	listener.ep.port = 5060;
	proxy = proxy_create(NULL, NULL);
	require(proxy_secret_load(proxy, NULL, error, sizeof(error)) == 0);
	require(proxy_configure(proxy, &config) == 0);
	location = location_create(&table, error, sizeof(error));
	parts = (struct registrar_config){location, proxy, NULL};
	for (unsigned i = 0; i < SCRIPTS; i++) {
		rooms[i] = registrar_create(&parts);
		require(rooms[i] != NULL);
		script[i] = load(rooms[i], settings[i]);
	}
	require(route_thread_init(&thread, 0) == 0);
	thread.has_state = true;
	thread.now_ns = 1000 * CLOCK_NS_PER_S;
	ctx = aligned_alloc(64, (sizeof(*ctx) + 63) & ~(size_t)63);
	memset(ctx, 0, sizeof(*ctx));
	ctx->thread = &thread;
}

/* Runs one message; false where no script would see it. */
static bool run(const char *buf, uint32_t len, const struct route_script *with)
{
	memset(&ctx->origin, 0, sizeof(ctx->origin));
	require(net_addr_parse(STR("198.51.100.7"), &ctx->origin.src.addr) == 0);
	ctx->origin.src.port = 40000;
	ctx->origin.transport = SIP_TRANSPORT_UDP;
	route_ctx_bind(ctx, with, &thread, (char *)(uintptr_t)buf);
	if (sip_msg_index(&ctx->msg, buf, len) != SIP_OK ||
		sip_msg_check(&ctx->msg, buf) != SIP_OK || ctx->msg.is_response)
		return false;
	route_ctx_reset(ctx);
	require(route_run(ctx) == ROUTE_ENDED);
	require(ctx->text_len <= ROUTE_TEXT_MAX);
	return true;
}

static void read_set(struct location_set *set)
{
	const struct sip_address *to = sip_msg_to(&ctx->msg, ctx->buf);
	struct registrar_aor aor;
	struct hash128 digest;

	set->count = 0;
	if (to == NULL || registrar_aor_of_text(room, sip_text(ctx->buf, to->uri), &aor, NULL) !=
				  REGISTRAR_AOR_OK)
		return;
	digest = location_digest(location, 0, registrar_aor_str(&aor));
	require(location_read(location, digest, 0, registrar_aor_str(&aor), registrar_now(ctx),
			set) >= 0);
	require(set->former <= LOCATION_FORMER_MAX && (set->former == 0 || set->changing));
	require(set->before < (int)(set->count + set->former));
}

static bool same_set(const struct location_set *a, const struct location_set *b)
{
	if (a->count != b->count)
		return false;
	for (unsigned i = 0; i < a->count; i++)
		if (!str_eq(a->contact[i].uri, b->contact[i].uri) ||
			a->contact[i].expires != b->contact[i].expires ||
			a->contact[i].cseq != b->contact[i].cseq)
			return false;
	return true;
}

static void good_contact(const struct location_contact *c)
{
	struct sip_uri uri;

	require(c->uri.len <= LOCATION_URI_MAX && c->path.len <= LOCATION_PATH_MAX);
	require(sip_uri_parse(c->uri.s, (struct sip_span){0, c->uri.len}, &uri) == 0);
	require(c->q <= 1000 || c->q == LOCATION_Q_NONE);
	require(c->expires > registrar_now(ctx));
	if (c->path.len != 0) {
		struct sip_address path;

		require(sip_address_parse(c->path.s, (struct sip_span){0, c->path.len}, &path) ==
			0);
		require(sip_uri_parse(c->path.s, path.uri, &uri) == 0 && uri.lr);
		require(path.uri.off == 1);
	}
}

/* The reply is a message; its Contacts, counted. */
static unsigned reply_contacts(char *text)
{
	struct proxy_out to;
	int64_t n = proxy_reply_write(proxy, ctx, text, OUT_MAX, &to);
	unsigned contacts = 0;

	if (n < 0)
		return UINT32_MAX;
	require(sip_msg_index(&parsed, text, (uint32_t)n) == SIP_OK);
	require(parsed.is_response && parsed.status == ctx->result.status);
	SIP_MSG_FOREACH (&parsed, SIP_HEADER_CONTACT, h) {
		struct sip_span rest = sip_header_value(h);
		uint32_t end = rest.off + rest.len;
		struct sip_address address;

		do {
			require(sip_address_parse(text, rest, &address) == 0);
			require(sip_param_find(text, address.params, STR("expires"), NULL, NULL));
			contacts++;
			rest = (struct sip_span){address.next, end - address.next};
		} while (address.next != 0);
	}
	return contacts;
}

static void registered(const char *buf, uint32_t len, const struct route_script *with,
	const struct location_set *before)
{
	static struct location_set after, then;
	uint16_t status = ctx->result.status;
	unsigned contacts;

	require(ctx->result.reply);
	contacts = reply_contacts(out);
	read_set(&after);
	if (status != 200) {
		require(status >= 400 && status < 600);
		require(same_set(before, &after));
		return;
	}
	require(contacts == UINT32_MAX || contacts == after.count);
	for (unsigned i = 0; i < after.count; i++)
		good_contact(&after.contact[i]);
	for (unsigned i = 0; i < after.former; i++)
		require(location_leads(&after.contact[after.count + i]));
	/* A retransmission: the same answer, or that it is one too late, and nothing else. */
	require(run(buf, len, with));
	(void)reply_contacts(again);
	read_set(&then);
	require(ctx->result.status != 200 || same_set(&after, &then));
}

static void looked_up(void)
{
	struct str text = route_ctx_uri(ctx);
	struct sip_uri uri;

	require(ctx->branches <= ROUTE_BRANCHES_MAX);
	require(sip_uri_parse(text.s, (struct sip_span){0, text.len}, &uri) == 0);
	for (unsigned i = 0; i < ctx->branches; i++) {
		text = route_text_str(ctx, ctx->branch[i].uri);
		require(sip_uri_parse(text.s, (struct sip_span){0, text.len}, &uri) == 0);
		require(uri.headers.len == 0);
	}
}

/* The same one again goes the same way, whatever was registered before. */
static void goes_one_way(const char *buf, uint32_t len, const struct route_script *with)
{
	static char first[ROUTE_TEXT_MAX];
	struct str text = route_ctx_uri(ctx);
	bool fits = text.len <= sizeof(first);

	if (fits)
		memcpy(first, text.s, text.len);
	require(run(buf, len, with));
	require(!fits || str_eq(route_ctx_uri(ctx), str_of(first, text.len)));
}

/* One message, at the very end of a block of its own. */
static void message(const uint8_t *data, size_t size, const struct route_script *with)
{
	static struct location_set before;
	char *buf = malloc(size != 0 ? size : 1);
	uint32_t len = (uint32_t)size;

	memcpy(buf, data, size);
	ctx->buf = buf;
	before.count = 0;
	if (sip_msg_index(&ctx->msg, buf, len) == SIP_OK && sip_msg_check(&ctx->msg, buf) == SIP_OK)
		read_set(&before);
	if (run(buf, len, with)) {
		if (ctx->msg.method == SIP_METHOD_REGISTER)
			registered(buf, len, with, &before);
		else
			looked_up();
		if (ctx->msg.method != SIP_METHOD_REGISTER)
			goes_one_way(buf, len, with);
	}
	free(buf);
}

/* ---- an empty table for each input ---- */

struct name {
	uint8_t table;
	uint32_t len;
	char text[LOCATION_AOR_MAX];
};

static struct name names[64];
static unsigned name_count;

static void note(void *arg, uint8_t table, struct str aor, const struct location_set *set)
{
	struct name *name = &names[name_count];

	if (name_count == sizeof(names) / sizeof(names[0]))
		return;
	require(aor.len <= sizeof(name->text));
	name->table = table;
	name->len = aor.len;
	memcpy(name->text, aor.s, aor.len);
	name_count++;
}

static void forget_all(void)
{
	do {
		uint64_t at = 0;

		name_count = 0;
		while (location_walk(location, 0, &at, 1 << 14, registrar_now(ctx), note, NULL))
			;
		for (unsigned i = 0; i < name_count; i++) {
			struct str aor = str_of(names[i].text, names[i].len);

			require(location_replace(location, 0,
					location_digest(location, names[i].table, aor),
					names[i].table, aor, registrar_now(ctx), NULL, 0) == 0);
		}
	} while (name_count != 0);
	/* And who came first before. */
	location_sweep(location, 0, registrar_now(ctx) + LOCATION_WINDOW, UINT32_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char part[] = "\n----\n";
	unsigned which;

	if (proxy == NULL)
		set_up();
	if (size < 1 || size > SIP_MSG_UDP_MAX)
		return 0;
	which = data[0] % SCRIPTS;
	room = rooms[which];
	data++;
	size--;
	while (size > 0) {
		const uint8_t *end = memmem(data, size, part, sizeof(part) - 1);
		size_t len = end != NULL ? (size_t)(end - data) : size;

		message(data, len, script[which]);
		thread.now_ns += CLOCK_NS_PER_S;
		if (end == NULL)
			break;
		data = end + sizeof(part) - 1;
		size -= len + sizeof(part) - 1;
	}
	forget_all();
	return 0;
}
