"""Two steps that do nothing, as a team would write them."""

from typing import TypedDict


class Value(TypedDict):
    value: int


def first(value: int) -> Value:
    return {"value": value}


def second(value: int) -> Value:
    return {"value": value}
