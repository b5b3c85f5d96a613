"""One provider as the running server knows it."""

from dataclasses import dataclass, field

from dc1.control.fleet.price_book import PriceBook
from dc1.domain.base.clock import DAY_MS
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.gpus.card_record import CardRecord
from dc1.domain.jobs.placement import ProviderView
from dc1.domain.jobs.states import COMPUTE_TYPES
from dc1.domain.money.machine_prices import HUNDRED
from dc1.domain.providers import liveness, mismatches, reputation
from dc1.domain.providers.gpu_sources import GpuSource
from dc1.domain.providers.hardware import CPU, canonical_gpu_type, gpu_name
from dc1.domain.providers.liveness import Approval, Channel, Liveness, Presence, ProviderStatus, Thresholds
from dc1.domain.providers.measurements import Device, Measurement
from dc1.domain.providers.mismatches import Mismatch, Performance, in_words, performance_of
from dc1.domain.providers.model_abilities import NOTHING_TOLD, KnownAbilities
from dc1.domain.providers.preferences import Preferences, Reluctance, RunMode
from dc1.domain.providers.reports import Facts, Report, metric_of, without_claims
from dc1.domain.providers.reputation import NO_RUNS, RunRecord

_BEAT_SLOT_MS = 30_000
# Two owners: what an account says is stored with each decision, what a daemon says by the replica that heard it. Of a
# provider whose stream is here, only the first is taken over from storage.
_ACCOUNT_FIELDS = (
    "name",
    "email",
    "registered_gpu_model",
    "location",
    "approval",
    "approved_at_ms",
    "rejected_reason",
    "suspended",
    "pauses",
    "deleted",
    "preferences",
    "preload_model",
    "compute_types",
    "second_daemon_at_ms",
    "mismatch",
    "mismatch_at_ms",
    "accepted_hardware",
    "stream_instance",
)
_REPORT_FIELDS = (
    "facts",
    "hardware_reported",
    "measurement",
    "gpu_status",
    "cards",
    "cached_models",
    "vllm_models",
    "job_types",
    "inference_slots",
    "carries_bodies",
    "abilities",
    "resource_spec",
    "model_cache",
    "container_restart_count",
    "provider_ip",
    "provider_hostname",
)
# What of a report stays as it was where the next one does not say it.
_LASTING_FIELDS = ("cached_models", "vllm_models", "resource_spec", "model_cache", "container_restart_count")


