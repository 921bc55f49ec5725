"""What the inventory's doors take and give, as JSON Schema. Pure values."""

from __future__ import annotations

from typing import Final

from agents.api import cover_shapes, key_shapes
from agents.api.right_shapes import ASKS, MAY, PERMITTED, RIGHT, RIGHTS
from agents.models import Ground, Role, Standing, VersionState
from agents.spec.notices import EVENTS, FORMATS
from audit.api.shapes import (
    PERSON_PATTERN,
    Shape,
    anything,
    flag,
    given,
    ident,
    instant,
    listing,
    mapping,
    maybe,
    named,
    one_of,
    page_of,
    person,
    ref,
    text,
    whole,
)

_DIGEST: Final = text("SHA-256 of the canonical content", example="3f9a77c0d1…")

_WEBHOOK: Final = {"webhook": text("the address, or where it is kept"), "secret": maybe(text("where the secret is kept that signs"))}
TEAM: Final = given(
    name=text(),
    accountable=text("who answers for it"),
    permissions=listing(text(), "what each of its agents may, beside its own permissions"),
    observe=flag("for want of a permission nothing is refused to its agents, and recorded"),
    verbs=listing(text(), "verbs of its own that its agents' permissions may use"),
    resources=listing(text(), "kinds of resource of its own"),
    notices=listing(given(_WEBHOOK, format=one_of(*FORMATS), events=listing(one_of(*EVENTS)), meaning="A webhook that is told what concerns it.")),
    created_at=instant(),
    meaning="Owns agents and pipelines.",
)
PEOPLE: Final = given(
    team=text(),
    members=listing(text(), "people who belong to it, and may act for it"),
    shown_to=listing(text(), "people who may look, and change nothing"),
    shown_to_groups=listing(text(), "groups whose people may look, and change nothing"),
    meaning="A team's people.",
)
SHOWN_TEAM: Final = given(TEAM["properties"], **{name: PEOPLE["properties"][name] for name in ("members", "shown_to", "shown_to_groups")})
GROUP: Final = given(name=text(), meaning="People whom teams are shown to together.")
SHOWN_GROUP: Final = given(
    GROUP["properties"],
    people=listing(text(), "who is in it"),
    shown=listing(text(), "teams that are shown to it, as far as you see them"),
    other_shown=whole("how many more"),
)
PERSON: Final = given(
    name=person(),
    active=flag("may sign in"),
    administrator=flag("may do everything, for every team"),
    email=maybe(text("where they are told what waits for them", example="alice@example.com")),
    created_at=instant("when the account was made"),
    signed_in_at=maybe(instant("when they signed in last; null for never. A token is not signing in")),
    meaning="Somebody with an account.",
)
SHOWN_PERSON: Final = given(
    PERSON["properties"],
    teams=listing(text(), "teams that they belong to, as far as you see them"),
    other_teams=whole("how many more"),
    shown=listing(text(), "teams that are only shown to them, as far as you see them"),
    other_shown=whole("how many more"),
    permissions=listing(text(), "what they may beyond their teams"),
    groups=listing(text(), "groups that they are in"),
    accounts=listing(text(), "other accounts of the same person"),
)
NEW_PERSON: Final = given(PERSON["properties"], password=text("to sign in with; shown this once"))

