"""Reads what files say of models: the aliases, and the agents that run one. Pure.

Must not know prices or who calls a model. Used by the reader of the inventory; the registry and the engine ask it who a model agent is.
"""

import re
from collections.abc import Mapping
from typing import Any

from agents.spec.fields import Fields

PROVIDERS = ("anthropic", "scripted")
DEFAULT_MAX_TOKENS = 4_096
MAX_TOKENS = 1_000_000
MAX_MODEL = 120
MAX_INSTRUCTIONS_BYTES = 64 * 1024

_SECRET = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,199}|file:/[A-Za-z0-9_./-]{1,200}")
_PATH = r"(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?"
_URL = re.compile(rf"https://[A-Za-z0-9.-]+{_PATH}|http://(?:127\.0\.0\.1|localhost|\[::1\]){_PATH}")
_OWN = "env:ORCHESTRA_"
_LATER = {"tools": "a model agent is one question and one answer, so say in its instructions and its output what it is for"}


def read_model(fields: Fields) -> dict[str, Any]:
    """{"name", "team", "provider", "model", "endpoint", "secret_ref"}; a secret stands here only as a reference."""
    provider = fields.choice("provider", PROVIDERS, required="provider: anthropic, or scripted for recorded replies")
    return {
        "name": fields.name("name", required="name: reasoning"),
        "team": fields.name("team", required="team: the team that owns it"),
        "provider": provider,
        "model": _model(fields),
        "endpoint": _endpoint(fields, provider),
        "secret_ref": _secret(fields, provider),
    }


def _model(fields: Fields) -> str | None:
    model = fields.text("model", required="model: the provider's name of the model")
    if model is not None and not (len(model) <= MAX_MODEL and model.isprintable()):
        fields.wrong("model", f"names no model: write at most {MAX_MODEL} printable characters")
        return None
    return model


def _endpoint(fields: Fields, provider: str | None) -> str | None:
    if provider == "scripted":
        return fields.text("endpoint", required="endpoint: replies.json, a file of this folder with the recorded replies")
    endpoint = fields.text("endpoint")
    if endpoint is not None and not _URL.fullmatch(endpoint):
        hint = "write https://HOST/PATH, or http:// for this machine itself (127.0.0.1, localhost): a key does not travel in the clear"
        fields.wrong("endpoint", f"is no address that is asked; {hint}")  # and not repeated: credentials may stand in it
        return None
    return endpoint


def _secret(fields: Fields, provider: str | None) -> str | None:
    secret = fields.text("secret", spec_key="secret_ref")
    if secret is None:
        return None
    if provider == "scripted":
        fields.wrong("secret", "is not asked for by recorded replies; leave it out")
    elif not _SECRET.fullmatch(secret):
        fields.wrong("secret", "must be a reference such as env:ANTHROPIC_API_KEY or file:/ABSOLUTE/PATH, never the secret itself")
    elif secret.startswith(_OWN):
        fields.wrong("secret", "names a variable of Orchestra itself, which goes to no provider; choose another name")
    else:
        return secret
    return None


def read_model_run(fields: Fields, run: Fields, role: str | None) -> dict[str, Any] | None:
    """The normal form of `run: {model: {…}}`."""
    said = run.inner("model")
    alias = said.name("alias", required="alias: the name of a `kind: model` document")
    instructions = said.text("instructions", required="instructions: digest.md, a file of this folder")
    most = said.integer("max_tokens", least=1, most=MAX_TOKENS, default=DEFAULT_MAX_TOKENS)
    stream = said.boolean("stream")
    said.finish(_LATER)
    others = sorted(run.value.keys() - {"model"})
    if others:
        fields.wrong("run", f"names both model and {others[0][:40]}; keep one")
    if role == "act":
        fields.wrong("run", "is a model, which only answers, and the role is act; let a model decide and a function act")
    if alias is None or instructions is None:
        return None
    return {"model": {"alias": alias, "instructions": instructions, "max_tokens": most, "stream": stream}}


def fill_in_model(fields: Fields, spec: dict[str, Any]) -> None:
    """What a model agent's call touches, and the keys that would promise what nobody keeps."""
    use = f"call model:{alias_of(spec)}"
    if use not in spec["uses"]:
        spec["uses"] = [use, *spec["uses"]]
    unkept = {
        "memory": "a model runs elsewhere; leave memory out",
        "cost": "what a call of a model costs is said by the price of its alias's model; leave cost out",
        "mode": "asking a model changes nothing, so it always reads; leave mode out",
    }
    for key, advice in unkept.items():
        if fields.has(key) and not (key == "mode" and spec["mode"] == "read"):
            fields.wrong(key, f"can't be said of a model: {advice}")
    if spec["output"] is not None and spec["output"].get("type") != "object":
        fields.wrong("output", "must be an object, since a model answers with one; write output: {type: object, …}")


def alias_of(spec: Mapping[str, Any]) -> str | None:
    """The alias that an agent of this spec asks; None for one that runs no model."""
    run = (spec.get("run") or {}).get("model")
    return run["alias"] if run is not None else None


def executable(spec: Mapping[str, Any], aliases: Mapping[str, Mapping[str, Any]]) -> Any:
    """What makes two agents the same program (R4): for a model its provider, its name and what it was told, whatever the alias is called."""
    said, alias = spec.get("executable"), aliases.get(alias_of(spec) or "")
    if not isinstance(said, Mapping) or said.get("kind") != "model" or alias is None:
        return said
    return {"kind": "model", "provider": alias["provider"], "model": alias["model"], "instructions": said["instructions"]}


def folded(instructions: str) -> str:
    """Instructions as they are compared: how they are laid out makes no difference."""
    return " ".join(instructions.split())
