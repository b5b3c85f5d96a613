"""The messages of a probe in protobuf."""

from collections.abc import Mapping

from dc1.control.scheduling.probe_messages import (
    Begin,
    End,
    Leaves,
    Open,
    Prepare,
    ProbeMessage,
    Ready,
    Roots,
    Said,
    Unable,
)
from dc1.domain.probe.commitment import OpenedLeaf
from dc1.domain.probe.rounds import Kind, LeafRef
from dc1.domain.providers.measurements import Device
from dcp.v1 import daemon_probe_pb2 as probe_pb
from dcp.v1.daemon_stream_pb2 import ConnectRequest, ConnectResponse

_KINDS: Mapping[Kind, probe_pb.ProbeKind.ValueType] = {
    Kind.PRODUCTS: probe_pb.PROBE_KIND_PRODUCTS,
    Kind.MEMORY: probe_pb.PROBE_KIND_MEMORY,
}
_MAX_REASON_CHARS = 300


def probe_message(message: ProbeMessage) -> ConnectResponse:
    """Return what the server says of a probe."""
    match message:
        case Prepare(probe_id, table_seed):
            return ConnectResponse(probe_prepare=probe_pb.ProbePrepare(probe_id=probe_id, table_seed=table_seed))
        case Begin(probe_id, number, of, seed):
            begin = probe_pb.ProbeBegin(probe_id=probe_id, round=number, rows=of.rows, steps=of.steps, seed=seed)
            begin.kind = _KINDS[of.kind]
            return ConnectResponse(probe_begin=begin)
        case Open(probe_id, number, refs):
            leaves = [probe_pb.ProbeLeafRef(step=ref.step, leaf=ref.leaf) for ref in refs]
            return ConnectResponse(probe_open=probe_pb.ProbeOpen(probe_id=probe_id, round=number, leaves=leaves))
        case End(probe_id, outcome):
            return ConnectResponse(probe_end=probe_pb.ProbeEnd(probe_id=probe_id, outcome=outcome))


def probe_said(message: ConnectRequest) -> tuple[str, Said]:
    """Return of which probe a daemon speaks, and what it says."""
    match message.WhichOneof("message"):
        case "probe_ready":
            ready = message.probe_ready
            if ready.device not in set(Device):
                return ready.probe_id, Unable("the daemon did not say what it computes on")
            return ready.probe_id, Ready(Device(ready.device), ready.integer_products)
        case "probe_roots":
            roots = message.probe_roots
            return roots.probe_id, Roots(roots.round, tuple(roots.roots))
        case "probe_leaves":
            leaves = message.probe_leaves
            return leaves.probe_id, Leaves(leaves.round, tuple(_leaf(leaf) for leaf in leaves.leaves))
        case _:
            return message.probe_failure.probe_id, Unable(message.probe_failure.reason[:_MAX_REASON_CHARS])


def _leaf(leaf: probe_pb.ProbeLeaf) -> OpenedLeaf:
    return OpenedLeaf(LeafRef(leaf.ref.step, leaf.ref.leaf), leaf.content, tuple(leaf.path))
