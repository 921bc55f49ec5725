"""A mail server on loopback that takes what it is sent, or refuses, as each test wants it. Owns the wire; knows nothing of notices."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class Mail:
    to: list[str]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        found = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(found, EmailMessage)
        return found

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        return str(self.message.get_content())


@dataclass
class MailServer:
    """`refuses`: recipients that are turned away for now."""

    port: int = 0
    taken: list[Mail] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)

    def of(self, address: str) -> list[Mail]:
        return [mail for mail in self.taken if mail.to == [address]]


class _Talk(socketserver.StreamRequestHandler):
    """One connection. `server` is a _Server."""

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        self.mailbox: MailServer = self.server.mailbox  # type: ignore[attr-defined]
        self.to: list[str] = []
        self.say("220 here")
        while line := self.rfile.readline().decode().strip():
            if line.upper().startswith("QUIT"):
                return self.say("221 bye")
            self.say(self.answer(line))
        return None

    def answer(self, line: str) -> str:
        word = line[:4].upper()
        if word == "RCPT":
            self.to.append(line.partition("<")[2].partition(">")[0])
            return "450 not now" if self.to[-1] in self.mailbox.refuses else "250 ok"
        if word == "DATA":
            self.say("354 go on")
            self.mailbox.taken.append(Mail(self.to, self.data()))
        return "250 ok"

    def data(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return b"".join(lines)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, mailbox: MailServer) -> None:
        super().__init__(("127.0.0.1", 0), _Talk)
        self.mailbox = mailbox


@contextmanager
def serving() -> Iterator[MailServer]:
    mailbox = MailServer()
    with _Server(mailbox) as server:
        mailbox.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield mailbox
        finally:
            server.shutdown()
            thread.join()
