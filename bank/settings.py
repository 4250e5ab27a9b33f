"""Every setting of the product, read once from the environment or `.env` (prefix `SIYU_`)."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from bank import retention


class WeComApp(BaseModel, frozen=True):
    """One more app of the corp."""

    agent_id: int
    secret: SecretStr = SecretStr("")
    token: SecretStr
    aes_key: SecretStr


class Settings(BaseSettings):
    """All settings with their defaults; `docs/reference/settings.md` explains each one."""

    model_config = SettingsConfigDict(
        env_prefix="SIYU_", env_file=".env", frozen=True, extra="ignore"
    )

    home: Path = Field(
        Path.home() / ".local" / "share" / "siyu",
        description="Folder of the embedded database, uploaded files and the saved index.",
    )
    database_url: str = Field(
        "", description="PostgreSQL to use, `postgresql://…`; empty starts the embedded server."
    )
    timezone: str = Field("Asia/Shanghai", description="Time zone of quiet hours and of all pages.")
    public_url: str = Field(
        "http://127.0.0.1:8800",
        description="Address under which staff and WeCom reach this server.",
    )
    bank_name: str = Field("云州银行", description="Name of the bank shown on pages and in texts.")
    demo: bool = Field(
        False, description="Set by `siyu demo`: shows the guide as first page and the simulator."
    )
    log_format: Literal["console", "json"] = Field(
        "console", description="Log lines for people (`console`) or for collectors (`json`)."
    )

    wecom_base_url: str = Field(
        "https://qyapi.weixin.qq.com", description="Address of the WeCom server API."
    )
    wecom_oauth_url: str = Field(
        "https://open.weixin.qq.com", description="Address of sign-in inside the WeCom client."
    )
    wecom_login_url: str = Field(
        "https://login.work.weixin.qq.com",
        description="Address of sign-in by QR code in a browser.",
    )
    wecom_jssdk_url: str = Field(
        "https://res.wx.qq.com/wwopen/js/jsapi/jweixin-1.0.0.js",
        description="Script that gives the sidebar its bridge to the WeCom client.",
    )
    wecom_corp_id: str = Field("", description="Corp id, `ww…`, under 我的企业.")
    wecom_agent_id: int = Field(0, description="AgentId of the self-built app.")
    wecom_secret: SecretStr = Field(SecretStr(""), description="Secret of the self-built app.")
    wecom_token: SecretStr = Field(
        SecretStr(""), description="Token of the callback, under 接收消息."
    )
    wecom_aes_key: SecretStr = Field(
        SecretStr(""), description="EncodingAESKey of the callback, 43 characters."
    )
    wecom_token_next: SecretStr = Field(
        SecretStr(""),
        description="Second callback token, accepted beside the first during a change.",
    )
    wecom_aes_key_next: SecretStr = Field(
        SecretStr(""), description="EncodingAESKey that belongs to the second token."
    )
    wecom_more_apps: list[WeComApp] = Field(
        [],
        description="Further apps of the corp whose callbacks are accepted, as a JSON list of"
        " `{agent_id, secret, token, aes_key}`.",
    )
    service_agent_id: int = Field(
        0, description="App that may call 微信客服; 0: the one of `SIYU_WECOM_AGENT_ID`."
    )
    service_automatic: bool = Field(
        False, description="Lets 微信客服 accounts that are switched on answer without a person."
    )
    service_confidence: float = Field(
        0.8, ge=0.5, le=1, description="Confidence below which 微信客服 hands over to a person."
    )
    ai_filing_number: str = Field(
        "",
        description="Filing number (备案号) of the automatic answers; without it there are none.",
    )
    ai_label: bool = Field(
        True, description="Marks what a model drafted and an RM sent as made by AI (AI生成)."
    )
    link_hosts: list[str] = Field(
        [],
        description="Hosts a link to customers may lead to, a JSON list; each with all below it.",
    )
    radar: Literal["off", "consented", "all"] = Field(
        "consented",
        description="Whose openings of links are logged by name (客户雷达): `consented`, customers"
        " who agreed to personal recommendations; `all`, where the bank's privacy text covers"
        " everybody; `off`, nothing is logged.",
    )
    radar_identify: bool = Field(
        False,
        description="Asks WeChat silently who opens a link; needs the page's domain as trusted.",
    )
    group_product_level: int = Field(
        2,
        ge=0,
        le=2,
        description="Highest product level (R) that may be spoken of in a customer group; 0: none.",
    )
    robot_token: SecretStr = Field(
        SecretStr(""), description="Token of the internal robot (智能机器人); empty: no robot."
    )
    robot_aes_key: SecretStr = Field(
        SecretStr(""), description="EncodingAESKey of the internal robot."
    )
    archive_library: str = Field(
        "", description="Path of `libWeWorkFinanceSdk_C.so`; used by `siyu archive` alone."
    )
    archive_keys: Path | None = Field(
        None, description="Folder of the archive's private keys, `<publickey_ver>.pem`."
    )
    archive_url: str = Field(
        "", description="Address of the conversation-archive sidecar; empty: no archive."
    )
    archive_secret: SecretStr = Field(
        SecretStr(""), description="Bearer secret the archive sidecar asks for."
    )

    secret_key: SecretStr = Field(
        SecretStr(""),
        description="Key that seals what is stored encrypted, 32 bytes in base64; empty: one is"
        " made in `SIYU_HOME`. Processes on one database share it.",
    )
    secret_keys_old: list[SecretStr] = Field(
        [], description="Earlier keys, a JSON list, that still open what they sealed."
    )
    audit_heads: Path | None = Field(
        None,
        description="Folder outside the database for the signed heads of the audit book; empty:"
        " `audit-heads` in `SIYU_HOME`.",
    )
    audit_public_keys: list[str] = Field(
        [],
        description="Public keys of earlier signers, a JSON list, whose heads stay trusted.",
    )
    raw_body_days: int = Field(
        30, ge=1, le=180, description="Days a handled callback keeps its sealed text."
    )
    retention_evidence_years: int = Field(
        20,
        description="Years that evidence of touches, approvals and chats is kept after the relation"
        " ended; 20 at least.",
    )
    retention_identity_years: int = Field(
        10,
        description="Years that identity and transaction records are kept; 10 at least.",
    )
    retention_processor_years: int = Field(
        3, description="Years that records of processing are kept; 3 at least."
    )
    retention_log_months: int = Field(
        6, description="Months that network logs are kept; 6 at least."
    )

    ai_picture_label: bool = Field(
        True,
        description="Labels pictures that their author says AI made, in their data and visibly.",
    )
    ai_producer: str = Field(
        "", description="Name or code of the bank in that label; empty: `SIYU_BANK_NAME`."
    )

    encoder: str = Field(
        "builtin",
        description="`builtin`, a table of `siyu tune` (`.npz`), or a sentence-transformers model"
        " (`[models]`) by path or name.",
    )
    vectors: Literal["faiss", "pgvector"] = Field(
        "faiss",
        description="Where vectors of the library are searched: `faiss` in each process, or"
        " `pgvector` in the database, which needs its extension `vector` 0.8.",
    )
    llm_base_url: str = Field(
        "", description="OpenAI-compatible endpoint of the wording model; empty: quoting writer."
    )
    llm_api_key: SecretStr = Field(SecretStr(""), description="Key of that endpoint.")
    llm_model: str = Field("", description="Model name to ask for at that endpoint.")
    llm_tokens_a_day: int = Field(
        50_000_000,
        ge=0,
        description="Tokens the wording model may take in a day; beyond, passages are quoted.",
    )

    quiet_from: int = Field(
        21, ge=0, le=21, description="Hour at which marketing stops; 21 at the latest."
    )
    quiet_until: int = Field(
        9, ge=9, le=12, description="Hour at which marketing may start; 9 at the earliest."
    )
    marketing_per_day: int = Field(
        1, ge=0, le=1, description="Marketing messages a customer may get on one local day."
    )
    marketing_per_month: int = Field(
        4, ge=0, le=4, description="Marketing messages a customer may get in a calendar month."
    )
    attribution_window_days: int = Field(
        30, ge=1, le=365, description="How far back touchpoints earn a share of a conversion."
    )
    attribution_model: Literal["first", "last", "linear"] = Field(
        "linear", description="Model of the official credit run; the others are shown beside it."
    )

    @field_validator(*retention.BY_SETTING)
    @classmethod
    def _not_below_its_floor(cls, value: int, info: ValidationInfo) -> int:
        return retention.checked(str(info.field_name), value)
