/*
 * Many sockets in one process, each of the type it is told, that talk all the time: for
 * test_cells.py. Built twice: with libflowmob (setsc(), sc_watch()), and static with the plain
 * socket option (-DPLAIN).
 *
 * cells_client PEER PORT [NAME=TYPE/USE/PORT...]; more on its input: "open NAME=TYPE/USE/PORT",
 * "close NAME", "look NAME". TYPE 0 asks for nothing. USE: tcp, udp (connected), sendto, or listen
 * (at :: PORT; what one connection sends goes back). Each but listen says "NAME NUMBER ACK\n" ten
 * times a second, ACK being the highest number that came back. Tells what happens as JSON lines.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifdef PLAIN
#include <flowmob/preferences.h>
#else
#include <flowmob/flowmob.h>
#endif

#define ONES_MAX 64
#define TICK_MS 100
#define OPEN_MS 6000

/* TAKEN: a connection that a listener took. */
enum use { TCP, UDP, SENDTO, LISTEN, USES, TAKEN = USES };
static const char *const use_names[USES] = { "tcp", "udp", "sendto", "listen" };

/* @talk_fd: @fd while it talks; -1: not open, or over. @is_lost: nothing more to be watched. */
struct one {
	char name[48];
	unsigned type, port, number, ack;
	enum use use;
	bool is_lost;
	int fd, talk_fd, watch_fd, told;
	char line[256];
	size_t len;
};

static struct one ones[ONES_MAX];
static int n_ones;
static struct sockaddr_in6 peer = { .sin6_family = AF_INET6 };

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return 1000ll * t.tv_sec + t.tv_nsec / 1000000;
}

static const char *text_of(const void *address, char text[INET6_ADDRSTRLEN])
{
	return inet_ntop(AF_INET6, address, text, INET6_ADDRSTRLEN);
}

/* Once per reason. */
static void tell_error(struct one *o, const char *did, int error)
{
	if (o->told == error)
		return;
	o->told = error;
	printf("{\"name\":\"%s\",\"did\":\"%s\",\"errno\":\"%s\"}\n", o->name, did,
	       strerrorname_np(error));
}

static void tell_open(const struct one *o, const struct in6_addr *source)
{
	char text[INET6_ADDRSTRLEN];

	printf("{\"name\":\"%s\",\"did\":\"open\",\"source\":\"%s\"}\n", o->name,
	       text_of(source, text));
}

#ifdef PLAIN
static struct fm_sc_option option_of(const struct one *o)
{
	struct fm_sc_option option = { 0 };
	socklen_t len = sizeof(option);

	if (getsockopt(o->fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &option, &len) < 0)
		option.error = errno;
	return option;
}

static void tell_look(const struct one *o)
{
	struct fm_sc_option option = option_of(o);
	char text[INET6_ADDRSTRLEN];

	printf("{\"name\":\"%s\",\"did\":\"look\",\"type\":%u,\"errno\":\"%s\",\"source\":\"%s\"}"
	       "\n",
	       o->name, IPV6_PREFER_SRC_TYPE_OF(option.value),
	       option.error ? strerrorname_np(option.error) : "0", text_of(option.address, text));
}

/* Asks, and looks until it is there: what a server does that wants to say where it is. */
static int ask(struct one *o, struct in6_addr *source)
{
	uint32_t value = IPV6_PREFER_SRC_TYPE(o->type);
	long long until_ms = now_ms() + OPEN_MS;
	struct fm_sc_option option;

	if (setsockopt(o->fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &value, sizeof(value)) < 0)
		return -errno;
	do {
		option = option_of(o);
		if (option.value & IPV6_SRC_TYPE_FAILED)
			return -(option.error ? option.error : EADDRNOTAVAIL);
		if (option.value & IPV6_SRC_TYPE_READY) {
			memcpy(source, option.address, sizeof(*source));
			return 0;
		}
		usleep(5000);
	} while (now_ms() < until_ms);
	return -ETIMEDOUT;
}

static void watch(struct one *o)
{
	o->watch_fd = -1;
}

static void read_watch(struct one *o)
{
	(void)o;
}
#else
static void tell_look(const struct one *o)
{
	struct in6_addr source = IN6ADDR_ANY_INIT;
	char text[INET6_ADDRSTRLEN];
	sc_type type = SC_NO_TYPE;
	int result = getsc(o->fd, &source, &type), error = errno;

	printf("{\"name\":\"%s\",\"did\":\"look\",\"type\":%d,\"errno\":\"%s\",\"source\":\"%s\"}"
	       "\n",
	       o->name, type, result ? strerrorname_np(error) : "0", text_of(&source, text));
}

static int ask(struct one *o, struct in6_addr *source)
{
	return setsc(o->fd, source, (sc_type)o->type) == 0 ? 0 : -errno;
}

