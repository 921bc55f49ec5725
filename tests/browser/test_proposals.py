"""What people do about a change that waits for their yes, at a real browser over the real server."""

from collections.abc import Callable

from playwright.sync_api import Page

from tests.browser.stories import HOSTILE, Person

Somebody = Callable[..., Person]
LIST = "/admin/agents/proposal/"
OURS = "a:has-text('ublish agent reminder 2')"
TOLD = ("agents.proposal.made", "approvals.proposal.decided", "agents.version.published", "agents.proposal.ended")


def test_what_somebody_publishes_is_declined_and_then_published_with_the_yes_of_a_colleague(somebody: Somebody) -> None:
    alice, bob = somebody("alice"), somebody("bob")
    first = _proposes(alice)
    _finds_it(bob)
    _decides(bob, "declined", "say by when they have to pay")
    page = alice.go(first)
    assert "This is declined" in page.inner_text("#content-main") and "say by when they have to pay" in page.inner_text("#content-main")
    assert "kindly" not in _agent(alice).inner_text("#running") and page.locator("#proposed").count() == 0
    second = _proposes(alice)
    _finds_it(bob)
    _decides(bob, "approved", "they know by when")
    assert "Publish agent reminder 2: enacted." in bob.page.inner_text("body")
    page = _agent(alice)
    assert "version 2, published" in page.inner_text("#running") and "kindly" in page.inner_text("#running")
    assert bob.go(LIST).locator(OURS).count() == 0 and bob.go(f"{LIST}?shows=ended").locator(OURS).count() == 2
    told = _told(alice)
    assert [verb for verb, _ in told] == [*TOLD[:2], TOLD[3], *TOLD]
    ruth = somebody("ruth").expecting("404")
    assert [ruth.go(f"{LIST}{shows}").locator(OURS).count() for shows in ("", "?shows=open", "?shows=ended")] == [0] * 3
    assert ruth.go("/admin/").locator("#proposals").count() == 0
    assert [ruth.status_of(at) for at in (first, second, *(at for _, at in told))] == [404] * (len(told) + 2)


def _agent(person: Person) -> Page:
    page = person.go("/admin/agents/agent/?q=reminder")
    with page.expect_navigation():
        page.click("#result_list a:has-text('reminder')")
    return page


def _proposes(alice: Person) -> str:
    """Whoever publishes has only proposed it, and reads why it isn't theirs to decide; the address of the proposal."""
    page = _agent(alice)
    alice.press("Publish…")
    said = page.inner_text("#content-main")
    assert "1 of team 'letters' must say yes to it first, under policy 'two-eyes'" in said and "this proposes it to them" in said
    alice.press("Propose")
    assert "Proposed, and not done yet" in page.inner_text("body")
    assert "kindly" not in page.inner_text("#running") and "by person alice" in page.inner_text("#proposed")
    with page.expect_navigation():
        page.click("#proposed a")
    assert "you proposed it, so somebody else has to decide" in page.inner_text("#content-main")
    assert page.locator("[name=decision]").count() == 0
    at = page.url.removeprefix(alice.site.url)
    assert alice.go(LIST).locator(OURS).count() == 0 and alice.go(f"{LIST}?shows=open").locator(OURS).count() == 1
    return at


def _finds_it(bob: Person) -> None:
    """Whom the policy asks finds it under what waits for them, and sees what would change of the prompt."""
    assert bob.go(LIST).locator(OURS).count() == 1
    page = bob.go("/admin/")
    with page.expect_navigation():
        page.click(f"#proposals {OURS}")
    said = page.inner_text("#content-main")
    assert all(
        words in said for words in ("Agent reminder: version 2 in the place of 1", "policy 'two-eyes' (version 1)", "person alice", HOSTILE[:40])
    )
    was, would_be = (page.inner_text(f"tr:has(td:text-is('instructions')) .{column}") for column in ("o-old", "o-new"))
    assert "Remind whoever has not paid.\\n\nName" in was and "Remind whoever has not paid, kindly.\\n\nName" in would_be


def _decides(bob: Person, decision: str, reason: str) -> None:
    bob.page.check(f"input[name=decision][value={decision}]")
    bob.page.fill("textarea[name=reason]", reason)
    bob.press("Decide")


def _told(person: Person) -> list[tuple[str, str]]:
    """What the audit log tells of it, in its order: each verb, and the address of its entry."""
    rows = person.go("/admin/audit/entry/").locator("#result_list tbody tr:has-text('letters')").all()
    every = [(row.inner_text(), row.locator("a").first.get_attribute("href") or "") for row in reversed(rows)]
    return [(verb, at) for text, at in every for verb in TOLD if verb in text]
