"""The first page of the demo: who is who, and what to try, in order."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col, select

from bank.models import Branch, Role, Staff
from content.models import Material
from customers.models import Customer, CustomerGroup, Follow
from desk.keys import SETTINGS
from desk.permissions import public
from desk.render import page
from desk.signed import session_of

routes = web.RouteTableDef()

CAST = (
    (Role.RM, "看自己的客户，在侧边栏里一键发送推荐回复，确认群发任务"),
    (Role.BRANCH_MANAGER, "看本支行的过程与结果，每个数字都能点到明细"),
    (Role.EDITOR, "上传素材、填写常见问法、提交审批"),
    (Role.APPROVER, "对照检查清单审批，设定有效期和适用范围；不能审自己的"),
    (Role.COMPLIANCE, "随时下线素材，查看回放和操作日志"),
    (Role.HQ, "看全行的 SOP、归因和内容效果"),
    (Role.AUDITOR, "只读查看全部页面"),
    (Role.ADMIN, "员工角色、回调隔离区、组件；看不到客户数据"),
)


@dataclass(frozen=True)
class Player:
    """Somebody to sign in as."""

    staff: Staff
    branch: str
    role: str
    does: str


@dataclass(frozen=True)
class Size:
    """How much there is of what the first sentence names."""

    branches: int
    rms: int
    customers: int
    materials: int
    groups: int


@dataclass(frozen=True)
class Guide:
    """`/` of the demo while nobody is signed in, and `/guide` always."""

    players: list[Player]
    play_address: str  # the customer's phone and the RM's WeCom, side by side
    customer: str  # whom to play first
    rm: str
    size: Size


@routes.get("/guide")
@public
async def show(request: web.Request) -> web.Response:
    """Who is who and what to try; only where the simulator runs."""
    if not request.app[SETTINGS].demo:
        raise web.HTTPNotFound
    session = session_of(request)
    rows = select(Staff, Branch.name).outerjoin(Branch, col(Branch.id) == col(Staff.branch_id))
    staff = (await session.execute(rows.order_by(col(Staff.userid)))).all()
    players = [p for role, does in CAST if (p := _player(role, does, staff))]
    rm = next(p.staff for p in players if p.role == Role.RM.label)
    first = select(Customer).join(Follow, col(Follow.customer_id) == col(Customer.id))
    mine = first.where(Follow.staff_id == rm.id, col(Customer.risk_level) == 3)
    customer = (await session.execute(mine.order_by(col(Customer.bank_no)).limit(1))).scalar_one()
    address = f"/simulator/?member={rm.userid}&customer={customer.external_userid}"
    guide = Guide(players, address, customer.name, rm.name, await _size(session, staff))
    return page(request, "bot/guide.html", guide)


async def _size(session: AsyncSession, staff: Sequence[tuple[Staff, str | None]]) -> Size:
    async def count(model: type[SQLModel]) -> int:
        return (await session.execute(select(func.count()).select_from(model))).scalar_one()

    return Size(
        branches=await count(Branch),
        rms=sum(Role.RM.value in person.roles for person, _ in staff),
        customers=await count(Customer),
        materials=await count(Material),
        groups=await count(CustomerGroup),
    )


def _player(role: Role, does: str, staff: Sequence[tuple[Staff, str | None]]) -> Player | None:
    """The first person who holds just this role."""
    for person, branch in staff:
        if person.roles == [role.value]:
            return Player(person, branch or "总行", role.label, does)
    return None
