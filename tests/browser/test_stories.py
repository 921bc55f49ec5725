"""What people do in the admin, at a real browser over the real server."""

import json
from collections.abc import Callable

import pytest

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
    assert "agent:finder" in page.inner_text("#failure") and "segment 3" in page.inner_text("#failure")
    page.click("#failure a:has-text('scan/2/look')")
    step = page.locator("[data-step='scan/2/look']")
    assert step.get_attribute("open") is not None
    assert all(words in step.inner_text() for words in ("segment 3 isn't there", "owner agent:finder", "attempt 2", "function work:look"))
    other = page.locator("[data-step='scan/0/look']")
    other.locator("summary").first.click()
    assert other.locator("summary:has-text('Output')").is_visible()


def test_a_member_cancels_a_run_that_is_at_work(somebody: Somebody, site: Site) -> None:
    person = somebody("alice")
    page = person.go("/admin/agents/pipeline/")
    page.click("#result_list a:has-text('slow')")
    person.press("Start a run")
    page.fill("textarea[name=input]", "{}")
    person.press("Start the run")
    page.wait_for_selector("[data-step=wait]", timeout=40_000)  # the page follows the run by itself
    run = page.url.split("/")[-3]
    person.press("Cancel")
    assert "That is final" in page.inner_text("#content-main")
    person.press("Cancel the run")
    page.wait_for_selector("[data-outcome=cancelled]", timeout=40_000)
    assert json.loads(site.manage("showrun", run, "--json", status=14))["cancelled_by"] == "person:alice"


def test_a_member_publishes_a_version_and_rolls_it_back(somebody: Somebody) -> None:
    person = somebody("alice")
    page = person.go("/admin/agents/pipeline/")
    page.click("#result_list a:has-text('fine')")
    person.press("Publish")
    assert "timeout_ms" in page.inner_text("#content-main") and "version 2" in page.inner_text("#content-main")
    person.press("Publish")
    assert "Version 2 of 'fine' is published" in page.inner_text("body")
    person.press("Roll back")
    person.press("Go there")
    said = page.inner_text("body")
    assert "'fine' went from release" in said and "(version 2) to release" in said and "(version 1), code included" in said


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


def test_an_onlooker_looks_and_is_offered_nothing(somebody: Somebody, site: Site) -> None:
    person = somebody("bob")
    assert "digest" in person.go("/admin/agents/pipeline/").inner_text("#result_list")
    person.page.click("#result_list a:has-text('digest')")
    assert person.page.locator("#content-main .o-button").count() == 0
    assert person.go(site.run_page("fine")).locator("#content-main .o-button").count() == 0


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
    lists = ("runs/run", "runs/wait", "runs/call", "agents/agent", "audit/entry", "agents/team", "auth/user")
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


def test_whoever_started_a_run_cant_approve_its_call_and_a_colleague_does(somebody: Somebody, site: Site) -> None:
    alice = somebody("alice")
    page = alice.go("/admin/approvals/request/")
    assert "deployer" not in page.inner_text("#content-main")  # nothing waits for her
    page = alice.go("/admin/approvals/request/?shows=open")
    page.click("#result_list a:has-text('deployer')")
    assert "you started the run that asks for it" in page.inner_text("#content-main")
    carol = somebody("carol")
    page = carol.go("/admin/")
    page.click("#approvals a:has-text('deployments')")
    page.wait_for_load_state("networkidle")
    said = page.inner_text("#content-main")
    assert all(
        words in said for words in ("deploy deploy:production", "started by person:alice", "1 of team 'platform'", "Arguments, as they would be sent")
    )
    page.check("input[name=decision][value=approved]")
    page.fill("textarea[name=reason]", "the change window is open")
    carol.press("Decide")
    assert "is approved; a worker takes the run up again" in page.inner_text("body")
    page = carol.go(site.run_page("deployments"))
    page.wait_for_selector("[data-outcome=verified]", timeout=40_000)
