"""What the market says of a machine's GPU, in Arabic: made of the same facts, part by part."""

from collections.abc import Mapping
from typing import Final

from dc1.domain.base.phrasebook import Phrasebook
from dc1.domain.gpus.card_health import FATAL_XIDS

_BETWEEN = "; "
_MEASURED = "when it was measured: "
_ERRORS: Mapping[int, str] = {
    48: "خطأ ECC مزدوج",
    62: "توقف المتحكم الداخلي",
    64: "فشل استبدال صفوف الذاكرة",
    74: "خطأ في NVLink",
    79: "انفصلت البطاقة عن الناقل",
    94: "خطأ ذاكرة محصور",
    95: "خطأ ذاكرة غير محصور",
    119: "لا يجيب معالج النظام في البطاقة",
    120: "تعطّل معالج النظام في البطاقة",
    140: "خطأ ECC لم يُصلَح",
    143: "تتعذّر تهيئة البطاقة",
}
_PARTS: Mapping[str, str] = {
    # First, as the count of one further down would take them for a number of errors.
    "GPU {card} is given no work: {count} new uncorrected ECC errors": (
        "لا تُعطى البطاقة {card} عملًا: أخطاء ECC الجديدة غير المصححة {count}"
    ),
    **{
        f"GPU {{card}} is given no work: Xid {xid}, {english}": f"لا تُعطى البطاقة {{card}} عملًا: Xid {xid}، {_ERRORS[xid]}"
        for xid, english in FATAL_XIDS.items()
    },
    "No {gpu} has {mib} MiB of VRAM": "لا توجد بطاقة {gpu} ذاكرتها {mib} ميبيبايت",
    "No {gpu} does {tops} TOPS and {gbps} GB/s": (
        "لا تبلغ بطاقة {gpu} هذا الأداء: {tops} تيرا عملية و{gbps} غيغابايت في الثانية"
    ),
    "Measured at the same time as a machine at the same address, both together did what one {gpu} does": (
        "قيس مع جهاز آخر من العنوان نفسه في وقت واحد، فبلغا معًا ما تبلغه بطاقة {gpu} واحدة"
    ),
    "The probe of its GPU failed: {what}": "فشل فحص أداء بطاقته: {what}",
    "Measured {tops} TOPS and {gbps} GB/s": "قيس بـ{tops} تيرا عملية و{gbps} غيغابايت في الثانية",
    (
        "any healthy {gpu} does at least {tops} and {gbps}, and it costs what the cheapest card does that does as much"
    ): "وتبلغ كل بطاقة {gpu} سليمة {tops} و{gbps} على الأقل، فسعره سعر أرخص بطاقة تبلغ ما بلغ",
    "it multiplied by floats, which newer versions of PyTorch do by integers": (
        "وقد ضرب بأعداد عشرية، وتفعلها إصدارات PyTorch الأحدث بأعداد صحيحة"
    ),
    "throttled by {reasons}": "خفّض سرعتها: {reasons}",
    "its power limit is {limit} W and by default {usual} W": "حد طاقتها {limit} واط والمعتاد {usual} واط",
    "{count} uncorrected ECC errors": "أخطاء ECC غير المصححة: {count}",
    "{count} corrected ECC errors": "أخطاء ECC المصححة: {count}",
}
_PHRASES: Final = Phrasebook(_PARTS)


def hardware_in_arabic(said: str | None) -> str | None:
    """Return a notice of a machine's GPU in Arabic; None for none, and for words that are not the market's own."""
    parts = [_part(part) for part in said.split(_BETWEEN)] if said else []
    known = [part for part in parts if part is not None]
    # All or nothing: half of a sentence in each language helps nobody.
    return "؛ ".join(known) if known and len(known) == len(parts) else None


def _part(said: str) -> str | None:
    is_cause = said.startswith(_MEASURED)
    arabic = _PHRASES.in_arabic(said.removeprefix(_MEASURED))
    return f"عند قياسه: {arabic}" if arabic is not None and is_cause else arabic
