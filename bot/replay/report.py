"""The page a replay leaves behind, for people who run a community."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from bot.domain.decision import Band
from bot.domain.policy import Policy
from bot.replay.replay import STEPS, Findings
from model.labels import HARMFUL, LABELS, Label
from model.plots import confusion_plot, lines_plot, reliability_plot

_TEMPLATE = jinja2.Environment(autoescape=True, trim_blocks=True).from_string("""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Replay of {{ name }}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:.5rem 0;font-variant-numeric:tabular-nums}
td,th{border:1px solid #ccc;padding:.2rem .6rem;text-align:right}th{background:#f5f6f8}
th:first-child,td:first-child{text-align:left}tr.now td{background:#fff6d6;font-weight:600}
img{max-width:100%;display:block}.scroll{overflow-x:auto}.cards{display:flex;flex-wrap:wrap;gap:.8rem;padding:0}
.cards li{list-style:none;border:1px solid #ccc;border-radius:.5rem;padding:.5rem 1rem;min-width:8rem}
.cards b{display:block;font-size:1.5rem}h2{margin-top:2rem}</style>
<h1>What Domovoi would do with {{ name }}</h1>
<p>Every row went through the whole pipeline in <b>shadow mode</b>: decided on, and nothing touched.
Adapter <b>{{ f.adapter }}</b>, the thresholds a new community starts with.</p>
<ul class="cards">
<li><b>{{ "{:,}".format(f.rows) }}</b>rows{% if f.empty %}, {{ "{:,}".format(f.empty) }} of them empty{% endif %}
<li><b>{{ "{:,}".format(alerted) }}</b>would be shown to moderators ({{ share(alerted) }})
<li><b>{{ "{:,}".format(f.removed) }}</b>would be removed ({{ share(f.removed) }})
{% if f.failed %}<li><b>{{ f.failed }}</b>could not be handled; the log says why{% endif %}
<li><b>{{ "{:,.0f}".format(f.latencies and rate) }}</b>messages a second
<li><b>{{ "{:.0f}".format(1000 * f.latencies.quantile(0.5)) }} ms</b>half are decided within
<li><b>{{ "{:.0f}".format(1000 * f.latencies.quantile(0.99)) }} ms</b>99 of 100 are decided within
</ul>
<p>Times are from handing a message in to its decision, with {{ in_hand }} messages in the pipeline at once.</p>
<h2>What the messages were called</h2>
<table><tr>{% for label in labels %}<th>{{ label }}{% endfor %}
<tr>{% for label in labels %}<td>{{ "{:,}".format(f.called[label]) }} ({{ share(f.called[label]) }}){% endfor %}</table>
{% if metrics %}
<h2>How that compares with the file's own labels</h2>
<p>Balanced accuracy <b>{{ "%.3f"|format(metrics.balanced_accuracy) }}</b> (each label counts the same),
accuracy {{ "%.3f"|format(metrics.accuracy) }}, macro-F1 {{ "%.3f"|format(metrics.macro_f1) }},
expected calibration error {{ "%.3f"|format(metrics.calibration_error) }}. If the adapter learned from these texts, this
shows how well it remembers them, not how well it judges new ones.</p>
<img alt="Confusion: rows are the file's labels, columns what they were called" src="{{ confusion }}">
<p>Where the line below lies on the diagonal, a said probability of 0.8 is right in 8 of 10 cases.</p>
<img alt="Calibration: said probability against how often it was right" src="{{ reliability }}">
{% endif %}
<h2>What each threshold would do</h2>
<p>A message is <b>shown</b> to moderators from the alert threshold on, and <b>acted on</b> from the action threshold
on. Disguised spellings can only be shown, so the two columns differ.
{% if metrics %}<b>Harmless</b> counts those whose label in the file is neutral. {% endif %}
The highlighted rows are the thresholds a new community starts with.</p>
{% for label, rows in thresholds.items() %}
<h3>{{ label }}</h3>
<img alt="{{ label }}: messages by threshold" src="{{ plots[label] }}">
<div class="scroll"><table><tr><th>threshold<th>shown{% if metrics %}<th>harmless{% endif %}
<th>acted on{% if metrics %}<th>harmless{% endif %}
{% for row in rows %}<tr{% if row.now %} class="now"{% endif %}><td>{{ "%.2f"|format(row.at) }}{{ row.now }}
<td>{{ "{:,}".format(row.alerted) }}{% if metrics %}<td>{{ "{:,}".format(row.alerted_harmless) }}{% endif %}
<td>{{ "{:,}".format(row.acted) }}{% if metrics %}<td>{{ "{:,}".format(row.acted_harmless) }}{% endif %}
{% endfor %}</table></div>{% endfor %}
""")


def write_report(out: Path, name: str, found: Findings, in_hand: int) -> None:
    """Writes the page beside its place first, then moves it there."""
    handled = found.rows - found.empty - found.failed
    thresholds = {label: _thresholds(found, label) for label in HARMFUL}
    metrics = found.tally.metrics() if found.tally is not None and handled else None
    page = _TEMPLATE.render(
        name=name,
        f=found,
        labels=LABELS,
        in_hand=in_hand,
        rate=handled / found.seconds if found.seconds else 0.0,
        alerted=handled - found.bands[Band.CLEAR],
        share=lambda count: f"{count / max(1, handled):.1%}",
        metrics=metrics,
        confusion=confusion_plot(metrics.confusion) if metrics else "",
        reliability=reliability_plot(metrics.reliability) if metrics else "",
        thresholds=thresholds,
        plots={
            label: lines_plot(
                [row["at"] for row in rows],
                {"shown": [row["alerted"] for row in rows], "acted on": [row["acted"] for row in rows]},
                "threshold",
                "messages",
            )
            for label, rows in thresholds.items()
        },
    )
    partial = out.with_name(out.name + ".part")
    partial.write_text(page, encoding="utf-8")
    partial.replace(out)


def _thresholds(found: Findings, label: Label) -> list[Mapping[str, Any]]:
    """One row for each threshold from 0.05 to 0.95, with what would be shown and acted on at it."""
    start = Policy().of(label)
    rows: list[Mapping[str, Any]] = []
    for step in range(1, STEPS):
        at = step / STEPS
        marks = [name for name, value in (("alert", start.alert_at), ("action", start.act_at)) if value == at]
        alerted, acted = (_at_least(counts[label], step) for counts in (found.alerting, found.acting))
        rows.append(
            {
                "at": at,
                "now": f" ({', '.join(marks)})" if marks else "",
                "alerted": alerted.total(),
                "alerted_harmless": alerted[Label.NEUTRAL],
                "acted": acted.total(),
                "acted_harmless": acted[Label.NEUTRAL],
            }
        )
    return rows


def _at_least(counts: Counter[tuple[str, int]], step: int) -> Counter[str]:
    """Counts the messages of each true label that score this step or more."""
    by_label: Counter[str] = Counter()
    for (truth, reached), count in counts.items():
        if reached >= step:
            by_label[truth] += count
    return by_label
