"""What the bank has set for the materials it writes."""

from dataclasses import dataclass

from bank.settings import Settings


@dataclass(frozen=True)
class House:
    """Where links may lead, and how pictures made by AI are labelled."""

    name: str = ""
    link_hosts: tuple[str, ...] = ()
    label_pictures: bool = True


PLAIN = House()


def house_of(settings: Settings) -> House:
    """As the settings say."""
    return House(
        settings.ai_producer or settings.bank_name,
        tuple(settings.link_hosts),
        settings.ai_picture_label,
    )
