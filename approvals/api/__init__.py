"""REST of approvals: parse, call one use-case, render."""
