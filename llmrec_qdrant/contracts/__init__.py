"""The data models of the public interface and of the messages: frozen pydantic models with size limits."""
