"""The environment that programs in Python are tested in: the package installed, and its interpreter first in PATH."""

import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


def environment(build):
    """os.environ with the environment's interpreter and the build's programs in PATH."""
    made = subprocess.run([os.path.join(HERE, "python_environment.sh")], stdout=subprocess.PIPE, text=True, check=True)
    folders = [os.path.join(made.stdout.strip(), "bin"), os.path.join(build, "bin"), os.environ["PATH"]]
    return dict(os.environ, PATH=os.pathsep.join(folders), HISTRIO_NODE=os.path.join(build, "bin", "histrio-node"),
                PYTHONDONTWRITEBYTECODE="1", LC_ALL="C.UTF-8")
