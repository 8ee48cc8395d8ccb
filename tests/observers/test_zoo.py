"""Observers by name from timm and torchvision, and weights from local checkpoints."""

from __future__ import annotations

import json
import resource
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from ddcodec import encode, info
from ddcodec.errors import DDSetError, InvalidFile, MissingExtra, SourceError, UsageError
from ddcodec.nn.workarounds import make_torchvision_importable
from ddcodec.observers import zoo
from ddcodec.observers.build import build, check_name, initialise
from ddcodec.observers.file import load
from ddcodec.observers.train import train
from ddcodec.observers.training import Recipe
from ddcodec.observers.weights import read_checkpoint
from ddcodec.observers.zoo import deepest, taken_apart
from ddcodec.sources import Source

make_torchvision_importable()
pytest.importorskip("timm")
RECIPE = Recipe(steps=1, batch_size=64, augment="crop")
SMALL = "timm:mobilenetv3_small_050"


@pytest.mark.parametrize(
    ("name", "shape", "layer"),
    [
        ("timm:resnet18", (3, 64, 64), "layer4"),
        ("timm:resnet18", (1, 32, 32), "layer3"),  # the fourth has one place left
        ("torchvision:shufflenet_v2_x0_5", (1, 64, 64), "conv5"),
        ("timm:vit_tiny_patch16_224", (3, 32, 48), None),
    ],
)
def test_a_model_sees_images_and_is_compared_in_a_deep_layer(
    name: str, shape: tuple[int, int, int], layer: str | None
) -> None:
    before = torch.get_rng_state()
    network = build(name, *shape, 7).eval()
    assert torch.equal(torch.get_rng_state(), before)
    assert network.architecture.startswith(f"{name}@{layer or ''}")
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert network(x).shape == (2, 7)
    found = network.features(x)
    assert found.shape[0] == 2
    assert found.ndim in (3, 4)
    (gradient,) = torch.autograd.grad(found.square().sum(), x)
    assert gradient.abs().sum() > 0
    # The whole pass gives the same features as the one that stops there.
    kept = []
    hook = network.model.get_submodule(network.layer).register_forward_hook(
        lambda module, given, out: kept.append(out)
    )
    network(x)
    hook.remove()
    assert torch.equal(kept[0], found)


def test_weights_come_from_the_generator() -> None:
    a, b, c = (
        initialise(build(SMALL, 1, 32, 32, 3), torch.Generator().manual_seed(seed)).state_dict()
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not all(torch.equal(a[name], c[name]) for name in a)


def test_the_deepest_layer_still_tells_places_apart() -> None:
    shapes = {"a": (2, 8, 4, 4), "b": (2, 8, 2, 2), "se": (2, 8, 1, 1), "fc": (2, 10)}
    assert deepest(shapes) == "b"
    assert deepest({"a": (2, 5, 16), "b": (2, 16)}) == "a"
    assert deepest({"a": (2, 8, 1, 1), "b": (2, 16)}) == "a"


def test_names_have_one_spelling() -> None:
    assert taken_apart("timm:resnet18@layer2.1") == ("timm", "resnet18", "layer2.1")
    for wrong in ("timm:hf-hub/x", "timm:../x", "os:system", "timm:", "timm:x@", "timm:a b"):
        with pytest.raises(UsageError):
            taken_apart(wrong)
    with pytest.raises(UsageError, match="timm has no classifier 'resnet19'; it has resnet"):
        check_name("timm:resnet19")
    with pytest.raises(UsageError, match="torchvision has no classifier 'fcn_resnet50'"):
        check_name("torchvision:fcn_resnet50")
    with pytest.raises(UsageError, match="has no layer 'layer9'"):
        build("timm:resnet18@layer9", 3, 32, 32, 2)
    with pytest.raises(UsageError, match=r"cannot see images of 1x4x4|cannot be made"):
        build("torchvision:squeezenet1_1", 1, 4, 4, 2)


def test_a_missing_library_is_one_line_and_code_4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(MissingExtra, match=r"timm.* is not installed; .*ddcodec\[observers\]") as e:
        check_name(SMALL)
    assert e.value.exit_code == 4


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, digits: Source) -> Path:
    path = tmp_path_factory.mktemp("library") / "o.safetensors"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(digits, f"{SMALL}@blocks.0", path, epochs=1, recipe=RECIPE)
    return path


def test_a_trained_one_is_saved_loaded_and_used_by_lic(
    trained: Path, digits: Source, tmp_path: Path
) -> None:
    observer = load(trained)
    assert observer.description.architecture == f"{SMALL}@blocks.0"
    again = tmp_path / "again.safetensors"
    train(digits, f"{SMALL}@blocks.0", again, epochs=1, recipe=RECIPE)
    assert load(again).digest == observer.digest
    out = tmp_path / "x.ddset"
    settings = {"observer": trained, "precision": "float32", "ipc": 1, "steps": 2, "device": "cpu"}
    encode(digits, out, "lic", **settings)
    assert info(out)["provenance"]["observer"] == {
        "architecture": f"{SMALL}@blocks.0",
        "digest": observer.digest[:32],
    }
    with pytest.raises(UsageError, match="a file cannot hold a timm:mobile"):
        encode(
            digits, tmp_path / "y.ddset", "lic", **settings,
            labels="embed-teacher",
        )  # fmt: skip
    assert not (tmp_path / "y.ddset").exists()
    assert not (tmp_path / "y.ddset.checkpoint").exists()  # said before the work


