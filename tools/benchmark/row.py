# SPDX-License-Identifier: BSD-3-Clause
"""A row: one measured quantity with its least, median and greatest value over many short windows."""
import dataclasses
import json
import statistics

REFERENCE = "reference_"
KEYS = ("case", "metric", "unit", "min", "median", "max", "device", "cpu", "note")


@dataclasses.dataclass(frozen=True)
class Row:
    """`metric` is a name, and behind a slash what it was measured with: ns_per_message, ns_per_message/avx2."""
    case: str
    metric: str
    unit: str
    min: float
    median: float
    max: float
    device: str
    cpu: str
    note: str = ""

    @property
    def name(self):
        return self.metric.partition("/")[0]

    @property
    def variant(self):
        return self.metric.partition("/")[2]

    @property
    def is_reference(self):
        """A figure of others, to compare with; its `cpu` is another machine."""
        return self.metric.startswith(REFERENCE)

    @property
    def remark(self):
        """What a table says of it: where its machine is not the one that the table names, that too."""
        return f"{self.note}; {self.cpu}" if self.is_reference else self.note

    def json(self):
        return json.dumps({k: getattr(self, k) for k in KEYS}, ensure_ascii=False)


def of_samples(case, metric, unit, samples, device, cpu, note=""):
    """A row over samples, of which there is at least one."""
    values = sorted(samples)
    if not values:
        raise ValueError(f"{case}: {metric}: no samples")
    return Row(case, metric, unit, values[0], statistics.median(values), values[-1], device, cpu, note)


def parse(line):
    """The row of one line of JSON; ValueError where it is none."""
    try:
        found = json.loads(line)
    except json.JSONDecodeError as e:
        raise ValueError(f"not JSON: {line[:80]!r}") from e
    if not isinstance(found, dict) or set(found) != set(KEYS):
        raise ValueError(f"not a row of {', '.join(KEYS)}: {line[:120]}")
    for key in ("min", "median", "max"):
        if isinstance(found[key], bool) or not isinstance(found[key], (int, float)):
            raise ValueError(f"{key} is no number: {line[:120]}")
    for key in set(KEYS) - {"min", "median", "max"}:
        if not isinstance(found[key], str):
            raise ValueError(f"{key} is no text: {line[:120]}")
    return Row(**found)


def read(path):
    """All rows of a file that --json wrote."""
    with open(path, encoding="utf-8") as f:
        return [parse(line) for line in f if line.strip()]


def number(value):
    """As people read it: thousands apart, and no more digits than were measured."""
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    size = abs(value)
    digits = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"


def table(rows):
    """The rows of one case as lines of text: devices and CPUs once above, then a line a metric."""
    ours = [r for r in rows if not r.is_reference]
    lines = [f"{what}: {', '.join(found)}" for what, found in (
        ("device", sorted({r.device for r in ours if r.device})), ("cpu", sorted({r.cpu for r in ours if r.cpu}))) if found]
    cells = [("metric", "unit", "min", "median", "max", "note")]
    cells += [(r.metric, r.unit, number(r.min), number(r.median), number(r.max), r.remark) for r in rows]
    width = [max(len(c[i]) for c in cells) for i in range(5)]
    for c in cells:
        left = [c[0].ljust(width[0]), c[1].ljust(width[1]), *(c[i].rjust(width[i]) for i in (2, 3, 4)), c[5]]
        lines.append("  " + "  ".join(left).rstrip())
    return lines
