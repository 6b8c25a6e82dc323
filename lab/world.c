/*
 * Builds a world and changes it: every act is a batch for ip(8) in one namespace.
 */
#include "lab/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lab/address.h"
#include "lab/nat.h"
#include "lab/ns.h"

/* A text that grows: one batch of commands. */
struct batch {
	FILE *f;
	char *text;
	size_t len;
};

static void batch_open(struct batch *b)
{
	b->text = NULL;
	b->f = open_memstream(&b->text, &b->len);
	if (!b->f)
		abort();
}

#define ADD(b, ...) fprintf((b)->f, __VA_ARGS__)

static int batch_run(struct batch *b, int ns_fd)
{
	fclose(b->f);
	int err = b->len ? fm_ns_ip(ns_fd, b->text) : 0;
	free(b->text);
	return err;
}

void fm_world_link_names(int host, int access, char near[16], char far[16])
{
	snprintf(near, 16, "near%u-%u", (unsigned int)host % 100, (unsigned int)access % 100);
	snprintf(far, 16, "far%u-%u", (unsigned int)host % 100, (unsigned int)access % 100);
}

void fm_world_node_dir(const struct fm_lab_world *w, int node, char buf[128])
{
	snprintf(buf, 128, "%s/%s", w->in->dir, fm_scenario_node_name(node));
}

void fm_world_node_cgroup(const struct fm_lab_world *w, int node, char buf[200])
{
	buf[0] = '\0';
	if (w->in->cgroup[0])
		snprintf(buf, 200, "%s/%s", w->in->cgroup, fm_scenario_node_name(node));
}

static bool has_host(const struct fm_lab_world *w, int host)
{
	return w->s->hosts[host].is_there;
}

static int n_hosts(const struct fm_lab_world *w)
{
	int n = 0;

	for (int h = 0; h < FM_LAB_HOSTS; h++)
		n += has_host(w, h);
	return n;
}

static struct fm_lab_text host6(const struct fm_lab_world *w, int access, int generation, int host)
{
	return w->s->accesses[access].is_home ? fm_address_home6(generation, host)
					      : fm_address_host6(access, generation, host);
}

/* The node whose device "down" is the router's end of an access. */
static const char *router_node(const struct fm_lab_world *w, int access, char buf[40])
{
	if (w->s->accesses[access].is_home)
		snprintf(buf, 40, "%s", fm_scenario_node_name(FM_LAB_NODE_ANCHOR));
	else
		snprintf(buf, 40, "access-%s", w->s->accesses[access].interface);
	return buf;
}

/* --- namespaces --- */

/* No waiting for duplicate addresses, no router discovery: the lab gives the addresses. */
static int settle_ns(int ns_fd, bool is_router)
{
	static const char *const quiet[] = {
		"ipv6/conf/all/accept_dad", "ipv6/conf/default/accept_dad",
		"ipv6/conf/all/accept_ra",  "ipv6/conf/default/accept_ra",
		"ipv4/conf/all/rp_filter",  "ipv4/conf/default/rp_filter",
	};
	static const char *const routing[] = { "ipv4/ip_forward", "ipv6/conf/all/forwarding",
					       "ipv6/conf/default/forwarding" };
	int err = 0;

	for (size_t i = 0; i < 6 && err == 0; i++)
		err = fm_ns_sysctl(ns_fd, quiet[i], "0");
	for (size_t i = 0; is_router && i < 3 && err == 0; i++)
		err = fm_ns_sysctl(ns_fd, routing[i], "1");
	return err < 0 ? err : fm_ns_ip(ns_fd, "link set lo up\n");
}

static int new_ns(struct fm_lab_world *w, const char *node, bool is_router, int *fd_out)
{
	char name[128], mark[256];

	snprintf(mark, sizeof(mark), "%s/ns/%s", w->in->dir, node);
	int err = fm_write_file(mark, "");
	if (err < 0)
		return err;
	fm_instance_ns_name(w->in, node, name);
	int fd = fm_ns_create(name);
	if (fd < 0) {
		fprintf(stderr, "flowmob: namespace %s: %s\n", name, strerror(-fd));
		return fd;
	}
	*fd_out = fd;
	return settle_ns(fd, is_router);
}

