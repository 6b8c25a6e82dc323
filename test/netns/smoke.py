#!/usr/bin/env python3
"""
One host, one anchor, a peer, in hand-made namespaces: registration, ping and UDP from a home address,
moves, kill -9 and restart of both daemons. Plain veth links without delay; the lab has better ones.

usage: smoke.py BUILD_DIR [--keep] [--nat] [--ipv4] [--user] [--verbose]
Exit status: 0 all held, 1 something did not, 77 not root.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

PREFIX = f"fmd{os.getpid()}-"
NODES = ("host", "net", "anchor", "peer")
HOST_CONF = """
host {{
  anchor "home" {{ address = {anchor_addresses}  id = "t@example.net"  key-file = "{dir}/home.key" }}
  access "wifi" {{ interface = "wifi0"  preference = 10 }}
  access "lte"  {{ interface = "lte0"   preference = 20 }}
  default {{ type = session-lasting  via = {{"wifi", "lte"}} }}
}}
"""
ANCHOR_CONF = """
anchor {{
  address = {anchor_addresses}
  pool "homes" {{ prefix = "2001:db8:100::/40"  ipv4 = "198.51.100.0/24" }}
  subscriber "t@example.net" {{ key-file = "{dir}/home.key" }}
}}
"""


def sh(*args, check=True, quiet=True):
    r = subprocess.run(args, capture_output=True, text=True)
    if check and r.returncode != 0:
        raise RuntimeError(f"{' '.join(args)}: {r.stderr.strip()}")
    return r.stdout


def ns(node, *args, check=True):
    return sh("ip", "netns", "exec", PREFIX + node, *args, check=check)


def in_ns(node, user=None):
    """For Popen(preexec_fn=): only the network namespace, so that bpffs and cgroupfs stay."""
    def enter():
        if user:
            # a passwd of its own, in a mount namespace of its own
            if libc.unshare(0x00020000) or libc.mount(b"none", b"/", None, 0x84000, None) or \
                    libc.mount(user.encode(), b"/etc/passwd", None, 0x1000, None):
                os._exit(125)
        fd = os.open(f"/run/netns/{PREFIX}{node}", os.O_RDONLY)
        if libc.setns(fd, 0x40000000) != 0:
            os._exit(126)
        os.close(fd)
    return enter


import ctypes
libc = ctypes.CDLL(None, use_errno=True)


class World:
    def __init__(self, args):
        self.args = args
        self.dir = tempfile.mkdtemp(prefix="fmd-smoke-")
        self.pin = "/sys/fs/bpf/fmd-smoke-%d" % os.getpid()
        self.cgroup = None
        self.daemons = {}
        self.others = []
        self.failed = []

    def link(self, a, a_dev, b, b_dev, index):
        sh("ip", "link", "add", a_dev, "netns", PREFIX + a, "index", str(index), "type", "veth",
           "peer", "name", b_dev, "netns", PREFIX + b)
        for node, dev in ((a, a_dev), (b, b_dev)):
            ns(node, "ip", "link", "set", dev, "up")
            ns(node, "ethtool", "-K", dev, "tso", "off", "gso", "off", "gro", "off", check=False)

    def build(self):
        os.chmod(self.dir, 0o755)
        for n in NODES:
            sh("ip", "netns", "del", PREFIX + n, check=False)
            sh("ip", "netns", "add", PREFIX + n)
            ns(n, "ip", "link", "set", "lo", "up")
            ns(n, "sysctl", "-qw", "net.ipv6.conf.all.dad_transmits=0", "net.ipv6.conf.default.dad_transmits=0",
               "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")
        ns("net", "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1", "net.ipv4.ip_forward=1")
        self.link("host", "wifi0", "net", "h-wifi", 101)
        self.link("host", "lte0", "net", "h-lte", 102)
        self.link("anchor", "eth0", "net", "anchor", 103)
        self.link("peer", "eth0", "net", "peer", 104)
        v6 = {"h-wifi": "2001:db8:1::1/64", "h-lte": "2001:db8:2::1/64", "anchor": "2001:db8:a::fe/64",
              "peer": "2001:db8:ffff::fe/64"}
        v4 = {"h-wifi": "203.0.113.65/28", "h-lte": "203.0.113.81/28", "anchor": "192.0.2.254/24",
              "peer": "203.0.113.14/28"}
        for dev, a in v6.items():
            ns("net", "ip", "addr", "add", a, "dev", dev, "nodad")
        for dev, a in v4.items():
            ns("net", "ip", "addr", "add", a, "dev", dev)
        if not self.args.nat:
            self.access("wifi0", "2001:db8:1::", metric=100)
            self.access("lte0", "2001:db8:2::", metric=200)
        else:
            ns("host", "ip", "addr", "add", "203.0.113.66/28", "dev", "wifi0")
            ns("host", "ip", "addr", "add", "203.0.113.82/28", "dev", "lte0")
            ns("host", "ip", "route", "add", "default", "via", "203.0.113.65", "dev", "wifi0", "metric", "100")
            ns("host", "ip", "route", "add", "default", "via", "203.0.113.81", "dev", "lte0", "metric", "200")
            ns("net", "nft", "table ip nat { chain post { type nat hook postrouting priority 100; "
               "iifname \"h-lte\" masquerade random; }; }")
        ns("anchor", "ip", "addr", "add", "2001:db8:a::1/64", "dev", "eth0", "nodad")
        ns("anchor", "ip", "addr", "add", "192.0.2.1/24", "dev", "eth0")
        ns("anchor", "ip", "route", "add", "default", "via", "192.0.2.254")
        ns("anchor", "ip", "-6", "route", "add", "default", "via", "2001:db8:a::fe")
        ns("peer", "ip", "addr", "add", "2001:db8:ffff::1/64", "dev", "eth0", "nodad")
        ns("peer", "ip", "addr", "add", "203.0.113.1/28", "dev", "eth0")
        ns("peer", "ip", "route", "add", "default", "via", "203.0.113.14")
        ns("peer", "ip", "-6", "route", "add", "default", "via", "2001:db8:ffff::fe")
        ns("net", "ip", "-6", "route", "add", "2001:db8:100::/40", "via", "2001:db8:a::1")
        ns("net", "ip", "route", "add", "198.51.100.0/24", "via", "192.0.2.1")
        key = "".join("%02x" % i for i in range(16))
        path = os.path.join(self.dir, "home.key")
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
            f.write(f"256 hmac-sha256-128 {key}\n")
        addresses = '{"2001:db8:a::1", "192.0.2.1"}'
        for node, text in (("host", HOST_CONF), ("anchor", ANCHOR_CONF)):
            with open(os.path.join(self.dir, node + ".conf"), "w") as f:
                f.write(text.format(dir=self.dir, anchor_addresses=addresses))

    def access(self, dev, prefix, metric):
        ns("host", "ip", "addr", "add", prefix + "2/64", "dev", dev, "nodad")
        ns("host", "ip", "-6", "route", "add", "default", "via", prefix + "1", "dev", dev, "metric", str(metric))

    def start(self, node):
        base = os.path.join(self.dir, node)
        os.makedirs(base + ".run", exist_ok=True)
        os.makedirs(self.pin, exist_ok=True)
        cgroup = self.cgroup_dir(node)
        log = open(base + ".log", "ab")
        p = subprocess.Popen([os.path.join(self.args.build, "daemon", "flowmobd"), "-c", base + ".conf",
                              "--state", base + ".state", "--run", base + ".run",
                              "--pin", f"{self.pin}/{node}", "--cgroup", cgroup],
                             stdout=log, stderr=log, preexec_fn=in_ns(node, self.passwd()))
        self.daemons[node] = p

    def passwd(self):
        """With --user: a passwd in which there is the user flowmob."""
        if not self.args.user:
            return None
        path = os.path.join(self.dir, "passwd")
        with open(path, "w") as f:
            f.write(open("/etc/passwd").read() + "flowmob:x:8653:8653::/:/bin/false\n")
        return path

    def cgroup_dir(self, node):
        with open("/proc/self/mountinfo") as f:
            mounts = [l.split() for l in f]
        root = [m[4] for m in mounts if m[m.index("-") + 1] == "cgroup2"][0]
        path = f"{root}/fmd-smoke-{os.getpid()}-{node}"
        os.makedirs(path, exist_ok=True)
        self.others.append(path)
        return path

    def kill(self, node):
        p = self.daemons.pop(node)
        p.send_signal(signal.SIGKILL)
        p.wait()

    def ask(self, node, command, **args):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(5)
        s.connect(os.path.join(self.dir, node + ".run", "flowmob.sock"))
        s.sendall(json.dumps({"command": command, **args}).encode() + b"\n")
        data = b""
        while not data.endswith(b"\n"):
            got = s.recv(65536)
            if not got:
                break
            data += got
        s.close()
        return json.loads(data)

    def until(self, what, test, timeout=10):
        end = time.time() + timeout
        last = None
        while time.time() < end:
            for node, p in self.daemons.items():
                if p.poll() is not None:
                    raise RuntimeError(f"{node} daemon ended with {p.returncode}")
            try:
                last = test()
                if last:
                    self.say(True, what)
                    return last
            except (OSError, ValueError) as e:
                last = e
            time.sleep(0.05)
        self.say(False, f"{what}: {last}")
        return None

    def say(self, ok, what):
        print(("ok     " if ok else "FAILED ") + what, flush=True)
        if not ok:
            self.failed.append(what)

    def close(self):
        for p in self.daemons.values():
            p.send_signal(signal.SIGKILL)
            p.wait()
        if self.args.verbose or self.failed:
            for node in ("host", "anchor"):
                path = os.path.join(self.dir, node + ".log")
                if os.path.exists(path):
                    print(f"--- {node}\n" + "".join(open(path, errors="replace").readlines()[-60:]))
        if self.args.keep:
            print("kept:", self.dir, self.pin)
            return
        for n in NODES:
            sh("ip", "netns", "del", PREFIX + n, check=False)
        for path in self.others:
            try:
                os.rmdir(path)
            except OSError:
                pass
        shutil.rmtree(self.dir, ignore_errors=True)
        shutil.rmtree(self.pin, ignore_errors=True)


ECHO = r"""
import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(("::", 5004))
while True:
    d, a = s.recvfrom(2000)
    s.sendto(d, a)
