"""A daemon put together from its configuration."""

import threading
from collections.abc import Sequence

import structlog

from dc1.daemon.agent import Agent
from dc1.daemon.config import DAEMON_VERSION, DaemonConfig
from dc1.daemon.runners.base import Runner
from dc1.daemon.runners.benchmark import BenchmarkRunner
from dc1.daemon.runners.container.runner import ContainerRunner
from dc1.daemon.runners.inference.engine import EngineRunner
from dc1.daemon.runners.inference.engine_llamacpp import SLOTS, LlamaCppEngine, bundled_model, model_in
from dc1.daemon.runners.inference.engine_openai import OpenAIEngine
from dc1.daemon.telemetry.machine import MachineTelemetry
from dc1.proxies import grpc_proxy, speaks

log = structlog.get_logger(__name__)

DRIVER_SECONDS = 30.0
"""How long a daemon that starts waits for the GPU driver."""


def build_agent(config: DaemonConfig) -> Agent:
    """Return a daemon for this machine. Blocks while the GPU driver takes to answer, half a minute at most."""
    proxy = grpc_proxy(config.server)
    if proxy and not speaks(proxy, "http"):
        # gRPC knows no others, and leaves them out without a word that anybody reads.
        log.warning("proxy_not_used", hint="the stream goes through proxies of http:// alone; it is opened without")
    telemetry = MachineTelemetry(DAEMON_VERSION)
    return Agent(config, build_runners(config, _first_gpus(telemetry)), telemetry)


def _first_gpus(telemetry: MachineTelemetry) -> Sequence[str]:
    """Return the GPUs by UUID; none yet of a driver that hangs, which beats tell of once it answers."""
    found: list[str] = []
    # Read once before there is an event loop to stall: opening the driver for the first time takes seconds. In a
    # thread that is left to a driver which never answers, for the machine still has a processor to offer.
    first = threading.Thread(target=lambda: found.extend(gpu.uuid for gpu in telemetry.read().gpus), daemon=True)
    first.start()
    first.join(DRIVER_SECONDS)
    return list(found)


def build_runners(config: DaemonConfig, gpus: Sequence[str] = ()) -> list[Runner]:
    """Return the runners that the configuration allows, for a machine with these GPUs (by UUID)."""
    # In the order in which they are asked. Never both engines: who names one does not want the slow model offered too.
    runners: list[Runner] = []
    if config.engine_url is not None:
        # The engine may stand elsewhere: only a machine with GPUs of its own can say what it answers on.
        device = "gpu" if gpus else "unknown"
        engine = OpenAIEngine(config.engine_url, config.engine_api_key, device)
        runners.append(EngineRunner(engine, len(gpus), config.engine_concurrency))
    elif config.model is not None or config.cpu_engine:
        model = model_in(config.model) if config.model is not None else bundled_model()
        runners.append(EngineRunner(LlamaCppEngine(model, config.engine_concurrency or SLOTS), len(gpus)))
    if config.containers:
        runners.append(
            ContainerRunner(
                config.server,
                base_url=config.container_url,
                gpus=gpus,
                allow_network=config.container_network,
                image_disk_mib=config.container_disk_gib * 1024,
            )
        )
    runners.append(BenchmarkRunner())
    return runners
