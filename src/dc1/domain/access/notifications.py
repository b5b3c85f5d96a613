"""Notifications: what people are told where they read anyway, in which words, and how each place wants to be told."""

import re
import secrets
from collections.abc import Mapping
from enum import StrEnum
from html import escape

from dc1.domain.access.roles import Role
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.base.languages import Language
from dc1.mail_server import is_mail_address

RETRY_SECONDS = (5, 60, 600, 3600)
"""How long to wait after each failed attempt; after the last of these waits comes the last attempt."""

MOST_CHANNELS = 10
CODE_TRIES = 5
"""How often a code may be guessed; of 10^8 codes that is one in twenty million for each mail that is asked for."""

CODE_HOURS = 24
_CODE_DIGITS = 8
_SLACK = "https://hooks.slack.com/services/"
# The bot's token and the chat, which is a number or the name of a public channel.
_TELEGRAM = re.compile(r"(\d{5,20}:[\w-]{20,80})/(-?\d{1,20}|@\w{3,64})", re.ASCII)
_SHOWN = 120


class ChannelKind(StrEnum):
    """Where somebody is told."""

    SLACK = "slack"
    TELEGRAM = "telegram"
    WEBHOOK = "webhook"
    EMAIL = "email"


class NotificationEvent(StrEnum):
    """What somebody is told of."""

    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    BALANCE_LOW = "balance.low"
    BUDGET_THRESHOLD = "budget.threshold"
    MACHINE_APPROVED = "machine.approved"
    PAYOUT_PAID = "payout.paid"
    APPROVAL_WAITING = "approval.waiting"
    WITHDRAWAL_REQUESTED = "withdrawal.requested"
    MACHINE_OFFLINE = "machine.offline"
    MACHINE_MISMATCH = "machine.mismatch"
    FLEET_ALERT = "fleet.alert"
    BACKUP_FAILED = "backup.failed"
    TEST = "test"
    CONFIRMATION = "confirmation"


EVENTS_OF: Mapping[Role, tuple[NotificationEvent, ...]] = {
    Role.RENTER: (
        NotificationEvent.JOB_COMPLETED,
        NotificationEvent.JOB_FAILED,
        NotificationEvent.JOB_CANCELLED,
        NotificationEvent.BALANCE_LOW,
        NotificationEvent.BUDGET_THRESHOLD,
    ),
    Role.PROVIDER: (
        NotificationEvent.MACHINE_APPROVED,
        NotificationEvent.MACHINE_OFFLINE,
        NotificationEvent.MACHINE_MISMATCH,
        NotificationEvent.PAYOUT_PAID,
    ),
    Role.ADMIN: (
        NotificationEvent.APPROVAL_WAITING,
        NotificationEvent.WITHDRAWAL_REQUESTED,
        NotificationEvent.FLEET_ALERT,
        NotificationEvent.BACKUP_FAILED,
    ),
}
"""What each role may be told of."""