"""

# Sends numbered datagrams at 200/s, counts answers; "report" on stdin prints what was lost since the last one.
CALL = r"""
import socket, sys, threading, time, json
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM); s.connect((sys.argv[1], 5004))
sent = {}; got = {}; dup = 0; last = time.time(); gap = 0.0; errors = 0
def rx():
    global last, gap, dup
    while True:
        try: n = int(s.recv(2000)[:8])
        except OSError: time.sleep(0.001); continue
        t = time.time(); gap = max(gap, t - last); last = t
        if n in got: dup += 1
        got[n] = t
def tx():
    global errors
    n = 0; at = time.time()
    while True:
        sent[n] = time.time()
        try: s.send(b"%08d" % n + b"x" * 152)
        except OSError as e: errors += 1; print(e, file=sys.stderr)
        n += 1; at += 0.005
        time.sleep(max(0, at - time.time()))
threading.Thread(target=rx, daemon=True).start(); threading.Thread(target=tx, daemon=True).start()
base = 0
for line in sys.stdin:
    n = len(sent); time.sleep(0.3)
    lost = [i for i in range(base, n) if i not in got]
    print(json.dumps({"sent": n - base, "lost": len(lost), "dup": dup, "gap_ms": round(gap * 1000, 1), "errors": errors,
                      "local": s.getsockname()[0]}), flush=True)
    base = n; gap = 0.0; dup = 0; errors = 0
