"""Cables that are pulled: what happens to hosts at work, and what must be seen of it before they are plugged in again.

Used by `cut`, in a network that is nobody else's.
"""

import random
import time

from audit.models import Entry
from tests.chaos import outside, workload
from tests.chaos.arena import LEASE_S, until
from tests.chaos.judging import Order
from tests.chaos.network import ALONE, Network
from tests.chaos.outside import patiently
from tests.chaos.scene import Scene

HOSTS = ("first", "second", "third")
ORDERS, PLACES = 5, 3
"""No host has room for all, two have room for what the third leaves, and each has children for all that its runs do at once."""
DROPPED = "its lease has run out"


def set_up(played: Scene, network: Network) -> None:
    for name in HOSTS:
        played.begin(name, under=ALONE)
    for name in HOSTS:
        played.arena.wait_until_ready(name)
        network.plug_in(name, played.arena.pid(name))
        played.arena.go(name)
    played.wait_for(*HOSTS)


def pull_with_answers_in_hand(played: Scene, network: Network) -> None:
    """A host is cut off while what its runs do is done and not yet answered; it comes back when all of them are others', and says what it knows."""
    workload.shut(played.world)
    played.order_many(ORDERS)
    until(lambda: all(_has_acted(played, order) for order in played.orders), "the acts of all")
    victim = next(name for name in HOSTS if played.orders[0].run.id in outside.held_by(played.arena.pid(name)))
    network.cut_off(victim)
    at, held = time.time(), outside.held_by(played.arena.pid(victim))
    played.result.faults.append("cut")
    workload.open_up(played.world, again=False)
    until(lambda: DROPPED in played.arena.tail(victim, 100_000), f"that {victim} sees by itself that its lease has run out")
    until(lambda: all(outside.next_entry(run, at) for run in held), "that others take over")
    played.result.recovery_s += [(outside.next_entry(run, at) or at) - at for run in held]
    network.heal(victim)
    late = Entry.objects.filter(run__in=held, seq__isnull=True, verb="runs.call.confirmed")  # evidence has no place in the run's sequence
    until(lambda: patiently(late.exists), f"what {victim} still says of its calls")
    workload.open_up(played.world, again=True)


def _has_acted(played: Scene, order: Order) -> bool:
    """Nothing of it is on its way to be begun: a step that was not sent in time would rightly fail."""
    done = workload.acts_of(played.world, order.name)
    return all(done[act] for act in (("pay", "tell") if order.pipeline == workload.JOURNEY else ("book",)))


def pull_any(played: Scene, network: Network, chance: random.Random) -> None:
    """At any moment, for a shorter or a longer time than a lease."""
    played.order_many(3)
    time.sleep(chance.uniform(0.2, 2.0))
    name = chance.choice(HOSTS)
    network.cut_off(name)
    played.result.faults.append("cut")
    time.sleep(chance.uniform(0.2, 3 * LEASE_S))
    network.heal(name)
