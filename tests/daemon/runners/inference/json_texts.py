"""Objects of JSON in every spelling, of which it is known what stands where without being read."""

import json
from dataclasses import dataclass

from hypothesis import strategies as st

SPACE = st.text(" \t", max_size=2)
"""No line breaks: what is sent as an event has none."""

_TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from('\u2028\u2029\x85\x0b\x0c\x1c😀ب\\"/'))
_NUMBERS = st.sampled_from(
    ["0", "-0", "1.0", "1.00", "1e5", "1E+05", "-1e-3", "9007199254740993", "12345678901234567890", "1e308", "5e-324"]
)
_TREE = st.recursive(
    st.none() | st.booleans() | _TEXT | st.integers(), lambda each: st.lists(each) | st.dictionaries(_TEXT, each)
)


@st.composite
def strings(draw: st.DrawFn, text: str) -> str:
    """A string as JSON, with any of its characters escaped or not."""
    spelled = []
    for character in text:
        units = character.encode("utf-16-be")
        escaped = "".join(f"\\u{units[at]:02x}{units[at + 1]:02X}" for at in range(0, len(units), 2))
        plain = json.dumps(character, ensure_ascii=False)[1:-1]
        spelled.append(escaped if draw(st.booleans()) else plain)
    return f'"{"".join(spelled)}"'


VALUES = _NUMBERS | _TREE.map(lambda value: json.dumps(value, ensure_ascii=False)) | _TEXT.flatmap(strings)


@dataclass(frozen=True)
class ObjectText:
    """An object whose text is `parts`, of which each value has its key's name at the same place in `keys`."""

    parts: tuple[str, ...]
    keys: tuple[str | None, ...]

    @property
    def text(self) -> str:
        return "".join(self.parts)

    def changed(self, changes: dict[str, str]) -> str:
        """Its text with other values, written anew at its end where it has none."""
        parts = [changes.get(key or "", part) for part, key in zip(self.parts, self.keys, strict=True)]
        added = ",".join(f'"{key}":{value}' for key, value in changes.items() if key not in self.keys)
        comma = "," if added and any(key is not None for key in self.keys) else ""
        return "".join([*parts[:-1], comma, added, parts[-1]])


@st.composite
def objects(
    draw: st.DrawFn, fixed: dict[str, st.SearchStrategy[str]], space: st.SearchStrategy[str] = SPACE
) -> ObjectText:
    """An object with some of the `fixed` keys and any others, in any order."""
    # Others begin with what keeps them from being names that mean something.
    others = draw(st.dictionaries(_TEXT.map("x".__add__), VALUES, max_size=4))
    members = others | {name: draw(value) for name, value in fixed.items() if draw(st.booleans())}
    parts, keys = ["{" + draw(space)], list[str | None]([None])
    for place, name in enumerate(draw(st.permutations(sorted(members)))):
        lead = f",{draw(space)}" if place else ""
        parts += [f"{lead}{draw(strings(name))}{draw(space)}:{draw(space)}", members[name], draw(space)]
        keys += [None, name, None]
    return ObjectText((*parts, "}"), (*keys, None))
