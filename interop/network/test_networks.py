"""A call goes on, or ends with the right reason, whatever the caller's network does. Each test runs with our server and LiveKit's."""

from __future__ import annotations

import time

import pytest


def test_an_open_network(call):
    caller, other = call.join()
    call.note("open", first=call.talk(caller, other))


def test_a_network_that_blocks_udp(call):
    call.net.block_udp()
    caller, other = call.join()
    call.note("UDP blocked", first=call.talk(caller, other))


def test_a_network_that_lets_the_web_and_port_443_through(call):
    # 7880 stands for the load balancer that ends TLS; media has 443/udp alone, which is TURN
    call.net.allow_only(tcp=[7880], udp=[443])
    caller, other = call.join()
    call.note("443/udp alone (TURN)", first=call.talk(caller, other))


def test_a_symmetric_nat(call):
    call.net.rules(nat=True)
    caller, other = call.join()
    call.note("symmetric NAT", first=call.talk(caller, other))


@pytest.mark.parametrize("percent", [1, 5, 20])
def test_a_network_that_loses_packets(call, percent):
    call.net.lose(percent)
    caller, other = call.join()
    call.note(f"{percent} % loss", first=call.talk(caller, other))


@pytest.mark.parametrize("percent", [5, 20])
def test_how_much_is_made_up_of_voices_that_are_published_without_red(call, percent):
    # to the caller by RED that the server makes; from him it can only be asked for again, which Python's SDK does not offer
    caller, other = call.join("plain")
    call.talk(caller, other)
    call.net.lose(percent)
    heard, said = caller.concealed(10), other.concealed(10)
    call.note(f"{percent} % loss, voices without RED", heard=heard, said=said)


def test_a_network_that_is_too_narrow_for_the_large_picture(call):
    """The voice comes first: the picture gets smaller, and large again when there is room."""
    caller, other = call.join("camera", callers="")
    call.talk(caller, other)
    large = lambda width: width >= 900  # noqa: E731
    caller.wait_for_picture(large, after=0, seconds=60)
    begun = time.monotonic()
    call.net.narrow(400)
    smaller = caller.wait_for_picture(lambda width: not large(width), after=begun, seconds=60) - begun
    time.sleep(5)
    heard = caller.concealed(10)
    begun = time.monotonic()
    call.net.narrow(0)
    larger = caller.wait_for_picture(large, after=begun, seconds=120) - begun
    call.note("from 400 kbit/s to open, with a camera", smaller=smaller, heard=heard, larger=larger)
    assert heard < 5


def test_both_ends_are_told_that_the_connection_loses_packets(call):
    call.net.lose(30)
    caller, other = call.join()
    call.talk(caller, other)
    # it is told of itself; the other, whose own connection is good, is told of it
    caller.wait("worse", seconds=60)
    assert other.wait("worse", seconds=60)["who"] == "caller"


def test_udp_that_is_blocked_in_the_middle_of_a_call(call):
    caller, other = call.join()
    first = call.talk(caller, other)
    blocked = time.monotonic()
    call.net.block_udp()
    caller.wait("silent", after=blocked)
    recovered = caller.wait("heard", after=blocked)["at"]
    call.note("UDP blocked in mid-call", first=first, recover=recovered - blocked)


def test_an_address_that_changes_in_the_middle_of_a_call(call):
    caller, other = call.join()
    first = call.talk(caller, other)
    changed = time.monotonic()
    call.net.new_client_address()
    caller.wait("silent", after=changed)
    recovered = caller.wait("heard", after=changed)["at"]
    call.note("new address in mid-call", first=first, recover=recovered - changed)


def test_a_network_that_is_away_for_some_seconds(call):
    caller, other = call.join()
    first = call.talk(caller, other)
    away = time.monotonic()
    call.net.cut()
    caller.wait("silent", after=away)
    time.sleep(4)  # how long the network is away is what is tested
    # before the command that opens it: on a busy machine the sound is back when that has ended
    back = time.monotonic()
    call.net.open()
    recovered = caller.wait("heard", after=back)["at"]
    call.note("away for 4 s", first=first, recover=recovered - back)


def test_somebody_whose_network_never_comes_back_is_seen_to_leave(call):
    caller, other = call.join()
    call.talk(caller, other)
    call.net.cut()
    other.wait("left", after=time.monotonic(), seconds=90)
    caller.wait("reconnecting", seconds=60)
