import gzip
import os

import pytest

from seqflow.files import check_writable, read_text, replacing


def test_reads_plain_gzipped_and_marked_text(tmp_path):
    (tmp_path / "plain.gz").write_bytes(b"\xef\xbb\xbftext")  # the suffix is not believed
    (tmp_path / "packed.txt").write_bytes(gzip.compress(b"text"))
    assert read_text(tmp_path / "plain.gz") == read_text(tmp_path / "packed.txt") == "text"


@pytest.mark.parametrize("cut", [5, 12, 25])
def test_a_damaged_gzip_file_is_named(tmp_path, cut):
    path = tmp_path / "cut.fa.gz"
    path.write_bytes(gzip.compress(b">a\nACGT\n" * 9)[:cut])
    with pytest.raises(ValueError, match=r"cut\.fa\.gz: expected a complete gzip file"):
        read_text(path)


def test_bytes_that_are_not_text(tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(b"AC\x89PNG")
    with pytest.raises(ValueError, match=r"image\.png: expected text .* byte 0x89 at offset 2"):
        read_text(path)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")

    def interrupted():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    with replacing(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_device_is_written_in_place():
    with replacing(os.devnull) as path:
        assert str(path) == os.devnull


def test_unwritable_paths(tmp_path):
    with pytest.raises(ValueError, match=r"it is a folder"), replacing(tmp_path):
        pass
    missing = tmp_path / "none" / "x"
    with pytest.raises(ValueError, match=r"write .*x: there is no folder"), replacing(missing):
        pass
    # A body that never wrote the temporary file.
    with pytest.raises(ValueError, match=r"write .*x: No such file"), replacing(tmp_path / "x"):
        pass


def test_checks_an_output_before_the_work_is_done(tmp_path):
    check_writable("-")
    check_writable(tmp_path / "new.txt")
    assert not list(tmp_path.iterdir())
    for path, reason in (
        (tmp_path, "it is a folder"),
        (tmp_path / "missing" / "new.txt", "there is no folder"),
    ):
        with pytest.raises(ValueError, match=rf"cannot write .*: {reason}"):
            check_writable(path)


def test_private_files_become_as_readable_as_others(tmp_path):
    (tmp_path / "plain").touch()
    with replacing(tmp_path / "new") as temporary:
        temporary.touch(mode=0o600)
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
