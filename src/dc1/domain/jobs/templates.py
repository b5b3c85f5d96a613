"""Ready-made jobs to start from; every one can be submitted as it is."""

from dataclasses import dataclass, field

from dc1.domain.base.json_types import JsonObject
from dc1.domain.jobs.states import JobType


@dataclass(frozen=True, slots=True)
class Template:
    """A job to start from; `min_vram_gb` 0 means that any card will do."""

    id: str
    name: str
    description: str
    job_type: JobType
    image_type: str
    duration_minutes: float
    min_vram_gb: int = 0
    params: JsonObject = field(default_factory=dict)
    tags: tuple[str, ...] = ()

    @property
    def image(self) -> str:
        """The image it names, empty where its type alone says what runs it."""
        named = self.params.get("image_override")
        return named if isinstance(named, str) else ""


TEMPLATES = (
    Template(
        id="chat",
        name="Ask a language model",
        description="One prompt, answered by whatever model the provider has at hand.",
        job_type=JobType.LLM_INFERENCE,
        image_type="llm",
        duration_minutes=2,
        params={"prompt": "Explain double-entry bookkeeping in three sentences.", "max_tokens": 256},
        tags=("llm", "inference"),
    ),
    Template(
        id="gpu-benchmark",
        name="Measure a GPU",
        description="Products of two large matrices, timed.",
        job_type=JobType.BENCHMARK,
        image_type="benchmark",
        duration_minutes=1,
        params={"matrix_size": 4096, "iterations": 5},
        tags=("benchmark",),
    ),
    Template(
        id="gpu-report",
        name="Look at a GPU",
        description="What nvidia-smi says of the card, in a CUDA container.",
        job_type=JobType.CUSTOM_CONTAINER,
        image_type="cuda",
        duration_minutes=5,
        min_vram_gb=4,
        params={"image_override": "docker.io/nvidia/cuda:12.4.1-runtime-ubuntu22.04", "command": "nvidia-smi"},
        tags=("cuda", "container"),
    ),
    Template(
        id="python",
        name="Run Python",
        description="A Python program in a container without a network.",
        job_type=JobType.CUSTOM_CONTAINER,
        image_type="python",
        duration_minutes=5,
        params={
            "image_override": "docker.io/library/python:3.11-slim",
            "command": "python -c 'print(sum(range(1_000_000)))'",
        },
        tags=("python", "container"),
    ),
    Template(
        id="pytorch",
        name="Run PyTorch",
        description="A PyTorch program on a card with 16 GB or more.",
        job_type=JobType.CUSTOM_CONTAINER,
        image_type="pytorch",
        duration_minutes=10,
        min_vram_gb=16,
        params={
            "image_override": "docker.io/pytorch/pytorch:2.5.1-cuda12.4-cudnn9-runtime",
            "command": "python -c 'import torch; print(torch.rand(8192, 8192, device=\"cuda\").sum())'",
        },
        tags=("pytorch", "cuda", "container"),
    ),
)
"""Every template, the simplest first."""
