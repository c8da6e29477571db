"""What git says of the workspace, where it is a checkout of one; no answer is an answer, too."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coreos_kit.errors import KitError
from coreos_kit.model.release import Revision
from coreos_kit.ports import Completed, Runner

TIMEOUT_S = 10
_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def git_argv(root: Path, *words: str) -> list[str]:
    """Return a command line of git in the workspace, that takes no lock there.

    Called by a hook of git, it would otherwise ask the repository that the hook belongs to.
    """
    forget = [word for name in _OF_A_HOOK for word in ("-u", name)]
    return ["env", *forget, "git", "-C", str(root), "--no-optional-locks", *words]


@dataclass(frozen=True, slots=True)
class GitCheckout:
    """`ports.Checkout` of a folder."""

    root: Path
    runner: Runner

    def revision(self) -> Revision:
        """See `ports.Checkout.revision`."""
        head = self._ask(["rev-parse", "--verify", "HEAD^{commit}"])
        if head is None or head.code != 0:
            return Revision()
        changed = self._ask(["status", "--porcelain", "--", "."])
        return Revision(head.text.strip(), changed is None or changed.code != 0 or bool(changed.text.strip()))

    def is_older_than(self, commit: str) -> bool | None:
        """See `ports.Checkout.is_older_than`."""
        if not _COMMIT.fullmatch(commit):  # it was read from etcd
            return None
        answer = self._ask(["merge-base", "--is-ancestor", "HEAD", f"{commit}^{{commit}}"])
        if answer is None or answer.code not in (0, 1):
            return None
        return answer.code == 0 and self.revision().commit != commit

    def _ask(self, words: Sequence[str]) -> Completed | None:
        try:
            return self.runner.run(git_argv(self.root, *words), timeout_s=TIMEOUT_S, check=False)
        except KitError:
            return None
