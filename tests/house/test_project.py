"""What is declared is what is used: dependencies, commands, versions, documents."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from voicebot.config import variables

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
DISTRIBUTIONS = packages_distributions()
# Part of the interface of what brings them: these need no line of their own.
BROUGHT = {"annotated-types": "pydantic", "pydantic-core": "pydantic", "yarl": "aiohttp", "multidict": "aiohttp"}


SHARED = {
    "opentelemetry.sdk": "opentelemetry-sdk",
    "opentelemetry.exporter": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry": "opentelemetry-api",
}
WITH_EXTRA = {Path("tracing", "sdk.py"): "otel", Path("store", "postgresql.py"): "postgresql"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {normal(re.match(r"[\w.-]+", requirement).group()) for requirement in requirements}


REQUIRED = names(PROJECT["dependencies"])
ALLOWED = REQUIRED | {name for name, parent in BROUGHT.items() if name in names(requires(parent) or [])}
EXTRA = {name for extra in PROJECT["optional-dependencies"].values() for name in names(extra)}


def imported(path: Path) -> set[str]:
    """Return the distributions whose modules a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=aliases):
                found |= {alias.name for alias in aliases}
            case ast.ImportFrom(module=str(module), level=0):
                found.add(module)
    foreign = {name for name in found if name.partition(".")[0] not in sys.stdlib_module_names | {"voicebot"}}
    return {distribution(module) for module in foreign}


def distribution(module: str) -> str:
    """Return what a module comes from; OpenTelemetry's distributions share a top-level name."""
    if shared := [name for start, name in SHARED.items() if f"{module}.".startswith(f"{start}.")]:
        return shared[0]
    top = module.partition(".")[0]
    return normal(DISTRIBUTIONS.get(top, [top])[0])


def in_package(*, local: bool) -> set[str]:
    files = (
        path for path in (ROOT / "voicebot").rglob("*.py") if path.relative_to(ROOT / "voicebot") not in WITH_EXTRA
    )
    return set().union(*(imported(path) for path in files if ("local" in path.parts) is local))


@pytest.mark.parametrize(("module", "extra"), WITH_EXTRA.items(), ids=str)
def test_only_one_module_needs_an_extra(module, extra):
    assert imported(ROOT / "voicebot" / module) - ALLOWED == names(PROJECT["optional-dependencies"][extra])


def test_every_import_of_the_service_is_declared():
    assert in_package(local=False) - ALLOWED == set()


def test_every_import_of_the_stand_ins_is_declared():
    assert in_package(local=True) - ALLOWED - EXTRA == set()


def test_every_dependency_is_imported():
    unused = REQUIRED - in_package(local=False) - in_package(local=True)
    assert unused == set()


def test_the_command_exists():
    module, _, function = PROJECT["scripts"]["voicebot"].partition(":")
    assert callable(getattr(import_module(module), function))


def test_lock_names_the_public_registry_only():
    hosts = set()
    for package in LOCK["package"]:
        source = package["source"]
        assert source in ({"registry": "https://pypi.org/simple"}, {"editable": "."}), package["name"]
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        hosts |= {urlsplit(file["url"]).hostname for file in files}
    assert hosts == {"files.pythonhosted.org"}


def test_lock_has_a_hash_for_every_file():
    for package in LOCK["package"]:
        for file in package.get("wheels", []):
            assert file["hash"].startswith("sha256:"), file["url"]


def test_licence():
    assert PROJECT["license"] == "MIT"
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert licence.startswith("MIT License\n")
    assert "voicebot contributors" in licence


def test_changelog_has_a_place_for_what_comes():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "keepachangelog.com" in changelog
    first, *_ = re.findall(r"^## (.*)$", changelog, re.MULTILINE)
    assert first == "[Unreleased]"
    assert set(re.findall(r"^### (.*)$", changelog, re.MULTILINE)) <= {
        "Added",
        "Changed",
        "Deprecated",
        "Removed",
        "Fixed",
        "Security",
    }


def test_decisions_are_numbered_and_short():
    files = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(path.name[:4]) for path in files] == list(range(1, len(files) + 1))
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert all(f"**{part}.**" in text for part in ("Context", "Choice", "Price")), path.name


def test_settings_page_is_what_the_code_says():
    from settings_doc import document

    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == document(), "run: make docs"
    for variable, _, _ in variables():
        assert variable in page


def test_readme_shows_the_whole_house():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = re.search(r"^## The house$(.*?)(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL)
    assert section, "no section 'The house'"
    package = ROOT / "voicebot"
    wanted = {path.name for path in package.glob("*.py")} - {"__init__.py"}
    wanted |= {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    assert {name for name in wanted if name not in section.group(1)} == set()


@pytest.mark.parametrize(
    "path", ["README.md", "CHANGELOG.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_make_commands_in_the_documents_exist(path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = (ROOT / path).read_text(encoding="utf-8")
    told = set(re.findall(r"(?:^\s*(?:\$ )?|`)make ([a-z-]+)", text, re.MULTILINE))
    assert told <= targets


def test_links_between_documents_lead_somewhere():
    for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
            if not urlsplit(target).scheme:
                assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_ci_ends_with_the_tests():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)], check=False, timeout=30).returncode == 0
    assert script.read_text(encoding="utf-8").splitlines()[-1].startswith("make --no-print-directory test ARGS=")


def test_readme_shows_the_receiver_that_is_tested():
    receiver = re.search(r"```python\n.*?```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert receiver and receiver[0] in (ROOT / "docs" / "webhook.md").read_text(encoding="utf-8")
