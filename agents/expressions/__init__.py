"""The one expression language of pipelines: bare paths and CEL, with the caps that keep a stranger's text harmless.

Pure: text and values in, values out; knows no pipeline, no schema and no row. Used by the readers of files, by
publishing and by the engine.
"""

from agents.errors import ExpressionError
from agents.expressions.conditions import never_true_or_false
from agents.expressions.evaluation import compile_problems, evaluate, holds
from agents.expressions.references import problems, references
from agents.expressions.scanning import same_pieces
from agents.expressions.values import (
    expressions_in,
    fill,
    resolve,
    template_paths,
    template_problems,
    template_references,
    value_references,
)

__all__ = [
    "ExpressionError",
    "compile_problems",
    "evaluate",
    "expressions_in",
    "fill",
    "holds",
    "never_true_or_false",
    "problems",
    "references",
    "resolve",
    "same_pieces",
    "template_paths",
    "template_problems",
    "template_references",
    "value_references",
]
