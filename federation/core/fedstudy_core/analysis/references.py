"""What is known of functions, methods and attributes that source refers to: which are worth a look, and why."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# By dotted name, the longest known beginning counts; those under "" are fine.
_REFERENCES = {
    "": """
        os.path os.path.join os.path.basename os.path.dirname os.path.splitext os.path.split os.path.sep
        os.path.normpath os.sep os.linesep os.fspath os.PathLike os.cpu_count os.urandom sys.version_info sys.version
        sys.platform sys.maxsize sys.float_info sys.byteorder sys.getsizeof sys.stdout sys.stderr sys.exc_info
        io.StringIO io.BytesIO io.TextIOBase concurrent.futures.wait torch.distributions
    """,
    "PROCESS_OTHER": """
        os sys os.getpid os.uname sys.argv sys.exit sys.executable platform.node io.BufferedReader psutil
    """,
    "FILE_READ": """
        open io.open io.FileIO io.open_code os.open os.fdopen os.read os.pread codecs.open gzip.open bz2.open
        lzma.open numpy.loadtxt numpy.genfromtxt numpy.fromfile numpy.memmap numpy.lib.format numpy.DataSource
        pandas.read_csv pandas.read_table pandas.read_fwf pandas.read_excel pandas.read_json pandas.read_parquet
        pandas.read_feather pandas.read_hdf pandas.read_orc pandas.read_sas pandas.read_spss pandas.read_stata
        pandas.read_xml polars.read_csv polars.read_parquet polars.scan_csv polars.scan_parquet
        pyarrow.parquet.read_table pyarrow.csv.read_csv pyarrow.memory_map pyarrow.OSFile safetensors.numpy.load_file
        safetensors.torch.load_file safetensors.safe_open PIL.Image.open nibabel.load pydicom.dcmread
        pydicom.read_file cv2.imread scipy.io.loadmat torchvision.datasets.ImageFolder inspect.getsource
    """,
    "FILE_WRITE": """
        os.remove os.unlink os.rmdir os.mkdir os.makedirs os.rename os.replace os.link os.symlink os.chmod os.chown
        os.truncate os.write os.pwrite os.mkfifo os.mknod os.removedirs os.renames os.utime numpy.save numpy.savez
        numpy.savez_compressed numpy.savetxt torch.save torch.jit.save safetensors.numpy.save_file
        safetensors.torch.save_file logging.FileHandler scipy.io.savemat torchvision.utils.save_image
        pandas.ExcelWriter pandas.HDFStore
    """,
    "FILE_LOOK": """
        os.listdir os.scandir os.walk os.fwalk os.stat os.lstat os.access os.getcwd os.chdir os.path.exists
        os.path.isfile os.path.isdir os.path.getsize os.path.expanduser os.path.expandvars os.path.abspath
        os.path.realpath pathlib.Path.home pathlib.Path.cwd
    """,
    "NETWORK_CALL": """
        asyncio.open_connection asyncio.start_server pandas.read_sql pandas.read_gbq pandas.read_html os.sendfile
    """,
    "NETWORK_DOWNLOAD": """
        torch.hub flwr_datasets.FederatedDataset sklearn.datasets.fetch_openml torch.utils.model_zoo
    """,
    "PROCESS_START": """
        os.system os.popen os.execl os.execle os.execlp os.execlpe os.execv os.execve os.execvp os.execvpe os.spawnl
        os.spawnle os.spawnlp os.spawnlpe os.spawnv os.spawnve os.spawnvp os.spawnvpe os.posix_spawn os.posix_spawnp
        os.fork os.forkpty os.kill os.killpg os.ptrace os.setuid os.startfile asyncio.create_subprocess_exec
        asyncio.create_subprocess_shell concurrent.futures.ProcessPoolExecutor psutil.Process psutil.process_iter
        psutil.Popen
    """,
    "PROCESS_LINGERS": """
        threading.Thread threading.Timer _thread.start_new_thread concurrent.futures.ThreadPoolExecutor
        asyncio.create_task asyncio.ensure_future torch.multiprocessing.Process
    """,
    "PROCESS_HOOK": """
        os._exit os.abort os.register_at_fork sys.excepthook sys.unraisablehook threading.excepthook
    """,
    "PROCESS_ENVIRONMENT": """
        os.environ os.environb os.getenv os.getenvb os.putenv os.unsetenv os.path.expandvars
    """,
    "DYNAMIC_CODE": """
        eval exec compile breakpoint pandas.eval types.FunctionType types.CodeType types.ModuleType
        torch.fx.Interpreter timeit.timeit timeit.repeat timeit.Timer sympy.sympify logging.config
    """,
    "DYNAMIC_IMPORT": """
        __import__ unittest.defaultTestLoader
    """,
    "DYNAMIC_INTERNALS": """
        sys.modules sys.path sys.meta_path sys.path_hooks sys.settrace sys.setprofile sys._getframe
        sys._current_frames sys.addaudithook sys.setswitchinterval sys.builtin_module_names threading.settrace
        threading.setprofile gc.get_objects gc.get_referrers gc.get_referents inspect.stack inspect.currentframe
        inspect.getouterframes inspect.getmembers __builtins__ __loader__ __spec__ traceback.walk_stack
    """,
    "DYNAMIC_SCOPE": """
        globals locals vars delattr
    """,
    "NATIVE_CALL": """
        torch.ops.load_library torch.classes.load_library torch.utils.cpp_extension numpy.ctypeslib numba.cfunc
        os.add_dll_directory sys.setdlopenflags
    """,
    "DESERIALISE": """
        torch.load torch.jit.load torch.package pandas.read_pickle numpy.load yaml.load yaml.unsafe_load
        yaml.full_load yaml.load_all sklearn.externals keras.models.load_model tensorflow.keras.models.load_model
        tensorflow.saved_model.load joblib.load torch.serialization
    """,
    "OBFUSCATED_DECODING": """
        base64.b64decode base64.b32decode base64.b16decode base64.b85decode base64.a85decode base64.decodebytes
        base64.urlsafe_b64decode base64.standard_b64decode binascii.unhexlify binascii.a2b_base64 binascii.a2b_hex
        codecs.decode codecs.getdecoder zlib.decompress gzip.decompress bz2.decompress lzma.decompress
        zlib.decompressobj bytes.fromhex bytearray.fromhex
    """,
}
# By the attribute's name alone, whatever it is an attribute of.
_METHODS = {
    "FILE_READ": "read_text read_bytes open",
    "FILE_WRITE": """
        write_text write_bytes unlink rmdir touch symlink_to hardlink_to chmod to_csv to_parquet to_pickle to_excel
        to_feather to_hdf to_stata to_orc tofile savefig mkdir
    """,
    "FILE_LOOK": "iterdir rglob glob expanduser",
    "NETWORK_CALL": "urlopen urlretrieve sendall sendto create_connection to_sql",
    "NETWORK_DOWNLOAD": "from_pretrained push_to_hub hf_hub_download",
    "OBFUSCATED_DECODING": "fromhex",
}
# Attributes that lead from any object to Python's machinery.
_INTERNALS = """
__subclasses__ __bases__ __base__ __mro__ __globals__ __builtins__ __code__ __closure__ __getattribute__ __reduce__
__reduce_ex__ __setstate__ __loader__ __import__ gi_frame cr_frame ag_frame tb_frame f_back f_globals f_locals
f_builtins f_code co_code __func__ mro
"""
# Words that nobody needs to build from pieces.
_TELLING = """
eval exec compile open system popen subprocess socket pickle marshal ctypes builtins importlib urllib requests
__import__ __builtins__ __globals__ __subclasses__ import_module getattr environ loads os sys http https
"""


def _by_name(table: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({name: rule for rule, names in table.items() for name in names.split()})


REFERENCES = _by_name(_REFERENCES)
METHODS = _by_name(_METHODS)
INTERNALS = frozenset(_INTERNALS.split())
TELLING = frozenset(_TELLING.split())


def rule_of_reference(name: str) -> str:
    """The rule that a dotted name meets by its longest known beginning, "" where it is fine or not known."""
    parts = name.removeprefix("builtins.").split(".")
    for length in range(len(parts), 0, -1):
        rule = REFERENCES.get(".".join(parts[:length]))
        if rule is not None:
            return rule
    return ""
