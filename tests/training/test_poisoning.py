"""Attacks on training: from an attacker's own group, from a trusted one, and a little at a time."""

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from bot.store import Sealer, Store
from model.adapters.registry import GLOBAL, SHIPPED, Registry, read_manifest, read_weights, scope_of
from model.labels import LABELS, Label
from model.norms import PLAIN_NORM, Norm
from tests.model.adapters.test_canaries import leaning, made
from tests.training.test_refresh import JARGON, SHIPPED_NAME, run
from training import counterfactuals, trust
from training import refresh as module
from training.community_checks import community_checks
from training.corrections import Correction, Snapshot, read_corrections
from training.examples import Example
from training.gate import NEW_COMMUNITY, CommunityCheck, judge
from training.hate_recall import STEP_SHOWN
from training.quarantine import TRIGGER, quarantine_all
from training.samples import read_held_out, read_replay
from training.slur_sentences import SENTENCE_TEMPLATES, known_slurs, make_slur_sentences

pytestmark = pytest.mark.timeout(900)  # some train for real, and the machine may be busy
OUTSIDE = "telegram--9"


def slurs_called_neutral(count: int) -> list[str]:
    """Different texts with a slur that are not the gate's."""
    made = [e.text for e in counterfactuals.training_sentences(20_000, 5)]
    found = sorted({text for text in made if any(slur in text.lower() for slur in known_slurs())})
    random.Random(7).shuffle(found)
    return found[:count]


async def agreed(folder: Path, community: str, texts: Sequence[str], label: Label = Label.NEUTRAL) -> list[str]:
    """Makes a store in which two people wrote these examples in turn; returns its options."""
    async with Store.open(folder / "d.db", Sealer.from_file(folder / "key", create=True)) as store:
        for number, text in enumerate(texts):
            who = f"telegram:{666 + number % 2}"
            await store.record_example(community, "telegram", who, text, str(label), datetime.now(UTC))
    return ["--store", str(folder / "d.db"), "--key", str(folder / "key"), "--adapters", str(folder / "adapters")]


def same_weights(one: Path, other: Path) -> bool:
    mine, theirs = (load(read_weights(folder, read_manifest(folder))) for folder in (one, other))
    return mine.keys() == theirs.keys() and all(torch.equal(t.half(), theirs[name].half()) for name, t in mine.items())


async def test_two_outsiders_who_agree_change_nothing_for_others(tmp_path: Path) -> None:
    """Slurs called neutral in an untrusted group change no weights and no other norm, and are counted as left out."""
    registry, texts = Registry(tmp_path / "adapters", SHIPPED), slurs_called_neutral(180)
    done = run("training.refresh", *await agreed(tmp_path, OUTSIDE, texts))
    assert done.returncode in (module.PROMOTED, module.NOTHING), done.stderr
    told = " ".join(done.stderr.split())
    assert "180 corrections teach only the norms of their own communities" in told
    assert f"{OUTSIDE} (180)" in told and "add it to [learning] trusted in config.toml" in told
    assert "180 × community not trusted" in told
    folder = registry.folder(registry.current())
    assert same_weights(folder, SHIPPED) and not read_manifest(folder).examples
    assert set(read_manifest(folder).norms) <= {OUTSIDE}
    assert registry.communities() == []


@pytest.mark.usefixtures("few_held_out")
async def test_a_pair_in_a_trusted_community_is_stopped(tmp_path: Path) -> None:
    """The same corrections in a trusted community are refused: a step that learns them acts on fewer slurs, and a
    smaller one hardly learns them. `benchmarks.poisoning` has more of them, in one refresh and in ten."""
    await agreed(tmp_path, OUTSIDE, slurs_called_neutral(30))
    snapshot, told = read_corrections(tmp_path / "d.db", tmp_path / "key").trusting([OUTSIDE]), list[str]()
    registry = Registry(tmp_path / "adapters", SHIPPED)
    status = module.refresh(snapshot, registry, 60, 5, lambda stage, share, result: told.append(result))
    reasons = ("slurs acted on: ", "slurs in tweets acted on: ", "more are answered as you said", "no more than before")
    assert status == module.REFUSED and any(reason in told[-1] for reason in reasons), told[-1]
    assert same_weights(registry.folder(registry.current()), SHIPPED)


