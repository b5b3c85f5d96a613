"""The callers of a method, as OpenAPI security requirements."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def _key(place: str, name: str, description: str) -> Schema:
    return {"type": "apiKey", "in": place, "name": name, "description": description}


_QUERY_NOTE = "Deprecated: keys do not belong in addresses. The answer carries `Deprecation`, `Sunset` and `Link`."

SECURITY_SCHEMES: dict[str, Schema] = {
    "renterKey": _key("header", "x-renter-key", "A renter's master key (`dc1-renter-…`) or scoped key (`dc1-sk-…`)."),
    "apiKey": _key("header", "x-api-key", "A renter's key, as clients of other APIs send theirs; under /v1 only."),
    "providerKey": _key("header", "x-provider-key", "A provider's key (`dc1-provider-…`)."),
    "adminToken": _key("header", "x-admin-token", "The admin token, or an operator's own (`dc1-operator-…`)."),
    "bearer": {"type": "http", "scheme": "bearer", "description": "Any of the keys and tokens."},
    "queryKey": _key("query", "key", f"A renter's or provider's key. {_QUERY_NOTE}"),
    "renterQueryKey": _key("query", "renter_key", f"A renter's key. {_QUERY_NOTE}"),
    "providerQueryKey": _key("query", "provider_key", f"A provider's key. {_QUERY_NOTE}"),
}

# Public methods have none, so their role is not among them. Bearer comes second, after the header that says whose key
# it is.
_CARRIERS = {
    "ROLE_ADMIN": ("adminToken", "bearer"),
    "ROLE_RENTER": ("renterKey", "bearer", "queryKey", "renterQueryKey"),
    "ROLE_PROVIDER": ("providerKey", "bearer", "queryKey", "providerQueryKey"),
}


_OPERATORS = {
    "viewer": "Every operator may call it.",
    "support": "Operators need the role `support` or `admin`.",
    "finance": "Operators need the role `finance` or `admin`.",
    "admin": "Operators need the role `admin`.",
}


V1_ERRORS = {
    "CREDENTIAL_ERRORS_OPENAI": "dcp.v1.OpenAIError",
    "CREDENTIAL_ERRORS_ANTHROPIC": "dcp.v1.AnthropicError",
}
"""How the methods of other APIs answer errors, with the message that the body then is."""


def is_public(access: Schema) -> bool:
    """Whether the method may be called without any credential."""
    return "ROLE_PUBLIC" in access.get("roles", ())


def requirements(access: Schema) -> list[Schema]:
    """Return the alternatives, any of which admits a caller; empty for a public method."""
    if is_public(access):
        return []
    # A dict for a set that keeps its order: the document must come out the same every time.
    schemes = {scheme: None for role in access.get("roles", ()) for scheme in _CARRIERS[role]}
    if access.get("credential_errors") in V1_ERRORS:
        schemes["apiKey"] = None
    # OpenAPI knows no credential in a body: to a tool it is a call without one, and the description says more.
    in_body: list[Schema] = [{}] if access.get("body_key") else []
    return [{scheme: []} for scheme in schemes] + in_body


def credentials_note(access: Schema) -> str:
    """Return what the requirements cannot say: operators' roles, scopes, master keys and keys in the body."""
    sentences = []
    if "ROLE_ADMIN" in access.get("roles", ()):
        role = access.get("operator_role", "OPERATOR_ROLE_ADMIN").removeprefix("OPERATOR_ROLE_").lower()
        sentences.append(_OPERATORS[role])
    if access.get("master_key_only"):
        is_owners = "ROLE_PROVIDER" in access.get("roles", ())
        sentences.append(
            "Only the key of the owner's account is accepted, and not that of a further machine."
            if is_owners
            else "Of renter keys only the master key is accepted."
        )
    elif access.get("scopes"):
        scopes = " or ".join(f"`{scope}`" for scope in access["scopes"])
        sentences.append(f"A scoped renter key needs the scope {scopes}.")
    if access.get("replaced_key"):
        sentences.append("A provider's key that was replaced is accepted until its grace ends.")
    if access.get("body_key"):
        sentences.append(f"The key may also be given as the body field `{access['body_key']}`.")
    return " ".join(sentences)
