"""Losses, encoded batches, the training loop and its resume, the classifier, and the way back."""

import math

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from biosnn.callbacks import Callback
from biosnn.errors import CallbackError, DataError, ParameterError, StorageError

torch = pytest.importorskip("torch")

from brian2 import ms  # noqa: E402

from biosnn import datasets, models, networks, simulation  # noqa: E402
from biosnn.surrogate import (  # noqa: E402
    Batches,
    DirectEncoder,
    FirstSpikeCrossEntropy,
    LIFClassifier,
    MembraneCrossEntropy,
    PoissonEncoder,
    RateCrossEntropy,
    RateMSE,
    SurrogateNetwork,
    address_events,
    evaluate,
    load_module,
    poisson_batch,
    train,
)

T, CLASSES = 6, 3


@pytest.fixture(scope="module")
def digits():
    """Half-size images of the digits 0 to 3: features, labels, and the same for testing."""

    def halved(split, n):
        keep = np.flatnonzero(split.labels < 4)[:n]
        small = split.images[keep].reshape(-1, 14, 2, 14, 2).mean((2, 4))
        return small.astype(np.uint8).reshape(len(keep), -1), split.labels[keep]

    loaded = datasets.load_digits()
    return *halved(loaded.train, 600), *halved(loaded.test, 300)


def spikes(*times_of_neurons):
    """One sample, whose neurons fire at the given steps."""
    made = torch.zeros(T, 1, len(times_of_neurons), dtype=torch.float64)
    for neuron, times in enumerate(times_of_neurons):
        made[list(times), 0, neuron] = 1
    return made.requires_grad_()


def softmax_loss(logits, label):
    return math.log(sum(math.exp(x) for x in logits)) - logits[label]


# --- losses


def test_losses_of_spikes_have_their_closed_forms():
    output, label = spikes([1, 2, 4], [0], []), torch.tensor([1])
    loss = RateCrossEntropy(scale=0.5)(output, label)
    assert loss.item() == pytest.approx(softmax_loss([1.5, 0.5, 0.0], 1), rel=1e-12)
    rates = [3 / T, 1 / T, 0.0]
    expected = (rates[0] ** 2 + (rates[1] - 1) ** 2) / CLASSES
    assert RateMSE()(output, label).item() == pytest.approx(expected, rel=1e-12)
    first = FirstSpikeCrossEntropy(tau=3.0)
    assert (-first.scores(output)).tolist() == [[1, 0, T]]
    expected = softmax_loss([-1 / 3, 0.0, -T / 3], 1)
    assert first(output, label).item() == pytest.approx(expected, rel=1e-12)


def test_gradients_of_losses_have_their_closed_forms():
    output, label = spikes([1, 2], [0], []), torch.tensor([0])
    RateCrossEntropy(scale=2.0)(output, label).backward()
    p = torch.softmax(torch.tensor([4.0, 2.0, 0.0], dtype=torch.float64), 0)
    wanted = 2 * (p - torch.tensor([1.0, 0.0, 0.0]))
    assert torch.allclose(output.grad, wanted.expand(T, 1, CLASSES), atol=1e-12)
    output = spikes([2], [0], [])
    (-FirstSpikeCrossEntropy().scores(output)[0, [0, 2]]).sum().backward()
    # A spike one step earlier than the first one would move it; a later one would not.
    assert output.grad[:, 0, 0].tolist() == [-2, -1, -(T - 2), 0, 0, 0]
    assert output.grad[:, 0, 2].tolist() == [-(T - t) for t in range(T)]


def test_losses_of_potentials_have_their_closed_forms():
    v = torch.linspace(-1, 1, T * CLASSES, dtype=torch.float64).reshape(T, 1, CLASSES)
    label = torch.tensor([2])
    for over, values in (("max", v.amax(0)), ("mean", v.mean(0)), ("last", v[-1])):
        loss = MembraneCrossEntropy(over, scale=3.0)(v, label)
        wanted = softmax_loss((3 * values[0]).tolist(), 2)
        assert loss.item() == pytest.approx(wanted, rel=1e-12)


def test_losses_refuse_what_they_cannot_use():
    with pytest.raises(ParameterError, match="scale"):
        RateCrossEntropy(scale=0.0)
    with pytest.raises(ParameterError, match="over"):
        MembraneCrossEntropy("median")
    with pytest.raises(ParameterError, match="output"):
        RateMSE()(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64))


# --- batches


