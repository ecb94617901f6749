/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "port/port_internal.h"

static const struct {
	const char *word;
	uint64_t bits;
} rss_words[] = {
	{"ipv4", RTE_ETH_RSS_IPV4},
	{"ipv4-frag", RTE_ETH_RSS_FRAG_IPV4},
	{"ipv4-udp", RTE_ETH_RSS_NONFRAG_IPV4_UDP},
	{"ipv4-tcp", RTE_ETH_RSS_NONFRAG_IPV4_TCP},
	{"ipv6", RTE_ETH_RSS_IPV6},
	{"ipv6-frag", RTE_ETH_RSS_FRAG_IPV6},
	{"ipv6-udp", RTE_ETH_RSS_NONFRAG_IPV6_UDP},
	{"ipv6-tcp", RTE_ETH_RSS_NONFRAG_IPV6_TCP},
};

uint64_t port_rss_word(struct str word)
{
	for (size_t i = 0; i < RTE_DIM(rss_words); i++)
		if (str_eq(word, str_c(rss_words[i].word)))
			return rss_words[i].bits;
	return 0;
}

void port_rss_format(uint64_t rss, char *out, size_t size)
{
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < RTE_DIM(rss_words) && at < size; i++)
		if ((rss & rss_words[i].bits) != 0)
			at += (size_t)snprintf(
				out + at, size - at, "%s%s", at > 0 ? " " : "", rss_words[i].word);
}

void port_profile_default(struct port_profile *profile)
{
	*profile = (struct port_profile){
		.name = "default",
		.rx_descriptors = 1024,
		.tx_descriptors = 1024,
		.rss = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_IPV6 |
		       RTE_ETH_RSS_NONFRAG_IPV6_UDP,
	};
}

static struct str next_word(struct str *text)
{
	struct str word;

	*text = str_trim(*text);
	word = str_of(text->s, 0);
	while (word.len < text->len && !str_is_lws(text->s[word.len]))
		word.len++;
	text->s += word.len;
	text->len -= word.len;
	return word;
}

static int set_bool(struct str value, bool *out)
{
	if (str_eq(value, STR("yes")))
		*out = true;
	else if (str_eq(value, STR("no")))
		*out = false;
	else
		return -EINVAL;
	return 0;
}

static int set_number(struct str value, uint32_t max, unsigned *out)
{
	uint32_t v;
	int rc = str_to_u32(value, max, &v);

	if (rc == 0)
		*out = v;
	return rc;
}

static int set_text(struct str value, char *out, size_t size)
{
	if (value.len >= size)
		return -EINVAL;
	memcpy(out, value.s, value.len);
	out[value.len] = '\0';
	return 0;
}

static int set_drivers(struct str value, struct port_profile *p)
{
	struct str word;

	for (p->drivers = 0; (word = next_word(&value)).len > 0; p->drivers++)
		if (p->drivers == PORT_PROFILE_DRIVERS_MAX ||
			set_text(word, p->driver[p->drivers], sizeof(p->driver[0])) != 0)
			return -EINVAL;
	return p->drivers > 0 ? 0 : -EINVAL;
}

static int set_rss(struct str value, struct port_profile *p)
{
	struct str word;

	p->rss = 0;
	if (str_eq(value, STR("none")))
		return 0;
	while ((word = next_word(&value)).len > 0) {
		uint64_t bits = port_rss_word(word);

		if (bits == 0)
			return -EINVAL;
		p->rss |= bits;
	}
	return 0;
}

static int set_quirks(struct str value, struct port_profile *p)
{
	static const struct {
		const char *word;
		unsigned bit;
	} quirks[] = {
		{"set_port", PORT_QUIRK_SET_PORT},
		{"tpacket_frames", PORT_QUIRK_TPACKET_FRAMES},
		{"link_netdev", PORT_QUIRK_POLL_LINK},
		{"channels", PORT_QUIRK_CHANNELS},
	};
	struct str word;

	p->quirks = 0;
	while ((word = next_word(&value)).len > 0) {
		size_t i = 0;

		while (i < RTE_DIM(quirks) && !str_eq(word, str_c(quirks[i].word)))
			i++;
		if (i == RTE_DIM(quirks))
			return -EINVAL;
		p->quirks |= quirks[i].bit;
	}
	return 0;
}

