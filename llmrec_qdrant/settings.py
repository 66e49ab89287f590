"""The one place that reads and writes the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from llmrec_qdrant.errors import InvalidInput, describe

__all__ = ["Settings", "export"]


class Settings(BaseSettings):
    """Connection settings from ``LLMREC_*`` variables; secrets are masked wherever they are shown."""

    model_config = SettingsConfigDict(
        env_prefix="LLMREC_", env_ignore_empty=True, frozen=True, hide_input_in_errors=True
    )

    qdrant_url: str | None = Field(None, description="Qdrant server, such as http://localhost:6333.")
    path: str | None = Field(None, description="Folder of an embedded Qdrant, instead of a server.")
    broker: SecretStr | None = Field(None, description="Redis for Celery, such as redis://localhost:6379/0.")
    api_key: SecretStr | None = Field(None, description="Qdrant API key.")
    other_api_key: SecretStr | None = Field(
        None, description="API key of the other Qdrant of `llmrec push` and `pull`."
    )
    space: str | None = Field(None, description="Name of the space.")
    tenant: str | None = Field(None, description="Tenant whose items and users are visible; unset: all.")
    llm_url: str | None = Field(
        None, description="OpenAI-compatible endpoint that names topics and writes texts, ending in /v1."
    )
    llm_model: str | None = Field(None, description="Model of that endpoint.")
    llm_key: SecretStr | None = Field(None, description="API key of that endpoint.")
    llm_rate: float = Field(60.0, gt=0, description="Texts that the endpoint is asked for per minute, at most.")
    llm_price: float = Field(0.0, ge=0, description="Price of a million tokens of that endpoint, in your currency.")
    models: Path = Field(Path("~/.llmrec/models"), description="Folder of trained models, shared by all workers.")
    encoder_backend: Literal["auto", "fp32", "bf16", "int8"] = Field(
        "auto",
        description="Arithmetic of the encoder: auto picks the fastest backend that agrees with fp32 on this machine.",
    )
    alive: Path | None = Field(None, description="File that a worker touches while it lives, for health checks.")

    def __init__(self, **values: Any) -> None:
        if any(name.upper() == "LLMREC_TENANT" and not value for name, value in os.environ.items()):
            values.setdefault(
                "tenant", ""
            )  # another empty variable is an unset one; this one must not mean all tenants
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InvalidInput(describe(error, values=False)) from None

    @classmethod
    def current(cls) -> Settings:
        """Return the settings of the environment, parsed again only after it has changed: a refresh asks several times."""
        return _parsed(tuple(sorted(item for item in os.environ.items() if item[0].upper().startswith("LLMREC_"))))

    def connection(self) -> dict[str, Any]:
        """Return the arguments of ``Recommender.connect``.

        Raises :class:`InvalidInput` if no space is set, or if the tenant is empty, which must not mean all tenants.
        """
        if self.tenant == "":
            raise InvalidInput("LLMREC_TENANT is empty: set it to the tenant, or unset it for all tenants")
        if not self.space:
            raise InvalidInput("no space is set: set LLMREC_SPACE, or pass space=")
        return {
            "url": self.qdrant_url,
            "path": self.path,
            "space": self.space,
            "broker": self.broker.get_secret_value() if self.broker else None,
            "api_key": self.api_key.get_secret_value() if self.api_key else None,
            "tenant": self.tenant,
        }


@lru_cache(maxsize=1)
def _parsed(environment: tuple[tuple[str, str], ...]) -> Settings:
    return Settings()


VARIABLES = {"url": "LLMREC_QDRANT_URL", "path": "LLMREC_PATH", "broker": "LLMREC_BROKER", "api_key": "LLMREC_API_KEY"}
"""Argument of ``Recommender.connect`` → environment variable."""


def export(connection: Mapping[str, Any]) -> None:
    """Set the environment variables of a connection, for the processes that this one starts."""
    for name, variable in VARIABLES.items():
        os.environ.pop(variable, None)
        if connection[name]:
            os.environ[variable] = connection[name]