"""


class Call:
    def __init__(self, world, address):
        self.p = subprocess.Popen([sys.executable, "-c", CALL, address], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True, preexec_fn=in_ns("host"))

    def report(self):
        self.p.stdin.write("report\n")
        self.p.stdin.flush()
        return json.loads(self.p.stdout.readline())

    def close(self):
        self.p.kill()
        self.p.wait()


def events(w):
    """The host's events so far."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(0.3)
    s.connect(os.path.join(w.dir, "host.run", "flowmob.sock"))
    s.sendall(b'{"command":"events"}\n')
    data = b""
    try:
        while True:
            got = s.recv(65536)
            if not got:
                break
            data += got
    except socket.timeout:
        pass
    s.close()
    return [json.loads(l) for l in data.splitlines()]


def access_counts(dev):
    """Packets that left the host by a device."""
    out = json.loads(ns("host", "ip", "-s", "-j", "link", "show", "dev", dev))
    return out[0]["stats64"]["tx"]["packets"]


def bids(world):
    b = world.ask("anchor", "bindings")["bindings"]
    return sorted(x["bid"] for x in b[0]["bids"]) if b else []


def lasting(world):
    for a in world.ask("host", "status").get("addresses", []):
        if a["type"] == "session-lasting" and a["state"] in ("held", "ready", "preferred") and ":" in a["address"]:
            return a["address"]
    return None


