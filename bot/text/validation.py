"""Explains in plain words what is wrong with a value."""

from pydantic import ValidationError


def first_problem(error: ValidationError) -> str:
    """Returns the first complaint, without the library's preamble; our validators' messages are whole sentences."""
    first = error.errors()[0]
    if first["type"] == "value_error" and "error" in first.get("ctx", {}):
        return str(first["ctx"]["error"])
    return str(first["msg"])


def first_place(error: ValidationError) -> str:
    """Returns where the complaint is, as "section.key"; "" for the whole."""
    return ".".join(str(part) for part in error.errors()[0]["loc"])
