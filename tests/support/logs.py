"""What in a log is a failure, whatever else went well."""

import json
import re
from collections.abc import Iterator

# Tracebacks and warnings of Python, gRPC's own lines, and Envoy's.
_NOT_JSON = re.compile(r"^Traceback|^\w*(Error|Exception|Warning): |^[EF]\d{4} |^\[[^\]]*\]\[\d+\]\[(error|critical)\]")


def troubles(log: str) -> Iterator[str]:
    """The lines that are errors: the log's own, and those that others write beside it."""
    for line in log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            if _NOT_JSON.search(line):
                yield line
        else:
            if isinstance(entry, dict) and (entry.get("level") in ("error", "critical") or "exception" in entry):
                yield line
