"""Callbacks in words: what WeCom told us, and what became of it."""

from bot.effects import outcome_label

KINDS = {
    "change_external_contact.add_external_contact": "客户添加成员",
    "change_external_contact.add_half_external_contact": "客户添加成员（免验证）",
    "change_external_contact.edit_external_contact": "成员修改客户备注",
    "change_external_contact.del_external_contact": "成员删除客户",
    "change_external_contact.del_follow_user": "客户删除成员",
    "change_external_contact.transfer_fail": "客户接替失败",
    "change_external_contact.msg_audit_approved": "客户同意会话存档",
    "change_external_chat.create": "客户群创建",
    "change_external_chat.update": "客户群变更",
    "change_external_chat.dismiss": "客户群解散",
    "change_external_tag.create": "企业标签新建",
    "change_external_tag.update": "企业标签修改",
    "change_external_tag.delete": "企业标签删除",
    "change_external_tag.shuffle": "企业标签重排",
    "msgaudit_notify": "会话存档有新消息",
    "kf_msg_or_event": "微信客服有新消息",
    "template_card_event": "成员点击卡片按钮",
    "enter_agent": "成员进入应用",
    "subscribe": "成员加入应用",
    "unsubscribe": "成员移出应用",
    "text": "成员发来文字",
    "archive": "会话存档补存",
    "": "无法识别",
}

FAULTS = {
    "UnreadableEvent: not plain XML": "内容不是规范的 XML",
    "UnreadableEvent: an element appears twice": "同一字段出现了两次",
    "UnreadableEvent: receiver or time is missing": "缺少接收方或时间",
    "UnreadableEvent: the time is out of range": "时间超出有效范围",
    "UnreadableEvent: longer than any event WeCom sends": "内容超长，不是企业微信的事件",
    "UnicodeDecodeError": "内容不是有效的 UTF-8 文本",
    "SealBroken": "密文无法解开：数据被改动，或缺少当时的密钥",
    "TextGone": "原文已按保存期限清除",
}


def kind_label(kind: str) -> str:
    """The event in words; one nobody has named yet as WeCom writes it."""
    return KINDS.get(kind, kind)


def result_label(outcome: str) -> str:
    """What became of a callback, or why it could not be handled, in words."""
    return FAULTS.get(outcome) or outcome_label(outcome)
