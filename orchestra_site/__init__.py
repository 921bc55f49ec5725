"""The site: settings, checks, addresses and servers. It mounts the apps; nobody imports it."""
