"""A client, a router and a server in network namespaces of this machine; the router has the firewall, the NAT and the loss.

    client 10.77.1.2 ── 10.77.1.1 router 10.77.2.1 ── 10.77.2.2 server
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid

CLIENT, SERVER = "10.77.1.2", "10.77.2.2"


def run(*arguments: str, check: bool = True, text: str | None = None) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, input=text)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def why_not() -> str | None:
    """Why there can be no namespaces here."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if missing := [tool for tool in ("ip", "nft", "tc") if not shutil.which(tool)]:
        return f"network namespaces need {' and '.join(missing)} (iproute2, nftables)"
    name = f"probe-{uuid.uuid4().hex[:6]}"
    try:
        run("ip", "netns", "add", name)
        run("ip", "netns", "exec", name, "nft", "add", "table", "inet", "probe")
    except RuntimeError as error:
        return f"this kernel allows no network namespaces: {error}"
    finally:
        run("ip", "netns", "del", name, check=False)
    return None


class Network:
    def __init__(self) -> None:
        try:
            self.build()
        except BaseException:
            self.close()
            raise

    def build(self) -> None:
        tag = uuid.uuid4().hex[:5]
        self.client, self.router, self.server = (f"{tag}-{role}" for role in ("client", "router", "server"))
        for name in (self.client, self.router, self.server):
            run("ip", "netns", "add", name)
            self.inside(name, "ip", "link", "set", "lo", "up")
        self.link(self.client, f"c{tag}", CLIENT, f"rc{tag}", "10.77.1.1")
        self.link(self.server, f"s{tag}", SERVER, f"rs{tag}", "10.77.2.1")
        self.client_link, self.way_to_client = f"c{tag}", f"rc{tag}"
        self.inside(self.router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.open()

    def inside(self, name: str, *arguments: str, check: bool = True, text: str | None = None) -> str:
        return run("ip", "netns", "exec", name, *arguments, check=check, text=text)

    def link(self, end: str, device: str, address: str, router_device: str, router_address: str) -> None:
        run("ip", "link", "add", device, "netns", end, "type", "veth", "peer", "name", router_device, "netns", self.router)
        for name, dev, own in ((end, device, address), (self.router, router_device, router_address)):
            self.inside(name, "ip", "addr", "add", f"{own}/24", "dev", dev)
            self.inside(name, "ip", "link", "set", dev, "up")
        self.inside(end, "ip", "route", "add", "default", "via", router_address)

    def rules(self, *rules: str, nat: bool = False) -> None:
        """What the router does to what it forwards, instead of what it did before."""
        text = ["flush ruleset", "table inet fw {", "chain forward { type filter hook forward priority 0; policy accept;", *rules, "}", "}"]
        if nat:
            # a new port for every destination: what a symmetric NAT looks like from outside
            text += ["table ip nat {", "chain post { type nat hook postrouting priority 100;", "ip saddr 10.77.1.0/24 masquerade fully-random;", "}", "}"]
        self.inside(self.router, "nft", "-f", "-", text="\n".join(text) + "\n")

    def open(self) -> None:
        self.rules()

    def block_udp(self) -> None:
        self.rules("meta l4proto udp drop;")

    def allow_only(self, tcp: list[int], udp: list[int]) -> None:
        allowed = ["ct state established,related accept;"]
        if tcp:
            allowed.append(f"tcp dport {{ {', '.join(map(str, tcp))} }} accept;")
        if udp:
            allowed.append(f"udp dport {{ {', '.join(map(str, udp))} }} accept;")
        self.rules(*allowed, "drop;")

    def lose(self, percent: int) -> None:
        self.rules(f"meta l4proto udp numgen random mod 100 < {percent} drop;")

    def narrow(self, kbit: int) -> None:
        """What goes to the client waits in a queue of up to 0.4 s before a line of this rate; 0: as wide as before."""
        self.inside(self.router, "tc", "qdisc", "del", "dev", self.way_to_client, "root", check=False)
        if kbit:
            queue = ("rate", f"{kbit}kbit", "burst", "10kb", "latency", "400ms")
            self.inside(self.router, "tc", "qdisc", "add", "dev", self.way_to_client, "root", "tbf", *queue)

    def cut(self) -> None:
        self.rules("drop;")

    def new_client_address(self) -> None:
        """As a phone that changes from Wi-Fi to mobile: the old address is gone, and with it every connection."""
        device = self.client_link
        self.inside(self.client, "ip", "addr", "del", f"{CLIENT}/24", "dev", device)
        self.inside(self.client, "ip", "addr", "add", "10.77.1.9/24", "dev", device)
        self.inside(self.client, "ip", "route", "replace", "default", "via", "10.77.1.1", check=False)

    def close(self) -> None:
        for name in (self.client, self.router, self.server):
            run("ip", "netns", "del", name, check=False)
