#!/usr/bin/env python3
"""
Every branch and every drop reason of the eBPF programs by BPF_PROG_RUN: a packet in, a verdict, a
packet and a counter out. Expected packets are built by scapy. A row's name is a sentence.
Usage: cases.py DRIVE; exit code 77 where it is not permitted.
"""
import logging
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time

logging.getLogger("scapy").setLevel(logging.CRITICAL)
try:
    from scapy.all import (GRE, ICMP, IP, TCP, UDP, ESP, Ether, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6PacketTooBig,
                           IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting,
                           HAO, PadN, Pad1, Raw, conf)
except ImportError:
    sys.exit(77)

OK, SHOT, REDIRECT = 0, 2, 7
XDP_PASS, XDP_TX, XDP_REDIRECT = 2, 3, 4
SLOW, COPY, CUT, NUMBERED = 0x464D5300, 0x464D4300, 0x464D4700, 0x20
ANCHOR6, ANCHOR4 = "2001:db8:a::1", "192.0.2.1"
COA6, COA4, NAT4, ALT6 = "2001:db8:f001::5", "198.51.100.5", "198.51.100.9", "2001:db8:f002::5"
REG, HOME6, HOME4 = "2001:db8:100:ffff::1", "2001:db8:100:1::7", "203.0.113.17"
PEER6, PEER4 = "2001:db8:ffff::1", "203.0.113.129"
PATHS = {"ip6": 1, "ip4": 2, "udp4": 3, "small": 4, "alt": 5}
MAC = Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01")
passed, failed, seen = 0, 0, set()


