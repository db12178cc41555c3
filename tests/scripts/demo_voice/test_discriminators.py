"""Judges learn to tell waves apart, and their losses are the published ones."""

from __future__ import annotations

import pytest
import torch
from demo_voice.discriminators import Discriminators, deceit_loss, detection_loss, likeness_loss


def opinions(*verdicts: float) -> list[list[torch.Tensor]]:
    return [[torch.full((2, 3), 2.0), torch.full((2, 1), verdict)] for verdict in verdicts]


def small() -> Discriminators:
    torch.manual_seed(0)
    return Discriminators((2, 3), (4, 8), (1, 2), (4, 8))


def test_they_are_small_and_judge_any_length() -> None:
    judges = Discriminators()
    assert 400_000 < sum(one.numel() for one in judges.parameters()) < 700_000
    for samples in (8000, 8001):
        found = judges(torch.zeros(2, 1, samples))
        assert len(found) == 7
        assert all(len(one) >= 5 and one[-1].shape[:2] == (2, 1) for one in found)


def test_a_period_judge_mixes_no_neighbouring_samples() -> None:
    judge = small().periods[1]
    wave = torch.zeros(1, 1, 90, requires_grad=True)
    verdict = judge(wave)[-1]
    (gradient,) = torch.autograd.grad(verdict[0, 0, :, 1].sum(), wave)
    seen = gradient[0, 0].nonzero()[:, 0]
    assert len(seen) > 5
    assert (seen % 3 == 1).all()


def test_losses_are_least_squares_over_judges() -> None:
    assert float(detection_loss(opinions(1, 1), opinions(0, 0))) == 0
    assert float(detection_loss(opinions(0.5, 0.5), opinions(0.5, 0.5))) == 0.5
    assert float(detection_loss(opinions(1, 0), opinions(0, 0))) == 0.5
    assert float(deceit_loss(opinions(1, 1))) == 0
    assert float(deceit_loss(opinions(0, 1))) == 0.5


def test_likeness_is_relative_to_each_layer_and_leaves_verdicts_out() -> None:
    real, made = opinions(1), opinions(0)
    assert float(likeness_loss(real, made)) == 0
    made[0][0] = made[0][0] + 1
    assert float(likeness_loss(real, made)) == pytest.approx(0.5)
    scaled = [[[10 * layer for layer in one] for one in side] for side in (real, made)]
    assert float(likeness_loss(*scaled)) == pytest.approx(0.5)


def test_they_learn_to_tell_noise_from_tones() -> None:
    judges, random = small(), torch.Generator().manual_seed(3)
    optimiser = torch.optim.Adam(judges.parameters(), 5e-3)
    tones = torch.sin(torch.arange(600) * 0.2).expand(4, 1, 600)
    losses = []
    for _ in range(30):
        noise = torch.randn(4, 1, 600, generator=random)
        loss = detection_loss(judges(tones), judges(noise))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.25 < losses[0]
