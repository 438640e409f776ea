"""LAMB against its formula, written out with numpy."""

from __future__ import annotations

import numpy as np
import torch

from tailorbird.engine.lamb import Lamb

RATE, FIRST, SECOND, EPS, DECAY = 0.02, 0.9, 0.999, 1e-6, 0.01


def test_it_does_what_its_paper_says() -> None:
    rng = np.random.default_rng(0)
    w = rng.normal(size=(5, 3))
    gradients = rng.normal(size=(6, 5, 3))
    parameter = torch.nn.Parameter(torch.from_numpy(w.copy()))
    optimizer = Lamb([parameter], RATE, (FIRST, SECOND), EPS, DECAY)
    m, v = np.zeros_like(w), np.zeros_like(w)
    for number, g in enumerate(gradients, 1):
        m, v = FIRST * m + (1 - FIRST) * g, SECOND * v + (1 - SECOND) * g**2
        u = (m / (1 - FIRST**number)) / (np.sqrt(v / (1 - SECOND**number)) + EPS) + DECAY * w
        w = w - RATE * np.linalg.norm(w) / np.linalg.norm(u) * u
        parameter.grad = torch.from_numpy(g)
        optimizer.step()
        np.testing.assert_allclose(parameter.detach().numpy(), w, rtol=1e-12)


def test_weights_of_nought_move_by_the_rate_itself() -> None:
    parameter = torch.nn.Parameter(torch.zeros(4, dtype=torch.float64))
    optimizer = Lamb([parameter], RATE, (FIRST, SECOND), EPS, 0.0)
    parameter.grad = torch.tensor([1.0, -1.0, 2.0, 0.0], dtype=torch.float64)
    optimizer.step()
    np.testing.assert_allclose(parameter.detach().numpy(), [-RATE, RATE, -RATE, 0.0], rtol=1e-5)


def test_a_parameter_without_a_gradient_stays() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    Lamb([parameter], RATE).step()
    assert torch.equal(parameter.detach(), torch.ones(2))
