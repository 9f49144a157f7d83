"""Where mail goes out: the one description of an SMTP server, shared by the digest and the mail catcher."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from early_warning.problems import ConfigurationError, Problem
from early_warning.settings import is_email

DEFAULT_FROM = "early-warning@early-warning.invalid"
_FORM = (
    "smtp://user:password@host:port?starttls=1&from=name@example.com&per_minute=60 (smtps:// for TLS from the first"
    " byte; all but the host may be left out)"
)


@dataclass(frozen=True)
class SmtpSettings:
    """An SMTP server and the address that mail is sent from. The password never shows in a repr or a log.

    `ssl` means TLS from the first byte (port 465), `starttls` an upgrade of a plain connection (port 587);
    `per_minute` is how many mails the server takes in a minute, None for any number; `timeout_seconds` bounds every
    single command.
    """

    host: str
    port: int = 25
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    starttls: bool = False
    from_address: str = DEFAULT_FROM
    ssl: bool = False
    per_minute: int | None = None
    timeout_seconds: float = 30.0

    @classmethod
    def from_url(cls, url: str) -> SmtpSettings:
        """Read `smtp://user:password@host:port?starttls=1&from=name@example.com&per_minute=60`.

        All but the host may be left out. Reserved characters in user and password are percent-encoded.

        Raises:
            ConfigurationError: the URL can't be used; it is not repeated in the message, since it may hold a password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
            query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        except ValueError:
            raise _wrong("can't be read as a URL") from None
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise _wrong("is not of the form smtp://host")
        unknown = sorted(query.keys() - {"starttls", "from", "per_minute"})
        if unknown:
            raise _wrong(f"has an unknown setting {unknown[0]!r}")
        starttls = query.get("starttls", ["0"])[-1].lower()
        if starttls not in ("0", "1", "false", "true"):
            raise _wrong("has a starttls that is neither 0 nor 1")
        sender = query.get("from", [DEFAULT_FROM])[-1]
        if not is_email(sender):
            raise _wrong("has a from that is not one plain e-mail address")
        per_minute = query.get("per_minute", [None])[-1]
        if per_minute is not None and not re.fullmatch("[1-9][0-9]{0,5}", per_minute):
            raise _wrong("has a per_minute that is no number of mails")
        is_ssl, is_starttls = parts.scheme == "smtps", starttls in ("1", "true")
        return cls(
            host=parts.hostname,
            port=port or (465 if is_ssl else 587 if is_starttls else 25),
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            starttls=is_starttls,
            from_address=sender,
            ssl=is_ssl,
            per_minute=int(per_minute) if per_minute else None,
        )


def _wrong(what: str) -> ConfigurationError:
    return ConfigurationError([Problem(f"the SMTP address {what}", f"write it as {_FORM}")])
