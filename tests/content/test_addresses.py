"""S-15: which addresses a link may lead to; nothing is looked up and nothing is opened."""

import pytest

from content.addresses import refusal

HOSTS = ["www.yunzhou.example", "bank.example"]
REFUSED = [
    ("", "请填写完整的网址"),
    ("www.yunzhou.example/a", "只允许 https"),
    ("http://www.yunzhou.example", "只允许 https"),
    ("file:///etc/passwd", "只允许 https"),
    ("gopher://www.yunzhou.example", "只允许 https"),
    ("ftp://www.yunzhou.example", "只允许 https"),
    ("javascript:alert(1)", "只允许 https"),
    ("data:text/html,x", "只允许 https"),
    ("//www.yunzhou.example", "只允许 https"),
    ("https://user@www.yunzhou.example", "不能带账号"),
    ("https://www.yunzhou.example@evil.example", "不能带账号"),
    ("https://www.yunzhou.example:8443/", "不能指定端口"),
    ("https://www.yunzhou.example:/", "不能指定端口"),
    ("https://www.yunzhou.example:99999/", "请填写完整"),
    ("https://127.0.0.1/", "不能使用 IP"),
    ("https://10.0.0.1/", "不能使用 IP"),
    ("https://169.254.169.254/latest/meta-data", "不能使用 IP"),
    ("https://2130706433/", "不能使用 IP"),
    ("https://0x7f000001/", "不能使用 IP"),
    ("https://0177.0.0.1/", "不能使用 IP"),
    ("https://0x7f.1/", "不能使用 IP"),
    ("https://127.1/", "不能使用 IP"),
    ("https://127.0.0.1./", "不能使用 IP"),
    ("https://[::1]/", "不能使用 IP"),
    ("https://[::ffff:127.0.0.1]/", "不能使用 IP"),
    ("https://[fd00::1]/", "不能使用 IP"),
    ("https://localhost/", "内部网络"),
    ("https://core/", "内部网络"),
    ("https://db.internal/", "内部网络"),
    ("https://nas.local/", "内部网络"),
    ("https://evil.example/", "不在允许的链接域名中"),
    ("https://www.yunzhou.example.evil.example/", "不在允许的链接域名中"),
    ("https://evilbank.example/", "不在允许的链接域名中"),
    ("https://xn--yunzhou-9d0h.example/", "不在允许的链接域名中"),
    ("https://www.yunzhоu.example/", "请填写完整的网址"),  # a Cyrillic о
    ("https://www.yunzhou。example/", "请填写完整的网址"),
    ("https://www.yunzhou.example\\@evil.example", "请填写完整的网址"),
    ("https:\\\\www.yunzhou.example", "请填写完整的网址"),
    ("https://www.yunzhou.example/\r\nX: 1", "请填写完整的网址"),
    ("https://www.yunzhou.example/ a", "请填写完整的网址"),
    ("https://%77ww.yunzhou.example/", "请填写完整的网址"),
    ("https://www..yunzhou.example/", "请填写完整的网址"),
    ("https://-www.yunzhou.example/", "请填写完整的网址"),
    ("https://www.yunzhou.example/" + "a" * 500, "请填写完整的网址"),
]


@pytest.mark.parametrize(("address", "says"), REFUSED)
def test_refused_with_what_to_do(address: str, says: str) -> None:
    said = refusal(address, HOSTS)
    assert says in said
    assert said.endswith("。")


@pytest.mark.parametrize(
    "address",
    [
        "https://www.yunzhou.example",
        "https://www.yunzhou.example/notice?id=3#top",
        "https://WWW.Yunzhou.example:443/a",
        "https://m.bank.example/p/90d",
        "https://a.b.bank.example/",
    ],
)
def test_addresses_of_allowed_hosts_are_taken(address: str) -> None:
    assert refusal(address, HOSTS) == ""


def test_without_a_list_of_hosts_no_link_is_taken() -> None:
    assert "SIYU_LINK_HOSTS" in refusal("https://www.yunzhou.example", [])
