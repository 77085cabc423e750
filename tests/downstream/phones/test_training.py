"""The probes are what they are called: scikit-learn's optimum, PyTorch's steps, every frame by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from sklearn.linear_model import LogisticRegression

from jfewshot.downstream.frames import Frames
from jfewshot.downstream.phones.batches import LabelledFrames
from jfewshot.downstream.phones.model import PhoneClassifier, with_neighbours
from jfewshot.downstream.phones.training import Plan, compiled, loss_function
from jfewshot.downstream.scaling import Scaling
from jfewshot.simclr.encoder import EncoderConfig
from jfewshot.training.config import OptimiserConfig

DIM, N_CLASSES = 4, 3


@pytest.fixture(scope="module")
def speech():
    """Six utterances of 20 to 40 frames whose classes overlap; a tenth of the frames has no label."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(20, 40, 6)
    labels = [rng.integers(0, N_CLASSES, n) for n in lengths]
    centres = rng.standard_normal((N_CLASSES, DIM))
    parts = [(centres[each] + 1.5 * rng.standard_normal((len(each), DIM))).astype(np.float32) for each in labels]
    labels = [np.where(rng.random(len(each)) < 0.1, -1, each) for each in labels]
    return LabelledFrames(Frames.joined(parts), labels)


def labelled(speech):
    labels = np.concatenate(speech.labels)
    return np.asarray(speech.frames.values, np.float64)[labels >= 0], labels[labels >= 0]


SCALING = Scaling(jnp.zeros(DIM), jnp.ones(DIM))


def test_the_linear_probe_comes_to_scikit_learn_s_optimum(speech):
    """All frames in every step, without weight decay: the rate falls to zero at the optimum of the mean cross-entropy."""
    n_steps = 800
    plan = Plan(DIM, N_CLASSES, 0, OptimiserConfig("cosine", 0.05, 1, 0.0, b2=0.999, clip_norm=0.0), steps=n_steps)
    functions, batch = compiled(plan), speech.batch(np.arange(6), 40)
    state = functions.initial(0)
    for _ in range(n_steps):
        state, values = functions.step(state, batch, jax.random.key(0), SCALING)
    frames, labels = labelled(speech)
    exact = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(frames, labels)
    expected = exact.predict_log_proba(frames)
    found = frames @ np.asarray(state.params["output.kernel"], np.float64) + np.asarray(state.params["output.bias"])
    found = found - np.log(np.exp(found).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found, expected, atol=2e-4)  # single precision, and Adam's last steps
    loss = -expected[np.arange(len(labels)), labels].mean()
    assert float(values["loss"]) == pytest.approx(loss, abs=1e-6)  # quadratic at the optimum
    scored = functions.score(state.params, batch, SCALING)
    assert int(scored.n) == len(labels)
    assert float(scored.loss) / len(labels) == pytest.approx(loss, abs=1e-6)
    there = batch.labels >= 0
    assert np.mean(np.asarray(scored.predicted)[there] == batch.labels[there]) == pytest.approx(
        exact.score(frames, labels), abs=1e-12
    )


