"""REST as the site mounts it: who asks (tokens, sessions), how refusals are said, the OpenAPI document and its page, the tokens' own door.

What each app offers lies in its `api` package; here is what only the site may know.
"""
