"""Files that ship beside the code.

In an installed wheel inside the package, in a checkout at the root of the repository.
"""

from pathlib import Path
from typing import Any

import yaml

# Those in C are several times faster, and not built everywhere.
_YamlLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_YamlDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

_PACKAGE = Path(__file__).resolve().parent
_ROOTS = (_PACKAGE / "_assets", _PACKAGE.parents[1])


def asset(name: str) -> Path:
    """Return the path of a file such as `gen/openapi.yaml`; raises FileNotFoundError when it is in neither place."""
    for root in _ROOTS:
        if (root / name).exists():
            return root / name
    raise FileNotFoundError(f"{name} is neither installed with dc1 nor part of this checkout")


def parse_yaml(document: bytes) -> Any:
    """Return what a YAML document holds, in plain Python values; raises yaml.YAMLError when it is none."""
    return yaml.load(document, Loader=_YamlLoader)  # noqa: S506 - a safe loader, only faster


def yaml_text(document: Any) -> str:
    """Return plain Python values as a YAML document, in the order that they have."""
    text: str = yaml.dump(document, Dumper=_YamlDumper, sort_keys=False)
    return text
