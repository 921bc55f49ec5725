"""What people do in the admin, at a real browser over the real server."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.stories import HOSTILE, Person, Site

Somebody = Callable[..., Person]


def test_a_wrong_password_lets_nobody_in(somebody: Somebody) -> None:
    person = somebody().sign_in("alice", "not-it")
    assert "The user name or the password is wrong" in person.page.inner_text("body")
    assert person.go("/admin/runs/run/").url.endswith("/admin/login/?next=/admin/runs/run/")


def test_somebody_signs_out_again(somebody: Somebody) -> None:
    person = somebody("alice")
    person.page.click("text=alice >> nth=0")
    person.page.click("#logout-form button")
    person.page.wait_for_load_state("networkidle")
    assert "/login/" in person.go("/admin/").url


def test_a_member_finds_an_agent_and_what_it_may_do(somebody: Somebody) -> None:
    page = somebody("alice").go("/admin/agents/agent/")
    row = page.locator("#result_list tr:has-text('reader')").first
    assert all(words in row.inner_text() for words in ("platform", "maria@example.com", "low", "2 permissions", "verified"))
    page.click("#result_list a:has-text('reader')")
    allowed = page.inner_text("#permissions")
    assert "May read all feeds" in allowed and "May call the tool fetch" in allowed and "everything else is refused" in allowed


def test_a_member_follows_the_timeline_to_the_failing_step_and_its_owner(somebody: Somebody) -> None:
    person = somebody("alice")
    page = person.go("/admin/")
    page.click("#attention a:has-text('digest')")
    page.wait_for_load_state("networkidle")
    assert page.locator("[data-outcome=failed]").count() == 1
    said = {name: page.inner_text(f"[data-phase={name}] .o-badge").split()[-1] for name in ("understand", "design", "implement", "verify")}
    assert said == {"understand": "done", "design": "done", "implement": "failed", "verify": "skipped"}
    assert "agent finder" in page.inner_text("#failure") and "segment 3" in page.inner_text("#failure")
    page.click("#failure a:has-text('scan/2/look')")
    step = page.locator("[data-step='scan/2/look']")
    assert step.get_attribute("open") is not None
    assert all(words in step.inner_text() for words in ("segment 3 isn't there", "owner agent finder", "attempt 2", "function work:look"))
    other = page.locator("[data-step='scan/0/look']")
    other.locator("summary").first.click()
    assert other.locator("summary:has-text('Output')").is_visible()


@pytest.mark.parametrize("name", ["alice", "root", "cleo"], ids=["starter", "administrator", "compliance"])
def test_whoever_may_cancels_a_run_that_is_at_work(somebody: Somebody, site: Site, name: str) -> None:
    alice = somebody("alice")
    page = alice.go("/admin/agents/pipeline/")
    page.click("#result_list a:has-text('slow')")
    alice.press("Start a run")
    page.fill("textarea[name=input]", "{}")
    alice.press("Start the run")
    page.wait_for_selector("[data-step=wait]", timeout=40_000)  # the page follows the run by itself
    run = page.url.split("/")[-3]
    person = alice if name == "alice" else somebody(name)
    page = person.go(f"/admin/runs/run/{run}/change/")
    person.press("Cancel")
    assert "That is final" in page.inner_text("#content-main")
    person.press("Cancel the run")
    page.wait_for_selector("[data-outcome=cancelled]", timeout=40_000)
    assert json.loads(site.manage("showrun", run, "--json", status=14))["cancelled_by"] == f"person:{name}"


@pytest.mark.parametrize(("name", "pipeline"), [("alice", "fine"), ("root", "neat")], ids=["member", "administrator"])
def test_whoever_may_publishes_a_version_and_rolls_it_back(somebody: Somebody, name: str, pipeline: str) -> None:
    person = somebody(name)
    page = person.go("/admin/agents/pipeline/")
    page.click(f"#result_list a:has-text('{pipeline}')")
    person.press("Publish")
    assert "timeout_ms" in page.inner_text("#content-main") and "version 2" in page.inner_text("#content-main")
    person.press("Publish")
    assert f"Version 2 of '{pipeline}' is published" in page.inner_text("body")
    person.press("Roll back")
    person.press("Go there")
    said = page.inner_text("body")
    assert f"'{pipeline}' went from release" in said and "(version 2) to release" in said and "(version 1), code included" in said


def test_an_integrator_tries_an_operation_out_on_the_page_of_the_schema(somebody: Somebody) -> None:
    page = somebody("bob").go("/api/v1/docs/")
    operation = page.locator(".opblock", has=page.locator("[data-path='/api/v1/me/']")).first
    operation.wait_for(timeout=60_000)  # a page of ninety operations on a machine that has other work
    operation.locator(".opblock-summary-control").click()
    operation.locator("button.try-out__btn").click()
    operation.locator("button.execute").click()
    answer = operation.locator(".live-responses-table .response")
    answer.wait_for()
    assert "200" in answer.inner_text() and '"bob"' in answer.inner_text()


def test_somebody_changes_their_password_and_makes_a_token_that_is_shown_once(somebody: Somebody, site: Site) -> None:
    root = somebody("root")
    password = site.manage("person", "gina", "--create").splitlines()[0].rsplit(" ", 1)[1]
    person = somebody().sign_in("gina", password)
    page = person.go("/admin/")
    page.click('[x-on\\:click="openUserLinks = !openUserLinks"]')
    page.get_by_role("link", name="Your account").click()
    page.wait_for_load_state("networkidle")
    assert "You belong to no team" in page.inner_text("#teams")
    person.press("Change your password")
    for field, text in (("old_password", password), ("new_password", "a sentence of one's own"), ("again", "a sentence of one's own")):
        page.fill(f"#id_{field}", text)
    assert "Your password is changed" in person.press("Change password").inner_text("body")
    person.press("Make a token")
    page.fill("#id_name", "nightly job")
    text = person.press("Make it").inner_text(".o-secret")
    assert text.startswith("orc_")
    assert "nightly job" in person.press("Done").inner_text("#tokens") and text not in page.content()
    root.go("/admin/auth/user/")
    root.page.click("#result_list a:has-text('gina')")
    assert "nightly job" in root.page.inner_text("#tokens")


def test_an_administrator_makes_an_account_that_sees_what_its_team_sees(somebody: Somebody) -> None:
    root = somebody("root")
    page = root.go("/admin/auth/user/create/")
    page.fill("#id_username", "erin")
    root.press("Create")
    password = page.inner_text(".o-secret")
    root.go("/admin/agents/team/")
    page.click("#result_list a:has-text('red')")
    root.press("Add a member")
    page.fill("#id_person", "erin")
    root.press("Add a member")
    assert "erin" in page.inner_text("#members")
    erin = somebody().sign_in("erin", password)
    assert "hidden" in erin.go("/admin/agents/agent/").inner_text("#result_list")
    assert "reader" not in erin.page.inner_text("#result_list")


def test_an_auditor_sees_every_team_and_may_change_none(somebody: Somebody) -> None:
    person = somebody("dora")
    names = person.go("/admin/agents/pipeline/").inner_text("#result_list")
    assert "digest" in names and "secret" in names
    person.page.click("#result_list a:has-text('secret')")
    assert person.page.locator("#content-main .o-button").count() == 0


def test_a_member_sends_the_signal_that_a_run_waits_for(somebody: Somebody, site: Site) -> None:
    person = somebody("alice")
    page = person.go("/admin/")
    page.click("#waiting")
    page.wait_for_load_state("networkidle")
    page.click("#result_list a:has-text('signal payment')")
    page.wait_for_load_state("networkidle")
    assert HOSTILE[:40] in page.inner_text("#content-main") and page.locator("#content-main img").count() == 0
    page.fill("[name=in-amount]", "0.5")
    person.expecting("422").press("Send the signal")
    assert "is not what step 'paid' takes" in page.inner_text("#content-main")
    page.fill("[name=in-amount]", "1250")
    person.press("Send the signal")
    assert "The signal 'payment' is sent" in page.inner_text("body")
    page.wait_for_selector("[data-outcome=verified]", timeout=40_000)  # the page follows the run, and a worker takes it up
    assert json.loads(site.manage("showrun", site.runs["orders"], "--json"))["result"] == {"got": {"amount": 1250}}


def test_a_call_is_settled_by_another_member_than_the_one_who_started_its_run(somebody: Somebody, site: Site) -> None:
    alice, bob, carol = somebody("alice"), somebody("bob"), somebody("carol")
    for person, why in ((alice, "You started run"), (bob, "you are not a member of it")):
        page = person.go(site.run_page("payouts"))
        person.press("Answer" if person is alice else "Look")
        assert why in page.inner_text("#content-main") and page.locator("[name=decision]").count() == 0
    page = carol.go("/admin/runs/wait/")
    page.click("#unresolved a:has-text('payer')")
    page.wait_for_load_state("networkidle")
    page.click("label:has-text('It was done.')")
    page.select_option("[name=in-paid]", "true")
    page.fill("[name=reason]", "The bank's statement of today lists it.")
    carol.press("Say so")
    assert "it was done" in page.inner_text("body")
    page.wait_for_selector("[data-outcome=verified]", timeout=40_000)
    assert json.loads(site.manage("showrun", site.runs["payouts"], "--json"))["result"] == {"paid": True}


def test_what_was_undone_stands_on_the_page_and_in_the_timeline(somebody: Somebody, site: Site) -> None:
    page = somebody("alice").go(site.run_page("trips"))
    assert "irreversible" in page.inner_text("#undone") and "undo:flight" in page.inner_text("#undone")
    assert page.locator("[data-step='undo:flight']").count() == 1


def test_an_outsider_gets_nothing_by_url_either(somebody: Somebody, site: Site) -> None:
    person = somebody("charlie").expecting("404")
    assert "You belong to no team" in person.page.inner_text("#content-main")
    lists = ("runs/run", "runs/wait", "runs/call", "agents/agent", "agents/stop", "approvals/request", "audit/entry", "agents/team", "auth/user")
    for path in lists:
        assert person.go(f"/admin/{path}/").locator("#result_list tbody tr").count() == 0, path
    assert [person.status_of(site.run_page(name)) for name in site.runs] == [404] * len(site.runs)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_hostile_text_is_text_everywhere(somebody: Somebody, site: Site, scheme: str) -> None:
    person = somebody("root", color_scheme=scheme)
    for path in ("/admin/", "/admin/runs/run/", "/admin/agents/agent/", "/admin/agents/pipeline/", "/admin/audit/entry/", "/admin/audit/opening/"):
        person.go(path)
        assert person.page.locator("img[src=x]").count() == 0, path
        person.check()
    page = person.go(site.run_page("evil"))
    for summary in page.locator("details:not([open]) > summary").all():
        if summary.is_visible():
            summary.click()
    assert HOSTILE[:40] in page.inner_text("#content-main")
    assert page.locator("#content-main img, #content-main script").count() == 0


def test_pages_fit_a_narrow_window(somebody: Somebody, site: Site) -> None:
    person = somebody("alice")
    person.page.set_viewport_size({"width": 800, "height": 900})
    for path in ("/admin/", site.run_page("digest"), site.run_page("trips"), "/admin/runs/run/", "/admin/runs/wait/"):
        page = person.go(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 800, path


def test_long_names_stay_within_their_boxes_in_the_picture_of_a_pipeline(somebody: Somebody) -> None:
    page = somebody("alice").go("/admin/agents/pipeline/?q=woven")
    page.click("#result_list a:has-text('woven')")
    page.wait_for_selector("#picture")
    beyond = "boxes => boxes.filter(box => box.scrollWidth > box.clientWidth).map(box => box.innerText)"
    assert page.locator("#picture .o-node").evaluate_all(beyond) == []


CONTRAST = """link => {
  const light = colours => { const at = document.createElement("canvas").getContext("2d");
    for (const colour of colours) { at.fillStyle = colour; at.fillRect(0, 0, 1, 1); }
    const [r, g, b] = [...at.getImageData(0, 0, 1, 1).data].map(c => c / 255).map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = [];
  for (let at = link; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
  const both = [light(["white", ...behind, getComputedStyle(link).color]), light(["white", ...behind])];
  return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05); }"""
"""As WCAG computes it, from 1 to 21, whatever lies over each other."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_where_somebody_is_can_be_read_in_the_navigation(somebody: Somebody, scheme: str) -> None:
    page = somebody("alice", color_scheme=scheme).go("/admin/agents/agent/")
    assert page.locator("nav a:has-text('Agents'), aside a:has-text('Agents'), #nav-sidebar a:has-text('Agents')").first.evaluate(CONTRAST) >= 4.5
    page.keyboard.press("Tab")
    focused = page.evaluate("(() => { const at = getComputedStyle(document.activeElement); return [at.outlineStyle, at.outlineWidth]; })()")
    assert focused == ["solid", "2px"]


DEEDS = {"Start a run…", "Publish…", "Roll back…", "Retire…", "Stop…"}


@pytest.mark.parametrize(
    ("name", "on_pipeline", "on_run"),
    [
        ("root", DEEDS, {"Start another…", "Cancel…", "Answer…"}),
        ("alice", DEEDS, {"Start another…", "Cancel…", "Answer…"}),
        ("cleo", {"Stop…"}, {"Cancel…", "Look…"}),
        ("dora", set(), {"Look…"}),
        ("bob", set(), {"Look…"}),
    ],
    ids=["administrator", "member", "compliance", "auditor", "onlooker"],
)
def test_whoever_may_look_follows_a_failure_to_its_owner_and_is_offered_what_they_may_do(
    somebody: Somebody, site: Site, name: str, on_pipeline: set[str], on_run: set[str]
) -> None:
    person = somebody(name)
    page = person.go("/admin/agents/agent/?q=finder")
    page.click("#result_list a:has-text('finder')")
    assert "it works on its input alone" in page.inner_text("#permissions")
    page.click("#failures a")
    page.wait_for_load_state("networkidle")
    assert all(words in page.inner_text("#failure") for words in ("agent finder", "platform", "scan/2/look"))
    assert page.locator("[data-step='scan/2/look']").get_attribute("open") is not None
    page.click("#content-main a:has-text('digest') >> nth=0")
    page.wait_for_load_state("networkidle")
    assert person.offered() == on_pipeline
    person.go(site.run_page("shelved"))
    assert person.offered() == on_run


def test_compliance_stops_a_pipeline_and_its_team_reads_why_and_lifts_the_stop(somebody: Somebody) -> None:
    cleo, alice = somebody("cleo"), somebody("alice")
    page = cleo.go("/admin/agents/pipeline/?q=slow")
    page.click("#result_list a:has-text('slow')")
    cleo.press("Stop…")
    assert (page.input_value("#id_scope"), page.input_value("#id_name")) == ("pipeline", "slow")
    page.fill("#id_reason", "it reads a table that was never released")
    assert "It has come to rest" in cleo.press("Stop it").inner_text("#proof")
    page = alice.go("/admin/")
    said = page.inner_text("[data-stop]")
    assert "pipeline 'slow'" in said and "by person cleo" in said and "a table that was never released" in said
    page.click("[data-stop] a")
    page.wait_for_load_state("networkidle")
    alice.press("Lift it…")
    alice.press("Lift it")
    assert "The stop of pipeline 'slow' is lifted" in page.inner_text("body")
    assert alice.go("/admin/").locator("[data-stop]").count() == 0


ASKED = "#result_list a:has-text('deployer')"
TOLD = (
    *("runs.run.queued", "runs.step.waiting", "approvals.decision.made", "runs.wait.answered", "runs.approval.consumed", "runs.call.dispatched"),
    *("runs.call.confirmed", "runs.step.judged", "runs.run.finished"),
)


def test_what_a_run_asks_for_is_approved_with_an_edit_by_another_and_exactly_that_is_done(somebody: Somebody, site: Site) -> None:
    asked, edited = f"{site.home}/link", f"{site.home}/environments"
    address = _asks_in_vain(somebody("alice"))
    charlie = somebody("charlie").expecting("404")
    assert charlie.go("/admin/approvals/request/?shows=open").locator(ASKED).count() == 0
    bob = somebody("bob")
    page = bob.go("/admin/")
    page.click("#approvals a:has-text('deployment')")
    page.wait_for_load_state("networkidle")
    said = page.inner_text("#content-main")
    assert all(words in said for words in ("write deploy:production", "started by person alice", "1 of team 'platform' or bob", asked))
    page.check("input[name=decision][value=approved]")
    page.fill("textarea[name=reason]", "the change window is open, but never through a link")
    page.fill("textarea[name=arguments]", page.input_value("textarea[name=arguments]").replace(asked, edited))
    bob.press("Decide")
    assert "is approved; a worker takes the run up again" in page.inner_text("body")
    bob.go(site.run_page("deployment")).wait_for_selector("[data-outcome=verified]", timeout=40_000)
    told = _told(page)
    assert f'root: "{edited}" instead of "{asked}"' in bob.go(address).inner_text("#content-main")
    assert [verb for verb in told if verb in TOLD] == list(TOLD)
    made, consumed, sent = (_facts(bob, told[verb]) for verb in ("approvals.decision.made", "runs.approval.consumed", "runs.call.dispatched"))
    assert made["asked"] != made["binding"] == consumed["binding"] == sent["binding"]
    assert Path(edited, "production", "current", "index.html").is_file()
    assert [charlie.status_of(at) for at in (address, site.run_page("deployment"), *told.values())] == [404] * (len(told) + 2)


def _asks_in_vain(alice: Person) -> str:
    """Whoever started the run has nothing to decide, and reads why; the address of what is asked for."""
    page = alice.go("/admin/approvals/request/")
    assert page.locator(ASKED).count() == 0
    page = alice.go("/admin/approvals/request/?shows=open")
    page.click(ASKED)
    assert "you started the run that asks for it" in page.inner_text("#content-main")
    assert page.locator("[name=decision]").count() == 0
    return page.url.removeprefix(alice.site.url)


def _told(page: Page) -> dict[str, str]:
    """What the audit log of a run tells: the first entry of each verb by its address, in their order."""
    links = page.locator("#entries td a").all()
    every = [(link.text_content() or "", link.get_attribute("href") or "") for link in links]
    return {verb: next(at for other, at in every if other == verb) for verb, _ in every}


def _facts(person: Person, entry: str) -> dict[str, Any]:
    record = json.loads(person.go(entry).locator("#content-main pre").first.inner_text())
    facts: dict[str, Any] = record["facts"]
    return facts
