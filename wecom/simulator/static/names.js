// The platform's events and outcomes in a reader's words.

export const EVENTS = {
  msgaudit_notify: "产生会话回调", add_external_contact: "添加企业客户", add_half_external_contact: "外部联系人免验证添加",
  edit_external_contact: "编辑企业客户", del_external_contact: "删除企业客户", del_follow_user: "被客户删除",
  transfer_fail: "客户接替失败", msg_audit_approved: "客户同意会话存档",
  "change_external_chat.create": "客户群创建", "change_external_chat.update": "客户群变更", "change_external_chat.dismiss": "客户群解散",
  "change_external_tag.create": "企业标签创建", "change_external_tag.update": "企业标签变更",
  "change_external_tag.delete": "企业标签删除", "change_external_tag.shuffle": "企业标签重排",
  open_profile: "打开获客链接", friend_request: "通过获客链接申请好友", customer_start_chat: "成员首次收消息",
  message_from_customer: "成员多次收消息", balance_low: "获客额度即将用尽", balance_exhausted: "获客额度已用尽",
  balance_increased: "获客额度增加", quota_expire_soon: "获客额度即将过期", link_unavailable: "获客链接异常", delete_link: "删除获客链接",
  kf_msg_or_event: "微信客服消息与事件", kf_account_auth_change: "客服账号授权变更", template_card_event: "模板卡片点击",
  subscribe: "成员关注应用", unsubscribe: "成员取消关注", enter_agent: "进入应用", click: "点击菜单", view: "打开菜单链接",
  LOCATION: "上报地理位置", batch_job_result: "异步任务完成", text: "成员发来文本", image: "成员发来图片", voice: "成员发来语音",
  video: "成员发来视频", location: "成员发来位置", link: "成员发来链接", file: "成员发来文件",
};

export const OUTCOMES = {
  delivered: ["已送达", "green"], waiting: ["推送中", "orange"], late: ["待放行", "orange"],
  failed: ["推送失败", "red"], dropped: ["已丢弃", "grey"],
};

export const SUFFERED = { drop: "丢失", duplicate: "重复", reorder: "乱序", delay: "迟到" };

export const eventName = (row) =>
  EVENTS[`${row.event}.${row.change_type}`] || EVENTS[row.change_type] || EVENTS[row.event] || row.event;

const FAMILIES = ["change_external_chat", "change_external_tag"];
export const eventCode = (row) =>
  (FAMILIES.includes(row.event) ? `${row.event}.${row.change_type}` : row.change_type || row.event);
