"""The auditor's reading of the digest's sentences: which number stands in which place of the structure.

A sentence that no pattern explains is a finding: a number in it would be nobody's. Knows the wording, not the writer.
"""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

NUMBER = r"-?[\d,]+(?:\.\d+)?(?:e[+-]?\d+)?"
STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{6})?Z"
SHOWN_DIGITS = 4
ANOMALIES = ("excursion", "level shift")


def _pattern(sentence: str) -> re.Pattern[str]:
    """`<n:mean>` is a number called mean, `<t:at>` an instant, `<w:direction>` a word."""
    kinds = {"n": NUMBER, "t": STAMP, "w": "[a-z]+"}
    parts = re.split(r"<([ntw]):(\w+)>", sentence)
    text = re.escape(parts[0])
    for kind, name, literal in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        text += f"(?P<{name}>{kinds[kind]})" + re.escape(literal)
    return re.compile(text, re.ASCII)


HEADLINE = re.compile(
    rf"(?P<anomalies>{NUMBER}) (?:anomaly|anomalies) in (?P<touched>{NUMBER}) of (?P<series>{NUMBER}) series; "
    rf"(?P<observations>{NUMBER}) observations; complete up to (?P<as_of>{STAMP})",
    re.ASCII,
)
SENTENCES = {
    "summary": _pattern(
        "<n:observations> observations from <t:oldest> to <t:newest>; mean <n:mean>, min <n:min>, max <n:max>, p95 <n:p95>, last <n:last>"
    ),
    "unjudged": _pattern("too few observations to look for anomalies"),
    "calm": _pattern("nothing stands out: no score above <n:threshold>"),
    "level shift": _pattern("level shift <w:direction> at <t:at>: from <n:usual> to <n:value> (score <n:score>)"),
    "excursion": _pattern(
        "excursion <w:direction> at <t:at>: <n:value>, usually <n:usual> (score <n:score>; <n:points> flagged from <t:start> to <t:end>)"
    ),
    "more anomalies": _pattern("<n:more> more with lower scores"),
    "gap": _pattern("gap after <t:after> until <t:before>: <n:points> interpolated linearly"),
    "more gaps": _pattern("<n:more> more gaps, <n:interpolated> points interpolated in all"),
    "duplicates": _pattern("<n:duplicates> duplicate rows at <n:stamps> stamps, the first at <t:first>; the last row of each counts"),
    "reordered": _pattern("<n:reordered> rows were out of order and were sorted"),
    "later": _pattern("<n:later> samples later than the judged time were ignored"),
}


@dataclass(frozen=True)
class Statement:
    """A number or instant in a sentence, and what it should be."""

    where: str
    said: str
    true: Any

    @property
    def holds(self) -> bool:
        """True if the text is the true value, or it rounded to four digits."""
        return says(self.said, self.true)


def says(said: str, true: Any) -> bool:
    """Whether a text shows this value: words and instants exactly, numbers within half of the last of four digits."""
    if true is None:
        return False
    if isinstance(true, str):
        return said in (true, true.replace("T", " "), true.replace("T", " ").replace(".000000Z", "Z"))
    try:
        shown = Decimal(said.replace(",", ""))
    except InvalidOperation:
        return False
    if isinstance(true, int) or true == 0:
        return bool(shown == true)
    exact = Decimal(true)
    unit = min(Decimal(10) ** (exact.adjusted() - SHOWN_DIGITS + 1), Decimal(10) ** int(shown.as_tuple().exponent))
    return bool(abs(shown - exact) <= unit / 2 * (1 + Decimal("1e-9")))


def headline(text: str, true: dict[str, Any]) -> list[Statement]:
    """The statements of the headline."""
    match = HEADLINE.fullmatch(text)
    if match is None:
        return [Statement("headline", text[:80], None)]
    anomalies = [len(one["anomalies"]) for one in true["series"]]
    facts = {
        "anomalies": sum(anomalies),
        "touched": sum(count > 0 for count in anomalies),
        "series": len(anomalies),
        "observations": sum(one["observations"] for one in true["series"]),
        "as_of": true["as_of"],
    }
    return [Statement(f"headline, {name}", match[name], value) for name, value in facts.items()]