static void watch(struct one *o)
{
	o->watch_fd = o->type ? sc_watch(o->fd) : -1;
	if (o->watch_fd < 0)
		o->watch_fd = -1;
}

static void end_watch(struct one *o)
{
	close(o->watch_fd);
	o->watch_fd = -1;
}

static void tell_change(const struct one *o, const struct sc_event *e)
{
	static const char *const names[] = { "", "state", "replaced", "grace", "lost", "path" };
	char source[INET6_ADDRSTRLEN], other[INET6_ADDRSTRLEN];

	printf("{\"name\":\"%s\",\"did\":\"watch\",\"change\":\"%s\",\"errno\":\"%s\","
	       "\"life_s\":%u,\"source\":\"%s\",\"other\":\"%s\",\"access\":\"%s\"}\n",
	       o->name, names[e->change], e->error ? strerrorname_np(e->error) : "0", e->life_s,
	       text_of(&e->source, source), text_of(&e->replacement, other), e->access);
}

/* A daemon that went away ends the watch: it is begun again at a later tick. */
static void read_watch(struct one *o)
{
	struct sc_event e;

	while (sc_read(o->watch_fd, &e) == 0) {
		tell_change(o, &e);
		o->is_lost = e.change == SC_LOST;
		if (o->is_lost) {
			end_watch(o);
			return;
		}
	}
	if (errno == EAGAIN)
		return;
	printf("{\"name\":\"%s\",\"did\":\"watch\",\"change\":\"ended\",\"errno\":\"%s\"}\n",
	       o->name, strerrorname_np(errno));
	end_watch(o);
}
#endif

static int make_listener(struct one *o)
{
	struct sockaddr_in6 here = { .sin6_family = AF_INET6,
				     .sin6_port = htons((uint16_t)o->port) };
	int on = 1;

	setsockopt(o->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(o->fd, (struct sockaddr *)&here, sizeof(here)) < 0 || listen(o->fd, 4) < 0)
		return -errno;
	return 0;
}

/* connect() says EAGAIN where the address is still on its way. */
static int make_connected(struct one *o, struct in6_addr *source)
{
	struct sockaddr_in6 here;
	socklen_t len = sizeof(here);
	long long until_ms = now_ms() + OPEN_MS;
	int err;

	do {
		err = connect(o->fd, (struct sockaddr *)&peer, sizeof(peer)) < 0 ? -errno : 0;
		if (err == -EAGAIN)
			usleep(5000);
	} while (err == -EAGAIN && now_ms() < until_ms);
	o->talk_fd = o->fd;
	if (err == 0 && getsockname(o->fd, (struct sockaddr *)&here, &len) == 0)
		*source = here.sin6_addr;
	return err;
}

