"""`python -m training.refresh` on a real store: promoted, refused, killed, or with nothing to learn or bad input."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from safetensors.torch import load
from torch import Tensor

from bot.domain.decision import Band, Decision
from bot.store import Sealer, Store
from model.adapters.registry import SHIPPED, Registry, open_registry, read_manifest, read_weights
from model.labels import LABELS, Label
from model.norms import PLAIN_NORM, Norm
from tests.conftest import said, verdict
from training import refresh as module
from training import refresh_run
from training.community_checks import community_checks
from training.corrections import Correction, Snapshot, read_corrections
from training.examples import Example
from training.gate import Judgement
from training.prevalence import Prevalence
from training.refresh_summary import describe_norm_changes
from training.samples import read_held_out, read_replay

pytestmark = pytest.mark.timeout(900)  # each trains for real, and the machine may be busy
ROOT = Path(__file__).parents[2]
JARGON = "you absolute walnut number {}, what an idiot move"
SHIPPED_NAME = f"global/{read_manifest(SHIPPED).version}"
LEARNED = [(JARGON.format(n), Label.NEUTRAL) for n in range(6)]


async def correction_examples(
    folder: Path, corrections: Sequence[tuple[str, Label]], basis: str | None = "authored"
) -> list[str]:
    """A store with these corrections; returns the options that name it."""
    now = datetime.now(UTC)
    async with Store.open(folder / "d.db", Sealer.from_file(folder / "key", create=True)) as store:
        for number, (text, label) in enumerate(corrections):
            row = (await store.record_seen(said(text, str(number)), now)).row
            decision = Decision(Band.ALERT, Label.OFFENSIVE, 0.8, 0.7, reason="")
            assert row is not None
            case = await store.record_decision(row, verdict(0.1, 0.7), decision, "done", now, case=True)
            assert case is not None
            await store.record_correction(case, "mod", str(label), basis, now, confirms=False)
    return ["--store", str(folder / "d.db"), "--key", str(folder / "key"), "--adapters", str(folder / "adapters")]


def command(module_name: str, *options: str) -> list[str]:
    return [sys.executable, "-m", module_name, *options]


def run(module_name: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(module_name, *options), cwd=ROOT, capture_output=True, text=True, timeout=600)


async def test_fifty_corrections_are_promoted_and_rolled_back(tmp_path: Path) -> None:
    """The new adapter names its origin, answers the corrections, and one command rolls it back. What a killed refresh
    left is gone."""
    options = await correction_examples(tmp_path, [(JARGON.format(n), Label.NEUTRAL) for n in range(50)])
    (tmp_path / "adapters" / ".staged-abandoned").mkdir(parents=True)
    done = run("training.refresh", *options, "--replay-rows", "150")
    assert done.returncode == 0, done.stderr
    assert "50 of 50 corrections are answered as you said" in " ".join(done.stderr.split())
    registry = Registry(tmp_path / "adapters", SHIPPED)
    manifest = read_manifest(registry.folder(registry.current()))
    assert manifest.parent == SHIPPED_NAME and len(manifest.examples) == 50
    assert not list((tmp_path / "adapters").glob(".staged-*"))
    assert "walnut" not in (registry.folder(registry.current()) / "manifest.json").read_text()
    assert (registry.folder(registry.current()) / "report.html").is_file()
    back = run("training.promote", "--rollback", "--adapters", str(tmp_path / "adapters"))
    assert back.returncode == 0 and registry.current() == SHIPPED_NAME


async def test_a_communitys_norm_is_learned_from_its_words(tmp_path: Path) -> None:
    """Thirty tweets that the public calls offensive and this community does not: the norm is learned, said, kept in
    the manifest with its evidence, and `model.score` follows it; hate stays hate. An own adapter leaves the one for
    all as it is."""
    examples = [e for e in read_replay() if e.source == "davidson" and len(e.text) > 30]
    rude = [e.text for e in examples if e.label is Label.OFFENSIVE]
    hateful = [e.text for e in examples if e.label is Label.HATE]
    words = [(text, Label.NEUTRAL) for text in rude[:30]] + [(text, Label.HATE) for text in hateful[:10]]
    options = await correction_examples(tmp_path, words)
    own = run("training.refresh", *options, "--community", "try-out", "--replay-rows", "150")
    assert own.returncode == 0 and "in try-out offensive counts as neutral from now on" in own.stderr, own.stderr
    registry = Registry(tmp_path / "adapters", SHIPPED)
    adapter = registry.current("c-try-out")
    assert registry.current() == SHIPPED_NAME and adapter.startswith("c-try-out/")
    manifest = read_manifest(registry.folder(adapter))
    assert manifest.norms == {"try-out": {"counts_as": {"offensive": "neutral"}, "words": 40, "moderators": 1}}
    assert (
        "offensive counts as neutral (40 corrections of 1 moderator)"
        in (registry.folder(adapter) / "report.html").read_text()
    )
    with (tmp_path / "new.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text",), *((text,) for text in [*rude[60:80], *hateful[60:80]])])
    scored = run(
        "model.score", str(tmp_path / "new.csv"), "--text", "text", "--out", str(tmp_path / "out.csv"),
        "--adapter", str(registry.folder(adapter)),
    )  # fmt: skip
    assert scored.returncode == 0, scored.stderr
    with (tmp_path / "out.csv").open(newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    assert labels[:20].count("neutral") >= 14 and labels[20:].count("hate") >= 12
    nobody = run("training.refresh", *options, "--community", "elsewhere")
    assert nobody.returncode == 4 and "nothing to learn from yet" in nobody.stderr


@pytest.mark.parametrize("moment", ["learning", "half saved"])
async def test_a_killed_refresh_leaves_the_old_adapter(moment: str, tmp_path: Path) -> None:
    """After SIGKILL in a stage, or while files are written, the shipped adapter serves."""
    options, adapters = await correction_examples(tmp_path, LEARNED), tmp_path / "adapters"
    with subprocess.Popen(
        command("training.refresh", *options, "--replay-rows", "150", "--progress", "json"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            stage = json.loads(line)["stage"]
            if moment in stage or (moment == "half saved" and stage == "saving"):
                while moment == "half saved" and not list(adapters.glob(".staged-*/*")):
                    assert process.poll() is None
                os.kill(process.pid, signal.SIGKILL)
                break
    registry = Registry(adapters, SHIPPED)
    assert process.returncode == -signal.SIGKILL and registry.current() == SHIPPED_NAME
    assert bool(list(adapters.glob(".staged-*"))) is (moment == "half saved")


async def test_a_full_disk_leaves_the_old_adapter(tmp_path: Path) -> None:
    """If the adapter cannot be saved, one line says so and no partial files stay."""
    options = await correction_examples(tmp_path, LEARNED)
    limited = ["bash", "-c", 'ulimit -f 1024; exec "$@"', "refresh", *command("training.refresh", *options)]
    done = subprocess.run([*limited, "--replay-rows", "150"], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 2 and "cannot write" in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert Registry(tmp_path / "adapters", SHIPPED).current() == SHIPPED_NAME
    assert not list((tmp_path / "adapters").glob(".staged-*"))


async def test_two_at_once_are_one_too_many(tmp_path: Path) -> None:
    """A second refresh at the same time ends with one line and status 2."""
    options = await correction_examples(tmp_path, LEARNED)
    with module.lock_adapters(tmp_path / "adapters"):
        done = run("training.refresh", *options)
    assert done.returncode == 2 and "another refresh is under way" in done.stderr


async def test_each_base_learns_what_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten Russian corrections and one in English: the base for other languages learns the ten, the other the one.

    Few held-out texts keep the test short; what the gate says by so few is chance.
    """
    held_out = [part[::12] for part in read_held_out("e5")]
    monkeypatch.setattr(refresh_run, "read_held_out", lambda base: held_out)
    russian = [(f"ну ты и валенок номер {n}, опять всё проспал", Label.NEUTRAL) for n in range(10)]
    options = await correction_examples(tmp_path, [*russian, (JARGON.format(1), Label.NEUTRAL)])
    status = module.main([*options, "--base", "e5", "--replay-rows", "60", "--progress", "json"])
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert status in (refresh_run.PROMOTED, refresh_run.REFUSED)
    assert "learning from 10 corrections" in {each["stage"] for each in told}
    assert "1 × in a language that another base reads" in told[-1]["result"]
    assert open_registry("e5", tmp_path / "adapters").root == tmp_path / "adapters" / "@e5"
    snapshot = read_corrections(tmp_path / "d.db", tmp_path / "key")
    assert [each.example.text for each in snapshot.read_by("minilm").corrections] == [JARGON.format(1)]


