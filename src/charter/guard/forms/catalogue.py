"""The attack forms by name. Read this file to see which there are."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random

from charter.errors import InputError
from charter.guard.forms import encodings as code
from charter.guard.forms import noise, substitution
from charter.guard.forms.form import BARE, Form, Group, Stacked, TextForm, lifted
from charter.guard.forms.turns import FewShot, Split
from charter.guard.frames import Frames, long_frames, written

PLAIN = "plain"
"""Name under which rows without any form are counted."""
_WRAPPERS = (
    "role_play",
    "instruction_override",
    "fake_system",
    "fiction",
    "hypothetical",
    "authority",
    "contrary",
    "translation",
    "prefix_injection",
    "refusal_suppression",
    "completion",
    "document",
)
_FORMATS = ("code_frame", "json_frame", "table_frame")
_STACKS = (
    ("role_play", "base64"),
    ("developer_mode", "leetspeak"),
    ("developer_mode", "payload_splitting"),
    ("instruction_override", "rot13"),
    ("fiction", "keyword_substitution"),
    ("code_frame", "hex"),
    ("prefix_injection", "zero_width"),
    ("refusal_suppression", "spelling_noise"),
)


@cache
def forms() -> dict[str, Form]:
    """Every form by name, in the order of the reports."""
    single: list[TextForm] = [*_encodings(), *_noises(), *_substitutions(), *_wrappers()]
    by_name = {form.name: form for form in single}
    stacked = [Stacked(by_name[outer], by_name[inner]) for outer, inner in _STACKS]
    turns: list[Form] = [Split(), FewShot("few_shot", False), FewShot("few_shot_turns", True)]
    return {form.name: form for form in [*single, *turns, *stacked]}


def form(name: str) -> Form:
    """The form of that name.

    Raises:
        InputError: there is none.
    """
    known = forms()
    if name not in known:
        raise InputError(f"no attack form {name!r}", expected=", ".join(known))
    return known[name]


def _coded(
    name: str,
    encode: Callable[[str, Random], str],
    decode: Callable[[str], str],
    frames: Frames = BARE,
) -> TextForm:
    return TextForm(name, "encoding", frames, *lifted(encode, decode))


def _encodings() -> list[TextForm]:
    return [
        _coded("base64", code.to_base64, code.from_base64, written("base64")),
        _coded("hex", code.to_hex, code.from_hex, written("hex")),
        _coded("rot13", code.to_rot13, code.from_rot13, written("rot13")),
        _coded("reverse", code.to_reverse, code.from_reverse, written("reverse")),
        _coded("leetspeak", code.to_leetspeak, code.from_leetspeak),
        _coded("zero_width", code.to_zero_width, code.from_zero_width),
        _coded("homoglyphs", code.to_homoglyphs, code.from_homoglyphs),
        _coded("spaced", code.to_spaced, code.from_spaced, written("spaced")),
    ]


def _noises() -> list[TextForm]:
    return [
        TextForm("spelling_noise", "noise", BARE, *lifted(noise.misspelt, str), lossless=False),
        TextForm("odd_case", "noise", BARE, *lifted(noise.odd_case, str)),
    ]


def _substitutions() -> list[TextForm]:
    names = ("keyword_substitution", "payload_splitting")
    pairs = (
        (substitution.code_words, substitution.real_words),
        (substitution.pieces, substitution.joined),
    )
    return [
        TextForm(name, "substitution", written(name), encode, decode)
        for name, (encode, decode) in zip(names, pairs, strict=True)
    ]


def _wrappers() -> list[TextForm]:
    groups: list[tuple[Group, tuple[str, ...]]] = [("wrapper", _WRAPPERS), ("format", _FORMATS)]
    framed = [TextForm(name, group, written(name)) for group, names in groups for name in names]
    return [*framed, TextForm("developer_mode", "wrapper", long_frames())]
