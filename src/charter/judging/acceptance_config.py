"""Thresholds of the acceptance test, and how much of it is done."""

from __future__ import annotations

from charter.errors import RecipeError
from charter.judging.injection import FORMS
from charter.judging.paraphrase import STYLES
from charter.records import Record


class AcceptanceConfig(Record, frozen=True):
    """The `acceptance:` block of a recipe. All thresholds are shares between 0 and 1."""

    min_agreement: float = 0.5
    """The whole 95 % interval of the agreement with people must lie above this."""
    min_length_balanced: float = 0.5
    """The same for agreement with longer and shorter preferred answers counting equally."""
    min_position_consistency: float = 0.8
    """Pairs that must get the same verdict in both orders."""
    max_ece: float = 0.1
    """Expected calibration error beyond what chance gives on as many pairs."""
    max_abstained: float = 0.1
    """Share of pairs without a verdict."""
    max_injection_flips: float = 0.25
    """Verdicts that an answer may turn round by commanding the judge."""
    min_paraphrase_stability: float = 0.8
    """Verdicts that must stay when the question is asked in other words."""
    min_canaries: float = 0.75
    """Pairs with an obvious answer that must be judged rightly."""
    paraphrases: int = 3
    """Other wordings tried; 0 leaves the check out."""
    injections: int = 2
    """Forms of injection tried a pair, each beside a control; 0 leaves the check out."""
    stress_pairs: int = 100
    """Paraphrases and injections are tried on the first so many pairs; they cost calls."""

    def check(self) -> None:
        """Raise `RecipeError` for a value that makes no sense."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, float) and not 0 <= value <= 1:
                _fail(name, value, "a share between 0 and 1")
        for name, most in (("paraphrases", len(STYLES)), ("injections", len(FORMS))):
            if not 0 <= getattr(self, name) <= most:
                _fail(name, getattr(self, name), f"a whole number from 0 to {most}")
        if self.stress_pairs < 0:
            _fail("stress_pairs", self.stress_pairs, "0 or more")


def _fail(name: str, value: object, expected: str) -> None:
    raise RecipeError(f"is {value!r}", field=f"acceptance.{name}", expected=expected)
