"""Lists the service's facts that the page needs before it draws: names and limits, each read from where it is
decided."""

from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel

from bot.console.cases import AUDIT_CARDS
from bot.console.rights import RIGHTS
from bot.domain.policy import KindRule, LabelPolicy, Mode, Policy, Strikes
from bot.domain.role import Role
from bot.platforms.webchat import MAX_CHARACTERS
from bot.text.language import LANGUAGES, say
from model.kinds import KINDS
from model.labels import HARMFUL, LABELS
from model.quality import MIN_AUDITED


@cache
def facts() -> dict[str, Any]:
    """The same for every community and every person."""
    return {
        "labels": list(LABELS),
        "harmful": list(HARMFUL),
        "kinds": list(KINDS),
        "kind_rules": list(get_args(KindRule)),
        "actions": LabelPolicy.model_json_schema()["properties"]["actions"]["items"]["enum"],
        "modes": [{"name": mode, "acts": mode is Mode.ENFORCE} for mode in Mode],
        "policy_numbers": policy_numbers(),
        "longest_message": MAX_CHARACTERS,
        "audit": {"cards": AUDIT_CARDS, "needed": MIN_AUDITED},
        "languages": list(LANGUAGES),
        "no_platforms": say("en", "page-no-platforms"),
    }


def allowed_routes(role: Role) -> list[str]:
    """The routes that take this role or less, as "PUT /api/policy"."""
    return [f"{method} {path}" for (method, path), right in RIGHTS.items() if role >= right.role]


def policy_numbers() -> dict[str, dict[str, Any]]:
    """The limits of each number of a policy: "hate.act_at": `{"min", "max", "is_whole", "may_be_empty"}`."""
    sections: list[tuple[str, type[BaseModel]]] = [(f"{label}.", LabelPolicy) for label in HARMFUL]
    sections += [("strikes.", Strikes), ("", Policy)]
    return {f"{prefix}{name}": limits for prefix, model in sections for name, limits in _numbers(model)}


def _numbers(model: type[BaseModel]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, schema in model.model_json_schema()["properties"].items():
        kinds = {one.get("type"): one for one in schema.get("anyOf", [schema])}
        number = kinds.get("integer") or kinds.get("number")
        if number is not None:
            limits = {"min": number["minimum"], "max": number["maximum"], "is_whole": "integer" in kinds}
            yield name, {**limits, "may_be_empty": "null" in kinds}
