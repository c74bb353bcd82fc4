"""Draws the plots of reports as images inside the HTML."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from model.labels import LABELS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def loss_plot(losses: Sequence[float]) -> str:
    """The loss of each training step."""
    figure, axes = _figure()
    axes.plot(range(1, len(losses) + 1), losses)
    axes.set_xlabel("step")
    axes.set_ylabel("smoothed loss")
    return _image(figure)


def reliability_plot(table: Sequence[Sequence[float]]) -> str:
    """Confidence against accuracy, from `Metrics.reliability`; the diagonal is perfect calibration."""
    figure, axes = _figure()
    axes.plot([0, 1], [0, 1], color="#bbb", linewidth=1)
    axes.plot([row[0] for row in table], [row[1] for row in table], marker="o")
    axes.set_xlabel("confidence")
    axes.set_ylabel("accuracy")
    return _image(figure)


def confusion_plot(confusion: Sequence[Sequence[int]]) -> str:
    """Texts by true label (rows) and predicted label (columns), coloured by their share of the row."""
    figure, axes = _figure(width=4.4)
    shares = [[n / max(1, sum(row)) for n in row] for row in confusion]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, row in enumerate(confusion):
        for j, n in enumerate(row):
            colour = "white" if shares[i][j] > 0.55 else "black"
            axes.text(j, i, f"{n:,}\n{shares[i][j]:.0%}", ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(LABELS)), [str(label) for label in LABELS])
    axes.set_yticks(range(len(LABELS)), [str(label) for label in LABELS])
    axes.set_xlabel("predicted")
    axes.set_ylabel("true label")
    return _image(figure)


def bars_plot(names: Sequence[str], values: Sequence[float], x_label: str) -> str:
    """One bar for each name, the first on top; values from 0 to 1."""
    figure, axes = _figure(height=0.6 + 0.36 * len(names), width=6.4, dpi=100)
    bars = axes.barh(range(len(names)), values)
    axes.bar_label(bars, [f"{value:.3f}" for value in values], padding=3)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.1)
    axes.set_xlabel(x_label)
    return _image(figure)


def lines_plot(x: Sequence[float], lines: Mapping[str, Sequence[float]], x_label: str, y_label: str) -> str:
    """Named lines over a common axis."""
    figure, axes = _figure()
    for name, y in lines.items():
        axes.plot(x, y, marker=".", label=name)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.legend()
    return _image(figure)


def curves_plot(
    curves: Mapping[str, Sequence[tuple[float, float]]], x_label: str, y_label: str, marks: Mapping[str, float]
) -> str:
    """Named curves of (x, y), and named marks on the x axis."""
    figure, axes = _figure(height=3.8)
    for name, points in curves.items():
        axes.plot([x for x, _ in points], [y for _, y in points], label=name)
    for name, x in marks.items():
        axes.axvline(x, color="#999", linewidth=1, linestyle=":")
        axes.text(x, 0.02, f" {name}", rotation=90, fontsize=8, color="#555", verticalalignment="bottom")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_ylim(0, 1)
    axes.set_xlim(left=0)
    axes.legend(loc="lower right", fontsize=8)
    return _image(figure)


def _figure(width: float = 6.0, height: float = 3.2, dpi: int = 90) -> "tuple[Figure, Any]":
    """An empty figure and its axes. The import takes half a second, so it waits until a plot is needed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    return figure, figure.subplots()


def _image(figure: "Figure") -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
