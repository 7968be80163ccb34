"""Export of trained networks."""

from quant.export.program import export, program_of

__all__ = ["export", "program_of"]