def test_the_hidden_probe_takes_pytorch_s_steps(speech):
    torch = pytest.importorskip("torch")
    plan = Plan(DIM, N_CLASSES, 16, OptimiserConfig("constant", 1e-2, 1, 0.1, b2=0.999, clip_norm=0.3), context=1)
    state, step = compiled(plan).initial(3), compiled(plan).step
    layers = torch.nn.Sequential(torch.nn.Linear(3 * DIM, 16), torch.nn.ReLU(), torch.nn.Linear(16, N_CLASSES))
    with torch.no_grad():
        for layer, name in ((layers[0], "hidden"), (layers[2], "output")):
            layer.weight.copy_(torch.tensor(np.array(state.params[f"{name}.kernel"]).T))
            layer.bias.copy_(torch.tensor(np.array(state.params[f"{name}.bias"])))
    groups = [{"params": [layer.weight for layer in (layers[0], layers[2])], "weight_decay": 0.1}]
    groups += [{"params": [layer.bias for layer in (layers[0], layers[2])], "weight_decay": 0.0}]
    theirs = torch.optim.AdamW(groups, lr=1e-2, betas=(0.9, 0.999), eps=1e-8)
    rng = np.random.default_rng(1)
    for _ in range(12):
        members = rng.permutation(6)[:4]
        state, values = step(state, speech.batch(members, 40), jax.random.key(0), SCALING)
        # By hand: each utterance with a frame of zeros before and behind, three neighbours side by side.
        inputs = [np.pad(speech.frames.of(n), ((1, 1), (0, 0))) for n in members]
        inputs = torch.tensor(np.concatenate([np.hstack([each[:-2], each[1:-1], each[2:]]) for each in inputs]))
        labels = torch.tensor(np.concatenate([speech.labels[n] for n in members]))
        loss = torch.nn.functional.cross_entropy(layers(inputs), labels, ignore_index=-1)
        theirs.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(layers.parameters(), 0.3)
        theirs.step()
        assert float(values["loss"]) == pytest.approx(float(loss.detach()), abs=2e-5)
    for layer, name in ((layers[0], "hidden"), (layers[2], "output")):
        np.testing.assert_allclose(state.params[f"{name}.kernel"], layer.weight.detach().numpy().T, atol=5e-5)
        np.testing.assert_allclose(state.params[f"{name}.bias"], layer.bias.detach().numpy(), atol=5e-5)


def test_neighbours_stand_in_the_order_of_time_with_zeros_beyond_the_ends():
    frames = jnp.arange(1.0, 7.0).reshape(1, 3, 2)
    expected = [[0, 0, 1, 2, 3, 4], [1, 2, 3, 4, 5, 6], [3, 4, 5, 6, 0, 0]]
    np.testing.assert_array_equal(with_neighbours(frames, 1)[0], expected)
    assert with_neighbours(frames, 0) is frames


def test_a_fine_tuned_encoder_s_gradient_is_that_of_each_utterance_alone():
    """Padding and company change nothing: the gradient of a batch is the mean over its labelled frames."""
    config = EncoderConfig(
        n_mels=DIM, n_layers=1, d_model=8, d_ff=8, n_heads=2, prenet="conv1d", prenet_channels=4, dropout=0.0
    )
    rng = np.random.default_rng(2)
    lengths = np.array([20, 33])
    parts = [rng.standard_normal((n, DIM)).astype(np.float32) for n in lengths]
    labels = [rng.integers(-1, N_CLASSES, config.n_frames(int(n))) for n in lengths]
    data = LabelledFrames(Frames.joined(parts), labels, config)

    plan = Plan(DIM, N_CLASSES, 0, encoder=config)
    gradient = jax.jit(jax.grad(loss_function(plan), has_aux=True))
    params = compiled(plan).initial(0).params
    keys = jax.random.key(0)
    whole, values = gradient(params, data.batch(np.array([0, 1]), 48), keys, SCALING)
    alone = [gradient(params, data.batch(np.array([n, n]), 48), keys, SCALING) for n in (0, 1)]
    counts = np.array([np.sum(each >= 0) for each in labels])
    shares = counts / counts.sum()
    assert float(values["loss"]) == pytest.approx(
        sum(share * float(each[1]["loss"]) for share, each in zip(shares, alone, strict=True)), rel=1e-5
    )
    for name, value in whole.items():
        both = sum(share * each[0][name] for share, each in zip(shares, alone, strict=True))
        np.testing.assert_allclose(value, both, atol=1e-6, err_msg=name)
    assert np.abs(whole["encoder.layers.0.query.kernel"]).max() > 0.0


def test_the_probes_have_s3prl_s_sizes():
    def sizes(**given):
        model = nnx.eval_shape(lambda: PhoneClassifier(768, 48, **given, rngs=nnx.Rngs(0)))
        return {".".join(map(str, path)): leaf.shape for path, leaf in nnx.to_flat_state(nnx.state(model, nnx.Param))}

    assert sizes() == {"output.kernel": (768, 48), "output.bias": (48,)}
    assert sizes(hidden=2048) == {
        "hidden.kernel": (768, 2048), "hidden.bias": (2048,), "output.kernel": (2048, 48), "output.bias": (48,)
    }  # fmt: skip
    assert sizes(context=5)["output.kernel"] == (768 * 11, 48)
