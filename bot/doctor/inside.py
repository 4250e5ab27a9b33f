"""What can be seen without WeCom: settings, database, schema, sealing key, wording model."""

import asyncio
import re
from typing import Any

import aiohttp
import psycopg

from bank.database import plain_url
from bank.sealing import UnreadableKey, open_seal
from bank.settings import Settings
from bot.doctor.findings import Finding, Words, ill, well, worth_knowing
from knowledge.pgvector import PgvectorUnusable, prepare
from migrations import newest

CORP = Words("corp id", "企业 ID")
APP = Words("app", "自建应用")
KEYS = Words("callback keys", "回调密钥")
DATABASE = Words("database", "数据库")
SCHEMA = Words("schema", "表结构")
SEAL = Words("sealing key", "加密密钥")
BOOK = Words("audit book", "审计链")
VECTORS = Words("vectors", "向量检索")
MODEL = Words("wording model", "大模型")
PATIENCE = aiohttp.ClientTimeout(total=5.0)

_CORP_ID = re.compile(r"w[wx][0-9a-zA-Z]{16}")
_AES_KEY = re.compile(r"[A-Za-z0-9]{43}")
_TOKEN = re.compile(r"[A-Za-z0-9]{1,32}")


async def look(settings: Settings) -> list[Finding]:
    """Everything on our own side."""
    return [
        _corp(settings),
        _app(settings),
        *_keys(settings),
        await _database(settings),
        await _schema(settings),
        _seal(settings),
        await _book(settings),
        await _vectors(settings),
        await _model(settings),
    ]


def _corp(settings: Settings) -> Finding:
    if _CORP_ID.fullmatch(settings.wecom_corp_id):
        return well(CORP, "well formed", "格式正确")
    return ill(
        CORP,
        Words("SIYU_WECOM_CORP_ID is not a corp id", "SIYU_WECOM_CORP_ID 不是企业 ID"),
        Words(
            "Copy 企业ID from 我的企业 → 企业信息, without spaces: `ww` and 16 characters. It"
            " is also"
            " the receiver every callback must name.",
            "请到「我的企业 → 企业信息」复制企业ID（ww 开头，共 18 位，不含空格）；"
            "每条回调的接收方也是它。",
        ),
    )


def _app(settings: Settings) -> Finding:
    if settings.wecom_agent_id > 0 and settings.wecom_secret.get_secret_value():
        return well(APP, "AgentId and Secret are set", "已配置 AgentId 与 Secret")
    return ill(
        APP,
        Words(
            "SIYU_WECOM_AGENT_ID or SIYU_WECOM_SECRET is missing",
            "缺少 SIYU_WECOM_AGENT_ID 或 SIYU_WECOM_SECRET",
        ),
        Words(
            "Open 应用管理 → 自建应用 → the app: AgentId is on top, Secret behind 查看.",
            "打开「应用管理 → 自建应用」中的应用：AgentId 在页面上方，Secret 点「查看」获取。",
        ),
    )


def _keys(settings: Settings) -> list[Finding]:
    pairs = [("SIYU_WECOM_TOKEN", settings.wecom_token, settings.wecom_aes_key)]
    if settings.wecom_token_next.get_secret_value():
        following = (settings.wecom_token_next, settings.wecom_aes_key_next)
        pairs.append(("SIYU_WECOM_TOKEN_NEXT", *following))
    pairs += [
        (f"app {each.agent_id}", each.token, each.aes_key) for each in settings.wecom_more_apps
    ]
    return [
        _pair(name, token.get_secret_value(), key.get_secret_value()) for name, token, key in pairs
    ]


def _pair(name: str, token: str, aes_key: str) -> Finding:
    if _TOKEN.fullmatch(token) and _AES_KEY.fullmatch(aes_key):
        return well(KEYS, f"well formed ({name})", f"格式正确（{name}）")
    return ill(
        KEYS,
        Words(
            f"Token takes letters and digits, up to 32; EncodingAESKey exactly 43 ({name}:"
            f" {len(token)} and {len(aes_key)})",
            f"Token 为不超过 32 位的字母数字，EncodingAESKey 恰为 43 位（{name}："
            f"现为 {len(token)} 与 {len(aes_key)} 位）",
        ),
        Words(
            "Copy both again from 应用管理 → 自建应用 → 接收消息 → 设置API接收, without spaces or a"
            " trailing `=`, into SIYU_WECOM_TOKEN and SIYU_WECOM_AES_KEY.",
            "请从「应用管理 → 自建应用 → 接收消息 → 设置API接收」重新复制，不带空格或末尾的等号，"
            "填入 SIYU_WECOM_TOKEN 与 SIYU_WECOM_AES_KEY。",
        ),
    )


async def _database(settings: Settings) -> Finding:
    try:
        durable = await _first(settings, "SHOW synchronous_commit") != "off"
        durable = durable and await _first(settings, "SHOW fsync") == "on"
    except psycopg.Error as failure:
        return ill(
            DATABASE,
            Words(
                f"cannot connect ({type(failure).__name__})",
                f"无法连接（{type(failure).__name__}）",
            ),
            Words("Check SIYU_DATABASE_URL.", "请核对 SIYU_DATABASE_URL。"),
        )
    if durable:
        return well(DATABASE, "reached, commits are durable", "已连接，提交即落盘")
    return ill(
        DATABASE,
        Words("fsync or synchronous_commit is off", "fsync 或 synchronous_commit 处于关闭状态"),
        Words(
            "Switch both on: what is acknowledged to WeCom must survive a crash.",
            "请在数据库上打开两项设置：已答复企业微信的事件不能因断电丢失。",
        ),
    )


