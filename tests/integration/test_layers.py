"""scripts/layers: names each include against the list and each circle of files, and lets the list of
known violations only shrink."""

import pathlib
import shutil
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts/layers"

CONF = """
common/low:
common/high: common/low
unit pair: common/high/pair_private.h common/high/left common/high/right
"""

FILES = {
    "common/low/base.h": "int base(void);",
    "common/low/base.c": '#include "common/low/base.h"\nint base(void) { return 1; }',
    "common/high/pair_private.h": "int left(void);\nint right(void);",
    "common/high/left.c": '#include "common/high/pair_private.h"\n'
                          "int left(void) { return right(); }",
    "common/high/right.c": '#include "common/high/pair_private.h"\n#include "common/low/base.h"\n'
                           "int right(void) { return left() + base(); }",
}


class Tree:
    def __init__(self, root):
        self.root = root
        for tree in ("scripts", "server", "client"):
            (root / tree).mkdir()
        shutil.copy(SCRIPT, root / "scripts/layers")
        self.conf(CONF)
        for name, text in FILES.items():
            self.write(name, text)

    def conf(self, text):
        (self.root / "scripts/layers.conf").write_text(text)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")

    def check(self):
        """Builds, and returns what the script prints and its status."""
        for source in self.root.rglob("*.c"):
            parts = source.relative_to(self.root).parts
            target = self.root.joinpath("build", parts[0], "CMakeFiles/x.dir", *parts[1:])
            target.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cc", "-c", "-I", self.root, source, "-o", f"{target}.o"], check=True)
        done = subprocess.run([self.root / "scripts/layers", self.root / "build"],
                              capture_output=True, text=True)
        return done.stdout + done.stderr, done.returncode


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def test_a_tree_that_keeps_the_list_passes_in_silence(tree):
    assert tree.check() == ("", 0)


def test_an_include_against_the_list_is_named_with_its_line(tree):
    tree.write("common/low/base.c", '#include <stddef.h>\n#include "common/high/high.h"\n'
                                    "int base(void) { return 1; }")
    tree.write("common/high/high.h", "")
    assert tree.check() == (
        "common/low/base.c:2: common/low may not include common/high (common/high/high.h)\n", 1)


def test_a_private_header_is_for_its_unit_alone(tree):
    tree.write("common/high/other.c", '#include "common/high/pair_private.h"')
    assert tree.check() == (
        "common/high/other.c:1: common/high/pair_private.h is private to unit pair\n", 1)


def test_a_folder_that_is_not_listed_fails(tree):
    tree.write("common/new/file.c", "")
    output, status = tree.check()
    assert status == 1 and "the folder common/new is not in layers.conf" in output


def test_a_circle_of_files_is_named_with_its_symbols(tree):
    tree.write("common/low/base.c", "int left(void); int base(void) { return left(); }")
    output, status = tree.check()
    assert status == 1
    assert output.splitlines() == [
        "circle of 2: common/low/base, unit pair",
        "    common/high/right -> common/low/base: base",
        "    common/low/base -> common/high/left: left"]


def test_a_known_violation_is_printed_until_it_is_gone_and_fails_then(tree):
    tree.conf(CONF + "cut call common/low/base -> common/high/left\n"
                     "cut include common/low/base.c -> common/high/high.h\n")
    tree.write("common/high/high.h", "int left(void);")
    tree.write("common/low/base.c", '#include "common/high/high.h"\n'
                                    "int base(void) { return left(); }")
    entries = ("include common/low/base.c -> common/high/high.h",
               "call common/low/base -> common/high/left")
    assert tree.check() == ("".join(f"still to cut: {entry}\n" for entry in entries), 0)

    tree.write("common/low/base.c", FILES["common/low/base.c"])
    assert tree.check() == (
        "".join(f"layers.conf: not needed any more: cut {entry}\n" for entry in entries), 1)


def test_a_build_that_lacks_an_object_file_is_not_judged(tree):
    tree.check()
    tree.write("common/low/new.c", "")
    done = subprocess.run([tree.root / "scripts/layers", tree.root / "build"],
                          capture_output=True, text=True)
    assert done.returncode == 2 and "common/low/new.c" in done.stderr


def test_a_list_that_cannot_be_read_is_named_by_its_line(tree):
    tree.conf("common/low:\ncommon/high common/low\n")
    output, status = tree.check()
    assert status == 2 and output.startswith("layers.conf:2: expected 'FOLDER: ")


def test_what_is_listed_and_not_used_fails(tree):
    tree.conf(CONF.replace("common/high: common/low", "common/high: common/low common/none"))
    assert tree.check() == ("layers.conf: common/high does not include common/none: remove it\n", 1)


def test_a_unit_needs_a_private_header(tree):
    tree.conf(CONF.replace("common/high/pair_private.h ", ""))
    assert tree.check() == ("layers.conf:4: unit pair has no private header\n", 2)
