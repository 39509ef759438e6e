"""Publications in files, so that a peer's memory holds the arrays it works on and no more.

What a mailbox keeps for neighbors, and what arrives from them, is written to disk as it comes.
The operating system caches files as it sees fit; arrays are mapped from them while in use.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import secrets
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UnavailableError
from ..named_arrays import Model
from .tensors import Buffer, document, entries_of, unpack, view

_RESERVED = 1 << 30  # bytes; who announces more may not have it
_SMALL = 1 << 14  # bytes; a file of fewer is read, which is quicker than mapping it


class Document:
    """A safetensors document in a file, which is closed when nobody uses it any more.

    Parameters
    ----------
    file : IO[bytes]
        The file, open for reading.
    size : int
        Its length in bytes.

    Attributes
    ----------
    mark : str
        Tells it from all others: who has some of it may ask for the rest of the same.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.size, self._file, self._lock = size, file, threading.Lock()
        self.mark = secrets.token_hex(8)
        self._mapping: weakref.ref[mmap.mmap] | None = None
        weakref.finalize(self, file.close)

    @classmethod
    def at(cls, path: Path) -> Document:
        """Open a document that has a name.

        Raises
        ------
        OSError
            The file cannot be read.
        """
        file = path.open("rb")
        return cls(file, os.fstat(file.fileno()).st_size)  # path may lead elsewhere by now

    def chunks(self, most: int, first: int = 0) -> Iterator[bytes]:
        """Return the bytes from the ``first``, at most so many at a time, without mapping them."""
        for start in range(first, self.size, most):
            with self._lock:  # several neighbors may be reading
                self._file.seek(start)
                chunk = self._file.read(most)
            yield chunk

    def buffer(self) -> Buffer:
        """Return all bytes as an array that is mapped from the file.

        Arrays that are in use at the same time share one mapping. It goes with the last of them,
        and all that was read of it no longer counts as this process's memory.
        """
        if not self.size:
            return np.empty(0, np.uint8)
        mapping = self._mapping() if self._mapping is not None else None
        if mapping is None:
            mapping = _map(self._file.fileno(), self.size)
            self._mapping = weakref.ref(mapping)
        return np.frombuffer(mapping, np.uint8)

    def model(self, most_header: int | None = None) -> MappedModel:
        """Return the model in the document; a longer header than ``most_header`` is refused.

        Raises
        ------
        RelayError
            The document is not what safetensors allows: says what is wrong with it.
        """
        return MappedModel(self, most_header)


class Partial:
    """What has come of a document, which may go on to come over another connection.

    Parameters
    ----------
    file : IO[bytes]
        Where it is written to, empty; closed with this object.
    size : int
        Its length in bytes when it is whole.
    mark : str
        What its owner tells it from others by.

    Attributes
    ----------
    written : int
        Bytes that have come.
    """

    def __init__(self, file: IO[bytes], size: int, mark: str) -> None:
        self.size, self.mark, self.written, self.file = size, mark, 0, file
        self._closing = weakref.finalize(self, file.close)

    def fill(self, chunks: Iterable[memoryview | bytes]) -> Document:
        """Write the bytes that were lacking, and return the document; it is this one's no more.

        Raises
        ------
        OSError
            There is no room for it.
        """
        for chunk in chunks:
            self.file.write(chunk)
            self.written += len(chunk)
        self.file.flush()
        self._closing.detach()
        return Document(self.file, self.size)


class MappedModel(Mapping[str, NDArray[Any]]):
    """The model in a document: read-only arrays, each mapped when it is asked for."""

    def __init__(self, document: Document, most_header: int | None = None) -> None:
        self._document = document
        bound = {} if most_header is None else {"most_header": most_header}
        self._entries = entries_of(document.buffer(), **bound)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return an array, in the file's own pages."""
        return view(self._document.buffer(), self._entries[name])

    def __iter__(self) -> Iterator[str]:
        """Return the names in the model's order."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Return the number of arrays."""
        return len(self._entries)


class Spool:
    """Makes documents of what is published and of what arrives.

    Its files have no names: they go with the process, however it ends.

    Parameters
    ----------
    folder : Path, optional
        Where the files are; the folder for temporary files unless given.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir())

    def keep_model(self, model: Model) -> Document:
        """Write a model's document, array by array; raises as `keep` and `document` do."""
        return self.keep(*document(model))

    def keep(self, size: int, chunks: Iterable[memoryview | bytes]) -> Document:
        """Write a document of ``size`` bytes as its chunks come.

        Raises
        ------
        UnavailableError
            The folder cannot be written to, or is full.
        """
        return self.fill(self.begin(size), chunks)

    def begin(self, size: int, mark: str = "") -> Partial:
        """Set room aside for a document of ``size`` bytes; raises as `keep` does."""
        with self._or_unavailable():
            self._folder.mkdir(parents=True, exist_ok=True)
            begun = Partial(tempfile.TemporaryFile(dir=self._folder_for(size)), size, mark)  # noqa: SIM115
            _reserve(begun.file, size)
            return begun

    def fill(self, begun: Partial, chunks: Iterable[memoryview | bytes]) -> Document:
        """Write what a document lacks as its chunks come; raises as `keep` does.

        What has come by then stays where the chunks break off.
        """
        with self._or_unavailable():
            return begun.fill(chunks)

    @contextlib.contextmanager
    def _or_unavailable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = f"cannot keep a model in {self._folder}: {error.strerror}"
            raise UnavailableError(reason) from None

    def _folder_for(self, size: int) -> Path:
        """Return the folder or, where it has no room, that for temporary files."""
        other = Path(tempfile.gettempdir())
        return self._folder if shutil.disk_usage(self._folder).free > size else other


def write_model(file: IO[bytes], model: Model) -> None:
    """Write a model's document to a file.

    Raises
    ------
    OSError
        There is no room for it.
    RelayError
        An array has a dtype that safetensors cannot hold.
    """
    _write(file, *document(model))


def map_model(path: str) -> Model:
    """Return the model in a file: read-only arrays that share one mapping of it.

    Raises
    ------
    OSError
        The file cannot be read.
    RelayError
        The document is not what safetensors allows: says what is wrong with it.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        size = os.fstat(descriptor).st_size
        return unpack(os.read(descriptor, size) if size < _SMALL else _map(descriptor, size))
    finally:
        os.close(descriptor)


def _map(descriptor: int, size: int) -> mmap.mmap:
    return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ)


def _write(file: IO[bytes], size: int, chunks: Iterable[memoryview | bytes]) -> None:
    _reserve(file, size)
    for chunk in chunks:
        file.write(chunk)


def _reserve(file: IO[bytes], size: int) -> None:
    """Set room aside at once: that is quicker than block by block, and a full disk is known now."""
    if size and hasattr(os, "posix_fallocate"):  # macOS and Windows have none
        try:
            os.posix_fallocate(file.fileno(), 0, min(size, _RESERVED))
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # not every file system can
                raise
