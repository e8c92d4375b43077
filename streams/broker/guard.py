"""Run one child program that never outlives the process that asked for it.

A script of its own (standard library only, run by path): it starts the child, writes the child's
pid as one line on stdout and waits. When its stdin ends, its parent is gone, or it gets SIGTERM, it
asks the child to stop, kills it after `--grace` seconds and removes `--remove`'s folder. When the
child ends by itself, it ends with the child's exit code and removes nothing.

Why a process and not a flag: Linux's parent-death signal follows the *thread* that started the
child, macOS has none, and a process that is killed cannot clean up after itself.
"""

import argparse
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
# A forked sibling may hold the pipe open after our parent's death: so its pid is looked at, too.
_LOOK_SECONDS = 1.0


def main() -> int:
    """Guard the program on the command line; return its exit code, 0 after an asked-for stop."""
    options = _options()
    wakeup = _wake_on_signals()
    child = subprocess.Popen(  # noqa: S603 - the arguments are the parent's
        options.command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        stderr=sys.stderr,
        # Safe here: this process has one thread and nothing else runs between fork and exec.
        preexec_fn=_die_with_parent(),  # noqa: PLW1509
    )
    sys.stdout.write(f"{child.pid}\n")
    sys.stdout.close()
    while child.poll() is None:
        if _asked_to_stop(options.parent, wakeup):
            _stop(child, options.grace)
            if options.remove:
                shutil.rmtree(options.remove, ignore_errors=True)
            return 0
    return child.returncode


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--grace", type=float, required=True)
    parser.add_argument("--remove")
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def _wake_on_signals() -> int:
    """Return a descriptor that gets one byte, the signal's number, for SIGTERM and SIGCHLD."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return reader


def _die_with_parent() -> Callable[[], object] | None:
    # Should this process itself be killed, Linux kills the child with it.
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _asked_to_stop(parent: int, wakeup: int) -> bool:
    ready, _, _ = select.select([0, wakeup], [], [], _LOOK_SECONDS)
    terminated = wakeup in ready and signal.SIGTERM in os.read(wakeup, 64)
    return terminated or 0 in ready or os.getppid() != parent


def _stop(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    child.terminate()
    child.send_signal(signal.SIGCONT)  # one that is paused would not hear the first
    try:
        child.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


if __name__ == "__main__":
    sys.exit(main())
