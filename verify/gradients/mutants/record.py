"""What a mutant is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from minigrad.primitive import Primitive

__all__ = ["RULES", "Mutant"]

#: The rules of a primitive that are mutated; "shared" is the code that a rule has in common with the forward.
RULES = ("vjp", "jvp", "hvp", "shared")


@dataclass(frozen=True)
class Mutant:
    """A primitive with one rule made wrong.

    Attributes
    ----------
    primitive : str
        Its name.
    rule : str
        "vjp", "jvp", "hvp" or "shared"; of the last, the forward and all rules are those of the edited source.
    kind : str
        The class of the error, a row of the table.
    edit : str
        What was changed, for people.
    make : () -> Primitive
        The mutated record; everything but the rule is the original.
    lines : (file, first, last) or None
        Where the edited source is.
    """

    primitive: str
    rule: str
    kind: str
    edit: str
    make: Callable[[], Primitive]
    lines: tuple[str, int, int] | None = None

    @property
    def name(self) -> str:
        return f"{self.primitive}.{self.rule}: {self.kind}: {self.edit}"
