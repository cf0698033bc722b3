"""Which code is measured."""

import subprocess
from pathlib import Path

HERE = Path(__file__).parents[1]


def commit_of(checkout: Path) -> str:
    """The commit of a checkout of this repository, with "-dirty" where the package is not as there.

    Raises:
        SystemExit: it is none.
    """
    # without its own, an installed package would be measured in its place
    if (checkout / "tl_keras" / "run.py").is_file():
        described = _git(checkout, "describe", "--always")
        changed = _git(checkout, "diff", "--quiet", "HEAD", "--", "tl_keras", "experiments")
        if described.returncode == 0 and changed.returncode in (0, 1):
            return described.stdout.strip() + ("-dirty" if changed.returncode else "")
    raise SystemExit(f"A commit is measured in a checkout of the repository; got {checkout}.")


def _git(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=checkout, capture_output=True, text=True)
