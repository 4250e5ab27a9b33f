"""The corp's console: what its administrator chose, and what the platform allows the corp."""

from dataclasses import dataclass, field
from typing import Literal

Quota = Literal["monthly", "weekly", "daily"]


@dataclass
class Settings:
    """What the corp's administrator chose in the console, and what the platform allows.

    `link_events_name_people`: since the end of 2024 some tenants' `message_from_customer` carries
    no ids, only the key to ask with. `calls_per_minute` and `calls_per_hour` are per address (""
    for those not named; 0: no limit). Too many `wrong_secrets` shut `gettoken` for an hour.
    """

    mass_send_quota: Quota = "monthly"
    dispatch_seconds: float = 0.0
    group_lag_seconds: float = 2.0
    group_member_list: bool = True
    group_size: int = 500
    ask_consent: bool = False
    archive_seats: list[str] | None = None
    console_welcomes: list[str] = field(default_factory=list)
    contact_ways: int = 500_000
    customers_a_member: int = 20_000
    corp_tags: int = 10_000
    link_quota: int = 1000
    link_events_name_people: bool = True
    trusted_ips: list[str] = field(default_factory=list)
    calls_per_minute: dict[str, int] = field(default_factory=lambda: {"": 10_000})
    calls_per_hour: dict[str, int] = field(default_factory=lambda: {"": 150_000})
    calls_at_once: int = 0
    wrong_secrets: int = 2000
