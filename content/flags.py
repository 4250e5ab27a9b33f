"""Text that people do not see, and text that speaks to machines (L-05).

A flag does not refuse: author and reviewer see it, and the version cannot go live, nor be
indexed, before a second person has looked at it (`ck_version_flags_are_seen`).
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank import audit
from content import checks
from content.extract import Extracted
from content.models import Version

LONGEST_QUOTE = 120
MOST_FLAGS = 50
MOST_CHECKED = 60_000

# Letters that take no room: joiners between letters, directions, tags, fillers.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200c\u200e\u200f\u202a-\u202e"
    "\u2060-\u2064\u2066-\u206f\u3164\ufeff\uffa0\U000e0000-\U000e007f\U000e0100-\U000e01ef]"
)
# A joiner is honest only inside an emoji.
JOINER = re.compile(
    "(?<![\u2600-\u27bf\ufe0f\U0001f300-\U0001faff])\u200d"
    "|\u200d(?![\u2600-\u27bf\U0001f300-\U0001faff])"
)

# Written without spaces; matched against the text without them, so that spelling apart hides none.
TOLD_TO_MACHINES = tuple(
    re.compile(unicodedata.normalize("NFKC", pattern))
    for pattern in (
        # 中文, simplified and traditional
        r"(?:忽略|无视|無視|忘记|忘記|忘掉|不要理会|不要理會|覆盖|覆蓋|跳过|跳過|绕过|繞過).{0,6}"
        r"(?:以上|之前|上述|前面|先前|此前|所有|全部|任何|系统|系統).{0,8}"
        r"(?:指令|指示|提示|命令|规则|規則|要求|限制|设定|設定|对话|對話|内容|內容)",
        r"(?:系统|系統)(?:提示词|提示詞|提示[:：]|指令|消息[:：]|讯息|訊息)",
        r"(?:ai|人工智能|大模型|语言模型|語言模型|模型|机器人|機器人|智能助手|助手|算法).{0,4}"
        r"(?:请|請|必须|必須|应当|應當|务必|務必|阅读|閱讀|读到|讀到|看到|注意|须|須).{0,10}"
        r"(?:阅读|閱讀|忽略|推荐|推薦|回答|回复|回覆|输出|輸出|通过|通過|优先|優先|执行|執行|此处|此處|以下|本段|这里|這裡)",
        r"(?:仅供|供|请|請|给|給)(?:ai|人工智能|大模型|语言模型|机器|機器)(?:阅读|閱讀|读取|讀取|看|使用|参考)",
        r"(?:你现在是|你現在是|从现在起你|從現在起你|假装你是|扮演).{0,12}(?:ai|助手|模型|机器人|機器人|管理员|管理員|审批|審批)",
        r"(?:视为|視為|标记为|標記為|判定为|判定為)(?:已)?(?:审批|审核|合规|審批|審核|合規)?(?:通过|通過|批准|合格)",
        r"(?:默认|自动|自動)(?:审批|审核|審批|審核)(?:为|為)?(?:通过|通過|批准|合格)",
        r"(?:本|该|此|這|这)?(?:文|素材|材料|内容|文件)?(?:已|已经|已獲|已获)(?:合规|合規|审核|審核|审批|審批){1,2}(?:部门|部門|人员)?(?:通过|通過|批准|approved)",
        r"(?:无需|無需|不必|不用|免)(?:再|进行|進行)?(?:人工)?(?:审核|審核|审批|審批|合规检查|复核|覆核)",
        # English
        r"(?:ignore|disregard|forget|override|bypass|skip)(?:all|any|the|every|your|my|these|of){0,3}"
        r"(?:previous|prior|above|earlier|preceding|foregoing|system|safety|compliance)"
        r".{0,12}(?:instruction|prompt|rule|message|direction|guideline|context|check|text)",
        r"(?:system|developer)(?:prompt|message[:：]|instruction|override)",
        r"youarenow|youare(?:an?|the)(?:ai|helpful|assistant|language|unrestricted)|actasan?(?:ai|admin|assistant)",
        r"(?:attention|note|message|instruction|important).{0,6}(?:to|for)(?:the|all|any)?(?:ai|llm|model|assistant|chatbot)",
        r"(?:ai|llm|model|assistant|chatbot)s?(?:reading|processing|must|should|shall)(?:this|always|recommend|ignore|respond|output|answer|only|treat)",
        r"(?:pre-?approved|approved(?:by|:|=)|markas(?:approved|compliant)|complianceapproved|alreadyapproved|status[:=]approved)",
        r"(?:donot|don't|never)(?:tell|reveal|mention|show|inform).{0,16}(?:user|customer|reviewer|compliance|instruction)",
        r"<\|?(?:imstart|imend|system|endoftext|startheaderid)\|?>|\[/?(?:inst|sys|system)\]|<<sys>>|###(?:instruction|system)",
        # 日本語, 한국어, русский, français, deutsch, español, português, عربي, tiếng Việt, ไทย
        r"(?:以前|上記|これまで|前)の?(?:指示|命令|ルール|プロンプト)を?(?:無視|忘れ)|システムプロンプト",
        r"(?:이전|위의?|앞의?|모든)(?:모든)?(?:지시|명령|규칙|프롬프트|지침)(?:사항)?(?:을|를)?(?:무시|잊)|시스템프롬프트",
        r"(?:игнорируи|проигнорируи|забудь)(?:те)?(?:все|всю)?(?:предыдущ|выше|прежн|систем)|системн(?:ыи|ого)промпт",
        r"(?:ignorez|ignorer|oubliez|oublie)(?:toutes)?(?:les|tes|vos)?(?:instructions|consignes|regles)",
        r"(?:ignoriere|missachte|vergiss)(?:n?)(?:sie)?(?:alle)?(?:die|deine|ihre)?(?:vorherigen|bisherigen|obigen|fruheren)",
        r"(?:ignora|ignore|olvida|esqueca|dimentica)(?:todas|todos|tutte)?(?:las|los|as|le|tus|suas)?(?:instrucciones|instrucoes|istruzioni|reglas|regras)",
        r"تجاهل(?:جميع|كل)?(?:التعليمات|الأوامر|القواعد)",
        r"boqua(?:tatca)?(?:cac)?(?:huongdan|chidan|lenh)",
        r"(?:ละเว้น|เพิกเฉย|ไม่ต้องสนใจ)(?:ต่อ)?(?:คำสั่ง|คำแนะนำ)",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Flag:
    """What to look at, and where; `sort` is hidden, invisible, machine or wording."""

    sort: str
    reason: str
    text: str
    place: str

    @classmethod
    def read(cls, stored: dict[str, Any]) -> Self:
        """As kept on the version."""
        return cls(**stored)

    def stored(self) -> dict[str, Any]:
        """As kept on the version."""
        return asdict(self)


def flags_of(extracted: Extracted) -> list[Flag]:
    """What a file hides, and what in it speaks to machines."""
    hidden = [
        Flag("hidden", f"文件中有{each.why}，客户和审批人看不到", _quoted(each.text), each.place)
        for each in extracted.hidden
        if each.text.strip()
    ]
    seen = [(paragraph.text, paragraph.place) for paragraph in extracted.paragraphs]
    unseen = [(each.text, each.place) for each in extracted.hidden]
    return _first([*hidden, *_in_texts([*seen, *unseen])])


def flags_of_words(title: str, body: str, more: Sequence[str] = ()) -> list[Flag]:
    """The same for what an author typed: title, text, and other words beside them."""
    return _first(_in_texts([(title, "标题"), (body, "正文"), *((each, "其他") for each in more)]))


def together(*lists: Iterable[Flag]) -> list[Flag]:
    """All of these once, those with a place in the file first."""
    told: dict[tuple[str, str], Flag] = {}
    for flag in [flag for flags in lists for flag in flags]:
        told.setdefault((flag.reason, flag.text), flag)
    return _first(told.values())


def _first(flags: Iterable[Flag]) -> list[Flag]:
    return list(flags)[:MOST_FLAGS]


def _in_texts(texts: Iterable[tuple[str, str]]) -> list[Flag]:
    found = []
    for text, place in texts:
        if bad := [*INVISIBLE.findall(text), *JOINER.findall(text)]:
            reason = f"含有 {len(bad)} 个看不见的字符，可能改变文字的含义或夹带内容"
            found.append(Flag("invisible", reason, _quoted(_named(text)), place))
        if said := _to_machines(text):
            found.append(
                Flag("machine", "像是写给 AI 或系统的指令，不是写给客户的话", _quoted(said), place)
            )
    return found


def _named(text: str) -> str:
    """The text around its first invisible letter, with that letter named by its number."""
    match = INVISIBLE.search(text) or JOINER.search(text)
    start = max(0, match.start() - 30) if match else 0
    shown = text[start : start + 80]
    return INVISIBLE.sub(lambda m: f"[U+{ord(m[0]):04X}]", shown).replace("\u200d", "[U+200D]")


def _to_machines(text: str) -> str:
    """The words that speak to a machine, as they stand in the text."""
    folded, at = _folded(text)
    for pattern in TOLD_TO_MACHINES:
        if match := pattern.search(folded):
            return text[at[match.start()] : at[match.end() - 1] + 1]
    return ""


def _folded(text: str) -> tuple[str, list[int]]:
    """Small plain letters without spaces and accents, and where each one stands in the text."""
    letters, at = [], []
    for index, character in enumerate(text):
        if INVISIBLE.match(character) or character == "\u200d" or character.isspace():
            continue
        for part in _plain(character):
            if part not in "*_~`·. " and not "\u0300" <= part <= "\u036f":
                letters.append(part)
                at.append(index)
    return "".join(letters), at


def _plain(character: str) -> str:
    """Full-width made narrow; Latin and Cyrillic letters, and no others, taken from their marks."""
    apart = unicodedata.normalize("NFKD", character)
    if not apart[0] < "\u0250" and not "\u0400" <= apart[0] <= "\u04ff":
        apart = unicodedata.normalize("NFKC", character)
    return apart.lower()


def _quoted(text: str) -> str:
    tidy = re.sub(r"\s+", " ", text).strip()
    return tidy if len(tidy) <= LONGEST_QUOTE else f"{tidy[:LONGEST_QUOTE]}…"


def flags_of_wording(extracted: Extracted) -> list[Flag]:
    """What the rules would not let through in a file that customers get as it is."""
    found, read = [], 0
    for paragraph in extracted.paragraphs:
        if read > MOST_CHECKED:
            found.append(
                Flag("wording", f"只自动检查了前 {MOST_CHECKED} 字，其余请人工通读", "", "")
            )
            break
        read += len(paragraph.text)
        for finding in checks.findings_of("", paragraph.text, ()):
            if finding.level == "block":
                quote = paragraph.text[finding.start : finding.end]
                reason = f"文件里的文字不合规：{finding.reason}"
                found.append(Flag("wording", reason, _quoted(quote), paragraph.place))
    return _first(found)


def stands_against(flags: Sequence[object], seen_by: UUID | None) -> bool:
    """Whether somebody still has to look at the flags of a version."""
    return bool(flags) and seen_by is None


async def acknowledge(
    session: AsyncSession, version_id: UUID, *, by: UUID, userid: str, now: datetime
) -> str:
    """A second person has looked at every flag of this version; or, in words, why not."""
    one = select(Version).where(Version.id == version_id).with_for_update()
    rows = await session.execute(one, execution_options={"populate_existing": True})
    version = rows.scalar_one_or_none()
    if version is None:
        return "没有找到这个版本，请返回列表刷新。"
    if version.author_id == by:
        return "不能确认自己提交的内容，请由另一位审批人查看。"
    if not version.flags or version.flags_seen_by is not None:
        return "没有需要确认的提示，可能已由他人确认，请刷新页面。"
    version.flags_seen_by, version.flags_seen_at = by, now
    audit.record(
        session, "content:version:flags_seen", version.id, by=userid, now=now,
        flags=len(version.flags), sha256=version.sha256,
    )  # fmt: skip
    await session.flush()
    return ""
