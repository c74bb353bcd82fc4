"""The page "how good is it": its counts, its intervals, and whether the one in docs/ is of the adapter that serves."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from model.adapters.registry import SHIPPED_FOLDER, read_manifest
from model.choice import E5, EMBEDDED
from model.labels import Label
from model.presets import PRESET_THRESHOLDS
from training.examples import Example
from training.quality_page import PAGE, Scored, Served, language_rows, preset_rows, recall_curve, slices, write_page

ROOT = Path(__file__).parents[2]


def scored(*rows: tuple[str, Label, float, float]) -> Scored:
    """(source, label, P(hate), P(offensive)) of each text."""
    examples = [Example(f"text {n}", label, source) for n, (source, label, _, _) in enumerate(rows)]
    probabilities = torch.tensor([[hate, rude, 1 - hate - rude] for _, _, hate, rude in rows])
    return Scored(examples, probabilities, [not source.startswith("fi") for source, *_ in rows])


SCORED = scored(
    ("threat", Label.HATE, 0.9, 0.05),
    ("threat", Label.HATE, 0.4, 0.2),
    ("quoted", Label.NEUTRAL, 0.9, 0.0),
    ("quoted", Label.OFFENSIVE, 0.1, 0.86),
    ("short_words", Label.NEUTRAL, 0.0, 0.1),
)


def test_slices_count_what_is_shown_and_acted_on() -> None:
    """A kind with harmful and harmless texts is counted on both sides; names are words."""
    found = slices(SCORED, [e.source for e in SCORED.examples], PRESET_THRESHOLDS["standard"])
    assert [(one.name, one.texts, one.shown, one.acted) for one in found["harmless"]] == [
        ("quoted hate", 1, 1, 1),
        ("short words", 1, 0, 0),
    ]
    assert [(one.name, one.texts, one.shown, one.acted) for one in found["harmful"]] == [
        ("threat", 2, 1, 1),
        ("quoted hate", 1, 1, 1),
    ]
    assert found["harmful"][0].share(1) == "0.50 (0.09 – 0.91)"


def test_a_stricter_preset_shows_no_less() -> None:
    """The presets are in order, on every set."""
    ordinary = scored(*(("", Label.NEUTRAL, n / 250, n / 200) for n in range(100)))
    rows = preset_rows(ordinary, SCORED, SCORED)
    assert [row.name for row in rows] == ["relaxed", "standard", "strict"]
    for shown in ("ordinary", "everyday", "threats", "hate", "offensive"):
        counts = [(getattr(row, shown).shown, getattr(row, shown).acted) for row in rows]
        assert counts == sorted(counts)
    assert rows[0].ordinary.shown < rows[2].ordinary.shown and rows[0].per_thousand(1).startswith("10 (")


def test_the_curve_rises() -> None:
    """A lower threshold shows more of both."""
    ordinary = scored(*(("", Label.NEUTRAL, n / 250, n / 200) for n in range(100)))
    curve = recall_curve(ordinary, SCORED.labelled(Label.HATE, Label.OFFENSIVE))
    assert curve == sorted(curve) and curve[0][0] < curve[-1][0] and curve[-1][1] == 1.0


def test_languages_are_rows_of_their_own() -> None:
    """Lines of each language are counted apart, and the area is of harm against harmless lines."""
    lines = scored(
        ("de: greeting", Label.NEUTRAL, 0.1, 0.1),
        ("de: threat", Label.HATE, 0.9, 0.05),
        ("fi: greeting", Label.NEUTRAL, 0.9, 0.05),
        ("fi: insult", Label.OFFENSIVE, 0.1, 0.1),
    )
    german, finnish = language_rows(lines, PRESET_THRESHOLDS["standard"])
    assert (german.language, german.acts, german.area, german.harmless.shown, german.harmful.acted) == (
        "de", True, 1.0, 0, 1,
    )  # fmt: skip
    assert (finnish.language, finnish.acts, finnish.area, finnish.harmless.acted) == ("fi", False, 0.0, 0)


class StubAdapter:
    """Calls a text hate by its length: the page is about counting."""

    def __init__(self, version: str) -> None:
        self.manifest = SimpleNamespace(version=version)
        self.asked: list[str] = []

    def probabilities(self, examples: Sequence[Example]) -> Tensor:
        self.asked += [example.text for example in examples]
        hate = torch.tensor([min(0.9, len(example.text) / 200) for example in examples])
        return torch.stack([hate, (1 - hate) / 4, 3 * (1 - hate) / 4], 1)


def test_the_page_is_written_with_its_plots(tmp_path: Path) -> None:
    """All sections are there, each table row has its cells, and the plots are images."""
    ordinary = [Example("x" * n, Label.NEUTRAL, "goemotions_neu") for n in range(30)]
    tweets = [Example("x" * n, list(Label)[n % 3], "davidson") for n in range(30)]
    english, other = StubAdapter("stub-1"), StubAdapter("stub-2")
    served = Served(english, other)  # type: ignore[arg-type]
    write_page(tmp_path / "docs" / "page.md", served, {"davidson": tweets, "mix": ordinary})
    page = (tmp_path / "docs" / "page.md").read_text()
    for said in (
        "**stub-1**",
        "| relaxed |",
        "| strict |",
        "self-harm abuse",
        "| coded hate |",
        "all public sets",
        "**stub-2**",
        "| ru | yes |",
    ):
        assert said in page
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert len(tables) > 60 and {line.count("|") for line in tables} == {5, 9, 10}
    assert len(other.asked) > 150 and not set(english.asked) & set(other.asked)
    for name in ("curve", "calibration"):
        assert (tmp_path / "docs" / f"page-{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["quality-curve.png", "quality-calibration.png"])
def test_the_page_in_the_documents_is_of_what_serves(name: str) -> None:
    """Whoever ships an adapter writes the page again."""
    page = (ROOT / PAGE).read_text()
    assert all(f"**{read_manifest(SHIPPED_FOLDER / base).version}**" in page for base in (EMBEDDED, E5))
    assert name in page and (ROOT / PAGE).with_name(name).is_file()
    standard = PRESET_THRESHOLDS["standard"]
    assert f"| standard | {standard.alert_at[Label.HATE]} / {standard.act_at[Label.HATE]}, " in page
