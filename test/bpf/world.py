#!/usr/bin/env python3
"""
Worlds of network namespaces without the daemon: the loader's driver puts bindings in by hand, then
real tools send through every encapsulation. Namespaces: a host, a second host, the anchor, a peer.
Usage: world.py DRIVE [--iperf SECONDS]; exit code 77 where it is not permitted.
"""
import os
import re
import subprocess
import sys
import tempfile
import time

DRIVE = sys.argv[1]
FAST = float(os.environ.get("FAST_MBIT", "100"))  # a virtual machine without KVM: less
SECONDS = sys.argv[3] if len(sys.argv) > 3 else "1"
NS = {n: f"fmdp-{n}-{os.getpid()}" for n in ("host", "host2", "anchor", "peer")}
BPFFS = tempfile.mkdtemp(prefix="fmdp-bpf-")
ANCHOR6, ANCHOR4 = "2001:db8:a::1", "192.0.2.1"
OLD = tuple(int(n) for n in re.findall(r"\d+", os.uname().release)[:2]) < (6, 3)
passed, failed = 0, 0


def run(*words, check=True, **more):
    r = subprocess.run(words, capture_output=True, text=True, **more)
    if check and r.returncode:
        raise RuntimeError(f"{' '.join(words)}: {r.stdout}{r.stderr}")
    return r


def inside(node, line, check=True, **more):
    return run("nsenter", f"--net=/run/netns/{NS[node]}", *line.split(), check=check, **more)


def sysctl(node, *settings):
    for s in settings:
        inside(node, f"sysctl -qw {s}")


def link(a, an, b, bn, index):
    """A veth pair; different indexes, so that carrier events come at once (kernel-facts.md)."""
    run("ip", "link", "add", an, "index", str(index), "netns", NS[a], "type", "veth",
        "peer", "name", bn, "index", str(index + 50), "netns", NS[b])
    for n, i in ((a, an), (b, bn)):
        sysctl(n, f"net.ipv6.conf.{i}.accept_dad=0", f"net.ipv4.conf.{i}.rp_filter=0")
        inside(n, f"ip link set {i} up")


def address(node, interface, *addresses):
    for a in addresses:
        inside(node, f"ip addr add {a} dev {interface}" + (" nodad" if ":" in a else ""))


def fm0(node):
    inside(node, "ip tuntap add fm0 mode tun vnet_hdr")
    sysctl(node, "net.ipv4.conf.fm0.rp_filter=0", "net.ipv6.conf.fm0.accept_dad=0")
    inside(node, "ip link set fm0 addrgenmode none mtu 1460 up")
    if OLD:  # no DECAP flags: what was unpacked enters by a veth pair, as the daemon does it
        inside(node, "ip link add fm0-in arp off type veth peer name fm0-end arp off")
        for i in ("fm0-in", "fm0-end"):
            sysctl(node, f"net.ipv4.conf.{i}.rp_filter=0", f"net.ipv6.conf.{i}.accept_dad=0")
            inside(node, f"ip link set {i} up")


def neighbour(node, interface, ip, other, other_interface):
    mac = inside(other, f"cat /sys/class/net/{other_interface}/address", check=False).stdout.strip()
    if not mac:
        mac = re.search(r"ether (\S+)", inside(other, f"ip link show {other_interface}").stdout)[1]
    inside(node, f"ip neigh replace {ip} lladdr {mac} dev {interface} nud permanent")


def drive(node, lines):
    r = inside(node, DRIVE, input="\n".join(lines) + "\n")
    return r.stdout


def host_up(node, number):
    """wifi: 2001:db8:f:N::5 and 192.0.2.N0; lte the same plus 1000, plus 100."""
    for k, access in enumerate(("wifi", "lte")):
        link(node, access, "anchor", f"{access}{number}", 100 * number + 10 * k + 10)
        net6, net4 = f"2001:db8:f{number}{k}:", f"198.51.100.{number * 64 + k * 32}"
        base = number * 64 + k * 32
        address(node, access, f"{net6}:5/64", f"198.51.100.{base + 5}/27")
        address("anchor", f"{access}{number}", f"{net6}:1/64", f"198.51.100.{base + 1}/27")
        neighbour(node, access, f"{net6}:1", "anchor", f"{access}{number}")
        neighbour("anchor", f"{access}{number}", f"{net6}:5", node, access)
        neighbour(node, access, f"198.51.100.{base + 1}", "anchor", f"{access}{number}")
        neighbour("anchor", f"{access}{number}", f"198.51.100.{base + 5}", node, access)
    fm0(node)
    address(node, "fm0", f"2001:db8:100:{number}::7/128", f"203.0.113.{number}7/32")
    inside(node, "ip -6 route add default dev fm0")
    inside(node, "ip route add default dev fm0")