static int set_netdev(struct str value, struct port_profile *p)
{
	if (str_eq(value, STR("none")))
		p->netdev = PORT_NETDEV_NONE;
	else if (str_eq(value, STR("bare")))
		p->netdev = PORT_NETDEV_BARE;
	else if (str_eq(value, STR("peer")))
		p->netdev = PORT_NETDEV_PEER;
	else
		return -EINVAL;
	return 0;
}

/* Two words for a boolean: the first one is false. */
static int set_choice(struct str value, struct str off, struct str on, bool *out)
{
	if (!str_eq(value, off) && !str_eq(value, on))
		return -EINVAL;
	*out = str_eq(value, on);
	return 0;
}

static int set_key(struct str key, struct str value, struct port_profile *p)
{
	if (str_eq(key, STR("driver")))
		return set_drivers(value, p);
	if (str_eq(key, STR("virtual")))
		return set_bool(value, &p->virtual_device);
	if (str_eq(key, STR("mac")))
		return set_choice(value, STR("device"), STR("own"), &p->own_mac);
	if (str_eq(key, STR("rx_descriptors")))
		return set_number(value, UINT16_MAX, &p->rx_descriptors);
	if (str_eq(key, STR("tx_descriptors")))
		return set_number(value, UINT16_MAX, &p->tx_descriptors);
	if (str_eq(key, STR("mbuf_room")))
		return set_number(value, PORT_MBUF_BIG_ROOM, &p->mbuf_room);
	if (str_eq(key, STR("max_mtu")))
		return set_number(value, UINT16_MAX, &p->max_mtu);
	if (str_eq(key, STR("queues")))
		return set_number(value, PORT_QUEUES_MAX, &p->queues);
	if (str_eq(key, STR("queues_without_rss")))
		return set_choice(value, STR("one"), STR("spread"), &p->spreads_itself);
	if (str_eq(key, STR("queue_argument")))
		return set_text(value, p->queue_argument, sizeof(p->queue_argument));
	if (str_eq(key, STR("arguments")))
		return set_text(value, p->arguments, sizeof(p->arguments));
	if (str_eq(key, STR("environment")))
		return set_text(value, p->environment, sizeof(p->environment));
	if (str_eq(key, STR("rss")))
		return set_rss(value, p);
	if (str_eq(key, STR("rx_checksum_flags")))
		return set_bool(value, &p->rx_checksum_flags);
	if (str_eq(key, STR("rx_pseudo_checksum")))
		return set_bool(value, &p->rx_pseudo_checksum);
	if (str_eq(key, STR("tx_checksum")))
		return set_choice(value, STR("software"), STR("device"), &p->tx_checksum);
	if (str_eq(key, STR("promiscuous")))
		return set_bool(value, &p->promiscuous);
	if (str_eq(key, STR("netdev")))
		return set_netdev(value, p);
	if (str_eq(key, STR("quirks")))
		return set_quirks(value, p);
	return -ENOENT;
}

int port_profile_parse(
	struct str text, const char *name, struct port_profile *out, char *error, size_t error_size)
{
	unsigned line = 0;

