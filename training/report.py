"""Writes the report on one adapter for moderators and engineers: self-contained HTML with plots."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from model.adapters.registry import Manifest
from model.labels import LABELS
from model.plots import confusion_plot, lines_plot, loss_plot, reliability_plot

_TEMPLATE = jinja2.Environment(autoescape=True, trim_blocks=True).from_string("""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Adapter {{ m.version }}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:.5rem 0}td,th{border:1px solid #ccc;padding:.25rem .6rem;text-align:right}
th:first-child,td:first-child{text-align:left}img{max-width:100%}code{overflow-wrap:anywhere}</style>
<h1>Adapter {{ m.version }}</h1>
{% if refresh %}<h2>What changed</h2><ul>{% for sentence in refresh.sentences %}<li>{{ sentence }}{% endfor %}</ul>
<table><tr><th><th>before<th>after{% for what, was, now in refresh.compared %}
<tr><td>{{ what }}<td>{{ was }}<td>{{ now }}{% endfor %}</table>
<p>The bot's page shows, under “What changed”, which messages of the last week this adapter would decide differently.
This file does not hold their texts.</p>
<h2>Moderators it learned from</h2><table><tr><th>moderator<th>corrections
{% for who, count in refresh.learned_from.items() %}<tr><td>{{ who }}<td>{{ count }}{% endfor %}</table>
{% if refresh.left_out %}<h2>Corrections left out</h2><table><tr><th>reason<th>corrections
{% for why, count in refresh.left_out.items() %}<tr><td>{{ why }}<td>{{ count }}{% endfor %}</table>{% endif %}
<p>Snapshot <code>{{ refresh.snapshot }}</code>; share of the step taken: {{ refresh.step }}.</p>
<h1>Details</h1>{% endif %}
<p>For the base <b>{{ m.base }}</b>, made {{ m.created_at }} in {{ m.recipe.seconds }} s from {{ m.data.rows }} texts
(data <code>{{ m.data.sha256[:12] }}</code>, seed {{ m.seed }}, temperature {{ "%.2f"|format(m.temperature) }}).</p>
<h2>Training data</h2><table><tr><th>source<th>texts
{% for source, count in m.data.by_source.items() %}<tr><td>{{ source or "unnamed" }}<td>{{ count }}{% endfor %}</table>
{% for name, metrics in measured.items() %}
<h2>On held-out texts: {{ name }}</h2>
<p>{{ metrics.rows }} texts: balanced accuracy <b>{{ "%.3f"|format(metrics.balanced_accuracy) }}</b>,
accuracy {{ "%.3f"|format(metrics.accuracy) }}, macro-F1 {{ "%.3f"|format(metrics.macro_f1) }},
expected calibration error {{ "%.3f"|format(metrics.calibration_error) }}.</p>
<table><tr><th>true label \\ predicted{% for label in labels %}<th>{{ label }}{% endfor %}
{% for row in metrics.confusion %}<tr><td>{{ labels[loop.index0] }}{% for n in row %}<td>{{ n }}{% endfor %}{% endfor %}
</table>{% endfor %}
{% if others %}<h2>Other figures</h2><table>{% for name, value in others.items() %}<tr><td>{{ name }}<td>
{{ "%.3f"|format(value) if value is number else value }}{% endfor %}</table>{% endif %}
{% for title, image in plots.items() %}<h2>{{ title }}</h2><img alt="{{ title }}" src="{{ image }}">{% endfor %}
""")


def write_report(
    path: Path, manifest: Manifest, losses: Sequence[float], accuracies: Sequence[tuple[int, float]] = ()
) -> None:
    """Writes the page, and its curves as separate images; `losses` has one value per step."""
    measured = {name: value for name, value in manifest.metrics.items() if _is_metrics(value)}
    others = {name: value for name, value in manifest.metrics.items() if not _is_metrics(value)}
    refresh = others.pop("refresh", None)
    plots = {"Loss while training": loss_plot(losses)} if losses else {}
    if accuracies:
        steps = [step for step, _ in accuracies]
        shares = {"on held-out texts": [share for _, share in accuracies]}
        plots["Accuracy while training"] = lines_plot(steps, shares, "step", "accuracy")
    for title, image in plots.items():
        name = f"{title.split()[0].lower()}.png"
        path.with_name(name).write_bytes(base64.b64decode(image.partition(",")[2]))
    for name, metrics in measured.items():
        plots[f"Confusion on {name}"] = confusion_plot(metrics["confusion"])
        plots[f"Calibration on {name}"] = reliability_plot(metrics["reliability"])
    page = _TEMPLATE.render(
        m=manifest, refresh=refresh, measured=measured, others=others, labels=list(LABELS), plots=plots
    )
    path.write_text(page, encoding="utf-8")


def _is_metrics(value: Any) -> bool:
    return isinstance(value, Mapping) and "confusion" in value
