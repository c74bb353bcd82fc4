"""The set-up of a community: what its screen says, and which choice follows which. Platforms draw the screen."""

from bot.conversation.context import Markup, RequestContext
from bot.domain.policy import PRESETS, Mode, Policy, preset_of, with_preset
from bot.domain.setup import Setup
from bot.text.language import LANGUAGES
from model.presets import Preset


def setup_line(context: RequestContext, setup: Setup, policy: Policy, *, alerts: Markup, moderators: Markup) -> Markup:
    """Returns the choices in one line; `alerts` and `moderators` are "" for none."""
    none = context.say("setup-none")
    return context.say(
        "setup-now",
        alerts=alerts or none,
        moderators=moderators or none,
        exempt=context.left_alone(policy) or none,
        preset=preset_name(context, policy),
        language=setup.language,
        warn=context.say(f"setup-warn-{setup.warn}"),
    )


def preset_name(context: RequestContext, policy: Policy) -> Markup:
    """The policy's preset, or that it has numbers of its own."""
    return context.say(f"preset-{preset_of(policy) or 'own'}")


def with_next_preset(policy: Policy) -> Policy:
    """Returns the policy with the next preset; with the standard one after own numbers."""
    names: list[Preset] = list(PRESETS)
    current = preset_of(policy)
    return with_preset(policy, names[(names.index(current) + 1) % len(names)] if current else "standard")


def with_other_mode(policy: Policy) -> Policy:
    """Shadow after enforce, and enforce after shadow."""
    return policy.model_copy(update={"mode": Mode.SHADOW if policy.mode is Mode.ENFORCE else Mode.ENFORCE})


def with_next_language(setup: Setup) -> Setup:
    """The language after the set-up's own."""
    following = LANGUAGES[(LANGUAGES.index(setup.language) + 1) % len(LANGUAGES)]
    return setup.model_copy(update={"language": following})


def with_other_warning(setup: Setup) -> Setup:
    """Warns in private after in the room, and in the room after in private."""
    return setup.model_copy(update={"warn": "place" if setup.warn == "dm" else "dm"})
