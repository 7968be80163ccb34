"""Wrong gradients, planted one at a time: each has to be caught, or the checker is no checker.

``python -m verify.gradients.mutants`` runs every mutant of every primitive; ``docs/gradients-mutants.md`` has the
result.
"""
