"""The data that crosses a boundary: frozen pydantic models with capped sizes."""