def paths(number, encaps, side):
    """Path lines of a binding as the host or the anchor sees them."""
    out = []
    for k, (access, encap) in enumerate(zip(("wifi", "lte"), encaps)):
        base = number * 64 + k * 32
        net6 = f"2001:db8:f{number}{k}:"
        coa = f"{net6}:5" if encap == "ip6" else f"198.51.100.{base + 5}"
        via = f"{net6}:1" if encap == "ip6" else f"198.51.100.{base + 1}"
        own = ANCHOR6 if encap == "ip6" else ANCHOR4
        ports = ("4191", "40000") if encap == "udp4" else ("0", "0")
        if side == "host":
            out.append(f"path {k + 1} {encap} {coa} {ports[1]} {own} {ports[0]} {access} {via} 1500")
        else:
            out.append(f"path {k + 1} {encap} {own} {ports[0]} {coa} {ports[1]} {access}{number} {coa} 1500")
    return out


def binding(number, default=0, registration=True):
    r = f"2001:db8:100:ffff::{number}" if registration else "-"
    return [f"binding {number} {r} {default}", f"prefix 2001:db8:100:{number}:: 64",
            f"prefix 203.0.113.{number}7 128"]


def opened(node):
    role = "anchor" if node == "anchor" else "host"
    line = f"open {role} {BPFFS}/{node} fm0 {ANCHOR6} {ANCHOR4}"
    if OLD:
        line += " fm0-in " + re.search(r"link/ether (\S+)", inside(node, "ip link show fm0-in").stdout)[1]
    return line


def set_up():
    for n in NS.values():
        run("ip", "netns", "add", n)
    for node in NS:
        inside(node, "ip link set lo up")
        sysctl(node, "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0",
               "net.ipv6.conf.default.accept_dad=0")
    sysctl("anchor", "net.ipv6.conf.all.forwarding=1", "net.ipv4.ip_forward=1",
           "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.default.send_redirects=0")
    fm0("anchor")
    inside("anchor", f"ip addr add {ANCHOR6}/128 dev lo")
    inside("anchor", f"ip addr add {ANCHOR4}/32 dev lo")
    inside("anchor", "ip -6 route add 2001:db8:100::/48 dev fm0")
    inside("anchor", "ip route add 203.0.113.0/25 dev fm0")
    link("anchor", "pub", "peer", "pub", 400)
    address("anchor", "pub", "2001:db8:ffff::fe/64", "203.0.113.254/25")
    address("peer", "pub", "2001:db8:ffff::1/64", "203.0.113.129/25")
    inside("peer", "ip -6 route add default via 2001:db8:ffff::fe")
    inside("peer", "ip route add default via 203.0.113.254")
    host_up("host", 1)
    host_up("host2", 2)


def forward(encaps, encaps2=("ip6", "ip6"), default=0):
    print_lines = drive("host", [opened("host")] + binding(1, default) + paths(1, encaps, "host") +
                        ["forward", "attach fm0", "attach wifi", "attach lte"])
    drive("host2", [opened("host2")] + binding(2, default) + paths(2, encaps2, "host") +
          ["forward", "attach fm0", "attach wifi", "attach lte"])
    drive("anchor", [opened("anchor")] + binding(1, default) + paths(1, encaps, "anchor") + ["forward"] +
          binding(2, default) + paths(2, encaps2, "anchor") + ["forward"] +
          [f"attach {i}" for i in ("fm0", "wifi1", "lte1", "wifi2", "lte2", "pub")])
    return print_lines