def path_of(call_port):
    before = {d: access_counts(d) for d in ("wifi0", "lte0")}
    time.sleep(0.5)
    after = {d: access_counts(d) for d in before}
    return max(before, key=lambda d: after[d] - before[d])[:-1]


def play(w):
    w.start("anchor")
    w.until("the anchor's daemon answers", lambda: w.ask("anchor", "ping"))
    w.start("host")
    w.until("the host's daemon answers", lambda: w.ask("host", "ping"))
    w.until("both accesses are bound", lambda: bids(w) == [1, 2])
    home = w.until("a session-lasting address is there", lambda: lasting(w))
    if not home:
        return
    r = subprocess.run(["ping", "-6", "-c", "5", "-i", "0.05", "-W", "1", "2001:db8:ffff::1"], capture_output=True,
                       text=True, preexec_fn=in_ns("host"))
    w.say(" 0% packet loss" in r.stdout, "ping -6 from the home address: " + r.stdout.strip().split("\n")[-2])
    echo = subprocess.Popen([sys.executable, "-c", ECHO], preexec_fn=in_ns("peer"))
    w.daemons_extra = [echo]
    time.sleep(0.3)
    calls = [Call(w, "2001:db8:ffff::1")]
    if w.args.ipv4:
        calls.append(Call(w, "203.0.113.1"))
    try:
        talk(w, calls, home)
    finally:
        for c in calls:
            c.close()
        echo.kill()
        echo.wait()


def counters(w):
    """What was dropped so far, for whoever looks for a loss."""
    out = {}
    for node in w.daemons:
        for name, n in w.ask(node, "counters")["counters"].items():
            if n and not name.startswith(("encaps", "decaps", "probe", "signalling", "received", "sent", "anchor-")):
                out[f"{node} {name}"] = n
    return out


def clean(w, calls, what):
    for i, c in enumerate(calls):
        r = c.report()
        if r["lost"]:
            print(counters(w))
        w.say(r["lost"] == 0 and r["dup"] == 0 and r["errors"] == 0 and r["sent"] > 20,
              f"{what} (IPv{'646'[i]}): {json.dumps(r)}")
    return r


def flow_of(w, local):
    f = [f for f in w.ask("host", "flows")["flows"] if f["proto"] == "udp" and f["remote"].endswith(":5004")]
    return f


def cut(w, on):
    """Everything that crosses wifi's link vanishes, the carrier stays."""
    if on:
        ns("net", "nft", "table netdev cut { chain i { type filter hook ingress device h-wifi priority -500; drop; }; }")
        ns("net", "nft", "table inet cut { chain o { type filter hook output priority 0; oifname h-wifi drop; }; "
           "chain f { type filter hook forward priority 0; oifname h-wifi drop; }; }")
    else:
        ns("net", "nft", "delete table netdev cut; delete table inet cut")