static int new_node(struct fm_lab_world *w, int node)
{
	char path[200];

	fm_world_node_dir(w, node, path);
	if (mkdir(path, 0755) < 0)
		return -errno;
	fm_world_node_cgroup(w, node, path);
	if (path[0] && mkdir(path, 0755) < 0)
		return -errno;
	return new_ns(w, fm_scenario_node_name(node),
		      node >= FM_LAB_NODE_ANCHOR && node < FM_LAB_NODE_PEER, &w->ns[node]);
}

static int new_access(struct fm_lab_world *w, int i)
{
	const struct fm_lab_access *a = &w->s->accesses[i];
	char node[40];

	if (a->is_home) { /* the anchor stands on it */
		w->ns_router[i] = w->ns[FM_LAB_NODE_ANCHOR];
		return 0;
	}
	int err = new_ns(w, router_node(w, i, node), true, &w->ns_router[i]);
	if (err < 0 || !(a->family & FM_LAB_NAT_TWICE))
		return err;
	snprintf(node, sizeof(node), "nat-%s", a->interface);
	return new_ns(w, node, true, &w->ns_nat[i]);
}

static bool node_is_there(const struct fm_lab_world *w, int node)
{
	return node < FM_LAB_HOSTS	 ? has_host(w, node)
	       : node < FM_LAB_NODE_PEER ? node - FM_LAB_NODE_ANCHOR < w->s->n_anchors
					 : true;
}

static int make_namespaces(struct fm_lab_world *w)
{
	char path[128];
	int err = 0;

	snprintf(path, sizeof(path), "%s/ns", w->in->dir);
	if (mkdir(path, 0755) < 0)
		return -errno;
	err = new_ns(w, "core", true, &w->ns_core);
	if (err == 0)
		err = new_ns(w, "links", false, &w->ns_links);
	for (int n = 0; n < FM_LAB_NODES && err == 0; n++) {
		if (node_is_there(w, n))
			err = new_node(w, n);
	}
	for (int i = 0; i < w->s->n_accesses && err == 0; i++)
		err = new_access(w, i);
	return err;
}

/* --- cables --- */

/* A pair of devices whose ends never share an index: else the kernel tells carrier changes late. */
static void cable(struct fm_lab_world *w, struct batch *b, const char *dev, const char *far_dev,
		  const char *far_node)
{
	char ns[128];

	fm_instance_ns_name(w->in, far_node, ns);
	ADD(b, "link add name %s index %d type veth peer name %s index %d netns %s\n", dev,
	    w->next_ifindex, far_dev, w->next_ifindex + 1, ns);
	ADD(b, "link set dev %s up\n", dev);
	w->next_ifindex += 2;
}

static const char *router_port(const struct fm_lab_world *w, int host, char buf[16])
{
	if (n_hosts(w) == 1)
		snprintf(buf, 16, "down");
	else
		snprintf(buf, 16, "port%u", (unsigned int)host % 100);
	return buf;
}

static int cable_links(struct fm_lab_world *w)
{
	struct batch b;

	batch_open(&b);
	for (int h = 0; h < FM_LAB_HOSTS; h++) {
		for (int i = 0; has_host(w, h) && i < w->s->n_accesses; i++) {
			char near[16], far[16], port[16], router[40];
			fm_world_link_names(h, i, near, far);
			cable(w, &b, near, w->s->accesses[i].interface, fm_scenario_node_name(h));
			cable(w, &b, far, router_port(w, h, port), router_node(w, i, router));
		}
	}
	cable(w, &b, FM_LAB_PEER_NEAR, "eth0", "peer");
	cable(w, &b, FM_LAB_PEER_FAR, "peer", "core");
	/* The relay's ends have nothing to say themselves. */
	fm_ns_sysctl(w->ns_links, "ipv6/conf/all/disable_ipv6", "1");
	fm_ns_sysctl(w->ns_links, "ipv6/conf/default/disable_ipv6", "1");
	return batch_run(&b, w->ns_links);
}

