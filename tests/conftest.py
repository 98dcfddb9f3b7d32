"""What every test shares: checked shapes, hypothesis profiles, external programs."""

import os
import shutil
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

from browser import Browser

# Shapes and types are checked under pytest only. Must stand before the first import of reann.
install_import_hook("reann", "beartype.beartype")

# More examples: pytest --hypothesis-profile=nightly
slow_is_fine = [HealthCheck.too_slow]
settings.register_profile(
    "ci", max_examples=25, deadline=None, derandomize=True, suppress_health_check=slow_is_fine
)
settings.register_profile(
    "nightly", max_examples=500, deadline=None, suppress_health_check=slow_is_fine
)
settings.load_profile("ci")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test of the browser where there is none, but fail under CI."""
    if item.get_closest_marker("chromium") is None:
        return
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        message = f"{' and '.join(missing)} not found"
        if os.environ.get("CI"):
            pytest.fail(f"{message}, and CI is set", pytrace=False)
        pytest.skip(message)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Return one Chromium for all tests of a process."""
    session = Browser(tmp_path_factory.mktemp("profile"))
    yield session
    session.close()