def talk(w, calls, home):
    time.sleep(1)
    clean(w, calls, "a call runs")
    w.say(calls[0].report()["local"] == home, "the call uses the home address")
    flows = w.until("the call is listed", lambda: [f for f in flow_of(w, home) if f["access"] == "wifi"])
    if flows:
        print(json.dumps(flows))
    w.say(path_of(0) == "wifi", "it travels by wifi")
    for i in range(3):
        for access in ("lte", "wifi"):
            for f in flow_of(w, home):
                a = w.ask("host", "move", flow=f["id"], access=access)
                if "error" in a:
                    w.say(False, f"move refused: {a}")
            time.sleep(0.5)
            clean(w, calls, f"moved to {access}")
            if i == 0:
                w.say(path_of(0) == access, f"it travels by {access}")
    for node in ("host", "anchor"):
        time.sleep(0.3)
        [c.report() for c in calls]
        w.kill(node)
        time.sleep(1)
        clean(w, calls, f"kill -9 of the {node}'s daemon")
        w.start(node)
        w.until(f"the {node}'s daemon answers again", lambda: w.ask(node, "ping"))
        time.sleep(1)
        clean(w, calls, f"restart of the {node}'s daemon")
        w.until("both accesses are bound", lambda: bids(w) == [1, 2])
        w.say(lasting(w) == home, "the address is the same")
    clean(w, calls, "afterwards")
    if w.args.ipv4:
        w.say(all(f["app"] for f in flow_of(w, home)), f"the program is known: {flow_of(w, home)[0]['app']}")
    cut(w, True)
    time.sleep(1.5)
    for c in calls:
        r = c.report()
        w.say(r["gap_ms"] < 600 and r["errors"] == 0, f"silent cut of wifi: {json.dumps(r)}")
    cut(w, False)
    w.until("wifi is back", lambda: [a["state"] for a in w.ask("host", "access")["accesses"]] == ["up", "up"])
    time.sleep(3)
    clean(w, calls, "return to wifi")
    w.say(path_of(0) == "wifi", "it travels by wifi again")
    for i in range(10):
        access = ("lte", "wifi")[i % 2]
        ns("host", "ip", "neigh", "flush", "dev", access + "0", check=False)
        ns("host", "ip", "-6", "neigh", "flush", "dev", access + "0", check=False)
        for f in flow_of(w, home):
            w.ask("host", "move", flow=f["id"], access=access)
        time.sleep(0.2)
    for c in calls:
        r = c.report()
        w.say(r["lost"] == 0 and r["dup"] == 0, f"moves after flushed neighbours: {json.dumps(r)}")
    tcp(w)
    stop_and_reload(w, calls)
    ns("net", "ip", "link", "set", "h-wifi", "down")
    time.sleep(1)
    for c in calls:
        r = c.report()
        w.say(r["gap_ms"] < 150, f"carrier loss of wifi: {json.dumps(r)}")
    clean(w, calls, "after the carrier loss")
    w.say(path_of(0) == "lte", "it travels by lte")
    small_mtu(w)
    leave(w)


def tcp(w):
    server = subprocess.Popen(["iperf3", "-s", "-1"], stdout=subprocess.DEVNULL, preexec_fn=in_ns("peer"))
    time.sleep(0.5)
    r = subprocess.run(["iperf3", "-c", "2001:db8:ffff::1", "-t", "3", "-b", "100M", "-J"], capture_output=True,
                       text=True, preexec_fn=in_ns("host"))
    server.kill()
    server.wait()
    end = json.loads(r.stdout).get("end", {})
    got = end.get("sum_received", {}).get("bits_per_second", 0)
    w.say(got > 90e6, f"iperf3 at 100 Mbit/s: {got / 1e6:.0f} received, "
          f"{end.get('sum_sent', {}).get('retransmits')} sent again")


def stop_and_reload(w, calls):
    """SIGTERM leaves everything standing; SIGHUP changes what differs."""
    [c.report() for c in calls]
    p = w.daemons.pop("host")
    p.send_signal(signal.SIGTERM)
    w.say(p.wait(5) == 0, "SIGTERM ends the host's daemon with 0")
    time.sleep(0.5)
    clean(w, calls, "without the host's daemon")
    w.start("host")
    w.until("the host's daemon answers again", lambda: w.ask("host", "ping"))
    time.sleep(1)
    clean(w, calls, "started again")
    path = os.path.join(w.dir, "host.conf")
    text = open(path).read()
    with open(path, "w") as f:
        f.write(text.replace("  default {", '  rule "call" { match = {"udp dport 5004"} via = {"lte"} }\n  default {'))
    w.daemons["host"].send_signal(signal.SIGHUP)
    w.until("reloaded", lambda: any(e["event"] == "reloaded" for e in events(w)))
    calls.append(Call(w, "2001:db8:ffff::1")) # the others were moved by hand, and stay so
    w.until("the new rule takes a new call",
            lambda: [f for f in flow_of(w, None) if f["rule"] == "call" and f["access"] == "lte"])
    time.sleep(0.5)
    clean(w, calls, "reloaded")
    calls.pop().close()
    with open(path, "w") as f:
        f.write("host { nonsense = 1 }")
    a = w.ask("host", "reload")
    w.say("host.conf:1: host: no such option" in a.get("error", {}).get("message", ""), "a bad configuration is refused")
    with open(path, "w") as f:
        f.write(text)
    w.say("reloaded" in w.ask("host", "reload"), "reload by command")
    time.sleep(0.5)
    clean(w, calls, "reloaded again")


