"""Processes that a benchmark starts."""

import sys

from benchmarks.tools.child import run_child

JAX_FAILURE = """
import jax
def wrong(x):
    return x.no_such_attribute
jax.jit(wrong)(1.0)
"""


def failure(code):
    return run_child([sys.executable, "-c", code], 120, {"JAX_PLATFORMS": "cpu"}).reason


def test_the_reason_of_a_failure_is_the_exception_and_not_jaxs_remark_about_frames():
    reason = failure(JAX_FAILURE)
    assert reason.startswith("exit status 1: AttributeError: ")
    assert reason.endswith("no attribute no_such_attribute")


def test_without_an_exception_the_last_line_is_the_reason():
    assert failure("import sys; sys.stderr.write('first\\nlast\\n'); sys.exit(3)") == "exit status 3: last"
    assert failure("import os; os._exit(4)") == "exit status 4: no message"


def test_a_signal_is_named():
    assert failure("import os, signal; os.kill(os.getpid(), signal.SIGKILL)") == "stopped by signal SIGKILL"


def test_a_process_that_is_stopped_is_reported_with_the_step_it_named():
    code = "import sys, time; sys.stderr.write('step: first\\nstep: sleeping\\n'); sys.stderr.flush(); time.sleep(60)"
    reason = run_child([sys.executable, "-c", code], 2).reason
    assert reason == "stopped after 2 s while sleeping"


def test_an_exception_of_another_name_is_found():
    reason = failure("class BackendCompilerFailed(Exception): pass\nraise BackendCompilerFailed('no compiler')")
    assert reason.endswith("BackendCompilerFailed: no compiler")
