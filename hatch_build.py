"""Build hook: compile `streams/packed/_native.c` where there is a C compiler.

Without one the wheel is pure Python and works all the same: `streams/packed` falls back.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution, Extension

MODULE = "streams.packed._native"
SOURCE = "streams/packed/_native.c"


class NativeBuildHook(BuildHookInterface[Any]):
    """Puts the compiled module beside its source, and from there into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and name the wheel after the interpreter where that worked."""
        extension = Extension(MODULE, [SOURCE], optional=True)
        command = Distribution({"ext_modules": [extension]}).get_command_obj("build_ext")
        command.ensure_finalized()
        command.force = True
        # Kept until the wheel is written.
        self.folder = TemporaryDirectory()
        command.build_lib = command.build_temp = self.folder.name
        # An editable install reads the checkout, so there the module has to be in it.
        command.inplace = version == "editable"
        command.run()
        (built,) = map(Path, command.get_outputs())
        if built.exists() and not command.inplace:
            build_data["force_include"][str(built)] = f"streams/packed/{built.name}"
            build_data["infer_tag"] = True
            build_data["pure_python"] = False