static int cable_core(struct fm_lab_world *w)
{
	struct batch b;

	batch_open(&b);
	for (int n = 0; n < w->s->n_anchors; n++) {
		char dev[16];
		snprintf(dev, sizeof(dev), "anchor%u", (unsigned int)n % 100);
		cable(w, &b, dev, "eth0", fm_scenario_node_name(FM_LAB_NODE_ANCHOR + n));
	}
	for (int i = 0; i < w->s->n_accesses; i++) {
		const struct fm_lab_access *a = &w->s->accesses[i];
		char dev[16], node[40];
		if (a->is_home)
			continue;
		snprintf(dev, sizeof(dev), "access%u", (unsigned int)i % 100);
		snprintf(node, sizeof(node), "%s-%s",
			 a->family & FM_LAB_NAT_TWICE ? "nat" : "access", a->interface);
		cable(w, &b, dev, "up", node);
	}
	return batch_run(&b, w->ns_core);
}

static int cable_second_nats(struct fm_lab_world *w)
{
	int err = 0;

	for (int i = 0; i < w->s->n_accesses && err == 0; i++) {
		struct batch b;
		char node[40];
		if (w->ns_nat[i] < 0)
			continue;
		snprintf(node, sizeof(node), "access-%s", w->s->accesses[i].interface);
		batch_open(&b);
		cable(w, &b, "down", "up", node);
		err = batch_run(&b, w->ns_nat[i]);
	}
	return err;
}

/* --- addresses and routes --- */

static int number_core(struct fm_lab_world *w)
{
	struct batch b;

	batch_open(&b);
	ADD(&b, "link set dev peer up\naddr add 2001:db8:c::1/128 dev lo\naddr add 192.0.2.10/32 "
		"dev lo\n");
	ADD(&b, "addr add fe80::1/64 dev peer nodad\naddr add 203.0.113.2/30 dev peer\n");
	ADD(&b, "route add 2001:db8:ffff::/64 dev peer\n");
	for (int n = 0; n < w->s->n_anchors; n++) {
		ADD(&b, "addr add fe80::1/64 dev anchor%d nodad\n", n);
		ADD(&b, "addr add %s/30 dev anchor%d\n", FM_LAB_ANCHOR_GATEWAY4(n), n);
		ADD(&b, "route add %s/64 via fe80::2 dev anchor%d\n", FM_LAB_ANCHOR_ADDRESS6(n), n);
		ADD(&b, "route add %s via fe80::2 dev anchor%d\n", FM_LAB_POOL6(n), n);
		ADD(&b, "route add %s via %s dev anchor%d\n", FM_LAB_POOL4(n),
		    FM_LAB_ANCHOR_ADDRESS4(n), n);
	}
	for (int i = 0; i < w->s->n_accesses; i++) {
		if (w->s->accesses[i].is_home)
			continue;
		ADD(&b, "addr add fe80::1/64 dev access%d nodad\n", i);
		if (w->s->accesses[i].family & FM_LAB_IPV6)
			ADD(&b, "route add 2001:db8:f%x00::/48 via fe80::2 dev access%d\n", i, i);
		for (int g = 0; g < 2 && (w->s->accesses[i].family & FM_LAB_IPV4); g++)
			ADD(&b, "route add %s via inet6 fe80::2 dev access%d\n",
			    w->s->accesses[i].family & FM_LAB_NAT ? fm_address_outer_prefix4(i, g).s
								  : fm_address_prefix4(i, g).s,
			    i);
	}
	return batch_run(&b, w->ns_core);
}

