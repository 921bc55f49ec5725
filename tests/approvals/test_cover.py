"""While somebody is away a colleague decides in their stead: that and no more, and never what either of them had a part in."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from agents import registry
from agents.models import Cover, Team
from approvals import services
from approvals.errors import AlreadyDecided, NotYours, UnknownApproval
from approvals.models import Decision, Request
from approvals.notify import about
from approvals.services import Inbox, deciding, inbox, parts
from audit import clock, reports
from audit.actors import Actor
from audit.models import Entry
from runs.models import Run
from tests import approving, pipelines
from tests.approving import actor, member
from tests.holders import person
from tests.pipelines import SYSTEM
from tests.rest import Caller

pytestmark = pytest.mark.django_db(transaction=True)
ALICES = "kind: policy\nname: hers\nteam: platform\napprovers: {people: [alice]}\nwithin: 2h"
BOTH = "kind: policy\nname: hers\nteam: platform\napprovers: {people: [alice, carol]}\nrequired: 2\nwithin: 2h"


def cover(person: str = "alice", deputy: str = "bob") -> str:
    until = clock.to_text(clock.now() + timedelta(days=5))
    return str(registry.arrange_cover(person, deputy, until=until, actor=SYSTEM).pk)


def waiting(path: Path, policy: str = ALICES, *, by: Actor | None = None) -> tuple[Run, Request]:
    """For alice, whom bob, carol and dan are in a team with."""
    people = ("alice", "bob", "carol", "dan")
    for name in people:
        member(name)
    approving.publish(path, rule=f"{approving.RULE} policy hers", policy=policy)
    for name in people:
        member(name, "platform")
    return approving.started(by=by)


def decide(request: Request, by: str, decision: str = "approved") -> Request:
    return services.decide(request=str(request.pk), decision=decision, reason="looked at it", actor=actor(by))


def test_the_deputy_finds_it_is_told_of_it_and_decides_it_and_each_door_says_in_whose_stead(tmp_path: Path) -> None:
    run, request = waiting(tmp_path)
    assert services.waiting_for(actor("bob"), most=9) == []
    cover()
    assert [each.pk for each in services.waiting_for(actor("bob"), most=9)] == [request.pk]
    assert inbox.deciders_of(request, parts.asked_for(request), now=clock.now()).free == ("alice", "bob")
    told = about.found("approvals.notice", "", {"event": "approval.requested", "request": str(request.pk), "stage": 0}, clock.now())
    assert told is not None and told.people() == {"alice", "bob"}
    assert services.document(request, actor=actor("bob"))["instead_of"] == "alice"
    decide(request, "bob")
    assert pipelines.drive(run)["outcome"] == "verified"
    said = services.document(request, actor=SYSTEM)["decisions"][0]
    assert (said["person"], said["instead_of"]) == ("bob", "alice")
    entry = Entry.objects.get(verb="approvals.decision.made")
    assert reports.openings_of([entry.id])[entry.id]["instead_of"] == "alice" and reports.chain_problems(run.id) == []


def test_nobody_elses_list_changes_and_the_deputy_of_the_deputy_decides_nothing(tmp_path: Path) -> None:
    _, request = waiting(tmp_path)
    cover()
    cover("bob", "dan")
    assert services.waiting_for(actor("dan"), most=9) == []
    with pytest.raises(NotYours, match="and you are none of them"):
        decide(request, "dan")


def test_the_person_away_may_still_decide_and_whoever_is_first_has_had_the_say(tmp_path: Path) -> None:
    run, request = waiting(tmp_path, BOTH)
    cover()
    decide(request, "bob")
    with pytest.raises(AlreadyDecided, match="bob has said it in your stead"):
        decide(request, "alice")
    assert services.document(request, actor=SYSTEM)["lacks"] == 1
    decide(request, "carol")
    assert pipelines.drive(run)["outcome"] == "verified"


def test_one_person_is_not_two_by_standing_in_for_another(tmp_path: Path) -> None:
    _, request = waiting(tmp_path, BOTH)
    cover("alice", "carol")
    decide(request, "carol")
    with pytest.raises(AlreadyDecided, match="you have said"):
        decide(request, "carol")
    assert services.document(request, actor=SYSTEM)["lacks"] == 1 and not Decision.objects.exclude(instead_of="").exists()


def test_two_who_stand_in_for_one_have_one_say_and_the_request_says_that_it_is_stuck(tmp_path: Path) -> None:
    _, request = waiting(tmp_path, BOTH)
    registry.set_active("carol", active=False, actor=SYSTEM)
    cover()
    cover("alice", "dan")
    said = services.document(request, actor=SYSTEM)
    assert (
        said["deciders"] == ["alice", "bob", "dan"]
        and "2 more must approve, and only alice, bob, dan of alice or carol can, who have 1 say between them" in said["stuck"]
    )
    decide(request, "bob")
    with pytest.raises(NotYours, match="you stand in for alice, and bob has said it already"):
        decide(request, "dan")


# --- one's own ---


def test_whoever_started_the_run_cant_have_it_approved_in_their_stead(tmp_path: Path) -> None:
    approving.publish(tmp_path / "first")
    _, request = waiting(tmp_path / "second", by=member("alice", "platform"))
    cover()
    with pytest.raises(NotYours, match="you stand in for alice, who can't decide it either: they started the run"):
        decide(request, "bob")
    assert services.waiting_for(actor("bob"), most=9) == []
    said = services.document(request, actor=SYSTEM)
    assert said["deciders"] == [] and "nobody" in said["stuck"]


def test_whoever_started_the_run_approves_it_in_nobodys_stead(tmp_path: Path) -> None:
    approving.publish(tmp_path / "first")
    _, request = waiting(tmp_path / "second", by=member("bob", "platform"))
    cover()
    with pytest.raises(NotYours, match="you started the run that asks for it"):
        decide(request, "bob")


def test_two_accounts_of_one_person_are_one(tmp_path: Path) -> None:
    """Once it is said, also of what was decided before."""
    run, request = waiting(tmp_path, BOTH)
    decide(request, "carol")
    registry.same_person("carol", "alice", actor=SYSTEM)
    with pytest.raises(AlreadyDecided, match="you have said"):
        decide(request, "alice")
    said = services.document(request, actor=SYSTEM)
    assert said["lacks"] == 1 and "1 more must approve, and nobody" in said["stuck"]
    registry.somebody_else("carol", actor=SYSTEM)
    decide(request, "alice")
    assert pipelines.drive(run)["outcome"] == "verified"


def test_a_yes_that_turns_out_to_be_that_of_whoever_started_it_counts_no_more_in_what_people_see(tmp_path: Path) -> None:
    waiting(tmp_path, BOTH)
    _, request = approving.started(by=actor("carol"))
    assert services.listed([request], clock.now())[0]["lacks"] == 2
    decide(request, "alice")
    assert services.listed([request], clock.now())[0]["lacks"] == 1
    registry.same_person("carol", "alice", actor=SYSTEM)
    assert services.listed([request], clock.now())[0]["lacks"] == 2


def test_what_somebody_started_with_one_account_they_dont_find_with_another(tmp_path: Path) -> None:
    _, request = waiting(tmp_path)
    registry.same_person("carol", "alice", actor=SYSTEM)
    _, second = approving.started(by=actor("carol"))
    assert [each.pk for each in services.waiting_for(actor("alice"), most=9)] == [request.pk]
    with pytest.raises(NotYours, match="you started the run"):
        decide(second, "alice")


# --- what is found, and seen ---


def test_a_deputy_finds_what_they_may_decide_behind_much_that_the_person_away_had_a_part_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MOST_JUDGED", 2)
    _, first = waiting(tmp_path, by=None)
    mine = [approving.started(by=actor("alice"))[1] for _ in range(3)]
    _, last = approving.started()
    cover()
    assert {each.pk for each in services.waiting_for(actor("bob"), most=9)} == {first.pk, last.pk}
    wanted = services.requests_wanted(Inbox(mine=True), actor=actor("bob"), now=clock.now())
    assert {each.pk for each in wanted} == {first.pk, last.pk} and all(each.pk not in {one.pk for one in wanted} for each in mine)


def test_with_another_account_what_was_started_with_the_first_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MOST_JUDGED", 2)
    waiting(tmp_path, by=None)
    for _ in range(3):
        approving.started(by=actor("carol"))
    _, last = approving.started()
    registry.same_person("carol", "alice", actor=SYSTEM)
    assert last.pk in {each.pk for each in services.waiting_for(actor("alice"), most=9)}


def test_a_deputy_sees_what_is_open_and_what_they_have_decided_and_not_the_archive(tmp_path: Path) -> None:
    _, before = waiting(tmp_path)
    Team.objects.create(name="shared", created_at=clock.now())
    registry.add_member("shared", "alice", actor=SYSTEM)
    member("zed", "shared")
    decide(before, "alice")
    _, later = approving.started()
    ends = cover("alice", "zed")
    assert {each.pk for each in services.requests_wanted(Inbox(), actor=person("zed"), now=clock.now())} == {later.pk}
    decide(later, "zed")
    registry.end_cover(ends, actor=SYSTEM)
    assert {each.pk for each in services.requests_wanted(Inbox(), actor=person("zed"), now=clock.now())} == {later.pk}


# --- what ends it ---


def test_a_deputy_who_is_none_any_more_decides_nothing_and_a_yes_of_before_stays(tmp_path: Path) -> None:
    run, request = waiting(tmp_path, BOTH)
    ends = cover()
    decide(request, "bob")
    registry.end_cover(ends, actor=SYSTEM)
    assert services.document(request, actor=SYSTEM)["lacks"] == 1
    decide(request, "carol")
    assert pipelines.drive(run)["outcome"] == "verified"


def test_a_yes_in_the_stead_of_somebody_who_is_not_asked_any_more_counts_no_more(tmp_path: Path) -> None:
    _, request = waiting(tmp_path, BOTH)
    cover()
    decide(request, "bob")
    registry.set_active("alice", active=False, actor=SYSTEM)
    assert services.document(request, actor=SYSTEM)["lacks"] == 2


def test_a_cover_that_ends_between_the_look_and_the_lock_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, request = waiting(tmp_path)
    ends = cover()
    seat_of = inbox.seat_of

    def ended_meanwhile(*args: object, **said: object) -> object:
        found = seat_of(*args, **said)  # type: ignore[arg-type]
        Cover.objects.filter(pk=ends).update(ended_at=clock.now())
        return found

    monkeypatch.setattr(deciding.inbox, "seat_of", ended_meanwhile)
    with pytest.raises(NotYours, match="you were one of whom it asks until just now"):
        decide(request, "bob")


def test_a_deputy_of_another_team_together_sees_the_request_and_not_the_run(tmp_path: Path) -> None:
    _, request = waiting(tmp_path)
    Team.objects.create(name="shared", created_at=clock.now())
    registry.add_member("shared", "alice", actor=SYSTEM)
    member("zed", "shared")
    with pytest.raises(UnknownApproval):
        services.find_request(str(request.pk), actor=person("zed"))
    cover("alice", "zed")
    assert services.find_request(str(request.pk), actor=person("zed")) == request
    wanted = Inbox(state="open", mine=True)
    assert list(services.requests_wanted(wanted, actor=person("zed"), now=clock.now())) == [request]
    assert not Run.objects.visible_to(person("zed")).exists()
    decide(request, "zed")


def test_over_rest_it_is_arranged_and_made_use_of_and_ended(tmp_path: Path) -> None:
    _, request = waiting(tmp_path)
    alice, bob = (Caller.of(User.objects.get(username=name)) for name in ("alice", "bob"))
    until = (clock.now() + timedelta(days=5)).date().isoformat()
    made = alice.post("/covers/", {"deputy": "bob", "until": until})
    assert (made.status, made.body["stands"], made.body["person"]) == (201, "in force", "alice")
    assert bob.get("/covers/?ahead=true").body["items"] == [made.body]
    shown = bob.get(f"/approvals/{request.pk}/").body
    assert (shown["why_not"], shown["instead_of"]) == (None, "alice")
    assert bob.delete(f"/covers/{made.body['id']}/").body["stands"] == "ended"
    refused = bob.post(f"/approvals/{request.pk}/decide/", {"decision": "approved"})
    assert (refused.status, refused.code) == (403, "not-yours-to-decide")
