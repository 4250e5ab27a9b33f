"""操作日志 in words: what each line of the audit book says to a person, and where its object is."""

from datetime import datetime
from typing import Any
from uuid import UUID

from bank.calendar import local
from content.product_rows import label_of, shown
from content.review_models import ReviewDesk
from customers.models import FollowState, Stage
from wecom.channels import Channel

ACTIONS = {
    "content:material:create": "新建素材",
    "content:version:draft": "保存素材草稿",
    "content:version:submit": "提交素材审批",
    "content:version:flags_seen": "确认素材提示",
    "content:material_import:take": "批量导入素材",
    "content:version:approve": "审批通过并上线",
    "content:version:pass": "通过审批环节",
    "content:version:reject": "驳回素材",
    "content:version:return": "退回素材修改",
    "content:version:claim": "领取审批",
    "content:version:release": "释放审批",
    "content:version:transfer": "转交审批",
    "content:version:comment": "添加批注",
    "content:version:resolve": "处理批注",
    "content:version:uphold": "抽查复审通过",
    "content:version:link": "生成客户链接",
    "content:version:recipients": "导出素材接收名单",
    "content:material:recipients": "导出素材接收名单",
    "content:shelf:export": "导出素材清单",
    "content:review_road:set": "修改审批流程",
    "content:review_road:reset": "恢复默认审批流程",
    "content:version:withdraw": "下线素材",
    "content:version:supersede": "新版替代旧版",
    "content:version:expire": "素材到期下线",
    "content:version:suspend": "暂停使用素材",
    "content:version:resume": "恢复使用素材",
    "bank:certificate:propose": "提交从业资格修改",
    "bank:certificate:confirm": "确认从业资格修改",
    "bank:certificate:reject": "驳回从业资格修改",
    "content:product:create": "新建产品",
    "content:product:holders": "导出产品持有客户",
    "content:product:propose": "提交产品变更",
    "content:product:confirm": "确认产品变更",
    "content:product:reject": "驳回产品变更",
    "content:product:cancel": "撤回产品变更",
    "content:product:take_over": "主数据变更产品",
    "content:products:import": "导入产品",
    "content:nav:import": "导入净值",
    "knowledge:suggestion:send": "发送推荐回复",
    "knowledge:content_gap:dismiss": "标记缺口不处理",
    "knowledge:content_gap:reopen": "恢复处理缺口",
    "knowledge:suggestion:reject": "标记推荐不合适",
    "knowledge:suggestion:help_person": "转人工协助答复",
    "knowledge:suggestion:help_material": "提出素材需求",
    "knowledge:candidate_question:added": "采用候选问法",
    "knowledge:candidate_question:dismissed": "不采用候选问法",
    "customers:care_alert:complaint": "识别客户投诉",
    "customers:care_alert:refusal": "识别客户拒绝营销",
    "customers:care_alert:vulnerable": "识别需特别照顾的客户",
    "customers:care_alert:confirm": "确认关怀提醒",
    "customers:care_alert:undo": "撤销关怀提醒",
    "customers:consent:restore": "恢复误停的营销授权",
    "customers:customer:stage": "修改客户阶段",
    "customers:customer:tag": "修改企业标签",
    "customers:consent:withdraw": "撤回客户授权",
    "customers:follow:end": "结束跟进关系",
    "customers:follow:transfer_fail": "客户交接失败",
    "customers:group:dismiss": "客户群解散",
    "scheduler:sop:create": "新建 SOP",
    "scheduler:sop:revise": "修改 SOP 草稿",
    "scheduler:sop:start": "启动 SOP",
    "scheduler:sop:stop": "停止 SOP",
    "scheduler:enrolment:by_hand": "手动入组",
    "scheduler:touch:cancel": "取消触达",
    "scheduler:task:give_up": "关闭待查群发任务",
    "attribution:import:ingest": "导入成交",
    "attribution:conversion:match": "匹配转化客户",
    "bot:repair:run": "立即对账",
    "bot:intent:done": "核对为已创建",
    "bot:intent:abandoned": "核对为未创建",
    "bot:inbound:replay": "重放隔离回调",
    "bot:service:take_over": "接待客服会话",
    "bot:service:hand_over": "客服会话转人工",
    "bot:service_account:automatic_on": "开启客服自动答复",
    "bot:service_account:automatic_off": "停用客服自动答复",
    "bot:card:churn_seen": "知悉客户流失提醒",
    "bot:card:expiry_seen": "知悉素材到期提醒",
    "bot:card:care_seen": "知悉关怀提醒",
    "bot:card:expiry_tell": "提醒素材负责人",
    "bot:inbound:release": "放行时间异常的回调",
    "bot:inbound:read": "查看回调原文",
    "bot:welcome:choose": "选定欢迎语",
    "bot:contact_way:make": "新建渠道活码",
    "bot:contact_way:retry": "重新生成渠道活码",
    "bot:contact_way:retire": "停用渠道活码",
    "bot:contact_way:welcome": "设置渠道欢迎语",
    "bot:book:restored": "声明自备份恢复",
    "bot:book:verify": "核对审计链",
    "bot:book:export": "导出操作日志",
    "bot:export:ask": "申请导出操作日志",
    "bot:export:agree": "同意导出操作日志",
    "bot:export:refuse": "拒绝导出操作日志",
    "bot:evidence:pack": "生成证据包",
    "bot:group_question:answered": "标记群问题已回答",
    "bot:group_question:passed": "标记群问题不用回答",
    "bot:group_question:open": "恢复群问题待回答",
    "customers:hold:place": "设置法律保全",
    "customers:hold:release": "解除法律保全",
    "outbound:conduct_alert:see": "核查拦截告警",
    "outbound:model:stop": "停用模型起草",
    "outbound:model:ask": "提出恢复模型起草",
    "outbound:model:lift": "同意恢复模型起草",
    "outbound:special_notice:confirm": "确认已向高龄客户特别提示",
    "outbound:group_message:send": "发送到客户群",
    "desk:staff:signin": "登录",
}
SUBJECTS = {
    "material": ("素材", "/content/{}"),
    "version": ("素材版本", "/review/{}"),
    "review_road": ("审批流程", ""),
    "product": ("产品", "/products/{}"),
    "products": ("产品文件", ""),
    "nav": ("净值文件", ""),
    "shelf": ("素材清单", ""),
    "material_import": ("素材导入", "/content/imports/{}"),
    "content_gap": ("内容缺口", ""),
    "suggestion": ("推荐回复", "/suggestions/{}"),
    "model": ("模型起草", "/service/model"),
    "special_notice": ("发出记录", "/system/outbound/{}"),
    "group_message": ("发出记录", "/system/outbound/{}"),
    "customer": ("客户", "/customers/{}"),
    "consent": ("授权记录", ""),
    "care_alert": ("关怀提醒", "/care"),
    "candidate_question": ("候选问法", "/candidates"),
    "follow": ("跟进关系", ""),
    "sop": ("SOP", "/sops/{}"),
    "enrolment": ("入组", ""),
    "touch": ("触达", ""),
    "task": ("群发任务", ""),
    "import": ("成交文件", ""),
    "conversion": ("转化", "/attribution/conversions/{}"),
    "inbound": ("回调", ""),
    "intent": ("创建意图", ""),
    "service": ("客服会话", "/service/{}"),
    "service_account": ("客服账号", ""),
    "card": ("消息卡片", ""),
    "staff": ("员工", ""),
    "group": ("客户群", "/groups/{}"),
    "group_question": ("群问题", ""),
    "repair": ("对账", ""),
    "welcome": ("欢迎语", ""),
    "contact_way": ("渠道活码", ""),
    "book": ("审计链", ""),
    "export": ("导出申请", "/system/exports"),
    "certificate": ("从业资格", "/system/certificates"),
    "evidence": ("证据包", ""),
    "hold": ("法律保全", ""),
    "conduct_alert": ("行为告警", ""),
}
KEYS = {  # in the order in which they are told
    "name": "名称",
    "rm": "客户经理",
    "number": "版本",
    "by_number": "新版本",
    "before": "原为",
    "after": "改为",
    "state": "结果",
    "purpose": "授权用途",
    "door": "入口",
    "edited": "发送前修改",
    "valid_from": "生效",
    "valid_until": "失效",
    "channels": "适用渠道",
    "step": "环节",
    "said": "现为",
    "to": "转交给",
    "reason": "原因",
    "note": "原因",
    "how": "原因",
    "left": "退出客户",
    "source": "来源系统",
    "fields": "变更内容",
    "corrections": "净值更正",
    "read": "读取",
    "new": "新增",
    "changed": "变更",
    "same": "重复",
    "held": "待核对客户",
    "added": "添加",
    "removed": "移除",
    "rejected": "未导入",
    "rows": "条数",
    "position": "链上位置",
    "about": "对象",
    "files": "文件数",
    "personal": "含个人信息",
    "sha256": "内容指纹",
}
DAYS = {"valid_from", "valid_until"}
NUMBERS = {"number", "by_number"}
WORDS = {
    "step": {desk.value: desk.label for desk in ReviewDesk},
    "door": {"desk": "管理后台", "sidebar": "企业微信侧边栏"},
    "purpose": {"marketing": "营销信息", "profiling": "客户画像"},
    "state": {"held": "待核对客户", "credited": "已归因", "unattributed": "窗口内无触点"},
    "before": {stage.value: stage.label for stage in Stage},
    "after": {stage.value: stage.label for stage in Stage},
    "how": {
        FollowState.REMOVED_BY_CUSTOMER.value: "客户删除了客户经理",
        FollowState.REMOVED_BY_RM.value: "客户经理解除跟进",
        FollowState.TRANSFERRED.value: "已移交给其他客户经理",
        FollowState.GONE.value: "对账时关系已不存在",
    },
}


