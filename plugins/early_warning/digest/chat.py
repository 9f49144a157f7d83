"""Telling a chat, through Apprise, which knows how each service wants to be spoken to.

The address of a chat is a URL of Apprise's and holds the chat's secret: it is in no log, no repr and no error here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import requests
from apprise import Apprise, AppriseAsset, NotificationManager, NotifyBase, NotifyFormat
from apprise.plugins.dingtalk import NotifyDingTalk
from apprise.plugins.wecombot import NotifyWeComBot

from early_warning.digest.text import plain

_LONGEST_ERROR = 500
_SHORTEST_SECRET = 6
_SECONDS = 30
_ASSET = AppriseAsset(
    app_id="early-warning",
    app_desc="early-warning",
    app_url="",
    image_url_mask="",  # else services fetch pictures from Apprise's repository
    image_url_logo="",
    service_timeout=_SECONDS,
)


class UnusableAddress(ValueError):
    """The URL is none that Apprise knows. It is not repeated, since it may hold a secret."""


def tell_chat(url: str, title: str, text: str) -> str | None:
    """Send plain text to a chat, within half a minute; returns what went wrong in the service's words, None if nothing.

    Raises:
        UnusableAddress: nothing can be sent to that URL.
    """
    sender = Apprise(asset=_ASSET)
    with _unlogged():
        if not sender.add(Apprise.instantiate(url, asset=_ASSET)):
            raise UnusableAddress
        result = sender.notify(text, title=title, body_format=NotifyFormat.TEXT.value)
    if result:
        return None
    words = " ".join(entry.message for entry in result.logs()) or result.status.name
    return plain(_without_secrets(words, url), _LONGEST_ERROR)


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep what Apprise and its HTTP client say out of the log, for it holds addresses; Apprise keeps its warnings."""
    apprise, client = logging.getLogger("apprise"), logging.getLogger("urllib3")
    before = apprise.level, apprise.propagate, client.propagate
    apprise.propagate = client.propagate = False
    apprise.setLevel(logging.WARNING)
    try:
        yield
    finally:
        level, apprise.propagate, client.propagate = before
        apprise.setLevel(level)


def _without_secrets(words: str, url: str) -> str:
    for part in sorted({*re.split(r"[^\w.%-]+", url), *re.split(r"[^\w.-]+", unquote(url))}, key=len, reverse=True):
        if len(part) >= _SHORTEST_SECRET:
            words = words.replace(part, "…")
    return words


class _Robot(NotifyBase):  # type: ignore[misc]
    """A robot that tells an error as HTTP 200 with an `errcode`, which Apprise takes for a success."""

    def _post(self, url: str, message: dict[str, Any], parameters: dict[str, str] | None = None) -> bool:
        try:
            response = requests.post(
                url,
                json=message,
                params=parameters,
                timeout=self.request_timeout,
                verify=self.verify_certificate,
                allow_redirects=False,
            )
            answer = response.json() if response.ok else {}
        except requests.RequestException as error:  # also an answer that is no JSON; its text would name the URL
            self.logger.warning("%s: %s", self.service_name, type(error).__name__)
            return False
        if isinstance(answer, dict) and answer.get("errcode") == 0:
            return True
        words = f"errcode {answer['errcode']}: {answer.get('errmsg')}" if "errcode" in answer else response.status_code
        self.logger.warning("%s: %s", self.service_name, words)
        return False


class _WeComBot(NotifyWeComBot, _Robot):  # type: ignore[misc]
    def send(self, body: str, title: str = "", **_: Any) -> bool:
        """Send a text; Apprise has put the title into the body, since WeCom's texts have none."""
        return self._post(self.api_url, {"msgtype": "text", "text": {"content": body}})


class _DingTalk(NotifyDingTalk, _Robot):  # type: ignore[misc]
    def send(self, body: str, title: str = "", **_: Any) -> bool:
        """Send a text under its title, signed where the robot has a secret."""
        signature = None
        if self.secret:
            timestamp, sign = self.get_signature()
            signature = {"timestamp": timestamp, "sign": unquote(sign)}  # requests quotes it
        content = f"{title}\n{body}" if title else body
        message = {"msgtype": "text", "text": {"content": content}, "at": {"atMobiles": self.targets}}
        return self._post(self.notify_url.format(token=self.token), message, signature)


for _robot in (_WeComBot, _DingTalk):
    NotificationManager().add(_robot, force=True)
