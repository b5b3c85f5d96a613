"""Puts services and control together."""

from collections import ChainMap
from collections.abc import Iterable, Iterator
from itertools import chain

from dc1.control.config import ControlConfig
from dc1.control.control_plane import ControlPlane
from dc1.domain.money.pricing import PricingClass
from dc1.domain.providers.liveness import Thresholds
from dc1.server.assembly import Assembly, Foundation, Service
from dc1.server.method_options import options_of
from dc1.server.wiring import admin, core, jobs, providers, renters
from dc1.server.wiring import market as market_side
from dc1.server.wiring.parts import Parts
from dc1.services.api.call import Hooks
from dc1.services.api.idempotency import IdempotentCalls
from dc1.settings import Settings
from dc1.storage.jobs.submission import SubmissionLimits

_SIDES = (core, renters, jobs, providers, market_side, admin)


def assemble(foundation: Foundation) -> Assembly:
    """Return the parts of the server, built on `foundation`."""
    config = control_config(foundation.settings)
    plane = ControlPlane.build(foundation.database, foundation.clock, config, foundation.credentials)
    idempotent = IdempotentCalls(plane.db, plane.clock, plane.config.idempotency_ttl_seconds)
    parts = Parts(foundation, plane, idempotent)
    wirings = [side.wire(parts) for side in _SIDES]
    services = list(chain.from_iterable(wiring.services for wiring in wirings))
    return Assembly(
        services=services,
        hooks=Hooks(
            normalisers=ChainMap(*(dict(wiring.hooks.normalisers) for wiring in wirings)),
            shape_checks=ChainMap(*(dict(wiring.hooks.shape_checks) for wiring in wirings)),
            preconditions=dict.fromkeys(_idempotent_methods(services), idempotent.check),
            streamed=ChainMap(*(dict(wiring.hooks.streamed) for wiring in wirings)),
        ),
        background=[plane, *chain.from_iterable(wiring.background for wiring in wirings)],
        drain=plane.drain,
        ended=plane.ended,
    )


def _idempotent_methods(services: Iterable[Service]) -> Iterator[str]:
    """Yield the full names of the methods that honour an Idempotency-Key."""
    for service in services:
        for method in service.descriptor.methods:
            name = f"/{service.descriptor.full_name}/{method.name}"
            if options_of(name).honours_idempotency_key:
                yield name


def control_config(settings: Settings) -> ControlConfig:
    """Return what the operator chose, as the layers below the server take it."""
    return ControlConfig(
        limits=SubmissionLimits(
            daily_jobs=settings.quota_daily_jobs,
            monthly_halala=settings.quota_monthly_halala,
            queue_deadline_seconds=round(settings.queue_deadline_seconds),
            max_retries=settings.max_retries,
            balance_low_halala=settings.balance_low_halala,
        ),
        thresholds=Thresholds(
            online_seconds=settings.online_seconds,
            offline_seconds=settings.offline_seconds,
            stream_grace_seconds=settings.stream_grace_seconds,
        ),
        class_multipliers={PricingClass(name): factor for name, factor in settings.class_multipliers.items()},
        fee_bps=settings.platform_fee_bps,
        starter_credit_halala=settings.starter_credit_halala,
        topup_enabled=settings.topup_enabled,
        withdraw_min_halala=settings.withdraw_min_halala,
        idempotency_ttl_seconds=settings.idempotency_ttl_hours * 3600,
        offer_timeout_seconds=settings.offer_timeout_seconds,
        poll_lease_grace_seconds=settings.poll_lease_grace_seconds,
        key_rotation_grace_seconds=settings.key_rotation_grace_seconds,
        beat_interval_seconds=settings.beat_interval_seconds,
        token_price_halala=settings.token_price_halala,
        token_prices={model.lower(): price for model, price in settings.token_prices.items()},
        completion_timeout_seconds=settings.completion_timeout_seconds,
        daemon_latest_version=settings.daemon_latest_version,
        daemon_min_version=settings.resolved_daemon_min_version,
        installer_base_url=settings.installer_base_url,
    )
