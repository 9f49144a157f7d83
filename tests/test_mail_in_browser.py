"""Mails as a phone lays them out: a real browser measures whether anything is wider than the screen."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from early_warning.digest.kpis import MonthOfKpis
from early_warning.digest.products import Product
from early_warning.digest.render import Rendered, render
from early_warning.digest.select import Action, Gone, Sentence, Unknown
from test_digest import READER, digest

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
PHONE, DESKTOP = 375, 1200  # CSS pixels
ENDLESS = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
# Each mail stands in a frame as wide as the screen; what sticks out of it makes the frame's page wider than the frame.
MEASURED = """<!doctype html><meta charset="utf-8"><body>{frames}<pre id="out"></pre><script>
addEventListener("load", () => {{
  const widths = [...document.querySelectorAll("iframe")].map((frame) => {{
    const page = frame.contentDocument.documentElement;
    const right = [...frame.contentDocument.body.querySelectorAll("*")].map((one) => one.getBoundingClientRect().right);
    return [frame.id, Math.max(page.scrollWidth, ...right)];
  }});
  document.getElementById("out").textContent = JSON.stringify(Object.fromEntries(widths));
}});
</script>"""


def mails() -> dict[str, Rendered]:
    """A mail in each language, with all that a mail can hold, one of hostile length, and the management's."""
    [warned] = digest().news
    endless = replace(
        warned,
        name=ENDLESS * 2,
        customer_id=ENDLESS,
        owner_name=ENDLESS,
        change="escalated",
        told_level=3,
        reasons=(Sentence("order_amount", "serious", ENDLESS, ENDLESS * 3, "worsening"),) * 6,
        also=(Sentence("satisfaction", "watch", "服务满意度", "https://" + "x" * 200),),
        actions=(Action("sales", ENDLESS * 2), Action("finance", "商定还款计划" * 20)),
    )
    product = Product("product", "P1", ENDLESS, ENDLESS, 90, 365, 500, 23, 4, Decimal(1), Decimal(0), None, is_new=True)
    full = digest(
        news=(warned, replace(warned, level=2), endless),
        gone=tuple(Gone("C2", ENDLESS, change) for change in ("resolved", "lost", "muted", "moved")),
        unknown=(Unknown(ENDLESS, (("no_data", 1_000_000),)),),
        products=(product,),
        held_back={2: 3},
        muted=2,
        overdue=4,
        rules_changed=True,
        desk_url="https://desk.example.com/",
    )
    ratios = [Decimal(figure) for figure in ("0.0123", "80.5", "55.9", "36.5", "20687099999", "420")]
    months = [MonthOfKpis(date(2026, month, 1), 18170, *ratios, *[None] * 5) for month in range(1, 7)]
    management = replace(full, kpis=months, reader=replace(READER, audience="management"))
    return {
        **{language: render(replace(full, reader=replace(READER, language=language))) for language in LANGUAGES},
        "management": render(management),
        "urgent": render(replace(full, reader=replace(READER, is_due=False))),
    }


LANGUAGES = ("zh-CN", "zh-TW", "en")


@pytest.mark.skipif(
    not CHROMIUM, reason="no Chromium on the PATH; on Debian: apt-get install -y chromium fonts-noto-cjk"
)
def test_nothing_in_a_mail_is_wider_than_the_screen(tmp_path: Path) -> None:
    pages = {f"{name}-{width}": mail.html for name, mail in mails().items() for width in (PHONE, DESKTOP)}
    pages[f"wide-{PHONE}"] = "<p style='width:500px'>It does stick out, or the measure is wrong."
    frames = [
        f'<iframe id="{name}" style="width:{name.rpartition("-")[2]}px;border:0" srcdoc="{html.escape(page)}"></iframe>'
        for name, page in pages.items()
    ]
    page = tmp_path / "mails.html"
    page.write_text(MEASURED.format(frames="".join(frames)), encoding="utf-8")
    seen = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout
    found = re.search(r'<pre id="out">(.*?)</pre>', seen, re.DOTALL)
    assert found
    widths = json.loads(html.unescape(found[1]))
    assert len(widths) == 11
    assert widths.pop(f"wide-{PHONE}") > PHONE
    assert {name: width for name, width in widths.items() if width > int(name.rpartition("-")[2])} == {}


if __name__ == "__main__":  # for `make mail-clients`, which looks at the same mails
    for name, mail in mails().items():
        Path(sys.argv[1], f"{name}.html").write_text(mail.html, encoding="utf-8")
