"""`/api/v1/inventory/`: which agents there are, whose, for what, allowed what, and what each did last. The same as the command `inventory` says."""

from __future__ import annotations

from rest_framework.response import Response

from agents.api.agents import FILTERS
from audit.api.doors import Asked, Door, operation
from audit.api.pages import BY_NAME, PAGING, cut
from audit.api.shapes import ref
from orchestra_site import stock


class InventoryView(Door):
    @operation(
        id="show_inventory",
        tag="agents",
        summary="List agents with what they did last",
        does=(
            "Of each agent that you see: whose it is, for what, what it may, which versions there are and what runs, its newest run, when "
            "it last took part in a verified one, and whether nothing kept its code from the network when it was last called."
        ),
        query={**FILTERS, **PAGING},
        gives=ref("InventoryPage"),
    )
    def get(self, asked: Asked) -> Response:
        columns = {"team": "team__name", "role": "role", "state": "state"}
        wanted = {columns[name]: value for name, value in asked.query.items() if name in columns}
        found, following = cut(stock.agent_rows(asked.actor).filter(**wanted), BY_NAME, asked)
        return Response({"items": stock.of_agents(found, asked.actor), "next": following})
