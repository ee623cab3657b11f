"""Every model on an accelerator that is none: what would fail on a real one for tensors of two devices fails here."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("fake_device.py")


def ran(*options):
    done = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, timeout=600)
    lines = done.stdout.splitlines()
    return [line for line in lines if line.startswith("ok: ")], [
        line for line in lines if not line.startswith("ok: ")
    ] + done.stderr.splitlines()


@pytest.mark.parametrize("options", [(), ("--without-float64",)], ids=["like CUDA", "like mps"])
def test_all_models_run_on_a_device_of_their_own(options):
    ok, failed = ran(*options)
    assert failed == []
    assert len(ok) > (200 if options else 100)


def test_a_tensor_left_on_the_host_is_found():
    _, failed = ran("--planted")
    assert [
        line for line in failed if line.startswith("VAE, fit: RuntimeError") and "fakegpu" in line and "CPU" in line
    ]