def test_poisson_spikes_have_the_rates_of_their_pixels():
    pixels = np.array([[0, 1, 32, 128, 255]] * 40, dtype=np.uint8)
    drawn = poisson_batch(pixels, 500, np.random.Generator(np.random.SFC64(1)))
    assert drawn.shape == (500, 40, 5)
    assert drawn.dtype == torch.bool
    rate = drawn.double().mean((0, 1)).numpy()
    p = pixels[0] / 256
    assert rate[0] == 0
    assert np.all(np.abs(rate - p) <= 4 * np.sqrt(p * (1 - p) / 20_000))
    with pytest.raises(DataError, match="uint8"):
        poisson_batch(pixels.astype(float), 5, np.random.default_rng(0))


def test_an_epoch_is_the_same_whoever_encodes_it():
    images = np.random.default_rng(0).integers(0, 256, (50, 8), dtype=np.uint8)
    labels = np.arange(50)
    alone = Batches(images, labels, PoissonEncoder(7), batch_size=16, seed=3)
    helped = Batches(images, labels, PoissonEncoder(7), batch_size=16, seed=3, workers=1)
    alone.epoch = helped.epoch = 2
    first, second = list(alone), list(helped)
    assert [len(y) for _, y in first] == [16, 16, 16, 2]
    assert sorted(torch.cat([y for _, y in first]).tolist()) == list(range(50))
    for (x, y), (x2, y2) in zip(first, second, strict=True):
        assert torch.equal(x, x2)
        assert torch.equal(y, y2)
    assert torch.equal(alone[1][0], first[1][0])
    alone.epoch = 3
    assert not torch.equal(next(iter(alone))[1], first[0][1]), "another epoch, another order"


def test_direct_encoding_takes_bytes_and_floats():
    """W8: floats from 0 to 1 were divided by 255 once more."""
    images = np.random.default_rng(0).integers(0, 256, (5, 9, 9), dtype=np.uint8)
    rng = np.random.default_rng(1)
    shown = DirectEncoder()(images, rng)
    assert shown.max() > 0.9
    assert shown.dtype == torch.float32
    assert torch.equal(shown, DirectEncoder()(images / 255, rng))
    for wrong in (images.astype(np.float32), images.astype(int), images / 255 - 0.1):
        with pytest.raises(DataError, match="DirectEncoder: images must be bytes"):
            DirectEncoder()(wrong, rng)


def test_shifted_images_keep_what_stays_inside():
    images = np.zeros((200, 9, 9), dtype=np.uint8)
    images[:, 4, 4] = 255
    moved = DirectEncoder(shift=2)(images, np.random.default_rng(0)).numpy()
    assert np.all(moved.sum((1, 2)) == 1)
    rows, columns = np.nonzero(moved)[1:]
    assert set(rows) == set(columns) == {2, 3, 4, 5, 6}


# --- the loop


def small_network(sizes=(196, 4), **options):
    network = networks.feedforward(sizes, steps=8, **options)
    return SurrogateNetwork(network, seed=1, detach_reset=True)


class Thinned(torch.nn.Dropout):
    """Leaves out spikes; those that stay are not scaled."""

    def forward(self, input):
        return super().forward(input).sign()


def test_a_resumed_training_ends_as_an_uninterrupted_one(digits, tmp_path):
    x, y = digits[0][:120], digits[1][:120]

    class StopError(Exception):
        pass

    def run(folder, resume=False, stop_after=None, module=None):
        module = module or torch.nn.Sequential(Thinned(0.2), small_network())
        torch.manual_seed(5)

        class Stopper(Callback):
            def on_metrics(self, step, metrics, context):
                if step == stop_after:
                    raise StopError

        history = train(
            module,
            Batches(x, y, PoissonEncoder(8), batch_size=32, seed=2),
            epochs=4,
            lr=0.02,
            folder=tmp_path / folder,
            resume=resume,
            callbacks=[Stopper()],
            progress=False,
        )
        return module, history

    whole, history = run("whole")
    begin = small_network().weight("input_output")
    moved = whole[1].weight("input_output") - begin
    assert moved.abs().max() > 0.01, "the weights moved"
    with pytest.raises(CallbackError, match=r"Stopper.* raised StopError in on_metrics at step 2"):
        run("parts", stop_after=2)
    again, resumed = run("parts", resume=True)
    assert resumed.epochs == 4
    assert resumed.train_loss == history.train_loss
    assert resumed.lr == history.lr
    assert history.lr[-1] == pytest.approx(0, abs=1e-12)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    names = {path.name for path in (tmp_path / "parts").iterdir()}
    held = {"checkpoint-last.biosnn", "checkpoint-best.biosnn", "curves.png"}
    assert names - {"training.lock"} == held
    with pytest.raises(ParameterError, match="data must be the same as in the run"):
        train(whole, [()], epochs=9, lr=0.02, folder=tmp_path / "whole", resume=True)
    with pytest.raises(StorageError, match="another network"):
        load_module(tmp_path / "whole" / "checkpoint-last.biosnn", small_network((196, 5, 4)))


