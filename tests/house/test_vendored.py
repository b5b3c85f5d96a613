"""What the console loads of others is what was looked at when it was taken in."""

from tests.house import vendored


def test_vendored_files_have_the_hashes_that_were_kept() -> None:
    assert (vendored.VENDOR / vendored.SUMS).read_text() == vendored.sums(vendored.present())
