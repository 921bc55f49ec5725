"""Agents with keys of their own, for the tests of every door: made by a person of the team, shown as a program would show them."""

from typing import Any

from django.contrib.auth.models import User

from agents import registry
from audit.actors import Actor
from tests.rest import Caller


def person(name: str) -> Actor:
    """As a door would build them."""
    return registry.actor_of_person(User.objects.get(username=name), auth="test")


def key_of(agent: str = "worker", *scopes: str, owner: str = "alice", **said: Any) -> registry.MadeKey:
    return registry.make_key(agent, actor=person(owner), scopes=scopes or ("read", "can", "start:*"), **said)


def holder(made: registry.MadeKey) -> Caller:
    """Whoever sends this key."""
    return Caller(made.text)


def acting(made: registry.MadeKey) -> Actor:
    return registry.holder_of_key(made.text).actor()
