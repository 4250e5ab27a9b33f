"""Callbacks in words: what WeCom told us, and what became of it."""

from bot.inbound.effects import outcome_label

KINDS = {
    # Customers, groups, tags.
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
    # 获客助手.
    "customer_acquisition.balance_low": "获客助手额度不足",
    "customer_acquisition.balance_exhausted": "获客助手额度用完",
    "customer_acquisition.balance_increased": "获客助手额度恢复",
    "customer_acquisition.quota_expire_soon": "获客助手额度即将过期",
    "customer_acquisition.link_unavailable": "获客链接失效",
    "customer_acquisition.delete_link": "获客链接删除",
    "customer_acquisition.open_profile": "客户点开获客链接",
    "customer_acquisition.friend_request": "客户经获客链接申请添加成员",
    "customer_acquisition.customer_start_chat": "获客链接客户首次发来消息",
    "customer_acquisition.message_from_customer": "获客链接客户再次发来消息",
    # Bells and approvals.
    "msgaudit_notify": "会话存档有新消息",
    "kf_msg_or_event": "微信客服有新消息",
    "kf_account_auth_change": "微信客服账号授权变更",
    "sys_approval_change": "审批单状态变更",
    "open_approval_change": "自建审批流程状态变更",
    # The app, the company, and what WeCom worked on for us.
    "inactive_alert": "应用即将停用预警",
    "close_inactive_agent": "应用已临时停用",
    "reopen_inactive_agent": "应用已恢复启用",
    "low_active_alert": "应用低活跃预警",
    "low_active": "应用已判定为低活跃",
    "active_restored": "应用活跃度恢复",
    "share_agent_change": "应用共享范围变更",
    "share_chain_change": "上下游应用共享变更",
    "change_contact.create_user": "通讯录新增成员",
    "change_contact.update_user": "通讯录修改成员",
    "change_contact.delete_user": "通讯录删除成员",
    "change_contact.create_party": "通讯录新增部门",
    "change_contact.update_party": "通讯录修改部门",
    "change_contact.delete_party": "通讯录删除部门",
    "change_contact.update_tag": "通讯录标签成员变更",
    "batch_job_result": "异步任务完成",
    "upload_media_job_finish": "大文件上传完成",
    # What members do with the app, and write to it.
    "subscribe": "成员加入应用",
    "unsubscribe": "成员移出应用",
    "enter_agent": "成员进入应用",
    "LOCATION": "成员上报位置",
    "click": "成员点击应用菜单",
    "view": "成员从菜单打开网页",
    "view_miniprogram": "成员从菜单打开小程序",
    "template_card_event": "成员点击卡片按钮",
    "template_card_menu_event": "成员点击卡片菜单",
    "text": "成员发来文字",
    "image": "成员发来图片",
    "voice": "成员发来语音",
    "video": "成员发来视频",
    "location": "成员发来位置",
    "link": "成员发来链接",
    "file": "成员发来文件",
    # Our own notes.
    "archive": "会话存档补存",
    "note.churn": "客户流失提醒",
    "": "无法识别",
}
# What an event is about whose change type nobody has named yet.
FAMILIES = {
    "change_external_contact": "客户联系变更",
    "change_external_chat": "客户群变更",
    "change_external_tag": "企业标签变更",
    "customer_acquisition": "获客助手通知",
    "change_contact": "通讯录变更",
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
    """The event in words; what nobody has named yet as WeCom writes it."""
    if kind in KINDS:
        return KINDS[kind]
    word, _, change = kind.partition(".")
    family = FAMILIES.get(word)
    if family is None:
        return kind
    return f"{family}（{change}）" if change else family


def result_label(outcome: str) -> str:
    """What became of a callback, or why it could not be handled, in words."""
    return FAULTS.get(outcome) or outcome_label(outcome)
