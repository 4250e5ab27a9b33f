"""Signatures a page needs before WeCom lets it act."""

import json

from wecom.jssdk import agent_config, page_config, signature

# WeCom's own sample.
TICKET = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"
NONCE = "Wm3WZYTPz0wzccnW"
AT = 1414587457
URL = "http://mp.weixin.qq.com?params=value"
SIGNATURE = "0f9de62fce790f9a083d5c99e95740ceb90c27ed"


def test_the_official_sample() -> None:
    assert signature(TICKET, NONCE, AT, URL) == SIGNATURE


def test_what_follows_the_hash_is_not_signed() -> None:
    assert signature(TICKET, NONCE, AT, f"{URL}#chat?x=1") == SIGNATURE


def test_a_page_is_signed_for_wx_config() -> None:
    page = page_config(
        corp_id="wwBANK", ticket=TICKET, nonce=NONCE, timestamp=AT, url=URL, apis=("getContext",)
    )
    assert json.loads(page.json()) == {
        "beta": True,
        "appId": "wwBANK",
        "timestamp": AT,
        "nonceStr": NONCE,
        "signature": SIGNATURE,
        "jsApiList": ["getContext"],
    }
    assert TICKET not in repr(page)


def test_a_page_is_signed_for_agent_config() -> None:
    page = agent_config(
        corp_id="wwBANK",
        agent_id=1000002,
        ticket=TICKET,
        nonce=NONCE,
        timestamp=AT,
        url=URL,
        apis=("sendChatMessage",),
    )
    facts = json.loads(page.json())
    assert (facts["corpid"], facts["agentid"]) == ("wwBANK", 1000002)
    assert facts["signature"] == SIGNATURE


def test_no_value_can_close_the_script_it_is_printed_in() -> None:
    page = page_config(corp_id="</script><b>&", ticket=TICKET, nonce=NONCE, timestamp=AT, url=URL)
    assert not set("<>&") & set(page.json())
    assert json.loads(page.json())["appId"] == "</script><b>&"
