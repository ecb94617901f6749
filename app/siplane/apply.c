/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What of a configuration takes effect in a running process, at the start and at each reload.
 */
#include <errno.h>
#include <stdio.h>

#include "siplane.h"

/* OpenSER's scale as `debug` has it: 3 is notice. */
static enum log_level level_of(const struct app *app, const struct route_config *config)
{
	if (app->options.debug || config->debug >= 5)
		return LOG_LEVEL_DEBUG;
	if (config->debug == 4)
		return LOG_LEVEL_INFO;
	if (config->debug == 3)
		return LOG_LEVEL_NOTICE;
	return config->debug == 2 ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR;
}

void logging_begin(const struct app *app, const struct route_config *config)
{
	if (config->log_stderror == 0)
		log_use_syslog("siplane");
	log_set_level(level_of(app, config));
}

int apply(void *arg, const struct route_config *config, char *error, size_t error_size)
{
	struct app *app = arg;
	char servers[sizeof(app->dns_servers)], ignored[512];
	bool naptr = app->dns_naptr;
	int err = proxy_secret_load(app->proxy, config->secret_file, error, error_size);

	/* Keys that were read again verify what the old ones did: should anything be refused now,
	 * nothing that was promised to anybody is lost. */
	if (err != 0)
		return err;
	strcpy(servers, app->dns_servers);
	err = names_apply(app, config->dns_servers, config->dns_try_naptr != 0, error, error_size);
	if (err != 0)
		return err;
	err = listeners_apply(app, config, error, error_size);
	if (err != 0) {
		/* Nothing has been asked of them meanwhile. */
		(void)names_apply(
			app, servers[0] != '\0' ? servers : NULL, naptr, ignored, sizeof(ignored));
		return err;
	}
	log_set_level(level_of(app, config));
	pipeline_set_xlog(app->pipeline, level_of(app, config), (uint32_t)config->xlog_rate);
	return 0;
}
