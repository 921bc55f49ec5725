"""Approval policies as files and as rows: what they may say, what is refused with its line, and that the newest published one is in force."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from agents import registry, spec
from agents.errors import NotGranted, NotPublishable
from agents.models import Policy, PolicyVersion
from audit.errors import Conflict
from audit.models import Entry
from tests import approving
from tests.pipelines import SYSTEM

POLICY = "kind: policy\nname: two\nteam: platform\napprovers: {teams: [platform]}"


def problems(text: str) -> str:
    return " | ".join(problem.message for problem in spec.read({"policy.yaml": text.encode()}).problems)


def read(text: str) -> dict[str, Any]:
    parsed = spec.read({"policy.yaml": text.encode()})
    assert parsed.problems == []
    return parsed.policies[0].spec


def test_a_policy_says_who_how_many_and_until_when_and_has_defaults() -> None:
    stage = {"people": [], "teams": ["platform"], "required": 1, "within_ms": 86_400_000}
    assert read(POLICY) == {"name": "two", "team": "platform", "stages": [stage], "reason": False, "edits": False}
    said = read(f"{POLICY}\nrequired: 2\nwithin: 4h\nsilence: {{escalate: {{approvers: {{people: [bob]}}, within: 1h}}}}\nreason: true\nedits: true")
    assert [(each["required"], each["within_ms"], each["people"]) for each in said["stages"]] == [(2, 14_400_000, []), (1, 3_600_000, ["bob"])]
    assert (said["reason"], said["edits"]) == (True, True)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("silence: approve", "silence never approves"),
        ("silence: {}", "says nothing that could be done"),
        ("silence: {escalate: {within: 4h}}", "has no 'approvers'"),
        ("silence: {escalate: {approvers: {people: [bob]}, silence: deny}}", "has no key 'silence'"),
        ("required: 0", "write a whole number from 1 to 50"),
        ("within: 10ms", "in which nobody decides anything"),
        ("aprovers: x", "did you mean 'approvers'?"),
    ],
)
def test_what_a_policy_cant_say_is_refused_with_what_to_write(line: str, why: str) -> None:
    assert why in problems(f"{POLICY}\n{line}")


@pytest.mark.parametrize(
    ("who", "why"),
    [
        ("{}", "names nobody"),
        ("{teams: [Platform]}", "is no name of a team"),
        ("{people: [bob, bob]}", "names one twice"),
        ("{groups: [x]}", "has no key 'groups'"),
        ("[bob]", "must be a mapping"),
    ],
)
def test_approvers_are_teams_and_people(who: str, why: str) -> None:
    assert why in problems(POLICY.replace("{teams: [platform]}", who))


def test_more_than_are_named_cant_be_required() -> None:
    assert "is 3, and 2 may decide" in problems(POLICY.replace("{teams: [platform]}", "{people: [bob, carol]}\nrequired: 3"))


@pytest.mark.parametrize("rule", ["allow read feed:* policy two", "deny read feed:* policy two", "require_approval read feed:* policy Two"])
def test_only_what_is_to_be_approved_names_a_policy(rule: str) -> None:
    agent = f"kind: agent\nname: a\nteam: platform\nrole: gather\npurpose: Test.\nrun: {{python: 'a:b'}}\npermissions: ['{rule}']"
    assert "policy" in problems(agent)


# --- rows ---


@pytest.mark.django_db(transaction=True)
def test_a_draft_is_not_in_force_and_a_publication_puts_it_there_with_an_entry(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "policy.yaml").write_text(f"kind: team\nname: platform\n---\n{POLICY}")
    registry.apply_folder(folder, actor=SYSTEM)
    assert registry.policies_in_force(["two"]) == {}
    registry.apply_folder(folder, actor=SYSTEM, publish=True)
    assert registry.policies_in_force(["two"])["two"].number == 1
    (folder / "policy.yaml").write_text(f"kind: team\nname: platform\n---\n{POLICY}\nrequired: 2")
    registry.apply_folder(folder, actor=SYSTEM)
    assert registry.policies_in_force(["two"])["two"].stages[0].required == 1
    registry.apply_folder(folder, actor=SYSTEM, publish=True)
    assert registry.policies_in_force(["two"])["two"].stages[0].required == 2
    assert list(PolicyVersion.objects.order_by("number").values_list("state", flat=True)) == ["retired", "published"]
    verbs = list(Entry.objects.filter(subject="policy:two").order_by("at", "id").values_list("verb", flat=True))
    assert verbs == ["agents.policy.drafted", "agents.policy.published"] * 2
    assert not [change for change in registry.apply_folder(folder, actor=SYSTEM, publish=True).changes if change.action != "unchanged"]


@pytest.mark.django_db(transaction=True)
def test_a_policy_that_names_nobody_who_is_there_and_a_permission_that_names_no_policy_are_refused(tmp_path: Path) -> None:
    User.objects.create_user("bob")
    with pytest.raises(NotPublishable) as refused:
        approving.publish(
            tmp_path, rule=f"{approving.RULE} policy tow", policy=POLICY.replace("{teams: [platform]}", "{people: [bob, eve], teams: [red]}")
        )
    said = " | ".join(problem.message for problem in refused.value.details["problems"])
    assert "there is no person 'eve'" in said and "there is no team 'red'" in said and "bob" not in said
    assert "there is no policy 'tow'; did you mean 'two'?" in said


@pytest.mark.django_db(transaction=True)
def test_whom_a_policy_may_ask_tells_nobody_who_is_there(tmp_path: Path) -> None:
    """A team and a person that its author doesn't see read as those that aren't there, until an administrator has published that they are asked."""
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "policy.yaml").write_text("{kind: team, name: platform}\n---\n{kind: team, name: hidden}")
    registry.apply_folder(folder, actor=SYSTEM)
    author, _, _ = (approving.member(*each) for each in (("alice", "platform"), ("bob", "platform"), ("carol", "hidden")))

    def refused(asks: str) -> str:
        (folder / "policy.yaml").write_text(POLICY.replace("{teams: [platform]}", asks))
        with pytest.raises(NotPublishable) as error:
            registry.apply_folder(folder, actor=author, publish=True)
        return "\n".join(problem.message for problem in error.value.details["problems"])

    assert refused("{people: [carol]}").replace("carol", "nobody") == refused("{people: [nobody]}")
    assert refused("{teams: [hidden]}").replace("hidden", "missing") == refused("{teams: [missing]}")
    (folder / "policy.yaml").write_text(POLICY.replace("{teams: [platform]}", "{people: [bob, carol], teams: [hidden]}"))
    for who, action in ((SYSTEM, "created"), (author, "unchanged")):
        assert [change.action for change in registry.apply_folder(folder, actor=who, publish=True).changes] == [action]


@pytest.mark.django_db(transaction=True)
def test_a_policy_that_asks_more_than_there_are_is_told_so_and_is_taken_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    text = f"kind: team\nname: platform\n---\n{POLICY}\nrequired: 2\nsilence: {{escalate: {{approvers: {{people: [bob]}}, within: 4h}}}}"
    User.objects.create_user("bob")
    (folder / "policy.yaml").write_text(text)

    def notes() -> tuple[str, ...]:
        return registry.apply_folder(folder, actor=SYSTEM, publish=True).changes[-1].notes

    [note] = notes()
    assert note == "stage 1 asks 2 of team 'platform', and fewer may decide now: until there are as many, nothing can be approved"
    assert registry.policies_in_force(["two"])
    for name in ("alice", "bob"):
        approving.member(name, "platform")
    assert notes() == ()
    registry.add_to_group("auditor", "alice", actor=SYSTEM)  # who is never asked
    assert len(notes()) == 1
    (folder / "policy.yaml").write_text(text.partition("\nsilence")[0])
    assert notes()[0].startswith("it asks 2 of team 'platform'")


@pytest.mark.django_db(transaction=True)
def test_a_policy_stays_with_its_team_and_only_its_people_change_it(tmp_path: Path) -> None:
    approving.publish(tmp_path / "p", policy=POLICY)
    folder = tmp_path / "q"
    folder.mkdir()
    (folder / "policy.yaml").write_text(f"kind: team\nname: red\n---\n{POLICY.replace('team: platform', 'team: red')}")
    with pytest.raises(Conflict, match="stays with its team"):
        registry.apply_folder(folder, actor=SYSTEM, publish=True)
    (folder / "policy.yaml").write_text(POLICY)
    with pytest.raises(NotGranted):
        registry.apply_folder(folder, actor=approving.member("eve"), publish=True)
    assert Policy.objects.get().team.name == "platform"
