"""What is known of modules: which are fine to import, which are worth a look, and why."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import MappingProxyType

# Of the standard library: nothing in them reaches out of the process. `os`, `sys` and `io` are judged by what is used.
_QUIET = """
__future__ abc argparse array ast base64 binascii bisect bz2 calendar cmath codecs collections colorsys concurrent
contextlib contextvars copy csv dataclasses datetime decimal difflib enum fractions functools gc graphlib gzip
hashlib heapq hmac html inspect io itertools json keyword locale logging lzma math numbers operator os pathlib
platform pprint queue random re reprlib secrets stat statistics string struct sys textwrap threading time timeit
token tokenize tomllib traceback types typing unicodedata unittest uuid warnings weakref xml zlib zoneinfo
"""
# Libraries that studies use; names of distributions and of modules, in the form of `plain`.
_LIBRARIES = """
attr attrs catboost cv2 einops fedstudy fedstudy_core fedstudy_node flax flwr jax jaxlib keras lifelines lightgbm
lightning matplotlib monai networkx nibabel numba numpy opacus opencv_python_headless optax pandas patsy pil pillow
polars psutil pyarrow pydantic pydicom pytorch_lightning rich safetensors scikit_image scikit_learn scikit_survival
scipy seaborn simpleitk skimage sklearn sksurv statsmodels structlog sympy tensorflow threadpoolctl timm tokenizers
torch torchaudio torchmetrics torchvision tqdm transformers typing_extensions xgboost
"""
_NOTED = {
    "NETWORK_MODULE": """
        aiohttp asyncore asynchat azure boto3 botocore ftplib google http httpx imaplib kafka nntplib paramiko poplib
        psycopg psycopg2 pymongo pymysql redis requests smtplib socket socketserver sqlalchemy ssl telnetlib tornado
        urllib urllib3 websocket websockets xmlrpc zmq grpc wandb mlflow logging.handlers torch.distributed webbrowser
    """,
    "NETWORK_DOWNLOAD": """
        flwr_datasets datasets huggingface_hub torch.hub torchvision.datasets.utils gdown kaggle
    """,
    "PROCESS_MODULE": """
        multiprocessing pty subprocess torch.multiprocessing pexpect sh plumbum
    """,
    "PROCESS_LINGERS": """
        asyncio _thread sched
    """,
    "PROCESS_HOOK": """
        atexit signal faulthandler resource
    """,
    "DYNAMIC_IMPORT": """
        importlib runpy pkgutil imp zipimport pip ensurepip venv pkg_resources setuptools
    """,
    "DYNAMIC_INTERNALS": """
        builtins code codeop dis sys.monitoring bdb pdb opcode symtable
    """,
    "DYNAMIC_PATCH": """
        unittest.mock mock wrapt forbiddenfruit
    """,
    "NATIVE_MODULE": """
        ctypes cffi _ctypes numpy.ctypeslib numpy.f2py torch.utils.cpp_extension cython pyximport llvmlite mmap
    """,
    "DESERIALISE_MODULE": """
        pickle cPickle _pickle cloudpickle dill jsonpickle joblib marshal shelve dbm pickletools torch.package
    """,
    "FILE_WRITE": """
        shutil tempfile sqlite3 zipfile tarfile fileinput
    """,
    "FILE_LOOK": """
        glob fnmatch filecmp linecache pwd grp
    """,
}
QUIET = frozenset(_QUIET.split())
LIBRARIES = frozenset(_LIBRARIES.split())
NOTED: Mapping[str, str] = MappingProxyType(
    {module: rule for rule, modules in _NOTED.items() for module in modules.split()}
)
STANDARD = frozenset(sys.stdlib_module_names)
# Modules that others import for their own use: who goes through them hides where a call leads.
DETOURS = frozenset(
    {"os", "sys", "subprocess", "socket", "ctypes", "builtins", "importlib", "shutil", "pickle", "urllib"}
)


def rule_of_module(module: str) -> str:
    """The rule that an import of this module meets, "" where it is fine."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        rule = NOTED.get(".".join(parts[:length]))
        if rule:
            return rule
    if parts[0] in QUIET or plain(parts[0]) in LIBRARIES:
        return ""
    return "PROCESS_OTHER" if parts[0] in STANDARD else "FLOWER_IMPORT"


def plain(name: str) -> str:
    """A distribution's or module's name in the one form in which names are compared."""
    return name.lower().replace("-", "_").replace(".", "_")