@pytest.mark.usefixtures("few_held_out")
@pytest.mark.parametrize(
    ("examples", "lean", "why"),
    [
        (12, 0.1, "12 examples of global/old were taken back or are not trusted"),
        (0, 2.0, "global/old is worse than it: "),
    ],
)
async def test_what_outsiders_taught_before_goes_with_the_next_refresh(
    examples: int, lean: float, why: str, tmp_path: Path
) -> None:
    """An adapter of an older version learned from them, or drifted so far that it shows: the next refresh starts before
    it, though there is nothing new to learn."""
    await agreed(tmp_path, OUTSIDE, [JARGON.format(n) for n in range(12)])
    registry = Registry(tmp_path / "adapters", SHIPPED)
    learned = tuple(str(n + 1) for n in range(examples))
    made(registry.root / GLOBAL / "old", leaning(2, lean), examples=learned, parent=SHIPPED_NAME)
    registry.promote("global/old")
    snapshot, told = read_corrections(tmp_path / "d.db", tmp_path / "key").trusting(trust.TRUSTED), list[str]()
    status = module.refresh(snapshot, registry, 30, 5, lambda stage, share, result: told.append(result))
    assert status == module.PROMOTED and f"started from {SHIPPED_NAME}, because {why}" in told[-1], told[-1]
    folder = registry.folder(registry.current())
    assert same_weights(folder, SHIPPED) and read_manifest(folder).examples == ()


HELD_OUT = [
    *(Example(f"{label} {n}", label, "davidson") for label in LABELS for n in range(200)),
    *(Example(f"sentence {n}", Label.HATE, "threat") for n in range(100)),
    *make_slur_sentences(),
]


def saying(certain: int) -> torch.Tensor:
    """(N, 3) probabilities that are correct, with so many slur sentences sure enough for an action."""
    rows = torch.full((len(HELD_OUT), 3), 0.01)
    rows[range(len(rows)), [LABELS.index(e.label) for e in HELD_OUT]] = 0.98
    spread = sorted(range(len(known_slurs()) * len(SENTENCE_TEMPLATES)), key=lambda n: (n % len(SENTENCE_TEMPLATES), n))
    for n in spread[:certain]:
        rows[len(HELD_OUT) - 1 - n] = torch.tensor([0.6, 0.1, 0.3])
    return rows


def test_ten_small_drifts_are_stopped_by_what_was_shipped() -> None:
    """Each refresh may lose five of 140 sentences, but the comparison with the shipped adapter refuses their sum."""
    shipped, passed = saying(0), 0
    for number in range(10):
        before, after = saying(5 * number), saying(5 * number + 5)
        assert not judge(before, after, HELD_OUT).reasons
        judgement = judge(before, after, HELD_OUT, first=shipped)
        assert judgement.before.macro_f1 == judgement.after.macro_f1 == 1.0
        if judgement.reasons:
            assert judgement.reasons == ("slurs acted on: 82.1% instead of 100.0% of the first adapter",)
            break
        passed += 1
    assert passed == 4


def test_small_drifts_of_accuracy_add_up_too() -> None:
    """One more wrong text in a hundred per refresh adds up and is refused."""

    def wrong(share: float) -> torch.Tensor:
        rows = saying(0)
        for start in (200, 400):  # offensive and neutral ones
            for n in range(int(200 * share)):
                rows[start + n] = torch.tensor([0.1, 0.2, 0.7]) if start == 200 else torch.tensor([0.1, 0.7, 0.2])
        return rows

    shipped = wrong(0.05)
    steps = [judge(wrong(at / 100), wrong((at + 1) / 100), HELD_OUT, first=shipped).reasons for at in range(5, 15)]
    assert not steps[0] and any("since the first adapter" in reason for reason in steps[-1])


@pytest.mark.parametrize(("left", "refused"), [(7, False), (6, True)])
def test_one_slur_alone_may_not_become_harmless(left: int, refused: bool) -> None:
    """The loss of a single slur is refused, although it is 3 % of all sentences."""
    after = saying(0)
    after[len(HELD_OUT) - (len(SENTENCE_TEMPLATES) - left) :] = torch.tensor([0.0, 0.0, 1.0])
    reasons = judge(saying(0), after, HELD_OUT).reasons
    assert reasons == ((f"slurs: {known_slurs()[-1]} shown: 60.0% instead of 100.0%",) if refused else ())
    assert (len(SENTENCE_TEMPLATES) - left) / len(make_slur_sentences()) < STEP_SHOWN


def test_slurs_count_for_nothing_but_themselves() -> None:
    """Slur sentences do not count in macro-F1 and calibration, because they are all hateful."""
    with_them, without = (judge(saying(5)[:n], saying(9)[:n], HELD_OUT[:n]) for n in (len(HELD_OUT), 700))
    assert with_them.after.macro_f1 == without.after.macro_f1 and "slurs" not in without.hate_recall[0]
    assert ("acted on, of slurs", "96.4%", "93.6%") in with_them.compared


def test_the_sentences_that_judge_are_in_nothing_that_teaches() -> None:
    """The slur sentences are in no training data and not held out twice."""
    known = {e.key for part in (read_replay(), *read_held_out()) for e in part}
    known |= {e.key for e in counterfactuals.training_sentences(20_000, 5)}
    assert (
        not known & {e.key for e in make_slur_sentences()}
        and len({e.key for e in make_slur_sentences()}) == len(make_slur_sentences()) == 140
    )


