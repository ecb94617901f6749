/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The local times of rows around the changes of a zone: what a moment is written as, what is read
 * of it, and that what a database is asked for holds all that has not ended. Then a REGISTER on
 * either side of both changes of a year. The zones are rules, so that none has to be installed.
 */
#include <time.h>

#include "table.h"

#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"
/* 2027, in UTC: 01:00 of the last Sundays of March and October. */
#define SUMMER INT64_C(1806195600)
#define WINTER INT64_C(1824944400)
#define HOUR 3600
#define NOW_S 1000 /* the monotonic clock's second of a stage that was just opened */

static struct stage *stage;

static void set_clock(const char *zone, int64_t moment, uint64_t now_ns)
{
	setenv("TZ", zone, 1);
	tzset();
	registrar_zone_publish(stage->registrar, moment, now_ns);
}

static const struct registrar_zone *zone_at(const char *zone, int64_t moment)
{
	/* Another time of day than the last one's is read anew. */
	set_clock("UTC0", moment + 1000000, 0);
	set_clock(zone, moment, 0);
	return registrar_zone(stage->registrar);
}

static int open_stage(void **state)
{
	stage = stage_open("", "exit;\n");
	return 0;
}

static int close_stage(void **state)
{
	stage_close(stage);
	unsetenv("TZ");
	tzset();
	return 0;
}

static const char *written(const struct registrar_zone *z, int64_t moment)
{
	static char text[DB_TIME_TEXT];

	db_time_write(registrar_zone_local(z, moment), text);
	return text;
}

static int64_t read_back(const struct registrar_zone *z, const char *text)
{
	int64_t local;

	assert_true(registrar_time_read(str_c(text), &local));
	return registrar_zone_moment(z, local);
}

static void a_time_is_of_its_own_moment(void **state)
{
	for (int64_t now = SUMMER - 2 * HOUR; now <= SUMMER + 2 * HOUR; now += HOUR) {
		const struct registrar_zone *z = zone_at(BERLIN, now);

		assert_string_equal(written(z, SUMMER - 1), "2027-03-28 01:59:59");
		assert_string_equal(written(z, SUMMER), "2027-03-28 03:00:00");
		assert_int_equal(read_back(z, "2027-03-28 01:59:59"), SUMMER - 1);
		assert_int_equal(read_back(z, "2027-03-28 03:00:00"), SUMMER);
		/* No moment has it. */
		assert_int_equal(read_back(z, "2027-03-28 02:50:00"), SUMMER + 50 * 60);
		/* The next change, and one that is over. */
		assert_string_equal(written(z, WINTER - 1), "2027-10-31 02:59:59");
		assert_string_equal(written(z, WINTER), "2027-10-31 02:00:00");
		assert_string_equal(written(z, SUMMER - 200 * 86400), "2026-09-09 03:00:00");
	}
	for (int64_t now = WINTER - 2 * HOUR; now <= WINTER + 2 * HOUR; now += HOUR) {
		const struct registrar_zone *z = zone_at(BERLIN, now);

		assert_int_equal(read_back(z, "2027-10-31 01:59:59"), WINTER - HOUR - 1);
		/* Two moments have it. */
		assert_int_equal(read_back(z, "2027-10-31 02:00:00"), WINTER);
		assert_int_equal(read_back(z, "2027-10-31 02:59:59"), WINTER + HOUR - 1);
		assert_int_equal(read_back(z, "2027-10-31 03:00:00"), WINTER + HOUR);
	}
}

/* As localtime_r() says; nothing that is written ends early when it is read, by any change of a
 * zone by up to an hour, and what is asked for holds all that has not ended. */
static void nothing_ends_early(void **state)
{
	static const char *const zones[] = {BERLIN, "UTC0", "IST-5:30", "EST5EDT,M3.2.0,M11.1.0",
		"NZST-12NZDT,M9.5.0,M4.1.0/3", "LHST-10:30LHDT-11,M10.1.0,M4.1.0"};

	for (unsigned i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		const struct registrar_zone *z = zone_at(zones[i], SUMMER);

		assert_in_range(z->count, 1, REGISTRAR_ZONE_SPANS - 1);
		for (int64_t moment = SUMMER - 390 * 86400; moment < SUMMER + 1000 * 86400;
			moment += 1501) {
			int64_t local = registrar_zone_local(z, moment), again;
			time_t at = (time_t)moment;
			struct tm tm;

			assert_non_null(localtime_r(&at, &tm));
			assert_int_equal(local - moment, tm.tm_gmtoff);
			again = registrar_zone_moment(z, local);
			assert_in_range(again, moment, moment + HOUR);
			assert_true(registrar_zone_least(z, moment) <= local);
		}
		/* Around each change, each text that is read as later is found. */
		for (unsigned n = 1; n < z->count; n++)
			for (int64_t now = z->span[n].from - 2 * HOUR;
				now < z->span[n].from + 2 * HOUR; now += 307) {
				int64_t least = registrar_zone_least(z, now);
				int64_t first = INT64_MAX;

				for (int64_t local = z->span[n].from + z->span[n].offset - 6 * HOUR;
					local < z->span[n].from + z->span[n].offset + 6 * HOUR;
					local++)
					if (registrar_zone_moment(z, local) >= now) {
						first = local;
						break;
					}
				assert_int_equal(least, first);
			}
	}
}

