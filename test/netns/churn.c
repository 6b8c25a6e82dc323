/*
 * Programs that open and close sockets at random and are killed meanwhile: test_sockets_churn.py.
 *	churn TOTAL WORKERS SEED PEER6 PEER4
 * Opens TOTAL sockets in WORKERS processes, each killed and replaced before long; then ends them
 * all, and prints what was done as one JSON object. churn_peer.py is the far side.
 *	churn hold MS
 * What a worker becomes by exec: keeps what it inherited, and ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flowmob/preferences.h"

#define WORKERS_MAX 64
#define HANDS_MAX 24 /* sockets that a worker has at once */
#define BULK (256 << 10)
#define PAUSE_US 200000
#define CHILDREN 5 /* SO_RCVLOWAT of sockets that were accepted: the judge knows them by it */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { PORT_UDP = 7100, PORT_ECHO, PORT_SLOW, PORT_RUDE, PORTS_END };

/* What all processes count together. */
struct tally {
	uint32_t opened, kills, asked, refused, connected, waited, failed, lost, dups, forks, execs,
		passed, taken, accepted, listened, bulk;
};

struct hand {
	int fd;
	bool is_tcp, is_v6, is_listener, is_connected;
};

struct worker {
	uint64_t random;
	uint32_t n;
	struct hand hands[HANDS_MAX];
};

static struct tally *tally;
static uint32_t total, n_workers;
static const char *peers[2]; /* IPv4, IPv6 */
static int mail[WORKERS_MAX][2];
static pid_t pids[WORKERS_MAX];

static void add(uint32_t *n)
{
	__atomic_fetch_add(n, 1, __ATOMIC_RELAXED);
}

/* xorshift64* */
static uint32_t draw(struct worker *w, uint32_t below)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return (uint32_t)((w->random * 0x2545f4914f6cdd1dull) >> 33) % below;
}

static bool happens(struct worker *w, uint32_t percent)
{
	return draw(w, 100) < percent;
}

static struct hand *pick(struct worker *w)
{
	return w->n ? &w->hands[draw(w, w->n)] : NULL;
}

static void keep(struct worker *w, struct hand h)
{
	if (w->n == HANDS_MAX) {
		struct hand *old = pick(w);

		close(old->fd);
		*old = h;
	} else {
		w->hands[w->n++] = h;
	}
}

static void drop(struct worker *w, struct hand *h)
{
	close(h->fd);
	*h = w->hands[--w->n];
}

/* Every error is one that a program may meet; ENETRESET is the address taken from under it. */
static void note(int ret)
{
	if (ret >= 0)
		add(&tally->connected);
	else if (errno == EAGAIN || errno == EINPROGRESS)
		add(&tally->waited);
	else if (errno == ENETRESET)
		add(&tally->lost);
	else
		add(&tally->failed);
}

static socklen_t address_of(const struct hand *h, const char *ip, uint16_t port,
			    struct sockaddr_storage *out)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
	struct sockaddr_in *four = (struct sockaddr_in *)out;

	memset(out, 0, sizeof(*out));
	if (h->is_v6) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
		if (ip)
			inet_pton(AF_INET6, ip, &six->sin6_addr);
		return sizeof(*six);
	}
	four->sin_family = AF_INET;
	four->sin_port = htons(port);
	if (ip)
		inet_pton(AF_INET, ip, &four->sin_addr);
	return sizeof(*four);
}

static void ask_type(struct worker *w, int fd)
{
	static const uint8_t types[] = { 1, 2, 2, 2, 3, 3, 4, 4 };
	struct fm_sc_option o = { .value = IPV6_PREFER_SRC_TYPE(types[draw(w, COUNT(types))]) };

	if (happens(w, 3))
		o.value |= IPV6_REQUIRE_SRC_ON_NET;
	add(&tally->asked);
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &o,
		       happens(w, 50) ? sizeof(o) : sizeof(o.value)) < 0)
		add(&tally->refused);
}

static void reach(struct worker *w, struct hand *h)
{
	struct sockaddr_storage to;
	uint16_t port =
		(uint16_t)(h->is_tcp ? PORT_ECHO + draw(w, PORTS_END - PORT_ECHO) : PORT_UDP);
	socklen_t len = address_of(h, peers[h->is_v6], port, &to);

	if (!h->is_tcp && happens(w, 30)) {
		note((int)sendto(h->fd, "?", 1, MSG_DONTWAIT, (struct sockaddr *)&to, len));
		return;
	}
	h->is_connected = true;
	note(connect(h->fd, (struct sockaddr *)&to, len));
}

