"""The main table as texts to copy: Markdown, and LaTeX for a paper."""

from collections.abc import Sequence
from dataclasses import astuple

from tabulate import tabulate

from pipeline.evaluation.report_tables import MeanRow, cost_cells, means_table
from pipeline.evaluation.results import Evaluation


def written_tables(evaluation: Evaluation) -> dict[str, str]:
    """Return the main table by the name of its format, the best of each metric in bold."""
    header = ["Method", *(metric.name for metric in evaluation.metrics), "Parameters", "s/MP"]
    rows = means_table(evaluation, evaluation.metrics)
    costs = [list(astuple(cost_cells(evaluation, row.method))) for row in rows]
    return {"Markdown": _markdown(header, rows, costs), "LaTeX": _latex(header, rows, costs)}


def _markdown(
    header: Sequence[str], rows: Sequence[MeanRow], costs: Sequence[Sequence[str]]
) -> str:
    cells = [
        [
            row.method,
            *(f"**{cell.text}**" if cell.is_best else cell.text for cell in row.cells),
            *costs_of_row,
        ]
        for row, costs_of_row in zip(rows, costs, strict=True)
    ]
    aligned = ("left", *["right"] * (len(header) - 1))
    text: str = tabulate(cells, header, tablefmt="github", disable_numparse=True, colalign=aligned)
    return text


def _latex(header: Sequence[str], rows: Sequence[MeanRow], costs: Sequence[Sequence[str]]) -> str:
    """Return a table for booktabs; below a method's means are their confidence intervals.

    Not by tabulate, which escapes the commands in its cells.
    """
    lines = []
    for row, costs_of_row in zip(rows, costs, strict=True):
        means = [rf"\textbf{{{cell.text}}}" if cell.is_best else cell.text for cell in row.cells]
        lines.append([_escaped(row.method), *means, *map(_escaped, costs_of_row)])
        if any(cell.range for cell in row.cells):
            ranges = [
                rf"\scriptsize {_escaped(cell.range)}" * bool(cell.range) for cell in row.cells
            ]
            lines.append(["", *ranges, *[""] * len(costs_of_row)])
    return "\n".join(
        [
            r"% \usepackage{booktabs}; small figures: 95 % confidence intervals of the means",
            rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
            r"\toprule",
            rf"{' & '.join(header)} \\",
            r"\midrule",
            *(rf"{' & '.join(line)} \\" for line in lines),
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _escaped(text: str) -> str:
    """Return LaTeX of a method's name or of a figure, where nothing else is special."""
    return text.replace("_", r"\_").replace("–", "--")
