"""The outcomes of all primitives, counted: what is stored with the project and shown in the documentation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from verify.gradients.mutants.run import KILLED, SEEDS

__all__ = ["MEASURED", "count_comparison", "count_outcomes", "load", "merge", "store", "total"]

#: Where the counts of the whole run are kept.
MEASURED = Path(__file__).with_name("measured.json")


def count_outcomes(results: Mapping[str, Any]) -> dict[str, Any]:
    """Per primitive: kind -> [killed, raised, total of real errors]; and every mutant that is not plainly killed.

    Not listed is code that this primitive does not run, if another one that shares it does. ``late`` are mutants that
    took more examples than every one is judged on at first.
    """
    counted: dict[str, Any] = {}
    run_somewhere = {o["edit"] for result in results.values() for o in result["outcomes"] if o["fate"] != "not run"}
    for name in sorted(results):
        kinds: dict[str, list[int]] = {}
        listed, late = [], []
        for outcome in results[name]["outcomes"]:
            fate = outcome["fate"]
            if fate in (*KILLED, "survived"):
                row = kinds.setdefault(outcome["kind"], [0, 0, 0])
                row[0] += fate == "killed"
                row[1] += fate == "raised"
                row[2] += 1
            if fate == "not run" and outcome["edit"] in run_somewhere:
                continue
            if fate not in KILLED:
                listed.append(_line(outcome))
            elif outcome["draws"] > len(SEEDS):
                late.append([*_line(outcome), outcome["draws"]])
        counted[name] = {"kinds": dict(sorted(kinds.items())), "listed": sorted(listed), "late": sorted(late)}
    return counted


def _line(outcome: Mapping[str, Any]) -> list[str]:
    return [outcome["fate"], outcome["rule"], outcome["kind"], outcome["edit"]]


def count_comparison(results: Mapping[str, Any]) -> dict[str, Any]:
    """Per primitive and checker: ``clean`` rule -> [passed, examples], and by kind and by size [let through, judged].

    ``false_alarms`` are the rules that a checker fails although they are right, at least at one example, and
    ``let_through`` the mutants that our own ``check`` passes.
    """
    return {name: _count_primitive(name, results[name]["comparison"]) for name in sorted(results)}


def _count_primitive(name: str, comparison: Mapping[str, Any]) -> dict[str, Any]:
    counted: dict[str, Any] = {}
    for label, rules in comparison["clean"].items():
        entry = counted[label] = {"clean": {}, "false_alarms": [], "kinds": {}, "sizes": {}}
        for rule, (passed, examples) in rules.items():
            entry["clean"][rule] = [passed, examples]
            if passed < examples:
                entry["false_alarms"].append(f"{name} {rule}")
    for mutant in comparison["mutants"]:
        _add(counted, mutant, "kinds", mutant["kind"])
        if mutant["passed"].get("check"):
            line = f"{name} {mutant['rule']}, {mutant['kind']}: {mutant['edit']}"
            counted["check"].setdefault("let_through", []).append(line)
    for block in comparison["sizes"]:
        for label, rules in block["clean"].items():
            for rule, (passed, examples) in rules.items():
                if passed < examples:
                    counted[label]["false_alarms"].append(f"{name} {rule} at {block['size']:,}")
        for mutant in block["mutants"]:
            _add(counted, mutant, "sizes", f"{mutant['rule']} {block['size']}")
    return counted


def _add(counted: dict[str, Any], mutant: Mapping[str, Any], group: str, key: str) -> None:
    for label, passed in mutant["passed"].items():
        row = counted[label][group].setdefault(key, [0, 0])
        if passed is not None:
            row[0] += passed
            row[1] += 1


def total(counted: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of all primitives together, by checker."""
    totals: dict[str, Any] = {}
    for checkers in counted.values():
        for label, entry in checkers.items():
            into = totals.setdefault(label, {"clean": {}, "false_alarms": [], "kinds": {}, "sizes": {}})
            into["false_alarms"] += entry["false_alarms"]
            if "let_through" in entry:
                into["let_through"] = [*into.get("let_through", []), *entry["let_through"]]
            for group in ("clean", "kinds", "sizes"):
                for key, (first, second) in entry[group].items():
                    row = into[group].setdefault(key, [0, 0])
                    row[0] += first
                    row[1] += second
    return totals


def merge(stored: Mapping[str, Any] | None, found: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """What is stored of the primitives of these names, with what was found in its place where there is something."""
    joined = {**(stored or {}), **found}
    return {name: joined[name] for name in sorted(joined) if name in names}


def load(path: Path) -> Any:
    """A stored measurement; None where there is none."""
    return json.loads(path.read_text()) if path.exists() else None


def store(path: Path, measurement: Any) -> None:
    """Write a measurement, a line a primitive or checker, so that changes can be read."""
    lines = []
    for section, content in measurement.items():
        if isinstance(content, dict):
            rows = ",\n".join(f"    {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in content.items())
            lines.append(f"  {json.dumps(section)}: {{\n{rows}\n  }}")
        else:
            lines.append(f"  {json.dumps(section)}: {json.dumps(content, ensure_ascii=False)}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