static void open_one(struct worker *w)
{
	struct hand h = { .is_tcp = happens(w, 60), .is_v6 = happens(w, 85) };
	struct sockaddr_storage any;
	socklen_t len = address_of(&h, NULL, 0, &any);

	if (__atomic_fetch_add(&tally->opened, 1, __ATOMIC_RELAXED) >= total)
		return;
	h.fd = socket(any.ss_family, (h.is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK, 0);
	if (h.fd < 0) {
		add(&tally->failed);
		return;
	}
	if (!happens(w, 10))
		ask_type(w, h.fd);
	if (happens(w, 10)) /* its port before its address */
		(void)bind(h.fd, (struct sockaddr *)&any, len);
	keep(w, h);
	if (happens(w, 85))
		reach(w, &w->hands[w->n - 1]);
}

/* The far side is told by a socket that asks for nothing. */
static void invite(struct worker *w, const uint8_t ip[16], uint16_t port)
{
	struct hand plain = { .fd = socket(AF_INET6, SOCK_DGRAM, 0), .is_v6 = true };
	struct sockaddr_storage to;
	socklen_t len = address_of(&plain, peers[1], PORT_UDP, &to);
	char text[INET6_ADDRSTRLEN], line[100];

	if (plain.fd < 0)
		return;
	inet_ntop(AF_INET6, ip, text, sizeof(text));
	snprintf(line, sizeof(line), "connect %s %u %u", text, port, 1 + draw(w, 4));
	(void)sendto(plain.fd, line, strlen(line), MSG_DONTWAIT, (struct sockaddr *)&to, len);
	close(plain.fd);
}

static void listen_one(struct worker *w)
{
	struct hand h = { .is_tcp = true, .is_v6 = true, .is_listener = true };
	struct fm_sc_option o;
	socklen_t len = sizeof(o);
	struct sockaddr_in6 at = { .sin6_family = AF_INET6 };
	socklen_t at_len = sizeof(at);

	if (__atomic_fetch_add(&tally->opened, 1, __ATOMIC_RELAXED) >= total)
		return;
	h.fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (h.fd < 0)
		return;
	ask_type(w, h.fd);
	keep(w, h);
	if (getsockopt(h.fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &o, &len) < 0 ||
	    len != sizeof(o) || !(o.value & IPV6_SRC_TYPE_READY))
		return;
	if (happens(w, 50))
		memcpy(&at.sin6_addr, o.address, sizeof(o.address));
	if (bind(h.fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(h.fd, 8) < 0 ||
	    setsockopt(h.fd, SOL_SOCKET, SO_RCVLOWAT, &(int){ CHILDREN }, sizeof(int)) < 0 ||
	    getsockname(h.fd, (struct sockaddr *)&at, &at_len) < 0)
		return;
	add(&tally->listened);
	invite(w, o.address, ntohs(at.sin6_port));
}

static void accept_one(struct worker *w, struct hand *h)
{
	struct hand child = { .is_tcp = true, .is_v6 = true, .is_connected = true };

	child.fd = accept4(h->fd, NULL, NULL, SOCK_NONBLOCK);
	if (child.fd < 0)
		return;
	add(&tally->accepted);
	keep(w, child);
}

static void use(struct worker *w)
{
	static const char bulk[BULK];
	struct hand *h = pick(w);

	if (!h)
		return;
	if (h->is_listener) {
		accept_one(w, h);
	} else if (!h->is_connected) {
		reach(w, h);
	} else if (h->is_tcp && happens(w, 50)) {
		if (send(h->fd, bulk, sizeof(bulk), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			add(&tally->bulk);
		if (happens(w, 50))
			drop(w, h); /* with most of it unsent */
	} else if (send(h->fd, "!", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == ENETRESET) {
		add(&tally->lost);
	}
}

static void dup_one(struct worker *w)
{
	struct hand *h = pick(w), copy;

	if (!h)
		return;
	copy = *h;
	copy.fd = dup(h->fd);
	if (copy.fd < 0)
		return;
	add(&tally->dups);
	keep(w, copy);
}

static void fork_one(struct worker *w)
{
	uint32_t ms = draw(w, 800);
	bool execs = happens(w, 50);
	pid_t pid = fork();
	char text[16];

	if (pid > 0)
		add(execs ? &tally->execs : &tally->forks);
	if (pid != 0)
		return;
	snprintf(text, sizeof(text), "%u", ms);
	if (execs)
		execl("/proc/self/exe", "churn", "hold", text, (char *)NULL);
	usleep(ms * 1000);
	_exit(0);
}

union rights {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static void pass_one(struct worker *w)
{
	struct hand *h = pick(w), what;
	union rights c = { .bytes = { 0 } };
	struct iovec iov = { &what, sizeof(what) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = c.bytes,
			    .msg_controllen = sizeof(c.bytes) };

	if (!h)
		return;
	what = *h;
	c.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
				   .cmsg_level = SOL_SOCKET,
				   .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&c.head), &h->fd, sizeof(int));
	if (sendmsg(mail[draw(w, n_workers)][0], &m, MSG_DONTWAIT) < 0)
		return;
	add(&tally->passed);
	if (happens(w, 70))
		drop(w, h); /* for a while only the message has it */
}

static void take_one(struct worker *w, int box)
{
	struct hand what;
	union rights c;
	struct iovec iov = { &what, sizeof(what) };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = c.bytes,
			    .msg_controllen = sizeof(c.bytes) };
	const struct cmsghdr *head;

	if (recvmsg(box, &m, MSG_DONTWAIT) != sizeof(what))
		return;
	head = CMSG_FIRSTHDR(&m);
	if (!head)
		return;
	memcpy(&what.fd, CMSG_DATA(head), sizeof(int));
	add(&tally->taken);
	keep(w, what);
}

static void act(struct worker *w, int box)
{
	uint32_t what = draw(w, 100);
	struct hand *h;

	if (what < 36)
		open_one(w);
	else if (what < 40)
		listen_one(w);
	else if (what < 62)
		use(w);
	else if (what < 66)
		dup_one(w);
	else if (what < 68)
		fork_one(w);
	else if (what < 73)
		pass_one(w);
	else if (what < 79)
		take_one(w, box);
	else if ((h = pick(w)) != NULL)
		drop(w, h);
}

static void work(uint32_t i, uint64_t seed)
{
	struct worker w = { .random = seed };

	while (tally->opened < total) {
		act(&w, mail[i][1]);
		usleep(draw(&w, PAUSE_US));
	}
	pause();
	_exit(0);
}

static void start(uint32_t i, uint64_t seed)
{
	pids[i] = fork();
	if (pids[i] == 0)
		work(i, seed);
}

static void end(uint32_t i)
{
	if (pids[i] <= 0)
		return;
	kill(pids[i], SIGKILL);
	waitpid(pids[i], NULL, 0);
}

static int prepare(char **argv)
{
	total = (uint32_t)atoi(argv[1]);
	n_workers = (uint32_t)atoi(argv[2]);
	peers[1] = argv[4];
	peers[0] = argv[5];
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (tally == MAP_FAILED || n_workers == 0 || n_workers > WORKERS_MAX)
		return -1;
	for (uint32_t i = 0; i < n_workers; i++) {
		if (socketpair(AF_UNIX, SOCK_DGRAM, 0, mail[i]) < 0)
			return -1;
	}
	signal(SIGPIPE, SIG_IGN);
	return prctl(PR_SET_CHILD_SUBREAPER, 1); /* those that workers leave behind */
}

static void say(const struct tally *t)
{
	printf("{\"kills\": %u, \"asked\": %u, \"refused\": %u, \"connected\": %u, \"waited\": %u, "
	       "\"failed\": %u, \"lost\": %u, \"dups\": %u, \"forks\": %u, \"execs\": %u, "
	       "\"passed\": %u, \"taken\": %u, \"accepted\": %u, \"listened\": %u, \"bulk\": %u}\n",
	       t->kills, t->asked, t->refused, t->connected, t->waited, t->failed, t->lost, t->dups,
	       t->forks, t->execs, t->passed, t->taken, t->accepted, t->listened, t->bulk);
}

int main(int argc, char **argv)
{
	struct worker w = { .random = 1 };
	uint64_t seed;

	if (argc == 3 && strcmp(argv[1], "hold") == 0)
		return usleep((useconds_t)atoi(argv[2]) * 1000);
	if (argc != 6 || prepare(argv) < 0)
		return 2;
	seed = strtoull(argv[3], NULL, 10) * 1000003 + 1;
	w.random = seed;
	for (uint32_t i = 0; i < n_workers; i++)
		start(i, ++seed * 0x9e3779b97f4a7c15ull | 1);
	while (tally->opened < total) {
		uint32_t i = draw(&w, n_workers);

		usleep(10000 + draw(&w, 40000));
		end(i);
		add(&tally->kills);
		start(i, ++seed * 0x9e3779b97f4a7c15ull | 1);
	}
	for (uint32_t i = 0; i < n_workers; i++)
		end(i);
	while (wait(NULL) > 0)
		;
	say(tally);
	return 0;
}
