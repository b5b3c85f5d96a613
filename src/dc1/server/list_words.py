"""What clients ask of lists: a word that a list does not know is refused, not taken for one that it does."""

from google.protobuf.message import Message

from dc1.domain.errors import invalid_enum
from dc1.services.api.call import Call

QUERY = "x-rest-query"
"""The header in which the edge says what a query names: the transcoder drops what the method does not take."""

# Anything else in a query is dropped as ever: against caches, of analytics, of clients that send the same everywhere.
_PAGES = {"limit", "offset", "page", "per_page", "page_size", "cursor", "sort", "sort_by", "order", "order_by"}
_TIMES = {"since", "before", "after", "from", "to", "date_from", "date_to", "period", "days", "hours"}
_KINDS = {"status", "state", "type", "job_type", "event", "event_type", "kind", "direction", "tag", "tags", "category"}
_MACHINES = {"gpu", "gpu_type", "gpu_model", "gpu_source", "gpu_count", "vram", "vram_gb", "min_vram", "min_vram_gb"}
_OFFERS = {"price", "max_price", "min_price", "max_price_per_hour_sar", "region", "location", "country", "model"}
_WORDS = (
    _PAGES | _TIMES | _KINDS | _MACHINES | _OFFERS | {"search", "q", "provider_id", "renter_id", "is_live", "online"}
)


def require_known_words(call: Call, request: Message) -> None:
    """Refuse what a list cannot filter or page by.

    Raises:
        invalid_enum: The query has a word of lists that this one does not know.
    """
    named = call.metadata.get(QUERY)
    if not named or not call.method.rpartition("/")[2].startswith("List"):
        return
    known = request.DESCRIPTOR.fields_by_name
    if any(word in _WORDS and word not in known for word in named.split(",")):
        raise invalid_enum("filter", [name for name in known if name in _WORDS] or ["none"])