_TEXTS: Mapping[NotificationEvent, Mapping[Language, str]] = {
    NotificationEvent.JOB_COMPLETED: {
        "en": "Job {job_id} completed. It cost {cost_halala} halala.",
        "ar": "اكتملت المهمة {job_id}. كلفتها {cost_halala} هللة.",
    },
    NotificationEvent.JOB_FAILED: {"en": "Job {job_id} failed: {error}", "ar": "فشلت المهمة {job_id}: {error}"},
    NotificationEvent.JOB_CANCELLED: {"en": "Job {job_id} was cancelled.", "ar": "أُلغيت المهمة {job_id}."},
    NotificationEvent.BALANCE_LOW: {
        "en": "Your wallet is low: {balance_halala} halala are left.",
        "ar": "رصيد محفظتك منخفض: بقي {balance_halala} هللة.",
    },
    NotificationEvent.BUDGET_THRESHOLD: {
        "en": "{percent} % of this month's budget is used: {used_halala} of {limit_halala} halala.",
        "ar": "استُهلك {percent}٪ من ميزانية هذا الشهر: {used_halala} من {limit_halala} هللة.",
    },
    NotificationEvent.MACHINE_APPROVED: {
        "en": "Machine {machine_id} was approved and may take jobs.",
        "ar": "اعتُمد الجهاز {machine_id} وصار بإمكانه تنفيذ المهام.",
    },
    NotificationEvent.PAYOUT_PAID: {
        "en": "Your withdrawal of {amount_halala} halala was paid ({withdrawal_id}).",
        "ar": "حُوّل مبلغ طلب السحب {withdrawal_id} وقدره {amount_halala} هللة.",
    },
    NotificationEvent.APPROVAL_WAITING: {
        "en": "Machine {machine_id} ({name}) waits for approval.",
        "ar": "الجهاز {machine_id} ({name}) بانتظار الاعتماد.",
    },
    NotificationEvent.WITHDRAWAL_REQUESTED: {
        "en": "Provider {provider_id} asks for {amount_halala} halala ({withdrawal_id}).",
        "ar": "طلب المزود {provider_id} سحب {amount_halala} هللة ({withdrawal_id}).",
    },
    NotificationEvent.MACHINE_OFFLINE: {
        "en": "Machine {machine_id} ({name}) is offline.",
        "ar": "انقطع الجهاز {machine_id} ({name}) عن السوق.",
    },
    NotificationEvent.MACHINE_MISMATCH: {
        "en": "Machine {machine_id} ({name}) cannot be the GPU that it reports, and waits for an operator's decision.",
        "ar": "لا يطابق الجهاز {machine_id} ({name}) البطاقة المعلن عنها، وهو بانتظار قرار المشغّل.",
    },
    NotificationEvent.FLEET_ALERT: {
        "en": "{reason} at {count} machines: {machine_ids}",
        "ar": "تنبيه {reason} في أجهزة عددها {count}: {machine_ids}",
    },
    NotificationEvent.BACKUP_FAILED: {
        "en": "A backup failed: {error}",
        "ar": "فشل النسخ الاحتياطي: {error}",
    },
    NotificationEvent.TEST: {
        "en": "This is a test: notifications of the market arrive here.",
        "ar": "هذه رسالة تجربة: ستصل إشعارات السوق إلى هنا.",
    },
    # Nothing of the account: whoever registered may not be who reads this.
    NotificationEvent.CONFIRMATION: {
        "en": "{code} is the code that lets the market send notifications here. If you did not ask for it, do nothing.",
        "ar": "{code} هو الرمز الذي يأذن للسوق بإرسال الإشعارات إلى هنا. إن لم تطلبه فلا تفعل شيئًا.",
    },
}


def text_of(event: NotificationEvent, language: Language, facts: Mapping[str, JsonValue]) -> str:
    """Return what is said of an event, as plain text of one line."""
    shown = {name: " ".join(str(value).split())[:_SHOWN] for name, value in facts.items()}
    return re.sub(r"\{(\w+)\}", lambda found: shown.get(found[1], ""), _TEXTS[event][language])


def new_code() -> str:
    """Return digits that only who reads a mail can know."""
    return f"{secrets.randbelow(10**_CODE_DIGITS):0{_CODE_DIGITS}}"


def channel_purpose(kind: ChannelKind) -> str:
    """Return what a target is sealed for, so that it opens for nothing else."""
    return f"notifications by {kind}"


def is_target(kind: ChannelKind, target: str) -> bool:
    """Tell whether a channel can be reached at `target`, as far as its form says."""
    if kind is ChannelKind.TELEGRAM:
        return _TELEGRAM.fullmatch(target) is not None
    if kind is ChannelKind.EMAIL:
        return is_mail_address(target)
    return target.startswith(_SLACK if kind is ChannelKind.SLACK else "https://")


def hint_of(kind: ChannelKind, target: str) -> str:
    """Return what may be shown of a target: of Telegram the chat, of mail its address, else no more than the host."""
    if kind is ChannelKind.EMAIL:
        return target
    if kind is ChannelKind.TELEGRAM:
        return target.partition("/")[2]
    # Whatever follows the host may be what opens the channel.
    return re.split(r"[/?#\\]", target.removeprefix("https://"), maxsplit=1)[0].rpartition("@")[2]


def address_of(kind: ChannelKind, target: str) -> str:
    """Return the https address to which a channel's messages are sent."""
    if kind is ChannelKind.TELEGRAM:
        return f"https://api.telegram.org/bot{target.partition('/')[0]}/sendMessage"
    return target


def message_for(kind: ChannelKind, target: str, event: str, text: str, facts: JsonObject, at: str) -> JsonObject:
    """Return the JSON that a channel takes; what strangers wrote is text there and nothing else."""
    if kind is ChannelKind.TELEGRAM:
        # Without a parse mode: what would be markup is shown as it is.
        return {"chat_id": target.partition("/")[2], "text": text, "disable_web_page_preview": True}
    if kind is ChannelKind.SLACK:
        # Mentions and links of Slack's markup begin with these three.
        return {"text": escape(text, quote=False), "unfurl_links": False}
    return {"event": event, "text": text, "timestamp": at, "facts": facts}
