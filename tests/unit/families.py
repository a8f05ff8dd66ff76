"""Lets a script of this folder import the tests of each family, as pytest does; imported for that alone."""

import sys
from pathlib import Path

sys.path += [str(folder) for folder in Path(__file__).parent.iterdir() if folder.is_dir()]
