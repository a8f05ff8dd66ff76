"""pydicom without what no image of ours needs: imported as it stands it would bring a web client, the dictionaries of private elements,
its examples and all decoders, which are twice the memory of the reader and 0.4 s. What is left out here is loaded when it is needed.
"""

import importlib
import importlib.util
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["load_decoder", "load_pydicom"]

DECODERS = ("libjpeg", "openjpeg", "pylibjpeg", "rle")
ABSENT = (*DECODERS, "PIL", "_hashlib", "requests")  # JPEG always has the same decoder, pylibjpeg's; OpenSSL is 3 MB
_is_silent = False
WITHOUT_OPENSSL = ("hashlib", "hmac", "secrets")  # pydicom's own copies do without; others shall get whole ones


class _PrivateDictionaries(dict):
    """The dictionaries of private elements by creator, read when an element is asked for that needs one."""

    def __missing__(self, creator: str) -> Any:
        known = importlib.import_module("pydicom._private_dict").private_dictionaries
        for name, entries in known.items():
            self.setdefault(name, entries)
        return known[creator]


def load_pydicom() -> None:
    """Import pydicom; whoever imports one of the modules left out here gets the whole module.

    Its warnings are silenced: they quote values of headers, which may be somebody's name, and what matters becomes a reason.
    """
    global _is_silent
    if not _is_silent:
        warnings.filterwarnings("ignore", module=r"pydicom\.")
        logging.getLogger("pydicom").setLevel(logging.CRITICAL)
        _is_silent = True
    if "pydicom" in sys.modules:
        return
    before = set(sys.modules)
    stand_ins: dict[str, Any] = dict.fromkeys(ABSENT)  # None there: not installed
    stand_ins["importlib.metadata"] = _module("importlib.metadata", version=_installed)
    stand_ins["pydicom._private_dict"] = _module("pydicom._private_dict", private_dictionaries=_PrivateDictionaries())
    stand_ins["pydicom.data"] = _module("pydicom.data", get_palette_files=_later("pydicom.data", "get_palette_files"))
    stand_ins["pydicom.examples"] = _module("pydicom.examples")
    stand_ins["tempfile"] = _module("tempfile", NamedTemporaryFile=_later("tempfile", "NamedTemporaryFile"))
    stand_ins = {name: module for name, module in stand_ins.items() if name not in before}
    sys.modules.update(stand_ins)
    try:
        importlib.import_module("pydicom")
    finally:
        for name in (*stand_ins, *(set(WITHOUT_OPENSSL) - before)):
            sys.modules.pop(name, None)


def load_decoder(syntax: str) -> None:
    """Give pydicom the decoder of a compressed transfer syntax, where there is one."""
    from pydicom.pixels import get_decoder
    from pydicom.pixels.decoders import pylibjpeg

    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        return  # whoever decodes says so
    if "pylibjpeg" in decoder.available_plugins:
        return
    if not pylibjpeg._DECODERS:
        importlib.reload(pylibjpeg)
    decoder.remove_plugin("pylibjpeg")
    decoder.add_plugin("pylibjpeg", (pylibjpeg.__name__, "_decode_frame"))


def _module(name: str, **names: Any) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(names)
    return module


def _installed(package: str) -> str:
    """Return the version of an installed package, from the name of the folder that its installer wrote."""
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.origin is not None:
        for folder in Path(spec.origin).parents[1].glob(f"{package}-*.dist-info"):
            return folder.name.removeprefix(f"{package}-").removesuffix(".dist-info")
    return importlib.import_module("importlib.metadata").version(package)


def _later(module: str, name: str) -> Callable[..., Any]:
    return lambda *args, **named: getattr(importlib.import_module(module), name)(*args, **named)
