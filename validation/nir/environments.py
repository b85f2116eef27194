"""Make an environment for each framework: ``python validation/nir/environments.py FOLDER``.

Each goes to ``FOLDER/NAME``; Sinabs asks for versions of ``nir`` and ``nirtorch`` that the others
do not take. PyTorch is that of PyPI; ``UV_LINK_MODE=hardlink`` keeps one copy of it. Afterwards::

    FOLDER/snntorch/bin/python validation/nir/record_snntorch.py graphs validation/nir/recorded
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

#: Framework -> what is installed. These versions were recorded.
PACKAGES = {
    "snntorch": ("snntorch==1.0.0", "nir==1.0.8", "nirtorch==2.6"),
    "norse": ("norse==1.1.0", "nir==1.0.8", "nirtorch==2.6"),
    "sinabs": ("sinabs==3.1.3", "nir==1.0.4", "nirtorch==2.0.2"),
    "spikingjelly": ("spikingjelly==2.0.0", "nir==1.0.8", "nirtorch==2.6"),
}
TORCH = "torch==2.15.0"


def main() -> None:
    """Make those that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("frameworks", nargs="*", metavar="FRAMEWORK", help=", ".join(PACKAGES))
    args = parser.parse_args()
    unknown = sorted(set(args.frameworks) - set(PACKAGES))
    if unknown:
        parser.error(f"{unknown[0]} is not one of {', '.join(PACKAGES)}")
    uv = Path(sys.executable).with_name("uv")
    given = {"UV_LINK_MODE": "hardlink", **os.environ}
    for name in args.frameworks or PACKAGES:
        where = args.folder / name
        make = [uv, "venv", "--quiet", "--python", sys.executable, "--no-python-downloads", where]
        subprocess.run(make, check=True, env=given)
        install = [uv, "pip", "install", "--python", where / "bin" / "python", TORCH]
        subprocess.run([*install, *PACKAGES[name]], check=True, env=given)


if __name__ == "__main__":
    main()