static int number_ends(struct fm_lab_world *w)
{
	struct batch b;
	int err = 0;

	for (int n = 0; n < w->s->n_anchors && err == 0; n++) {
		batch_open(&b);
		ADD(&b, "link set dev eth0 up\naddr add fe80::2/64 dev eth0 nodad\n");
		ADD(&b, "addr add %s/128 dev eth0 nodad\naddr add %s/30 dev eth0\n",
		    FM_LAB_ANCHOR_ADDRESS6(n), FM_LAB_ANCHOR_ADDRESS4(n));
		ADD(&b, "route add default via fe80::1 dev eth0 src %s\n",
		    FM_LAB_ANCHOR_ADDRESS6(n));
		ADD(&b, "route add default via %s dev eth0\n", FM_LAB_ANCHOR_GATEWAY4(n));
		err = batch_run(&b, w->ns[FM_LAB_NODE_ANCHOR + n]);
	}
	if (err < 0)
		return err;
	batch_open(&b);
	ADD(&b, "link set dev eth0 up\naddr add %s/64 dev eth0 nodad\naddr add %s/30 dev eth0\n",
	    FM_LAB_PEER6, FM_LAB_PEER4);
	ADD(&b,
	    "route add default via fe80::1 dev eth0\nroute add default via 203.0.113.2 dev eth0\n");
	return batch_run(&b, w->ns[FM_LAB_NODE_PEER]);
}

/* The path behind the first hop: both ways the router answers what is too big. */
static void path_mtu(struct batch *b, int64_t mtu)
{
	if (mtu < 1500)
		ADD(b, " mtu lock %lld", (long long)mtu);
	ADD(b, "\n");
}

/* Routes of an access' router; again after each renumbering or new MTU. */
static void route_access(struct fm_lab_world *w, struct batch *b, int i)
{
	const struct fm_lab_access *a = &w->s->accesses[i];
	int g = w->generation[i];

	if (a->family & FM_LAB_IPV6) {
		ADD(b, "addr replace %s/64 dev down nodad noprefixroute\n",
		    fm_address_router6(i, g).s);
		ADD(b, "route replace %s dev down metric 200", fm_address_prefix6(i, g).s);
		path_mtu(b, w->mtu[i]);
		ADD(b, "route replace default via fe80::1 dev up");
		path_mtu(b, w->mtu[i]);
	}
	if (a->family & FM_LAB_IPV4) {
		ADD(b, "addr replace %s/28 dev down noprefixroute\n", fm_address_router4(i, g).s);
		ADD(b, "route replace %s dev down", fm_address_prefix4(i, g).s);
		path_mtu(b, w->mtu[i]);
		ADD(b, "route replace 0.0.0.0/0 via inet6 fe80::1 dev up");
		path_mtu(b, w->mtu[i]);
	}
}

/* The anchor is the router of the home link; hosts ask there for its own address too. */
static void number_home_router(struct batch *b)
{
	ADD(b, "link set dev down up\naddr add fe80::1/64 dev down nodad\n");
	ADD(b, "addr add %s/64 dev down nodad\n", FM_LAB_ANCHOR_ADDRESS6(0));
}

static int number_router(struct fm_lab_world *w, int i)
{
	const struct fm_lab_access *a = &w->s->accesses[i];
	struct batch b;
	char port[16];

	batch_open(&b);
	if (n_hosts(w) > 1)
		ADD(&b, "link add name down type bridge\n");
	for (int h = 0; h < FM_LAB_HOSTS && n_hosts(w) > 1; h++) {
		if (has_host(w, h))
			ADD(&b, "link set dev %s master down up\n", router_port(w, h, port));
	}
	if (a->is_home) {
		number_home_router(&b);
		return batch_run(&b, w->ns_router[i]);
	}
	ADD(&b, "link set dev down up\nlink set dev up up\n");
	ADD(&b, "addr add fe80::2/64 dev up nodad\naddr add fe80::1/64 dev down nodad\n");
	ADD(&b, "addr add 192.0.2.%d/32 dev lo\n", 16 + i);
	route_access(w, &b, i);
	if (a->family & FM_LAB_NAT)
		ADD(&b, "route add blackhole %s\nroute add blackhole %s\n",
		    fm_address_outer_prefix4(i, 0).s, fm_address_outer_prefix4(i, 1).s);
	if (a->family & FM_LAB_NAT_TWICE)
		ADD(&b, "route add blackhole %s\n", fm_address_middle_prefix4(i).s);
	return batch_run(&b, w->ns_router[i]);
}

