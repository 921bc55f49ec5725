"""Keys of agents by command and in the admin: made and shown once, listed, revoked; and a shell that holds one."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError
from django.test import Client

from agents import registry
from agents.models import Agent, AgentKey
from audit.models import Entry
from orchestra_site.tokens import create_token
from tests.doors import world
from tests.holders import holder, key_of
from tests.pipelines import SYSTEM
from tests.rest import Caller
from tests.shell import typed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clients(tmp_path: Path) -> dict[str, Client]:
    world.platform(tmp_path)
    return world.people()


@pytest.fixture
def of_alice(clients: dict[str, Client], monkeypatch: pytest.MonkeyPatch) -> None:
    """Her token stands in the shell."""
    monkeypatch.setenv("ORCHESTRA_TOKEN", create_token("alice", actor=SYSTEM).text)


# --- commands -------------------------------------------------------------------------------------------------------


def test_the_command_prints_the_key_alone_on_stdout(of_alice: None) -> None:
    done = typed("key", "worker", "--scope", "read", "--scope", "start:sample", "--expires", "30d", "--name", "its server")
    assert Caller(done.out.strip()).get("/me/").body["agent"] == "worker"
    assert "acts as agent 'worker' until" in done.err and "(read, start:sample). It is shown this once." in done.err
    key = AgentKey.objects.get()
    assert (key.owner.username, key.name, key.scopes) == ("alice", "its server", ["read", "start:sample"])


def test_the_commands_list_and_revoke(of_alice: None) -> None:
    made = key_of()
    for done in (typed("keys"), typed("keys", "worker")):
        assert f"{made.key.id}  worker  of alice  until " in done.out and "can, read, start:*" in done.out and made.text not in done.out
    assert typed("key", "worker", "--revoke", made.key.id).out == f"key {made.key.id}: revoked\n"
    assert "doesn't work: it was revoked at" in typed("keys").out
    assert holder(made).get("/me/").status == 401


def test_the_keys_of_one_person_are_listed(of_alice: None) -> None:
    made = key_of()
    assert made.key.id in typed("keys", "--owner", "alice").out and made.key.id in typed("keys", "worker", "--owner", "alice").out
    assert typed("keys", "--owner", "bob").out.startswith("there is no key")


def test_the_list_says_what_an_owner_has_lost(of_alice: None) -> None:
    key_of("worker", "read", "start:sample")
    registry.add_to_group("agent-owner", "alice", actor=SYSTEM)
    assert "opens no start:sample now: alice may not start runs of the agent's team" in typed("keys", "worker").out


def test_a_shell_without_a_person_makes_none_and_lists_and_revokes_them(clients: dict[str, Client]) -> None:
    with pytest.raises(CommandError, match="a key has an owner") as refused:
        typed("key", "worker", "--scope", "read")
    assert refused.value.returncode == 2 and not AgentKey.objects.exists()
    assert typed("keys").out == "there is no key\n"
    made = key_of()
    assert made.key.id in typed("keys").out and typed("key", "worker", "--revoke", made.key.id).status == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nothing", "--scope", "read"), "there is no agent 'nothing'"),
        (("worker",), "1 to 50 scopes"),
        (("worker", "--scope", "read", "--expires", "2y"), "asked '2y'"),
        (("worker", "--scope", "all"), "'all' is no scope"),
        (("worker", "--revoke", "nothing"), "no key 'nothing' that you may see"),
        (("worker", "--revoke", "nothing", "--scope", "read"), "--revoke makes no key"),
    ],
)
def test_what_cannot_be_done_ends_with_2_and_a_reason(of_alice: None, arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(CommandError, match=says) as refused:
        typed("key", *arguments)
    assert refused.value.returncode == 2 and not AgentKey.objects.exists()


def refused(*command: str) -> tuple[int, str]:
    """The status, and what was said."""
    try:
        done = typed(*command)
    except CommandError as error:
        return error.returncode, str(error)
    return done.status, " ".join(done.err.split())


def test_a_shell_that_holds_a_key_runs_no_command(clients: dict[str, Client], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever says who they are is never taken for somebody else, and a shell is no place for a program that is an agent."""
    monkeypatch.setenv("ORCHESTRA_TOKEN", key_of().text)
    for command in (("runs",), ("can", "worker"), ("runpipeline", "sample", "--queue"), ("suspend", "worker", "--reason", "x"), ("keys",)):
        status, said = refused(*command)
        assert status == 2 and "the token in ORCHESTRA_TOKEN is the key of an agent, and commands are for people" in said, command
    assert not Entry.objects.filter(verb="agents.agent.suspended").exists()


# --- the admin ------------------------------------------------------------------------------------------------------


def page_of(name: str = "worker") -> str:
    return f"/admin/agents/agent/{Agent.objects.get(name=name).pk}/"


def test_a_member_makes_a_key_on_the_agents_page_and_sees_it_once(clients: dict[str, Client]) -> None:
    alice = clients["alice"]
    asked = alice.get(f"{page_of()}key/").content.decode()
    assert "It decides and changes nothing." in asked and "Its text is shown once" in asked
    answer = alice.post(f"{page_of()}key/", {"scopes": "read start:sample", "expires": "30d", "name": "its server"})
    text = answer.content.decode().partition("o-secret")[2].partition(">")[2].partition("<")[0]
    assert answer.headers["Cache-Control"].startswith("max-age=0") and Caller(text).get("/me/").body["agent"] == "worker"
    page = alice.get(f"{page_of()}change/").content.decode()
    assert AgentKey.objects.get().id in page and text not in page and "start:sample" in page and "revoke…" in page


def test_a_key_is_revoked_from_the_agents_page(clients: dict[str, Client]) -> None:
    made = key_of()
    url = f"{page_of()}revoke/{made.key.id}/"
    assert f"Key {made.key.id} that alice made" in clients["alice"].get(url).content.decode()
    assert clients["alice"].post(url).status_code == 302
    assert AgentKey.objects.get().revoked_at is not None and "it was revoked at" in clients["alice"].get(f"{page_of()}change/").content.decode()


def test_an_onlooker_sees_keys_and_gets_a_sentence_in_the_place_of_the_form(clients: dict[str, Client]) -> None:
    made = key_of()
    page = clients["bob"].get(f"{page_of()}change/").content.decode()
    assert made.key.id in page and "Make a key" not in page and "revoke…" not in page
    assert "You may look at this, but" in clients["bob"].get(f"{page_of()}key/").content.decode()
    assert clients["bob"].post(f"{page_of()}key/", {"scopes": "read", "expires": "1d"}).status_code == 403
    assert clients["bob"].post(f"{page_of()}revoke/{made.key.id}/").status_code == 403
    assert clients["charlie"].get(f"{page_of()}key/").status_code == 404
    assert AgentKey.objects.get().revoked_at is None


def test_odd_scopes_stay_in_the_form_with_a_sentence(clients: dict[str, Client]) -> None:
    answer = clients["alice"].post(f"{page_of()}key/", {"scopes": "everything", "expires": "30d"})
    assert answer.status_code == 422 and "&#x27;everything&#x27; is no scope" in answer.content.decode() and not AgentKey.objects.exists()


def test_the_page_says_why_a_key_doesnt_work(clients: dict[str, Client]) -> None:
    key_of()
    User.objects.filter(username="alice").update(is_active=False)
    assert "who made it, may not sign in any more" in clients["root"].get(f"{page_of()}change/").content.decode()
