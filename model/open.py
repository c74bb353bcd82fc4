"""Loads a base by its name or by a `BaseChoice`."""

from typing import Any

from model.base import Base, BaseNotFound
from model.choice import ADAPTER_MIB, BaseChoice
from model.gptj.int8 import ARITHMETICS, Arithmetic

PRECISIONS = ("auto", "fp32", "bf16", "fp16", "int8")


def open_base(
    name: str,
    *,
    device: str = "cpu",
    precision: str = "auto",
    arithmetic: Arithmetic = "weight-only",
    adapter_mib: float = ADAPTER_MIB,
    training: bool = False,
) -> Base:
    """Loads a base by its name; raises `BaseNotFound` (or `DeviceTooSmall`) with the fix.

    `name` is "minilm", "e5", "mini", or a GPT-J: a hub id or a folder, each with or without "gptj:" in front.
    `precision` is "auto", "fp32", "bf16", "int8" (of a GPT-J by `arithmetic`: see `model.gptj.int8`) or, for a GPT-J,
    "fp16". Memory is checked for adapters of `adapter_mib`, or with `training` for the training of one.
    """
    for setting, value, known in (("precision", precision, PRECISIONS), ("arithmetic", arithmetic, ARITHMETICS)):
        if value not in known:
            raise BaseNotFound(f'{setting} "{value}" is not one of {", ".join(known)}')
    if name == "minilm":
        from model.encoder.minilm import MiniLM

        return MiniLM(device=device, precision=precision)
    if name == "e5":
        from model.encoder.e5 import E5

        return E5(device=device, precision=precision)
    from model.gptj.base import open_gptj

    return open_gptj(
        name.removeprefix("gptj:"),
        device=device,
        precision=precision,
        arithmetic=arithmetic,
        adapter_mib=adapter_mib,
        training=training,
    )


def open_chosen_base(choice: BaseChoice, *, training: bool = False) -> Base:
    """Loads the chosen base; raises `BaseNotFound` with the fix."""
    device = resolve_device(choice)
    precision: dict[str, Any] = {"precision": choice.precision, "adapter_mib": choice.adapter_mib}
    if choice.int8 != "off":
        precision |= {"precision": "int8", "arithmetic": choice.int8}
    return open_base(choice.base, device=device, training=training, **precision)


def resolve_device(choice: BaseChoice) -> str:
    """The processor, or a GPU with its number, which some CUDA calls need. Raises `BaseNotFound`."""
    import torch

    device, count = choice.device, torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        device = "cuda" if count and not choice.embedded else "cpu"
    if device == "cpu":
        return device
    if not count:
        raise BaseNotFound(
            f'device "{device}": this machine has no usable GPU; check the driver, or set "auto" or "cpu"'
        )
    _, _, number = device.partition(":")
    if int(number or 0) >= count:
        names = ", ".join(f'"cuda:{index}"' for index in range(count))
        raise BaseNotFound(f'device "{device}": this machine has no such GPU; it has {names}')
    return f"cuda:{number or torch.cuda.current_device()}"
