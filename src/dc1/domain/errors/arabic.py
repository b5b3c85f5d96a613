"""Refusals in Arabic, by their English texts; what varies stands in braces and is carried over as it is."""

from collections.abc import Mapping

from dc1.domain.base.phrasebook import Phrasebook
from dc1.domain.errors.base import ApiError

_TEXTS: Mapping[str, str] = {
    # Requests
    "Malformed JSON body": "نص الطلب ليس JSON صالحًا",
    "Malformed URL": "عنوان الطلب غير صالح",
    "Missing required fields: {names}": "حقول مطلوبة ناقصة: {names}",
    "Validation failed": "بعض الحقول غير صالحة",
    "Invalid {field}. Allowed: {allowed}": "قيمة {field} غير صالحة. المسموح: {allowed}",
    "Request body too large": "نص الطلب أكبر من الحد المسموح",
    "Rate limit exceeded": "تجاوزت حد عدد الطلبات، حاول بعد قليل",
    "Internal error": "حدث خطأ غير متوقع",
    "Heartbeat failed": "تعذّر استقبال النبض",
    "Registration failed": "تعذّر التسجيل",
    "Job submission failed": "تعذّر إرسال المهمة",
    "Failed to fetch dashboard": "تعذّر جلب لوحة المعلومات",
    "Service unavailable": "الخدمة غير متاحة الآن",
    "Upstream timeout": "انتهت مهلة الطلب قبل وصول الجواب",
    "Database does not answer": "قاعدة البيانات لا تستجيب",
    "Database cannot be written": "تعذّر الحفظ في قاعدة البيانات",
    "It is not known whether this was done": "لا يُعرف هل نُفّذ هذا الطلب أم لا",
    "Idempotency-Key must be at most 255 characters": "يجب ألا يزيد Idempotency-Key على 255 حرفًا",
    "Idempotency-Key was already used with a different request": "استُخدم Idempotency-Key هذا من قبل مع طلب مختلف",
    "A request with this Idempotency-Key is in progress": "طلب آخر بقيمة Idempotency-Key نفسها قيد التنفيذ",
    "reason is required": "الحقل reason مطلوب",
    "confirm must be DELETE_MY_ACCOUNT": "يجب أن تكون قيمة confirm هي DELETE_MY_ACCOUNT",
    # Keys and rights
    "API key required": "مفتاح API مطلوب",
    "api_key required": "الحقل api_key مطلوب",
    "Invalid API key": "مفتاح API غير صالح",
    "API key has expired": "انتهت صلاحية مفتاح API",
    "Renter API key required (x-renter-key header or renter_key query)": (
        "مفتاح المستأجر مطلوب (في الترويسة x-renter-key أو المعامل renter_key)"
    ),
    "Renter API key required (Authorization: Bearer, x-renter-key or x-api-key)": (
        "مفتاح المستأجر مطلوب (Authorization: Bearer أو x-renter-key أو x-api-key)"
    ),
    "Invalid or inactive renter API key": "مفتاح المستأجر غير صالح أو معلّق",
    "Admin access denied": "الدخول مقصور على المدير",
    "Admin token not configured": "لم يُضبط رمز المدير على هذا الخادم",
    "Access denied: IP not in allowlist": "الدخول مرفوض: عنوان IP ليس في قائمة المسموح لهم",
    "Wrong key type: provider key cannot be used on renter endpoint": (
        "نوع المفتاح خاطئ: لا يصلح مفتاح المزود لمسارات المستأجر"
    ),
    "Wrong key type: renter key cannot be used on provider endpoint": (
        "نوع المفتاح خاطئ: لا يصلح مفتاح المستأجر لمسارات المزود"
    ),
    "Account suspended": "الحساب معلّق",
    "Forbidden": "لا تملك صلاحية الوصول إلى هذا",
    "Not found": "غير موجود",
    "File not found": "الملف غير موجود",
    "API key lacks scope: {scope}": "ينقص مفتاح API نطاق الصلاحية: {scope}",
    "Operator lacks role: {role}": "تنقص المشغّل صلاحية: {role}",
    "Operator token is not for: {method}": "رمز المشغّل ليس لهذا الطلب: {method}",
    "Operator not found": "المشغّل غير موجود",
    "Operator name taken": "اسم المشغّل مستخدم",
    "Provider is not approved yet": "لم يُعتمد المزود بعد",
    # Accounts and machines
    "A renter with this email already exists": "يوجد مستأجر بهذا البريد الإلكتروني",
    "A provider with this email already exists": "يوجد مزود بهذا البريد الإلكتروني",
    "Another daemon is connected with this provider's key": "برنامج آخر متصل الآن بمفتاح هذا المزود",
    "Renter not found": "المستأجر غير موجود",
    "Provider not found": "المزود غير موجود",
    "Machine not found": "الجهاز غير موجود",
    "Key not found": "المفتاح غير موجود",
    "Key limit reached": "بلغت الحد الأقصى لعدد المفاتيح",
    "An account has at most {most} machines": "لا يتسع الحساب لأكثر من {most} جهازًا",
    "The first machine is removed with the account": "لا يُزال الجهاز الأول إلا مع الحساب",
    "webhook_url must be a public https URL": "يجب أن يكون webhook_url عنوان https عامًا",
    "Webhooks are not configured": "لم تُضبط الإشعارات البرمجية على هذا الخادم",
    "Channel not found": "قناة الإشعارات غير موجودة",
    "An account has at most {most} channels": "لا يتسع الحساب لأكثر من {most} قنوات إشعار",
    "Channel is not confirmed": "لم تؤكَّد قناة الإشعارات بعد",
    "This is not the code that was mailed": "ليس هذا هو الرمز المرسل بالبريد",
    "The code is no longer valid: remove the channel and add it again": "لم يعد الرمز صالحًا: أزل القناة وأضفها ثانية",
    "Delivery not found": "لا يوجد إرسال بهذا المعرّف",
    "Delivery is still pending": "ما زال هذا الإرسال قيد المحاولة",
    "No webhook_url is set": "لم يُضبط webhook_url لهذا الحساب",
    "GPU profile is reported by the daemon": "مواصفات البطاقة يبلّغ عنها برنامج الجهاز ولا تُكتب يدويًا",
    "gpu_status must be an object": "يجب أن يكون gpu_status كائن JSON",
    "gpu_info must be an object": "يجب أن يكون gpu_info كائن JSON",
    "Rejection reason is required": "سبب الرفض مطلوب",
    "Provider is not pending approval": "المزود ليس بانتظار الاعتماد",
    "The machine cannot be probed now: it is not connected, at work, or its daemon answers no probes": (
        "لا يمكن فحص أداء الجهاز الآن: إما أنه غير متصل أو مشغول أو أن برنامجه لا يجيب عن الفحص"
    ),
    # Money
    "Balance limit exceeded": "يتجاوز الرصيد الحد الأعلى",
    "Balance cannot go below 0": "لا يمكن أن يقل الرصيد عن صفر",
    "Direct top-up is disabled": "الشحن المباشر للمحفظة معطّل",
    "Balance is zero. Please top up your renter wallet before submitting jobs.": (
        "رصيدك صفر. اشحن محفظتك قبل إرسال المهام."
    ),
    "Insufficient balance": "الرصيد غير كافٍ",
    "Insufficient available earnings": "الأرباح المتاحة غير كافية",
    "Daily job submission quota exceeded": "تجاوزت حصة المهام اليومية",
    "Monthly spend quota exceeded": "تجاوزت حد الإنفاق الشهري",
    "Monthly budget of this key exceeded": "تجاوز هذا المفتاح ميزانيته الشهرية",
    "Minimum withdrawal is {minimum} halala": "أقل مبلغ للسحب {minimum} هللة",
    "Invalid IBAN": "رقم الآيبان غير صالح",
    "A withdrawal is already pending": "يوجد طلب سحب لم يُبتّ فيه بعد",
    "Withdrawal not found": "طلب السحب غير موجود",
    "Cannot change withdrawal from {current} to {requested}": "لا يمكن نقل طلب السحب من {current} إلى {requested}",
    "Ledger entry not found": "القيد غير موجود",
    "Ledger entry cannot be reversed": "لا يمكن عكس هذا القيد",
    "Ledger entry is already reversed": "عُكس هذا القيد من قبل",
    "The job has no charge to give back": "لم تُحمَّل هذه المهمة أي كلفة تُرد",
    "The charge is given back already": "رُدّت كلفة هذه المهمة من قبل",
    "Price not found": "السعر غير موجود",
    # Jobs
    "Invalid gpu_requirements.gpu_type '{value}'. Allowed values: {allowed}": (
        "قيمة gpu_requirements.gpu_type غير صالحة: '{value}'. القيم المسموحة: {allowed}"
    ),
    "NOTEBOOK_TOKEN must be a unique, non-default value": "يجب أن تكون قيمة NOTEBOOK_TOKEN فريدة لا افتراضية",
    "Raw Python task_spec is not allowed": "لا يُسمح بإرسال شيفرة Python في task_spec",
    "container_spec.image_type is required": "الحقل container_spec.image_type مطلوب",
    "{field} is not approved": "الصورة في {field} غير معتمدة",
    "Template not found": "القالب غير موجود",
    "Image not found": "صورة الحاوية غير موجودة",
    "Provider is not online": "المزود غير متصل",
    "Provider costs more than max_rate_halala_per_minute": "سعر المزود أعلى من max_rate_halala_per_minute",
    "Provider does not meet GPU requirements": "المزود لا يفي بمتطلبات البطاقة",
    "Provider does not serve model '{model}'": "المزود لا يشغّل النموذج '{model}'",
    "Job not found": "المهمة غير موجودة",
    "The job ended long ago, and only its bill is kept": "انتهت المهمة منذ زمن ولم يبق منها إلا فاتورتها",
    "Cannot cancel job with status: {status}": "لا يمكن إلغاء مهمة حالتها: {status}",
    "Job is not running": "المهمة ليست قيد التشغيل",
    "Only failed jobs can be retried": "لا تُعاد إلا المهام التي فشلت",
    "A /v1 call cannot be retried; send it again": "لا تُعاد طلبات ‎/v1‎، أرسل الطلب من جديد",
    "Attempt superseded": "حلّت محاولة أحدث محل هذه المحاولة",
    "Job already settled": "سُوّي حساب المهمة من قبل",
    "Job is not settled": "لم يُسوَّ حساب المهمة بعد",
    "result or error is required": "يجب إرسال result أو error",
    "duration_seconds must be a finite number between 0 and {most}": "يجب أن يكون duration_seconds عددًا بين 0 و{most}",
    "Job is not a running vllm_serve job": "المهمة ليست مهمة vllm_serve قيد التشغيل",
    "Output is not available as {format}": "الناتج غير متاح بصيغة {format}",
    # Inference
    "Model '{model}' does not exist": "النموذج '{model}' غير موجود",
    "No provider serves model '{model}' now": "لا يوجد الآن مزود يشغّل النموذج '{model}'",
    "No provider that the call and its key allow serves model '{model}' now": (
        "لا يوجد الآن مزود يسمح به الطلب ومفتاحه ويشغّل النموذج '{model}'"
    ),
    "No provider of model '{model}' serves {path}; it answers on {paths}": (
        "لا مزود للنموذج '{model}' يخدم {path}، وهو يجيب على {paths}"
    ),
    "No provider of model '{model}' serves {path}": "لا مزود للنموذج '{model}' يخدم {path}",
    "Every provider of model '{model}' is busy": "كل مزودي النموذج '{model}' مشغولون الآن",
    "The model took too long to answer": "تأخر النموذج في الجواب أكثر من المسموح",
}
# What an engine, a rule of one field or a route says in words of its own.
_OF_STATUS: Mapping[int, str] = {
    400: "الطلب غير صالح",
    401: "بيانات الدخول ناقصة أو غير صالحة",
    402: "الرصيد غير كافٍ",
    403: "لا تملك صلاحية الوصول إلى هذا",
    404: "غير موجود",
    409: "يتعارض الطلب مع الحالة الراهنة",
    410: "لم يعد متاحًا",
    413: "نص الطلب أكبر من الحد المسموح",
    422: "تعذّرت معالجة الطلب",
    429: "تجاوزت حد عدد الطلبات، حاول بعد قليل",
    503: "الخدمة غير متاحة الآن",
    504: "انتهت مهلة الطلب قبل وصول الجواب",
}
_UNEXPECTED = "حدث خطأ غير متوقع"
_BOOK = Phrasebook(_TEXTS)


def in_arabic(error: ApiError) -> str:
    """Return the text of a refusal in Arabic, or where it has words of its own what its status says."""
    return translated(error.message) or _OF_STATUS.get(error.status, _UNEXPECTED)


def translated(text: str) -> str | None:
    """Return a text of the catalogue in Arabic, None for one that is not in it."""
    return _BOOK.in_arabic(text)