class Drive:
    def __init__(self, program, namespace, lines):
        self.p = subprocess.Popen(["nsenter", f"--net=/run/netns/{namespace}", program], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1)
        for line in lines:
            self.say(line)

    def say(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()
        answer = []
        while True:
            got = self.p.stdout.readline()
            if got == "ok\n":
                return answer
            if not got:
                raise RuntimeError(f"drive ended at: {line}")
            answer.append(got.strip())

    def counters(self):
        return {w[1]: int(w[2]) for w in (a.split() for a in self.say("counters"))}

    def run(self, program, packet, mark=0, gso=0):
        before = self.counters()
        words = self.say(f"run {program} {bytes(packet).hex()} {mark} {gso}")[-1].split()
        after = self.counters()
        changed = {k for k in after if after[k] != before.get(k, 0)}
        seen.update(changed)
        return int(words[1]), bytes.fromhex(words[3]), changed, int(words[2])


def tell(name, ok, why=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok or os.environ.get("VERBOSE"):
        print(("ok   " if ok else "FAIL ") + name + (f": {why}" if why and not ok else ""), flush=True)


def label_of(inner):
    """The label of datapath/tunnel.h, written anew."""
    p = IPv6(bytes(inner)) if bytes(inner)[0] >> 4 == 6 else IP(bytes(inner))
    raw = bytes(p)
    if p.version == 6:
        src, dst, proto, at = raw[8:24], raw[24:40], p.nh, 40
    else:
        v4 = bytes(10) + b"\xff\xff"
        src, dst, proto, at = v4 + raw[12:16], v4 + raw[16:20], p.proto, 20
    ports = raw[at:at + 4] if proto in (6, 17) else bytes(4)
    if proto in (1, 58):
        ports = raw[at + 4:at + 6] * 2
    words = list(struct.unpack("<4Q", src + dst)) + [proto | ports[0] << 16 | ports[1] << 24 | ports[2] << 32 | ports[3] << 40]
    odd = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93, 0xFF51AFD7ED558CCD)
    h = sum(w * o for w, o in zip(words, odd)) & (2**64 - 1)
    h = (h ^ h >> 32) * 0xC4CEB9FE1A85EC53 & (2**64 - 1)
    return h >> 44 or 1


def wrap(encap, inner, down=False, tc=0, near=None, far=None):
    """The tunnel packet around @inner: from the host, or from the anchor (@down)."""
    raw = bytes(inner)
    six = raw[0] >> 4 == 6
    if encap in ("ip6", "small", "alt"):
        coa = {"ip6": COA6, "alt": ALT6, "small": COA6}[encap]
        a, b = (ANCHOR6, coa) if down else (coa, ANCHOR6)
        return bytes(IPv6(src=near or a, dst=far or b, hlim=64, tc=tc, fl=label_of(raw), nh=41 if six else 4,
                          plen=len(raw)) / Raw(raw))
    coa = COA4 if encap == "ip4" else NAT4
    a, b = (ANCHOR4, coa) if down else (coa, ANCHOR4)
    df = len(raw) > 1280 if six else bool(raw[6] & 0x40)
    head = IP(src=near or a, dst=far or b, ttl=64, tos=tc, id=0, flags="DF" if df else 0,
              proto=17 if encap == "udp4" else 41 if six else 4)
    if encap == "ip4":
        return bytes(head / Raw(raw))
    ports = (4191, 40000) if down else (40000, 4191)
    return bytes(head / UDP(sport=ports[0], dport=ports[1], chksum=0, len=len(raw) + 8) / Raw(raw))


def gre_field():
    """Its name in older scapy lacks a letter."""
    return next(f.name for f in GRE.fields_desc if f.name.startswith("seq") and f.name.endswith("number"))


def numbered(encap, inner, key, number, down=False, tc=0):
    """The same around GRE with key and number, over UDP behind the TLV header of RFC 5845."""
    raw = bytes(inner)
    six = raw[0] >> 4 == 6
    gre = bytes(GRE(key_present=1, seqnum_present=1, key=key, proto=0x86DD if six else 0x0800,
                    **{gre_field(): number})) + raw
    if encap == "udp4":
        gre = struct.pack("!BBH", 0, 47, len(gre)) + gre
    outer = wrap(encap, inner, down, tc)
    if encap in ("ip6", "small", "alt"):
        h = IPv6(outer[:40])
        h.plen, h.nh = len(gre), 47
        return bytes(h) + gre
    h = IP(outer[:20])
    if encap == "udp4":
        gre = outer[20:24] + struct.pack("!HH", len(gre) + 8, 0) + gre
    else:
        h.proto = 47
    h.len = 20 + len(gre)
    del h.chksum
    return bytes(h)[:20] + gre


def blank_id(packet):
    """Outer IPv4 without DF has a random id: out of the comparison, with the checksum over it."""
    p = bytearray(packet)
    if p[12:14] == b"\x08\x00" and not p[20] & 0x40:
        header = p[14:34]
        words = sum(struct.unpack("!10H", bytes(header)))
        words = (words & 0xFFFF) + (words >> 16)
        p[18:20] = p[24:26] = b"\0\0"
        if (words & 0xFFFF) + (words >> 16) != 0xFFFF:
            p[24:26] = b"\xee\xee"
    return bytes(p)


def up6(payload=b"x" * 40, sport=1000, dport=2000, **ip):
    return IPv6(src=HOME6, dst=PEER6, **ip) / UDP(sport=sport, dport=dport) / Raw(payload)


def up4(payload=b"x" * 40, **ip):
    ip.setdefault("flags", "DF")
    return IP(src=HOME4, dst=PEER4, **ip) / UDP(sport=1000, dport=2000) / Raw(payload)


def down6(payload=b"y" * 40, sport=2000, dport=1000, **ip):
    return IPv6(src=PEER6, dst=HOME6, **ip) / UDP(sport=sport, dport=dport) / Raw(payload)


def down4(payload=b"y" * 40, dport=1000, **ip):
    ip.setdefault("flags", "DF")
    return IP(src=PEER4, dst=HOME4, **ip) / UDP(sport=2000, dport=dport) / Raw(payload)


def frame(packet):
    raw = bytes(packet)
    return bytes(Ether(src=MAC.src, dst=MAC.dst, type=0x86DD if raw[0] >> 4 == 6 else 0x0800)) + raw


def body(out):
    """A packet that left: its Ethernet addresses are not written yet."""
    return bytes(12) + out[12:]


def expect_frame(packet):
    return bytes(12) + frame(packet)[12:]


def path_lines(side, usable=True, device="acc"):
    rows = [(1, "ip6", COA6, ANCHOR6, 1500), (2, "ip4", COA4, ANCHOR4, 1500), (3, "udp4", NAT4, ANCHOR4, 1500),
            (4, "ip6", COA6, ANCHOR6, 1280), (5, "ip6", ALT6, ANCHOR6, 1500)]
    out = []
    for bid, encap, coa, anchor, mtu in rows:
        a, b = (coa, anchor) if side == "host" else (anchor, coa)
        ports = (40000, 4191) if side == "host" else (4191, 40000)
        pa, pb = ports if encap == "udp4" else (0, 0)
        out.append(f"path {bid} {encap} {a} {pa} {b} {pb} {device if usable else 'nothing'} {b} {mtu}")
    return out


def bind(d, side, default="ip6", rules=(), usable=True, device="acc", home=HOME6[:-1]):
    d.say(f"binding 1 {REG} {PATHS[default] - 1}")
    for line in [f"prefix {home} 64", f"prefix {HOME4} 128", *path_lines(side, usable, device), *rules, "forward"]:
        d.say(line)


def sends(d, program, name, packet, want, **how):
    """It leaves, as exactly these octets."""
    verdict, out, changed, _ = d.run(program, frame(packet), **how)
    got, want = blank_id(body(out)), blank_id(expect_frame(want))
    tell(name, verdict == REDIRECT and got == want and "encapsulated" in changed,
         f"verdict {verdict} {changed}\n  got  {got.hex()}\n  want {want.hex()}")


def arrives(d, program, name, packet, want):
    verdict, out, changed, _ = d.run(program, frame(packet))
    got, want = out[14:], bytes(want)
    tell(name, verdict == REDIRECT and got == want and "decapsulated" in changed and
         out[12:14] == frame(want)[12:14], f"verdict {verdict} {changed}\n  got  {got.hex()}\n  want {want.hex()}")


def drops(d, program, name, packet, reason, **how):
    verdict, _, changed, _ = d.run(program, frame(packet), **how)
    tell(name, verdict == SHOT and changed == {reason}, f"verdict {verdict} {changed}")


def leaves_alone(d, program, name, packet, reason=None, **how):
    p = packet if isinstance(packet, Ether) else frame(packet)
    verdict, out, changed, _ = d.run(program, p, **how)
    tell(name, verdict == OK and out == bytes(p) and changed == ({reason} if reason else set()),
         f"verdict {verdict} {changed}")


def too_big(d, program, name, packet, mtu, **how):
    """An ICMP error about @packet, from its destination, enters fm0."""
    verdict, out, changed, _ = d.run(program, frame(packet), **how)
    raw = bytes(packet)
    if raw[0] >> 4 == 6:
        p = IPv6(raw)
        want = IPv6(src=p.dst, dst=p.src, hlim=64) / ICMPv6PacketTooBig(mtu=mtu) / Raw(raw[:1232])
    else:
        p = IP(raw)
        want = IP(src=p.dst, dst=p.src, id=0, ttl=64) / ICMP(type=3, code=4, nexthopmtu=mtu) / Raw(raw[:548])
    tell(name, verdict == REDIRECT and out[14:] == bytes(want) and changed == {"too-big"},
         f"verdict {verdict} {changed}\n  got  {out[14:94].hex()}\n  want {bytes(want)[:80].hex()}")


def clamped(syn, mss):
    p = syn.copy()
    p[TCP].options = [("MSS", mss) if o[0] == "MSS" else o for o in p[TCP].options]
    del p[TCP].chksum
    return p


def host_out(d):
    run = "test_host_out"
    for default in ("ip6", "ip4", "udp4"):
        bind(d, "host", default)
        for family, inner in (("IPv6", up6()), ("IPv4", up4())):
            sends(d, run, f"{family} leaves inside {default}", inner, wrap(default, inner))
        large = up6(b"z" * 1300)
        sends(d, run, f"a packet above 1280 leaves inside {default}", large, wrap(default, large))
    bind(d, "host", "udp4")
    sends(d, run, "IPv4 that may be fragmented leaves without DF outside", up4(flags=0), wrap("udp4", up4(flags=0)))
    bind(d, "host", "ip6")
    for tc in (0xB8, 0xB9, 0x02, 0x03):
        sends(d, run, f"traffic class {tc:#x} is copied out of IPv6", up6(tc=tc), wrap("ip6", up6(tc=tc), tc=tc))
        sends(d, run, f"traffic class {tc:#x} is copied out of IPv4", up4(tos=tc), wrap("ip6", up4(tos=tc), tc=tc))
    drops(d, run, "a source that is no home address is dropped", IPv6(src="2001:db8:9::1", dst=PEER6) / UDP(), "source-not-home")
    drops(d, run, "a link-local source is dropped", IPv6(src="fe80::1", dst="ff02::2") / UDP(), "source-not-home")
    drops(d, run, "the registration address carries no user packets", IPv6(src=REG, dst=PEER6) / UDP(), "source-not-home")
    drops(d, run, "an unknown IP version is dropped", b"\x50" + bytes(up6())[1:], "malformed")
    drops(d, run, "a length above what is there is dropped", up6(plen=500), "malformed")
    drops(d, run, "an IPv4 header length below five words is dropped", b"\x44" + bytes(up4())[1:], "malformed")
    ping = IPv6(src=HOME6, dst=PEER6) / ICMPv6EchoRequest(id=77, seq=1, data=b"p" * 16)
    sends(d, run, "an echo request is a flow of its identifier", ping, wrap("ip6", ping))
    bind(d, "host", "ip6", usable=False)
    leaves_alone(d, run, "without a usable path the daemon gets the packet", up6(), "to-daemon")
    bind(d, "host", "ip6")
    leaves_alone(d, run, "what bears the mark of the slow path goes to the daemon", up6(), "to-daemon", mark=SLOW)
    sends(d, run, "a copy leaves by the path in its mark", up6(), wrap("alt", up6()), mark=COPY | 4)
    drops_copy(d, run)


def drops_copy(d, run):
    verdict, _, changed, _ = d.run(run, frame(up6()), mark=COPY | 9)
    tell("a copy for a path that is gone is dropped", verdict == SHOT and not changed, f"{verdict} {changed}")


def host_guard(d):
    run = "fm_host_guard"
    bind(d, "host", "ip6")
    for name, packet in (("from an address in a home prefix", up6()), ("from an IPv4 home address", up4()),
                         ("from the registration address", IPv6(src=REG, dst=ANCHOR6) / UDP())):
        drops(d, run, f"what is {name} leaves no access in clear", packet, "home-address-outside")
    for encap in ("ip6", "ip4", "udp4"):
        leaves_alone(d, run, f"inside {encap} a home address leaves", wrap(encap, up6()))
    leaves_alone(d, run, "signalling from a care-of address leaves", IPv6(src=COA6, dst=ANCHOR6) / IPv6ExtHdrDestOpt(
        nh=135, options=[HAO(hoa=REG)]) / Raw(bytes(16)))
    leaves_alone(d, run, "another source leaves", IPv6(src=COA6, dst=PEER6) / UDP())
    bind(d, "host", "ip6", home="2001:db8:100:2::")
    drops(d, run, "what is from a home prefix that ended leaves no access", up6(), "home-address-outside")
    bind(d, "host", "ip6")
    for name, packet in (("an address in a home prefix", down6()), ("an IPv4 home address", down4())):
        drops(d, run, f"what goes to {name} leaves no access in clear", packet, "home-address-outside")
        drops(d, "fm_host_in", f"nor does what is for {name} come in so", packet, "home-address-outside")
    leaves_alone(d, "fm_host_in", "what is for another address comes in", IPv6(src=PEER6, dst=COA6) / UDP())
    leaves_alone(d, run, "ARP about a home address leaves", MAC / Raw(bytes(14) + bytes(up4())[12:16]) / Raw(bytes(20)))


def sizes(d):
    run = "test_host_out"
    bind(d, "host", "ip6")
    fit, over = up6(b"z" * (1460 - 48)), up6(b"z" * (1461 - 48))
    sends(d, run, "the largest packet that fits leaves", fit, wrap("ip6", fit))
    too_big(d, run, "one octet more is answered by Packet Too Big", over, 1460)
    too_big(d, run, "IPv4 with DF is answered by Fragmentation Needed", up4(b"z" * 1440), 1460)
    leaves_alone(d, run, "IPv4 without DF is fragmented by the daemon", up4(b"z" * 1440, flags=0), "to-daemon")
    bind(d, "host", "small")
    too_big(d, run, "no path MTU below 1280 is told", up6(b"z" * 1300), 1280)
    leaves_alone(d, run, "1280 octets that do not fit are fragmented outside", up6(b"z" * (1280 - 48)), "to-daemon")
    bind(d, "host", "ip6")
    error = IPv6(src=HOME6, dst=PEER6) / ICMPv6PacketTooBig(mtu=1300) / Raw(b"z" * 1440)
    drops(d, run, "an ICMP error that is too big is not answered", error, "too-big")
    tcp = IPv6(src=HOME6, dst=PEER6) / TCP(sport=1000, dport=80, flags="A") / Raw(b"z" * 2800)
    verdict, out, changed, mark = d.run(run, frame(tcp), gso=1400)  # of no GSO type: bpf_skb_adjust_room() refuses
    tell("a buffer that the kernel does not wrap goes to the daemon whole", verdict == REDIRECT and not changed and
         out == frame(tcp) and mark == SLOW, f"{verdict} {changed} {mark:#x}")
    leaves_alone(d, run, "UDP segments of QUIC are cut on their way to the daemon", up6(b"z" * 2800), "to-daemon", gso=1400)
    too_big(d, run, "GSO segments that do not fit are answered", tcp, 1460, gso=1401)
    for mss, want in ((1440, 1220 - 40), (1000, 1000)):
        syn = IPv6(src=HOME6, dst=PEER6) / TCP(sport=1001, dport=80, flags="S", options=[("MSS", mss), ("SAckOK", b"")])
        sends(d, run, f"a SYN that allows {mss} leaves with {want}", syn, wrap("ip6", clamped(syn, want)))
    syn = IP(src=HOME4, dst=PEER4, flags="DF") / TCP(sport=1001, dport=80, flags="S", options=[
        ("NOP", None), ("NOP", None), ("SAckOK", b""), ("NOP", None), ("MSS", 1460), ("NOP", None)])
    sends(d, run, "the option is found behind others, at an odd offset too", syn, wrap("ip6", clamped(syn, 1240 - 40)))


def rules(d):
    """Selectors are the anchor's view: the peer's port is the source there, ours the destination."""
    run = "test_host_out"
    bind(d, "host", "ip6", ["rule 7 0x10 2 17 1000 1010", "rule 8 0x2 1 17 0 0"])
    for port, encap in ((999, "ip6"), (1000, "alt"), (1010, "alt"), (1011, "ip6")):
        p = up6(sport=port)
        sends(d, run, f"port {port} goes by {encap} when the rule says 1000 to 1010", p, wrap(encap, p))
    tcp = IPv6(src=HOME6, dst=PEER6) / TCP(sport=1000, dport=80, flags="A")
    sends(d, run, "a rule for UDP does not touch TCP", tcp, wrap("ip6", tcp))
    sends(d, run, "a rule of format 1 takes IPv4 only", up4(), wrap("ip4", up4()))
    ext = IPv6(src=HOME6, dst=PEER6) / IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0" * 4)]) / UDP(sport=1000, dport=9) / Raw(b"q")
    verdict, out, _, _ = d.run(run, frame(ext))
    tell("ports behind extension headers count", verdict == REDIRECT and out[14 + 8:14 + 24] == bytes(IPv6(src=ALT6))[8:24])
    for first, name in ((True, "a first fragment goes by its ports"), (False, "later fragments follow the first")):
        f = IPv6(src=HOME6, dst=PEER6) / IPv6ExtHdrFragment(id=55, offset=0 if first else 100, m=1 if first else 0, nh=17)
        f = f / (UDP(sport=1000, dport=2000, len=900, chksum=1) if first else Raw(b"")) / Raw(b"f" * 64)
        verdict, out, _, _ = d.run(run, frame(f))
        tell(name, verdict == REDIRECT and out[22:38] == bytes(IPv6(src=ALT6))[8:24], f"{verdict} {out[:60].hex()}")
    f = IPv6(src=HOME6, dst=PEER6) / IPv6ExtHdrFragment(id=56, offset=100, m=0, nh=17) / Raw(b"f" * 64)
    verdict, out, _, _ = d.run(run, frame(f))
    tell("a later fragment alone goes by the default path", verdict == REDIRECT and out[22:38] == bytes(IPv6(src=COA6))[8:24])
    bind(d, "host", "ip6", ["rule 7 0x12 2 17 1000 0"])
    _, _, changed, _ = d.run(run, frame(up6()))
    tell("a rule with two paths makes a copy", "copied" in changed and "encapsulated" in changed, f"{changed}")
    gone = ["rule 7 0 2 17 1000 0"]
    bind(d, "host", "ip6", gone + ["rule 8 0x10 2 17 1000 0"])
    sends(d, run, "a rule without a usable path leaves it to the next", up6(), wrap("alt", up6()))
    bind(d, "host", "ip6", gone + ["waits", "rule 8 0x10 2 17 1000 0"])
    leaves_alone(d, run, "unless it would rather wait", up6(), "to-daemon")
    other = up6(sport=1001)
    sends(d, run, "and what it does not claim goes on", other, wrap("ip6", other))
    bind(d, "host", "ip6", ["rule 7 0x10 2 17 1000 0", "waits"])
    sends(d, run, "a rule that would rather wait sends where it can", up6(), wrap("alt", up6()))
    bind(d, "host", "ip6", [f"rule {i + 1} 0x2 2 17 {5000 + i} 0" for i in range(63)] + ["rule 64 0x10 2 17 1000 0"])
    sends(d, run, "the sixty-fourth rule is found", up6(), wrap("alt", up6()))


NUMBERS = {"ip6": 40, "ip4": 20, "udp4": 32, "alt": 40, "small": 40}  # where GRE begins in the tunnel packet
BOTH = 0x11  # ip6 and alt


def number_of(encap, out):
    """Key and number of a packet that left."""
    return struct.unpack("!2L", out[14 + NUMBERS[encap] + 4:14 + NUMBERS[encap] + 12])


def sends_numbers(d, run, side, make):
    """Copies carry one number, each packet the next, over every path; what goes once has none."""
    masks = {"ip6": 0x11, "ip4": 0x12, "udp4": 0x14}
    key, number = None, None
    for encap, mask in masks.items():
        bind(d, side, encap, ["numbered", f"rule 7 {mask} 1 17 0 0", f"rule 8 {mask} 2 17 0 0"])
        for family in (6, 4):
            for _ in range(2):
                inner = make(family)
                sent = ttl(inner, 1) if side == "anchor" else inner
                name = f"{side}: IPv{family} in copies over {encap}"
                verdict, out, changed, _ = d.run(run, frame(inner))
                got = number_of(encap, out)
                tell(f"{name} has the next number", number is None or got == (key, (number + 1) & 0xFFFFFFFF), f"{got} after {number}")
                key, number = got
                want = numbered(encap, sent, key, number, side == "anchor")
                tell(f"{name} is GRE with a number", verdict == REDIRECT and key and changed == {"encapsulated", "copied"} and
                     blank_id(body(out)) == blank_id(expect_frame(want)), f"{verdict} {changed}\n  {out.hex()}\n  {expect_frame(want).hex()}")
                hop = 16 if side == "anchor" else 0
                copy = d.run(COPIES[side], frame(inner), mark=COPY | NUMBERED | hop | 4)[1]
                want = numbered("alt", sent, key, number, side == "anchor")
                tell(f"{name}: its copy has the same", body(copy) == expect_frame(want), f"\n  {copy.hex()}\n  {expect_frame(want).hex()}")
    bind(d, side, "ip6", ["numbered"])
    once = make(6) if side == "host" else down6(dport=1777)  # a flow without uplink
    sends(d, run, f"{side}: what goes once has no number", once, wrap("ip6", ttl(once, 1) if side == "anchor" else once, side == "anchor"))
    return key


COPIES = {"host": "test_host_out", "anchor": "test_anchor_out"}


def takes_numbers(d, run, make, down):
    """The first copy arrives, others do not; equal packets are not copies."""
    n = 100
    def packet(key, number, encap="ip6", family=6):
        return numbered(encap, make(family), key, number, down)
    for encap in ("ip6", "ip4", "udp4"):
        for family in (6, 4):
            n += 1
            name = f"{run}: IPv{family} numbered inside {encap}"
            arrives(d, run, f"{name} arrives", packet(7, n, encap, family), make(family))
            drops(d, run, f"{name} arrives once", packet(7, n, "alt", family), "duplicate")
    n += 1
    arrives(d, run, f"{run}: an equal packet with another number arrives", packet(7, n), make(6))
    arrives(d, run, f"{run}: a number far ahead arrives", packet(7, n + 1000), make(6))
    behind = d.run(run, frame(packet(7, n + 500)))
    tell(f"{run}: one behind it arrives, and counts as reordered", behind[0] == REDIRECT and behind[2] == {"decapsulated", "reordered"}, f"{behind[0]} {behind[2]}")
    drops(d, run, f"{run}: but once", packet(7, n + 500, "alt"), "duplicate")
    arrives(d, run, f"{run}: a number 2047 ahead of one that is missing arrives", packet(7, n + 501 + 2047), make(6))
    arrives_behind = d.run(run, frame(packet(7, n + 501)))
    tell(f"{run}: and that one still arrives", arrives_behind[0] == REDIRECT and "reordered" in arrives_behind[2], f"{arrives_behind[2]}")
    arrives(d, run, f"{run}: one more", packet(7, n + 502 + 2048), make(6))
    drops(d, run, f"{run}: what is 2048 behind is late", packet(7, n + 502), "late")
    arrives(d, run, f"{run}: a peer that began anew has another key", packet(9, 3), make(6))
    drops(d, run, f"{run}: its copies are known", packet(9, 3, "alt"), "duplicate")
    drops(d, run, f"{run}: packets of the old key are late", packet(7, n + 4000), "late")
    arrives(d, run, f"{run}: a third key", packet(11, 0xFFFFFFFE), make(6))
    for k in (0xFFFFFFFF, 0, 1):
        arrives(d, run, f"{run}: numbers go round: {k:#x}", packet(11, k), make(6))
        drops(d, run, f"{run}: once each: {k:#x}", packet(11, k, "udp4"), "duplicate")


def other_gre(d, run, make, down):
    """GRE of others, and what only looks like ours."""
    good = numbered("ip6", make(6), 7, 1, down)
    for name, at, octets in (("without a sequence number", 40, b"\x20\0"), ("of version 1", 40, b"\x30\x01"), ("of another payload", 42, b"\x65\x58"),
                             ("that names the other family", 42, b"\x08\0"), ("with key 0", 44, bytes(4))):
        leaves_alone(d, run, f"{run}: GRE {name} is not touched", good[:at] + octets + good[at + len(octets):])
    short = IPv6(good[:40])
    short.plen = 8
    leaves_alone(d, run, f"{run}: GRE cut short is not touched", bytes(short)[:40] + good[40:48])
    udp = numbered("udp4", make(6), 7, 900, down)
    for name, at, octets in (("with another length", 30, b"\0\x09"), ("around something else", 29, b"\x06")):
        leaves_alone(d, run, f"{run}: a TLV header {name} is not touched", udp[:at] + octets + udp[at + len(octets):])


def sizes_of_numbers(d):
    """GRE counts: 12 octets, 16 over UDP; who need not be told goes once."""
    run = "test_host_out"
    bind(d, "host", "ip6", ["numbered", f"rule 7 {BOTH} 1 0 0 0", f"rule 8 {BOTH} 2 0 0 0"])
    def copied(packet):
        verdict, out, changed, _ = d.run(run, frame(packet))
        return verdict == REDIRECT and "copied" in changed and number_of("ip6", out)[0] != 0
    tell("a numbered packet that just fits leaves", copied(up6(b"z" * 1400)), "")
    too_big(d, run, "one octet more, and its sender is told", up6(b"z" * 1401), 1448)
    too_big(d, run, "and that of IPv4", up4(b"z" * 1421), 1448)
    once = up4(b"z" * 1421, flags=0)
    sends(d, run, "what may be fragmented goes once, and whole", once, wrap("ip6", once))
    bind(d, "host", "udp4", ["numbered", "rule 7 0x14 2 0 0 0"])
    too_big(d, run, "over UDP the TLV header counts too", up6(b"z" * (1500 - 28 - 16 - 48 + 1)), 1456)
    syn = IPv6(src=HOME6, dst=PEER6) / TCP(sport=1000, dport=80, flags="S", options=[("MSS", 1440)])
    bind(d, "host", "ip6", ["numbered", f"rule 8 {BOTH} 2 0 0 0"])
    _, out, _, _ = d.run(run, frame(syn))
    tell("the segment size of a flow in copies is smaller", out[14 + 52:] == bytes(clamped(syn, 1220 - 16 - 40)), f"{out.hex()}")
    syn = IPv6(src=PEER6, dst=HOME6) / TCP(sport=80, dport=1000, flags="SA", options=[("MSS", 1440)])
    arrives(d, "fm_host_in", "and that of its answer", numbered("ip6", syn, 21, 1, True), clamped(syn, 1220 - 16 - 40))
    bind(d, "host", "ip6", [f"rule 8 {BOTH} 2 17 0 0"])
    sends(d, run, "a peer that knows no numbers gets none", up6(), wrap("ip6", up6()))


def numbers_of_host(d):
    sends_numbers(d, "test_host_out", "host", lambda family: up6() if family == 6 else up4())
    sizes_of_numbers(d)
    bind(d, "host", "ip6")
    down = lambda family: down6() if family == 6 else down4()
    takes_numbers(d, "fm_host_in", down, True)
    other_gre(d, "fm_host_in", down, True)


def numbers_of_anchor(d):
    sends_numbers(d, "fm_anchor_in", "anchor", lambda family: down6() if family == 6 else down4())
    bind(d, "anchor", "ip6")
    up = lambda family: up6() if family == 6 else up4()
    takes_numbers(d, "fm_anchor_in", up, False)
    other_gre(d, "fm_anchor_in", up, False)


def goes_round(d, run, name, packet, hop, **how):
    """Unchanged, out by the pair that cuts; with its mark."""
    verdict, out, changed, mark = d.run(run, frame(packet), **how)
    tell(name, verdict == REDIRECT and out == frame(packet) and not changed and mark == CUT | hop, f"{verdict} {changed} {mark:#x}")


def cuts(d, side):
    """What has large buffers of segments goes round, TCP whole; a second time it leaves."""
    run, again = {"host": ("test_host_out", "fm_host_cut"), "anchor": ("fm_anchor_in", "fm_anchor_cut")}[side]
    down, hop = side == "anchor", 0x10 if side == "anchor" else 0
    ends = {"src": PEER6, "dst": HOME6} if down else {"src": HOME6, "dst": PEER6}
    tcp = IPv6(**ends) / TCP(sport=1000, dport=80, flags="A") / Raw(b"z" * 2800)
    small = IPv6(**ends) / TCP(sport=1000, dport=80, flags="A") / Raw(b"z" * 10)
    udp = IPv6(**ends) / UDP(sport=1000, dport=80) / Raw(b"z" * 2800)
    bind(d, side, "ip6", ["numbered", f"rule 8 {BOTH} 2 6 0 0"])
    goes_round(d, run, f"{side}: a buffer of TCP segments in copies goes round", tcp, hop, gso=1380)
    goes_round(d, run, f"{side}: and a small packet of such a flow", small, hop)
    goes_round(d, run, f"{side}: and UDP segments of any flow", udp, hop, gso=1400)
    verdict, out, changed, mark = d.run(again, frame(small), mark=CUT | hop)
    want = numbered("ip6", ttl(small, 1) if down else small, *number_of("ip6", out), down)
    tell(f"{side}: what comes round leaves with its number, in copies", verdict == REDIRECT and mark == 0 and
         changed == {"encapsulated", "copied"} and body(out) == expect_frame(want), f"{verdict} {changed} {mark:#x}\n  {out.hex()}")
    verdict, out, changed, mark = d.run(again, frame(udp), mark=CUT | hop, gso=1400)
    tell(f"{side}: what comes round uncut goes to the daemon", verdict == REDIRECT and not changed and mark == SLOW, f"{verdict} {changed} {mark:#x}")
    drops_all = d.run(again, frame(small))
    tell(f"{side}: what else comes by that device is dropped", drops_all[0] == SHOT and not drops_all[2], f"{drops_all}")
    bind(d, side, "ip6", ["numbered"])
    once = IPv6(**ends) / TCP(sport=1001, dport=81, flags="A") / Raw(b"z" * 10)
    sends(d, run, f"{side}: TCP that goes once does not go round", once, wrap("ip6", ttl(once, 1) if down else once, down))
    bind(d, side, "ip6", usable=False)
    verdict, out, changed, mark = d.run(again, frame(small), mark=CUT | hop)
    tell(f"{side}: what comes round and has no path goes to the daemon", verdict == REDIRECT and not changed and mark == SLOW, f"{verdict} {changed} {mark:#x}")


def signs_of_life(d):
    """Counted by access, with what a flow's packets are inside; the daemon is woken once."""
    up, down, n = up6(b"s" * 100), down6(b"t" * 60), len(up6(b"s" * 100))
    bind(d, "host", "alt")
    d.say("watch")
    seen = lambda access: d.say(f"seen {access}")
    others = seen(0)
    start = [int(seen(4)[-1].split()[i]) for i in (2, 3, 5, 6)]
    d.run("test_host_out", frame(up))
    time.sleep(0.01)
    d.run("test_host_out", frame(up))
    want = f"seen up {start[0] + 2} {start[1] + 2 * n} down {start[2]} {start[3]} asked 1"
    tell("packets that leave are counted by access, and wait for an answer", seen(4) == [want], f"{seen(4)} {want}")
    tell("those of another access are not", seen(0) == others, f"{others} {seen(0)}")
    time.sleep(0.01)
    d.run("fm_host_in", frame(wrap("alt", down, down=True)))
    want = f"seen up {start[0] + 2} {start[1] + 2 * n} down {start[2] + 1} {start[3] + len(down)} asked 0"
    tell("one that comes is the answer", seen(4) == [want], f"{seen(4)} {want}")
    d.say("arm 4")
    d.run("test_host_out", frame(up))
    d.run("test_host_out", frame(up))
    tell("an armed access wakes the daemon once", seen(4)[0] == "woken 4" and len(seen(4)) == 1)
    d.say("arm 4")
    d.run("fm_host_in", frame(wrap("alt", down, down=True)))
    tell("by what comes too", seen(4)[0] == "woken 4")
    before = seen(4)
    probe = IPv6(src=ANCHOR6, dst=REG) / ICMPv6EchoReply(id=0x8653, seq=1, data=b"nonce678")
    d.run("fm_host_in", frame(wrap("alt", probe, down=True)))
    tell("the answer to a probe is no user's packet", seen(4) == before, f"{seen(4)} {before}")


def path_taken(d, packet):
    """By its source outside, the path that a packet took: a name of PATHS; None: it did not leave."""
    words = d.say(f"run test_host_out {frame(packet).hex()} 0 0")[-1].split()
    out = bytes.fromhex(words[3])
    source = socket.inet_ntop(socket.AF_INET6, out[22:38]) if out[12:14] == b"\x86\xdd" else socket.inet_ntop(socket.AF_INET, out[26:30])
    return {COA6: "ip6", COA4: "ip4", NAT4: "udp4", ALT6: "alt"}.get(source) if int(words[1]) == REDIRECT else None


def draw_rule(r):
    """Path, format and ranges of a rule, by field: few values, so that many rules fit."""
    fields = {}
    if r.random() < .5:
        fields["src"] = sorted(r.sample(range(1, 7), 2))
    if r.random() < .2:
        fields["dst"] = sorted(r.sample(range(5, 9), 2))
    for name, values in (("sport", range(2000, 2008)), ("dport", range(1000, 1008)), ("tc", range(0, 256, 4)),
                         ("label", range(0, 8)), ("spi", range(70, 78)), ("proto", (0, 6, 17, 50, 255))):
        if r.random() < .25:
            fields[name] = sorted(r.choices(values, k=2))
    family = r.choice((1, 2, 2))
    if family == 1:
        fields.pop("label", None)
    return r.choice(("ip6", "ip4", "alt")), family, fields


def rule_lines(rule):
    path, family, fields = rule
    out = [f"rule 7 {1 << PATHS[path] - 1} {family} 0 0 0"]
    net = {("src", 1): "203.0.113.{}", ("src", 2): "2001:db8:ffff::{}", ("dst", 1): "203.0.113.{}", ("dst", 2): "2001:db8:100:1::{}"}
    for name, (low, high) in fields.items():
        text = net.get((name, family), "{}")
        # a range of one value may come without its end
        out.append(f"field {name} {text.format(low)}" + (f" {text.format(high)}" if low != high else ""))
    return out


def draw_packet(r):
    """An uplink packet, and its fields as a rule names them (the anchor's view)."""
    f = {"src": r.randint(1, 6), "dst": r.randint(5, 8), "tc": r.randrange(0, 256, 4), "proto": r.choice((6, 17, 50))}
    six = r.random() < .6
    if six:
        f["label"] = r.randint(0, 7)
        head = IPv6(src=f"2001:db8:100:1::{f['dst']}", dst=f"2001:db8:ffff::{f['src']}", tc=f["tc"] | r.randint(0, 1), fl=f["label"])
    else:
        f["label"] = 0
        f["dst"] = 17
        head = IP(src=HOME4, dst=f"203.0.113.{f['src']}", tos=f["tc"], flags="DF")
    if f["proto"] == 50:
        f["spi"] = r.randint(70, 77)
        return six, f, head / ESP(spi=f["spi"], seq=1, data=b"e" * 20)
    f["sport"], f["dport"] = r.randint(2000, 2007), r.randint(1000, 1007)
    port = {"sport": f["dport"], "dport": f["sport"]}
    return six, f, head / (TCP(flags="A", **port) if f["proto"] == 6 else UDP(**port)) / Raw(b"r" * 20)


def linear(drawn, six, f):
    """The first rule that fits, by RFC 6088 and RFC 6089 §4.3."""
    for path, family, fields in drawn:
        if (family == 2) == six and all(name in f and low <= f[name] <= high for name, (low, high) in fields.items()):
            return path
    return "udp4"


def rules_at_random(d):
    """Columns of few rules and masks of many, against going through them one by one."""
    r = random.Random(6088)
    for n in (1, 2, 7, 8, 9, 10, 33, 63, 64):
        wrong, taken = [], set()
        for _ in range(3):
            drawn = [draw_rule(r) for _ in range(n)]
            bind(d, "host", "udp4", [line for rule in drawn for line in rule_lines(rule)])
            flows = set()  # the first packet of each: the others go its way
            for _ in range(60):
                six, f, p = draw_packet(r)
                flow = (six, *(f.get(name) for name in ("src", "dst", "proto", "sport", "dport")))
                if flow in flows:
                    continue
                flows.add(flow)
                got, want = path_taken(d, p), linear(drawn, six, f)
                taken.add(want)
                if got != want:
                    wrong.append((f, got, want, drawn))
        tell(f"{n} rules at random choose as one by one", not wrong and len(taken) > 1, f"{len(wrong)} {wrong[:1]}")


def first_fragment(first, ident):
    """A first fragment of UDP, or one behind it."""
    f = IPv6(src=HOME6, dst=PEER6) / IPv6ExtHdrFragment(id=ident, offset=0 if first else 100, m=1 if first else 0, nh=17)
    return f / (UDP(sport=1000, dport=2000, len=900, chksum=1) if first else Raw(b"")) / Raw(b"f" * 64)


def rules_that_block(d):
    run = "test_host_out"
    gone = ["rule 7 0 2 17 1000 0", "blocks"]
    bind(d, "host", "ip6", gone + ["rule 8 0x10 2 17 1000 0"])
    for name in ("a rule without a usable path that blocks ends there", "and the flow stays blocked"):
        drops(d, run, name, up6(), "rule-block")
    drops(d, run, "a first fragment is blocked by its ports", first_fragment(True, 70), "rule-block")
    drops(d, run, "later fragments are blocked with the first", first_fragment(False, 70), "rule-block")
    drops(d, run, "a later fragment that came first is blocked too", first_fragment(False, 71), "rule-block")
    other = up6(sport=1001)
    sends(d, run, "what it does not claim leaves", other, wrap("ip6", other))
    flow = [a for a in d.say("flows") if f"{HOME6} 1000 {PEER6} 2000 17" in a]
    tell("a blocked flow has its rule and no path", flow and "bid 0" in flow[0] and "fid 7" in flow[0], f"{flow}")
    bind(d, "host", "ip6", ["rule 7 0x10 2 17 1000 0", "blocks"])
    sends(d, run, "with a path again the rule lets it go", up6(), wrap("alt", up6()))
    bind(d, "host", "ip6", ["rule 7 0 2 17 1000 0", "waits", "rule 8 0 2 17 0 0", "blocks"])
    leaves_alone(d, run, "a first fragment waits", first_fragment(True, 72), "to-daemon")
    leaves_alone(d, run, "and so do those behind it", first_fragment(False, 72), "to-daemon")
    bind(d, "host", "ip6", gone)
    d.say(f"pin {HOME6} 1000 {PEER6} 2000 17 5")
    sends(d, run, "a flow that was moved by hand is not blocked", up6(), wrap("alt", up6()))
    d.say(f"pin {HOME6} 1000 {PEER6} 2000 17 0")
    drops(d, run, "let go, it is", up6(), "rule-block")
    bind(d, "host", "ip6", gone, usable=False)
    drops(d, run, "with no access at all it is blocked, and does not wait", up6(), "rule-block")


def rules_that_stick(d):
    run = "test_host_out"
    both = 0x12  # ip4 and alt
    bind(d, "host", "ip6", ["rule 7 0x12 2 17 0 0", "sticky", "weights 0 1 0 0 0"])
    p = up6(sport=6000)
    sends(d, run, "a new flow takes the path with weight", p, wrap("ip4", p))
    bind(d, "host", "ip6", ["rule 7 0x12 2 17 0 0", "sticky", "weights 0 0 0 0 1"])
    sends(d, run, "a flow stays when the weights change", p, wrap("ip4", p))
    new = up6(sport=6001)
    sends(d, run, "a new flow goes by the new weights", new, wrap("alt", new))
    bind(d, "host", "ip6", ["rule 7 0x10 2 17 0 0", "sticky"])
    sends(d, run, "a flow leaves a path that is no more of its rule", p, wrap("alt", p))
    bind(d, "host", "ip6", [f"rule 7 {both} 2 17 0 0", "sticky", "weights 0 1 0 0 0"])
    sends(d, run, "and stays where it went", p, wrap("alt", p))
    bind(d, "host", "ip6", [f"rule 7 {both} 2 17 0 0", "weights 0 1 0 0 0"])
    sends(d, run, "without sticky it goes by the weights", p, wrap("ip4", p))
    bind(d, "host", "ip6", [f"rule 7 {both} 2 17 0 0", "sticky"])
    q = up6(sport=6002)
    sends(d, run, "sticky without weights takes one path, the first", q, wrap("ip4", q))
    d.say(f"pin {HOME6} 6002 {PEER6} 2000 17 5")
    sends(d, run, "a pin moves it", q, wrap("alt", q))
    d.say(f"pin {HOME6} 6002 {PEER6} 2000 17 0")
    sends(d, run, "and let go it chooses anew", q, wrap("ip4", q))


def rules_that_share(d):
    rule = ["rule 7 0x13 2 17 0 0", "weights 1 2 0 0 5"]  # ip6, ip4, alt
    n, ports = 480, range(10000, 10480)
    bind(d, "host", "udp4", rule)
    before = {i: path_taken(d, up6(sport=i)) for i in ports}
    share = {e: sum(b == e for b in before.values()) for e in PATHS}
    want = {"ip6": n / 8, "ip4": n / 4, "alt": n * 5 / 8}
    tell("flows are shared out by the weights", all(abs(share[e] - w) < 5 * (w * (1 - w / n)) ** 0.5 for e, w in want.items()) and
         sum(share[e] for e in want) == n, f"{share}")
    bind(d, "host", "udp4", rule)
    tell("equal weights give equal paths", all(path_taken(d, up6(sport=i)) == before[i] for i in ports))
    bind(d, "host", "udp4", ["rule 7 0x3 2 17 0 0", "weights 1 2 0 0 5"])
    after = {i: path_taken(d, up6(sport=i)) for i in ports}
    tell("when a path ends, the flows of the others stay", all(after[i] == b for i, b in before.items() if b != "alt"))
    moved = [after[i] for i, b in before.items() if b == "alt"]
    tell("its flows are shared among those left", set(moved) == {"ip6", "ip4"} and abs(moved.count("ip6") - len(moved) / 3) < 5 * (len(moved) * 2 / 9) ** 0.5,
         f"{moved.count('ip6')} of {len(moved)}")
    bind(d, "host", "udp4", ["rule 7 0x3 2 17 0 0", "weights 0 0 0 0 5"])
    tell("where nothing that works has weight, the first path is taken", path_taken(d, up6(sport=9999)) == "ip6")


def rules_with_classes(d):
    run = "test_host_out"
    video = "rule 7 0x10 2 17 0 0"
    bind(d, "host", "ip6", [video, "need 0x100000000"])
    p = up6(sport=7000)
    sends(d, run, "a destination without that name is not claimed", p, wrap("ip6", p))
    d.say(f"domain {PEER6} 0x2")
    p = up6(sport=7001)
    sends(d, run, "nor is one of another name", p, wrap("ip6", p))
    d.say(f"domain {PEER6} 0x3")
    sends(d, run, "a flow that has chosen does not look again", p, wrap("ip6", p))
    p = up6(sport=7002)
    sends(d, run, "a destination of that name is claimed", p, wrap("alt", p))
    bind(d, "host", "ip6", [video, "need 0x500000000"])
    sends(d, run, "all classes are needed", p, wrap("ip6", p))
    bind(d, "host", "ip6", [video, "need 0x300000000"])
    sends(d, run, "and two may be", p, wrap("alt", p))
    d.say(f"domain {PEER6} 0")
    bind(d, "host", "ip6", [video, "need 0x100000000"])
    sends(d, run, "a name that ended claims nothing", p, wrap("ip6", p))
    bind(d, "host", "ip6", ["rule 7 0x2 1 17 0 0", "need 0x100000000"])
    sends(d, run, "IPv4 too", up4(), wrap("ip6", up4()))
    d.say(f"domain {PEER4} 1")
    bind(d, "host", "ip6", ["rule 7 0x2 1 17 0 0", "need 0x100000000", "rule 8 0x10 1 17 0 0"])
    sends(d, run, "is known by name", up4(), wrap("ip4", up4()))
    bind(d, "host", "ip6", [video, "need 0x1"])
    sends(d, run, "what no program sent has no class of a program", p, wrap("ip6", p))


def rules_that_mark(d):
    run = "test_host_out"
    for n, few in ((0, True), (12, False)):
        more = [f"rule {20 + i} 0x1 2 6 {7000 + i} 0" for i in range(n)]
        which = "few" if few else "many"
        bind(d, "host", "ip6", more + ["rule 7 0x10 2 17 1000 0", "dscp 46", "rule 8 0x2 1 17 0 0", "dscp 0"])
        sends(d, run, f"{which} rules: the outer header bears the rule's code point", up6(), wrap("alt", up6(), tc=0xB8))
        sends(d, run, f"{which} rules: the packet inside keeps its own, ECN is copied", up6(tc=0x29),
              wrap("alt", up6(tc=0x29), tc=0xB9))
        sends(d, run, f"{which} rules: code point 0 is one too", up4(tos=0xB8), wrap("ip4", up4(tos=0xB8)))
        sends(d, run, f"{which} rules: no rule, no mark", up6(sport=3), wrap("ip6", up6(sport=3)))
    d.say(f"pin {HOME6} 1000 {PEER6} 2000 17 2")
    sends(d, run, "a flow that is moved keeps its mark", up6(), wrap("ip4", up6(), tc=0xB8))
    d.say(f"pin {HOME6} 1000 {PEER6} 2000 17 0")
    bind(d, "host", "ip6", ["rule 7 0x12 2 17 1000 0", "dscp 46"])
    sends(d, run, "the first of several copies is marked", up6(), wrap("ip4", up6(), tc=0xB8))
    sends(d, run, "and so are the others", up6(), wrap("alt", up6(), tc=0xB8), mark=COPY | PATHS["alt"] - 1)
    bind(d, "host", "ip6", ["rule 7 0x10 2 17 1000 0", "dscp 46"])
    first = IPv6(src=HOME6, dst=PEER6) / IPv6ExtHdrFragment(nh=17, m=1, id=91) / UDP(sport=1000, dport=2000) / Raw(b"z" * 40)
    later = IPv6(src=HOME6, dst=PEER6) / IPv6ExtHdrFragment(nh=17, offset=6, id=91) / Raw(b"z" * 40)
    for name, p in (("first", first), ("later", later)):
        verdict, out, _, _ = d.run(run, frame(p))
        tell(f"the {name} fragment is marked", verdict == REDIRECT and IPv6(out[14:]).tc == 0xB8, f"{verdict} {out.hex()}")
    bind(d, "host", "ip6")


def moves(d):
    run = "test_host_out"
    bind(d, "host", "ip6")
    other = up6(sport=1001)
    d.say(f"pin {HOME6} 1000 {PEER6} 2000 17 5")
    sends(d, run, "a moved flow goes by its new path at once", up6(), wrap("alt", up6()))
    sends(d, run, "another flow does not move", other, wrap("ip6", other))
    flow = [a for a in d.say("flows") if f"{HOME6} 1000 {PEER6} 2000 17" in a]
    tell("the list of flows shows the move", flow and "bid 5" in flow[0] and "pinned 1" in flow[0], f"{flow}")
    d.say(f"pin {HOME6} 1000 {PEER6} 2000 17 0")
    sends(d, run, "and goes back when it is let go", up6(), wrap("ip6", up6()))
    d.say(f"pin {HOME6} 1000 {PEER6} 2000 17 99")
    sends(d, run, "a pin to a path that is not there changes nothing", up6(), wrap("ip6", up6()))
    d.say(f"pin {HOME6} 1000 {PEER6} 2000 17 0")


def ecn_table(d, program, make, down):
    table = {0: (0, 0, 0, None), 2: (2, 1, 2, 3), 1: (1, 1, 1, 3), 3: (3, 3, 3, 3)}  # columns 0, 1, 2, 3 outside
    for inner, row in table.items():
        for outer, want in enumerate(row):
            for family in (6, 4):
                kw = {"tc": inner | 0x28} if family == 6 else {"tos": inner | 0x28}
                p = make(family, **kw)
                name = f"{program}: ECN {inner} inside, {outer} outside, IPv{family}"
                tunnel = wrap("ip6", p, down=down, tc=outer)
                if want is None:
                    drops(d, program, name + ": dropped", tunnel, "ecn")
                    continue
                out = make(family, **{k: want | 0x28 for k in kw})
                arrives(d, program, name + f" gives {want}", tunnel, out)


def host_in(d):
    run = "fm_host_in"
    bind(d, "host", "ip6")
    for encap in ("ip6", "ip4", "udp4", "alt"):
        for family, inner in (("IPv6", down6()), ("IPv4", down4())):
            arrives(d, run, f"{family} arrives inside {encap}", wrap(encap, inner, down=True), inner)
    ecn_table(d, run, lambda family, **kw: down6(**kw) if family == 6 else down4(**kw), True)
    limit = IPv6(src=ANCHOR6, dst=COA6, nh=60) / Raw(b"\x29\0\x04\x01\x04\x01\x01\0" + bytes(down6()))  # RFC 2473 §5.1
    arrives(d, run, "a tunnel encapsulation limit is looked through", limit, down6())
    probe = IPv6(src=ANCHOR6, dst=REG) / ICMPv6EchoReply(id=1, data=b"12345678")
    arrives(d, run, "a probe's answer reaches the registration address", wrap("ip6", probe, down=True), probe)
    drops(d, run, "a tunnel packet from a stranger is dropped", wrap("ip6", down6(), near="2001:db8:bad::1", far=COA6), "outer-source")
    drops(d, run, "a tunnel packet to an address that is no care-of address is dropped", wrap("ip6", down6(), near=ANCHOR6, far="2001:db8:f009::9"), "outer-source")
    drops(d, run, "a destination inside that is not ours is dropped", wrap("ip6", IPv6(src=PEER6, dst="2001:db8:9::9") / UDP(), down=True), "inner-destination")
    bad = bytearray(wrap("udp4", down6(), down=True))
    bad[22:24] = struct.pack("!H", 40001)
    drops(d, run, "UDP to another port than ours is dropped", bytes(bad), "nat-port")
    short = bytes(IPv6(src=ANCHOR6, dst=COA6, nh=41, plen=20)) + bytes(down6())[:20]
    drops(d, run, "a packet inside that is cut short is dropped", short, "malformed")
    lie = bytes(IPv6(src=ANCHOR6, dst=COA6, nh=4, plen=len(down6()))) + bytes(down6())
    drops(d, run, "protocol 4 around IPv6 is dropped", lie, "malformed")
    signalling(d, run, ANCHOR6, COA6)
    mh = IPv6(src=ANCHOR6, dst=REG, nh=135) / Raw(b"\x3b\x01\x06\0" + bytes(12))
    leaves_alone(d, run, "signalling in UDP goes up to the socket", wrap("udp4", mh, down=True))
    leaves_alone(d, run, "a keepalive without a packet inside goes up to the socket", IP(src=ANCHOR4, dst=NAT4) / UDP(sport=4191, dport=40000) / Raw(b"\xff"))
    leaves_alone(d, run, "plain packets are not touched", IPv6(src=PEER6, dst=COA6) / UDP() / Raw(b"plain"))
    leaves_alone(d, run, "ARP is not touched", Ether(src=MAC.src, dst=MAC.dst, type=0x0806) / Raw(bytes(28)))
    leaves_alone(d, run, "a tunnel that is not ours is not touched", wrap("ip6", IPv6(src=PEER6, dst="2001:db8:9::9") / UDP(), near="2001:db8:bad::1", far=COA6))
    f = IPv6(src=ANCHOR6, dst=COA6) / IPv6ExtHdrFragment(id=9, offset=0, m=1, nh=41) / Raw(bytes(down6()))
    leaves_alone(d, run, "fragments of tunnel packets are left to the kernel", f, "outer-fragment")
    syn = IPv6(src=PEER6, dst=HOME6) / TCP(sport=80, dport=1000, flags="SA", options=[("MSS", 1440)])
    arrives(d, run, "a SYN from the peer is clamped as well", wrap("ip6", syn, down=True), clamped(syn, 1220 - 40))
    d.run("test_host_out", frame(up6()))
    d.run(run, frame(wrap("ip6", down6(), down=True)))
    flow = [a for a in d.say("flows") if f"{HOME6} 1000 {PEER6} 2000 17" in a]
    tell("a known flow counts what comes in", flow and " in 0" not in flow[0], f"{flow}")


def signalling(d, run, src, dst):
    mh = b"\x3b\x01\x06\0" + bytes(12)
    drops(d, run, "a Mobility Header is the daemon's", IPv6(src=src, dst=dst, nh=135) / Raw(mh), "signalling")
    hao = IPv6(src=src, dst=dst) / IPv6ExtHdrDestOpt(nh=135, options=[PadN(optdata=b"\0\0"), HAO(hoa=REG)]) / Raw(mh)
    drops(d, run, "a home address option is the daemon's", hao, "signalling")
    rh2 = IPv6(src=src, dst=dst) / IPv6ExtHdrRouting(nh=135, type=2, segleft=1, addresses=[REG]) / Raw(mh)
    drops(d, run, "a type 2 routing header is the daemon's", rh2, "signalling")


def ttl(packet, by):
    p = packet.copy()
    if p.version == 6:
        p.hlim -= by
    else:
        p.ttl -= by
        del p.chksum
    return type(p)(bytes(p))


def anchor_down(d, run, xdp=False):
    for default in ("ip6", "ip4", "udp4"):
        bind(d, "anchor", default)
        for family, inner in (("IPv6", down6(dport=1500)), ("IPv4", down4(dport=1500))):  # a flow without uplink
            name = f"{run}: {family} goes to the host inside {default}, one hop less"
            want = wrap(default, ttl(inner, 1), down=True)
            if not xdp:
                sends(d, run, name, inner, want)
                continue
            verdict, out, changed, _ = d.run(run, frame(inner))
            tell(name, verdict == XDP_REDIRECT and blank_id(body(out)) == blank_id(expect_frame(want)) and
                 out[:6] == bytes.fromhex("020000000009"), f"{verdict} {changed}\n  {out.hex()}\n  {expect_frame(want).hex()}")


def anchor_in(d):
    run = "fm_anchor_in"
    anchor_down(d, run)
    bind(d, "anchor", "ip6")
    for encap in ("ip6", "ip4", "udp4", "alt"):
        for family, inner in (("IPv6", up6()), ("IPv4", up4())):
            arrives(d, run, f"{family} from the host arrives inside {encap}", wrap(encap, inner), inner)
    ecn_table(d, run, lambda family, **kw: up6(**kw) if family == 6 else up4(**kw), False)
    d.run(run, frame(wrap("alt", up6())))
    sends(d, run, "a flow's downlink follows its last uplink packet", down6(), wrap("alt", ttl(down6(), 1), down=True))
    d.run(run, frame(wrap("udp4", up6())))
    sends(d, run, "and follows again", down6(), wrap("udp4", ttl(down6(), 1), down=True))
    other = down6(dport=1234)
    sends(d, run, "a flow without an uplink packet goes by the default path", other, wrap("ip6", ttl(other, 1), down=True))
    bind(d, "anchor", "ip6", ["rule 7 0x10 2 17 1000 0"])
    sends(d, run, "a flow binding beats the last uplink packet", down6(), wrap("alt", ttl(down6(), 1), down=True))
    bind(d, "anchor", "ip6")
    padded = frame(down6(b"")) + bytes(20)
    verdict, out, _, _ = d.run(run, padded)
    tell("what Ethernet padded is cut", verdict == REDIRECT and
         len(out) == 14 + 28 + len(down6(b"")), f"{verdict} {len(out)}")
    leaves_alone(d, run, "the last hop is the stack's to answer", down6(hlim=1))
    leaves_alone(d, run, "transit traffic is not touched", IPv6(src=PEER6, dst="2001:db8:77::1") / UDP())
    leaves_alone(d, run, "other packets to the anchor are not touched", IPv6(src=PEER6, dst=ANCHOR6) / UDP() / Raw(b"plain"))
    leaves_alone(d, run, "nobody reaches a registration address from outside", IPv6(src=PEER6, dst=REG) / UDP())
    too_big(d, run, "a packet too big for the path is answered", down6(b"z" * 1472), 1472)
    drops(d, run, "a source inside that belongs to nobody is dropped", wrap("ip6", IPv6(src="2001:db8:100:99::1", dst=PEER6) / UDP()), "inner-source")
    drops(d, run, "another host's care-of address is no excuse", wrap("ip6", up6(), near="2001:db8:f003::5", far=ANCHOR6), "care-of-address")
    drops(d, run, "protocol 41 from an address that is registered for UDP is dropped", wrap("ip4", up6(), near=NAT4, far=ANCHOR4), "care-of-address")
    nat = bytearray(wrap("udp4", up6()))
    nat[20:22] = struct.pack("!H", 40009)
    drops(d, run, "a changed NAT port waits for a binding update", bytes(nat), "nat-port")
    drops(d, run, "user packets from the registration address are dropped", wrap("ip6", IPv6(src=REG, dst=PEER6) / UDP()), "inner-source")
    drops(d, run, "a packet inside that is cut short is dropped at the anchor", bytes(IPv6(src=COA6, dst=ANCHOR6, nh=41, plen=20)) + bytes(up6())[:20], "malformed")
    signalling(d, run, COA6, ANCHOR6)
    bu = IPv6(src=REG, dst=ANCHOR6, nh=135) / Raw(b"\x3b\x01\x05\0" + bytes(12))
    leaves_alone(d, run, "a binding update in UDP goes up to the socket", wrap("udp4", bu))
    f = IPv6(src=COA6, dst=ANCHOR6) / IPv6ExtHdrFragment(id=9, offset=0, m=1, nh=41) / Raw(bytes(up6()))
    leaves_alone(d, run, "fragments to the anchor are left to the kernel", f, "outer-fragment")
    probes(d, run)
    bind(d, "anchor", "ip6", usable=False)
    leaves_alone(d, run, "without a path the packet is routed to fm0", down6())


def probes(d, run):
    for encap in ("ip6", "ip4", "udp4", "alt"):
        ask = IPv6(src=REG, dst=ANCHOR6) / ICMPv6EchoRequest(id=1, seq=3, data=b"nonce678" + bytes(100))
        reply = IPv6(src=ANCHOR6, dst=REG) / ICMPv6EchoReply(id=1, seq=3, data=b"nonce678" + bytes(100))
        want = wrap(encap, reply, down=True)
        if encap in ("ip6", "alt"):  # the label stays as it came
            want = want[:1] + wrap(encap, ask)[1:4] + want[4:]
        before = d.say("flows")
        verdict, out, changed, _ = d.run(run, frame(wrap(encap, ask)))
        tell(f"a probe inside {encap} is answered over the path it came by", verdict == REDIRECT and
             blank_id(out) == blank_id(frame(want)) and changed == {"probe-answered"}, f"{verdict} {changed}\n  {out.hex()}\n  {frame(want).hex()}")
        tell(f"a probe inside {encap} is no flow", len(d.say("flows")) == len(before))


def anchor_out(d):
    run = "test_anchor_out"
    bind(d, "anchor", "ip6")
    other = down6(dport=1235)
    sends(d, run, "what the stack forwarded leaves without another hop taken", other, wrap("ip6", other, down=True))
    drops(d, run, "an address of the pool that nobody holds is dropped", IPv6(src=PEER6, dst="2001:db8:100:99::1") / UDP(), "inner-destination")
    sends(d, run, "a copy takes its hop where its mark says so", other, wrap("alt", ttl(other, 1), down=True), mark=COPY | 16 | 4)


def anchor_xdp(d):
    run = "fm_anchor_xdp"
    anchor_down(d, run, xdp=True)
    bind(d, "anchor", "ip6")
    for encap in ("ip6", "ip4", "udp4"):
        for family, inner in (("IPv6", up6()), ("IPv4", up4())):
            verdict, out, changed, _ = d.run(run, frame(wrap(encap, inner)))
            tell(f"XDP unpacks {family} inside {encap}", verdict == XDP_PASS and out == frame(inner) and changed == {"decapsulated"}, f"{verdict} {changed}")
    syn = IPv6(src=PEER6, dst=HOME6) / TCP(sport=80, dport=1000, flags="S", options=[("MSS", 1440)])
    for name, p in (("a SYN", syn), ("what is too big", down6(b"z" * 1472)), ("the last hop", down6(hlim=1)),
                    ("transit", IPv6(src=PEER6, dst="2001:db8:77::1") / UDP()),
                    ("a spoofed source", wrap("ip6", IPv6(src="2001:db8:100:99::1", dst=PEER6) / UDP())),
                    ("a mark of congestion", wrap("ip6", up6(tc=2), tc=3)),
                    ("signalling", IPv6(src=COA6, dst=ANCHOR6, nh=135) / Raw(bytes(16)))):
        verdict, out, changed, _ = d.run(run, frame(p))
        tell(f"XDP leaves {name} to tc untouched", verdict == XDP_PASS and out == frame(p) and not changed, f"{verdict} {changed}")


def passed_of(d, run, packet, n, wait_s=0.0):
    """How many of @n equal packets pass, and how long that took."""
    through, begin = 0, time.monotonic()
    for _ in range(n):
        _, _, changed, _ = d.run(run, frame(packet))
        through += "over-rate" not in changed
        time.sleep(wait_s)
    return through, time.monotonic() - begin


def rates(d):
    for run, down in (("fm_anchor_in", True), ("fm_anchor_in", False), ("fm_anchor_xdp", True), ("fm_anchor_xdp", False)):
        what = f"{run} {'to' if down else 'from'} the host"
        inner = down6(b"y" * 1152) if down else up6(b"y" * 1152)  # 1200 octets
        packet = inner if down else wrap("ip6", inner)
        # 96 kbit/s: 1200 octets are 100 ms, so that two or three are the burst
        bind(d, "anchor", "ip6", [f"quality 0 {96000 if down else 0} {0 if down else 96000} -1"])
        through, took = passed_of(d, run, packet, 30)
        tell(f"{what}: a burst passes, what is above is dropped", 2 <= through <= 3 + took / 0.1, f"{through} in {took}")
        over = d.say(f"gate 1 0 {0 if down else 1}")[-1].split()
        tell(f"{what}: its gate says what", [int(over[2]), int(over[3])] == [30 - through, 1200 * (30 - through)], f"{over}")
        # at twice the rate
        through, took = passed_of(d, run, packet, 30, 0.05)
        # on a slow machine fewer are offered than the rate lets through
        tell(f"{what}: then as much as the rate says", abs(through - min(30, took / 0.1)) <= 3, f"{through} in {took}")
        # another block of the same binding; the clock goes on while it is made
        passed_of(d, run, packet, 10)  # a slow machine has left something
        begin = time.monotonic()
        bind(d, "anchor", "alt" if down else "ip6", [f"quality 0 {96000 if down else 0} {0 if down else 96000} -1"])
        through, _ = passed_of(d, run, packet, 5)
        took = time.monotonic() - begin
        tell(f"{what}: another block has the same clock", through <= 1 + took / 0.1, f"{through} in {took}")
        other = wrap("ip6", up6(b"y" * 1152)) if down else down6(b"y" * 1152)
        through, _ = passed_of(d, run, other, 20)
        tell(f"{what}: the other direction has no limit", through == 20, f"{through}")
        bind(d, "anchor", "ip6")
        tell(f"{what}: without a limit there is no gate", d.say("gate 1 0 0")[-1] == "no gate")
        through, _ = passed_of(d, run, packet, 20)
        tell(f"{what}: and all pass", through == 20, f"{through}")


def marks_of_subscribers(d):
    """Flows that no test had before: the class of a known one is asked once a second."""
    run = "fm_anchor_in"
    bind(d, "anchor", "ip6", ["rule 0 0 2 17 0 0", "field sport 2000", "class 3", "quality 3 0 0 46", "quality 0 0 0 10"])
    marked = [("a class' code point", down6(dport=1700), 0xB8), ("else that of the subscriber", down6(sport=5, dport=1700), 0x28),
              ("ECN is copied", down6(dport=1700, tc=0x03), 0xBB)]
    for name, p, tc in marked:
        sends(d, run, f"towards the host: {name}", p, wrap("ip6", ttl(p, 1), down=True, tc=tc))
    verdict, out, _, _ = d.run("fm_anchor_xdp", frame(down6(dport=1700)))
    tell("XDP marks too", verdict == XDP_REDIRECT and body(out) == expect_frame(wrap("ip6", ttl(down6(dport=1700), 1), down=True, tc=0xB8)))
    verdict, out, _, _ = d.run("test_anchor_out", frame(down6(dport=1700)), mark=COPY | PATHS["alt"] - 1)
    tell("a copy is marked", verdict == REDIRECT and body(out) == expect_frame(wrap("alt", down6(dport=1700), down=True, tc=0xB8)))
    bind(d, "anchor", "ip6", ["rule 0 0 2 17 0 0", "field sport 2000", "class 3", "quality 3 96000 96000 -1"])
    for name, packet, other in (("to", down6(b"y" * 1152, dport=1701), down6(b"y" * 1152, sport=5, dport=1701)),
                                ("from", wrap("ip6", up6(b"y" * 1152, sport=1702)), wrap("ip6", up6(b"y" * 1152, sport=1702, dport=5)))):
        through, took = passed_of(d, run, packet, 20)
        tell(f"{name} the host: a class has its own rate", 2 <= through <= 3 + took / 0.1, f"{through} in {took}")
        tell(f"{name} the host: other flows have none", passed_of(d, run, other, 20)[0] == 20)
    bind(d, "anchor", "ip6")


def xdp_reach(d):
    """What a driver may not be able to send is left to tc: it would be lost without a word."""
    bind(d, "anchor", "ip6")
    p = frame(down6(dport=1500))

    def reach(text, run, how, device="acc"):
        d.say(f"neighbour {device} {COA6} 020000000009 020000000008 {how}")
        verdict, out, changed, _ = d.run(run, p)
        tell(text, verdict == XDP_REDIRECT if how == "any" and run == "fm_anchor_xdp" else
             verdict == XDP_PASS and out == p and not changed, f"{verdict} {changed}")

    reach("XDP sends to a device that takes frames of others", "fm_anchor_xdp", "any")
    reach("XDP leaves a packet for a device that takes none to tc", "fm_anchor_xdp", "back")
    reach("XDP whose own driver hands nothing on leaves it to tc", "fm_anchor_xdp_back", "any")
    bind(d, "anchor", "ip6", device="lo")  # the device that these packets came by
    for how in ("back", "any"):
        d.say(f"neighbour lo {COA6} 020000000009 020000000008 {how}")
        for run in ("fm_anchor_xdp", "fm_anchor_xdp_back"):
            verdict, out, changed, _ = d.run(run, p)
            tell(f"{run} sends back by the device of the packet ({how})", verdict == XDP_TX and changed == {"encapsulated"}, f"{verdict} {changed}")


def restart(program, namespace, line, d):
    bind(d, "host", "ip6")
    d.run("test_host_out", frame(up6(sport=3333)))
    again = Drive(program, namespace, [line, "sync begin"])
    bind(again, "host", "ip6")
    tell("a restart with the same state touches nothing", again.say("sync end") == ["sync kept 1 repaired 0 added 0 removed 0"])
    tell("a restart keeps flows", any(" 3333 " in a for a in again.say("flows")))
    again = Drive(program, namespace, [line, "sync begin"])
    bind(again, "host", "alt")
    tell("a restart repairs what differs", again.say("sync end") == ["sync kept 0 repaired 1 added 0 removed 0"])
    sends(again, "test_host_out", "and packets go by what was repaired", up6(sport=3333), wrap("alt", up6(sport=3333)))
    again = Drive(program, namespace, [line, "sync begin"])
    tell("a restart removes what is no more", again.say("sync end") == ["sync kept 0 repaired 0 added 0 removed 1"])
    drops(again, "test_host_out", "whose packets are not sent", up6(sport=3333), "source-not-home")
    for n in range(200):
        bind(again, "host", "ip6" if n % 2 else "alt")
    sends(again, "test_host_out", "200 changes use slots again", up6(), wrap("ip6", up6()))
    again.say("down")


def loads(d, *programs):
    """Some are loaded only when an interface needs them: here each is, and runs."""
    for program in programs:
        tell(f"{program} is taken by the verifier", d.say(f"run {program} {frame(up6()).hex()} 0 0")[-1].split()[1].isdigit())


def main():
    if os.geteuid() != 0:
        sys.exit(77)
    program, namespace = sys.argv[1], f"fmdp-run-{os.getpid()}"
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # a copy finds its number on its CPU
    bpffs = tempfile.mkdtemp(prefix="fmdp-bpf-")
    subprocess.run(["mount", "-t", "bpf", "bpf", bpffs], check=True)
    subprocess.run(["ip", "netns", "add", namespace], check=True)
    inside = ["nsenter", f"--net=/run/netns/{namespace}"]
    try:
        for line in ("ip tuntap add fm0 mode tun", "ip link set fm0 up", "ip link add acc type veth peer name far",
                     "ip link set acc up", "ip link set far up"):
            subprocess.run(inside + line.split(), check=True)
        host_line = f"open host {bpffs}/h fm0 {ANCHOR6} {ANCHOR4}"
        d = Drive(program, namespace, [host_line])
        loads(d, "fm_host_out", "fm_host_in", "fm_host_in_l3", "fm_host_guard")
        for part in (host_out, host_guard, signs_of_life, sizes, rules, rules_at_random, rules_that_block, rules_that_stick,
                     rules_that_share, rules_with_classes, rules_that_mark, moves, host_in, numbers_of_host):
            part(d)
        restart(program, namespace, host_line, d)
        for side in ("host", "anchor"):
            d = Drive(program, namespace, ["cut acc", f"open {side} {bpffs}/c fm0 {ANCHOR6} {ANCHOR4}"])
            cuts(d, side)
            d.say("down")
        d = Drive(program, namespace, [f"open anchor {bpffs}/a fm0 {ANCHOR6} {ANCHOR4}"])
        loads(d, "fm_anchor_out", "fm_anchor_in", "fm_anchor_in_l3", "fm_anchor_xdp", "fm_anchor_xdp_back")
        for hop in (COA6, COA4, NAT4):
            d.say(f"neighbour acc {hop} 020000000009 020000000008 any")
        for part in (anchor_in, anchor_out, anchor_xdp, rates, marks_of_subscribers, xdp_reach, numbers_of_anchor):
            part(d)
        d.say("down")
        names = {"no-room"}  # the kernel refuses only when memory is short
        missing = {line.split('"')[1] for line in open(os.path.join(os.path.dirname(__file__), "../../datapath/maps.h"))
                   if line.startswith("\tX(")} - seen - names
        tell("every counter was seen to count", not missing, f"{missing}")
        print(f"{passed} passed, {failed} failed")
    finally:
        subprocess.run(["ip", "netns", "del", namespace], check=False)
        subprocess.run(["umount", bpffs], check=False)
        os.rmdir(bpffs)
    sys.exit(1 if failed else 0)


main()
