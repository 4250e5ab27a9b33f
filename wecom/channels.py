"""The ways WeCom lets a text reach a customer."""

import enum


class Channel(enum.StrEnum):
    """A channel 渠道; what may be used where is decided when a material is approved."""

    SINGLE_CHAT = "single_chat"
    GROUP = "group"
    KF = "kf"
    MOMENTS = "moments"

    @property
    def label(self) -> str:
        return {"single_chat": "单聊", "group": "客户群", "kf": "微信客服", "moments": "朋友圈"}[
            self
        ]
