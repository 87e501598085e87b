"""What a reader can do now: score photographs with the winner, or with what is as good and cheaper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.report.words import milliseconds


@dataclass(frozen=True)
class Use:
    """A method and the command that scores photographs with it.

    Attributes:
        sentence: which method it is, and why it is named.
        command: to be run in the project's folder.
    """

    sentence: str
    command: str


def uses(rows: list[dict[str, Any]]) -> list[Use]:
    """The winner, and the cheapest method whose error can't be told from the winner's, where that is another one.

    Args:
        rows: of the leaderboard, lowest test error first.
    """
    winner = rows[0]
    cheapest = min((row for row in rows if row["tied_with_best"]), key=lambda row: row["prediction_ms"], default=winner)
    price = milliseconds(winner["prediction_ms"])
    saw = any(row.get("first_place", 1) is None for row in rows)
    among = " of those that had not seen such images before" if saw else ""
    found = [
        Use(f"{winner['title']} made the fewest errors on test{among}. It takes {price} an image.", _command(winner))
    ]
    if cheapest is not winner:
        price = milliseconds(cheapest["prediction_ms"])
        sentence = (
            f"{cheapest['title']} is the cheapest method whose error can\u2019t be told from the winner\u2019s on "
            f"these images. It takes {price} an image."
        )
        found.append(Use(sentence, _command(cheapest)))
    return found


def _command(row: dict[str, Any]) -> str:
    return f"python -m pipeline predict --method {row['method']} photo.jpg folder/with/photos"
