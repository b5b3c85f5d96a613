"""The JSON of the REST API, as `dc1.client` gives and takes it. Written by `make gen` from proto/, never edited by hand."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class Error(TypedDict):
    error: str
    code: str
    fields: NotRequired[list[dict[str, Any]]]
    retryAfterSeconds: NotRequired[int]
    retryAfterMs: NotRequired[int]

class AccountBalance(TypedDict):
    account: str
    balance_halala: float
    balance_sar: float

class AddMachineRequest(TypedDict):
    name: str
    gpu_model: NotRequired[str | None]
    os: NotRequired[str | None]
    location: NotRequired[str | None]
    vram_gb: NotRequired[float | None]
    resource_spec: NotRequired[dict[str, Any] | str | None]
    gpu_spec: NotRequired[dict[str, Any] | None]

class AddMachineResponse(TypedDict):
    success: bool
    provider_id: int
    api_key: str
    machine: Machine

class AddNotificationChannelRequest(TypedDict):
    kind: Literal['slack', 'telegram', 'webhook', 'email']
    target: str
    events: NotRequired[list[str] | None]
    language: NotRequired[Literal['en', 'ar', None]]

class AddNotificationChannelResponse(TypedDict):
    channel: NotificationChannel

class AddOperatorRequest(TypedDict):
    name: str
    role: Literal['viewer', 'support', 'finance', 'admin']
    expires_in_days: NotRequired[int | None]
    methods: NotRequired[list[Any] | None]

class AddOperatorResponse(TypedDict):
    operator: Operator
    token: str

class AdjustRenterBalanceResponse(TypedDict):
    success: bool
    renter_id: int
    previous_balance: int
    adjustment: int
    new_balance: int

class AdminJob(TypedDict):
    id: int
    job_id: str
    renter_id: int
    renter_name: str
    provider_id: int | None
    provider_name: str | None
    job_type: str
    model: str | None
    status: str
    submitted_at: str
    started_at: str | None
    completed_at: str | None
    duration_minutes: float | None
    cost_halala: int
    actual_cost_halala: int | None
    dc1_fee_halala: int | None
    refunded_halala: int | None
    attempt_number: int
    retry_count: int
    error: str | None
    error_category: str | None
    source: str
    fault: str | None

class AdminProvider(TypedDict):
    id: int
    name: str
    email: str
    gpu_model: str | None
    vram_mib: int
    gpu_count: int
    status: str
    approval_status: str
    last_heartbeat: str | None
    daemon_version: str | None
    slots_used: int
    created_at: str
    gpu_type: str
    gpu_source: str
    owner_id: int
    tops_int8: float | None
    memory_gbps: float | None
    probed_at: str | None
    performance: str | None
    verification: str | None
    hardware_notice: str | None
    engine_speeds: list[EngineSpeed]

class AdminRenter(TypedDict):
    id: int
    name: str
    email: str
    organization: str | None
    balance_halala: int
    status: str
    created_at: str
    total_jobs: int
    completed_jobs: int
    failed_jobs: int
    total_spent_halala: float

class AdminWithdrawal(TypedDict):
    id: str
    provider_id: int
    provider_name: str
    amount_halala: int
    amount_sar: float
    iban: str
    status: str
    reason: str | None
    created_at: str
    updated_at: str
    cash_halala: int
    promo_halala: int
    flags: list[SharedTrait]
    bank_reference: str | None

class Admission(TypedDict):
    accepted: bool
    reason_code: str
    reason: str

class AlertsEvent(TypedDict):
    alerts: list[FleetAlert]
    awaiting_approval: list[int]
    ended: list[EndedAlert]
    decided: list[int]

class AnthropicError(TypedDict):
    type: str
    error: AnthropicErrorDetail

class AnthropicErrorDetail(TypedDict):
    type: str
    message: str

class AnthropicEvent(TypedDict):
    type: str

class AnthropicMessage(TypedDict):
    id: str
    type: str
    role: str
    model: str
    content: list[Any]
    stop_reason: str | None
    stop_sequence: str | None
    usage: AnthropicUsage

class AnthropicUsage(TypedDict):
    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int

class AppendJobLogsResponse(TypedDict):
    success: bool
    lines_written: int
    attempt_number: int
    job_status: str

class ApprovalDecision(TypedDict):
    at: str
    actor: str
    decision: str
    reason: str | None

class ApproveImageRequest(TypedDict):
    image_ref: str
    image_type: NotRequired[str | None]
    description: NotRequired[str | None]

class ApproveImageResponse(TypedDict):
    id: int
    image_ref: str
    image_type: str
    description: str
    approved_at: str
    pinned: bool

class ApproveProviderResponse(TypedDict):
    success: bool
    provider_id: int
    approval_status: str
    approved_at: str | None
    rejected_reason: str | None

class Assignment(TypedDict):
    id: int
    job_id: str
    job_type: str
    model: str | None
    priority: int
    pricing_class: str
    attempt_number: int
    params: dict[str, Any] | None
    task_spec: dict[str, Any] | str | None
    env_vars: dict[str, str]
    container_spec: dict[str, Any]
    gpu_requirements: dict[str, Any] | None
    duration_minutes: float | None
    max_duration_seconds: int
    started_at: str | None
    timeout_at: str | None
    task_spec_hmac: str | None
    cost_per_gpu_second_halala: float
    provider_earnings_halala: int
    inference_path: str
    inference_body: str
    inference_max_tokens: int
    traceparent: str

class AuditEntry(TypedDict):
    id: int
    at: str
    actor: str
    method: str
    path: str
    status: int
    address: str | None
    reason: str | None
    calls: float

class AvailableProvider(TypedDict):
    id: int
    name: str
    gpu_model: str
    vram_gb: int
    vram_mib: int
    gpu_count: int
    driver_version: str
    compute_capability: str
    cuda_version: str
    status: str
    is_live: bool
    location: str
    reliability_score: int
    cached_models: list[str]
    price_per_hour_sar: float
    gpu_type: str
    gpu_factor: float
    ask: float
    gpu_source: str
    owner_id: int
    tops_int8: float | None
    memory_gbps: float | None
    probed_at: str | None
    performance: str | None
    verification: str | None

class BeatProviderResponse(TypedDict):
    success: bool
    provider_id: int
    status: str
    timestamp: str

class Billing(TypedDict):
    actual_cost_halala: int
    provider_earned_halala: int
    dc1_fee_halala: int
    refunded_halala: int
    used_seconds: float

class BulkUpdateProvidersRequest(TypedDict):
    ids: list[int] | int
    action: Literal['suspend', 'unsuspend', 'approve']
    reason: NotRequired[str | None]

class BulkUpdateProvidersResponse(TypedDict):
    success: bool
    action: str
    processed: int
    failed: int
    total: int

class BulkUpdateRentersRequest(TypedDict):
    ids: list[int] | int
    action: Literal['suspend', 'unsuspend', 'credit']
    amount_halala: NotRequired[int | None]
    reason: NotRequired[str | None]

class BulkUpdateRentersResponse(TypedDict):
    success: bool
    action: str
    processed: int
    failed: int
    total: int

class CallRoutingInput(TypedDict):
    order: NotRequired[list[int] | None]
    only: NotRequired[list[int] | None]
    ignore: NotRequired[list[int] | None]
    sort: NotRequired[Literal['price', 'latency', 'throughput', None]]
    allow_fallbacks: NotRequired[bool | None]

class CancelJobResponse(TypedDict):
    success: bool
    job: JobDetail
    refunded_halala: int
    charged_halala: int
    id: str
    job_id: str
    status: str

class CarriedAmounts(TypedDict):
    call_prices_micro_halala: float
    platform_fees_micro_halala: float

class ChatAnswer(TypedDict):
    role: str
    content: str | None
    tool_calls: list[Any]

class ChatChoice(TypedDict):
    index: int
    message: ChatAnswer
    finish_reason: str

class ChatChunkChoice(TypedDict):
    index: int
    delta: ChatDelta
    finish_reason: str | None

class ChatCompletion(TypedDict):
    id: str
    object: str
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage

class ChatCompletionBodyInput(TypedDict):
    model: str
    messages: list[ChatMessageInput]
    max_tokens: NotRequired[int | None]
    max_completion_tokens: NotRequired[int | None]
    temperature: NotRequired[float | None]
    stream: NotRequired[bool | None]
    n: NotRequired[int | None]
    provider: NotRequired[CallRoutingInput | None]

class ChatCompletionChunk(TypedDict):
    id: str
    object: str
    created: int
    model: str
    choices: list[ChatChunkChoice]
    usage: NotRequired[ChatUsage]

class ChatDelta(TypedDict):
    role: NotRequired[str]
    content: NotRequired[str]
    tool_calls: list[Any]

class ChatMessageInput(TypedDict):
    role: Literal['system', 'developer', 'user', 'assistant', 'tool']
    content: NotRequired[str | list[Any] | None]

class ChatUsage(TypedDict):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

class ClearProviderMismatchResponse(TypedDict):
    success: bool
    provider_id: int
    cleared: str | None

class CompleteJobResponse(TypedDict):
    success: bool
    job: JobDetail
    billing: Billing
    id: str
    job_id: str
    status: str

class Completion(TypedDict):
    id: str
    object: str
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: NotRequired[ChatUsage]

class CompletionBodyInput(TypedDict):
    model: str
    prompt: str | list[Any]
    suffix: NotRequired[str | None]
    max_tokens: NotRequired[int | None]
    temperature: NotRequired[float | None]
    stream: NotRequired[bool | None]
    n: NotRequired[int | None]
    best_of: NotRequired[int | None]

class CompletionChoice(TypedDict):
    index: int
    text: str
    finish_reason: str | None

class ConfirmNotificationChannelResponse(TypedDict):
    success: bool

class ContainerImage(TypedDict):
    id: int
    image_ref: str
    image_type: str
    description: str
    approved_at: str
    pinned: bool

class CountMessageTokensResponse(TypedDict):
    input_tokens: int

class CountedMessagesBodyInput(TypedDict):
    model: str
    messages: list[MessageParamInput]
    system: NotRequired[str | list[Any] | None]
    tools: NotRequired[list[Any] | None]

class CreateRenterKeyRequest(TypedDict):
    scopes: NotRequired[list[Literal['inference', 'jobs.read', 'billing', 'balance.read', 'admin']] | None]
    label: NotRequired[str | None]
    expires_at: NotRequired[str | None]
    monthly_budget_halala: NotRequired[int | None]
    requests_per_minute: NotRequired[int | None]
    tokens_per_minute: NotRequired[int | None]
    streams: NotRequired[int | None]
    models: NotRequired[list[str] | None]
    only_providers: NotRequired[list[int] | None]
    ignore_providers: NotRequired[list[int] | None]

class CreateRenterKeyResponse(TypedDict):
    id: str
    key: str
    label: str | None
    scopes: list[str]
    expires_at: str | None
    created_at: str
    monthly_budget_halala: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    streams: int | None
    models: list[Any] | None
    only_providers: list[Any] | None
    ignore_providers: list[Any] | None

class CreateTestJobRequest(TypedDict):
    provider_id: int
    matrix_size: NotRequired[int | None]
    iterations: NotRequired[int | None]

class CreateTestJobResponse(TypedDict):
    success: bool
    job: Job

class CreateWithdrawalRequest(TypedDict):
    api_key: NotRequired[str | None]
    amount_halala: int
    iban: str

class CreateWithdrawalResponse(TypedDict):
    success: bool
    withdrawal_id: str
    status: str
    message: str
    withdrawal_request: Withdrawal

class CreditRenterResponse(TypedDict):
    success: bool
    renter_id: int
    ledger_id: int
    new_balance_halala: int
    new_balance_sar: float

class DaemonEvent(TypedDict):
    id: int
    provider_id: int
    event_type: str
    severity: str
    details: Any
    created_at: str

class DaemonJob(TypedDict):
    id: int
    job_id: str
    job_type: str
    model: str | None
    status: str
    attempt_number: int
    duration_minutes: float
    max_duration_seconds: int
    cost_halala: int
    earned_halala: int
    container_spec: dict[str, Any]
    params: dict[str, Any] | None
    submitted_at: str
    started_at: str | None
    completed_at: str | None
    documents_left_out: NotRequired[bool]
    provider_earnings_halala: int

class DailySpend(TypedDict):
    date: str
    jobs: int
    total_halala: float
    total_sar: float

class DailyUsage(TypedDict):
    day: str
    key_id: str
    model: str
    calls: int
    prompt_tokens: float
    completion_tokens: float
    cached_tokens: float
    cost_halala: float

class DashboardStats(TypedDict):
    total_providers: int
    online_now: int
    offline: int
    total_renters: int
    active_renters: int
    total_renter_balance_halala: float
    total_jobs: int
    completed_jobs: int
    failed_jobs: int
    active_jobs: int
    total_revenue_halala: float
    total_dc1_fees_halala: float
    today_revenue_halala: float
    today_dc1_fees_halala: float
    today_jobs: int
    timestamp: str
    refused_calls: float
    refused_at_edge: float
    total_owners: int

class DecideProviderApprovalResponse(TypedDict):
    success: bool
    provider_id: int
    approval_status: str
    approved_at: str | None
    rejected_reason: str | None
    decided_at: str

class DeleteProviderRequest(TypedDict):
    confirm: Literal['DELETE_MY_ACCOUNT']

class DeleteProviderResponse(TypedDict):
    success: bool
    requeued_jobs: int
    deletion_scheduled_for: str
    message: str

class DeleteRenterRequest(TypedDict):
    confirm: Literal['DELETE_MY_ACCOUNT']

class DeleteRenterResponse(TypedDict):
    success: bool
    cancelled_jobs: int
    deletion_scheduled_for: str
    message: str

class Dispatch(TypedDict):
    assigned: bool
    queued: bool
    hold_id: str
    provider: DispatchProvider | None

class DispatchProvider(TypedDict):
    id: int
    name: str

class DrainProviderResponse(TypedDict):
    success: bool
    provider_id: int
    status: str
    jobs_held: int

class EarnedJob(TypedDict):
    job_id: str
    job_type: str
    status: str
    completed_at: str
    used_seconds: float
    earned_halala: int
    earned_sar: float

class EarningsDay(TypedDict):
    date: str
    jobs: int
    earned_halala: float
    earned_sar: float

class EdgeMetrics(TypedDict):
    asked: bool
    refusals: list[RefusalCount]
    refused_connections: float

class Embedding(TypedDict):
    object: str
    index: int
    embedding: list[Any] | str

class Embeddings(TypedDict):
    id: str
    object: str
    model: str
    data: list[Embedding]
    usage: PromptUsage

class EmbeddingsBodyInput(TypedDict):
    model: str
    input: str | list[Any]
    encoding_format: NotRequired[Literal['float', 'base64', None]]
    dimensions: NotRequired[int | None]

class EndedAlert(TypedDict):
    provider_id: int
    reason: str

class EngineSpeed(TypedDict):
    model: str
    ttft_ms_p50: float | None
    tokens_per_second_p50: float | None
    calls: int

class Escrow(TypedDict):
    held_jobs: int
    held_halala: float
    locked_jobs: int
    locked_halala: float

class EstimateJobResponse(TypedDict):
    success: bool
    quote_halala: float
    quote_sar: float
    hold_rate_halala_per_minute: float
    factors: RateFactors
    machines_fitting: int
    machines_free: int
    machines: list[EstimatedMachine]
    expected_wait_seconds: int | None
    reason: str | None
    reason_ar: NotRequired[str]

class EstimatedMachine(TypedDict):
    provider_id: int
    name: str
    gpu_type: str
    is_free: bool
    rate_halala_per_minute: float
    gpu_source: str

class ExportProviderResponse(TypedDict):
    exported_at: str
    account: Provider
    jobs: list[ProviderJob]
    earnings: list[EarningsDay]
    withdrawals: list[Withdrawal]
    machines: list[Machine]

class ExportRenterResponse(TypedDict):
    exported_at: str
    account: Renter
    jobs: list[JobDetail]
    transactions: list[WalletEntry]
    usage: TokenUsage

class FailJobResponse(TypedDict):
    success: bool
    job_id: str
    refunded_halala: int
    status: str

class FinanceEntry(TypedDict):
    id: int
    kind: str
    from_account: str
    to_account: str
    renter_id: int | None
    provider_id: int | None
    job_id: str | None
    amount_halala: int
    amount_sar: float
    note: str | None
    created_at: str
    reverses: int | None
    reversed_by: int | None

class FleetAlert(TypedDict):
    provider_id: int
    reason: str
    since: str
    detail: str | None
    detail_ar: str | None
    provider_name: str

class FleetHealth(TypedDict):
    total: int
    online: int

class ForceCancelJobResponse(TypedDict):
    success: bool
    job_id: str
    previous_status: str
    new_status: str
    refunded_halala: int
    charged_halala: int

class GetAnalyticsResponse(TypedDict):
    period: str
    daily_spend: list[DailySpend]
    status_counts: list[StatusCount]
    avg_duration_minutes: float
    completed_job_count: int
    top_gpus: list[GpuUsage]

class GetBalanceResponse(TypedDict):
    balance_halala: int
    balance_sar: float
    held_halala: float
    held_sar: float
    available_halala: int
    total_spent_halala: float
    total_spent_sar: float
    total_jobs: int

class GetDaemonDownloadResponse(TypedDict):
    version: str
    min_version: str
    download_url: str

class GetDaemonHealthResponse(TypedDict):
    events: list[DaemonEvent]
    counts: dict[str, int]

class GetDaemonVersionResponse(TypedDict):
    version: str
    min_version: str

class GetDashboardResponse(TypedDict):
    stats: DashboardStats
    gpu_breakdown: list[GpuCount]
    recent_signups: list[RecentSignup]
    recent_heartbeats: list[RecentHeartbeat]

class GetEarningsHistoryResponse(TypedDict):
    period: str
    days: list[EarningsDay]

class GetEarningsResponse(TypedDict):
    provider_id: int
    name: str
    total_earned_sar: float
    total_earned_halala: float
    claimable_earnings_halala: float
    pending_withdrawal_sar: float
    withdrawn_sar: float
    available_sar: float
    available_halala: float
    total_jobs: int
    escrow: Escrow
    promo_earnings_halala: float

class GetEarningsSummaryResponse(TypedDict):
    total_earned: float
    pending: float
    last_payout: str | None

class GetFinanceSummaryResponse(TypedDict):
    wallets_halala: float
    holds_halala: float
    provider_earnings_halala: float
    platform_halala: float
    payouts_halala: float
    external_halala: float
    promo_earnings_halala: float

class GetFleetHealthResponse(TypedDict):
    total_providers: int
    online: int
    offline: int
    degraded: int
    providers: list[ProviderHealth]
    generated_at: str
    pagination: Pagination

class GetHealthResponse(TypedDict):
    status: str
    timestamp: str
    db: str
    providers: FleetHealth
    jobs: JobHealth

class GetJobInvoiceResponse(TypedDict):
    invoice_id: str
    job_id: str
    renter_id: int
    job_type: str
    pricing_class: str
    rate_halala_per_minute: int
    quote_halala: int
    used_seconds: float
    actual_cost_halala: int
    refunded_halala: int
    issued_at: str
    fault: str | None
    error_category: str | None
    lines: list[InvoiceLine]
    hold_rate_halala_per_minute: float | None
    run_rate_halala_per_minute: float | None

class GetJobResponse(TypedDict):
    job: JobDetail
    id: str
    status: str
    container_image: str
    created_at: str
    job_id: str

class GetJobStatusResponse(TypedDict):
    job_id: str
    status: str
    progress_phase: str | None
    tokens_generated: int
    elapsed_seconds: float
    estimated_cost_usd: float
    provider_online: bool

class GetMarketSummaryResponse(TypedDict):
    machines: int
    machines_free: int
    median_price_per_hour_sar: float
    jobs_queued: int
    jobs_running: int
    gpu_types: list[MarketGpuType]
    days: list[MarketDay]
    timestamp: str

class GetMetricsResponse(TypedDict):
    queue: QueueMetrics
    providers: ProviderMetrics
    renters: RenterMetrics
    revenue: RevenueMetrics
    system: SystemMetrics
    refusals: list[RefusalCount]
    open_streams: list[OpenStreamCount]
    edge: EdgeMetrics

class GetOverviewResponse(TypedDict):
    providersRegistered: int
    providersOnline: int
    jobsQueued: int
    jobsRunning: int
    jobsCompleted: int
    revenueSARToday: float
    revenueSARTotal: float
    timestamp: str

class GetOwnOperatorResponse(TypedDict):
    operator: Operator
    may_call: list[OperatorMethod]

class GetPendingChallengeResponse(TypedDict):
    pending: bool
    challenge_id: NotRequired[str]
    matrix_size: NotRequired[int]
    iterations: NotRequired[int]
    nonce: NotRequired[str]
    expires_at: NotRequired[str]
    prepare: NotRequired[ProbePrepare]
    begin: NotRequired[ProbeBegin]
    open: NotRequired[ProbeOpen]
    end: NotRequired[ProbeEnd]

class GetPricingResponse(TypedDict):
    success: bool
    pricing: list[JobRate]
    class_multipliers: dict[str, float]
    platform_fee_bps: int
    count: int
    timestamp: str

class GetProviderLivenessResponse(TypedDict):
    provider_id: int
    liveness_status: str
    last_heartbeat: str | None
    heartbeat_age_seconds: int | None

class GetProviderMetricsResponse(TypedDict):
    provider_id: int
    period: str
    points: list[MetricsPoint]

class GetProviderResponse(TypedDict):
    provider: Provider
    recent_jobs: list[ProviderJob]

class GetQueueStatusResponse(TypedDict):
    queued_total: int
    buckets: list[QueueBucket]

class GetReconciliationResponse(TypedDict):
    balanced: bool
    difference_halala: float
    by_day: list[ReconciliationDay]

class GetRenterResponse(TypedDict):
    renter: Renter
    recent_jobs: list[RecentJob]
    jobs: list[RecentJob]
    v1_usage_summary: TokenUsage
    balance_halala: int
    balance_sar: float
    total_spent_halala: float

class GetRevenueResponse(TypedDict):
    period_days: int
    totals: RevenueTotals
    by_day: list[RevenueDay]

class GetSeriesResponse(TypedDict):
    period: str
    span_seconds: int
    points: list[SeriesPoint]

class GetServiceResponse(TypedDict):
    service: str
    version: str
    status: str
    docs: str
    timestamp: str

class GetSpendingResponse(TypedDict):
    all_time: TotalSpend
    monthly: list[MonthlySpend]
    last_30_days: list[DailySpend]

class GetTrialBalanceResponse(TypedDict):
    balanced: bool
    difference_halala: float
    accounts: list[AccountBalance]
    problems: list[str]
    timestamp: str
    carried: CarriedAmounts

class GoOfflineResponse(TypedDict):
    success: bool
    provider_id: int
    status: str
    timestamp: str

class GoOnlineResponse(TypedDict):
    success: bool
    provider_id: int
    status: str
    timestamp: str

class GpuCount(TypedDict):
    gpu_model: str | None
    count: int
    gpu_source: str

class GpuFactor(TypedDict):
    gpu_model: str
    factor: float
    updated_at: str

class GpuMetrics(TypedDict):
    utilization_pct: float
    vram_used_mib: float
    temperature_c: float

class GpuProfile(TypedDict):
    gpu_model: str
    vram_mb: int
    gpu_count: int
    supported_compute_types: list[str]
    gpu_source: str

class GpuUsage(TypedDict):
    gpu_model: str
    jobs: int
    total_halala: float

class HeartbeatEntry(TypedDict):
    at: str
    gpu_util_pct: float | None
    temp_c: float | None
    power_w: float | None
    free_vram_mib: float | None

class HeartbeatRequest(TypedDict):
    api_key: NotRequired[str | None]
    gpu_status: NotRequired[dict[str, Any] | str | None]
    gpu_info: NotRequired[dict[str, Any] | None]
    provider_ip: NotRequired[str | None]
    provider_hostname: NotRequired[str | None]
    cached_models: NotRequired[Any]
    vllm_models: NotRequired[Any]
    resource_spec: NotRequired[Any]
    model_cache: NotRequired[Any]
    container_restart_count: NotRequired[Any]
    job_types: NotRequired[Any]
    gpu_spec: NotRequired[Any]

class HeartbeatResponse(TypedDict):
    success: bool
    message: str
    timestamp: str
    needs_update: bool
    latest_version: str
    update_available: bool
    min_version: str
    approval_status: str
    approved: bool
    is_paused: bool
    preload_model: PreloadModel | None

class Images(TypedDict):
    id: str
    created: int
    model: str
    data: list[Any]
    usage: ImagesUsage

class ImagesBodyInput(TypedDict):
    model: str
    prompt: str
    n: NotRequired[int | None]
    response_format: NotRequired[Literal['b64_json', None]]

class ImagesUsage(TypedDict):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

class InspectJobResponse(TypedDict):
    job: JobDetail
    provider: AdminProvider | None
    billing: Billing | None

class InspectProviderResponse(TypedDict):
    provider: InspectedProvider
    uptime: Uptime
    heartbeat_log: list[HeartbeatEntry]
    jobs: list[ProviderJob]

class InspectRenterResponse(TypedDict):
    renter: InspectedRenter
    recent_jobs: list[RecentJob]
    transactions: list[WalletEntry]

class InspectedProvider(TypedDict):
    id: int
    name: str
    email: str
    gpu_model: str | None
    vram_mib: int
    gpu_count: int
    status: str
    approval_status: str
    last_heartbeat: str | None
    daemon_version: str | None
    slots_used: int
    created_at: str
    os: str
    phone: str | None
    location: str | None
    approved_at: str | None
    rejected_reason: str | None
    is_paused: bool
    is_suspended: bool
    provider_ip: str | None
    provider_hostname: str | None
    cached_models: list[str]
    resource_spec: dict[str, Any] | str | None
    preload_model: str | None
    preferences: ProviderPreferences
    reputation_score: int
    total_earnings_halala: float
    available_halala: float
    total_jobs: int
    promo_earnings_halala: float
    gpu_type: str
    gpu_source: str
    claimed_gpu_model: str | None
    owner_id: int
    tops_int8: float | None
    memory_gbps: float | None
    probed_at: str | None
    probe_outcome: str | None
    performance: str | None
    verification: str | None
    hardware_notice: str | None
    gpus: list[Any]
    engine_speeds: list[EngineSpeed]
    is_drained: bool
    hardware_notice_ar: NotRequired[str]
    jobs_held: int

class InspectedRenter(TypedDict):
    id: int
    name: str
    email: str
    organization: str | None
    balance_halala: int
    status: str
    created_at: str
    total_jobs: int
    completed_jobs: int
    failed_jobs: int
    total_spent_halala: float
    use_case: str | None
    phone: str | None
    webhook_url: str | None
    held_halala: float
    live_keys: int
    own_limits: RenterLimits
    market_limits: RenterLimits

class InvoiceLine(TypedDict):
    kind: str
    description: str
    seconds: float | None
    tokens: int | None
    amount_halala: int
    description_ar: NotRequired[str]

class Job(TypedDict):
    id: int
    job_id: str
    renter_id: int
    provider_id: int | None
    job_type: str
    model: str | None
    status: str
    submitted_at: str
    started_at: str | None
    timeout_at: str | None
    duration_minutes: float | None
    cost_halala: int
    max_duration_seconds: int
    gpu_requirements: dict[str, Any] | None
    container_spec: dict[str, Any]
    priority: int
    pricing_class: str
    prewarm_requested: bool
    checkpoint_enabled: bool
    queue_position: int | None
    workspace_volume_name: str
    hold_rate_halala_per_minute: float | None
    rate_halala_per_minute: float | None
    max_rate_halala_per_minute: float | None
    prefer: str
    waiting_for: str | None

class JobDetail(TypedDict):
    id: int
    job_id: str
    renter_id: int
    provider_id: int | None
    job_type: str
    model: str | None
    status: str
    submitted_at: str
    started_at: str | None
    timeout_at: str | None
    duration_minutes: float | None
    cost_halala: int
    max_duration_seconds: int
    gpu_requirements: dict[str, Any] | None
    container_spec: dict[str, Any]
    priority: int
    pricing_class: str
    prewarm_requested: bool
    checkpoint_enabled: bool
    queue_position: int | None
    workspace_volume_name: str
    params: dict[str, Any] | None
    task_spec: dict[str, Any] | None
    completed_at: str | None
    queue_deadline_at: str | None
    progress_phase: str | None
    progress_updated_at: str | None
    attempt_number: int
    retry_count: int
    max_retries: int
    retry_reason: str | None
    retried_from_job_id: int | None
    elapsed_sec: int | None
    used_seconds: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    endpoint_url: str | None
    actual_cost_halala: int | None
    provider_earned_halala: int | None
    dc1_fee_halala: int | None
    refunded_halala: int | None
    refunded_at: str | None
    error: str | None
    error_category: str | None
    source: str
    fault: str | None
    documents_left_out: NotRequired[bool]
    documents_erased_at: NotRequired[str]
    hold_rate_halala_per_minute: float | None
    rate_halala_per_minute: float | None
    max_rate_halala_per_minute: float | None
    prefer: str
    waiting_for: str | None
    performance_ratio: float | None
    throttled: bool | None
    throttle_reasons: list[Any] | None
    gpu_lost: bool | None
    error_ar: NotRequired[str]
    waiting_for_ar: NotRequired[str]

class JobExecution(TypedDict):
    attempt_number: int
    provider_id: int
    started_at: str
    ended_at: str | None
    exit_code: int | None
    gpu_seconds_used: float | None
    outcome: str | None
    error_detail: str | None
    fault: str | None
    rate_halala_per_minute: float | None

class JobExport(TypedDict):
    exported_at: str
    jobs: list[AdminJob]

class JobHealth(TypedDict):
    queued: int
    running: int

class JobHistoryEntry(TypedDict):
    job_id: str
    status: str
    job_type: str
    provider_id: int | None
    provider_name: str | None
    provider_gpu: str | None
    duration_minutes: float | None
    cost_halala: int
    actual_cost_halala: int
    cost_sar: str
    submitted_at: str
    started_at: str | None
    completed_at: str | None
    execution_time_sec: float
    progress_phase: str | None
    message: str
    error: str | None
    result: dict[str, Any] | str | None
    result_type: str | None
    refunded: bool
    refunded_halala: int
    type: str | None
    response: str | None
    output: str | None
    billing: NotRequired[OutputBilling]

class JobOutput(TypedDict):
    job_id: str
    status: str
    job_type: str
    provider_id: int | None
    provider_name: str | None
    duration_minutes: float | None
    cost_halala: int
    submitted_at: str
    started_at: str | None
    completed_at: str | None
    execution_time_sec: float
    progress_phase: str | None
    message: str
    error: str | None
    result: dict[str, Any] | str | None
    result_type: str | None
    type: NotRequired[str]
    prompt: NotRequired[str | dict[str, Any] | list[Any] | float | bool | None]
    response: NotRequired[str]
    output: NotRequired[str]
    model: NotRequired[str | None]
    tokens_generated: NotRequired[int]
    tokens_per_second: NotRequired[float]
    billing: NotRequired[OutputBilling]
    refunded: NotRequired[bool]
    refunded_halala: NotRequired[int]
    progress_updated_at: str | None
    timeout_at: str | None
    documents_erased_at: NotRequired[str]

class JobRate(TypedDict):
    job_type: str
    rate_halala_per_minute: int
    rate_sar_per_hour: float

class JobStateEvent(TypedDict):
    event: str
    job_id: str
    status: str
    provider_id: int | None
    progress_phase: str | None
    attempt_number: int
    elapsed_sec: int | None
    tokens_used: int
    cost_halala: int
    ts: str

class JobStats(TypedDict):
    total: int
    completed: int
    failed: int
    active: int
    total_revenue_halala: float

class JobSummary(TypedDict):
    id: int
    job_id: str
    job_type: str
    gpu_model: str | None
    status: str
    submitted_at: str
    started_at: str | None
    ended_at: str | None
    duration_seconds: int | None
    tokens_used: int
    cost_halala: int
    cost_sar: float
    refunded: bool

class JobTemplate(TypedDict):
    id: str
    name: str
    description: str
    job_type: str
    image_type: str
    min_vram_gb: int
    duration_minutes: float
    params: dict[str, Any]
    tags: list[str]
    image: str
    estimated_price_sar_per_hour: float

class JobsEvent(TypedDict):
    jobs: list[LiveJob]

class LifecycleEvent(TypedDict):
    sequence_no: int
    event_type: str
    status: str
    source: str
    error_category: str | None
    error_code: str | None
    message: str | None
    payload: dict[str, Any] | None
    occurred_at: str
    occurred_at_ms: float
    fault: str | None

class ListActiveJobsResponse(TypedDict):
    jobs: list[JobDetail]

class ListAllJobsResponse(TypedDict):
    stats: JobStats
    jobs: list[AdminJob]
    pagination: Pagination

class ListAllWithdrawalsResponse(TypedDict):
    withdrawals: list[AdminWithdrawal]
    total: int

class ListApprovalAuditResponse(TypedDict):
    entries: list[ApprovalDecision]

class ListApprovalQueueResponse(TypedDict):
    count: int
    generated_at: str
    sla_target_seconds: int
    providers: list[PendingProvider]

class ListAuditEntriesResponse(TypedDict):
    entries: list[AuditEntry]
    total: int
    pagination: Pagination

class ListAvailableProvidersResponse(TypedDict):
    providers: list[AvailableProvider]
    total: int

class ListDaemonJobsResponse(TypedDict):
    jobs: list[DaemonJob]
    total: int

class ListDailyUsageResponse(TypedDict):
    usage: list[DailyUsage]
    pagination: OffsetPagination

class ListFinanceTransactionsResponse(TypedDict):
    entries: list[FinanceEntry]
    pagination: Pagination

class ListFleetAlertsResponse(TypedDict):
    alerts: list[FleetAlert]
    pagination: Pagination

class ListGpuFactorsResponse(TypedDict):
    factors: list[GpuFactor]

class ListImageNamesResponse(TypedDict):
    images: list[str]
    details: list[ContainerImage]
    total: int

class ListJobEventsResponse(TypedDict):
    schema_version: str
    job_id: str
    status: str
    events: list[LifecycleEvent]
    total_events: int
    has_more: bool

class ListJobExecutionsResponse(TypedDict):
    job_id: str
    status: str
    cost_halala: int
    actual_cost_halala: int | None
    retry_count: int
    executions: list[JobExecution]

class ListJobHistoryResponse(TypedDict):
    jobs: list[JobHistoryEntry]
    balance_halala: int
    balance_sar: str
    total_jobs: int

class ListJobLifecycleResponse(TypedDict):
    schema_version: str
    job_id: str
    status: str
    events: list[LifecycleEvent]
    total_events: int
    has_more: bool

class ListJobLogsResponse(TypedDict):
    schema_version: str
    job_id: str
    status: str
    logs: list[LogLine]
    total_lines: int
    has_more: bool
    documents_erased_at: NotRequired[str]

class ListJobsResponse(TypedDict):
    total: int
    limit: int
    offset: int
    jobs: list[JobSummary]

class ListMachinesResponse(TypedDict):
    machines: list[Machine]
    total: int

class ListMarketProvidersResponse(TypedDict):
    providers: list[MarketProvider]
    total: int
    online_count: int
    degraded_count: int
    timestamp: str

class ListModelsResponse(TypedDict):
    models: list[OfferedModel]
    total: int
    object: str
    data: list[OfferedModel]

class ListNotificationChannelsResponse(TypedDict):
    channels: list[NotificationChannel]
    events: list[str]

class ListOperatorsResponse(TypedDict):
    operators: list[Operator]
    pagination: Pagination

class ListPricesResponse(TypedDict):
    prices: list[Price]

class ListProviderJobHistoryResponse(TypedDict):
    jobs: list[EarnedJob]
    total: int

class ListProviderQueueResponse(TypedDict):
    queue: list[QueuedJob]
    total: int

class ListProvidersResponse(TypedDict):
    total: int
    online: int
    offline: int
    registered: int
    pending_approval: int
    providers: list[AdminProvider]
    pagination: Pagination

class ListRenterJobsResponse(TypedDict):
    jobs: list[RenterJob]
    total: int
    page: int
    limit: int
    pages: int

class ListRenterKeysResponse(TypedDict):
    keys: list[RenterKey]

class ListRenterLedgerResponse(TypedDict):
    entries: list[WalletEntry]
    total: int
    limit: int
    offset: int

class ListRenterTransactionsResponse(TypedDict):
    entries: list[WalletEntry]
    total: int
    limit: int
    offset: int

class ListRentersResponse(TypedDict):
    total: int
    active: int
    suspended: int
    renters: list[AdminRenter]
    pagination: Pagination

class ListServedModelsResponse(TypedDict):
    object: str
    data: list[ServedModel]

class ListTemplatesResponse(TypedDict):
    templates: list[JobTemplate]
    total: int
    count: int

class ListTokenPricesResponse(TypedDict):
    prices: list[ModelTokenPrices]
    default_halala_per_1m_tokens: int

class ListTokenUsageResponse(TypedDict):
    usage: list[TokenCall]
    totals: TokenUsage
    pagination: OffsetPagination

class ListWebhookDeliveriesResponse(TypedDict):
    deliveries: list[WebhookDelivery]
    pagination: Pagination

class ListWithdrawalsResponse(TypedDict):
    withdrawals: list[Withdrawal]
    total: int

class LiveJob(TypedDict):
    id: int
    job_id: str
    renter_id: int
    provider_id: int | None
    job_type: str
    model: str | None
    status: str
    progress_phase: str | None
    pricing_class: str
    attempt_number: int
    cost_halala: int
    tokens_used: int
    submitted_at: str
    started_at: str | None
    ended_at: str | None
    error: str | None
    error_category: str | None

class LiveMachine(TypedDict):
    id: int
    owner_id: int
    name: str
    gpu_type: str
    gpu_source: str
    gpu_count: int
    vram_mib: int
    location: str
    status: str
    approval_status: str
    is_closed: bool
    last_heartbeat: str | None
    daemon_version: str | None
    gpu_util_pct: float | None
    temp_c: float | None
    power_w: float | None
    vram_used_mib: float
    slots: int
    slots_used: int
    reputation_score: int
    tops_int8: float | None
    hardware_notice: str | None
    hardware_notice_ar: str | None

class LiveReady(TypedDict):
    ts: str

class LogEvent(TypedDict):
    schema_version: str
    type: str
    event_type: str
    line_no: int
    level: str
    line: str
    attempt_number: int
    logged_at: str
    ts: str

class LogInput(TypedDict):
    level: NotRequired[Literal['info', 'warn', 'error', 'debug', None]]
    message: NotRequired[str | None]

class LogLine(TypedDict):
    line_no: int
    level: str
    message: str
    attempt_number: int
    logged_at: str
    logged_at_ms: float

class Machine(TypedDict):
    id: int
    owner_id: int
    name: str
    status: str
    approval_status: str
    rejected_reason: str | None
    gpu_model: str
    gpu_type: str
    gpu_vram_mib: int
    gpu_count: int
    location: str | None
    is_live: bool
    is_paused: bool
    last_heartbeat: str | None
    daemon_version: str | None
    reputation_score: int
    total_jobs: int
    total_earnings_halala: float
    ask: float
    created_at: str
    gpu_source: str
    is_drained: bool

class MachinesEvent(TypedDict):
    machines: list[LiveMachine]

class MarketDay(TypedDict):
    date: str
    jobs: int
    median_price_per_hour_sar: float | None

class MarketGpuType(TypedDict):
    gpu_type: str
    machines: int
    machines_free: int
    gpus: int
    median_price_per_hour_sar: float

class MarketProvider(TypedDict):
    id: int
    name: str
    gpu_model: str
    vram_gb: int
    vram_mib: int
    gpu_count: int
    driver_version: str
    compute_capability: str
    cuda_version: str
    status: str
    is_live: bool
    location: str
    reliability_score: int
    cached_models: list[str]
    price_per_hour_sar: float
    heartbeat_age_seconds: float
    degraded_since: str | None
    run_mode: str
    reputation_score: int
    reputation_tier: str
    uptime_pct: float
    job_success_rate: float
    total_jobs_completed: int
    cost_rates_halala_per_min: dict[str, int]
    gpu_type: str
    gpu_factor: float
    ask: float
    gpu_source: str
    owner_id: int
    tops_int8: float | None
    memory_gbps: float | None
    probed_at: str | None
    performance: str | None
    verification: str | None

class MessageParamInput(TypedDict):
    role: Literal['user', 'assistant']
    content: str | list[Any]

class MessagesBodyInput(TypedDict):
    model: str
    messages: list[MessageParamInput]
    max_tokens: int
    system: NotRequired[str | list[Any] | None]
    stream: NotRequired[bool | None]
    stop_sequences: NotRequired[list[str] | None]
    temperature: NotRequired[float | None]
    top_p: NotRequired[float | None]
    top_k: NotRequired[int | None]
    tools: NotRequired[list[Any] | None]
    tool_choice: NotRequired[dict[str, Any] | None]
    thinking: NotRequired[dict[str, Any] | None]
    output_config: NotRequired[dict[str, Any] | None]
    metadata: NotRequired[dict[str, Any] | None]

class MetricsPoint(TypedDict):
    at: str
    gpu_util_pct: float | None
    temp_c: float | None
    power_w: float | None
    free_vram_mib: float | None

class ModelArchitecture(TypedDict):
    input_modalities: list[str]
    output_modalities: list[str]

class ModelTokenPrices(TypedDict):
    model: str
    prompt_halala: int
    completion_halala: int
    cached_halala: int
    updated_at: str

class MonthlySpend(TypedDict):
    month: str
    jobs: int
    total_halala: float
    total_sar: float

class NextJobResponse(TypedDict):
    job: Assignment | None
    jobs: list[Assignment]
    admission: Admission

class NotificationChannel(TypedDict):
    id: int
    kind: str
    hint: str
    events: list[str]
    language: str
    created_at: str
    last_sent_at: str | None
    last_error: str | None
    confirmed: bool

class OfferedModel(TypedDict):
    model: str
    model_id: str
    display_name: str
    providers_online: int
    providers_total: int
    providers_count: int
    status: str
    vram_gb: int
    min_gpu_vram_gb: int
    avg_price_sar_per_min: float
    id: str

class OffsetPagination(TypedDict):
    limit: int
    offset: int
    has_more: bool

class OpenAIError(TypedDict):
    error: OpenAIErrorDetail

class OpenAIErrorDetail(TypedDict):
    message: str
    type: str
    code: str
    status: int
    retryable: bool
    retry_after_seconds: NotRequired[int]
    retry_after_ms: NotRequired[int]

class OpenStreamCount(TypedDict):
    method: str
    count: int

class Operator(TypedDict):
    id: int | None
    name: str | None
    role: str
    methods: list[str]
    token_hint: str | None
    created_at: str | None
    created_by: str | None
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None

class OperatorMethod(TypedDict):
    method: str
    route: str

class OutputBilling(TypedDict):
    actual_cost_halala: int
    actual_cost_sar: float

class Pagination(TypedDict):
    page: int
    limit: int
    total: int
    pages: int

class PauseProviderRequest(TypedDict):
    key: NotRequired[str | None]
    machine_id: NotRequired[int | None]

class PauseProviderResponse(TypedDict):
    success: bool
    status: str

class PendingProvider(TypedDict):
    id: int
    name: str
    email: str
    gpu_model: str | None
    created_at: str
    pending_duration_seconds: float
    sla_deadline_at: str
    sla_breached: bool
    gpu_source: str
    owner_id: int

class PreloadModel(TypedDict):
    model_name: str
    status: str

class PreloadModelResponse(TypedDict):
    success: bool
    provider_id: int
    model_name: str
    model_preload_status: str
    requested_at: str

class Price(TypedDict):
    job_type: str
    rate_halala: int
    updated_at: str

class PricedChatCompletion(TypedDict):
    id: str
    object: str
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage
    cost_halala: int

class ProbeBegin(TypedDict):
    probe_id: str
    round: int
    kind: ProbeKind
    rows: int
    steps: int
    seed: str

class ProbeEnd(TypedDict):
    probe_id: str
    outcome: str

class ProbeFailureInput(TypedDict):
    probe_id: NotRequired[str | None]
    reason: NotRequired[str | None]

class ProbeLeafInput(TypedDict):
    ref: NotRequired[ProbeLeafRefInput | None]
    content: NotRequired[str | None]
    path: NotRequired[list[str] | None]

class ProbeLeafRef(TypedDict):
    step: int
    leaf: int

class ProbeLeafRefInput(TypedDict):
    step: NotRequired[int | None]
    leaf: NotRequired[int | None]

class ProbeLeavesInput(TypedDict):
    probe_id: NotRequired[str | None]
    round: NotRequired[int | None]
    leaves: NotRequired[list[ProbeLeafInput] | None]

class ProbeOpen(TypedDict):
    probe_id: str
    round: int
    leaves: list[ProbeLeafRef]

class ProbePrepare(TypedDict):
    probe_id: str
    table_seed: str

class ProbeProviderResponse(TypedDict):
    success: bool
    provider_id: int

class ProbeReadyInput(TypedDict):
    probe_id: NotRequired[str | None]
    device: NotRequired[str | None]
    library: NotRequired[str | None]
    integer_products: NotRequired[bool | None]

class ProbeRootsInput(TypedDict):
    probe_id: NotRequired[str | None]
    round: NotRequired[int | None]
    roots: NotRequired[list[str] | None]

class PromptUsage(TypedDict):
    prompt_tokens: int
    total_tokens: int

class Provider(TypedDict):
    id: int
    name: str
    email: str
    status: str
    gpu_model: str
    gpu_vram_mib: int
    gpu_count: int
    last_heartbeat: str | None
    daemon_version: str | None
    is_paused: bool
    approval_status: str
    approved_at: str | None
    rejected_reason: str | None
    total_earnings_halala: float
    today_earnings_halala: float
    total_jobs: int
    reputation_score: int
    uptime_pct: float
    is_live: bool
    cached_models: list[str]
    resource_spec: dict[str, Any] | str | None
    supported_compute_types: list[str]
    run_mode: str
    scheduled_start: str | None
    scheduled_end: str | None
    gpu_usage_cap_pct: float | None
    vram_reserve_gb: float | None
    temp_limit_c: float | None
    week_earnings_halala: float
    month_earnings_halala: float
    uptime_percent: float
    gpu_metrics: GpuMetrics
    active_job: ProviderJob | None
    second_daemon_at: str | None
    gpu_type: str
    ask: float
    gpu_source: str
    owner_id: int
    tops_int8: float | None
    memory_gbps: float | None
    probed_at: str | None
    probe_outcome: str | None
    performance: str | None
    verification: str | None
    hardware_notice: str | None
    gpus: list[Any]
    price_per_hour_sar: float
    hardware_notice_ar: NotRequired[str]

class ProviderHealth(TypedDict):
    id: int
    gpu_model: str | None
    vram_mb: int
    gpu_count: int
    last_heartbeat: str | None
    heartbeat_age_seconds: float | None
    status: str
    jobs_running: int
    jobs_failed_24h: int
    container_restart_count: int
    model_cache_disk_mb: float
    gpu_source: str

class ProviderJob(TypedDict):
    id: int
    job_id: str
    job_type: str
    status: str
    submitted_at: str
    completed_at: str | None
    earned_halala: int

class ProviderMetrics(TypedDict):
    online: int
    active: int
    registered: int
    total_registered: int
    pending_approval: int
    avg_heartbeat_age_seconds: float

class ProviderPreferences(TypedDict):
    run_mode: str
    scheduled_start: str | None
    scheduled_end: str | None
    gpu_usage_cap_pct: float | None
    vram_reserve_gb: float | None
    temp_limit_c: float | None
    ask: float

class QueueBucket(TypedDict):
    pricing_class: str
    compute_type: str
    depth: int
    avg_wait_seconds: float
    p95_wait_seconds: float

class QueueEvent(TypedDict):
    queued: int
    offered: int
    running: int
    started: int
    ended: int
    interval_seconds: float
    by_gpu_type: list[QueueOfGpuType]
    ts: str
    providers_registered: int
    providers_online: int
    charged_today_halala: float
    charged_total_halala: float

class QueueMetrics(TypedDict):
    pending_jobs: int
    running_jobs: int
    failed_last_1h: int
    avg_wait_seconds: float

class QueueOfGpuType(TypedDict):
    gpu_type: str | None
    depth: int
    oldest_seconds: float

class QueuedJob(TypedDict):
    job_id: str
    status: str

class RankedDocument(TypedDict):
    index: int
    relevance_score: float

class RateFactors(TypedDict):
    rate_halala_per_minute: int
    gpu_type: str | None
    gpu_factor: float | None
    ask: float | None
    machine_factor: float
    class_multiplier: float
    gpu_count: int

class RecentHeartbeat(TypedDict):
    id: int
    name: str
    gpu_model: str | None
    provider_ip: str | None
    provider_hostname: str | None
    last_heartbeat: str
    gpu_status: dict[str, Any] | None
    gpu_source: str

class RecentJob(TypedDict):
    id: int
    job_id: str
    job_type: str
    status: str
    submitted_at: str
    completed_at: str | None
    actual_cost_halala: int | None

class RecentSignup(TypedDict):
    id: int
    name: str
    email: str
    gpu_model: str | None
    os: str
    created_at: str
    gpu_source: str

class ReconciliationDay(TypedDict):
    date: str
    entries: int
    credited_halala: float
    charged_halala: float
    refunded_halala: float
    paid_out_halala: float
    difference_halala: float

class RefundJobResponse(TypedDict):
    success: bool
    job_id: str
    refunded_halala: int
    from_provider_halala: int
    from_platform_halala: int
    new_balance_halala: int
    new_balance_sar: float
    ledger_id: int

class RefusalCount(TypedDict):
    method: str
    reason: str
    count: float

class RegisterProviderRequest(TypedDict):
    name: str
    email: str
    gpu_model: NotRequired[str | None]
    os: Literal['linux', 'ubuntu', 'debian', 'fedora', 'centos', 'rhel', 'arch', 'alpine', 'suse', 'mint', 'wsl', 'windows', 'win', 'win32', 'win64', 'mac', 'macos', 'osx', 'darwin', 'macosx']
    phone: NotRequired[str | None]
    location: NotRequired[str | None]
    location_country: NotRequired[str | None]
    vram_gb: NotRequired[float | None]
    resource_spec: NotRequired[dict[str, Any] | str | None]
    gpu_spec: NotRequired[dict[str, Any] | None]

class RegisterProviderResponse(TypedDict):
    success: bool
    provider_id: int
    api_key: str
    installer_url: str
    message: str
    status: str
    approval_status: str

class RegisterRenterRequest(TypedDict):
    name: str
    email: str
    organization: NotRequired[str | None]
    use_case: NotRequired[str | None]
    phone: NotRequired[str | None]
    useCase: NotRequired[str | None]

class RegisterRenterResponse(TypedDict):
    success: bool
    renter_id: int
    api_key: str
    message: str

class RejectProviderResponse(TypedDict):
    success: bool
    provider_id: int
    approval_status: str
    approved_at: str | None
    rejected_reason: str | None

class ReleasePromoEarningsResponse(TypedDict):
    success: bool
    provider_id: int
    released_halala: float
    promo_earnings_halala: float
    available_halala: float

class RemoveImageResponse(TypedDict):
    success: bool
    id: int
    image_ref: str

class RemoveMachineResponse(TypedDict):
    success: bool
    requeued_jobs: int
    deletion_scheduled_for: str

class RemoveNotificationChannelResponse(TypedDict):
    success: bool

class Renter(TypedDict):
    id: int
    name: str
    email: str
    organization: str | None
    use_case: str | None
    phone: str | None
    webhook_url: str | None
    balance_halala: int
    total_spent_halala: float
    total_jobs: int
    created_at: str

class RenterJob(TypedDict):
    id: str
    job_id: str
    job_type: str
    provider_id: int | None
    container_image: str
    status: str
    created_at: str
    started_at: str | None
    completed_at: str | None
    cost_halala: int
    input_tokens: int
    output_tokens: int

class RenterKey(TypedDict):
    id: str
    key_hint: str
    label: str | None
    scopes: list[str]
    expires_at: str | None
    created_at: str
    last_used_at: str | None
    revoked_at: str | None
    monthly_budget_halala: int | None
    spent_this_month_halala: int
    requests_per_minute: int | None
    tokens_per_minute: int | None
    streams: int | None
    models: list[Any] | None
    only_providers: list[Any] | None
    ignore_providers: list[Any] | None

class RenterLimits(TypedDict):
    monthly_limit_halala: int | None
    daily_jobs_limit: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    streams: int | None

class RenterMetrics(TypedDict):
    total_registered: int
    active_last_24h: int
    total_balance_halala: float

class RenterSettings(TypedDict):
    webhook_url: str | None
    webhook_secret: str | None

class ReportBenchmarkResponse(TypedDict):
    success: bool
    tier: str

class ReportDaemonEventRequest(TypedDict):
    api_key: NotRequired[str | None]
    event_type: str
    severity: NotRequired[Literal['info', 'warning', 'error', 'critical', None]]
    details: NotRequired[Any]

class ReportDaemonEventResponse(TypedDict):
    success: bool
    event_type: str
    provider_id: int

class ReportEndpointReadyResponse(TypedDict):
    success: bool
    endpoint_url: str

class ReportJobResultResponse(TypedDict):
    success: bool
    job: NotRequired[JobDetail]
    billing: NotRequired[Billing]
    next_job_promoted: NotRequired[bool]
    retry: NotRequired[bool]
    attempt: NotRequired[int]
    max_retries: NotRequired[int]
    job_id: NotRequired[str]
    message: NotRequired[str]

class ReportProgressResponse(TypedDict):
    success: bool
    phase: str
    job_status: str

class ReportReadinessRequest(TypedDict):
    api_key: NotRequired[str | None]
    checks: dict[str, Any]
    daemon_version: NotRequired[str | None]

class ReportReadinessResponse(TypedDict):
    success: bool
    readiness_status: str
    checks: dict[str, Any]

class ReportRunResultRequest(TypedDict):
    api_key: NotRequired[str | None]
    job_id: str | int
    success: bool
    result: NotRequired[dict[str, Any] | str | None]
    error: NotRequired[str | None]
    gpu_seconds_used: NotRequired[float | None]
    exit_code: NotRequired[int | None]
    restart_count: NotRequired[int | None]
    last_error: NotRequired[str | None]
    attempt_number: NotRequired[int | None]
    error_category: NotRequired[str | None]

class ReportRunResultResponse(TypedDict):
    success: bool
    job_id: str
    status: str
    actual_minutes: float
    gpu_seconds_used: float
    cost_halala: int
    provider_earned_halala: int
    dc1_fee_halala: int
    refunded_halala: int
    restart_count: int
    last_error: str | None

class RequeueJobResponse(TypedDict):
    success: bool
    job: JobDetail

class Rerank(TypedDict):
    id: str
    model: str
    results: list[RankedDocument]
    usage: PromptUsage

class RerankBodyInput(TypedDict):
    model: str
    query: str
    documents: list[str | dict[str, Any]]
    top_n: NotRequired[int | None]

class ResendWebhookDeliveryResponse(TypedDict):
    success: bool
    delivery_id: str

class ResetProviderKeyResponse(TypedDict):
    success: bool
    provider_id: int
    new_api_key: str

class ResetRenterKeyResponse(TypedDict):
    success: bool
    renter_id: int
    new_api_key: str

class Response(TypedDict):
    id: str
    object: str
    created_at: int
    status: str
    model: str
    output: list[Any]
    incomplete_details: dict[str, Any] | None
    store: bool
    usage: ResponseUsage

class ResponseEvent(TypedDict):
    type: str
    sequence_number: int

class ResponseUsage(TypedDict):
    input_tokens: int
    output_tokens: int
    total_tokens: int

class ResponsesBodyInput(TypedDict):
    model: str
    input: str | list[Any]
    instructions: NotRequired[str | None]
    max_output_tokens: NotRequired[int | None]
    temperature: NotRequired[float | None]
    top_p: NotRequired[float | None]
    stream: NotRequired[bool | None]
    tools: NotRequired[list[Any] | None]
    tool_choice: NotRequired[str | dict[str, Any] | None]
    text: NotRequired[dict[str, Any] | None]
    reasoning: NotRequired[dict[str, Any] | None]

class ResumeProviderRequest(TypedDict):
    key: NotRequired[str | None]
    machine_id: NotRequired[int | None]

class ResumeProviderResponse(TypedDict):
    success: bool
    status: str

class RetryJobResponse(TypedDict):
    success: bool
    job: JobDetail
    id: str
    job_id: str
    status: str

class RevenueDay(TypedDict):
    date: str
    total_sar: float
    platform_fees_sar: float
    provider_payouts_sar: float
    jobs: int

class RevenueMetrics(TypedDict):
    today_halala: float
    this_week_halala: float
    this_month_halala: float

class RevenueTotals(TypedDict):
    total_sar: float
    platform_fees_sar: float
    provider_payouts_sar: float
    total_jobs: int

class ReverseFinanceTransactionResponse(TypedDict):
    success: bool
    entry: FinanceEntry
    new_balance_halala: int
    new_balance_sar: float

class RevokeOperatorResponse(TypedDict):
    operator: Operator

class RevokeRenterKeyResponse(TypedDict):
    success: bool
    revoked_at: str

class RotateMachineKeyResponse(TypedDict):
    success: bool
    machine_id: int
    api_key: str
    old_key_expires_at: str

class RotateOperatorTokenResponse(TypedDict):
    operator: Operator
    token: str

class RotateProviderKeyResponse(TypedDict):
    success: bool
    message: str
    api_key: str
    new_key: str
    provider_id: int
    old_key_expires_at: str

class RotateRenterKeyRequest(TypedDict):
    keep_scoped_keys: NotRequired[bool | None]

class RotateRenterKeyResponse(TypedDict):
    success: bool
    message: str
    api_key: str
    new_key: str
    renter_id: int

class SeriesPoint(TypedDict):
    at: str
    machines: int
    online: int
    queued: int
    running: int
    jobs_completed: int
    jobs_failed: int
    charged_halala: float

class ServedModel(TypedDict):
    id: str
    object: str
    created: int
    owned_by: str
    pricing: TokenPricing
    status: str
    providers_online: int
    vram_gb: int
    min_gpu_vram_gb: int
    avg_price_sar_per_min: float
    ttft_ms_p50: float | None
    tokens_per_second_p50: float | None
    context_length: int
    architecture: ModelArchitecture
    capabilities: list[str]
    supported_parameters: list[str]

class SetGpuFactorResponse(TypedDict):
    gpu_model: str
    factor: float
    updated_at: str

class SetPriceResponse(TypedDict):
    job_type: str
    rate_halala: int
    updated_at: str

class SetProviderStatusResponse(TypedDict):
    success: bool
    provider_id: int
    status: str

class SetRenterLimitsResponse(TypedDict):
    success: bool
    renter_id: int
    monthly_limit_halala: int
    daily_jobs_limit: int
    requests_per_minute: int | None
    tokens_per_minute: int | None
    streams: int | None

class SetTokenPricesResponse(TypedDict):
    model: str
    prompt_halala: int
    completion_halala: int
    cached_halala: int
    updated_at: str

class SharedTrait(TypedDict):
    shares: str
    renter_ids: list[int]
    provider_ids: list[int]

class SpeechBodyInput(TypedDict):
    model: str
    input: str
    stream_format: NotRequired[Literal['audio', 'sse', None]]
    voice: NotRequired[str | dict[str, Any] | None]
    response_format: NotRequired[str | None]

class SpeechEvent(TypedDict):
    type: str
    audio: str

class StatusCount(TypedDict):
    status: str
    count: int

class StreamEnd(TypedDict):
    type: str
    status: str
    ts: str

class SubmitChallengeRequest(TypedDict):
    api_key: NotRequired[str | None]
    challenge_id: str
    result_hash: NotRequired[str | None]
    elapsed_ms: NotRequired[float | None]
    ready: NotRequired[ProbeReadyInput | None]
    roots: NotRequired[ProbeRootsInput | None]
    leaves: NotRequired[ProbeLeavesInput | None]
    failure: NotRequired[ProbeFailureInput | None]

class SubmitChallengeResponse(TypedDict):
    verdict: str
    score: float
    flags: list[str]
    next: NotRequired[GetPendingChallengeResponse]

class SubmitJobRequest(TypedDict):
    job_type: Literal['image_generation', 'llm-inference', 'llm_inference', 'rendering', 'training', 'benchmark', 'custom_container', 'vllm_serve', 'rag-pipeline']
    duration_minutes: float
    provider_id: NotRequired[int | None]
    max_duration_seconds: NotRequired[int | None]
    params: NotRequired[dict[str, Any] | None]
    model: NotRequired[str | None]
    container_spec: NotRequired[dict[str, Any] | None]
    gpu_requirements: NotRequired[dict[str, Any] | None]
    min_vram_gb: NotRequired[float | None]
    priority: NotRequired[Literal[1, 2, 3, '1', '2', '3', None]]
    pricing_class: NotRequired[Literal['priority', 'standard', 'economy', None]]
    prewarm_requested: NotRequired[bool | None]
    task_spec: NotRequired[dict[str, Any] | None]
    env_vars: NotRequired[dict[str, str] | None]
    container_image: NotRequired[str | None]
    command: NotRequired[str | list[Any] | None]
    max_rate_halala_per_minute: NotRequired[float | None]
    prefer: NotRequired[Literal['reputation', 'price', None]]

class SubmitJobResponse(TypedDict):
    success: bool
    job: Job
    queued: bool
    message: str | None
    id: str
    job_id: str
    renter_id: int
    provider_id: int | None
    job_type: str
    model: str | None
    status: str
    submitted_at: str
    started_at: str | None
    timeout_at: str | None
    duration_minutes: float | None
    cost_halala: int
    max_duration_seconds: int
    gpu_requirements: dict[str, Any] | None
    container_spec: dict[str, Any]
    priority: int
    pricing_class: str
    prewarm_requested: bool
    checkpoint_enabled: bool
    queue_position: int | None
    workspace_volume_name: str
    dispatch: Dispatch
    hold_rate_halala_per_minute: float | None
    rate_halala_per_minute: float | None
    max_rate_halala_per_minute: float | None
    prefer: str
    waiting_for: str | None

class SuspendProviderResponse(TypedDict):
    success: bool
    provider_id: int
    status: str

class SuspendRenterResponse(TypedDict):
    success: bool
    renter_id: int
    status: str

class SystemMetrics(TypedDict):
    uptime_seconds: float
    db_size_bytes: float

class TestNotificationChannelResponse(TypedDict):
    success: bool

class TokenCall(TypedDict):
    job_id: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    cost_halala: int
    created_at: str

class TokenEvent(TypedDict):
    type: str
    text: str
    attempt_number: int
    ts: str

class TokenPricing(TypedDict):
    halala_per_1m_tokens: int
    halala_per_1m_completion_tokens: int
    halala_per_1m_cached_tokens: int

class TokenUsage(TypedDict):
    total_requests: int
    prompt_tokens: float
    completion_tokens: float
    total_tokens: float
    total_cost_halala: float

class TopUpRequest(TypedDict):
    amount_halala: NotRequired[int | None]
    amount_sar: NotRequired[float | None]

class TopUpResponse(TypedDict):
    success: bool
    topped_up_halala: int
    topped_up_sar: float
    new_balance_halala: int
    new_balance_sar: float

class TotalSpend(TypedDict):
    total_jobs: int
    total_halala: float
    total_sar: float

class Transcription(TypedDict):
    id: str
    model: str
    text: str
    usage: TranscriptionUsage

class TranscriptionEvent(TypedDict):
    type: str
    delta: str
    usage: TranscriptionUsage | None

class TranscriptionFormInput(TypedDict):
    file: str
    model: str
    response_format: NotRequired[Literal['json', 'text', 'srt', 'verbose_json', 'vtt', 'diarized_json', None]]
    stream: NotRequired[bool | None]

class TranscriptionUsage(TypedDict):
    type: str
    input_tokens: int
    output_tokens: int
    total_tokens: int

class UndrainProviderResponse(TypedDict):
    success: bool
    provider_id: int
    status: str

class UnsuspendProviderResponse(TypedDict):
    success: bool
    provider_id: int
    status: str

class UnsuspendRenterResponse(TypedDict):
    success: bool
    renter_id: int
    status: str

class UpdateGpuProfileRequest(TypedDict):
    gpu_model: NotRequired[str | None]
    vram_mb: NotRequired[int | None]
    gpu_count: NotRequired[int | None]
    supported_compute_types: NotRequired[list[Literal['inference', 'training', 'rendering']] | None]
    machine_id: NotRequired[int | None]

class UpdateGpuProfileResponse(TypedDict):
    success: bool
    profile: GpuProfile

class UpdateMachineResponse(TypedDict):
    success: bool
    machine: Machine

class UpdatePreferencesRequest(TypedDict):
    key: NotRequired[str | None]
    run_mode: NotRequired[Literal['always-on', 'manual', 'scheduled', None]]
    scheduled_start: NotRequired[str | None]
    scheduled_end: NotRequired[str | None]
    gpu_usage_cap_pct: NotRequired[float | None]
    vram_reserve_gb: NotRequired[float | None]
    temp_limit_c: NotRequired[float | None]
    ask: NotRequired[float | None]
    machine_id: NotRequired[int | None]

class UpdatePreferencesResponse(TypedDict):
    success: bool
    preferences: ProviderPreferences

class UpdateRenterKeyResponse(TypedDict):
    success: bool
    id: str
    monthly_budget_halala: int | None
    spent_this_month_halala: int
    requests_per_minute: int | None
    tokens_per_minute: int | None
    streams: int | None
    models: list[Any] | None
    only_providers: list[Any] | None
    ignore_providers: list[Any] | None

class UpdateRenterSettingsRequest(TypedDict):
    webhook_url: NotRequired[str | None]
    rotate_webhook_secret: NotRequired[bool | None]

class UpdateRenterSettingsResponse(TypedDict):
    success: bool
    settings: RenterSettings

class UpdateWithdrawalResponse(TypedDict):
    id: str
    provider_id: int
    provider_name: str
    amount_halala: int
    amount_sar: float
    iban: str
    status: str
    reason: str | None
    created_at: str
    updated_at: str
    cash_halala: int
    promo_halala: int
    bank_reference: str | None

class Uptime(TypedDict):
    hours_24: float
    days_7: float

class VerifyAutomaticallyRequest(TypedDict):
    api_key: NotRequired[str | None]
    gpu_info: NotRequired[dict[str, Any] | None]

class VerifyAutomaticallyResponse(TypedDict):
    verdict: str
    score: float
    flags: list[str]

class VerifyTaskHmacResponse(TypedDict):
    valid: bool

class WalletEntry(TypedDict):
    id: int
    amount_halala: int
    amount_sar: float
    direction: str
    kind: str
    job_id: str | None
    note: str | None
    balance_after_halala: int
    created_at: str

class WebhookDelivery(TypedDict):
    delivery_id: str
    event: str
    job_id: str | None
    url: str
    status: str
    attempts: int
    response_status: int | None
    error: str | None
    created_at: str
    last_attempt_at: str | None
    next_attempt_at: str | None
    delivered_at: str | None

class Withdrawal(TypedDict):
    id: str
    amount_halala: int
    amount_sar: float
    iban_hint: str
    status: str
    reason: str | None
    created_at: str
    updated_at: str
    cash_halala: int
    promo_halala: int
    bank_reference: str | None

ProbeKind = Literal['PROBE_KIND_UNSPECIFIED', 'PROBE_KIND_PRODUCTS', 'PROBE_KIND_MEMORY']

RotateProviderKeyRequest = dict[str, Any]
