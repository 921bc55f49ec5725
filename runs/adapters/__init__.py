"""Everything that reaches outside: one small module per kind of thing; only the boundary calls them."""
