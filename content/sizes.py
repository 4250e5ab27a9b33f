"""What WeCom takes of a material: bytes of card titles and descriptions, sizes of files.

What is over a limit is refused while it is written: nothing approved can be unsendable for it.
"""

from content.models import Kind
from content.particulars import Card
from wecom.attachments import LINK_DESCRIPTION, LINK_TITLE, MINI_PROGRAM_TITLE
from wecom.media import MEDIA_LIMIT

# An article's card carries the title of the article itself.
TITLES = {
    Kind.LINK: LINK_TITLE,
    Kind.ARTICLE: LINK_TITLE,
    Kind.MINI_PROGRAM: MINI_PROGRAM_TITLE,
}
FILES: dict[Kind, int] = {
    Kind.IMAGE: MEDIA_LIMIT["image"],
    Kind.VIDEO: MEDIA_LIMIT["video"],
    Kind.FILE: MEDIA_LIMIT["file"],
    Kind.MINI_PROGRAM: MEDIA_LIMIT["image"],
}
# UTF-8 takes three bytes for a Chinese character.
A_CHARACTER = 3


def over(kind: Kind, title: str, card: Card, file_size: int = 0) -> dict[str, str]:
    """What WeCom would not take of it, in words, by field of the form."""
    errors: dict[str, str] = {}
    if (most := TITLES.get(kind)) is not None:
        name, said = ("title", title) if kind is Kind.ARTICLE else ("card_title", card.title)
        what = "图文标题就是卡片标题，" if kind is Kind.ARTICLE else "卡片标题"
        errors |= _too_long(name, what, said, most)
    if kind is Kind.LINK:
        errors |= _too_long("card_text", "卡片描述", card.text, LINK_DESCRIPTION)
    if file_size > FILES.get(kind, file_size):
        errors["file"] = f"企业微信的{kind.label}不超过 {FILES[kind] >> 20} MB：请压缩后再上传。"
    return errors


def _too_long(field: str, what: str, said: str, most: int) -> dict[str, str]:
    size = len(said.encode())
    if size <= most:
        return {}
    about = most // A_CHARACTER
    return {field: f"{what}最长 {most} 字节（约 {about} 个汉字），现在 {size} 字节：请缩短。"}
