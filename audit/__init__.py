"""What happened and what it cost: ledger, charges, outbox; the floor every other app stands on, importing none of them."""
