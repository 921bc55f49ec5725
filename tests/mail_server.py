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


@contextmanager
def serving() -> Iterator[MailServer]:
    mailbox = MailServer()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            to: list[str] = []
            self.say("220 here")
            while line := self.rfile.readline():
                word, rest = line.decode().strip()[:4].upper(), line.decode().strip()[4:]
                if word == "RCPT":
                    address = rest.partition("<")[2].partition(">")[0]
                    to.append(address)
                    self.say("450 not now" if address in mailbox.refuses else "250 ok")
                elif word == "DATA":
                    self.say("354 go on")
                    mailbox.taken.append(Mail(to, self.data()))
                    self.say("250 taken")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

        def data(self) -> bytes:
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
            return b"".join(lines)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        mailbox.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield mailbox
        finally:
            server.shutdown()
            thread.join()