@dataclass(slots=True)
class Provider:
    """Account facts, the last report and the presence of one provider. Only the fleet changes it."""

    id: int
    name: str
    email: str
    registered_gpu_model: str
    os: str
    created_at_ms: int
    owner_id: int | None = None
    location: str | None = None
    approval: Approval = Approval.PENDING
    approved_at_ms: int | None = None
    rejected_reason: str | None = None
    suspended: bool = False
    pauses: liveness.Pause = liveness.NO_PAUSE
    deleted: bool = False
    preferences: Preferences = field(default_factory=Preferences)
    preload_model: str | None = None
    preload_done: bool = False
    compute_types: frozenset[str] = frozenset(COMPUTE_TYPES)
    facts: Facts = field(default_factory=Facts)
    hardware_reported: bool = False
    gpu_status: JsonObject | None = None
    cards: CardRecord = field(default_factory=CardRecord)
    cached_models: tuple[str, ...] = ()
    vllm_models: tuple[str, ...] = ()
    job_types: frozenset[str] | None = None
    resource_spec: JsonValue = None
    model_cache: JsonObject | None = None
    container_restart_count: int | None = None
    provider_ip: str | None = None
    provider_hostname: str | None = None
    presence: Presence = field(default_factory=Presence)
    draining: bool = False
    probes: bool = False
    measurement: Measurement | None = None
    mismatch: str | None = None
    mismatch_at_ms: int | None = None
    accepted_hardware: str | None = None
    mismatch_to_store: bool = False
    probe_outcome: str | None = None
    late_probes: int = 0
    shares_card: bool = False
    stream_replica: str | None = None
    stream_instance: str | None = None
    second_daemon_at_ms: int | None = None
    gpus_held: int = 0
    inference_slots: int = 0
    carries_bodies: bool = False
    abilities: KnownAbilities = NOTHING_TOLD
    calls: int = 0
    used_by_others_pct: float | None = None
    completed_jobs: int = 0
    failed_jobs: int = 0
    record: RunRecord = NO_RUNS
    beats_of_week: int = 0
    beats_to_flush: int = 0
    last_beat_slot: int = 0
    decided_at: int = 0
    counted_at: int = 0

    @property
    def gpu_source(self) -> GpuSource:
        """Whose word on its GPU is shown."""
        if self.measured is not None:
            return GpuSource.MEASURED
        return GpuSource.REPORTED if self.hardware_reported else GpuSource.CLAIMED

    @property
    def measured(self) -> Measurement | None:
        """What was proved of what lists show: of its GPU, or of its processor where it has none."""
        device = Device.GPU if self.has_gpu else Device.CPU
        is_of_it = self.hardware_reported and self.measurement is not None and self.measurement.device is device
        return self.measurement if is_of_it else None

    @property
    def performance(self) -> Performance | None:
        """How its GPU stands to its model, None where that is not known."""
        return performance_of(self.named_gpu, self.measured)

    @property
    def below_model(self) -> Measurement | None:
        """What its GPU was measured to do where that is less than its model does, None where it is not."""
        return m if (m := self.measured) and performance_of(self.named_gpu, m) is Performance.BELOW_MODEL else None

    @property
    def hardware_notice(self) -> str | None:
        """What its owner is told of its GPU: why it is given no work for GPUs, or is placed after its equals."""
        if self.mismatch is None and self.below_model is not None:
            return in_words(self.named_gpu, self.below_model)
        return self.mismatch or self.cards.notice

    @property
    def _found_mismatches(self) -> tuple[Mismatch, ...]:
        return mismatches.mismatches_of(self.named_gpu, self.vram_mib, self.measured, shares_card=self.shares_card)

    @property
    def named_gpu(self) -> str | None:
        """Canonical name of the GPU that a daemon reported, None where none is or it has no name."""
        return self.gpu_name if self.has_gpu and self.facts.gpu_name else None

    @property
    def has_gpu(self) -> bool:
        """Whether a daemon reported a GPU: an owner's claim is none, and a daemon may report that there is none."""
        return self.hardware_reported and self.facts.has_gpu

    @property
    def is_cpu(self) -> bool:
        """Whether its daemon reported that it has no GPU."""
        return self.hardware_reported and not self.facts.has_gpu

    @property
    def account_id(self) -> int:
        """The owner's account, which is that of its first machine."""
        return self.id if self.owner_id is None else self.owner_id

    @property
    def slots(self) -> int:
        """How many jobs of one GPU it can run at once; GPUs that are only claimed, or fail, take no work."""
        return max(1, (self.facts.gpu_count or 1) - len(self.cards.failing)) if self.has_gpu else 1

    @property
    def occupied(self) -> int:
        """How many slots are taken: a call takes one of an engine that does not say how many calls it takes."""
        return self.gpus_held if self.inference_slots else self.gpus_held + self.calls

    @property
    def is_idle(self) -> bool:
        """Whether nothing of ours is on it."""
        return not self.gpus_held and not self.calls

    @property
    def gpu_count(self) -> int:
        """How many GPUs lists show; 0 of a machine without."""
        return 0 if self.is_cpu else max(1, self.facts.gpu_count or 1)

    @property
    def vram_mib(self) -> int | None:
        """VRAM of one GPU in MiB, None when unknown and of a machine without."""
        return None if self.is_cpu else self.facts.vram_mib

    @property
    def gpu_model(self) -> str:
        """Model of its GPU as reported, of a machine without one `CPU`; as claimed until a daemon says anything."""
        if not self.hardware_reported:
            return self.registered_gpu_model
        return CPU if self.is_cpu else self.facts.gpu_name or ""

    @property
    def gpu_name(self) -> str | None:
        """Canonical name of that model."""
        return gpu_name(self.gpu_model, self.vram_mib)

    @property
    def gpu_type(self) -> str | None:
        """Type of that model, as lists and filters compare it."""
        return canonical_gpu_type(self.gpu_model, self.vram_mib)

    @property
    def gpu_lost(self) -> bool:
        """Whether the daemon, which had found a GPU before, finds none any more."""
        return self.has_gpu and metric_of(self.gpu_status, "gpus_present") == 0

    @property
    def models(self) -> tuple[str, ...]:
        """Models on its disk or being served, without repetition."""
        return tuple(dict.fromkeys((*self.cached_models, *self.vllm_models)))

    @property
    def run_mode(self) -> RunMode:
        """When it may be given work, by its owner's wish."""
        return self.preferences.run_mode

    @property
    def listed_compute_types(self) -> list[str]:
        """The kinds of work it may be given, in documented order."""
        return [kind.value for kind in COMPUTE_TYPES if kind in self.compute_types]

    @property
    def scripted(self) -> bool:
        """Whether its daemon polls and knows nothing but the task: it never said what it has runners for."""
        heard = self.presence.last_heartbeat_ms is not None
        return heard and self.presence.channel is Channel.POST and self.job_types is None

    @property
    def awaits_approval(self) -> bool:
        """Whether an admin has still to decide about it."""
        return self.approval is Approval.PENDING and not self.deleted

    def reluctance(self, now_ms: int) -> Reluctance | None:
        """Return why its owner's preferences keep new work away now, or None."""
        return self.preferences.reluctance(now_ms, metric_of(self.gpu_status, "temp_c"), self.used_by_others_pct)

    def status(self, now_ms: int, thresholds: Thresholds) -> ProviderStatus:
        """Return the status that lists show."""
        return liveness.status(
            self.presence, now_ms, suspended=self.suspended, paused=bool(self.pauses), thresholds=thresholds
        )

    def liveness(self, now_ms: int, thresholds: Thresholds) -> Liveness:
        """Return whether the daemon is there."""
        return liveness.liveness(self.presence, now_ms, thresholds)

    @property
    def uptime_pct(self) -> float:
        """Share of a week's heartbeats that came, 0 to 100."""
        return round(float(reputation.uptime_percent(self.beats_of_week)), 1)

    def reputation(self, now_ms: int) -> int:
        """Return the score that placement and lists use, 0 to 100."""
        days = max(0, now_ms - self.created_at_ms) // DAY_MS
        return reputation.reputation(self.record, self.beats_of_week, days, now_ms)

    @property
    def taken(self) -> tuple[int, int]:
        """How many slots and calls placement counts as taken: all of them where it may take no work here."""
        fails = len(self.cards.failing) >= max(1, self.gpu_count)
        full = fails or self.draining or self.stream_replica is not None or self.gpu_lost
        return (self.slots, self.inference_slots) if full else (self.occupied, self.calls)

    def view(self, now_ms: int, thresholds: Thresholds, prices: PriceBook) -> ProviderView:
        """Return what placement needs to know.

        A draining daemon takes no work, one on another replica takes it there, and one without the GPU that is offered
        cannot do it, so all are shown as full here.
        """
        occupied, calls = self.taken
        return ProviderView(
            id=self.id,
            approval=self.approval,
            status=self.status(now_ms, thresholds),
            slots=self.slots,
            occupied=occupied,
            call_slots=self.inference_slots,
            calls=calls,
            carries_bodies=self.carries_bodies,
            paths=self.abilities.paths,
            has_gpu=self.has_gpu and self.mismatch is None,
            below_model=self.below_model is not None,
            vram_mib=self.preferences.usable_vram_mib(self.vram_mib),
            gpu_type=self.gpu_type if self.has_gpu else None,
            gpu_model=self.gpu_model,
            compute_types=self.compute_types,
            models=frozenset(model.lower() for model in self.models),
            job_types=self.job_types,
            reputation=self.reputation(now_ms),
            streaming=self.presence.stream_open and not self.draining,
            scripted=self.scripted,
            only_named=self.run_mode is RunMode.MANUAL,
            reluctance=self.reluctance(now_ms),
            price_bps=self.price_bps(prices),
        )

    def price_bps(self, prices: PriceBook) -> int:
        """Return what one of its GPUs costs."""
        return prices.price_bps(self.factor_pct(prices), self.preferences.ask_pct)

    def factor_pct(self, prices: PriceBook) -> int:
        """Return the factor of its GPU: by what was measured and reported, as a claim is worth nothing."""
        factor_pct = prices.factor_pct(self.named_gpu, self.below_model)
        # Whoever was found out must not be better off than a machine without a GPU.
        return factor_pct if self.mismatch is None else min(factor_pct, HUNDRED)

    def take_report(self, report: Report, *, streamed: bool = False) -> None:
        """Fold a heartbeat in: what it does not say stays as it was, but for claims, which end with the first report.

        A stream always tells of its machine: one that reports no GPU has none. A heartbeat by POST may leave it out.
        """
        if not self.hardware_reported and (streamed or report.tells_of_gpu):
            self.hardware_reported = True
            self.facts = without_claims(self.facts)
        known, self.facts = self.facts, self.facts.updated(report.facts)
        if known.hardware != self.facts.hardware:
            # It was of other hardware.
            self.measurement, self.shares_card = None, False
        if report.gpu_status is not None:
            self.gpu_status = report.gpu_status
            self._note_use_by_others()
        for name in _LASTING_FIELDS:
            if (said := getattr(report, name)) is not None:
                setattr(self, name, said)
        self.provider_ip = report.provider_ip or self.provider_ip
        self.provider_hostname = report.provider_hostname or self.provider_hostname
        if self.preload_model and self.preload_model.lower() in {model.lower() for model in self.models}:
            self.preload_model, self.preload_done = None, True

    def judge(self, now_ms: int) -> None:
        """Note what its GPU cannot be by report and measurement."""
        for found in mismatches.undecided(self._found_mismatches, self.accepted_hardware):
            self.doubt(found.words, now_ms)

    def doubt(self, words: str, now_ms: int) -> None:
        """Note that its GPU cannot be what is reported; so it stays, whatever is said later, until an admin decides."""
        if self.mismatch is None:
            self.mismatch, self.mismatch_at_ms, self.mismatch_to_store = words, now_ms, True

    @property
    def doubted_hardware(self) -> str | None:
        """What is accepted, a line each, once an admin decides that its GPU may be what is reported."""
        return mismatches.accepted_with(self._found_mismatches, self.mismatch, self.accepted_hardware)

    def wish_for(self, model: str) -> None:
        """Note the model that the daemon shall fetch; the wish ends with the report that lists it."""
        self.preload_model, self.preload_done = model, False

    def take_account(self, stored: "Provider") -> None:
        """Take over what owners and admins decide."""
        found = self.mismatch, self.mismatch_at_ms
        for name in _ACCOUNT_FIELDS:
            setattr(self, name, getattr(stored, name))
        if self.mismatch_to_store:
            # Newer than what is stored.
            self.mismatch, self.mismatch_at_ms = found

    def take_stored_report(self, stored: "Provider") -> None:
        """Take over what another replica heard of the daemon."""
        for name in _REPORT_FIELDS:
            setattr(self, name, getattr(stored, name))
        self._note_use_by_others()

    def _note_use_by_others(self) -> None:
        # While a job of ours runs, the GPU's use says nothing of anybody else's.
        if self.is_idle:
            self.used_by_others_pct = metric_of(self.gpu_status, "gpu_util_pct")

    def count_beat(self, now_ms: int) -> None:
        """Count a heartbeat towards uptime, at most one each 30 s however often the daemon beats."""
        if (slot := now_ms // _BEAT_SLOT_MS) != self.last_beat_slot:
            self.last_beat_slot = slot
            self.beats_of_week += 1
            self.beats_to_flush += 1
