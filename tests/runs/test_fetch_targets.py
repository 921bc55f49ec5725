"""Which URLs are plain enough, and which addresses are public: values in, answers out, no socket."""

from ipaddress import ip_address

import pytest

from runs.adapters.targets import OddUrl, endpoints_named, is_public, may_reach, target_of


@pytest.mark.parametrize(
    ("url", "resource", "endpoint"),
    [
        ("https://api.example.com/feed?x=1", "network:api.example.com", "api.example.com:443"),
        ("HTTP://API.Example.com:80/", "network:api.example.com", "api.example.com:80"),
        ("http://metrics.internal:9090/m", "network:metrics.internal:9090", "metrics.internal:9090"),
        ("http://example.com:443/", "network:example.com:443", "example.com:443"),
        ("http://127.0.0.1:8000/a.csv", "network:127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://[2606:4700:0:0::1111]/", "network:[2606:4700::1111]", "[2606:4700::1111]:80"),
        ("http://[::1]:8000/", "network:[::1]:8000", "[::1]:8000"),
        ("https://münchen.example/ü", "network:xn--mnchen-3ya.example", "xn--mnchen-3ya.example:443"),
        ("http://my_service:9100", "network:my_service:9100", "my_service:9100"),
    ],
)
def test_a_plain_url_names_one_resource_and_one_endpoint(url: str, resource: str, endpoint: str) -> None:
    target = target_of(url)

    assert (target.resource, target.endpoint) == (resource, endpoint)


def test_the_fragment_is_not_part_of_what_is_asked_for() -> None:
    assert target_of("http://example.com/a?b=c#secret").url == "http://example.com/a?b=c"


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("http://2130706433/", "odd spelling"),
        ("http://127.1/", "odd spelling"),
        ("http://0177.0.0.1/", "host name"),
        ("http://0x7f.0.0.0x1/", "odd spelling"),
        ("http://me:secret@127.0.0.1/", "user name"),
        ("http://127。0。0。1/", "another script"),
        ("http://127.0.0.1/\r\nX: y", "U+000D"),
        ("http://[::ffff:127.0.0.1]/", "hides an IPv4"),
        ("http://[fe80::1%25lo]/", "zone id"),
        ("ftp://example.com/", "http:// or https://"),
        ("http://example.com:70000/", "65535"),
        ("http://example.com./", "none at the end"),
        ("http://example.com/" + "a" * 5000, "at most 4096"),
    ],
)
def test_an_odd_url_is_refused_with_a_sentence_that_names_the_oddity(url: str, word: str) -> None:
    with pytest.raises(OddUrl) as refusal:
        target_of(url)

    assert word in str(refusal.value)


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.0.0.8", "192.0.2.1"),
        *("192.88.99.1", "192.168.1.1", "198.18.0.1", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
        *("168.63.129.16", "::ffff:168.63.129.16"),  # a cloud's own service, behind a global address
        *("::", "::1", "::127.0.0.1", "::8.8.8.8", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "3fff::1", "4000::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808"),
        *("2002:7f00:1::", "2002:808:808::1", "2001:0:808:808::", "2001:0:7f00:1:0:0:8000:1"),  # 6to4, Teredo
    ],
)
def test_an_address_that_is_or_carries_a_private_one_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


def test_a_private_address_is_reached_only_where_host_and_port_are_named() -> None:
    private = ip_address("10.0.0.7")
    named = frozenset({"metrics.internal:9090"})

    assert may_reach(target_of("http://metrics.internal:9090/"), private, named)
    assert not may_reach(target_of("http://metrics.internal:9091/"), private, named)
    assert not may_reach(target_of("http://other.internal:9090/"), private, named)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "fe80::1", "0.0.0.0", "224.0.0.1"]
)
def test_a_named_host_still_never_leads_to_metadata_or_to_everybody(address: str) -> None:
    named = frozenset({"metrics.internal:80"})

    assert not may_reach(target_of("http://metrics.internal/"), ip_address(address), named)


def test_a_link_local_address_is_reached_where_it_is_named_itself() -> None:
    target = target_of("http://169.254.10.10:8000/")

    assert may_reach(target, ip_address("169.254.10.10"), frozenset({"169.254.10.10:8000"}))


def test_only_an_exact_resource_with_a_port_names_an_endpoint() -> None:
    wide = [
        "network:*",
        "network:10.*",
        "network:10.0.0.7",
        "network:10.0.0.7:*",
        "network:*:80",
        "network:[::1]",
        "network:[::1",
        "feed:a:80",
        "network:a/b:80",
    ]

    assert endpoints_named(wide) == frozenset()
    assert endpoints_named(["network:10.0.0.7:80", "network:Metrics.internal:9090", "network:[0::1]:8000"]) == {
        "10.0.0.7:80",
        "metrics.internal:9090",
        "[::1]:8000",
    }
