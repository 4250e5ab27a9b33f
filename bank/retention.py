"""How long records must be kept 保存期限: four classes, each with a floor that no setting passes.

Sources: 反洗钱法 (2024) 第 34 条; 网络安全法; 网络数据安全管理条例 第 12 条; records of fund sales,
20 years. A bank may keep longer; shorter is refused at the start.
"""

import enum
from dataclasses import dataclass
from datetime import date

MONTHS_A_YEAR = 12


class Keeping(enum.StrEnum):
    """A class of records that are kept for the same reason."""

    EVIDENCE = "evidence"
    IDENTITY = "identity"
    PROCESSOR = "processor"
    LOG = "log"

    @property
    def label(self) -> str:
        return {
            "evidence": "适当性、触达、审批与沟通证据",
            "identity": "客户身份与交易资料",
            "processor": "个人信息处理记录",
            "log": "网络日志",
        }[self]


@dataclass(frozen=True, slots=True)
class Term:
    """One class: its setting, the shortest term allowed, and from when it runs."""

    keeping: Keeping
    setting: str
    floor: int
    unit: str
    begins: str
    basis: str
    records: str  # what of ours belongs to it


TERMS = (
    Term(
        Keeping.EVIDENCE, "retention_evidence_years", 20, "年", "客户关系结束",
        "基金销售业务资料保存 20 年",
        "触达与发送、推荐回复、会话、素材版本与审批、授权、操作日志",
    ),
    Term(
        Keeping.IDENTITY, "retention_identity_years", 10, "年", "业务关系结束或交易完成",
        "反洗钱法（2024 修订）第 34 条", "客户资料、持仓、转化与归因",
    ),
    Term(
        Keeping.PROCESSOR, "retention_processor_years", 3, "年", "处理结束",
        "网络数据安全管理条例第 12 条", "企业微信创建意图、导出申请、对账记录",
    ),
    Term(
        Keeping.LOG, "retention_log_months", 6, "个月", "产生之日",
        "网络安全法：网络日志不少于六个月", "回调登记、登录记录、拒收统计、客户打开素材的记录",
    ),
)  # fmt: skip
BY_SETTING = {term.setting: term for term in TERMS}
BY_KEEPING = {term.keeping: term for term in TERMS}


def checked(setting: str, value: int) -> int:
    """The value, if it is not below the floor; ValueError says which rule it would break."""
    term = BY_SETTING[setting]
    if value < term.floor:
        unit = "years" if term.unit == "年" else "months"
        raise ValueError(
            f"SIYU_{setting.upper()} is {value}, at least {term.floor} {unit} are required:"
            f" {term.keeping.label}至少保存 {term.floor} {term.unit}（{term.basis}），"
            f"自{term.begins}起算"
        )
    return value


def kept_until(keeping: Keeping, length: int, ended: date | None) -> date | None:
    """The first day on which such a record may go; None as long as nothing has ended."""
    if ended is None:
        return None
    months = length * MONTHS_A_YEAR if BY_KEEPING[keeping].unit == "年" else length
    return _months_after(ended, months)


def months_before(day: date, months: int) -> date:
    """The first day that is not so many months past."""
    return _months_after(day, -months)


def _months_after(day: date, months: int) -> date:
    """The same day so many months later, or the last one of a shorter month."""
    year, month = divmod(day.year * MONTHS_A_YEAR + day.month - 1 + months, MONTHS_A_YEAR)
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month + 1, min(day.day, last))
        except ValueError:
            continue
    raise AssertionError("every month has 28 days")