def tell(name, ok, why=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print(("ok   " if ok else "FAIL ") + name + (f": {why}" if why and (not ok or "\n" not in why) else ""), flush=True)


def ping(node, target, source, count=5, size=56):
    r = inside(node, f"ping -i 0.02 -W 1 -c {count} -s {size} -I {source} {target}", check=False)
    m = re.search(r"(\d+) received", r.stdout)
    return int(m[1]) if m else 0


def iperf(server, node, target, source, *more):
    s = subprocess.Popen(["nsenter", f"--net=/run/netns/{NS[server]}", "iperf3", "-s", "-1", "-B", target],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(50):
            if inside(server, f"ss -Hltn sport = :5201").stdout:
                break
        r = inside(node, f"timeout 20 iperf3 -c {target} -B {source} -t {SECONDS} -f m {' '.join(more)}",
                   check=False)
        m = re.search(r"([\d.]+) Mbits/sec.*receiver", r.stdout)
        return float(m[1]) if m else 0.0
    finally:
        s.terminate()
        s.wait()


def counters(node):
    return {w[1]: int(w[2]) for w in
            (line.split() for line in drive(node, [opened(node), "counters"]).splitlines() if line != "ok")}


def try_pair(encap):
    forward((encap, encap))
    for family, peer, home in (("IPv6", "2001:db8:ffff::1", "2001:db8:100:1::7"),
                               ("IPv4", "203.0.113.129", "203.0.113.17")):
        name = f"{family} in {encap}"
        tell(f"{name}: the host reaches the peer", ping("host", peer, home) == 5)
        tell(f"{name}: the peer reaches the host", ping("peer", home, peer) == 5)
        up = iperf("peer", "host", peer, home)
        down = iperf("peer", "host", peer, home, "-R")
        tell(f"{name}: TCP goes up and down", up > FAST and down > FAST, f"{up:.0f} and {down:.0f} Mbit/s")


class Pins:
    """A driver that stays, for moves while packets flow."""

    def __init__(self, node):
        self.p = subprocess.Popen(["nsenter", f"--net=/run/netns/{NS[node]}", DRIVE], text=True, bufsize=1,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.say(opened(node))

    def say(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()
        answer = []
        while (got := self.p.stdout.readline()) not in ("ok\n", ""):
            answer.append(got.strip())
        return answer

    def close(self):
        self.p.stdin.close()
        self.p.wait()


def count_packets(node, interface):
    return int(inside(node, f"cat /sys/class/net/{interface}/statistics/tx_packets", check=False).stdout or
               re.search(r"TX:.*?\n\s+\d+\s+(\d+)", inside(node, f"ip -s link show {interface}").stdout, re.S)[1])


def backlog_drops():
    """Packets that this machine's queues between devices refused: all namespaces share them."""
    return sum(int(line.split()[1], 16) for line in open("/proc/net/softnet_stat"))


def try_moves(encaps):
    """One flow moves 100 times back and forth; its echo comes back by the path it left by."""
    name = f"a move from {encaps[0]} to {encaps[1]}"
    forward(encaps)
    pins = Pins("host")
    before = sum(int(re.search(r"moves (\d+)", f)[1]) for f in pins.say("flows") if " 4242 " in f)
    moves, rounds, refused = 0, [], backlog_drops()
    while moves < 100:  # a thousand echoes more, until all moves were made among them
        p = subprocess.Popen(["nsenter", f"--net=/run/netns/{NS['host']}", "ping", "-q", "-e", "4242", "-i", "0.002",
                              "-c", "1000", "-I", "2001:db8:100:1::7", "2001:db8:ffff::1"], text=True,
                             stdout=subprocess.PIPE)
        while p.poll() is None and moves < 100:
            pins.say(f"pin 2001:db8:100:1::7 4242 2001:db8:ffff::1 4242 58 {1 + moves % 2}")
            moves += 1
            time.sleep(0.01)
        rounds.append(p.communicate()[0])
        if len(rounds) == 10:
            break
    tell(f"{name}, 100 times, loses and doubles nothing",
         moves == 100 and all(" 1000 received" in r and "duplicates" not in r for r in rounds),
         f"{moves} moves; the machine's queues refused {backlog_drops() - refused}; " + "; ".join(r.strip().split("\n")[-2] for r in rounds))
    flow = [f for f in pins.say("flows") if " 4242 " in f]
    counted = int(re.search(r"moves (\d+)", flow[0])[1]) - before
    tell(f"{name} is counted", moves // 2 <= counted <= moves, f"{counted} of {moves}")  # the first come before a packet
    up, down = count_packets("host", "lte"), count_packets("anchor", "lte1")
    pins.say("pin 2001:db8:100:1::7 4242 2001:db8:ffff::1 4242 58 2")
    inside("host", "ping -q -e 4242 -i 0.01 -c 50 -I 2001:db8:100:1::7 2001:db8:ffff::1")
    up, down = count_packets("host", "lte") - up, count_packets("anchor", "lte1") - down
    tell(f"{name}: the anchor follows the uplink", up >= 50 and down >= 50, f"{up} up, {down} down")
    pins.say("pin 2001:db8:100:1::7 4242 2001:db8:ffff::1 4242 58 0")
    pins.close()


def try_sizes():
    """A path of 1400 octets: PMTU reaches senders on both sides."""
    small = [[l.replace(" 1500", " 1400") for l in paths(1, ("ip6", "ip6"), side)] for side in ("host", "anchor")]
    drive("host", [opened("host")] + binding(1) + small[0] + ["forward"])
    drive("anchor", [opened("anchor")] + binding(1) + small[1] + ["forward"])
    for node, source, target in (("host", "2001:db8:100:1::7", "2001:db8:ffff::1"),
                                 ("peer", "2001:db8:ffff::1", "2001:db8:100:1::7")):
        out = inside(node, f"ping -M do -i 0.05 -W 1 -c 3 -s 1392 -I {source} {target}", check=False).stdout
        tell(f"a large packet from the {node} is answered with the MTU", "mtu=1360" in out or "mtu: 1360" in out, out[:300])
        route = inside(node, f"ip -6 route get {target} from {source}").stdout
        tell(f"the {node} has learnt the MTU", "mtu 1360" in route, route)
    up = iperf("peer", "host", "2001:db8:ffff::1", "2001:db8:100:1::7")
    down = iperf("peer", "host", "2001:db8:ffff::1", "2001:db8:100:1::7", "-R")
    tell("TCP goes through a path of 1400 octets", up > FAST and down > FAST, f"{up:.0f} and {down:.0f} Mbit/s")


def try_copies():
    drive("host", [opened("host")] + binding(1) + paths(1, ("ip6", "udp4"), "host") +
          ["rule 1 0x3 2 58 0 0", "forward"])
    drive("anchor", [opened("anchor")] + binding(1) + paths(1, ("ip6", "udp4"), "anchor") + ["forward"])
    out = inside("host", "ping -q -i 0.02 -c 20 -I 2001:db8:100:1::7 2001:db8:ffff::1").stdout
    tell("a flow with two paths arrives twice", "20 received" in out and "+19 duplicates" in out, out)  # ping ends with the first of the last pair
    forward(("ip6", "udp4"))


def qdiscs(node, interface):
    return inside(node, f"tc qdisc show dev {interface}").stdout


def try_down():
    """What was ours goes; a clsact that others made, or use, stays."""
    other = opened("anchor").replace("/anchor ", "/other ")
    drive("host2", [other, "attach wifi"])
    drive("host2", [opened("host2"), "detach lte"])
    tell("our clsact goes with our filter", "clsact" not in qdiscs("host2", "lte"), qdiscs("host2", "lte"))
    inside("host2", "tc qdisc add dev lte clsact")
    drive("host2", [opened("host2"), "attach lte", "down"])
    tell("a clsact of others stays", "clsact" in qdiscs("host2", "lte"))
    tell("our clsact stays while others use it", "clsact" in qdiscs("host2", "wifi"))
    tell("nothing of ours hangs there", "8653" not in inside("host2", "tc filter show dev wifi ingress").stdout)
    tell("all pins are gone", not os.path.exists(f"{BPFFS}/host2"))
    drive("host2", [other, "down"])


def clean_up():
    for node in ("host", "host2", "anchor"):
        inside(node, DRIVE, input=f"{opened(node)}\ndown\n", check=False)
    for n in NS.values():
        run("ip", "netns", "del", n, check=False)
    run("umount", BPFFS, check=False)
    os.rmdir(BPFFS)


def main():
    if os.geteuid() != 0:
        sys.exit(77)
    run("mount", "-t", "bpf", "bpf", BPFFS)
    try:
        set_up()
        for encap in ("ip6", "ip4", "udp4"):
            try_pair(encap)
        for encaps in (("ip6", "ip6"), ("ip6", "udp4"), ("ip4", "ip6")):
            try_moves(encaps)
        try_sizes()
        try_copies()
        try_down()
    finally:
        if os.environ.get("KEEP"):
            print(NS, BPFFS)
        else:
            clean_up()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
