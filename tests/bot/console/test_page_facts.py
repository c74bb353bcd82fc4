"""What the page is told of the service, so that nobody types it again."""

import math
from itertools import pairwise
from typing import Any

import pytest
from pydantic import ValidationError

from bot.console.facts import allowed_routes, policy_numbers
from bot.console.rights import RIGHTS
from bot.domain.policy import Policy
from bot.domain.role import Role


def is_accepted(name: str, value: float | None) -> bool:
    """Whether a policy takes this number under this name."""
    saved: dict[str, Any] = Policy().model_dump(mode="json")
    *section, key = name.split(".")
    (saved[section[0]] if section else saved)[key] = value
    try:
        Policy.model_validate(saved)
    except ValidationError as error:
        return not any(".".join(map(str, one["loc"])) == name for one in error.errors())
    return True


@pytest.mark.parametrize("name", policy_numbers())
def test_the_limits_are_those_of_the_policy(name: str) -> None:
    """Both ends are accepted, what lies beyond is not; an empty field only where it may be."""
    limits = policy_numbers()[name]
    least, most = limits["min"], limits["max"]
    below, above = (least - 1, most + 1) if limits["is_whole"] else (math.nextafter(least, -1), math.nextafter(most, 2))
    assert is_accepted(name, least) and is_accepted(name, most)
    assert not is_accepted(name, below) and not is_accepted(name, above)
    assert is_accepted(name, None) is limits["may_be_empty"]
    assert is_accepted(name, least + 0.5) is not limits["is_whole"]


def test_every_number_of_a_policy_is_there() -> None:
    saved, found = Policy().model_dump(mode="json"), set[str]()
    for name, value in saved.items():
        parts = {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
        found |= {key for key, one in parts.items() if one is None or isinstance(one, int | float)}
    assert found == set(policy_numbers())


def test_each_role_may_call_more_than_the_one_below() -> None:
    routes = [set(allowed_routes(role)) for role in Role]
    assert all(fewer < more for fewer, more in pairwise(routes[1:]))
    assert routes[Role.OPERATOR] == {f"{method} {path}" for method, path in RIGHTS}
    assert "PUT /api/policy" in routes[Role.OWNER] - routes[Role.MODERATOR]
