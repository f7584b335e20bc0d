"""The figures of `benchmarks/gpu.py` as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

Parts = Mapping[str, Mapping[str, Any]]


def tables(parts: Parts) -> str:
    """All parts' states, and a table or list of each part's figures."""
    lines = ["| part | state | seconds |", "|---|---|---|"]
    lines += [
        f"| {name} | {part['state']} | {part['seconds']:.0f} |" for name, part in parts.items()
    ]
    ceiling = _results(parts, "environment").get("matmul_tflops")
    measured = [
        line for name in ("steps", "compiled") for line in _results(parts, name).get("steps", ())
    ]
    if environment := _results(parts, "environment"):
        lines += ["", "## environment", "", *_list(environment)]
    if tests := _results(parts, "tests"):
        lines += ["", "## tests", "", *_list({k: v for k, v in tests.items() if k != "tail"})]
        lines += ["", "```", *tests.get("tail", ()), "```"]
    if measured:
        lines += ["", "## steps", "", *_steps(measured, ceiling)]
    if memory := _results(parts, "memory").get("memory"):
        lines += ["", "## memory", "", *_memory(memory)]
    for name in ("article", "models"):
        if training := _results(parts, name):
            lines += ["", f"## {name}", "", *_training(training)]
    return "\n".join(lines) + "\n"


def _results(parts: Parts, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = parts.get(name, {}).get("results", {})
    return found


def _list(figures: Mapping[str, Any]) -> list[str]:
    return [f"- {name}: {_shown(value)}" for name, value in figures.items()]


def _steps(measured: Sequence[Mapping[str, Any]], ceiling: float | None) -> list[str]:
    """`share` is of the measured bf16 matrix product, also where a step computes in fp32."""
    lines = [
        "| step | batch × crop | variant | ms (fastest to slowest round) | images/s | GFLOP "
        "| TFLOP/s | share | allocated, MiB | reserved, MiB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for line in measured:
        size = f"{line['batch']}×{line['crop']}"
        start = f"| {line['case']} | {size} | {line['variant']} |"
        if "error" in line:
            lines.append(f"{start} {line['error']} | | | | | | |")
            continue
        spread = ""
        if "ms_fastest" in line:
            spread = f" ({line['ms_fastest']:.2f} to {line['ms_slowest']:.2f})"
        elif "warm_up_s" in line:
            spread = f" (after {line['warm_up_s']:.0f} s)"
        share = f"{line['tflops'] / ceiling:.1%}" if ceiling and "tflops" in line else "–"
        cells = [
            f"{line['ms']:.2f}{spread}",
            f"{line['images_per_s']:.0f}",
            *(_cell(line, name) for name in ("gflop", "tflops")),
            share,
            *(_cell(line, name) for name in ("allocated_mib", "reserved_mib")),
        ]
        lines.append(f"{start} {' | '.join(cells)} |")
    return lines


def _cell(line: Mapping[str, Any], name: str) -> str:
    value = line.get(name)
    return "–" if value is None else f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def _memory(measured: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| generator | graphed | allocated, MiB | reserved, MiB |", "|---|---|---|---|"]
    for line in measured:
        cells = line.get("error"), ""
        if "error" not in line:
            cells = _cell(line, "allocated"), _cell(line, "reserved")
        lines.append(
            f"| {line['case']} | {'yes' if line['graphed'] else 'no'} | {' | '.join(cells)} |"
        )
    return lines


def _training(figures: Mapping[str, Any]) -> list[str]:
    lines = _list({k: v for k, v in figures.items() if k not in ("curves", "metrics")})
    for name, points in figures.get("curves", {}).items():
        text = ", ".join(f"{step:.0f}: {value:.4g}" for step, value in points)
        lines.append(f"- {name}: {text}")
    return lines


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
