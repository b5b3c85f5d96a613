"""What the market says of a job, in Arabic: why it failed, what it waits for, and the lines of its bill."""

from collections.abc import Iterator, Mapping
from typing import Final

from dc1.domain.base.phrasebook import Phrasebook
from dc1.domain.jobs import failure_texts, states

_FAILURES: Mapping[str, str] = {
    states.JOB_TIMED_OUT: "انتهت مهلة المهمة",
    states.NO_WORK_SHOWN: "لم يُظهر المزود عملًا حتى انتهت المهلة",
    states.NOTHING_HANDED_BACK: "لم يسلّم المزود شيئًا",
    states.PARTLY_LOST: "ضاع جزء من الأجوبة في الطريق",
    states.SOMETHING_ELSE: "سلّم المزود غير ما طُلب",
    states.NO_PROVIDER_IN_TIME: "لم يتوفر مزود في الوقت المحدد",
    failure_texts.RUN_FAILED: "فشل التشغيل",
    failure_texts.OFFER_DECLINED: "اعتذر المزود عن العرض",
    "The run needed more memory than there is": "احتاج التشغيل ذاكرة أكثر من الموجودة",
    "The image could not be pulled": "تعذّر تنزيل الصورة",
    "The provider disconnected": "انقطع المزود",
    "The parameters of the job were refused": "رُفضت معاملات المهمة",
    "The result cannot be read": "تتعذّر قراءة النتيجة",
    "The container could not be created": "تعذّر إنشاء الحاوية",
    "The provider's engine failed": "تعطّل محرك المزود",
    "The provider's engine is busy": "محرك المزود مشغول",
    "The provider's driver failed": "تعطّل برنامج تشغيل البطاقة عند المزود",
    "The provider's disk failed": "تعطّل قرص المزود",
    "The provider lost its GPU": "فقد المزود بطاقته",
    "The server stopped while the job ran": "توقف الخادم أثناء تنفيذ المهمة",
    "The server stopped while the call ran": "توقف الخادم أثناء الطلب",
    "An operator ended the job": "أنهى مشغّل المهمة",
    "CUDA out of memory": "نفدت ذاكرة CUDA",
    f"{failure_texts.PROMPT_TOO_LONG} {{count}} tokens of context": "السؤال أطول من سياق النموذج، وهو {count} رمز",
    f"{failure_texts.PROMPT_TOO_LONG} context": "السؤال أطول من سياق النموذج",
    "Killed, most likely for using more memory than its limit": "أُوقف، والأرجح لتجاوزه حد الذاكرة",
    "The program ended with exit code {code}": "انتهى البرنامج برمز الخروج {code}",
    "Stopped at its deadline after {seconds} s": "أُوقف عند مهلته بعد {seconds} ثانية",
    "The result is larger than {count} bytes": "النتيجة أكبر من {count} بايت",
    "The result has more than {count} values": "في النتيجة أكثر من {count} قيمة",
    "The result is not JSON": "النتيجة ليست JSON",
    "What follows DC1_RESULT_JSON: is not {what}": "ما بعد DC1_RESULT_JSON: ليس JSON كما ينبغي",
    "params.{name} must be a number from {least} to {most}": "يجب أن يكون params.{name} عددًا من {least} إلى {most}",
    "params.prompt or params.messages is required": "params.prompt أو params.messages مطلوب",
    "params.messages has more than {count} entries": "في params.messages أكثر من {count} عنصر",
    "params.messages must hold objects": "يجب أن تكون عناصر params.messages كائنات",
    "params.messages: role must be one of {roles}": "params.messages: يجب أن يكون role واحدًا من {roles}",
    "params.messages: content must be text": "params.messages: يجب أن يكون content نصًا",
    "params.messages: only text content is supported": "params.messages: لا يُدعم إلا المحتوى النصي",
    "container_spec.image is required for this kind of job": "container_spec.image مطلوب لهذا النوع من المهام",
    "The name or value of an environment variable is not valid": "اسم متغير بيئة أو قيمته غير صالح",
    "An environment variable must not be set by a job": "لا يجوز لمهمة ضبط أحد متغيرات البيئة المرسلة",
    "The image declares volumes that no container is given": "تعلن الصورة وحدات تخزين لا تُعطى لحاوية",
    "The image's user is root, or none that it has": "مستخدم الصورة هو root أو لا وجود له فيها",
    "An environment variable is too large to pass to a container": "متغير بيئة أكبر من أن يُمرَّر إلى حاوية",
    "The job needs {count} GPUs and {free} are free": "تحتاج المهمة {count} من البطاقات والشاغر منها {free}",
    "The command cannot be run in the image": "لا يمكن تشغيل الأمر في الصورة",
    "The job needs a GPU and the provider can give it none": "تحتاج المهمة بطاقة وليس عند المزود ما يعطيها",
    "{taken} of the provider's {count} slots are taken": "مواضع المزود {count} والمشغول منها {taken}",
    "The provider's engine takes {count} calls at once and is at {taken}": (
        "يقبل محرك المزود {count} من الطلبات معًا وعنده منها {taken}"
    ),
    "The model is not served by the provider": "لا يخدم المزود هذا النموذج",
    "The image is not approved by the provider": "لم يعتمد المزود هذه الصورة",
    "The provider's daemon was stopped": "أُوقف برنامج المزود",
    "The provider's engine passes over {key}": "يتجاهل محرك المزود {key}",
    "The model makes embeddings of {made} numbers and not of {wanted}": (
        "ينتج النموذج متجهات طولها {made} لا {wanted}"
    ),
    "The provider's engine gives fewer answers than n": "يعطي محرك المزود أجوبة أقل من n",
    "The provider's engine does not have a tool called that must be": (
        "لم يستدعِ محرك المزود أداةً كان استدعاؤها مطلوبًا"
    ),
    "The model takes no pictures": "لا يقبل النموذج صورًا",
    "The model takes no sound": "لا يقبل النموذج صوتًا",
    "The model cannot fill in a text": "لا يستطيع النموذج ملء نص ناقص",
    "The provider's engine knows no response_format of such a type": "لا يعرف محرك المزود response_format من هذا النوع",
    "The provider's engine knows no tools of such a kind, or not in this form": (
        "لا يعرف محرك المزود أدوات من هذا النوع أو بهذه الصورة"
    ),
    "The provider's engine cannot hold an answer to that schema": "لا يستطيع محرك المزود إلزام الجواب بهذا المخطط",
    "The provider's engine answered {status}": "أجاب محرك المزود بالحالة {status}",
    "The answer of the provider's engine broke off": "انقطع جواب محرك المزود",
    "The provider's engine goes on beyond what was asked of it": "يتجاوز جواب محرك المزود ما طُلب منه",
    "The provider's engine stopped": "توقف محرك المزود",
    "The provider's engine could not load the model": "تعذّر على محرك المزود تحميل النموذج",
    "The provider's engine could not be reached": "تعذّر الوصول إلى محرك المزود",
    "The provider has no container engine": "ليس عند المزود محرك حاويات",
}
_WAITS: Mapping[str, str] = {
    "its turn: other jobs come first": "دورها: تسبقها مهام أخرى",
    "1 machine fits and is busy": "جهاز واحد مناسب وهو مشغول",
    "2 machines fit, both busy": "جهازان مناسبان وكلاهما مشغول",
    "{count} machines fit, all busy": "الأجهزة المناسبة {count} وكلها مشغولة",
    "the named machine would fit and {is} not there now": "الجهاز المسمى مناسب وليس متصلًا الآن",
    "the named machine cannot run it": "لا يستطيع الجهاز المسمى تنفيذها",
    "no machine that is there meets all of its conditions": "لا يستوفي شروطها كلها جهاز متصل",
    "no machine is there": "لا يوجد جهاز",
    "no machine offers this model": "لا يعرض هذا النموذج جهاز",
    "no machine has this GPU": "ليس في جهاز هذه البطاقة",
    "no machine has so much VRAM": "ليس في جهاز هذا القدر من ذاكرة البطاقة",
    "no machine has a GPU with CUDA": "ليس في جهاز بطاقة تدعم CUDA",
    "no machine has so many GPUs": "ليس في جهاز هذا العدد من البطاقات",
    "no machine runs this kind of work": "لا ينفذ هذا النوع من العمل جهاز",
}
# Of so many machines, which the English sentence counts in one of two forms.
_NEARLY: Mapping[str, str] = {
    "would fit and {is} not there now": "وليست متصلة الآن",
    "would fit and cost more than the job is held for": "وكلفتها أكثر مما حُجز للمهمة",
    "would fit and the key allows none of them": "ولا يسمح المفتاح بأي منها",
    "would fit and had the job before": "وكانت المهمة عندها من قبل",
    "would fit and can only be given a command or a prompt of text": "ولا تُعطى إلا أمرًا أو سؤالًا نصيًا",
    "would fit and runs nothing for longer than {most} seconds": "ولا تشغّل شيئًا أكثر من {most} ثانية",
}
_BILL: Mapping[str, str] = {
    "Pulling and loading (free)": "التنزيل والتحميل (مجانًا)",
    "Tokens": "الرموز",
    "Running": "التشغيل",
}
_BLAME: Mapping[str, str] = {
    "The job's own program or order failed": "فشل برنامج المهمة أو طلبها",
    "The provider failed": "تعطّل المزود",
    "The market ended the job": "أنهى السوق المهمة",
    "Cancelled by the renter": "ألغاها المستأجر",
    "Cancelled by an operator": "ألغاها مشغّل",
    "The job did not complete": "لم تكتمل المهمة",
}
_CHARGED: Mapping[str, str] = {
    "nothing": "لا يُخصم شيء",
    "the time used": "يُخصم الوقت المستخدم",
    "what was answered": "يُخصم ما أُجيب",
}


def _texts() -> Iterator[tuple[str, str]]:
    for phrases in (_FAILURES, _WAITS, _BILL):
        yield from phrases.items()
    for english, arabic in _NEARLY.items():
        for machines in ("machine", "machines"):
            yield f"{{count}} {machines} {english}", f"الأجهزة المناسبة {{count}}، {arabic}"
    for blamed, whom in _BLAME.items():
        for charged, what in _CHARGED.items():
            yield f"{blamed}: {charged} is charged", f"{whom}: {what}"


JOB_PHRASES: Final = Phrasebook(dict(_texts()))
