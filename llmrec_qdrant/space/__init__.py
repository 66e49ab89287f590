"""How a space lies in Qdrant: names, ids, payload keys and conditions."""