_NANO_PRICE: Final = text("nano-USD for a million tokens, as text", pattern="^[0-9]{1,16}$", example="3000000000")
_FIGURES: Final = {
    "input_nano": {**_NANO_PRICE, "description": "tokens that go in, in nano-USD for a million"},
    "cache_read_nano": {**_NANO_PRICE, "description": "tokens read from the provider's cache; by default as those that go in"},
    "cache_write_nano": {**_NANO_PRICE, "description": "tokens written to it; by default as those that go in"},
    "output_nano": {**_NANO_PRICE, "description": "tokens that come out"},
}
PRICE: Final = given(
    _FIGURES,
    provider=text(example="anthropic"),
    model=text(example="claude-haiku-4-5"),
    version=whole("rises with each change of this model's price"),
    input_limit=maybe(whole("the price is known up to so many tokens going in; a larger call is refused")),
    source=text("where the figures are from", example="set by hand"),
    valid_from=instant(),
    meaning="What a model's tokens cost. A pipeline holds the version that it was published with.",
)
PRICED: Final = given(
    provider=text(),
    model=text(),
    action=one_of("new", "changed", "unchanged", "unlisted", meaning="unlisted: nobody knows a price, so the model is never asked"),
    price=maybe(ref("Price")),
    meaning="What became of a model's price.",
)
PRICE_ASKED: Final = given(
    {
        "provider": text("as the alias says it", least=1, most=63, example="anthropic"),
        "model": text("as the alias says it", least=1, most=120, example="claude-haiku-4-5"),
        **_FIGURES,
        "input_limit": maybe(whole("the price is known up to so many tokens going in", least=1, most=2**31 - 1)),
    },
    optional=("cache_read_nano", "cache_write_nano", "input_limit"),
    examples=[{"provider": "anthropic", "model": "claude-haiku-4-5", "input_nano": "1000000000", "output_nano": "5000000000"}],
)

_OWNED: Final[dict[str, Shape]] = {
    "name": text(),
    "team": text(),
    "accountable": text("who answers for it"),
    "purpose": text(),
    "state": one_of(*Standing, meaning="whether it may work at all, at this moment"),
    "created_at": instant(),
}
AGENT: Final = given(
    _OWNED,
    role=one_of(*Role, meaning="the one kind of work that it does and answers for"),
    permissions=listing(text(), "what it may, from its published version"),
    team_permissions=listing(text(), "what it may beside that, as every agent of its team"),
    observed=flag("for want of a permission nothing is refused to it, and recorded, as its team's document says"),
    risk_tier=text(),
    data_classes=listing(anything()),
    review_by=maybe({"type": "string", "format": "date"}),
    review_due_in_days=maybe(whole("days until review_by, below zero once it is past; null without one")),
    notices=listing(
        given(
            ground=one_of(*Ground, meaning="its day of review, or its accountable person"),
            why=text("a clause about the agent"),
            suspends_on={"type": "string", "format": "date"},
            meaning="That it will be suspended on that day, unless somebody acts.",
        ),
        "why it will be suspended, and when",
    ),
    meaning="A named identity with one role.",
)
_STANDS: Final[dict[str, Shape]] = {
    "published": maybe(whole("number of the version that is published")),
    "draft": maybe(whole("number of the version that waits to be published")),
}
SHOWN_AGENT: Final = given(
    {**AGENT["properties"], **_STANDS},
    runs=mapping("pipelines that are shown to you and run it, each with the version that it runs; after a rollback an older one", whole()),
    last_run=maybe(given(run=ident(), at=instant(), meaning="the newest run in which it did something")),
)
PIPELINE: Final = given(
    _OWNED,
    release=maybe(text("digest of what runs start with; null until it is published")),
    permissions=maybe(listing(text(), "what its runs may do at all; null where it says nothing, and narrows nothing")),
    meaning="A named composition of agents.",
)
SHOWN_PIPELINE: Final = given(
    {**PIPELINE["properties"], **_STANDS},
    version=maybe(whole("version that runs start with")),
    agents=mapping("agents and the versions of them that runs use", whole()),
    input=anything("the contract of a run's input, as JSON Schema 2020-12; null until it is published"),
    criteria=mapping("what every result is judged by"),
    limits=mapping("deadline, money and calls of a run"),
)
VERSION: Final = given(
    kind=one_of("agent", "pipeline"),
    name=text("whose version it is"),
    number=whole(),
    state=one_of(*VersionState),
    digest=_DIGEST,
    author=text(),
    created_at=instant(),
    published_at=maybe(instant("when it was last published")),
    code=maybe(text("digest of the folder of code that belongs to it")),
    meaning="An immutable configuration.",
)
SHOWN_VERSION: Final = given(VERSION["properties"], spec=mapping("all that it says"))
RELEASE: Final = given(
    digest=_DIGEST,
    pipeline=text(),
    version=whole(),
    created_at=instant(),
    published_at=maybe(instant("when it was last published; null for one that only drafts ran with")),
    current=flag("runs start with it now"),
    meaning="A pipeline version with every agent version that it uses, under one digest.",
)
SHOWN_RELEASE: Final = given(RELEASE["properties"], agents=mapping("agents and their versions", whole()), manifest=mapping("everything that it pins"))
ALIAS: Final = given(
    name=text(),
    team=text(),
    provider=text(),
    model=text(),
    endpoint=text(),
    secret_ref=text("where the secret is found; never the secret"),
    created_at=instant(),
    meaning="One name for a model.",
)

