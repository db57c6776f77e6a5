"""``python -m tests.engines.only PACKAGES ARGUMENTS...``: mstl where no other third-party packages are installed."""

import runpy
import sys


class Refuse:
    """Finds no package but those of Python, mstl and the given ones."""

    def __init__(self, packages):
        self.known = {*sys.stdlib_module_names, "mstl", *packages}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in self.known:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


if __name__ == "__main__":
    sys.meta_path.insert(0, Refuse(sys.argv[1].split(",")))
    sys.argv = ["mstl", *sys.argv[2:]]
    runpy.run_module("mstl", run_name="__main__", alter_sys=True)
