"""The digest room: who is told what (select), in which words (words, render), and that it arrives (outbox, deliver).

Mail is a ledger: `compose` writes every mail of a cut-off into `ops.outbox` in one transaction under deterministic
keys, `send_owed` sends what is pending there and keeps the receipts. So nothing is told twice and nothing is lost.
"""

from early_warning.digest.composition import compose
from early_warning.digest.deliver import Notice, SendResult, notify_operators, send_owed
from early_warning.digest.outbox import UnknownMail, outbox_list, outbox_resend, outbox_show, post_chat, refused
from early_warning.digest.review import ROLES as REVIEW_ROLES
from early_warning.digest.review import ChangedRule, Review, is_reviewed, post_review
from early_warning.smtp import SmtpSettings

__all__ = [
    "REVIEW_ROLES",
    "ChangedRule",
    "Notice",
    "Review",
    "SendResult",
    "SmtpSettings",
    "UnknownMail",
    "compose",
    "is_reviewed",
    "notify_operators",
    "outbox_list",
    "outbox_resend",
    "outbox_show",
    "post_chat",
    "post_review",
    "refused",
    "send_owed",
]
