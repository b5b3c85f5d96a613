// Texts of the console's frame: signing in and out, and each role's first page.

import { catalogue } from "../runtime/language.js";

export default catalogue(
  {
    signIn: "Sign in",
    signInNote:
      "With the key of your account, or an operator's token. It is kept in this tab until you close it or sign out, and nowhere else.",
    key: "Key or token",
    keyHint: "For example",
    /** @param {string} name */
    toolToken: (name) => `This token is for the methods of ${name} alone, and opens no console.`,
    noSuchKey: "Nobody has this key. Look whether it was copied whole.",
    signOut: "Sign out",
    ending: "This tab was not used for almost half an hour. You will be signed out in a minute.",
    stay: "Stay signed in",
    endedBy: {
      key: "You were signed out: your key does not work any more. It was replaced or revoked, or its time was up.",
      idle: "You were signed out, as nobody used this tab for half an hour.",
    },
    noKey: "No key yet?",
    register: "Open an account",
    as: "What for",
    asOf: { renter: "To use GPUs", owner: "To rent out GPUs" },
    name: "Name",
    email: "E-mail",
    gpu: "GPU model",
    gpuHint: "What your machine has; the daemon tells the market itself. It may be left empty.",
    registered: "The account is open. This is its key, which is shown this once: keep it somewhere safe.",
    keyIsKept: "I have kept it, go on",
    signedInAs: {
      admin: "You are signed in as an operator.",
      renter: "You are signed in to a renter's account:",
      owner: "You are signed in to an owner's account:",
    },
    signOutFirst: "To open another account, sign out first. You come back to this one with its key.",
    signOutAndRegister: "Sign out and go on",
    toOwnPages: "Back to my pages",
    roles: { admin: "Admin", renter: "Renter", owner: "Owner" },
  },
  {
    signIn: "دخول",
    signInNote:
      "بمفتاح حسابك أو برمز مشغّل. يبقى المفتاح في هذه النافذة إلى أن تغلقها أو تخرج، ولا يُحفظ في أي مكان آخر.",
    key: "المفتاح أو الرمز",
    keyHint: "مثل",
    toolToken: (name) => `هذا الرمز لطرق ${name} وحدها، ولا يفتح لوحة التحكم.`,
    noSuchKey: "لا صاحب لهذا المفتاح. تأكّد من أنك نسخته كاملًا.",
    signOut: "خروج",
    ending: "لم يستخدم أحد هذه النافذة منذ نصف ساعة تقريبًا، وستُخرَج من حسابك بعد دقيقة.",
    stay: "ابقَ في حسابك",
    endedBy: {
      key: "أُخرجت من حسابك لأن مفتاحك لم يعد صالحًا: استُبدل أو أُلغي أو انتهت مدته.",
      idle: "أُخرجت من حسابك لأن أحدًا لم يستخدم هذه النافذة منذ نصف ساعة.",
    },
    noKey: "ليس لديك مفتاح؟",
    register: "افتح حسابًا",
    as: "الغرض",
    asOf: { renter: "لأستخدم البطاقات", owner: "لأؤجّر بطاقاتي" },
    name: "الاسم",
    email: "البريد الإلكتروني",
    gpu: "طراز البطاقة",
    gpuHint: "ما في جهازك؛ ويبلّغ البرنامج السوق به بنفسه، فيمكنك تركه فارغًا.",
    registered: "فُتح الحساب. هذا مفتاحه، ولا يظهر إلا هذه المرة، فاحفظه في مكان آمن.",
    keyIsKept: "حفظته، تابع",
    signedInAs: {
      admin: "أنت داخل بصفة مشغّل.",
      renter: "أنت داخل إلى حساب مستأجر:",
      owner: "أنت داخل إلى حساب مالك:",
    },
    signOutFirst: "لتفتح حسابًا آخر اخرج من هذا أولًا، وتعود إليه بمفتاحه متى شئت.",
    signOutAndRegister: "اخرج وتابع",
    toOwnPages: "عُد إلى صفحاتي",
    roles: { admin: "مدير", renter: "مستأجر", owner: "مالك" },
  },
);