/* It is read anew where the clock is set, and else once a day; readers see a whole one. */
static void it_is_published_when_it_changes(void **state)
{
	const struct registrar_zone *z = zone_at(BERLIN, SUMMER), *later;

	registrar_zone_publish(stage->registrar, SUMMER + 60, 60 * CLOCK_NS_PER_S);
	assert_ptr_equal(registrar_zone(stage->registrar), z);
	/* The clocks' seconds begin at other moments. */
	registrar_zone_publish(stage->registrar, SUMMER + 61, 60 * CLOCK_NS_PER_S);
	registrar_zone_publish(stage->registrar, SUMMER + 86401, 86401 * CLOCK_NS_PER_S);
	assert_ptr_equal(registrar_zone(stage->registrar), z);
	registrar_zone_publish(stage->registrar, SUMMER + 500 * 86400, 60 * CLOCK_NS_PER_S);
	later = registrar_zone(stage->registrar);
	assert_int_equal(later->epoch, SUMMER + 500 * 86400 - 60);
}

/* ---- a REGISTER ---- */

#define PHONE "<sip:alice@192.0.2.7:5062>"
#define MODE "modparam(\"usrloc\", \"db_mode\", 3)\n"
#define BODY \
	"if (is_method(\"REGISTER\")) { save(\"location\"); $var(rc) = $rc; exit; }\n" \
	"lookup(\"location\"); $var(rc) = $rc; sl_send_reply(\"200\", \"$ru\");\n"

static bool is_found(void)
{
	stage_send(stage, request("INVITE", "sip:alice@example.com"));
	return stage_rc(stage) == 1;
}

/* Registered for an hour: the text in its row, and it is found for as long. */
static void lasts_an_hour(int64_t moment, const char *text, unsigned longer)
{
	char wanted[64];

	stage = stage_open_db(MODE, BODY, table_url);
	assert_int_equal(table_loads(stage), 0);
	assert_int_equal(stage->thread.now_ns, NOW_S * CLOCK_NS_PER_S);
	set_clock(BERLIN, moment, stage->thread.now_ns);
	assert_status(send_registration(stage, "c1", 1, "Contact: " PHONE ";expires=3600\n"), 200);
	snprintf(wanted, sizeof(wanted), "%s\n", text);
	assert_string_equal(table_rows("expires"), wanted);
	for (unsigned past = 0; past < HOUR; past += 59) {
		assert_true(is_found());
		stage_pass(stage, 59);
	}
	stage_pass(stage, longer);
	assert_false(is_found());
	table_change("DELETE FROM location");
	stage_close(stage);
}

static void a_binding_lasts_through_a_change(void **state)
{
	/* 01:50 CET, and 01:10: on the other side of the change, and right behind it. */
	lasts_an_hour(SUMMER - 600, "2027-03-28 03:50:00", 0);
	lasts_an_hour(SUMMER - 3000, "2027-03-28 03:10:00", 0);
	lasts_an_hour(SUMMER + 60, "2027-03-28 04:01:00", 0);
	/* 02:50 CEST; 02:10 CEST, an hour before it is 02:10 again; 02:10 CET. */
	lasts_an_hour(WINTER - 600, "2027-10-31 02:50:00", 0);
	lasts_an_hour(WINTER - 3000, "2027-10-31 02:10:00", 0);
	lasts_an_hour(WINTER + 600, "2027-10-31 03:10:00", 0);
	/* 01:50 CEST: it ends when it is 02:50 for the first time, and is read as for the second.
	 */
	lasts_an_hour(WINTER - 4200, "2027-10-31 02:50:00", HOUR);
	unsetenv("TZ");
	tzset();
}

#define T(f) cmocka_unit_test_setup_teardown(f, open_stage, close_stage)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_time_is_of_its_own_moment),
		T(nothing_ends_early),
		T(it_is_published_when_it_changes),
		cmocka_unit_test_setup_teardown(
			a_binding_lasts_through_a_change, table_begin, table_end),
	};

	return cmocka_run_group_tests_name("registrar_zone", tests, NULL, NULL);
}
