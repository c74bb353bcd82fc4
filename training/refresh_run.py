"""One refresh of one scope, step by step: quarantine, mixture, fit, evaluate, gate, report, promote.

What serves does not change before the last step. A step that ends the run says why in one sentence.
"""

import datetime
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.adapters import canaries
from model.adapters.registry import GLOBAL, Manifest, Registry, read_manifest, scope_of
from model.base import Base, LoraSpec
from model.choice import BaseChoice
from model.norms import Norm
from model.open import open_chosen_base
from model.serving.scorer import attach_adapter, read_adapter
from training.attached_adapter import AttachedAdapter, find_serving
from training.community_checks import community_checks, tolerable_norms
from training.correction_checks import gain_objections, unseen_objections
from training.corrections import Correction, Snapshot, split_by_author
from training.examples import Example, exclude_texts
from training.gate import NEW_COMMUNITY, Judgement, judge
from training.hate_recall import is_slur_sentence
from training.lineage import ANCESTOR, find_ancestor, find_clean_origin, learned_by
from training.mixture import contrast_examples, correction_examples, replay_examples
from training.quarantine import QuarantineResult, find_rare_words, quarantine_all
from training.refresh_summary import describe_left_out, describe_norm_changes, report_section
from training.samples import read_held_out, read_replay
from training.slur_sentences import make_slur_sentences
from training.train import TrainedAdapter, save_adapter, train
from training.training_loop import Recipe, TrainingHistory
from training.trigger_words import find_trigger_words
from training.trust import describe_untrusted

RECIPE = Recipe(epochs=3, label_smoothing=0.0, balance=False, dropout=False)
GENTLE = 0.25
"""Share of the base's learning rate. It is small because the adapter starts close to its goal."""
STEPS_BACK = (1.0, 0.6, 0.3)
"""Shares of the way from the serving adapter to the trained one, tried in turn until the gate lets one through."""
HELD_OUT_AUTHORS, HELD_OUT_FROM = 0.15, 60
"""Share of the authors whose corrections only judge the candidate; none below this number of corrections."""
WATCHED_EVERY = 8
"""One in so many held-out texts is scored after each epoch, for the report's curve."""
STAGED = ".staged-"
PROMOTED, BAD_INPUT, REFUSED, NOTHING = 0, 2, 3, 4

Tell = Callable[[str, float, str], None]
"""Called with (stage, share done, result or "")."""


class _Ends(Exception):
    """Ends the run with this exit status; the message is its result."""

    def __init__(self, status: int, result: str) -> None:
        super().__init__(result)
        self.status = status
        self.result = result


@dataclass(frozen=True, slots=True)
class NamedAdapter:
    """An adapter of the registry, attached to the base."""

    name: str
    model: AttachedAdapter


@dataclass(frozen=True, slots=True)
class Adapters:
    """The adapters of a run: the one that serves, the one that training starts from (`origin`), and the one that no
    correction made (`ancestor`). `why` says why the origin is not the serving one; "" where it is."""

    serving: NamedAdapter
    origin: NamedAdapter
    ancestor: NamedAdapter
    why: str = ""