def small_mtu(w):
    """A path of 1280 octets: outer packets are fragmented, and put together again, at both ends."""
    ns("net", "ip", "link", "set", "anchor", "mtu", "1280")
    ns("anchor", "ip", "link", "set", "eth0", "mtu", "1280")
    subprocess.run(["ping", "-6", "-c", "3", "-i", "0.2", "-W", "1", "-s", "1300", "2001:db8:ffff::1"],
                   capture_output=True, preexec_fn=in_ns("host"))
    for form in (["-6", "-s", "1300", "2001:db8:ffff::1"], ["-6", "-s", "1230", "2001:db8:ffff::1"],
                 ["-6", "-s", "5000", "2001:db8:ffff::1"]):
        r = subprocess.run(["ping", "-c", "5", "-i", "0.05", "-W", "1"] + form, capture_output=True, text=True,
                           preexec_fn=in_ns("host"))
        w.say(" 0% packet loss" in r.stdout, "path MTU 1280: ping " + " ".join(form))
    for node in ("host", "anchor"):
        c = w.ask(node, "counters")["counters"]
        w.say(c["slow-fragmented"] > 0 and c["slow-reassembled"] > 0, f"the {node} fragmented and put together")
    ns("net", "ip", "link", "set", "anchor", "mtu", "1500")
    ns("anchor", "ip", "link", "set", "eth0", "mtu", "1500")


def leave(w):
    w.say(w.ask("host", "down").get("down") is True, "down at the host is answered")
    w.say(w.daemons.pop("host").wait(5) == 0, "its daemon ends")
    w.until("the anchor has forgotten it", lambda: w.ask("anchor", "bindings")["bindings"] == [])
    w.ask("anchor", "down")
    w.say(w.daemons.pop("anchor").wait(5) == 0, "the anchor's daemon ends")
    for node in ("host", "anchor"):
        left = ns(node, "ip", "-o", "link", "show", "type", "tun") + \
            "".join(l for l in (ns(node, "ip", "rule") + ns(node, "ip", "-6", "rule")).splitlines() if "86" in l) + \
            ns(node, "ip", "-6", "route", "show", "table", "all", "proto", "86") + \
            "".join(os.listdir(f"{w.pin}/{node}") if os.path.isdir(f"{w.pin}/{node}") else [])
        for dev in json.loads(ns(node, "ip", "-j", "link")):
            left += ns(node, "tc", "filter", "show", "dev", dev["ifname"], "ingress", check=False)
        w.say(left == "", f"nothing of ours is left at the {node} {left}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--keep", action="store_true")
    p.add_argument("--nat", action="store_true", help="IPv4 accesses, lte behind NAT")
    p.add_argument("--ipv4", action="store_true", help="an IPv4 call beside the IPv6 one")
    p.add_argument("--user", action="store_true", help="the daemons become the user flowmob")
    p.add_argument("--verbose", action="store_true")
    args = p.parse_args()
    if os.geteuid() != 0:
        sys.exit(77)
    args.build = os.path.abspath(args.build)
    w = World(args)
    try:
        w.build()
        play(w)
    except Exception as e:
        w.say(False, f"{type(e).__name__}: {e}")
    finally:
        w.close()
    print(f"{len(w.failed)} failed")
    sys.exit(1 if w.failed else 0)


if __name__ == "__main__":
    main()