_FIELDS: Final = listing(given(path=text(example="steps[0].timeout_ms"), old=anything(), new=anything()), "the fields that differ")
_MADE: Final = given(pipeline=text(), version=whole(), digest=_DIGEST, agents=mapping("", whole()), instead_of=maybe(text()))
_DONE: Final[dict[str, Shape]] = {"kind": one_of("agent", "pipeline"), "name": text(), "from_version": maybe(whole()), "to_version": whole()}
_PIN: Final = given(
    name=text(),
    running=maybe(whole("the version that runs now; null for an agent that is not among them")),
    version=whole("the version that would run"),
    fields=_FIELDS,
    meaning="An agent that would run in another version. Of one of a team that is not shown to you, no fields.",
)
CODE: Final = given(
    agents=listing(text(), "the agents that run from it"),
    old=maybe(text("the folder that runs now, by its digest; null where none does, and every file is added")),
    new=text("the folder that would"),
    files=listing(
        given(
            path=text(),
            what=one_of("added", "removed", "changed"),
            note=text("why only its name is here: it is no text, or too large; empty where its lines are here"),
            lines=listing(text(), "of a unified diff; hidden characters are shown as glyphs, and long lines are cut"),
            left_out=whole("how many more lines of the diff there are"),
        ),
        "the files in which they differ",
    ),
    more_files=whole("how many more of them there are"),
    unreadable=flag("the code of one of them is not there, or can't be read"),
    meaning="Code that is another one than what runs now.",
)
_DENIED: Final = listing(text(), "what runs already and is refused once the permissions are published, and where it fails")
PREVIEW: Final = given(
    _DONE,
    fields=_FIELDS,
    agents=listing(_PIN, "agents whose version would change in what runs"),
    unchanged=flag("what would be published runs already"),
    problems=listing(text(), "what forbids it; empty: it can be published"),
    seen=text("the digest of what would be published, to publish exactly that"),
    code=listing(ref("Code"), "what changed in the code of agents"),
    denied=_DENIED,
    asks=maybe(text("who has to say yes to it first: publishing proposes it to them; null: nobody", example=ASKS)),
    meaning="What publishing would do.",
)
PUBLISHED: Final = given(
    _DONE,
    agents=mapping("drafts of agents that went with it", whole()),
    releases=listing(_MADE, "what pipelines run from now on"),
    stay=listing(text(), "pipelines that use the agent and stay as they are until they are published themselves"),
    stay_elsewhere=whole("how many more of these belong to teams that are not shown to you"),
    denied=_DENIED,
)
ROLLED_BACK: Final = given(
    _DONE,
    releases=listing(_MADE, "what pipelines run from now on"),
    forward=flag("the target is the newer one"),
    keep=listing(text(), "agents whose permissions in force are not those of the target"),
    elsewhere=whole("how many pipelines of teams that are not shown to you run a new release, too"),
)
APPLIED: Final = given(
    dry_run=flag("nothing was written"),
    publish=flag(),
    unchanged=flag("it was all so already"),
    changes=listing(
        given(
            kind=text(), name=text(), action=one_of("created", "changed", "published", "unchanged"), version=maybe(whole()), draft=flag(),
            fields=_FIELDS, notes=listing(text()),
        )
    ),
    releases=listing(_MADE, "what pipelines run from now on"),
    pending=listing(_MADE, "what they would run if this were published"),
    warnings=listing(text(), "what forbids to publish this"),
    code=listing(ref("Code"), "what changed in the code of agents"),
    denied=_DENIED,
    hints=listing(text()),
    asks=maybe(text("who has to say yes to it first, as a dry run says too; null: nobody", example=ASKS)),
    proposal=maybe(ident("of what people have to say yes to first: what the files say is stored as drafts")),
)  # fmt: skip

