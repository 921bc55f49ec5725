"""The inventory over REST: teams and people, agents, pipelines, versions, releases, aliases, apply. Doors parse, call one use-case, render."""
