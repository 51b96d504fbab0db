"""The autoload hook: registers the plugin when, and only when, mteb is imported.

Runs at every interpreter start, so it imports nothing that is not loaded anyway; even the
annotations are left out for that. Installed by a ``.pth`` file up to Python 3.14 and by a
``.start`` file (PEP 829) from 3.15 on; both call :func:`install`.
"""

import sys
from _thread import get_ident

_MTEB = "mteb"
_BENCHMARKS = "mteb.benchmarks.benchmarks"
_COMMAND = "mteb.cli"
_NAMES = (_MTEB, _BENCHMARKS, _COMMAND)
_told: list[str] = []


def after_import(name):
    """Register with the module that was just imported, at once or when all plugins are loaded.

    Never raises: mteb must always work.
    """

    def ask():
        from hybridir_mteb.installed import when_loaded

        when_loaded(lambda plugins: _safely(lambda: _register(name, plugins)))

    _safely(ask)


def _register(name, plugins):
    from hybridir_mteb.adapters.mteb.register import register

    register(plugins)
    if name == _BENCHMARKS:
        from hybridir_mteb.adapters.mteb.benchmark import add_benchmarks

        add_benchmarks()
    elif name == _COMMAND:
        from hybridir_mteb.adapters.mteb.command import take_over

        take_over()


def _safely(act):
    try:
        act()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a broken plugin must not break mteb
        try:
            _tell(error)
        except KeyboardInterrupt:
            raise
        except BaseException:  # not even that
            pass


def _tell(error):
    from hybridir_mteb.errors import described
    from hybridir_mteb.plugins.guard import say

    line = f"not registered: {described(error)}"
    if line not in _told:
        _told.append(line)
        say(line)


class _Finder:
    """Finds nothing itself: wraps the loader that another finder gives for some names."""

    def __init__(self):
        self._active = set()

    def find_spec(self, name, path=None, target=None):
        if name not in _NAMES:
            return None
        key = (get_ident(), name)  # two such finders asking each other must not loop
        if key in self._active:
            return None
        self._active.add(key)
        try:
            spec = self._ask_others(name, path, target)
        finally:
            self._active.discard(key)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            self._wrap(spec.loader, name)
        return spec

    def _ask_others(self, name, path, target):
        for finder in list(sys.meta_path):
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find else None
            if spec is not None:
                return spec
        return None

    @staticmethod
    def _wrap(loader, name):
        run = loader.exec_module

        def exec_module(module):
            del loader.exec_module  # back to the class's own method
            run(module)
            after_import(name)

        try:
            loader.exec_module = exec_module
        except AttributeError:  # a loader with slots cannot be hooked
            pass


def install(force=False):
    """Switch autoloading on in this process; harmless if it already is.

    With ``force``, also where ``HYBRIDIR_AUTOLOAD=0``.

    Public for environments that ignore startup files (``python -S``, ``PYTHONPATH``,
    ``pip install --target``). If mteb is already imported, registers at once.
    """
    import os

    if not force and os.environ.get("HYBRIDIR_AUTOLOAD") == "0":
        return
    if any(
        type(finder).__name__ == "_Finder" and type(finder).__module__ == __name__
        for finder in sys.meta_path
    ):
        return
    sys.meta_path.insert(0, _Finder())
    for name in _NAMES:
        module = sys.modules.get(name)
        spec = getattr(module, "__spec__", None)
        if module is not None and not getattr(spec, "_initializing", False):
            after_import(name)