	port_profile_default(out);
	snprintf(out->name, sizeof(out->name), "%s", name);
	while (text.len > 0) {
		int64_t end = str_find(text, '\n'), equals, hash;
		struct str row = str_of(text.s, end < 0 ? text.len : (size_t)end), key, value;
		int rc;

		line++;
		text.s += row.len + (end >= 0);
		text.len -= row.len + (end >= 0);
		hash = str_find(row, '#');
		if (hash >= 0)
			row.len = (uint32_t)hash;
		row = str_trim(row);
		if (row.len == 0)
			continue;
		equals = str_find(row, '=');
		if (equals < 0)
			return port_fail(error, error_size, EINVAL,
				"profile %s, line %u: no '=' in '%.*s'", name, line, STR_FMT(row));
		key = str_trim(str_of(row.s, (size_t)equals));
		value = str_trim(str_of(row.s + equals + 1, row.len - (size_t)equals - 1));
		rc = set_key(key, value, out);
		if (rc == -ENOENT)
			return port_fail(error, error_size, EINVAL,
				"profile %s, line %u: unknown key '%.*s'", name, line,
				STR_FMT(key));
		if (rc != 0)
			return port_fail(error, error_size, EINVAL,
				"profile %s, line %u: '%.*s' is no value for %.*s", name, line,
				STR_FMT(value), STR_FMT(key));
	}
	if (out->drivers == 0)
		return port_fail(error, error_size, EINVAL, "profile %s: no 'driver'", name);
	return 0;
}

static int read_profile(
	const char *dir, const char *name, struct port_profile *out, char *error, size_t error_size)
{
	char path[512], *text;
	ssize_t n;
	int fd, rc;

	snprintf(path, sizeof(path), "%s/%s.conf", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return port_fail(error, error_size, errno, "profile %s: %s: %s", name, path,
			strerror(errno));
	text = malloc(PORT_PROFILE_FILE_MAX);
	if (text == NULL) {
		rc = port_fail(error, error_size, ENOMEM, "profile %s: no memory", name);
		goto out;
	}
	n = read(fd, text, PORT_PROFILE_FILE_MAX);
	if (n < 0 || n == PORT_PROFILE_FILE_MAX)
		rc = port_fail(error, error_size, n < 0 ? errno : EFBIG,
			"profile %s: %s cannot be read", name, path);
	else
		rc = port_profile_parse(str_of(text, (size_t)n), name, out, error, error_size);
out:
	free(text);
	close(fd);
	return rc;
}

/* How well a profile fits: length of the driver name that matches, 0 for none. */
static size_t fits(const struct port_profile *p, const char *driver, bool prefix)
{
	size_t best = 0;

	for (unsigned i = 0; i < p->drivers; i++) {
		size_t n = strlen(p->driver[i]);

		if (n > best && strncmp(p->driver[i], driver, n) == 0 &&
			(prefix ? driver[n] == '\0' || str_is_digit(driver[n]) ||
						driver[n] == '_' || driver[n] == ','
				: driver[n] == '\0'))
			best = n;
	}
	return best;
}

int port_profile_find(const char *dir, const char *name, const char *driver, bool prefix,
	struct port_profile *out, char *error, size_t error_size)
{
	struct port_profile one;
	struct dirent *entry;
	size_t best = 0;
	DIR *d;
	int rc;

	port_profile_default(out);
	if (dir == NULL)
		return -ENOENT;
	if (name != NULL)
		return read_profile(dir, name, out, error, error_size);
	d = opendir(dir);
	if (d == NULL)
		return port_fail(
			error, error_size, errno, "profiles: %s: %s", dir, strerror(errno));
	rc = 0;
	while (rc == 0 && (entry = readdir(d)) != NULL) {
		size_t len = strlen(entry->d_name), fit;

		if (len <= 5 || len >= sizeof(one.name) + 5 ||
			strcmp(entry->d_name + len - 5, ".conf") != 0)
			continue;
		entry->d_name[len - 5] = '\0';
		rc = read_profile(dir, entry->d_name, &one, error, error_size);
		fit = rc == 0 ? fits(&one, driver, prefix) : 0;
		if (fit > best) {
			best = fit;
			*out = one;
		}
	}
	closedir(d);
	if (rc == 0 && best == 0)
		return port_fail(
			error, error_size, ENOENT, "no profile in %s names driver %s", dir, driver);
	return rc;
}
