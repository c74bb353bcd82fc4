"""What the log must not say."""

import structlog

from bot import logs


def test_a_traceback_shows_no_values_and_no_token(capsys: object) -> None:
    """Where it failed is there; what the variables held is not, nor a token, wherever it comes up."""
    logs.configure(["123456:very-secret"])
    try:
        text, token = "a member's own words", "123456:very-secret"
        try:
            raise RuntimeError(f"cannot reach https://example.org/bot{token}/getMe")
        except RuntimeError:
            structlog.get_logger().exception("failed", address=f"bot{token}")
        assert text
    finally:
        logs.configure()
    said = capsys.readouterr().out  # type: ignore[attr-defined]
    assert "RuntimeError" in said and "test_logs.py" in said and "***" in said
    assert "very-secret" not in said and "own words" not in said.replace('text, token = "a member\'s own words"', "")