def test_a_file_cannot_name_what_is_no_classifier(trained: Path, tmp_path: Path) -> None:
    data = trained.read_bytes()
    length = int.from_bytes(data[:8], "little")
    for name in ("timm:hf-hub:me/x", "timm:../x@y", "timm:nothing_of_this_name@blocks.0"):
        header = json.loads(data[8 : 8 + length])
        body = json.loads(header["__metadata__"]["observer"])
        body["architecture"] = name
        header["__metadata__"]["observer"] = json.dumps(body)
        text = json.dumps(header).encode()
        bad = tmp_path / "bad.safetensors"
        bad.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
        with pytest.raises(DDSetError) as caught:
            load(bad)
        assert "\n" not in str(caught.value)


def test_a_small_file_that_names_a_huge_model_takes_no_memory_for_it(
    trained: Path, tmp_path: Path
) -> None:
    data = trained.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    body = json.loads(header["__metadata__"]["observer"])
    body["architecture"] = "timm:vit_giant_patch14_224@norm"  # four gigabytes of weights
    body["image"] |= {"height": 224, "width": 224}
    header["__metadata__"]["observer"] = json.dumps(body)
    text = json.dumps(header).encode()
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidFile, match="its weights are not those of timm:vit_giant"):
        load(bad)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # KiB


def published(path: Path, classes: int = 10, seed: int = 3, **changes: Any) -> Path:
    """Write a checkpoint as others do: names of the library, wrapped in a dictionary."""
    model = zoo._made("timm", "mobilenetv3_small_050", 1, 8, 8, classes, seed)
    torch.save({"epoch": 1, "state_dict": model.state_dict() | changes}, path)
    return path


def test_a_checkpoint_of_the_same_classes_is_taken_as_it_is(digits: Source, tmp_path: Path) -> None:
    path = published(tmp_path / "c.pt")
    out = tmp_path / "o.safetensors"
    result = train(digits, SMALL, out, epochs=0, weights=path, recipe=RECIPE)
    assert result.steps == 0
    found, wanted = load(out).network.state_dict(), read_checkpoint(path)[0]
    assert all(
        torch.equal(found[f"model.{name}"], wanted[name])
        for name in wanted
        if wanted[name].is_floating_point()
    )
    assert load(out).description.training["weights"] == read_checkpoint(path)[1][:32]
    # What published weights expect to see, here in grey.
    spec = load(out).description.image["preprocessing"]
    assert spec["mean"] == pytest.approx([(0.485 + 0.456 + 0.406) / 3])


def test_a_checkpoint_of_other_classes_is_a_beginning(digits: Source, tmp_path: Path) -> None:
    path = published(tmp_path / "c.pt", classes=4)
    out = tmp_path / "o.safetensors"
    with pytest.raises(UsageError, match="other classes"):
        train(digits, SMALL, out, epochs=0, weights=path, recipe=RECIPE)
    train(digits, SMALL, out, epochs=0.1, weights=path, recipe=RECIPE)
    assert load(out).description.training["steps"] == 2


def test_what_is_no_checkpoint_of_this_network_is_one_line(digits: Source, tmp_path: Path) -> None:
    def attempt(path: Path, name: str = SMALL) -> None:
        train(digits, name, tmp_path / "o", epochs=1, weights=path, recipe=RECIPE)

    path = published(tmp_path / "c.pt")
    with pytest.raises(UsageError, match="holds no weights 'blocks"):
        attempt(path, "convnet3")
    with pytest.raises(UsageError, match="weight' is 2x2"):
        attempt(published(tmp_path / "d.pt", **{"conv_stem.weight": torch.zeros(2, 2)}))
    nan = {"conv_stem.weight": torch.full((16, 1, 3, 3), torch.nan)}
    with pytest.raises(UsageError, match="not finite"):
        attempt(published(tmp_path / "e.pt", **nan))
    (tmp_path / "junk.pt").write_bytes(b"\x80\x04K\x01.")
    (tmp_path / "junk.safetensors").write_bytes(b"no header")
    for name in ("junk.pt", "junk.safetensors"):
        with pytest.raises(InvalidFile):
            attempt(tmp_path / name)
    with pytest.raises(SourceError, match="no such file"):
        attempt(tmp_path / "none.pt")


class Trap:
    """What would run code if it were unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exit, (99,))


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "trap": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(InvalidFile, match="is no checkpoint of tensors"):
        read_checkpoint(tmp_path / "trap.pt")
