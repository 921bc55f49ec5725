"""The site: settings, checks, addresses and servers. It mounts the apps; nobody imports it."""

VERSION = "0.3.0"
"""Of the application, as pyproject.toml and CHANGELOG.md say it."""