def action_label(action: str) -> str:
    """The act in words; one nobody has named yet as it is written."""
    return ACTIONS.get(action, action)


def subject_label(subject: str) -> str:
    """What sort of object the line is about."""
    return SUBJECTS.get(subject, (subject, ""))[0]


def address_of(subject: str, subject_id: str) -> str:
    """The page of the object; empty where it has none."""
    pattern = SUBJECTS.get(subject, ("", ""))[1]
    return pattern.format(subject_id) if pattern else ""


def details(detail: dict[str, Any]) -> list[tuple[str, str]]:
    """What the line keeps, in words; ids of other objects stay in the book only."""
    return [(name, _said(key, detail[key])) for key, name in KEYS.items() if key in detail]


def short_id(subject_id: str) -> str:
    """The first part of an id, enough to tell two lines apart; a name stays whole."""
    try:
        return str(UUID(subject_id))[:8]
    except ValueError:
        return subject_id


def _said(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return "是" if value else "否"
    if key == "fields":
        return "；".join(
            f"{label_of(name)}：{shown(name, old)} → {shown(name, new)}"
            for name, (old, new) in value.items()
        )
    if key == "corrections":
        return "；".join(value) or "无"
    if key == "channels":
        return "、".join(Channel(one).label for one in value)
    if key == "sha256":
        return f"{str(value)[:12]}…"
    if key in NUMBERS:
        return f"V{value}"
    if key in DAYS:
        return local(datetime.fromisoformat(value)).strftime("%Y-%m-%d %H:%M")
    return WORDS.get(key, {}).get(str(value), str(value))