static int number_second_nat(struct fm_lab_world *w, int i)
{
	struct batch b;

	if (w->ns_nat[i] < 0)
		return 0;
	batch_open(&b);
	ADD(&b, "link set dev up up\naddr add fe80::2/64 dev up nodad\n");
	ADD(&b, "addr add fe80::1/64 dev down nodad\naddr add 192.0.2.%d/32 dev lo\n", 32 + i);
	ADD(&b, "route add 0.0.0.0/0 via inet6 fe80::1 dev up\n");
	ADD(&b, "route add %s via inet6 fe80::2 dev down\n", fm_address_middle_prefix4(i).s);
	for (int g = 0; g < 2; g++)
		ADD(&b, "route add blackhole %s\n", fm_address_outer_prefix4(i, g).s);
	return batch_run(&b, w->ns_nat[i]);
}

/* A host's addresses and default routes over one access; earlier accesses are preferred. */
static void host_access(struct fm_lab_world *w, struct batch *b, int host, int i)
{
	const struct fm_lab_access *a = &w->s->accesses[i];
	int g = w->generation[i];

	if (a->family & FM_LAB_IPV6) {
		ADD(b, "addr replace %s/64 dev %s nodad\n", host6(w, i, g, host).s, a->interface);
		ADD(b, "route replace default via fe80::1 dev %s metric %d\n", a->interface,
		    100 + 10 * i);
	}
	if (a->family & FM_LAB_IPV4) {
		ADD(b, "addr replace %s/28 dev %s\n", fm_address_host4(i, g, host).s, a->interface);
		ADD(b, "route replace default via %s dev %s metric %d\n",
		    fm_address_router4(i, g).s, a->interface, 100 + 10 * i);
	}
}

/* An unmodified host follows its carriers, as one with a network manager does. */
static void settle_host_access(struct fm_lab_world *w, int host, int i)
{
	const struct fm_lab_access *a = &w->s->accesses[i];
	char name[96];

	if (!(a->family & FM_LAB_IPV6)) {
		snprintf(name, sizeof(name), "ipv6/conf/%s/disable_ipv6", a->interface);
		fm_ns_sysctl(w->ns[host], name, "1");
	}
	if (!w->s->hosts[host].is_plain)
		return;
	snprintf(name, sizeof(name), "ipv4/conf/%s/ignore_routes_with_linkdown", a->interface);
	fm_ns_sysctl(w->ns[host], name, "1");
	if (a->family & FM_LAB_IPV6) {
		snprintf(name, sizeof(name), "ipv6/conf/%s/ignore_routes_with_linkdown",
			 a->interface);
		fm_ns_sysctl(w->ns[host], name, "1");
	}
}

static int number_host(struct fm_lab_world *w, int host)
{
	struct batch b;

	batch_open(&b);
	for (int i = 0; i < w->s->n_accesses; i++) {
		settle_host_access(w, host, i);
		ADD(&b, "link set dev %s up\n", w->s->accesses[i].interface);
		host_access(w, &b, host, i);
	}
	return batch_run(&b, w->ns[host]);
}

/* --- all of it --- */