@pytest.mark.parametrize(
    "loss", [RateCrossEntropy(0.5), RateMSE(), FirstSpikeCrossEntropy(), MembraneCrossEntropy()]
)
def test_every_loss_can_be_learned(loss, digits):
    x, y, x_test, y_test = digits
    module = small_network(weight_scale=2.0)
    test = Batches(x_test, y_test, PoissonEncoder(8), shuffle=False)
    before = evaluate(module, test, loss)
    shown = Batches(x, y, PoissonEncoder(8), batch_size=50)
    history = train(module, shown, epochs=2, loss=loss, lr=0.02, progress=False)
    after = evaluate(module, test, loss)
    assert history.epochs == 2
    assert after["loss"] < before["loss"]
    assert after["accuracy"] > max(0.8, before["accuracy"])


@pytest.mark.parametrize("encoding", ["poisson", "direct"])
def test_the_classifier_learns_and_its_control_does_not(encoding, digits):
    x, y, x_test, y_test = digits
    names = np.array(["zero", "one", "two", "three"])

    def fitted(labels):
        made = LIFClassifier((12,), T=8, encoding=encoding, epochs=3, batch_size=32, random_state=0)
        return made.set_params(tau=3 * ms, weight_scale=4.0, learning_rate=0.02).fit(x, labels)

    learned = fitted(names[y])
    control = fitted(np.random.default_rng(0).permutation(names[y]))
    assert set(learned.predict(x_test)) <= set(names)
    assert learned.encoded(x_test[:5]).shape == ((8, 5, 196) if encoding == "poisson" else (5, 196))
    score, chance = (made.score(x_test, names[y_test]) for made in (learned, control))
    assert score > 0.85
    assert chance < 0.6
    assert learned.evaluate(x_test, names[y_test])["accuracy"] == pytest.approx(score)


def test_the_classifier_refuses_what_it_cannot_use(digits):
    x, y = digits[:2]
    with pytest.raises(DataError, match="scaling"):
        LIFClassifier().fit(x.astype(float), y)
    with pytest.raises(ParameterError, match=r"hidden_layer_sizes|sizes\[1\]"):
        LIFClassifier((0,)).fit(x, y)
    with pytest.raises(ParameterError, match=r"LIFClassifier\.tau"):
        LIFClassifier(neuron=networks.threshold_neuron(), tau=3 * ms).fit(x, y)
    with pytest.raises(NotFittedError, match="fit"):
        _ = LIFClassifier().network_


# --- the way back


def test_a_trained_network_fires_the_same_spikes_in_brian2(digits):
    x, y, x_test, _ = digits
    module = small_network((196, 12, 4), weight_scale=2.0).double()
    begin = module.state()
    shown = Batches(x[:200], y[:200], PoissonEncoder(8), batch_size=50)
    train(module, shown, epochs=1, loss=RateCrossEntropy(0.5), lr=0.02, progress=False)
    state = module.state()
    assert not np.array_equal(state["hidden1_output.w"], begin["hidden1_output.w"])
    given = poisson_batch(x_test[:30], 8, np.random.Generator(np.random.SFC64(4)))
    with torch.no_grad():
        counts = module.counts(given.double()).numpy()
    assert counts.sum() > 30
    runnable = simulation.compile(module.network, device="runtime", per_sample=("output.count",))
    recording, _ = runnable.run(address_events(given, 1 * ms), state, progress=False)
    assert np.array_equal(recording.counts("output"), counts)


def test_the_last_input_reaches_the_output_of_a_feedforward_network():
    network = networks.feedforward((1, 1, 1, 1), steps=3, weights=2.0, delay=2 * ms)
    module = SurrogateNetwork(network, normalise=False)
    given = torch.zeros(3, 1, 1)
    given[2] = 1
    out = module(given)
    assert network.steps_per_presentation == 3 + 3 * (1 + 2)
    assert out.sum() == 1
    assert out[-1].item() == 1


def test_other_neurons_and_synapses_stand_in_a_feedforward_network():
    neuron = models.adaptive_lif().with_synapses(exc=models.exponential_current())
    network = networks.feedforward((4, 3, 2), neuron, synapse="exc", weights=1.0, rest_steps=30)
    assert list(network.populations) == ["input", "hidden1", "output"]
    assert network.projections["hidden1_output"].synapse == "exc"
    for name, value in (("sizes", (4,)), ("steps", 0), ("encoding", "latency")):
        with pytest.raises(ParameterError, match=name):
            networks.feedforward(**{name: value})