async def _schema(settings: Settings) -> Finding:
    try:
        at = await _first(settings, "SELECT version_num FROM alembic_version")
    except psycopg.Error:
        at = None
    if at == newest():
        return well(SCHEMA, "current", "已是最新")
    return ill(
        SCHEMA,
        Words("not migrated to this version", "尚未升级到当前版本"),
        Words("Run `siyu migrate`.", "请执行 siyu migrate。"),
    )


async def _first(settings: Settings, query: str) -> Any:
    async with await psycopg.AsyncConnection.connect(
        plain_url(settings.database_url), connect_timeout=5
    ) as connection:
        row = await (await connection.execute(query.encode())).fetchone()
    return row[0] if row else None


def _seal(settings: Settings) -> Finding:
    try:
        open_seal(settings)
    except UnreadableKey:
        return ill(
            SEAL,
            Words(
                "SIYU_SECRET_KEY is not 32 bytes in base64", "SIYU_SECRET_KEY 不是 32 字节的 base64"
            ),
            Words("Make one with `openssl rand -base64 32`.", "用 openssl rand -base64 32 生成。"),
        )
    if settings.secret_key.get_secret_value():
        return well(SEAL, "set for every process", "各进程共用同一密钥")
    return worth_knowing(
        SEAL,
        f"kept in {settings.home.name}/secret.key of this machine; several machines on one database"
        " need the same SIYU_SECRET_KEY, and a backup needs it too",
        f"保存在本机 {settings.home.name}/secret.key；多台机器共用数据库时须设置相同的"
        " SIYU_SECRET_KEY，备份时也要一并保存",
    )


MAY_CHANGE = (
    "SELECT has_table_privilege('audit_entry', 'UPDATE, DELETE, TRUNCATE')"
    " OR has_table_privilege('audit_link', 'UPDATE, DELETE, TRUNCATE')"
)


async def _book(settings: Settings) -> Finding:
    """Whether the role we connect as could change the audit book."""
    try:
        may_change = await _first(settings, MAY_CHANGE)
    except psycopg.Error:
        return worth_knowing(BOOK, "no table yet", "尚无数据表")
    if not may_change:
        return well(BOOK, "our database role can only add to it", "数据库账号只能追加，不能改动")
    return worth_knowing(
        BOOK,
        "our database role could switch its triggers off; run `siyu migrate --grant-to ROLE` as the"
        " owner and connect as that role (docs/howto/verify-the-audit-book.md)",
        "当前数据库账号有权停用其触发器；请由表的所有者执行 siyu migrate --grant-to 应用账号，"
        "并用该账号连接",
    )


async def _vectors(settings: Settings) -> Finding:
    """Whether what SIYU_VECTORS names can be used."""
    if settings.vectors == "faiss":
        return well(VECTORS, "FAISS in this process", "使用本进程内的 FAISS")
    try:
        await asyncio.to_thread(prepare, settings.database_url)
    except PgvectorUnusable as unusable:
        return ill(
            VECTORS,
            Words(str(unusable), "数据库里没有可用的 pgvector（vector 扩展 0.8 或更新）"),
            Words(
                "Install pgvector on the database server (package postgresql-NN-pgvector), let the"
                " owner run `siyu migrate --grant-to ROLE` with SIYU_VECTORS=pgvector, or set"
                " SIYU_VECTORS=faiss: it needs nothing from the database.",
                "请在数据库服务器上安装 pgvector（postgresql-NN-pgvector），由库的所有者在"
                " SIYU_VECTORS=pgvector 下执行 siyu migrate --grant-to 应用账号；"
                "或改为 SIYU_VECTORS=faiss，不依赖数据库扩展。",
            ),
        )
    except psycopg.Error as failure:
        return worth_knowing(
            VECTORS,
            f"cannot look ({type(failure).__name__})",
            f"暂无法检查（{type(failure).__name__}）",
        )
    return well(VECTORS, "pgvector in the database", "使用数据库中的 pgvector")


async def _model(settings: Settings) -> Finding:
    if not settings.llm_base_url:
        return worth_knowing(
            MODEL, "not set; approved passages are quoted", "未配置，直接引用已审批的原文"
        )
    address = settings.llm_base_url.rstrip("/") + "/models"
    bearer = {"Authorization": f"Bearer {settings.llm_api_key.get_secret_value()}"}
    try:
        async with (
            aiohttp.ClientSession(timeout=PATIENCE) as http,
            http.get(address, headers=bearer, allow_redirects=False) as answer,
        ):
            status, offered = answer.status, await answer.text()
    except (aiohttp.ClientError, TimeoutError) as failure:
        status, offered = 0, type(failure).__name__
    if status == 200 and settings.llm_model in offered:
        return well(MODEL, f"{settings.llm_model} is offered", f"可用：{settings.llm_model}")
    told = f"HTTP {status}" if status else offered
    return ill(
        MODEL,
        Words(
            f"{settings.llm_model or 'no model'} is not offered there ({told})",
            f"该地址没有提供 {settings.llm_model or '模型'}（{told}）",
        ),
        Words(
            "Check SIYU_LLM_BASE_URL (it ends in /v1), SIYU_LLM_API_KEY and SIYU_LLM_MODEL;"
            " until then passages are quoted.",
            "请核对 SIYU_LLM_BASE_URL（以 /v1 结尾）、SIYU_LLM_API_KEY 与 SIYU_LLM_MODEL；"
            "在此之前直接引用原文。",
        ),
    )
