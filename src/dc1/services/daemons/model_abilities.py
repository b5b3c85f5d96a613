"""What a daemon's state says of its models, read as far as it is believed."""

from dataclasses import replace
from typing import Final

from dc1.domain.providers.model_abilities import NOTHING_TOLD, EnginePath, KnownAbilities, ModelAbilities
from dc1.domain.providers.reports import MAX_MODEL_NAME, MAX_MODELS
from dcp.v1 import daemon_stream_pb2 as pb

_CARRIED_BY_ALL: Final = frozenset(
    {EnginePath.CHAT, EnginePath.COMPLETIONS, EnginePath.EMBEDDINGS, EnginePath.RERANK, EnginePath.IMAGES}
)
"""What every daemon that passes on bytes carries, whether it says so or is older than that word."""


def known_abilities(state: pb.DaemonState) -> KnownAbilities:
    """Return what a state says of each model."""
    told = [said for said in state.model_abilities[:MAX_MODELS] if 0 < len(said.model) <= MAX_MODEL_NAME]
    # What passes on no bytes is asked for chats alone, whatever its engine has.
    if not told or not state.carries_bodies:
        return NOTHING_TOLD
    carried = _CARRIED_BY_ALL | set(state.carried_paths)
    return KnownAbilities.of({said.model.lower(): _abilities(said, carried) for said in told})


def _abilities(said: pb.ModelAbilities, carried: frozenset[str]) -> ModelAbilities:
    known = ModelAbilities.read(
        said.paths, said.context_length, said.input_modalities, said.output_modalities, said.features
    )
    # Older daemons name paths that their engine has and that they would call as they call chats.
    return replace(known, paths=known.paths & carried)
