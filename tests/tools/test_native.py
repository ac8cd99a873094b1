"""Building the native module: what is missing is said, what is built is not built again."""

from pathlib import Path

import pytest

from tools import native, stamps


@pytest.fixture
def bin_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(folder: Path, name: str, says: str = "", status: int = 0) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {status}\n", encoding="utf-8")
    path.chmod(0o755)


def test_no_rust(bin_: Path) -> None:
    with pytest.raises(SystemExit, match=r"Rust is missing[\s\S]*sh\.rustup\.rs"):
        native.check_rust()


def test_rust_too_old(bin_: Path) -> None:
    program(bin_, "cargo")
    program(bin_, "rustc", "rustc 1.63.0 (4b91a6ea7 2022-08-08)")
    with pytest.raises(SystemExit, match=r"Rust 1\.63\.0 .* is too old[\s\S]*rustup update stable"):
        native.check_rust()


def test_rust_that_does_not_run(bin_: Path) -> None:
    program(bin_, "cargo")
    program(bin_, "rustc", "error: no default toolchain", 1)
    with pytest.raises(SystemExit, match=r"does not work:\s*error: no default toolchain"):
        native.check_rust()


def test_no_linker(bin_: Path) -> None:
    program(bin_, "cargo")
    program(bin_, "rustc", "rustc 9.0.0 (nightly)")
    with pytest.raises(SystemExit, match=r"C compiler is missing[\s\S]*apt install gcc"):
        native.check_rust()


def test_all_there(bin_: Path) -> None:
    for name in ("cargo", "cc"):
        program(bin_, name)
    program(bin_, "rustc", f"rustc {'.'.join(map(str, native.rust_needed()))}.0")
    native.check_rust()


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A little source tree; building it writes the module and counts."""
    for folder in ("rust/core/src", "rust/target", "package", "notes"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "rust/core/src/lib.rs").touch()
    (tmp_path / "count").touch()
    monkeypatch.setattr(native, "ROOT", tmp_path)
    monkeypatch.setattr(native, "RUST", tmp_path / "rust")
    monkeypatch.setattr(native, "PACKAGE", tmp_path / "package")
    monkeypatch.setattr(stamps, "FOLDER", tmp_path / "notes")
    monkeypatch.setattr(native, "check_rust", lambda: None)
    monkeypatch.setattr(native, "build", lambda: build(tmp_path))
    return tmp_path


def build(tree: Path) -> None:
    with (tree / "count").open("a", encoding="utf-8") as count:
        count.write("x")
    (tree / "package/_core.abi3.so").write_text("built", encoding="utf-8")


def builds(tree: Path) -> int:
    native.ensure()
    return len((tree / "count").read_text(encoding="utf-8"))


def test_it_is_built_once(tree: Path) -> None:
    assert [builds(tree), builds(tree)] == [1, 1]


def test_a_changed_source_and_a_new_one_are_built(tree: Path) -> None:
    assert builds(tree) == 1
    (tree / "rust/core/src/lib.rs").write_text("//", encoding="utf-8")
    assert builds(tree) == 2
    (tree / "rust/Cargo.lock").touch()
    assert builds(tree) == 3


def test_what_cargo_writes_is_no_source(tree: Path) -> None:
    assert builds(tree) == 1
    (tree / "rust/target/junk").touch()
    assert builds(tree) == 1


def test_a_module_that_is_gone_or_another_is_built(tree: Path) -> None:
    assert builds(tree) == 1
    (tree / "package/_core.abi3.so").unlink()
    assert builds(tree) == 2
    (tree / "package/_core.abi3.so").write_text("by hand", encoding="utf-8")
    assert builds(tree) == 3


def test_an_interrupted_build_is_built_again(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        build(tree)
        raise KeyboardInterrupt

    monkeypatch.setattr(native, "build", interrupted)
    with pytest.raises(KeyboardInterrupt):
        native.ensure()
    monkeypatch.setattr(native, "build", lambda: build(tree))
    assert [builds(tree), builds(tree)] == [2, 2]
