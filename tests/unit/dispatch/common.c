/* SPDX-License-Identifier: BSD-3-Clause */
#include "common.h"

_Atomic uint64_t test_now_ns = 1000 * S;

uint64_t test_now(void)
{
	return atomic_load_explicit(&test_now_ns, memory_order_relaxed);
}

static struct hash128 no_key(void *arg, struct route_ctx *ctx)
{
	return (struct hash128){0, 0};
}

static int no_listener(void *arg, const struct net_endpoint *ep, enum sip_transport transport)
{
	return -1;
}

void room_open(struct room *room, uint32_t pins)
{
	struct dispatch_config config = {
		.rcu = &room->rcu,
		.transaction_key = no_key,
		.find_listener = no_listener,
		.pins = pins,
		.now_ns = test_now,
	};

	memset(room, 0, sizeof(*room));
	rcu_init(&room->rcu);
	room->reader = rcu_register(&room->rcu);
	room->d = dispatch_create(&config);
	assert_non_null(room->d);
	room->report = route_report_create();
	for (unsigned i = 0; i < 8; i++) {
		room->thread[i].index = i;
		room->thread[i].random = 88172645463325252ULL + i;
		room->thread[i].now_ns = test_now();
	}
}

void room_close(struct room *room)
{
	rcu_offline(&room->rcu, room->reader);
	dispatch_destroy(room->d);
	assert_int_equal(rcu_reclaim(&room->rcu), 0);
	route_report_destroy(room->report);
}

int room_load_options(struct room *room, const char *list, const struct dispatch_options *options)
{
	struct dispatch_prepared *p;
	struct dispatch_specs specs;
	int err = dispatch_list_parse("list", str_c(list), NULL, NULL, room->report, &specs);

	if (err != 0)
		return err;
	err = dispatch_generation_prepare(room->d, "list", &specs, options, room->report, &p);
	dispatch_specs_free(&specs);
	if (err == 0)
		dispatch_generation_publish(room->d, p);
	rcu_quiescent(&room->rcu, room->reader);
	rcu_reclaim(&room->rcu);
	return err;
}

int room_load(struct room *room, const char *list)
{
	return room_load_options(room, list, &(struct dispatch_options){0, false});
}

void room_pass(struct room *room, uint64_t ns)
{
	while (ns > 0) {
		uint64_t step = ns < S ? ns : S;

		ns -= step;
		atomic_fetch_add_explicit(&test_now_ns, step, memory_order_relaxed);
		dispatch_tick(room->d, test_now());
		rcu_quiescent(&room->rcu, room->reader);
		rcu_reclaim(&room->rcu);
	}
	for (unsigned i = 0; i < 8; i++)
		room->thread[i].now_ns = test_now();
}

struct search {
	uint32_t set;
	const char *uri;
	uint16_t id;
};

static void match(void *arg, const struct dispatch_info *info)
{
	struct search *search = arg;

	if (info->set == search->set && strcmp(info->uri, search->uri) == 0)
		search->id = (uint16_t)info->id;
}

uint16_t room_id(struct room *room, uint32_t set, const char *uri)
{
	struct search search = {set, uri, 0};

	dispatch_list(room->d, match, &search);
	return search.id;
}

char *list_of(uint32_t set, unsigned n, uint32_t (*weight)(unsigned i))
{
	size_t size = (size_t)n * 80 + 1, at = 0;
	char *list = malloc(size);

	assert_non_null(list);
	list[0] = '\0';
	for (unsigned i = 0; i < n; i++) {
		at += (size_t)snprintf(list + at, size - at, "%u sip:10.1.%u.%u:5060 0 0", set,
			i / 250, i % 250 + 1);
		if (weight != NULL)
			at += (size_t)snprintf(list + at, size - at, " weight=%u", weight(i));
		at += (size_t)snprintf(list + at, size - at, "\n");
	}
	return list;
}

static struct hash128 transaction_of(void *arg)
{
	static const struct hash_key key = {{1, 2}};
	struct hash h;

	hash_init128(&h, &key);
	hash_u64(&h, *(const uint64_t *)arg);
	return hash_final128(&h);
}

uint16_t choose(struct room *room, unsigned worker, const struct message *m)
{
	uint64_t transaction = m->transaction;
	struct dispatch_choice choice = {
		.set = m->set,
		.algorithm = (uint8_t)m->algorithm,
		.klass = m->klass,
		.hash = dispatch_hash_text(str_of((const char *)&m->key, sizeof(m->key))),
		.transaction = transaction_of,
		.arg = &transaction,
		.thread = &room->thread[worker],
		.now_ns = room->thread[worker].now_ns,
	};

	return dispatch_choose(room->d, &choice);
}

uint64_t test_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

uint32_t address_of(struct room *room, uint16_t id)
{
	const struct dispatch_target *t = dispatch_target_at(room->d, id);

	assert_non_null(t);
	return t->ep.addr.v4;
}

void names_open(struct names *names)
{
	static const struct dns_record record[] = {
		{"two.test", TYPE_A, 300, "10.2.0.1", 0, 0, 0},
		{"two.test", TYPE_A, 300, "10.2.0.2", 0, 0, 0},
		{"_sip._udp.srv.test", TYPE_SRV, 300, "a.srv.test", 10, 5, 5081},
		{"_sip._udp.srv.test", TYPE_SRV, 300, "b.srv.test", 20, 5, 5082},
		{"a.srv.test", TYPE_A, 300, "10.3.0.1", 0, 0, 0},
		{"b.srv.test", TYPE_A, 300, "10.3.0.2", 0, 0, 0},
	};

	memset(names, 0, sizeof(*names));
	names->dns = dns_server_start();
	assert_non_null(names->dns);
	for (unsigned i = 0; i < sizeof(record) / sizeof(record[0]); i++)
		dns_server_add(names->dns, record[i]);
	rcu_init(&names->rcu);
	names->resolver = resolver_create(dns_server_address(names->dns), &names->rcu);
	assert_non_null(names->resolver);
}

void names_close(struct names *names)
{
	resolver_destroy(names->resolver);
	rcu_reclaim(&names->rcu);
	dns_server_stop(names->dns);
}
