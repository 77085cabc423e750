import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

from jfewshot.evaluator import compile_cache
from jfewshot.evaluator.compile_cache import prune, use_compile_cache
from jfewshot.files import user_cache


@pytest.fixture
def settings(monkeypatch):
    """What would be told to JAX, in place of telling it."""
    told = {}
    monkeypatch.setattr(jax.config, "update", lambda name, value: told.update({name: value}))
    return told


def test_the_users_cache_folder_is_taken_with_one_folder_for_each_kind_of_processor(settings, tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = use_compile_cache()
    assert folder.parent == tmp_path / "jfewshot" / "compiled"
    assert settings["jax_compilation_cache_dir"] == str(folder)
    assert list(folder.iterdir()) == []
    monkeypatch.setattr(compile_cache, "_processor", lambda: "another")
    assert use_compile_cache() == folder.parent / "another"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert user_cache() == Path.home() / ".cache"


def test_the_folder_that_jax_was_given_is_left_to_jax(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "mine"))
    assert use_compile_cache() == tmp_path / "mine"
    assert "jax_compilation_cache_dir" not in settings


def test_unwanted_it_is_switched_off(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert use_compile_cache(False) is None
    assert settings == {"jax_enable_compilation_cache": False}
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_costs_the_cache_and_not_the_run(settings, tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert use_compile_cache() is None
    assert "jax_compilation_cache_dir" not in settings


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    for age, name in enumerate("dcba"):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (time.time() - age, time.time() - 1000))
    prune(tmp_path, most_bytes=400)
    assert len(list(tmp_path.iterdir())) == 4
    prune(tmp_path, most_bytes=399)
    # a was read last 3 s ago, d just now.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d"]


PROGRAM = """
import jax, jax.numpy as jnp, sys
from jfewshot.evaluator.compile_cache import use_compile_cache
from jax._src import monitoring
jax.config.update("jax_num_cpu_devices", 1)
use_compile_cache()
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
seen = []
monitoring.register_event_listener(lambda name, **_: seen.append(name))
jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones((8, 8))).block_until_ready()
sys.stdout.write(str(seen.count("/jax/compilation_cache/cache_hits")))
"""


def test_a_second_process_finds_what_the_first_compiled_and_damage_is_compiled_anew(tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)

    def hits():
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    assert hits() == 0
    assert hits() >= 1
    for entry in tmp_path.rglob("*-cache"):
        entry.write_bytes(entry.read_bytes()[:50])
    assert hits() == 0