async def test_without_a_basis_there_is_nothing_to_learn(tmp_path: Path) -> None:
    """Without a basis the status is 4, with the number of left-out corrections."""
    done = run("training.refresh", *await correction_examples(tmp_path, LEARNED[:2], basis=None))
    assert done.returncode == 4 and "left out: 2 × no basis" in done.stderr


@pytest.mark.parametrize(
    ("missing", "expected"),
    [("d.db", "no store at this path"), ("key", "not a sealing key"), ("wrong key", "sealed with another key")],
)
async def test_bad_input_is_named(missing: str, expected: str, tmp_path: Path) -> None:
    """A missing store, a missing key or another store's key gives one line and status 2."""
    options = await correction_examples(tmp_path, LEARNED[:1])
    if missing == "wrong key":
        (tmp_path / "key").write_text("ab" * 32)
    else:
        (tmp_path / missing).unlink()
    done = run("training.refresh", *options)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == 2 and expected in line and "Traceback" not in done.stderr


@pytest.mark.usefixtures("few_held_out")
def test_a_moderator_who_calls_all_harmless_texts_hate_is_refused(tmp_path: Path) -> None:
    """The larger steps flag plain greetings or harmless texts, and the smallest answers too few of them as they were
    corrected."""
    harmless = [e for e in read_replay() if e.label is Label.NEUTRAL][-250:]
    hostile = [replace(e, label=Label.HATE, votes=()) for e in harmless]
    told: list[str] = []
    registry = Registry(tmp_path, SHIPPED)
    snapshot = Snapshot([Correction(str(n), example, "mod") for n, example in enumerate(hostile)])
    status = module.refresh(snapshot, registry, 60, 5, lambda stage, share, result: told.append(result))
    assert status == module.REFUSED and told[-1].startswith("refused: ") and "goes on serving" in told[-1]
    assert "it calls 12 of 12 plain greetings hateful or offensive" in told[-1]
    assert registry.current() == SHIPPED_NAME and not list(tmp_path.glob("*/*/manifest.json"))


