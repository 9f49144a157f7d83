"""Photograph a digest as a phone (375 px) and a desktop (1200 px) show it, light or dark.

    python docs/pictures/render_digest.py MAIL.eml docs/pictures --name digest-en   # digest-en-375.png, …-1200.png
    python docs/pictures/render_digest.py MAIL.eml /tmp/look --dark --whole         # digest-375-dark.png, …, uncut

Needs Chromium on the PATH and fonts with Chinese; speaks to it over a pipe, so nothing else has to be installed.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from early_warning.embedded.mail import page_of

WIDTHS = (375, 1200)
WIDEST_PHONE = 600
LONGEST = {375: 1500, 1200: 1300}  # CSS pixels of what is kept, by width
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


class Browser:
    """Chromium's debugging protocol over its pipe: one command, one answer."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, os.fdopen(answers, "rb")
        self._number, self._session = 0, None

    def open_page(self) -> None:
        """Open the page that the following commands are about."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command and wait for its answer; events in between are of no interest here."""
        self._number += 1
        command: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return dict(answer["result"])

    def _read(self) -> dict[str, Any]:
        letters = bytearray()
        while (letter := self._answers.read(1)) != b"\0":
            if not letter:
                raise RuntimeError("Chromium ended before it answered")
            letters += letter
        return dict(json.loads(letters))


@contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium with an empty profile and end it."""
    program = next((found for name in _CHROMIUM if (found := shutil.which(name))), None)
    if program is None:
        sys.exit("no Chromium on the PATH; on Debian: apt-get install -y chromium fonts-noto-cjk")
    commands_in, commands_out = os.pipe()
    answers_in, answers_out = os.pipe()

    def as_three_and_four() -> None:
        spare = [os.dup(commands_in), os.dup(answers_out)]
        for wanted, given in zip((3, 4), spare, strict=True):
            os.dup2(given, wanted)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            close_fds=False,
            preexec_fn=as_three_and_four,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(commands_in)
        os.close(answers_out)
        try:
            chromium = Browser(commands_out, answers_in)
            chromium.open_page()
            yield chromium
        finally:
            process.terminate()
            process.wait(20)


def photograph(chromium: Browser, html: str, width: int, *, is_dark: bool) -> bytes:
    """Return the whole page as PNG at this width; narrow ones as a phone shows them, twice as sharp."""
    is_phone = width < WIDEST_PHONE
    metrics = {"width": width, "deviceScaleFactor": 2 if is_phone else 1, "mobile": is_phone}
    scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
    chromium.call("Emulation.setDeviceMetricsOverride", height=800, **metrics)
    chromium.call("Emulation.setEmulatedMedia", features=[scheme])
    frame = chromium.call("Page.getFrameTree")["frameTree"]["frame"]["id"]
    chromium.call("Page.setDocumentContent", frameId=frame, html=html)
    chromium.call("Runtime.evaluate", expression="document.fonts.ready", awaitPromise=True)
    size = chromium.call("Page.getLayoutMetrics")["cssContentSize"]
    if size["width"] > width:
        sys.stderr.write(f"the page is {size['width']} px wide and scrolls sideways at {width} px\n")
    chromium.call("Emulation.setDeviceMetricsOverride", height=int(size["height"]) + 1, **metrics)
    return base64.b64decode(chromium.call("Page.captureScreenshot", format="png")["data"])


def main() -> None:
    """Read the mail, write the pictures, say where they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mail", type=Path, help="an .eml file, such as the mail catcher writes")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--name", default="digest", help="how their names begin")
    parser.add_argument("--dark", action="store_true", help="as a reader with dark colours sees it")
    parser.add_argument("--whole", action="store_true", help="the whole mail, not only its first screens")
    arguments = parser.parse_args()
    page = page_of(message_from_bytes(arguments.mail.read_bytes(), policy=policy.SMTP))
    if page is None:
        sys.exit(f"{arguments.mail} has no HTML part")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with browser() as chromium:
        for width in WIDTHS:
            picture = arguments.folder / f"{arguments.name}-{width}{'-dark' if arguments.dark else ''}.png"
            image = Image.open(BytesIO(photograph(chromium, page, width, is_dark=arguments.dark))).convert("RGB")
            if not arguments.whole:
                image = image.crop((0, 0, image.width, min(image.height, image.width * LONGEST[width] // width)))
            image.quantize(96).save(picture, optimize=True)
            sys.stdout.write(f"{picture}\n")


if __name__ == "__main__":
    main()