GROUP_ASKED: Final = given(group=text("the group's name", pattern=PERSON_PATTERN, example="auditors"), examples=[{"group": "auditors"}])
NEW_GROUP_ASKED: Final = given(name=named("the group's name", "auditors"), examples=[{"name": "auditors"}])
PERSON_ASKED: Final = given(person=person(), examples=[{"person": "bob"}])
REASON_ASKED: Final = given(
    reason=text("why; whoever finds it so will ask", pattern="\\S", most=1_000), examples=[{"reason": "reads a page that is wrong since Monday"}]
)
_NUMBER: Final = {"minimum": 1, "maximum": 999_999_999}
PUBLISH_ASKED: Final = given(
    version={**whole("a version that was never published; by default the draft"), **_NUMBER},
    seen=text("what the preview said: where anything else would be published by now, nothing is", pattern="^[0-9a-f]{64}$"),
    optional=("version", "seen"),
    examples=[{}, {"version": 4}],
)
ROLLBACK_ASKED: Final = given(
    version={**whole("the version to go back to; by default the one before"), **_NUMBER},
    release=text("for a pipeline: the release to go back to, by the beginning of its digest", pattern="^[0-9a-f]{8,64}$"),
    optional=("version", "release"),
    examples=[{}, {"version": 2}],
)
AGENT_ROLLBACK_ASKED: Final = given(version=ROLLBACK_ASKED["properties"]["version"], optional=("version",), examples=[{}, {"version": 2}])

_STAGE: Final = given(
    people=listing(text(), "by the names they sign in with"),
    teams=listing(text(), "everybody in them"),
    required=whole("how many of all these must approve", least=1),
    within_ms=whole("within what time"),
    meaning="Who may decide at a time.",
)
_IN_FORCE: Final = given(
    version=whole(),
    digest=_DIGEST,
    author=text(),
    created_at=instant(),
    stages=listing(_STAGE, "one after the other, each with its own clock; once the last is over, silence has denied it"),
    reason=flag("whoever approves says why"),
    edits=flag("whoever approves may change the arguments"),
    meaning="One version of a policy.",
)
POLICY: Final = given(
    name=named("", "production"),
    team=text(),
    in_force=maybe(_IN_FORCE),
    draft=maybe(_IN_FORCE),
    meaning="Who decides what a permission leaves to people.",
)
COMPONENTS: Final = {
    "Team": TEAM,
    "TeamPage": page_of(ref("Team")),
    "ShownTeam": SHOWN_TEAM,
    "People": PEOPLE,
    "Group": GROUP,
    "GroupPage": page_of(ref("Group")),
    "ShownGroup": SHOWN_GROUP,
    "Person": PERSON,
    "PersonPage": page_of(ref("Person")),
    "ShownPerson": SHOWN_PERSON,
    "NewPerson": NEW_PERSON,
    "Price": PRICE,
    "PricePage": page_of(ref("Price")),
    "Priced": PRICED,
    "Agent": AGENT,
    "AgentPage": page_of(ref("Agent")),
    "ShownAgent": SHOWN_AGENT,
    **key_shapes.COMPONENTS,
    **cover_shapes.COMPONENTS,
    "May": MAY,
    "Right": RIGHT,
    "Rights": RIGHTS,
    "Permitted": PERMITTED,
    "Pipeline": PIPELINE,
    "PipelinePage": page_of(ref("Pipeline")),
    "ShownPipeline": SHOWN_PIPELINE,
    "Version": VERSION,
    "VersionPage": page_of(ref("Version")),
    "ShownVersion": SHOWN_VERSION,
    "Release": RELEASE,
    "ReleasePage": page_of(ref("Release")),
    "ShownRelease": SHOWN_RELEASE,
    "Policy": POLICY,
    "PolicyPage": page_of(ref("Policy")),
    "ModelAlias": ALIAS,
    "ModelAliasPage": page_of(ref("ModelAlias")),
    "Code": CODE,
    "Preview": PREVIEW,
    "Published": PUBLISHED,
    "RolledBack": ROLLED_BACK,
    "Applied": APPLIED,
}
