"""`/api/v1/apply/`: the files of a folder, sent as JSON, become what the command `apply` would make of them."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any, Final

from rest_framework.response import Response

from agents import registry
from agents.api import rendering
from agents.errors import ArtifactRefused, NotGranted, NotPublishable
from agents.registry.folders import MAX_BYTES, MAX_FILES
from agents.registry.sent import FILE_NAME
from audit.api.doors import Asked, Door, operation
from audit.api.shapes import Shape, flag, given, named, ref, text
from audit.errors import Conflict

_FILE: Final[Shape] = {
    "oneOf": [text("the file's text"), given(base64=text("the file's bytes", pattern="^[A-Za-z0-9+/]*={0,2}$"))],
}
_FILES: Final[Shape] = {
    "type": "object",
    "description": f"the files by their relative names, at most {MAX_FILES:,} with {MAX_BYTES:,} bytes",
    "additionalProperties": _FILE,
    "propertyNames": {"pattern": f"^{FILE_NAME}$"},
    "minProperties": 1,
    "maxProperties": MAX_FILES,
}
_EXAMPLE: Final = {"files": {"team.yaml": "kind: team\nname: platform\n"}, "dry_run": True}


class ApplyView(Door):
    most_bytes = 2 * MAX_BYTES  # base64 and JSON make files longer

    @operation(
        id="apply_files",
        tag="apply",
        summary="Store what files describe",
        does=(
            "Teams, agents, pipelines and aliases from YAML, with the code beside it, as `manage.py apply` does: all problems at once, and then "
            "nothing is written. Drafts, unless `publish`; `dry_run` only shows what would change. You must be a member of every team that the "
            "files name. Functions are described in contained children, never imported here."
        ),
        takes=given(
            files=_FILES,
            name=named("what to call the folder in problems and in the ledger", "mine"),
            publish=flag("make the drafts what runs"),
            dry_run=flag("write nothing"),
            optional=("name", "publish", "dry_run"),
            examples=[_EXAMPLE],
        ),
        gives=ref("Applied"),
        also={202: "Stored as drafts, and proposed: people have to say yes before it is published."},
        refuses=(NotGranted, NotPublishable, ArtifactRefused, Conflict),
    )
    def post(self, asked: Asked) -> Response:
        said = asked.body
        done = registry.apply_files(
            {name: _bytes(name, value) for name, value in said["files"].items()},
            actor=asked.actor,
            name=said.get("name", "sent"),
            publish=said.get("publish", False),
            dry_run=said.get("dry_run", False),
        )
        return Response(rendering.applied(done), status=200 if done.proposal is None else 202)


def _bytes(name: str, value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    try:
        return b64decode(value["base64"], validate=True)
    except binascii.Error as error:
        raise ArtifactRefused(f"file {name}: its base64 can't be read: {error}") from None
