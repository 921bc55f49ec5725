"""How values are written for people, apart from how they are stored."""