def sentences(lines: list[str], series: list[dict[str, Any]]) -> list[Statement]:
    """The statements of all lines; a line about no series, or one too few about a series, is a statement that can't hold."""
    longest_first = sorted(series, key=lambda one: -len(one["name"]))
    about: dict[str, list[str]] = {one["name"]: [] for one in series}
    found = []
    for line in lines:
        name = next((one["name"] for one in longest_first if line.startswith(f"{one['name']}: ")), None)
        if name is None:
            found.append(Statement("a line about no series of the feed", line[:80], None))
        else:
            about[name].append(line[len(name) + 2 :])
    for one in series:
        found += _about(one, about[one["name"]])
    return found


def _about(one: dict[str, Any], lines: list[str]) -> list[Statement]:
    found: list[Statement] = []
    kinds: list[str] = []
    told: list[Any] = []
    for line in lines:
        kind, match = next(((kind, match) for kind, pattern in SENTENCES.items() if (match := pattern.fullmatch(line))), ("unknown", None))
        facts = _facts(kind, match.groupdict(), one, told) if match else None
        if match is None or facts is None:
            found.append(Statement(f"{one['name']}, a line that the feed does not explain", line[:80], None))
            continue
        kinds.append("anomaly" if kind in ANOMALIES else kind)
        found += [Statement(f"{one['name']}, {kind}, {name}", said, facts[name]) for name, said in match.groupdict().items()]
    missing = {kind: (kinds.count(kind), count) for kind, count in _due(one).items() if kinds.count(kind) != count}
    found += [Statement(f"{one['name']}, lines of the kind {kind}", str(said), due) for kind, (said, due) in missing.items()]
    return found


def _facts(kind: str, said: dict[str, str], one: dict[str, Any], told: list[Any]) -> dict[str, Any] | None:
    """What the places of a sentence should hold; None if nothing in the feed is like it, or it was told before."""
    mended = one["repairs"]
    if kind in ANOMALIES:
        return _entry([anomaly for anomaly in _worst(one) if anomaly["kind"] == kind], "at", said, told)
    if kind == "gap":
        return _entry(mended["gaps"], "after", said, told)
    stamps = mended["duplicate_stamps"]
    more = {"more anomalies": len(one["anomalies"]) - 5, "more gaps": len(mended["gaps"]) - 5}.get(kind)
    return {**one, **mended, "more": more, "stamps": len(stamps), "first": stamps[0] if stamps else ""}


def _entry(entries: list[dict[str, Any]], key: str, said: dict[str, str], told: list[Any]) -> dict[str, Any] | None:
    for entry in entries:
        if says(said[key], entry[key]) and entry not in told:
            told.append(entry)
            return entry
    return None


def _worst(one: dict[str, Any]) -> list[dict[str, Any]]:
    """The anomalies that may have a line: the five with the highest scores, and any that ties with the fifth."""
    scores = sorted((anomaly["score"] for anomaly in one["anomalies"]), reverse=True)
    least = scores[:5][-1] * (1 - 1e-9) if scores else 0.0
    return [anomaly for anomaly in one["anomalies"] if anomaly["score"] >= least]


def _due(one: dict[str, Any]) -> dict[str, int]:
    """How many lines of each kind a complete digest has about a series."""
    mended, anomalies = one["repairs"], one["anomalies"]
    return {
        "summary": 1,
        "unjudged": int(not one["judged"]),
        "calm": int(one["judged"] and not anomalies),
        "anomaly": min(5, len(anomalies)),
        "more anomalies": int(len(anomalies) > 5),
        "gap": min(5, len(mended["gaps"])),
        "more gaps": int(len(mended["gaps"]) > 5),
        "duplicates": int(mended["duplicates"] > 0),
        "reordered": int(mended["reordered"] > 0),
        "later": int(mended["later"] > 0),
    }
