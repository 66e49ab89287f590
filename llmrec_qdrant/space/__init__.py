"""How a space is stored in Qdrant: names, ids, payload keys and conditions."""
