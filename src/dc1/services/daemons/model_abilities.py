"""What a daemon's state says of its models, read as far as it is believed."""

from dc1.domain.providers.model_abilities import NOTHING_TOLD, KnownAbilities, ModelAbilities
from dc1.domain.providers.reports import MAX_MODEL_NAME, MAX_MODELS
from dcp.v1 import daemon_stream_pb2 as pb


def known_abilities(state: pb.DaemonState) -> KnownAbilities:
    """Return what a state says of each model."""
    told = [said for said in state.model_abilities[:MAX_MODELS] if 0 < len(said.model) <= MAX_MODEL_NAME]
    # What passes on no bytes is asked for chats alone, whatever its engine has.
    if not told or not state.carries_bodies:
        return NOTHING_TOLD
    return KnownAbilities.of({said.model.lower(): _abilities(said) for said in told})


def _abilities(said: pb.ModelAbilities) -> ModelAbilities:
    return ModelAbilities.read(
        said.paths, said.context_length, said.input_modalities, said.output_modalities, said.features
    )
