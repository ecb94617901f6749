/* SPDX-License-Identifier: BSD-3-Clause */
/* What an operator asks, and not a message, where the database alone says who is registered. */
#include <stdlib.h>

#include "registrar/internal.h"

bool registrar_asks(const struct registrar *r)
{
	return registrar_only(registrar_usrloc(r));
}

static void end(struct registrar_hand *h, int result)
{
	h->result = result;
	h->over = true;
	if (h->dropped)
		free(h);
}

void registrar_hand_drop(struct registrar_hand *h)
{
	h->dropped = true;
	if (h->over)
		free(h);
}

static void removed(void *arg, enum db_result result, const struct db_rows *rows)
{
	struct registrar_hand *h = arg;

	end(h, result == DB_DONE ? h->result : -EIO);
}

/* As a REGISTER does: the rows of what goes, and no other. */
static void remove_rows(struct registrar_hand *h)
{
	struct str uri = str_of(h->uri, h->uri_len);
	struct registrar_packing k;
	char calls[DB_CALL_MAX];
	int n = 0;

	registrar_pack_begin(
		&k, h->registrar, h->table, registrar_aor_str(&h->aor), calls, sizeof(calls));
	for (unsigned i = 0; i < h->set.count; i++) {
		if (uri.len != 0 && !registrar_is_meant(&h->set.contact[i], uri))
			continue;
		registrar_pack_remove_binding(&k, &h->set.contact[i]);
		n++;
	}
	h->result = n;
	if (n == 0)
		end(h, 0);
	else if (k.len < 0)
		end(h, -E2BIG);
	else if (db_change(h->registrar->config.db, str_of(calls, (size_t)k.len), removed, h) != 0)
		end(h, -EIO);
}

static void asked(void *arg, enum db_result result, const struct db_rows *rows)
{
	enum registrar_fetched fetched = REGISTRAR_FETCHED;
	struct registrar_hand *h = arg;
	bool malformed;

	registrar_fetch_begin(&h->set);
	if (result == DB_TOO_LONG || (result == DB_DONE && rows->count >= REGISTRAR_READ_ROWS)) {
		end(h, -E2BIG);
		return;
	}
	if (result != DB_DONE) {
		end(h, -EIO);
		return;
	}
	for (unsigned i = 0; i < rows->count && fetched == REGISTRAR_FETCHED; i++)
		fetched = registrar_fetch_row(h->registrar, db_value(rows, i, 0),
			registrar_aor_str(&h->aor), h->now, &h->set, &malformed);
	if (fetched != REGISTRAR_FETCHED)
		end(h, -E2BIG);
	else if (h->removes)
		remove_rows(h);
	else
		end(h, (int)h->set.count);
}

int registrar_hand_begin(struct registrar *r, struct registrar_hand *h, uint32_t now)
{
	char call[64 + 2 * LOCATION_AOR_MAX];
	struct registrar_packing k;

	h->registrar = r;
	h->now = now;
	registrar_pack_begin(&k, r, h->table, registrar_aor_str(&h->aor), call, sizeof(call));
	registrar_pack_read(&k, now);
	return k.len > 0 && db_ask(r->config.db, str_of(call, (size_t)k.len), asked, h) == 0
		       ? 0
		       : -EAGAIN;
}
