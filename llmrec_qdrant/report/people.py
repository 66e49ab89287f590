"""Ten users of a report as text: what they care about and which items show it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from llmrec_qdrant.contracts.answers import Interest
from llmrec_qdrant.operations.overview import UserRow

__all__ = ["example_users", "users_html"]

MAX_USERS = 10
MAX_INTERESTS = 4
MAX_EVIDENCE = 3
MAX_NAME = 60


def example_users(users: Sequence[UserRow]) -> list[UserRow]:
    """Return up to ten users with interests, from the busiest to the quietest at equal steps."""
    ranked = sorted((user for user in users if user.interests), key=lambda user: (-user.n_events, user.id))
    if len(ranked) <= MAX_USERS:
        return ranked
    return [ranked[round(step * (len(ranked) - 1) / (MAX_USERS - 1))] for step in range(MAX_USERS)]


def users_html(users: Sequence[UserRow]) -> str:
    """Return one card per example user."""
    cards = "".join(_card(user) for user in example_users(users))
    return f'<div class="cards">{cards}</div>' if cards else "<p>No user has interests yet.</p>"


def _card(user: UserRow) -> str:
    rows = "".join(_interest(interest) for interest in user.interests[:MAX_INTERESTS])
    return f'<article class="card"><h3>{_text(user.id)}</h3><p class="dim">{user.n_events:,} events</p>{rows}</article>'


def _interest(interest: Interest) -> str:
    share = round(100 * interest.weight)
    titles = ", ".join(_text(interest.titles.get(item, item)) for item in interest.items[:MAX_EVIDENCE])
    return (
        f"<p><b>{_text(interest.label)}</b> <span class='dim'>{share} %, {interest.trend}</span>"
        f"<span class='bar'><i style='width:{share}%'></i></span><span class='dim'>because of {titles or 'searches'}</span></p>"
    )


def _text(text: str) -> str:
    return escape(text if len(text) <= MAX_NAME else text[: MAX_NAME - 1] + "…")
