"""The files of the demo bank's materials, drawn in the house's look: `python -m tests.drawing`.

Chromium sets the words, because not every machine has the letters; Pillow makes the pictures small
and writes the label of those that AI is said to have made.
"""

import asyncio
import io
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser

from bot.demo import files
from content.aigc import label_for
from content.house import House
from content.readers import aigc
from tests.browser import a_browser

BANK = House("云州银行")
COLOURS = 128
STYLE = """
* { box-sizing: border-box; margin: 0; }
body { font-family: "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; color: #1f2329; }
.poster { width: 375px; height: 560px; padding: 28px 24px 20px; background: #f2f8ff; display: flex; flex-direction: column; }
.bank { color: #0069c2; font-size: 13px; font-weight: 600; letter-spacing: 1px; }
h1 { font-size: 28px; line-height: 38px; margin: 10px 0 6px; }
.lead { color: #5f6672; font-size: 14px; line-height: 22px; margin-bottom: 16px; }
.step { display: flex; gap: 14px; background: #fff; border-radius: 10px; padding: 14px; margin-bottom: 10px; }
.mark { flex: none; width: 32px; height: 32px; border-radius: 16px; background: #0082ef; color: #fff; font-weight: 600; display: grid; place-items: center; }
.no { background: #c62f2b; }
.step b { font-size: 16px; line-height: 24px; }
.step p { color: #5f6672; font-size: 13px; line-height: 20px; }
.foot { margin-top: auto; color: #5f6672; font-size: 11px; line-height: 17px; }
.night { background: #0b2f57; color: #fff; }
.night .bank, .night .lead, .night .foot { color: #b9d6f5; }
.night .step { color: #1f2329; }
.cover { width: 400px; height: 320px; padding: 40px 36px; background: #0082ef; color: #fff; display: flex; flex-direction: column; justify-content: center; }
.cover h1 { font-size: 40px; line-height: 52px; margin: 0 0 12px; }
.cover p { font-size: 20px; line-height: 30px; color: #d9ecff; }
.square { width: 320px; height: 320px; padding: 36px; background: #f2f8ff; display: flex; flex-direction: column; justify-content: center; }
.square h1 { font-size: 48px; line-height: 60px; color: #0069c2; margin: 0; }
.square p { font-size: 22px; color: #5f6672; margin-top: 12px; }
"""
STEPS = """<div class="poster"><span class="bank">云州银行</span><h1>理财赎回<br>到账一图看懂</h1>
<p class="lead">开放式理财从提交到进账，通常经过三步。</p>
<div class="step"><span class="mark">1</span><div><b>提交申请</b><p>工作日截止时间之后、周末和节假日提交的，顺延到下一工作日受理。</p></div></div>
<div class="step"><span class="mark">2</span><div><b>份额确认</b><p>管理人按确认日的净值计算赎回金额，通常在下一工作日。</p></div></div>
<div class="step"><span class="mark">3</span><div><b>资金到账</b><p>确认后再过一到两个工作日，回到签约账户；遇节假日顺延。</p></div></div>
<p class="foot">各只产品的截止时间和到账时间不同，以产品说明书的约定为准。<br>理财非存款，产品有风险，投资须谨慎。</p></div>"""
BEWARE = """<div class="poster night"><span class="bank">云州银行</span><h1>谨防冒充<br>银行客服</h1>
<p class="lead">接到“客服”来电，先记住三件银行不会做的事。</p>
<div class="step"><span class="mark no">×</span><div><b>不会索要验证码</b><p>密码和短信验证码只有您自己能用。</p></div></div>
<div class="step"><span class="mark no">×</span><div><b>不会要求转账</b><p>不存在“安全账户”，要求转账的都是诈骗。</p></div></div>
<div class="step"><span class="mark no">×</span><div><b>不会让您共享屏幕</b><p>请勿下载对方发来的会议或远程软件。</p></div></div>
<p class="foot">有疑问请直接联系您的客户经理，或拨打本行官方客服热线核实。</p></div>"""
EDUCATION = """<div class="square"><h1>看懂<br>理财</h1><p>投资者教育专区</p></div>"""
BRANCH = """<div class="cover"><h1>预约到店<br>少排队</h1><p>选网点 · 选时间 · 到店即办</p></div>"""
RULES = """<style>@page { size: A4; margin: 22mm 20mm; } body { font-size: 14px; line-height: 24px; }
table { width: 100%; border-collapse: collapse; margin: 12px 0; } td, th { border: 1px solid #d9dce1; padding: 8px 10px; text-align: left; vertical-align: top; } th { width: 26%; background: #f5f6f8; }
h1 { font-size: 22px; margin: 6px 0 4px; } .small { color: #5f6672; font-size: 12px; line-height: 20px; }</style>
<span class="bank">云州银行</span><h1>天天金1号申赎规则一页纸</h1>
<p class="small">云溪天天金1号现金管理类理财产品（代码 YZ-TTJ01），风险等级 R1</p>
<table>
<tr><th>申购</th><td>每个工作日开放，1 元起；15:30 前提交的按当日受理，之后提交的顺延至下一工作日。</td></tr>
<tr><th>普通赎回</th><td>每个工作日开放；15:30 前提交的，下一工作日到账。</td></tr>
<tr><th>快速赎回</th><td>单日累计不超过 1 万元，超出部分按普通赎回处理；系统维护或触发产品约定的限制时可能暂停，以赎回页面提示为准。</td></tr>
<tr><th>费用</th><td>不收取申购费和赎回费；固定管理费 0.20%/年、销售服务费 0.20%/年、托管费 0.02%/年从产品资产中计提。</td></tr>
<tr><th>净值</th><td>产品净值可能波动，赎回金额以确认日净值计算。</td></tr>
</table>
<p>本产品由云州理财有限责任公司发行与管理，云州银行为代销机构，不承担产品的投资和兑付责任。具体规则以产品说明书为准。</p>
<p>理财非存款，产品有风险，投资须谨慎。</p>"""
PICTURES = {
    "redeem-steps.png": (STEPS, ".poster", 2),
    "beware.png": (BEWARE, ".poster", 2),
    "education-cover.png": (EDUCATION, ".square", 1),
    "branch-cover.png": (BRANCH, ".cover", 1),
}