static void drop_offloads(struct fm_lab_world *w)
{
	char near[16], far[16], port[16], dev[16];

	for (int h = 0; h < FM_LAB_HOSTS; h++) {
		for (int i = 0; has_host(w, h) && i < w->s->n_accesses; i++) {
			fm_world_link_names(h, i, near, far);
			fm_ns_no_offload(w->ns_links, near);
			fm_ns_no_offload(w->ns_links, far);
			fm_ns_no_offload(w->ns[h], w->s->accesses[i].interface);
			fm_ns_no_offload(w->ns_router[i], router_port(w, h, port));
		}
	}
	for (int i = 0; i < w->s->n_accesses; i++) {
		if (w->s->accesses[i].is_home)
			continue;
		snprintf(dev, sizeof(dev), "access%u", (unsigned int)i % 100);
		fm_ns_no_offload(w->ns_core, dev);
		fm_ns_no_offload(w->ns_router[i], "up");
		if (w->ns_nat[i] >= 0) {
			fm_ns_no_offload(w->ns_nat[i], "up");
			fm_ns_no_offload(w->ns_nat[i], "down");
		}
	}
	for (int n = 0; n < w->s->n_anchors; n++) {
		snprintf(dev, sizeof(dev), "anchor%u", (unsigned int)n % 100);
		fm_ns_no_offload(w->ns_core, dev);
		fm_ns_no_offload(w->ns[FM_LAB_NODE_ANCHOR + n], "eth0");
	}
	fm_ns_no_offload(w->ns_links, FM_LAB_PEER_NEAR);
	fm_ns_no_offload(w->ns_links, FM_LAB_PEER_FAR);
	fm_ns_no_offload(w->ns_core, "peer");
	fm_ns_no_offload(w->ns[FM_LAB_NODE_PEER], "eth0");
}

/* Far ends first: a route needs a device with a carrier. */
static int number_all(struct fm_lab_world *w)
{
	int err = number_ends(w);

	for (int i = 0; i < w->s->n_accesses && err == 0; i++) {
		err = number_router(w, i);
		if (err == 0)
			err = number_second_nat(w, i);
		if (err == 0)
			err = fm_nat_install(w, i);
	}
	if (err == 0)
		err = number_core(w);
	for (int h = 0; h < FM_LAB_HOSTS && err == 0; h++) {
		if (has_host(w, h))
			err = number_host(w, h);
	}
	return err;
}

int fm_world_build(struct fm_lab_world *w, const struct fm_lab_scenario *s,
		   const struct fm_lab_instance *in)
{
	*w = (struct fm_lab_world){ .s = s, .in = in, .next_ifindex = 100 };
	for (int n = 0; n < FM_LAB_NODES; n++)
		w->ns[n] = -1;
	for (int i = 0; i < FM_LAB_ACCESSES; i++)
		w->ns_router[i] = w->ns_nat[i] = -1;
	for (int i = 0; i < s->n_accesses; i++)
		w->mtu[i] = s->accesses[i].mtu;
	int err = make_namespaces(w);
	if (err == 0)
		err = cable_links(w);
	if (err == 0)
		err = cable_core(w);
	if (err == 0)
		err = cable_second_nats(w);
	if (err == 0)
		err = number_all(w);
	if (err == 0)
		drop_offloads(w);
	return err;
}

/* --- changes --- */

int fm_world_carrier(struct fm_lab_world *w, int access, bool is_up)
{
	struct batch b;
	int err;

	batch_open(&b);
	for (int h = 0; h < FM_LAB_HOSTS; h++) {
		char near[16], far[16];
		fm_world_link_names(h, access, near, far);
		if (has_host(w, h))
			ADD(&b, "link set dev %s %s\n", near, is_up ? "up" : "down");
	}
	err = batch_run(&b, w->ns_links);
	for (int h = 0; is_up && h < FM_LAB_HOSTS && err == 0; h++) {
		if (!has_host(w, h))
			continue;
		batch_open(&b);
		host_access(w, &b, h, access);
		err = batch_run(&b, w->ns[h]);
	}
	return err;
}

static int renumber_host(struct fm_lab_world *w, int host, int i, int old)
{
	const struct fm_lab_access *a = &w->s->accesses[i];
	struct batch b;

	batch_open(&b);
	if (a->family & FM_LAB_IPV6)
		ADD(&b, "addr del %s/64 dev %s\n", host6(w, i, old, host).s, a->interface);
	if (a->family & FM_LAB_IPV4)
		ADD(&b, "addr del %s/28 dev %s\n", fm_address_host4(i, old, host).s, a->interface);
	host_access(w, &b, host, i);
	return batch_run(&b, w->ns[host]);
}