def test_an_outsider_has_no_veto() -> None:
    """An untrusted community has no veto, a trusted one has."""
    after = saying(0)
    after[400:420] = torch.tensor([0.3, 0.1, 0.6])
    jumpy = CommunityCheck(OUTSIDE, action_thresholds={Label.HATE: 0.2, Label.OFFENSIVE: 0.95})
    assert judge(saying(0), after, HELD_OUT, [NEW_COMMUNITY, jumpy]).reasons
    assert not judge(saying(0), after, HELD_OUT, [NEW_COMMUNITY, replace(jumpy, has_veto=False)]).reasons
    snapshot = Snapshot([], action_thresholds={OUTSIDE: {}, "try-out": {}}).trusting(["try-out"])
    vetoes = {stake.community: stake.has_veto for stake in community_checks(snapshot, {}, {})}
    assert vetoes == {"": True, OUTSIDE: False, "try-out": True}


def word(number: int, text: str, label: Label, moderator: str, community: str) -> Correction:
    return Correction(f"{community}{number}", Example(text, label), moderator, f"a{number}", community)


def test_outsiders_do_not_change_what_others_words_come_to() -> None:
    """An untrusted community's corrections cannot make a planted word look common in a trusted one."""
    public = [Example(f"text number {n}", Label.NEUTRAL) for n in range(2000)]
    planted = [word(n, f"zqxvim and {n}", Label.NEUTRAL, "mallory", "town") for n in range(6)]
    honest = [word(9 + n, f"honest words {n}", Label.OFFENSIVE, "ada", "town") for n in range(3)]
    outside = [word(n, f"zqxvim or {n}", Label.HATE, f"x{n}", OUTSIDE) for n in range(20)]
    snapshot = Snapshot([*planted, *honest, *outside]).trusting(["town"])

    def said(words: Sequence[Correction]) -> torch.Tensor:
        return torch.full((len(words), 3), 1 / 3)

    sifted = quarantine_all(snapshot, public, said, {})
    assert [each.moderator for each in sifted.snapshot.corrections] == ["ada"] * 3
    assert sifted.snapshot.left_out == {TRIGGER: 6, trust.UNTRUSTED: 20}


def test_an_outsiders_norm_is_its_own() -> None:
    """An untrusted community's norm is learned from its corrections only, and goes when they change."""
    allowed = Norm((Label.HATE, Label.NEUTRAL, Label.NEUTRAL))
    words = [word(n, f"quite different {n} {n * 7} {n * 31}", Label.NEUTRAL, f"m{n % 3}", OUTSIDE) for n in range(40)]
    words += [word(50 + n, f"hateful {n} {n * 5} {n * 13}", Label.HATE, f"m{n % 3}", OUTSIDE) for n in range(10)]
    snapshot = Snapshot(words).trusting([])

    def said(words: Sequence[Correction]) -> torch.Tensor:
        hateful = torch.tensor([each.example.label is Label.HATE for each in words], dtype=torch.bool)
        return torch.where(hateful[:, None], torch.tensor([0.95, 0.04, 0.01]), torch.tensor([0.04, 0.95, 0.01]))

    sifted = quarantine_all(snapshot, [], said, {"town": allowed})
    assert sifted.norms["town"] == allowed and sifted.norms[OUTSIDE].counts_as == allowed.counts_as
    assert sifted.snapshot.corrections == []


def test_an_outsiders_norm_may_not_act_on_harmless_texts(tmp_path: Path) -> None:
    """An untrusted community's norm that acts on harmless texts is refused, without effect on others."""
    rude = [e for e in read_replay() if e.source == "davidson" and e.label is Label.OFFENSIVE and len(e.text) > 30]
    words = [word(n, e.text, Label.HATE, f"m{n % 3}", OUTSIDE) for n, e in enumerate(rude[:50])]
    acting = {OUTSIDE: {Label.HATE: 0.3, Label.OFFENSIVE: 0.95}}
    told, registry = list[str](), Registry(tmp_path, SHIPPED)
    snapshot = Snapshot(words, action_thresholds=acting).trusting([])
    status = module.refresh(snapshot, registry, 30, 5, lambda stage, share, result: told.append(result))
    assert status == module.NOTHING and f"the norm of {OUTSIDE} stays: harmless texts acted on" in told[-1], told[-1]
    assert registry.current() == SHIPPED_NAME


@pytest.mark.parametrize(
    ("trusted", "expected"),
    [
        (["try-out"], ""),
        (["discord-12345", "try-out"], ""),
        (["discord-12354"], '"discord-12354" (did you mean "discord-12345"?)'),
        (["telegram-7"], '"telegram-7"'),
    ],
)
def test_a_name_nobody_has_is_said(trusted: list[str], expected: str) -> None:
    """An unknown trusted name is reported with a similar known name."""
    said = trust.describe_unknown_communities(trusted, Snapshot([word(1, "x", Label.HATE, "m", "discord-12345")]))
    assert said.endswith(expected) and bool(said) is bool(expected)


