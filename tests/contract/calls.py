"""For every operation of the OpenAPI document a call that succeeds: what it says, and what must be there for it.

An operation that is new to the document must be added here: test_every_route.py makes of this table, and of the
document, a call that succeeds, one without a credential, one with each wrong credential, one about a stranger's object,
and bad input.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dc1.testing.people import J3
from dc1.testing.rest import Json
from tests.contract.inference.paths import COMPLETIONS, EMBEDDINGS, IMAGES, RERANK, SPEECH, TRANSCRIPTIONS, TRANSLATIONS
from tests.contract.scene import CHAT, IBAN, Scene

Body = Json | Callable[[Scene], Json]


@dataclass(frozen=True)
class Call:
    """One that succeeds, where the path's ids are those of a scene."""

    body: Body | None = None
    query: Mapping[str, Any] = field(default_factory=dict)
    # How far the job that the path names has come.
    job: str = "pending"
    # How far the provider has come that the path names, or that calls.
    provider: str = "heard"
    # The file of a form, whose fields are the body.
    file: bytes = b""

    def json(self, scene: Scene) -> Json | None:
        return self.body(scene) if callable(self.body) else self.body


PLAIN = Call()
CONFIRMED = Call({"confirm": "DELETE_MY_ACCOUNT"})
CALLS: Mapping[str, Call] = {
    # Anybody
    **dict.fromkeys(
        ("GetService", "GetHealth", "GetDocumentation", "GetOpenApi", "GetConsole", "GetAsset", "GetInstaller"), PLAIN
    ),
    **dict.fromkeys(
        (
            "GetDaemonVersion",
            "GetDaemonDownload",
            "GetPricing",
            "GetQueueStatus",
            "ListImageNames",
            "ListTemplates",
            "GetTemplate",
            "ListServedModels",
            "GetServedModel",
        ),
        PLAIN,
    ),
    **dict.fromkeys(("ListAvailableProviders", "ListMarketProviders", "ListModels", "ListPublicProviders"), PLAIN),
    "GetProviderLiveness": PLAIN,
    "GetMarketSummary": PLAIN,
    "GetProviderMetrics": Call(query={"period": "24h"}),
    "RegisterRenter": Call(lambda scene: {"name": "Noura", "email": scene.email()}),
    "RegisterProvider": Call(
        lambda scene: {"name": "Najd", "email": scene.email(), "gpu_model": "RTX 4090", "os": "Ubuntu"}
    ),
    # Renters
    **dict.fromkeys(("GetRenter", "GetBalance", "GetSpending", "ExportRenter", "ExportJobs", "RotateRenterKey"), PLAIN),
    **dict.fromkeys(
        ("ListJobs", "ListJobHistory", "ListRenterJobs", "ListRenterKeys", "ListRenterTransactions"), PLAIN
    ),
    **dict.fromkeys(
        ("ListDailyUsage", "ExportDailyUsage", "ListTokenUsage", "ListWebhookDeliveries", "RevokeRenterKey"), PLAIN
    ),
    "CreateRenterKey": Call({"scopes": ["billing"]}),
    "UpdateRenterKey": Call({"monthly_budget_halala": 1}),
    "DeleteRenter": CONFIRMED,
    "GetAnalytics": Call(query={"period": "7d"}),
    "TopUp": Call({"amount_halala": 1}),
    "ResendWebhookDelivery": PLAIN,
    **dict.fromkeys(("ListNotificationChannels", "TestNotificationChannel", "RemoveNotificationChannel"), PLAIN),
    "ConfirmNotificationChannel": Call({"code": "01234567"}),
    "AddNotificationChannel": Call({"kind": "telegram", "target": CHAT}),
    "UpdateRenterSettings": Call({"webhook_url": None}),
    # Jobs
    **dict.fromkeys(
        ("GetJob", "GetJobStatus", "ListJobExecutions", "ListJobLifecycle", "ListJobLogs", "CancelJob"), PLAIN
    ),
    **dict.fromkeys(("StreamJob", "StreamJobLifecycle", "StreamJobLogs"), Call(job="completed")),
    **dict.fromkeys(
        ("StreamFleet", "StreamFleetAlerts", "StreamJobs", "StreamMachines", "StreamQueue"),
        Call(query={"once": "true"}),
    ),
    **dict.fromkeys(("GetJobInvoice", "GetJobOutput"), Call(job="completed")),
    "GetJobOutputImage": Call(job="image"),
    "CompleteJob": Call({}, job="running"),
    **dict.fromkeys(("CreateChatCompletion", "CompleteChat"), Call(lambda scene: scene.question())),
    "CreateCompletion": Call(lambda scene: scene.call_of(COMPLETIONS)),
    "CreateEmbeddings": Call(lambda scene: scene.call_of(EMBEDDINGS)),
    "CreateRerank": Call(lambda scene: scene.call_of(RERANK)),
    "CreateImages": Call(lambda scene: scene.call_of(IMAGES)),
    "CreateSpeech": Call(lambda scene: scene.call_of(SPEECH)),
    "CreateTranscription": Call(lambda scene: scene.call_of(TRANSCRIPTIONS), file=b"ID3"),
    "CreateTranslation": Call(lambda scene: scene.call_of(TRANSLATIONS), file=b"ID3"),
    "CreateMessage": Call(lambda scene: {**scene.question(), "max_tokens": 9}),
    "CountMessageTokens": Call(lambda scene: {"model": scene.model(), "messages": [{"role": "user", "content": "Hi"}]}),
    "CreateResponse": Call(lambda scene: {"model": scene.question()["model"], "input": "Hi"}),
    "RetryJob": Call({}, job="failed"),
    "EstimateJob": Call(J3),
    "SubmitJob": Call(J3),
    # Providers
    **dict.fromkeys(("GetProvider", "GetEarnings", "GetEarningsSummary", "GetPendingChallenge", "NextJob"), PLAIN),
    **dict.fromkeys(("ExportProvider", "ListProviderJobHistory", "ListWithdrawals", "RotateProviderKey"), PLAIN),
    **dict.fromkeys(("GoOnline", "GoOffline", "PauseProvider", "ResumeProvider", "ListDaemonJobs"), Call()),
    **dict.fromkeys(("ListMachines", "RemoveMachine", "RotateMachineKey"), PLAIN),
    "AddMachine": Call({"name": "Second", "gpu_model": "RTX 4090"}),
    "UpdateMachine": Call({"name": "Rack 3, left"}),
    "AppendJobLogs": Call({"lines": [{"message": "one line"}]}, job="running"),
    "BeatProvider": Call({"gpu_utilization": 10}),
    "CreateWithdrawal": Call({"amount_halala": 1000, "iban": IBAN}, provider="paid"),
    "DeleteProvider": CONFIRMED,
    "FailJob": Call({"error": "no"}, job="running"),
    "GetEarningsHistory": Call(query={"period": "30d"}),
    "Heartbeat": Call({"gpu_status": {"temp_c": 60}}),
    "ReportBenchmark": Call({"gpu_model": "RTX 4090", "vram_gb": 24, "tflops": 80}),
    "ReportDaemonEvent": Call({"event_type": "crash", "severity": "error", "details": {"code": 1}}),
    "ReportEndpointReady": Call({"port": 8000, "provider_ip": "8.8.8.8"}, job="serving"),
    "ReportJobResult": Call({"result": {"type": "text", "response": "ok"}}, job="running"),
    "ReportProgress": Call({"phase": "generating"}, job="running"),
    "ReportReadiness": Call({"checks": {"cuda": True, "pytorch": True, "vram_gb": 24}}),
    "ReportRunResult": Call(lambda scene: {"job_id": scene.job("running"), "success": True, "result": "ok"}),
    "SubmitChallenge": Call({"challenge_id": "none", "result_hash": "0" * 64, "elapsed_ms": 5}),
    "UpdateGpuProfile": Call({"gpu_count": 2}, provider="approved"),
    "UpdatePreferences": Call({"run_mode": "manual"}),
    "VerifyAutomatically": Call({"gpu_info": {"gpu_name": "RTX 4090", "vram_mb": 24564}}),
    "VerifyTaskHmac": Call(query={"hmac": "0" * 64}),
    # Admins
    **dict.fromkeys(("GetDashboard", "GetFinanceSummary", "GetFleetHealth", "GetMetrics", "GetOverview"), PLAIN),
    **dict.fromkeys(("GetTrialBalance", "InspectJob", "InspectProvider", "InspectRenter", "ListActiveJobs"), PLAIN),
    **dict.fromkeys(("ListAllJobs", "ListAllWithdrawals", "ListApprovalAudit", "ListApprovalQueue"), PLAIN),
    **dict.fromkeys(("ListAuditEntries", "ListFinanceTransactions", "ListFleetAlerts", "ListJobEvents"), PLAIN),
    **dict.fromkeys(("ListPrices", "ListProviderQueue", "ListProviders", "ListRenterLedger", "ListRenters"), PLAIN),
    **dict.fromkeys(("ApproveProvider", "ForceCancelJob", "ResetProviderKey", "ResetRenterKey"), PLAIN),
    **dict.fromkeys(("SuspendProvider", "SuspendRenter", "UnsuspendProvider", "UnsuspendRenter"), PLAIN),
    **dict.fromkeys(("DrainProvider", "UndrainProvider"), PLAIN),
    **dict.fromkeys(("ListOperators", "GetOwnOperator", "RevokeOperator"), PLAIN),
    "AddOperator": Call(lambda scene: {"name": scene.operator_name(), "role": "viewer"}),
    "RotateOperatorToken": Call({}),
    "AdjustRenterBalance": Call({"amount_halala": -1}),
    "ApproveImage": Call({"image_ref": "team/tool:1"}),
    "RemoveImage": PLAIN,
    "BulkUpdateProviders": Call(lambda scene: {"ids": [scene.provider.id], "action": "suspend"}),
    "BulkUpdateRenters": Call(lambda scene: {"ids": [scene.renter.id], "action": "suspend"}),
    "CreateTestJob": Call(lambda scene: {"provider_id": scene.provider.id}),
    "CreditRenter": Call({"amount_halala": 1, "reason": "a gift"}),
    "DecideProviderApproval": Call({"decision": "approve"}, provider="registered"),
    "ExportAllJobs": Call(query={"format": "csv"}),
    "GetDaemonHealth": Call(query={"hours": 24}),
    "GetReconciliation": Call(query={"days": 7}),
    "GetRevenue": Call(query={"days": 7}),
    "GetSeries": Call(query={"period": "30d"}),
    "ClearProviderMismatch": Call({"reason": "looked at"}),
    "ReleasePromoEarnings": Call({"reason": "known to us"}),
    "ProbeProvider": Call(provider="connected"),
    "PreloadModel": Call({"model_name": "a/model"}),
    "RejectProvider": Call({"reason": "no"}),
    "ReverseFinanceTransaction": Call({"reason": "booked twice"}),
    "RefundJob": Call({"reason": "made up"}, job="completed"),
    "RequeueJob": Call({}, job="failed"),
    "ListGpuFactors": PLAIN,
    "ListTokenPrices": PLAIN,
    "SetTokenPrices": Call({"prompt_halala": 19}),
    "SetGpuFactor": Call({"factor": 1}),
    "SetPrice": Call({"rate_halala": 10}),
    "SetRenterLimits": Call({"daily_jobs_limit": 1}),
    "SetProviderStatus": Call({"status": "suspended"}),
    "UpdateWithdrawal": Call({"status": "paid"}),
}
