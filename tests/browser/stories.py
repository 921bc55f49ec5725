"""What the browser's stories share: the hostile text, and a person at a browser who notices everything that must not happen."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Page

HOSTILE = "<script>window.canary = 1; alert(1)</script>\"><img src=x onerror='window.canary = 2; alert(2)'>\u202eback"


@dataclass
class Site:
    """A served installation."""

    url: str
    passwords: dict[str, str]
    runs: dict[str, str]
    manage: Callable[..., str]
    home: str

    def run_page(self, name: str) -> str:
        return f"/admin/runs/run/{self.runs[name]}/change/"


@dataclass
class Person:
    """Somebody at a browser. `amiss` says what no page may do: ask another host, open a dialog, complain in the console, run a foreign script."""

    page: Page
    site: Site
    asked: list[str] = field(default_factory=list)
    amiss: list[str] = field(default_factory=list)
    expects: re.Pattern[str] = re.compile("(?!)")

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("dialog", lambda dialog: (self.amiss.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("console", lambda message: self._heard(message.type, message.text))
        self.page.on("pageerror", lambda error: self.amiss.append(f"error in a script: {error}"))

    def _heard(self, kind: str, text: str) -> None:
        if kind == "error" and not self.expects.search(text):
            self.amiss.append(f"console: {text}")

    def expecting(self, pattern: str) -> "Person":
        """Complaints of the browser that belong to the story, such as that of a 404."""
        self.expects = re.compile(pattern)
        return self

    def go(self, path: str) -> Page:
        self.page.goto(self.site.url + path)
        return self.page

    def status_of(self, path: str) -> int:
        answer = self.page.goto(self.site.url + path)
        assert answer is not None
        return answer.status

    def sign_in(self, name: str, password: str | None = None) -> "Person":
        self.go("/admin/login/")
        self.page.fill("#id_username", name)
        self.page.fill("#id_password", password or self.site.passwords[name])
        with self.page.expect_navigation():
            self.page.click("button[type=submit]")
        return self

    def press(self, words: str) -> Page:
        """A link or button, by what it says."""
        with self.page.expect_navigation():
            self.page.locator(f"#content-main >> :is(a, button):has-text('{words}')").first.click()
        return self.page

    def offered(self) -> set[str]:
        """What the page offers to do or to look into, by the words on its buttons; not what asks a question of it."""
        return {words for words in self.page.locator("#content-main a.o-button").all_inner_texts() if words.strip()}

    def check(self) -> None:
        canary = self.page.evaluate("window.canary")
        elsewhere = {url for url in self.asked if urlsplit(url).netloc != urlsplit(self.site.url).netloc and not url.startswith("data:")}
        assert (self.amiss, canary, elsewhere) == ([], None, set())