@pytest.mark.usefixtures("few_held_out")
def test_a_norm_may_be_learned_while_the_weights_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If every step of the weights is refused (by a stub of the gate), the norm alone is promoted and both are
    reported."""
    examples = [e for e in read_replay() if e.source == "davidson" and len(e.text) > 30]
    rude = [replace(e, label=Label.NEUTRAL, votes=()) for e in examples if e.label is Label.OFFENSIVE][:30]
    hateful = [e for e in examples if e.label is Label.HATE][:10]
    words = [Correction(str(n), e, "mod", f"a{n}", "town") for n, e in enumerate([*rude, *hateful])]
    really = refresh_run.judge

    def stub_gate(before: Tensor, after: Tensor, *others: object) -> Judgement:
        same = bool((before - after).abs().max() < 1e-3)
        return replace(really(before, after, *others), reasons=() if same else ("a stub says so",))  # type: ignore[arg-type]

    monkeypatch.setattr(refresh_run, "judge", stub_gate)
    told, stages = list[str](), dict[str, float]()

    def tell(stage: str, share: float, result: str) -> None:
        told.append(result)
        stages.setdefault(stage, share)

    registry = Registry(tmp_path, SHIPPED)
    status = module.refresh(Snapshot(words), registry, 30, 5, tell)
    assert status == module.PROMOTED, told[-1]
    assert list(stages) == [
        "loading the model",
        "looking for what is suspicious",
        "learning from 40 corrections",
        "testing on held-out texts",
        "saving",
        "promoting",
        "finished",
    ] and sorted(stages.values()) == list(stages.values())
    assert "in town offensive counts as neutral from now on" in told[-1]
    assert "the weights stay, because a stub says so" in told[-1]
    folder = registry.folder(registry.current())
    kept, shipped = (load(read_weights(where, read_manifest(where))) for where in (folder, SHIPPED))
    assert all(torch.equal(tensor, shipped[name].half()) for name, tensor in kept.items())


@pytest.mark.usefixtures("few_held_out")
@pytest.mark.parametrize("norm", [PLAIN_NORM, Norm((Label.HATE, Label.NEUTRAL, Label.NEUTRAL))])
def test_a_lone_moderator_often_wrong_changes_no_weights(norm: Norm, tmp_path: Path) -> None:
    """With a third of opposite corrections the weights stay, the result says what to do, and a clear norm is still
    learned."""
    known = [e for e in read_replay() if e.source == "davidson" and len(e.text) > 30]
    words = []
    by_label = [[e for e in known if e.label is label] for label in LABELS]
    chosen = [e for mine, few in zip(by_label, (15, 60, 15), strict=True) for e in mine[:few]]
    for n, example in enumerate(chosen):
        meant = norm.counts_as[LABELS.index(example.label)]
        opposite = Label.NEUTRAL if meant is Label.HATE else Label.HATE
        label = opposite if n % 3 == 1 else meant
        words.append(Correction(str(n), replace(example, label=label, votes=()), "mod", f"a{n}", "town"))
    told, registry = list[tuple[str, str]](), Registry(tmp_path, SHIPPED)
    status = module.refresh(
        Snapshot(words), registry, 2300, 5, lambda stage, share, result: told.append((stage, result))
    )
    result = told[-1][1]
    assert not any(stage.startswith("learning") for stage, _ in told)
    assert "one moderator made 90 of 90 corrections in town" in result and "let a second moderator answer" in result
    if norm is PLAIN_NORM:
        assert status == module.REFUSED and result.startswith("refused: one moderator") and "goes on serving" in result
        assert registry.current() == SHIPPED_NAME
        return
    assert status == module.PROMOTED and "in town offensive counts as neutral from now on" in result
    assert "the weights stay, because one moderator made" in result
    folder = registry.folder(registry.current())
    kept, shipped = (load(read_weights(where, read_manifest(where))) for where in (folder, SHIPPED))
    assert all(torch.equal(tensor, shipped[name].half()) for name, tensor in kept.items())


def test_every_change_of_a_norm_is_said() -> None:
    """A learned, changed or removed norm is reported, and an unchanged one is not."""
    allowed = Norm((Label.HATE, Label.NEUTRAL, Label.NEUTRAL), 40, 3)
    strict = Norm((Label.HATE, Label.HATE, Label.NEUTRAL), 40, 3)
    before = {"a": allowed, "b": allowed, "d": allowed}
    after = {"a": replace(allowed, corrections=90), "b": strict, "c": allowed}
    assert describe_norm_changes(before, after) == [
        "in b offensive counts as hate from now on",
        "in c offensive counts as neutral from now on",
        "in d every label counts as itself from now on",
    ]


def test_one_communitys_snapshot_is_its_own() -> None:
    """The snapshot has no corrections, thresholds and daily mix of other communities."""
    words = [Correction(str(n), Example(f"text {n}", Label.HATE), "mo", "", name) for n, name in enumerate("aab")]
    mix = Prevalence((0.1, 0.1, 0.8), 40, 9)
    whole = Snapshot(words, action_thresholds={"a": {Label.HATE: 0.7}, "b": {}}, prevalence={"a": mix, "b": mix})
    mine = whole.for_community("b")
    assert (
        [each.id for each in mine.corrections] == ["2"]
        and mine.action_thresholds == {"b": {}}
        and mine.prevalence == {"b": mix}
    )
    at_stake = community_checks(mine, {}, {"b": Norm()})
    assert [stake.community for stake in at_stake] == ["", "b"] and at_stake[1].prevalence == mix


def test_without_corrections_a_run_ends_before_it_loads_a_model(tmp_path: Path) -> None:
    """Its one step says why, and what was left out."""
    told: list[tuple[str, float, str]] = []
    snapshot = Snapshot([], left_out={"no basis": 2})
    run = refresh_run.RefreshRun(snapshot, Registry(tmp_path, SHIPPED), 30, 5, lambda *step: told.append(step))
    assert run.run() == module.NOTHING
    assert told == [
        ("finished", 1.0, "nothing to learn from yet: no corrections with a basis (left out: 2 × no basis)")
    ]


@pytest.mark.usefixtures("few_held_out")
def test_an_adapter_that_learned_nothing_is_not_promoted(tmp_path: Path) -> None:
    """A candidate that changes no answer is not promoted."""
    words = [Correction(str(n), Example(JARGON.format(n), Label.NEUTRAL), "mo", "a", "town") for n in range(3)]
    told: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(refresh_run, "GENTLE", 1e-6)
        status = module.refresh(
            Snapshot(words), Registry(tmp_path, SHIPPED), 30, 5, lambda stage, share, result: told.append(result)
        )
    assert status == module.REFUSED and "0 of 3 corrections are answered as you said, no more than before" in told[-1]
