"""What the admin says of permissions and pipelines, as values. No database."""

import pytest

from agents.admin.picture import picture
from agents.admin.words import in_words
from tests.agents.pipeline_specs import for_each, parallel, step, switch


@pytest.mark.parametrize(
    ("text", "said", "wide"),
    [
        ("allow read feed:*", "may read all feeds", True),
        ("allow read file:data/*", "may read files that begin with data/", False),
        ("allow call tool:fetch", "may call the tool fetch", False),
        ("allow read *", "may read anything", True),
        ("allow sing song:x", "may sing song x", False),
        ("require_approval write repo:*", "may write all repositories, only with a person's yes", True),
        ("deny write repo:*", "may never write all repositories, whatever allows it", False),
        ("allow nonsense", "has a line that can't be read: it allows nothing", False),
        ("nonsense", "has a line that can't be read: it forbids everything until it is mended", True),
    ],
)
def test_a_permission_is_said_in_words(text: str, said: str, wide: bool) -> None:
    (one,) = in_words([text])
    assert (one.said, one.wide) == (said, wide)


def test_a_pipeline_is_boxes_in_boxes_with_its_verifier_last() -> None:
    steps = [
        step("read", "reader", retry={"max": 2}, fallback="other"),
        parallel("both", {"a": [step("x", "worker")], "b": [step("y", "worker", on_failure="degrade")]}, min_success="any"),
        for_each("rows", "=steps.read.rows", "row", [step("each", "worker")]),
        switch("size", ("input.n > 1", [step("big", "worker")]), (None, [step("small", "worker")])),
    ]
    boxes = picture({"steps": steps, "verify": {"agent": "judge"}})
    assert [(box.kind, box.name) for box in boxes] == [
        *(("step", "read"), ("parallel", "both"), ("for_each", "rows"), ("switch", "size")),
        ("verify", "verify"),
    ]
    assert boxes[0].notes == ["up to 2 retries", "else by other"]
    assert [name for name, _ in boxes[1].lanes] == ["a", "b"] and boxes[1].notes == ["one that succeeds is enough"]
    assert boxes[1].lanes[1][1][0].notes == ["goes on without it if it fails"]
    assert boxes[2].lanes[0][0] == "for each row of steps.read.rows, 8 at once"
    assert [name for name, _ in boxes[3].lanes] == ["when input.n > 1", "otherwise"]
    assert [inner.name for _, lane in boxes[3].lanes for inner in lane] == ["big", "small"]
