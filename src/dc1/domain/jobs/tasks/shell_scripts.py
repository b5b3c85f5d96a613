"""Scripts that run a command as it was ordered, in whatever image: of a renter's texts nothing is read as a script."""

import re
from collections.abc import Mapping, Sequence

# What means nothing to a shell between single quotes, to `printf %b`, or to Python between triple quotes.
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ./_-=:,@+;|&<>(){}[]*?#~^!$")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Beside those that a shell keeps for itself, and ends over if one sets them.
_NOT_SET = frozenset({"UID", "EUID", "PPID", "SHELLOPTS", "BASHOPTS", "OPTIND"})
_OWN = "_dc1_"
_LONGEST = 128 * 1024 - 1
"""Bytes: Linux refuses a longer argument or `NAME=value` (MAX_ARG_STRLEN)."""

# For a shell, the empty text and a call of `:`; for Python, which is what a daemon runs a task with by itself, the
# beginning of a text that ends where the shell does not come to, before the lines that hand the file to a shell.
_BEGIN = "#!/bin/sh\n''':'\n"
_END = "exit 1\n'''\nimport os\nos.execv('/bin/sh', ['/bin/sh', os.path.abspath(__file__)])\n"


def command_script(command: str | Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Return a script that runs a command line, or words as they are, with these variables.

    None where no script can: a variable that no shell can name, or a text that Linux hands to no program.
    """
    words = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
    texts = [*words, *(f"{name}={value}" for name, value in environment.items())]
    if not all(map(_can_be_set, environment)) or not words or not words[0]:
        return None
    if any("\0" in text or len(text.encode(errors="surrogatepass")) > _LONGEST for text in texts):
        return None
    lines = [line for name, value in environment.items() for line in (_read("v", value), f'export {name}="${_OWN}v"')]
    lines += [_read(f"w{place}", word) for place, word in enumerate(words)]
    program = " ".join(f'"${_OWN}w{place}"' for place in range(len(words)))
    return _BEGIN + "\n".join([*lines, f"exec {program}", ""]) + _END


def _can_be_set(name: str) -> bool:
    is_name = _NAME.fullmatch(name) is not None
    return is_name and name not in _NOT_SET and not name.startswith(_OWN)


def _read(name: str, text: str) -> str:
    # A shell cuts the ends of lines off what a command prints, but for what stands before the last character.
    return f"{_OWN}{name}=$(printf '%b_' '{_escaped(text)}'); {_OWN}{name}=${{{_OWN}{name}%_}}"


def _escaped(text: str) -> str:
    data = text.encode(errors="surrogatepass")
    return "".join(chr(byte) if byte in _PLAIN else f"\\0{byte:03o}" for byte in data)