int fm_world_renumber(struct fm_lab_world *w, int access)
{
	const struct fm_lab_access *a = &w->s->accesses[access];
	int old = w->generation[access]++, err = 0;
	struct batch b;

	for (int h = 0; a->is_home && h < FM_LAB_HOSTS && err == 0; h++) {
		if (has_host(w, h)) /* another address in the same prefix */
			err = renumber_host(w, h, access, old);
	}
	if (a->is_home)
		return err;
	batch_open(&b);
	if (a->family & FM_LAB_IPV6) {
		ADD(&b, "addr del %s/64 dev down\n", fm_address_router6(access, old).s);
		ADD(&b, "route del %s dev down metric 200\n", fm_address_prefix6(access, old).s);
		ADD(&b, "route add blackhole %s\n", fm_address_prefix6(access, old).s);
	}
	if (a->family & FM_LAB_IPV4) {
		ADD(&b, "addr del %s/28 dev down\n", fm_address_router4(access, old).s);
		ADD(&b, "route replace blackhole %s\n", fm_address_prefix4(access, old).s);
	}
	route_access(w, &b, access);
	err = batch_run(&b, w->ns_router[access]);
	if (err == 0)
		err = fm_nat_install(w, access);
	for (int h = 0; h < FM_LAB_HOSTS && err == 0; h++) {
		if (has_host(w, h))
			err = renumber_host(w, h, access, old);
	}
	return err;
}

int fm_world_set_mtu(struct fm_lab_world *w, int access, int64_t mtu)
{
	struct batch b;

	w->mtu[access] = mtu;
	if (w->s->accesses[access].is_home)
		return 0; /* one link, nothing behind its first hop */
	batch_open(&b);
	route_access(w, &b, access);
	return batch_run(&b, w->ns_router[access]);
}

int fm_world_rebind(struct fm_lab_world *w, int access)
{
	w->rebinds[access]++;
	int err = fm_nat_install(w, access);
	return err < 0 ? err : fm_nat_forget(w, access);
}

static int mptcp_access(struct fm_lab_world *w, int host, int i)
{
	const struct fm_lab_access *a = &w->s->accesses[i];
	struct fm_lab_text own6 = host6(w, i, w->generation[i], host);
	struct fm_lab_text own4 = fm_address_host4(i, w->generation[i], host);
	char six[512], four[512];
	int table = 100 + i, err = 0;

	snprintf(six, sizeof(six),
		 "rule add from %s lookup %d\nroute add default via fe80::1 dev %s table %d\n"
		 "mptcp endpoint add %s dev %s subflow\n",
		 own6.s, table, a->interface, table, own6.s, a->interface);
	snprintf(four, sizeof(four),
		 "rule add from %s lookup %d\nroute add default via %s dev %s table %d\n"
		 "mptcp endpoint add %s dev %s subflow\n",
		 own4.s, table, fm_address_router4(i, w->generation[i]).s, a->interface, table,
		 own4.s, a->interface);
	if (a->family & FM_LAB_IPV6)
		err = fm_ns_ip6(w->ns[host], six);
	if (err == 0 && (a->family & FM_LAB_IPV4))
		err = fm_ns_ip(w->ns[host], four);
	return err;
}

int fm_world_mptcp(struct fm_lab_world *w)
{
	struct batch b;
	int err;

	batch_open(&b);
	ADD(&b, "mptcp limits set subflows 8 add_addr_accepted 8\n");
	ADD(&b, "mptcp endpoint add %s dev eth0 signal\nmptcp endpoint add %s dev eth0 signal\n",
	    FM_LAB_PEER6, FM_LAB_PEER4);
	err = batch_run(&b, w->ns[FM_LAB_NODE_PEER]);
	for (int h = 0; h < FM_LAB_HOSTS && err == 0; h++) {
		if (!has_host(w, h))
			continue;
		err = fm_ns_ip(w->ns[h], "mptcp limits set subflows 8 add_addr_accepted 8\n");
		for (int i = 0; i < w->s->n_accesses && err == 0; i++)
			err = mptcp_access(w, h, i);
	}
	return err;
}
