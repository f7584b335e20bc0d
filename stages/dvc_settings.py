"""Params as settings of `dvc exp run -S`, which Hydra parses by a grammar of its own."""

import re
import shlex
from collections.abc import Collection, Iterator

from pipeline.params import Section, is_mapping
from pipeline.params.leaf_params import LeafParam, params_of, value_of

# Texts that Hydra reads as they are, and the words among them that it reads as another type.
_PLAIN_TEXT = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS = ("true", "false", "null", "inf", "nan")
# What does not stand for itself between quotes.
_ESCAPED = re.compile(r'["\\$]')
# Keys that Hydra takes with dots between them.
_DOTTED_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class InexpressibleError(Exception):
    """Hydra's grammar has no form for a value."""


def dvc_settings(before: Section, after: Section, section: str, changed: Collection[str]) -> str:
    """Return the params `changed` of `after` as options of `dvc exp run`.

    `before` is the section as the params file has it. Raises `InexpressibleError`.
    """
    settings = [
        "-S " + shlex.quote(setting)
        for param in params_of(type(after))
        if param.name in changed
        for setting in _settings(section, param, before, after)
    ]
    return " ".join(settings)


def _settings(section: str, param: LeafParam, before: Section, after: Section) -> Iterator[str]:
    """Yield a param as settings: one, or one per name of a mapping.

    `++` also adds a key that the params file lacks, as it may one of another kind.
    """
    key, value = f"{section}.{param.name}", value_of(after, param.name)
    if not is_mapping(param.annotation):
        yield f"{'++' if '.' in param.name else ''}{key}={_hydra(value)}"
        return
    # A mapping is merged with the file's: what is no longer in it must be removed.
    yield from (
        f"~{_dotted(key, name)}" for name in value_of(before, param.name) if name not in value
    )
    for name, path in value.items():
        if _DOTTED_KEY.fullmatch(name):
            yield f"++{_dotted(key, name)}={_hydra(path)}"
        else:
            yield f"++{key}={{{_mapping_key(name)}:{_hydra(path)}}}"


def _dotted(key: str, name: str) -> str:
    if not _DOTTED_KEY.fullmatch(name):
        raise InexpressibleError(f"{key}.{name}")
    return f"{key}.{name}"


def _mapping_key(name: str) -> str:
    """Return a name as a key in braces, where Hydra has no quotes, and reads some as numbers."""
    if not re.fullmatch(r"[A-Za-z0-9_+-]+", name) or _is_number(name):
        raise InexpressibleError(name)
    return name


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _hydra(value: object) -> str:
    """Return a param's value in Hydra's grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{','.join(_hydra(one) for one in value)}]"
    if isinstance(value, str):
        return _hydra_text(value)
    return repr(value).removesuffix(".0")


def _hydra_text(text: str) -> str:
    if _PLAIN_TEXT.fullmatch(text) and text.lower() not in _WORDS:
        return text
    if not _ESCAPED.search(text):
        return f'"{text}"'
    # It takes memory as long as the program runs; a site's address does without.
    from hydra.core.override_parser.types import Quote, QuotedString

    # OmegaConf, to which Hydra hands the value, replaces ${...}.
    escaped = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    return QuotedString(escaped, Quote.double).with_quotes()