@dataclass(frozen=True, slots=True)
class Starting:
    """The origin's files: where training starts."""

    manifest: Manifest
    lora: LoraSpec
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is to be learned: the `kept` corrections in `examples`, and the norms. The `unseen` corrections judge it.

    `must_go` is True where the serving adapter learned what was taken back: any other that passes the gate is better.
    """

    kept: Sequence[Correction]
    unseen: Sequence[Correction]
    examples: Sequence[Example]
    norms: Mapping[str, Norm]
    must_go: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """An adapter between the origin (`share` 0) and the trained one (`share` 1) that may serve by the gate's judgement.

    `reasons` say why the first candidate was refused.
    """

    share: float
    trained: TrainedAdapter
    model: AttachedAdapter
    judgement: Judgement
    reasons: Sequence[str] = ()


class RefreshRun:
    """One refresh of a scope. The methods are in the order in which `run` calls them.

    With `tries_adapters`, no adapter serves that `model.adapters.canaries` refuses.
    """

    _base: Base
    _public: list[Example]
    _test: list[Example]
    _adapters: Adapters
    _starting: Starting
    _quarantined: QuarantineResult
    _lesson: Lesson
    _recipe: Recipe

    def __init__(
        self,
        snapshot: Snapshot,
        registry: Registry,
        replay_rows: int,
        keep: int,
        tell: Tell,
        choice: BaseChoice | None = None,
        scope: str = GLOBAL,
        *,
        tries_adapters: bool = True,
    ) -> None:
        self._snapshot = snapshot
        self._registry = registry
        self._replay_rows = replay_rows
        self._keep = keep
        self._tell = tell
        self._choice = choice
        self._scope = scope
        self._tries_adapters = tries_adapters
        self._untrusted_note = describe_untrusted(snapshot)
        self._harsh_norms: list[str] = []

    def run(self) -> int:
        """Takes all steps and returns an exit status. Raises `BadData`, `AdapterRejected`, `BaseNotFound`; an
        adapter is promoted whole or not at all."""
        try:
            self._require_corrections()
            self._open()
            self._quarantine()
            self._choose_origin()
            self._mix()
            candidate = self._gate(self._fit())
            sentences, figures = self._report(candidate)
            self._promote(self._save(candidate, figures), sentences)
        except _Ends as end:
            self._tell("finished", 1.0, end.result)
            return end.status
        return PROMOTED

    def _require_corrections(self) -> None:
        """Ends the run if there is nothing to learn and nothing to unlearn."""
        snapshot = self._snapshot
        if not snapshot.corrections and not set(learned_by(self._registry, self._scope)) - snapshot.standing:
            left_out = describe_left_out(snapshot.left_out)
            raise _Ends(NOTHING, f"nothing to learn from yet: no corrections with a basis{left_out}")

    def _open(self) -> None:
        """Opens the base and attaches the adapters to be compared: the serving one, its ancestor, and the newest one
        that learned only from what still stands."""
        self._tell("loading the model", 0.02, "")
        registry = self._registry
        self._base = open_chosen_base(self._choice or BaseChoice(read_manifest(registry.shipped).base), training=True)
        name, refused = find_serving(self._base, registry, self._scope, self._tries_adapters)
        self._public = read_replay(self._base.name)
        serving = self._attached("serving", name)
        origin_name, why = find_clean_origin(registry, name, self._snapshot.standing, refused), ""
        if origin_name != name:
            withdrawn = len(set(serving.model.manifest.examples) - self._snapshot.standing)
            why = f"{withdrawn} examples of {name} were taken back or are not trusted"
        ancestor_name = find_ancestor(registry, name)
        ancestor = serving if ancestor_name == name else self._attached("first", ancestor_name)
        origin = serving if origin_name == name else self._attached("origin", origin_name)
        if self._scope != GLOBAL:  # its own norm alone
            for model in (serving.model, origin.model):
                model.norms = {name: norm for name, norm in model.norms.items() if scope_of(name) == self._scope}
        self._adapters = Adapters(serving, origin, ancestor, why)

    def _attached(self, attached_as: str, name: str) -> NamedAdapter:
        manifest = attach_adapter(self._base, attached_as, self._registry.folder(name))
        return NamedAdapter(name, AttachedAdapter(self._base, attached_as, manifest))

    def _quarantine(self) -> None:
        """Sets aside corrections that look poisoned or careless, and those that the held-out texts contradict."""
        self._tell("looking for what is suspicious", 0.04, "")
        serving, origin = self._adapters.serving.model, self._adapters.origin.model
        untrusted = {name: norm for name, norm in serving.norms.items() if name in self._snapshot.untrusted}
        self._quarantined = quarantine_all(
            self._snapshot, self._public, serving.correction_probabilities, {**origin.norms, **untrusted}
        )
        known = {each.example.key: each.example.label for each in self._quarantined.snapshot.corrections}
        held_out = [e for part in read_held_out(self._base.name) for e in part if known.get(e.key) is not e.label]
        self._test = [*exclude_texts(held_out, []), *make_slur_sentences()]

    def _choose_origin(self) -> None:
        """Starts from the ancestor if the origin is worse than it: many refreshes may each be a little worse."""
        origin, ancestor = self._adapters.origin, self._adapters.ancestor
        origin_answers, ancestor_answers = (
            origin.model.probabilities(self._test),
            ancestor.model.probabilities(self._test),
        )
        if drift := judge(origin_answers, origin_answers, self._test, [NEW_COMMUNITY], ancestor_answers).reasons:
            why = f"{origin.name} is worse than it: {'; '.join(drift)}"
            self._adapters = replace(self._adapters, origin=ancestor, why=why)
        folder = self._registry.folder(self._adapters.origin.name)
        manifest, lora, tensors = read_adapter(self._base, folder)
        start = {name: tensor.float() for name, tensor in tensors.items()}
        self._starting = Starting(manifest, lora, start)

    def _mix(self) -> None:
        """Mixes the corrections with public texts whose answers must stay the same; ends the run if nothing is left to
        learn."""
        adapters, snapshot = self._adapters, self._quarantined.snapshot
        norms, self._harsh_norms = tolerable_norms(
            self._quarantined.norms, adapters.serving.model, self._test, self._snapshot
        )
        must_go = adapters.origin.name != adapters.serving.name and adapters.serving.name.startswith(f"{self._scope}/")
        if not snapshot.corrections and norms == adapters.serving.model.norms and not must_go:
            if self._quarantined.refused:
                raise self._refusal(self._quarantined.refused)
            raise _Ends(NOTHING, f"nothing to learn from yet: no correction is left{self._ending}")
        kept, unseen = split_by_author(snapshot, HELD_OUT_AUTHORS, HELD_OUT_FROM)
        fresh, model = (
            exclude_texts(self._public, [each.example for each in snapshot.corrections]),
            adapters.origin.model,
        )
        examples = list[Example]()
        if kept:
            replay = replay_examples(model.uncalibrated_probabilities, fresh, self._replay_rows, seed=len(kept))
            examples += replay
            examples += contrast_examples(kept, fresh, model.uncalibrated_probabilities, seed=len(kept))
            raw = model.uncalibrated_probabilities([each.example for each in kept])
            examples += correction_examples(kept, model.correction_probabilities(kept), raw, norms, len(replay))
        self._lesson = Lesson(kept, unseen, examples, norms, must_go)

    def _fit(self) -> TrainedAdapter:
        """Trains the origin's weights on the lesson; leaves them as they are if only norms are learned."""
        rate = GENTLE * self._base.default_learning_rate
        self._recipe = replace(RECIPE, learning_rate=rate, head_learning_rate=rate)
        start, lora, count = self._starting.tensors, self._starting.lora, len(self._lesson.kept)
        if not self._lesson.kept:
            return TrainedAdapter(start, lora, TrainingHistory())
        return train(
            self._base,
            self._lesson.examples,
            self._recipe,
            lora=lora,
            start=start,
            advance=lambda done, loss: self._tell(f"learning from {count} corrections", 0.05 + 0.8 * done, ""),
            watched=[e for e in self._test if not is_slur_sentence(e)][::WATCHED_EVERY],
        )

    def _gate(self, trained: TrainedAdapter) -> Candidate:
        """Returns the candidate nearest to the trained adapter that may serve; ends the run if none may."""
        reasons = list(() if self._lesson.kept else self._quarantined.refused)
        triggers: list[str] = []
        for tried, share in enumerate(self._steps()):
            self._tell("testing on held-out texts", 0.87 + 0.025 * tried, "")
            step = replace(trained, tensors=_interpolate(self._starting.tensors, trained.tensors, share))
            self._base.attach("candidate", step.lora, step.tensors)
            model = AttachedAdapter(self._base, "candidate", self._starting.manifest, self._lesson.norms)
            triggers = self._find_triggers(model) if not tried else triggers
            objections = [*self._quick_objections(model, share), *(triggers if share else ())]
            if not objections:
                judgement = self._judge(model)
                objections = list(judgement.reasons)
            reasons = reasons or objections
            if not objections:
                return Candidate(share, step, model, judgement, reasons)
        raise self._refusal(dict.fromkeys([*reasons, *self._quarantined.refused]))

    def _steps(self) -> tuple[float, ...]:
        """The shares to try, in order; 0 keeps the weights and changes only the norms."""
        changes_norms = self._lesson.norms != self._adapters.serving.model.norms or self._lesson.must_go
        return (*(STEPS_BACK if self._lesson.kept else ()), *((0.0,) if changes_norms else ()))

    def _quick_objections(self, model: AttachedAdapter, share: float) -> list[str]:
        """What speaks against a candidate on few texts: the corrections, and texts that no adapter may flag.

        They come first, because the held-out texts take most of a refresh's time.
        """
        lesson, origin = self._lesson, self._adapters.origin.model
        objections = unseen_objections(origin, model, lesson.unseen)
        objections += gain_objections(origin, model, lesson.kept) if share else []
        temperature = self._starting.manifest.temperature
        if self._tries_adapters and (complaint := canaries.find_problem(self._base, "candidate", temperature)):
            objections.append(complaint)
        return objections

    def _judge(self, model: AttachedAdapter) -> Judgement:
        """Compares a candidate with the origin, not with the serving adapter, which may have to go."""
        adapters, test = self._adapters, self._test
        at_stake = community_checks(self._quarantined.snapshot, adapters.serving.model.norms, self._lesson.norms)
        at_first = adapters.ancestor.model.probabilities(test)
        return judge(adapters.origin.model.probabilities(test), model.probabilities(test), test, at_stake, at_first)

    def _find_triggers(self, model: AttachedAdapter) -> list[str]:
        """Names rare words of the corrections that alone decide the label of a text."""
        texts = [e for e in self._test if not is_slur_sentence(e)]
        rare = find_rare_words(self._lesson.kept, self._public)
        return find_trigger_words(rare, self._adapters.origin.model.probabilities, model.probabilities, texts)

    def _report(self, candidate: Candidate) -> tuple[list[str], dict[str, Any]]:
        """Returns (the result's sentences, the manifest's figures)."""
        lesson, adapters, judgement = self._lesson, self._adapters, candidate.judgement
        serving, learned = adapters.serving.model, candidate.model.count_agreeing(lesson.kept)
        sentences = [f"{learned} of {len(lesson.kept)} corrections are answered as you said"] if lesson.kept else []
        sentences += describe_norm_changes(serving.norms, candidate.model.norms)
        sentences += [f"macro-F1 {judgement.before.macro_f1:.3f} → {judgement.after.macro_f1:.3f} on held-out texts"]
        weights_stay = not candidate.share and candidate.reasons
        sentences += (
            [f"the weights stay, because {'; '.join(candidate.reasons)}"] if weights_stay else self._quarantined.refused
        )
        sentences += [f"started from {adapters.origin.name}, because {adapters.why}"] if adapters.why else []
        unseen = (
            len(lesson.unseen),
            serving.count_agreeing(lesson.unseen),
            candidate.model.count_agreeing(lesson.unseen),
        )
        answered = {
            "corrections answered as the moderators say": (
                len(lesson.kept),
                serving.count_agreeing(lesson.kept),
                learned,
            ),
            "corrections of authors held out": unseen,
        }
        taught_by = dict(Counter(each.moderator for each in lesson.kept).most_common())
        noted, snapshot = [*sentences, *self._notes], self._quarantined.snapshot
        account = report_section(noted, judgement, answered, lesson.norms, snapshot, taught_by, candidate.share)
        return sentences, {"held_out": judgement.after.to_json(), "refresh": account}

    def _save(self, candidate: Candidate, figures: Mapping[str, Any]) -> str:
        """Writes the adapter beside the others, moves it into place with one rename, and returns its name."""
        self._tell("saving", 0.98, "")
        version = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
        self._registry.root.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=STAGED, dir=self._registry.root))
        manifest, corrections = self._starting.manifest, self._quarantined.snapshot.corrections
        try:
            save_adapter(
                staged,
                self._base,
                candidate.trained,
                self._lesson.examples,
                self._recipe,
                manifest.temperature,
                figures,
                name=version,
                parent=self._adapters.origin.name,
                lineage=list(dict.fromkeys([*manifest.examples, *(each.id for each in corrections)])),
                norms=self._lesson.norms,
                more={ANCESTOR: self._adapters.ancestor.name},
            )
            return self._registry.publish(self._scope, staged, version)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise

    def _promote(self, adapter: str, sentences: Sequence[str]) -> None:
        """Makes it the serving adapter and removes the oldest ones."""
        self._tell("promoting", 0.99, "")
        self._registry.promote(adapter)
        self._registry.prune(self._scope, self._keep, self._adapters.ancestor.name)
        version = adapter.rpartition("/")[2]
        self._tell("finished", 1.0, f"promoted {version}: {', '.join(sentences)}{self._ending}")

    def _refusal(self, reasons: Iterable[str]) -> _Ends:
        why, serving = "; ".join(reasons), self._adapters.serving.name
        return _Ends(REFUSED, f"refused: {why}. {serving} goes on serving{self._ending}")

    @property
    def _notes(self) -> list[str]:
        """What the report and the result say besides the outcome."""
        return [*self._harsh_norms, *([self._untrusted_note] if self._untrusted_note else [])]

    @property
    def _ending(self) -> str:
        """The end of the result's sentence."""
        notes = "".join(f"; {note}" for note in self._notes)
        return f"{describe_left_out(self._quarantined.snapshot.left_out)}{notes}"


def _interpolate(start: Mapping[str, Tensor], end: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """The weights this share of the way from `start` to `end` (Wortsman et al. 2022, "Robust fine-tuning", WiSE-FT)."""
    return {name: torch.lerp(start[name], end[name], share) for name in start}