async def picture(browser: Browser, html: str, box: str, scale: int) -> Image.Image:
    """A piece of page as a picture."""
    page = await browser.new_page(device_scale_factor=scale, viewport={"width": 800, "height": 800})
    await page.set_content(f"<meta charset=utf-8><style>{STYLE}</style>{html}")
    taken = await page.locator(box).screenshot()
    await page.close()
    return Image.open(io.BytesIO(taken)).convert("RGB")


def small(drawn: Image.Image, code: str, *, ai_made: bool) -> bytes:
    """As a file with few colours; one made by AI says so, in its data and to the eye."""
    label = label_for(BANK, files.file_id(code), {}) if ai_made else {}
    shown = aigc.with_mark(drawn).convert("RGB") if ai_made else drawn
    flat = shown.quantize(COLOURS, dither=Image.Dither.NONE)
    return aigc.saved(flat, "png", label)


async def sheet(browser: Browser, html: str) -> bytes:
    """A page of paper."""
    page = await browser.new_page()
    await page.set_content(f"<meta charset=utf-8><style>{STYLE}</style>{html}")
    made = await page.pdf(prefer_css_page_size=True)
    await page.close()
    return made


async def draw_all(folder: Path = files.FOLDER) -> None:
    """Every file of the list."""
    async with a_browser() as browser:
        for raw in files.listed():
            name = raw.get("file", "")
            if name in PICTURES:
                drawn = await picture(browser, *PICTURES[name])
                made = small(drawn, raw["code"], ai_made=raw.get("ai_made", False))
            elif name.endswith(".pdf"):
                made = await sheet(browser, RULES)
            else:
                continue
            (folder / name).write_bytes(made)


if __name__ == "__main__":
    asyncio.run(draw_all())