static int make(struct one *o, struct in6_addr *source)
{
	bool is_stream = o->use == TCP || o->use == LISTEN;
	int err = 0;

	o->talk_fd = o->watch_fd = -1;
	o->fd = socket(AF_INET6, (is_stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	if (o->fd < 0)
		return -errno;
	if (o->type)
		err = ask(o, source);
	if (err)
		return err;
	if (o->use == TCP || o->use == UDP)
		return make_connected(o, source);
	o->talk_fd = o->fd;
	return o->use == LISTEN ? make_listener(o) : 0;
}

/* NAME=TYPE/USE/PORT */
static void open_one(const char *spec)
{
	struct one *o = &ones[n_ones];
	struct in6_addr source = IN6ADDR_ANY_INIT;
	char use[16];
	int err;

	*o = (struct one){ .fd = -1 };
	if (n_ones == ONES_MAX ||
	    sscanf(spec, "%47[^=]=%u/%15[^/]/%u", o->name, &o->type, use, &o->port) != 4)
		exit(2);
	while (o->use < USES && strcmp(use_names[o->use], use) != 0)
		o->use++;
	if (o->use == USES)
		exit(2);
	n_ones++;
	err = make(o, &source);
	if (err) {
		tell_error(o, "open", -err);
		o->talk_fd = -1;
		return;
	}
	tell_open(o, &source);
	watch(o);
}

static void close_one(struct one *o)
{
	if (o->fd >= 0)
		close(o->fd);
	if (o->watch_fd >= 0)
		close(o->watch_fd);
	o->fd = o->talk_fd = o->watch_fd = -1;
	printf("{\"name\":\"%s\",\"did\":\"close\"}\n", o->name);
}

static void say(struct one *o)
{
	char line[128];
	int len = snprintf(line, sizeof(line), "%s %u %u\n", o->name, ++o->number, o->ack);
	bool has_to = o->use == SENDTO;
	ssize_t n = sendto(o->talk_fd, line, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL,
			   has_to ? (struct sockaddr *)&peer : NULL, has_to ? sizeof(peer) : 0);

	if (n < 0)
		tell_error(o, "send", errno);
}

static void heard(struct one *o, const char *line)
{
	unsigned number = 0;

	(void)sscanf(line, "%*s %u", &number);
	if (number > o->ack)
		o->ack = number;
}

static void take_lines(struct one *o, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (o->len < sizeof(o->line) - 1)
			o->line[o->len++] = bytes[i];
		if (bytes[i] != '\n')
			continue;
		o->line[o->len] = '\0';
		heard(o, o->line);
		o->len = 0;
	}
}

/* A stream that has ended or failed is left open, and not listened to: it still has its address. */
static void hear(struct one *o)
{
	char bytes[2048];
	ssize_t n = recv(o->talk_fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	bool is_stream = o->use == TCP || o->use == TAKEN;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0)
		tell_error(o, "receive", errno);
	if (n <= 0 && is_stream) {
		if (n == 0)
			printf("{\"name\":\"%s\",\"did\":\"end\"}\n", o->name);
		o->talk_fd = -1;
	} else if (n > 0 && o->use == TAKEN) {
		if (send(o->talk_fd, bytes, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			tell_error(o, "send", errno);
	} else if (n > 0) {
		take_lines(o, bytes, (size_t)n);
	}
}

static void take_connection(struct one *o)
{
	int fd = accept4(o->fd, NULL, NULL, SOCK_CLOEXEC);
	struct one *taken = &ones[n_ones];

	if (fd < 0) {
		tell_error(o, "accept", errno);
		o->talk_fd = -1;
		return;
	}
	if (n_ones == ONES_MAX)
		exit(2);
	*taken = (struct one){ .use = TAKEN, .fd = fd, .talk_fd = fd, .watch_fd = -1 };
	memcpy(taken->name, o->name, sizeof(taken->name));
	n_ones++;
}

static void obey(char *line)
{
	char *what = strtok(line, " \n"), *about = strtok(NULL, " \n");

	if (!what || !about)
		return;
	if (strcmp(what, "open") == 0) {
		open_one(about);
		return;
	}
	for (int i = 0; i < n_ones; i++) {
		struct one *o = &ones[i];

		if (strcmp(o->name, about) != 0 || o->fd < 0)
			continue;
		if (strcmp(what, "close") == 0)
			close_one(o);
		else if (strcmp(what, "look") == 0 && o->use != TAKEN)
			tell_look(o);
	}
}

static void read_commands(void)
{
	static char text[4096];
	static size_t len;
	ssize_t n = read(STDIN_FILENO, text + len, sizeof(text) - 1 - len);
	char *line = text, *end;

	if (n <= 0)
		exit(0);
	len += (size_t)n;
	text[len] = '\0';
	while ((end = strchr(line, '\n'))) {
		*end = '\0';
		obey(line);
		line = end + 1;
	}
	len -= (size_t)(line - text);
	memmove(text, line, len);
}

static void serve(int wait_ms)
{
	struct pollfd p[1 + 2 * ONES_MAX] = { { .fd = STDIN_FILENO, .events = POLLIN } };
	int n = n_ones; /* there may be more at the end */

	for (int i = 0; i < n; i++) {
		const struct one *o = &ones[i];

		p[1 + 2 * i] = (struct pollfd){ .fd = o->talk_fd, .events = POLLIN };
		p[2 + 2 * i] = (struct pollfd){ .fd = o->watch_fd, .events = POLLIN };
	}
	if (poll(p, (nfds_t)(1 + 2 * n), wait_ms) <= 0)
		return;
	for (int i = 0; i < n; i++) {
		struct one *o = &ones[i];

		if (p[2 + 2 * i].revents)
			read_watch(o);
		if (p[1 + 2 * i].revents && o->talk_fd >= 0)
			o->use == LISTEN ? take_connection(o) : hear(o);
	}
	if (p[0].revents)
		read_commands();
}

static void tick(unsigned n)
{
	for (int i = 0; i < n_ones; i++) {
		struct one *o = &ones[i];

		if (o->use < LISTEN && o->talk_fd >= 0)
			say(o);
		if (o->watch_fd < 0 && o->fd >= 0 && !o->is_lost && n % 5 == 0)
			watch(o);
	}
}

int main(int argc, char **argv)
{
	long long next_ms = now_ms();

	if (argc < 3 || inet_pton(AF_INET6, argv[1], &peer.sin6_addr) != 1)
		return 2;
	peer.sin6_port = htons((uint16_t)atoi(argv[2]));
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 3; i < argc; i++)
		open_one(argv[i]);
	for (unsigned n = 0;; n++) {
		tick(n);
		next_ms += TICK_MS;
		for (long long left = next_ms - now_ms(); left > 0; left = next_ms - now_ms())
			serve((int)left);
		if (now_ms() - next_ms > 10 * TICK_MS)
			next_ms = now_ms(); /* an open waited: no burst */
	}
}
