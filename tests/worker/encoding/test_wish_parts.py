"""The first two blocks of a user, divided among events."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from workers.encoding.towers import Towers


def towers(seed: int, linear: bool = False) -> Towers:
    torch.manual_seed(seed)
    made = Towers(size=6, hidden=8, learned=3, own=2, width=4, drop=0.0).eval().double()
    if not linear:
        for layer in (made.user[0], made.user[-1]):
            torch.nn.init.normal_(layer.weight, std=0.7)
            torch.nn.init.normal_(layer.bias, std=0.7)
    return made


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), events=st.integers(1, 12), scale=st.sampled_from([1e-3, 1.0, 1e3]))
@torch.inference_mode()
def test_parts_and_constant_add_up_to_the_wishes(seed: int, events: int, scale: float) -> None:
    made = towers(seed)
    parts = torch.randn(events, 2, 8, dtype=torch.float64) * scale
    terms, constant = made.wish_parts(parts)
    assert torch.allclose(terms.sum(0) + constant, made.wishes(parts.sum(0)[None])[0], atol=1e-9)


@torch.inference_mode()
def test_without_an_mlp_an_event_adds_its_term_over_the_length_of_the_sum() -> None:
    parts = torch.zeros(2, 2, 8, dtype=torch.float64)
    parts[0, :, 0], parts[1, :, 1] = 3.0, 4.0
    terms, constant = towers(0, linear=True).wish_parts(parts)
    assert terms[0].tolist() == pytest.approx([0.6, *[0.0] * 7])  # 3 / √(3² + 4²)
    assert terms[1].tolist() == pytest.approx([0.0, 0.8, *[0.0] * 6])
    assert constant.abs().max() < 1e-12


def test_the_mlp_is_attributed_as_by_integrating_its_gradient_numerically() -> None:
    made, steps = towers(5), 4_000
    parts = torch.randn(3, 2, 8, dtype=torch.float64)
    scaled = parts / parts.sum(0).norm(dim=1)[None, :, None]
    whole = scaled.sum(0).flatten()
    total = torch.zeros(3, 8, dtype=torch.float64)
    for step in range(steps):
        at = whole * (step + 0.5) / steps
        jacobian = torch.autograd.functional.jacobian(made.user, at)
        total += scaled.flatten(1) @ jacobian.T / steps
    length = (scaled[:, 0].sum(0) + made.user(whole)).norm()
    with torch.inference_mode():
        terms, _ = made.wish_parts(parts)
    assert torch.allclose(terms, ((scaled[:, 0] + total) / length).detach(), atol=1e-6)
    assert not torch.allclose(terms, functional.normalize(scaled[:, 0], dim=1), atol=0.1)