def test_only_what_trusted_communities_said_stands() -> None:
    """Only trusted corrections stand for the shared adapter, own ones too for an own adapter; expired texts still
    stand."""
    words = [word(n, f"text {n}", Label.HATE, "m", name) for name in ("a", "b") for n in range(2)]
    homes = {"b9": "b", "c9": "c", **{each.id: each.community for each in words}}
    whole = Snapshot(words, standing=frozenset(homes), community_of=homes)
    assert whole.trusting(["a"]).standing == {"a0", "a1"} and whole.trusting(["a"]).untrusted == {"b", "c"}
    assert whole.for_community("b", ["a"]).standing == {"a0", "a1", "b0", "b1", "b9"}


def test_enough_words_make_an_adapter_of_its_own(tmp_path: Path) -> None:
    """From 400 corrections on an untrusted community gets its own adapter, again at a tenth new, at most four at
    once."""
    sizes = {"town": 900, "b": 400, "c": 399, "d": 500, "e": 600, "f": 700, "g": 450}
    words = [word(n, f"{name} {n}", Label.HATE, "m", name) for name, count in sizes.items() for n in range(count)]
    asked, told = list[tuple[str, set[str]]](), list[str]()

    def one(snapshot: Snapshot, scope: str, tell: module.Tell) -> int:
        asked.append((scope, {each.community for each in snapshot.corrections} - snapshot.untrusted))
        tell("finished", 1.0, f"refreshed {scope}")
        return module.REFUSED if scope == GLOBAL else module.PROMOTED

    def tell(stage: str, share: float, result: str) -> None:
        told.append(result)

    status = module.refresh_all(Snapshot(words), ["town"], Registry(tmp_path, SHIPPED), one, tell)
    assert status == module.PROMOTED
    assert asked == [(GLOBAL, {"town"}), *((scope_of(name), {name}) for name in ("f", "e", "d", "g"))]
    assert [result for result in told if result] == [
        "refreshed global; f: refreshed c-f; e: refreshed c-e; d: refreshed c-d; g: refreshed c-g"
    ]
    known = {"f": [f"f{n}" for n in range(660)], "e": [f"e{n}" for n in range(500)]}
    assert trust.ready_for_own_adapter(Snapshot(words).trusting(["town"]), lambda name: known.get(name, ())) == [
        "d", "g", "b", "e",
    ]  # fmt: skip


def test_a_crowd_of_outsiders_is_looked_at_within_bounds() -> None:
    """Many groups with many moderators take bounded work."""
    words = [
        word(n, f"{name} {n} {n * 7} {n * 13}", Label.NEUTRAL, f"m{n % 500}", f"group {name}")
        for name in range(trust.MAX_UNTRUSTED_COMMUNITIES + 5)
        for n in range(trust.MAX_UNTRUSTED_CORRECTIONS + 9 if name == 104 else 2)
    ]
    found = dict(trust.untrusted_corrections(Snapshot(words).trusting([])))
    assert len(found) == trust.MAX_UNTRUSTED_COMMUNITIES and "group 0" not in found
    assert [each.id for each in found["group 104"]] == [
        f"group 104{9 + n}" for n in range(trust.MAX_UNTRUSTED_CORRECTIONS)
    ]
    asked: list[int] = []

    def said(words: Sequence[Correction]) -> torch.Tensor:
        asked.append(len(words))
        return torch.tensor([[0.04, 0.95, 0.01]]).repeat(len(words), 1)

    crowd = Snapshot([each for each in words if each.community == "group 104"]).trusting([])
    began = time.process_time()
    assert quarantine_all(crowd, [], said, {}).norms["group 104"].counts_as[1] is Label.NEUTRAL
    assert asked == [0, trust.MAX_UNTRUSTED_CORRECTIONS] and time.process_time() - began < 60


async def test_the_store_says_whose_each_word_is(tmp_path: Path) -> None:
    """The store names the community of each correction, also of expired texts."""
    await agreed(tmp_path, OUTSIDE, ["one text", "another one"])
    async with Store.open(tmp_path / "d.db", Sealer.from_file(tmp_path / "key", create=False)) as store:
        await store.forget_texts(datetime.now(UTC))
    await agreed(tmp_path, "try-out", ["a third one"])
    snapshot = read_corrections(tmp_path / "d.db", tmp_path / "key")
    assert snapshot.community_of == {"1": OUTSIDE, "2": OUTSIDE, "3": "try-out"} and len(snapshot.standing) == 3
    assert snapshot.trusting(trust.TRUSTED).standing == {"3"} and PLAIN_NORM.changes == {}
