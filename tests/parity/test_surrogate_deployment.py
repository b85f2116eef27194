"""What gradients have trained in torch fires as often in Brian2."""

import pytest

pytest.importorskip("torch")

from validation.deployment import deployed, nets


@pytest.mark.parametrize("name", ["single", "adaptive", "conductance"])
def test_trained_counts_are_those_of_the_runtime_device(name: str) -> None:
    figures = deployed(name, nets()[name], 20, ("runtime",))
    assert figures["weights_moved"]["ok"]
    assert figures["spikes_per_image"]["ok"]
    assert figures["runtime"]["value"] == 1.0


@pytest.mark.slow
def test_trained_counts_are_those_of_the_compiled_program() -> None:
    figures = deployed("two_layers", nets()["two_layers"], 100, ("runtime", "cpp"))
    assert figures["weights_moved"]["ok"]
    assert figures["spikes_per_image"]["ok"]
    assert figures["runtime"]["value"] == figures["cpp"]["value"] == 1.0
